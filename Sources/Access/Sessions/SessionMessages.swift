public import Base
public import Identity

/// One moment on both clocks: engines decide by the first, records carry the second.
public struct Moment: Hashable, Sendable {
    public var tick: Tick
    public var wall: WallTime

    public init(_ tick: Tick, _ wall: WallTime) {
        self.tick = tick
        self.wall = wall
    }
}

/// Someone whom an identity provider vouched for, at an address.
public struct SignIn: Sendable {
    public var subject: VerifiedSubject
    public var address: IPAddress
    /// Whether this identity provider may bring new users by a sign-in that began here; one that began at the
    /// provider always may.
    public var mayCreateUser: Bool
    /// The device, where it is known.
    public var device: String?
    /// The same by the names of endpoint protection platforms.
    public var endpoints: [EndpointKey] = []
    /// What this sign-in may reach at most.
    public var sites: SiteChoice
    /// What the policies allow of that at this moment; nil where they were not asked.
    public var allowed: Set<String>?
    /// What made the decision, beside the identity provider, as a clause for the reason: `policy "Finance"`.
    public var decision: String?
    /// What the person is told when they are refused, and the audit trail has as well.
    public var reference: String?

    public init(
        subject: VerifiedSubject, address: IPAddress, mayCreateUser: Bool = false, device: String? = nil,
        sites: SiteChoice = .all, decision: String? = nil, reference: String? = nil
    ) {
        self.subject = subject
        self.address = address
        self.mayCreateUser = mayCreateUser
        self.device = device
        self.sites = sites
        self.decision = decision
        self.reference = reference
    }
}

/// An address that an administrator admits by hand.
public struct ManualAdmission: Hashable, Codable, Sendable {
    public var address: IPAddress
    /// Nil admits the address without saying who is there.
    public var user: String?
    public var sites: SiteChoice
    /// Nil takes the setting.
    public var seconds: Int?
    public var note: String?

    public init(
        address: IPAddress, user: String? = nil, sites: SiteChoice = .all, seconds: Int? = nil, note: String? = nil
    ) {
        self.address = address
        self.user = user
        self.sites = sites
        self.seconds = seconds
        self.note = note
    }
}

/// Which sessions are meant.
public enum SessionSelector: Hashable, Sendable {
    case id(Int64)
    case address(IPAddress)
    case user(String)
    /// The sessions of one sign-in at a provider; a nil index means all of that name, a nil name whoever has the index.
    case provider(String, nameID: String?, sessionIndex: String?)
    case all
}

/// What can happen to sessions.
public enum SessionInput: Sendable {
    case signIn(SignIn)
    case admit(ManualAdmission, by: String)
    case end(SessionSelector, SessionEnd)
    /// A user was added or changed.
    case user(User)
    case userRemoved(String, by: String)
    /// A user was disabled: beside ``user(_:)``, since it says by whom.
    case userDisabled(User, by: String)
    case settings(AccessSettings)
    /// The connectors that exist, by ID.
    case sites(Set<String>)
    /// The kernel has seen an address at a network card.
    case neighbour(IPAddress, MACAddress)
    /// The kernel has forgotten where an address is. Who is in there stays: that nothing is known is no change of hands.
    case neighbourGone(IPAddress)
    /// All that the kernel knows, in place of what it had told, some of which was lost.
    case neighbours([IPAddress: MACAddress])
    /// Packets that each address has sent so far.
    case traffic([IPAddress: UInt64])
    /// What the policies allow the session of an address from now on.
    case allowed(IPAddress, Set<String>)
}

/// What must be done, in this order.
public enum SessionEffect: Hashable, Sendable {
    /// Store the user, who is new.
    case addUser(User, why: String)
    /// Store what a sign-in said of the user.
    case updateUser(User)
    /// Store the session and let its address reach the sites until the kernel should drop it by itself.
    case open(Session, sites: Set<String>, until: Tick)
    /// Let the address reach these sites, and no others from now on.
    case reach(Session, sites: Set<String>, until: Tick, cuts: Bool)
    /// Store what was learnt about the session.
    case learn(Session)
    /// Store the end, and let the address reach nothing.
    ///
    /// - Parameter cuts: connections under way are cut; not so where the same user goes on.
    case close(Session, SessionEnd, cuts: Bool)
    /// Read the counters of the gate, and answer with ``SessionInput/traffic(_:)``.
    case readTraffic
}

/// Why somebody is not admitted.
public enum AdmissionRefusal: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    /// The identity provider gave no e-mail address.
    case noEmail(nameID: String)
    /// The first sign-in of a user must begin at the identity provider.
    case unknownUser(String, provider: String)
    case userDisabled(String)
    /// Nothing that exists is allowed to the user.
    case nothingAllowed(String)
    /// The identity provider's own session is over already.
    case providerSessionOver(String)
    /// The address is none that could be somebody's on a local network.
    case unusableAddress(IPAddress)
    /// The user named by an administrator does not exist.
    case noSuchUser(String)
    /// The sign-in policies say no.
    case policy(String, PolicyRefusal)

    /// A word for programs.
    public var code: String {
        switch self {
        case .noEmail: "no-email"
        case .unknownUser: "unknown-user"
        case .userDisabled: "user-disabled"
        case .nothingAllowed: "nothing-allowed"
        case .providerSessionOver: "provider-session-over"
        case .unusableAddress: "unusable-address"
        case .noSuchUser: "no-such-user"
        case .policy: "policy"
        }
    }

    public var description: String {
        switch self {
        case .noEmail(let nameID):
            "The identity provider gave no e-mail address for '\(nameID)'. Have it send one, as the NameID or as an "
                + "attribute."
        case .unknownUser(let email, let provider):
            "\(email) is not known here yet. The first sign-in must begin at the identity provider (\(provider)): open "
                + "its list of applications and choose Gatehouse there."
        case .userDisabled(let email): "\(email) is disabled. An administrator can enable the account again."
        case .nothingAllowed(let who): "\(who) may reach none of the networks that there are."
        case .providerSessionOver(let email):
            "The session of \(email) at the identity provider is over already. Sign in there again."
        case .unusableAddress(let address): "\(address) is no address of a device on a local network."
        case .noSuchUser(let email): "There is no user '\(email)'. `gatehouse user list` shows those that exist."
        case .policy(let email, let refusal): "\(email) may not come in: \(refusal.reason)."
        }
    }

    /// The user that it concerns, where one is known.
    public var user: String? {
        switch self {
        case .unknownUser(let user, _), .userDisabled(let user), .nothingAllowed(let user),
            .providerSessionOver(let user), .noSuchUser(let user), .policy(let user, _):
            user
        case .noEmail(let nameID): nameID
        case .unusableAddress: nil
        }
    }
}
