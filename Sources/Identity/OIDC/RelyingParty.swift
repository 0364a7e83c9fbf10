public import Base

/// What one OpenID provider's configuration says of the ID tokens that are accepted (OpenID Connect Core 1.0 §3.1.3.7).
public struct RelyingParty: Hashable, Sendable {
    /// Providers whose tokens have rules of their own.
    public enum Provider: Hashable, Sendable {
        case generic
        case okta
        /// Microsoft Entra ID, v2.0. The tenants (GUIDs in lower case) count where the issuer is the `{tenantid}`
        /// template; none means that nobody is let in by it.
        case entra(tenants: Set<String>)
        /// Google Workspace. Nil accepts any hosted domain, which only makes sense for looking at a token.
        case google(hostedDomains: Set<String>?)

        /// The provider that an issuer's address belongs to, for want of anything said.
        public static func of(issuer: String) -> Provider {
            if issuer == googleIssuer { return .google(hostedDomains: nil) }
            guard let host = issuer.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first else {
                return .generic
            }
            if host == "login.microsoftonline.com" { return .entra(tenants: []) }
            for suffix in [".okta.com", ".oktapreview.com", ".okta-emea.com"] where host.hasSuffix(suffix) {
                return .okta
            }
            return .generic
        }
    }

    static let googleIssuer = "https://accounts.google.com"
    /// What stands for the tenant in the issuer that Entra's common endpoints publish.
    static let tenantTemplate = "{tenantid}"

    /// Our name for the configuration; it goes into ``VerifiedSubject/provider``.
    public var name: String
    public var provider: Provider
    /// The issuer, as the discovery document writes it: compared byte by byte.
    public var issuer: String
    public var clientID: String
    /// How far the provider's clock may be from ours.
    public var clockSkew: Tick.Span = .seconds(60)

    public init(name: String, provider: Provider, issuer: String, clientID: String) {
        self.name = name
        self.provider = provider
        self.issuer = issuer
        self.clientID = clientID
    }

    /// Whether the issuer stands for many tenants.
    var isTemplate: Bool { issuer.contains(Self.tenantTemplate) }

    /// The tenant whose own issuer this is, where ours stands for many; nil for another's.
    func tenant(of issuer: String) -> String? {
        let parts = self.issuer.split(separator: Self.tenantTemplate, omittingEmptySubsequences: false)
        guard parts.count == 2, issuer.hasPrefix(parts[0]), issuer.hasSuffix(parts[1]) else { return nil }
        let tenant = String(issuer.dropFirst(parts[0].count).dropLast(parts[1].count))
        return Self.isTenant(tenant) ? tenant : nil
    }
}
