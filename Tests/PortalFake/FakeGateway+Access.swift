public import Access
public import Base
public import Portal

extension FakeGateway {
    public func gate() async -> GateStatus { GateStatus(settings: AccessSettings()) }
    public func sessions() async -> [SessionStatus] { with { $0.sessions } }

    public func changeGate(_ change: GateChange, caller: Caller) async throws -> GateStatus {
        try note("gate \(change.isEnabled.map { $0 ? "on" : "off" } ?? "set")", caller)
        return GateStatus(settings: AccessSettings())
    }

    public func admit(_ admission: ManualAdmission, caller: Caller) async throws -> SessionStatus {
        try note("admit \(admission.address) \(admission.sites) \(admission.seconds ?? 0)", caller)
        return .example(1, admission.user, admission.address)
    }

    public func revoke(_ order: RevocationOrder, caller: Caller) async throws -> [SessionStatus] {
        try note("revoke \(order.id.map(String.init) ?? order.user ?? order.address?.description ?? "all")", caller)
        return with { $0.sessions }
    }

    public func users() async throws -> [UserStatus] {
        try note("users")
        return with { $0.users }
    }

    public func addUser(_ user: UserOrder, caller: Caller) async throws -> UserStatus {
        try note("add user \(user.email)", caller)
        return .example(user.email)
    }

    public func changeUser(email: String, _ change: UserChange, caller: Caller) async throws -> UserStatus {
        try note("change user \(email)", caller)
        return .example(email, isEnabled: change.isEnabled ?? true)
    }

    public func removeUser(email: String, caller: Caller) async throws { try note("remove user \(email)", caller) }
}

extension SessionStatus {
    /// A session of an hour at an address.
    public static func example(_ id: Int64, _ user: String?, _ address: IPAddress) -> SessionStatus {
        SessionStatus(
            Session(
                id: id, user: user, address: address, mac: MACAddress("02:00:00:00:00:05"), startedAt: .example(0),
                expiresAt: .example(3600), reason: "signed in with okta"), user: nil, sites: ["vpn-0a1b"],
            bytesOut: 1200, bytesIn: 34_000, packetsOut: 12, packetsIn: 34)
    }
}

extension UserStatus {
    public static func example(_ email: String, isEnabled: Bool = true) -> UserStatus {
        UserStatus(
            User(
                email: email, firstName: "Ada", lastName: "Lovelace", source: "okta", groups: ["Finance"],
                isEnabled: isEnabled, createdAt: .example(0)), reaches: ["vpn-0a1b"], sessions: [])
    }
}
