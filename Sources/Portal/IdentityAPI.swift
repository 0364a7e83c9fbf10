public import Identity

/// What the control socket can ask of identity providers. Part of ``GatewayAPI``, whose rules hold.
public protocol IdentityAPI: Sendable {
    /// All identity providers, in the administrator's order, without their keys.
    func identityProviders() async throws -> IdentityProviders

    /// Stores a provider, a new one or in the place of one. One with our certificate and without its key keeps the key
    /// that is stored.
    func saveIdentityProvider(
        _ provider: IdentityProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders

    func removeIdentityProvider(id: String, caller: Caller) async throws
}

/// The identity providers, and what they need to know of us.
public struct IdentityProviders: Codable, Hashable, Sendable {
    public var providers: [IdentityProvider]
    /// Where the sign-in pages are; nil when the boot file does not say so.
    public var portal: String?
    public var acsURL: String?
    public var logoutURL: String?
    /// What an administrator should know, in sentences.
    public var warnings: [String]

    public init(providers: [IdentityProvider], address: SiteAddress?, warnings: [String]) {
        self.providers = providers
        portal = address?.origin
        acsURL = address?.acsURL
        logoutURL = address?.logoutURL
        self.warnings = warnings
    }
}
