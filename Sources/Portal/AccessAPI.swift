public import Access
public import Base

/// What the sockets can ask of sign-in and the gate. Part of ``GatewayAPI``, whose rules hold.
public protocol AccessAPI: Sendable {
    /// How the gate is.
    func gate() async -> GateStatus

    /// Who is in, oldest first.
    func sessions() async -> [SessionStatus]

    // MARK: Control

    /// Changes what an administrator sets about the gate and sessions; a member that is nil stays.
    func changeGate(_ change: GateChange, caller: Caller) async throws -> GateStatus

    /// Admits an address by hand.
    func admit(_ admission: ManualAdmission, caller: Caller) async throws -> SessionStatus

    /// Ends sessions at once.
    ///
    /// - Returns: those that ended; refused with 404 when one was named that is not there.
    func revoke(_ order: RevocationOrder, caller: Caller) async throws -> [SessionStatus]

    func users() async throws -> [UserStatus]
    func addUser(_ user: UserOrder, caller: Caller) async throws -> UserStatus
    /// Changes a user; a member that is nil stays.
    func changeUser(email: String, _ change: UserChange, caller: Caller) async throws -> UserStatus
    /// Removes a user and ends the sessions.
    func removeUser(email: String, caller: Caller) async throws
}

/// How the gate is.
public struct GateStatus: Hashable, Codable, Sendable {
    public var isEnabled: Bool
    /// What keeps the kernel's table from being as it should; nil when all is well.
    public var problem: String?
    public var sessions: Int
    /// Packets from local networks that were refused, and from remote networks that were discarded, since the table was
    /// put up.
    public var packetsRefused: UInt64
    public var packetsDiscarded: UInt64
    public var exempt: [IPPrefix]
    public var interfaces: [String]
    public var inbound: GatePlan.Inbound
    public var redirectPort: UInt16?
    public var sessionSeconds: Int
    public var idleSeconds: Int?
    public var sites: SiteChoice
    public var leastMatch: MatchLevel
    public var leaseFile: String?
    /// Where the sign-in pages are; nil when there are none.
    public var portal: String?
    /// What keeps people from signing in; nil when all is well.
    public var portalProblem: String?

    public init(
        settings: AccessSettings, problem: String? = nil, sessions: Int = 0, packetsRefused: UInt64 = 0,
        packetsDiscarded: UInt64 = 0
    ) {
        isEnabled = settings.isGateEnabled
        self.problem = problem
        self.sessions = sessions
        self.packetsRefused = packetsRefused
        self.packetsDiscarded = packetsDiscarded
        exempt = settings.exempt
        interfaces = settings.interfaces
        inbound = settings.inbound
        redirectPort = settings.redirectPort
        sessionSeconds = settings.sessionSeconds
        idleSeconds = settings.idleSeconds
        sites = settings.sites
        leastMatch = settings.leastMatch
        leaseFile = settings.leaseFile
    }
}

/// What to change about the gate. Nil leaves a thing as it is.
public struct GateChange: Hashable, Codable, Sendable {
    public var isEnabled: Bool?
    public var addExempt: [IPPrefix]?
    public var removeExempt: [IPPrefix]?
    public var interfaces: [String]?
    public var inbound: GatePlan.Inbound?
    /// Zero leads nobody to a page.
    public var redirectPort: UInt16?
    public var sessionSeconds: Int?
    /// Zero lets sessions be idle for ever.
    public var idleSeconds: Int?
    public var sites: SiteChoice?
    public var leastMatch: MatchLevel?
    /// Empty reads none.
    public var leaseFile: String?

    public init() {}
}

/// One session as `GET /v1/sessions` answers.
public struct SessionStatus: Hashable, Codable, Sendable {
    public var id: Int64
    public var user: String?
    public var firstName: String?
    public var lastName: String?
    public var address: IPAddress
    public var mac: MACAddress?
    public var device: String?
    public var provider: String?
    /// The connectors that it reaches at this moment, by ID.
    public var sites: [String]
    public var since: WallTime
    public var expiresAt: WallTime
    public var idleLimitSeconds: Int?
    /// Counted in the kernel, since the session began or the gate was put up anew. Out is towards the remote networks.
    public var bytesOut: UInt64
    public var bytesIn: UInt64
    public var packetsOut: UInt64
    public var packetsIn: UInt64
    /// Why it was admitted.
    public var reason: String

    public init(
        _ session: Session, user: User?, sites: [String], bytesOut: UInt64 = 0, bytesIn: UInt64 = 0,
        packetsOut: UInt64 = 0, packetsIn: UInt64 = 0
    ) {
        id = session.id
        self.user = session.user
        firstName = user?.firstName
        lastName = user?.lastName
        address = session.address
        mac = session.mac
        device = session.device
        provider = session.provider
        self.sites = sites
        since = session.startedAt
        expiresAt = session.expiresAt
        idleLimitSeconds = session.idleSeconds
        self.bytesOut = bytesOut
        self.bytesIn = bytesIn
        self.packetsOut = packetsOut
        self.packetsIn = packetsIn
        reason = session.reason
    }
}

/// Which sessions to end: just one of the members says so.
public struct RevocationOrder: Hashable, Codable, Sendable {
    public var id: Int64?
    public var user: String?
    public var address: IPAddress?
    public var all: Bool?
    /// Why, for the audit trail.
    public var reason: String?

    public init(
        id: Int64? = nil, user: String? = nil, address: IPAddress? = nil, all: Bool? = nil, reason: String? = nil
    ) {
        self.id = id
        self.user = user
        self.address = address
        self.all = all
        self.reason = reason
    }
}

/// One user as `GET /v1/users` answers.
public struct UserStatus: Hashable, Codable, Sendable {
    public var email: String
    public var firstName: String?
    public var lastName: String?
    public var source: String
    public var groups: [String]
    public var tags: [String]
    /// Nil when the setting for everyone holds.
    public var sites: SiteChoice?
    /// The connectors that this means at this moment, by ID.
    public var reaches: [String]
    public var isEnabled: Bool
    public var createdAt: WallTime
    public var lastSignInAt: WallTime?
    /// The user's sessions, by number.
    public var sessions: [Int64]
    /// The directories that have the user, or had them before.
    public var origins: [User.Origin]

    public init(_ user: User, reaches: [String], sessions: [Int64]) {
        email = user.email
        firstName = user.firstName
        lastName = user.lastName
        source = user.source
        groups = user.groups
        tags = user.tags
        sites = user.sites
        self.reaches = reaches
        isEnabled = user.isEnabled
        createdAt = user.createdAt
        lastSignInAt = user.lastSignInAt
        self.sessions = sessions
        origins = user.origins
    }
}

/// A user to add.
public struct UserOrder: Hashable, Codable, Sendable {
    public var email: String
    public var firstName: String?
    public var lastName: String?
    public var groups: [String]?
    public var tags: [String]?
    public var sites: SiteChoice?

    public init(
        email: String, firstName: String? = nil, lastName: String? = nil, groups: [String]? = nil,
        tags: [String]? = nil, sites: SiteChoice? = nil
    ) {
        self.email = email
        self.firstName = firstName
        self.lastName = lastName
        self.groups = groups
        self.tags = tags
        self.sites = sites
    }
}

/// What to change about a user. Nil leaves a thing as it is.
public struct UserChange: Hashable, Codable, Sendable {
    public var isEnabled: Bool?
    public var firstName: String?
    public var lastName: String?
    public var groups: [String]?
    public var tags: [String]?
    public var sites: SiteChoice?
    /// Goes back to the sites of the setting for everyone.
    public var usesDefaultSites: Bool?

    public init() {}
}
