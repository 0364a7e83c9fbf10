public import Access
public import Base

/// What the control socket can ask of posture checks, behaviours and sign-in policies. Part of ``GatewayAPI``, whose
/// rules hold.
public protocol PolicyAPI: Sendable {
    func policies() async throws -> PolicyBook

    /// Makes some edits, all or none. Sessions follow at once.
    ///
    /// - Parameter isDryRun: answers with what would be, and changes nothing.
    func editPolicies(_ order: PolicyOrder, isDryRun: Bool, caller: Caller) async throws -> PolicyBook

    /// What would become of a sign-in at this moment, or at another time with what is known now.
    func testPolicies(_ question: PolicyQuestion) async throws -> PolicyAnswer

    /// Asks an edited set about the sign-ins of the last days.
    func simulatePolicies(_ order: SimulationOrder) async throws -> PolicySimulation

    /// Which device is at an address, and what is known of it.
    func explainPosture(address: IPAddress) async throws -> PostureReport
}

/// The policies as they are.
public struct PolicyBook: Hashable, Codable, Sendable {
    public var set: PolicySet
    /// Changes whenever they do.
    public var version: String
    /// What an administrator should know, in sentences.
    public var warnings: [String]
    /// What the edits did or would do, one line each.
    public var changes: [String]

    public init(set: PolicySet, version: String, warnings: [String] = [], changes: [String] = []) {
        self.set = set
        self.version = version
        self.warnings = warnings
        self.changes = changes
    }
}

/// Edits, made in their order.
public struct PolicyOrder: Hashable, Codable, Sendable {
    public var edits: [PolicyEdit]
    /// Refused with 409 unless the policies are of this version; nil takes any.
    public var against: String?

    public init(edits: [PolicyEdit], against: String? = nil) {
        self.edits = edits
        self.against = against
    }
}

/// A sign-in to think through.
public struct PolicyQuestion: Hashable, Codable, Sendable {
    /// The e-mail address.
    public var user: String
    public var address: IPAddress
    /// The identity provider's ID; nil for none in particular: then what is for one provider only does not match.
    public var provider: String?
    /// Teams, for a user who is not known here yet; nil takes those of the user.
    public var groups: [String]?
    /// Another time of the day and week; what is known of the device is as it is now.
    public var at: WallTime?

    public init(
        user: String, address: IPAddress, provider: String? = nil, groups: [String]? = nil, at: WallTime? = nil
    ) {
        self.user = user
        self.address = address
        self.provider = provider
        self.groups = groups
        self.at = at
    }
}

/// What would become of a sign-in, and why.
public struct PolicyAnswer: Hashable, Codable, Sendable {
    /// False: such a sign-in would be refused.
    public var isAllowed: Bool
    /// The connectors that would be reached, and those that would not of those the user may reach otherwise; by ID.
    public var sites: [String]
    public var denied: [String]
    /// In a sentence.
    public var reason: String
    /// What the person would be told beside that they are refused.
    public var advice: [String]
    /// When that would be decided anew if nothing else changes.
    public var until: WallTime?
    public var notifies: Bool
    public var trace: PolicyTrace
    public var device: PostureReport

    public init(
        isAllowed: Bool, sites: [String], denied: [String], reason: String, advice: [String], until: WallTime?,
        notifies: Bool, trace: PolicyTrace, device: PostureReport
    ) {
        self.isAllowed = isAllowed
        self.sites = sites
        self.denied = denied
        self.reason = reason
        self.advice = advice
        self.until = until
        self.notifies = notifies
        self.trace = trace
        self.device = device
    }
}

/// A set of policies to try on the sign-ins of the last days.
public struct SimulationOrder: Hashable, Codable, Sendable {
    public var set: PolicySet
    /// From 1 to 90.
    public var days: Int

    public init(set: PolicySet, days: Int) {
        self.set = set
        self.days = days
    }
}

