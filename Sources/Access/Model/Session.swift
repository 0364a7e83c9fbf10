public import Base

/// One address that is let through, for whom, how long and why.
public struct Session: Hashable, Codable, Sendable, Identifiable {
    /// Rises with each session and is never given twice.
    public var id: Int64
    /// The user's e-mail address; nil for an address that an administrator admitted without naming anyone.
    public var user: String?
    public var address: IPAddress
    /// Who had the address at the beginning; nil behind a router, and where it is not known yet.
    public var mac: MACAddress?
    /// The device, where it is known.
    public var device: String?
    /// The same by the names of endpoint protection platforms.
    public var endpoints: [EndpointKey]
    /// The identity provider that vouched for the user; nil for one that an administrator admitted.
    public var provider: String?
    /// What this sign-in was allowed, at most; the user's own sites may be fewer.
    public var sites: SiteChoice
    public var startedAt: WallTime
    /// The end, whatever happens.
    public var expiresAt: WallTime
    /// The session ends after so long without a packet; nil means never.
    public var idleSeconds: Int?
    /// Why it was admitted, in a sentence.
    public var reason: String
    /// The provider's name for the user and for its own session, which single log-out needs.
    public var nameID: String?
    public var sessionIndex: String?

    public init(
        id: Int64, user: String?, address: IPAddress, mac: MACAddress? = nil, device: String? = nil,
        endpoints: [EndpointKey] = [], provider: String? = nil, sites: SiteChoice = .all, startedAt: WallTime, expiresAt: WallTime,
        idleSeconds: Int? = nil, reason: String, nameID: String? = nil, sessionIndex: String? = nil
    ) {
        self.id = id
        self.user = user
        self.address = address
        self.mac = mac
        self.device = device
        self.endpoints = endpoints
        self.provider = provider
        self.sites = sites
        self.startedAt = startedAt
        self.expiresAt = expiresAt
        self.idleSeconds = idleSeconds
        self.reason = reason
        self.nameID = nameID
        self.sessionIndex = sessionIndex
    }

    /// Who it is, for a sentence.
    public var who: String { user ?? "\(address)" }
}

/// Why a session ended.
public enum SessionEnd: Hashable, Codable, Sendable {
    case expired
    case idle(seconds: Int)
    case signedOut
    /// By single log-out, begun at the identity provider.
    case signedOutAtProvider
    case revoked(by: String, reason: String?)
    case userDisabled(by: String)
    case userRemoved(by: String)
    case addressChangedHands(to: MACAddress)
    /// The same address signed in again.
    case replaced(by: String)
    /// Nothing is left that the user may reach.
    case nothingAllowed
    /// The sign-in policies say no by now.
    case policy(reason: String)

    /// A word for programs.
    public var code: String {
        switch self {
        case .expired: "expired"
        case .idle: "idle"
        case .signedOut: "signed-out"
        case .signedOutAtProvider: "signed-out-at-provider"
        case .revoked: "revoked"
        case .userDisabled: "user-disabled"
        case .userRemoved: "user-removed"
        case .addressChangedHands: "address-changed-hands"
        case .replaced: "replaced"
        case .nothingAllowed: "nothing-allowed"
        case .policy: "policy"
        }
    }

    /// The reason in words, to stand behind "ended: ".
    public var words: String {
        switch self {
        case .expired: "its time was up"
        case .idle(let seconds): "no packet for \(seconds) seconds"
        case .signedOut: "the user signed out"
        case .signedOutAtProvider: "the user signed out at the identity provider"
        case .revoked(let actor, let reason): "revoked by \(actor)" + (reason.map { ": \($0)" } ?? "")
        case .userDisabled(let actor): "the user was disabled by \(actor)"
        case .userRemoved(let actor): "the user was removed by \(actor)"
        case .addressChangedHands(let mac): "the address has passed to another device (\(mac))"
        case .replaced(let who): "a new sign-in from the same address, of \(who)"
        case .nothingAllowed: "the user may reach no site any more"
        case .policy(let reason): reason
        }
    }
}
