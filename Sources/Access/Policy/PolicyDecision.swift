public import Base

/// All that a decision depends on, beside the policies and the time.
public struct Circumstances: Hashable, Codable, Sendable {
    /// The e-mail address in lower case.
    public var user: String
    public var groups: [String]
    public var tags: [String]
    /// The identity provider's ID.
    public var provider: String?
    public var address: IPAddress
    public var device: DeviceFacts
    public var isNewDevice: Bool

    public init(
        user: String, groups: [String] = [], tags: [String] = [], provider: String? = nil, address: IPAddress,
        device: DeviceFacts = DeviceFacts(), isNewDevice: Bool = false
    ) {
        self.user = user
        self.groups = groups
        self.tags = tags
        self.provider = provider
        self.address = address
        self.device = device
        self.isNewDevice = isNewDevice
    }
}

/// What the policies say of a sign-in, or of a session that goes on.
public struct PolicyDecision: Hashable, Sendable {
    /// What one policy, or the default, said of some sites.
    public struct Ruling: Hashable, Codable, Sendable {
        /// Nil for the default.
        public var policy: String?
        public var action: SignInPolicy.Action
        /// Of the sites that were asked about, those that it decided.
        public var sites: Set<String>

        public init(policy: String?, action: SignInPolicy.Action, sites: Set<String>) {
            self.policy = policy
            self.action = action
            self.sites = sites
        }

        /// The policy for a sentence.
        public var words: String { policy.map { "policy \"\($0)\"" } ?? "the default policy" }
    }

    /// Of the sites that were asked about, those that may be reached.
    public var sites: Set<String> = []
    /// In the order of the policies; those that decided nothing are not among them.
    public var rulings: [Ruling] = []
    /// When it must be made anew if nothing else changes: a window of time ends, a fact grows too old. Nil for never.
    public var until: WallTime?

    public init() {}

    /// What let in, for the reason of a session: `policy "Finance"`.
    public var grounds: String {
        rulings.filter { !$0.action.isDenial && !$0.sites.isDisjoint(with: sites) }.map(\.words)
            .joined(separator: " and ")
    }

    /// The first ruling that kept something back.
    public var denial: Ruling? { rulings.first { !$0.sites.isSubset(of: sites) } }

    public var notifies: Bool { rulings.contains { $0.action == .denyAndNotify } }
}

/// Why the policies keep somebody out, or from some sites.
public struct PolicyRefusal: Hashable, Codable, Sendable {
    /// Nil for the default.
    public var policy: String?
    /// In a sentence without its full stop, for administrators.
    public var reason: String
    /// What the person can do something about, such as `Device Infected is yes`. May be empty.
    public var advice: [String]
    public var notifies: Bool

    public init(policy: String?, reason: String, advice: [String] = [], notifies: Bool = false) {
        self.policy = policy
        self.reason = reason
        self.advice = advice
        self.notifies = notifies
    }
}

/// How a decision came about, policy by policy.
public struct PolicyTrace: Hashable, Codable, Sendable {
    public var steps: [Step] = []
    /// The checks that were asked, by name.
    public var checks: [PostureCheck.Explanation] = []
    /// The places of the steps' policies, while it is made.
    var places: [Int] = []

    public init() {}

    private enum CodingKeys: String, CodingKey { case steps, checks }

    public struct Step: Hashable, Codable, Sendable {
        /// Nil for the default.
        public var policy: String?
        public var isMatch: Bool
        /// What it did, or why it did not match.
        public var words: String
        /// The behaviours that were looked at.
        public var behaviours: [BehaviourState]

        public init(policy: String?, isMatch: Bool, words: String, behaviours: [BehaviourState] = []) {
            self.policy = policy
            self.isMatch = isMatch
            self.words = words
            self.behaviours = behaviours
        }
    }

    public struct BehaviourState: Hashable, Codable, Sendable {
        public var name: String
        public var holds: Bool
        /// When it would hold, in words.
        public var words: String
        /// The checks that it asks.
        public var checks: [String]

        public init(name: String, holds: Bool, words: String, checks: [String] = []) {
            self.name = name
            self.holds = holds
            self.words = words
            self.checks = checks
        }
    }
}