/// What another set of policies would have made of the sign-ins that there were, with what was known then.
public struct PolicySimulation: Hashable, Codable, Sendable {
    public struct Case: Hashable, Codable, Sendable {
        public var time: WallTime
        public var user: String
        public var address: IPAddress
        public var device: String?
        /// Connectors by ID, with the policies as they are and with the edited ones.
        public var before: [String]
        public var after: [String]
        /// Why not all is allowed with the edited ones.
        public var refusal: String?

        public init(
            time: WallTime, user: String, address: IPAddress, device: String?, before: [String], after: [String],
            refusal: String?
        ) {
            self.time = time
            self.user = user
            self.address = address
            self.device = device
            self.before = before
            self.after = after
            self.refusal = refusal
        }
    }

    /// What differs between the policies as they are and the edited ones, one line each.
    public var changes: [String]
    /// How many sign-ins were asked about, and how many of those that were kept could not be read.
    public var signIns: Int
    public var unreadable: Int
    /// Those that would come to something else, oldest first; at most ``caseLimit``.
    public var cases: [Case]
    /// All users for whom something would be otherwise, and for how many sign-ins.
    public var users: [String: Int]
    /// How many would be refused that are not, and the other way about.
    public var refused: Int
    public var admitted: Int

    public static let caseLimit = 200

    public init(
        changes: [String], signIns: Int, unreadable: Int, cases: [Case], users: [String: Int], refused: Int,
        admitted: Int
    ) {
        self.changes = changes
        self.signIns = signIns
        self.unreadable = unreadable
        self.cases = cases
        self.users = users
        self.refused = refused
        self.admitted = admitted
    }
}

/// Which device is at an address, and what each source says of it.
public struct PostureReport: Hashable, Codable, Sendable {
    public var address: IPAddress
    public var mac: MACAddress?
    /// How the card is known, or why it is not, in words.
    public var macWords: String
    /// As the device gave it to the DHCP server.
    public var leaseHostName: String?
    /// Who is signed in at the address.
    public var user: String?
    /// What people call the device; nil when none was found.
    public var device: String?
    public var system: OperatingSystem.Family?
    public var sources: [Source]
    public var checks: [PostureCheck.Explanation]

    public struct Source: Hashable, Codable, Sendable {
        public var name: String
        public var vendor: String
        /// When its inventory was last complete.
        public var completedAt: WallTime?
        public var problem: String?
        /// The vendor's ID of the device; nil when none was found.
        public var endpoint: String?
        public var hostName: String?
        public var match: MatchLevel?
        /// One line each: how the device was looked for.
        public var steps: [String]
        public var attributes: [Attribute]

        public init(
            name: String, vendor: String, completedAt: WallTime?, problem: String?, endpoint: String?,
            hostName: String?, match: MatchLevel?, steps: [String], attributes: [Attribute]
        ) {
            self.name = name
            self.vendor = vendor
            self.completedAt = completedAt
            self.problem = problem
            self.endpoint = endpoint
            self.hostName = hostName
            self.match = match
            self.steps = steps
            self.attributes = attributes
        }
    }

    public struct Attribute: Hashable, Codable, Sendable {
        public var attribute: PostureAttribute
        public var outcome: PostureOutcome
        /// The source's own word, and a remark.
        public var raw: String?
        public var note: String?
        /// Seconds since it was observed.
        public var age: Int?

        public init(
            attribute: PostureAttribute, outcome: PostureOutcome, raw: String?, note: String?, age: Int?
        ) {
            self.attribute = attribute
            self.outcome = outcome
            self.raw = raw
            self.note = note
            self.age = age
        }
    }

    public init(
        address: IPAddress, mac: MACAddress?, macWords: String, leaseHostName: String?, user: String?,
        device: String?, system: OperatingSystem.Family?, sources: [Source], checks: [PostureCheck.Explanation]
    ) {
        self.address = address
        self.mac = mac
        self.macWords = macWords
        self.leaseHostName = leaseHostName
        self.user = user
        self.device = device
        self.system = system
        self.sources = sources
        self.checks = checks
    }
}
