public import Base

/// Who signed in, as an identity provider vouched for it and a verifier of this room has proved it.
///
/// There is no public initialiser: a value of this type is the proof. What admits somebody asks for it.
public struct VerifiedSubject: Hashable, Sendable {
    /// The identifier of the provider's configuration here, not its entity ID.
    public var provider: String
    /// The provider's name for the person (SAML NameID, OIDC `sub`), as sent.
    public var nameID: String
    /// The NameID's `Format` URI; nil where none was sent, and outside SAML.
    public var nameIDFormat: String?
    /// The e-mail address, as sent; compare it without regard to case.
    public var email: String?
    public var firstName: String?
    public var lastName: String?
    /// Groups, in the order in which they were sent, without repetitions.
    public var groups: [String]
    /// All attributes (claims) by the name under which they were sent.
    public var attributes: [String: [String]]
    /// The provider's own session (SAML `SessionIndex`), which single log-out names.
    public var sessionIndex: String?
    /// When the provider's own session ends: a session here ends no later.
    public var sessionNotOnOrAfter: WallTime?
    /// When the person proved who they are to the provider (SAML `AuthnInstant`, OIDC `auth_time`).
    public var authenticatedAt: WallTime?
    /// Whether the sign-in was begun at the provider, unasked by us.
    public var isIdPInitiated: Bool

    init(
        provider: String, nameID: String, nameIDFormat: String? = nil, email: String? = nil, firstName: String? = nil,
        lastName: String? = nil, groups: [String] = [], attributes: [String: [String]] = [:],
        sessionIndex: String? = nil, sessionNotOnOrAfter: WallTime? = nil, authenticatedAt: WallTime? = nil,
        isIdPInitiated: Bool
    ) {
        self.provider = provider
        self.nameID = nameID
        self.nameIDFormat = nameIDFormat
        self.email = email
        self.firstName = firstName
        self.lastName = lastName
        self.groups = groups
        self.attributes = attributes
        self.sessionIndex = sessionIndex
        self.sessionNotOnOrAfter = sessionNotOnOrAfter
        self.authenticatedAt = authenticatedAt
        self.isIdPInitiated = isIdPInitiated
    }
}
