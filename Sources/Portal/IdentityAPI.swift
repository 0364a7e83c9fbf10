public import Identity
public import Tunnels

/// What the control socket can ask of identity providers. Part of ``GatewayAPI``, whose rules hold.
public protocol IdentityAPI: Sendable {
    /// All identity providers, in the administrator's order, without their keys.
    func identityProviders() async throws -> IdentityProviders

    /// Stores a provider, a new one or in the place of one. One with our certificate and without its key keeps the key
    /// that is stored.
    func saveIdentityProvider(
        _ provider: IdentityProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders

    /// Stores an OpenID provider, a new one or in the place of one. Without its secret or key it keeps what is stored.
    func saveOpenIDProvider(
        _ provider: OpenIDProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders

    /// Asks an OpenID provider what it publishes and whether it knows us. Without its secret or key it is asked with what
    /// is stored.
    func examineOpenIDProvider(_ provider: OpenIDProvider) async throws -> OpenIDExamination

    /// Removes a provider of either kind, and ends the sessions that came by it.
    func removeIdentityProvider(id: String, caller: Caller) async throws
}

/// What an OpenID provider had to say, and how that fits its configuration here.
public struct OpenIDExamination: Codable, Hashable, Sendable {
    /// As its discovery document writes it; nil when there was none to read.
    public var issuer: String?
    public var findings: [Finding]

    public init(issuer: String? = nil, findings: [Finding] = []) {
        self.issuer = issuer
        self.findings = findings
    }

    /// Whether people can sign in, as far as that can be told without one of them.
    public var isGood: Bool { !findings.contains { $0.state == .failed } }
}

/// The identity providers, and what they need to know of us.
public struct IdentityProviders: Codable, Hashable, Sendable {
    /// Those that speak SAML.
    public var providers: [IdentityProvider]
    /// Those that speak OpenID Connect.
    public var openID: [OpenIDProvider]
    /// Where the sign-in pages are; nil when the boot file does not say so.
    public var portal: String?
    public var acsURL: String?
    public var logoutURL: String?
    public var redirectURI: String?
    public var backChannelLogoutURL: String?
    /// What an administrator should know, in sentences.
    public var warnings: [String]

    public init(
        providers: [IdentityProvider], openID: [OpenIDProvider] = [], address: SiteAddress?, warnings: [String]
    ) {
        self.providers = providers
        self.openID = openID
        portal = address?.origin
        acsURL = address?.acsURL
        logoutURL = address?.logoutURL
        redirectURI = address?.redirectURI
        backChannelLogoutURL = address?.backChannelLogoutURL
        self.warnings = warnings
    }
}
