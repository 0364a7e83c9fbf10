public import Base

/// Someone who may sign in.
public struct User: Hashable, Codable, Sendable {
    /// The e-mail address in lower case: what makes the user the same one over all identity providers.
    public var email: String
    public var firstName: String?
    public var lastName: String?
    /// Where the user came from: the name of an identity provider or directory, or `local`.
    public var source: String
    /// Teams, as the last sign-in or the directory said.
    public var groups: [String]
    /// Words that the administrator gave.
    public var tags: [String]
    /// Nil means what the setting for everyone says.
    public var sites: SiteChoice?
    public var isEnabled: Bool
    public var createdAt: WallTime
    public var lastSignInAt: WallTime?
    /// The directories that have them, or had them before.
    public var origins: [Origin] = []

    public init(
        email: String, firstName: String? = nil, lastName: String? = nil, source: String, groups: [String] = [],
        tags: [String] = [], sites: SiteChoice? = nil, isEnabled: Bool = true, createdAt: WallTime,
        lastSignInAt: WallTime? = nil
    ) {
        self.email = Self.key(email)
        self.firstName = firstName
        self.lastName = lastName
        self.source = source
        self.groups = groups
        self.tags = tags
        self.sites = sites
        self.isEnabled = isEnabled
        self.createdAt = createdAt
        self.lastSignInAt = lastSignInAt
    }

    /// The form of an address by which users are told apart.
    public static func key(_ email: String) -> String { email.lowercased() }

    /// Whether a text can be the address of a user: something on both sides of one `@`, nothing that does not print.
    public static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && text.utf8.count <= 254
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && !$0.properties.isWhitespace }
            && !text.unicodeScalars.contains { $0.properties.generalCategory == .control || $0.properties.generalCategory == .format }
    }
}
