/// Who may reach what, when some behaviours hold.
public struct SignInPolicy: Hashable, Codable, Sendable {
    public var name: String
    public var isEnabled: Bool
    public var audience: Audience
    /// The sites that it decides about.
    public var sites: SiteChoice
    /// All of them must hold.
    public var behaviours: [String]
    public var action: Action

    public init(
        name: String, isEnabled: Bool = true, audience: Audience = Audience(), sites: SiteChoice = .all,
        behaviours: [String] = [], action: Action
    ) {
        self.name = name
        self.isEnabled = isEnabled
        self.audience = audience
        self.sites = sites
        self.behaviours = behaviours
        self.action = action
    }

    /// Whom a policy is for. One who is in any of users, groups and tags, and comes by one of the providers; a list
    /// that is empty asks for nothing, and all empty mean everyone.
    public struct Audience: Hashable, Codable, Sendable {
        /// E-mail addresses in lower case.
        public var users: [String]
        /// Teams.
        public var groups: [String]
        public var tags: [String]
        /// Identity providers.
        public var providers: [String]

        public init(users: [String] = [], groups: [String] = [], tags: [String] = [], providers: [String] = []) {
            self.users = users.map(User.key)
            self.groups = groups
            self.tags = tags
            self.providers = providers
        }

        public var isEveryone: Bool { users.isEmpty && groups.isEmpty && tags.isEmpty }

        public var words: String {
            var parts = users + groups.map { "group \($0)" } + tags.map { "tag \($0)" }
            if parts.isEmpty { parts = ["everyone"] }
            return parts.joined(separator: ", ")
                + (providers.isEmpty ? "" : " with \(providers.joined(separator: ", "))")
        }
    }

    public enum Action: Hashable, Codable, Sendable {
        case allow
        /// Of the policy's sites only these.
        case allowOnly(sites: SiteChoice)
        case deny
        /// Beside that, an event of its own.
        case denyAndNotify

        public var isDenial: Bool { self == .deny || self == .denyAndNotify }

        public var words: String {
            switch self {
            case .allow: "allow"
            case .allowOnly(let sites): "allow only \(sites)"
            case .deny: "deny"
            case .denyAndNotify: "deny and notify"
            }
        }
    }
}
