internal import Profiles
internal import Yams

/// What one vendor's OpenID provider is like, as data: `Profiles/identity/NAME-oidc.yaml`.
public struct OpenIDProfile: Codable, Hashable, Sendable {
    /// What the vendor's console calls the things that are typed there or here.
    public struct FieldNames: Codable, Hashable, Sendable {
        public var clientID: String
        public var secret: String
        public var redirect: String
        public var afterLogout: String
        public var backChannel: String
    }

    public var title: String
    public var authentication: OpenIDProvider.ClientAuthentication
    public var scopes: [String]
    public var names: FieldNames
    /// What else to do or to know, in sentences.
    public var notes: [String]

    public static func of(_ kind: OpenIDProvider.Kind) -> OpenIDProfile {
        guard let profile = all[kind] else { preconditionFailure("there is no profile for \(kind)") }
        return profile
    }

    private static let all: [OpenIDProvider.Kind: OpenIDProfile] = Profiles.openID.reduce(into: [:]) { all, entry in
        do {
            guard let kind = OpenIDProvider.Kind(rawValue: entry.key) else { return }
            all[kind] = try YAMLDecoder().decode(OpenIDProfile.self, from: entry.value)
        } catch {
            preconditionFailure("a profile that is part of the program cannot be read: \(error)")
        }
    }

    /// A new provider with what the vendor's profile says.
    public static func provider(
        id: String, kind: OpenIDProvider.Kind, issuer: String, clientID: String
    ) -> OpenIDProvider {
        var provider = OpenIDProvider(id: id, kind: kind, issuer: issuer, clientID: clientID)
        let profile = of(kind)
        provider.title = profile.title
        provider.authentication = profile.authentication
        provider.scopes = profile.scopes
        return provider
    }
}

extension OpenIDProvider {
    /// The issuer of an Okta organisation, or of an authorization server in it.
    ///
    /// - Parameter domain: such as `acme.okta.com`, also with `https://` before it.
    public static func oktaIssuer(domain: String, authorizationServer: String?) -> String {
        "https://" + bareHost(domain) + (authorizationServer.map { "/oauth2/" + $0 } ?? "")
    }

    /// The issuer of an Entra tenant, by its GUID or, until the discovery document has said the GUID, by a domain name;
    /// `organizations` stands for every tenant.
    public static func entraIssuer(tenant: String) -> String {
        let tenant = tenant.lowercased()
        let isEvery = ["organizations", "common"].contains(tenant)
        return "https://login.microsoftonline.com/\(isEvery ? RelyingParty.tenantTemplate : tenant)/v2.0"
    }

    public static let googleIssuer = RelyingParty.googleIssuer

    /// Whether a tenant is named as issuers name it.
    public static func isTenantID(_ text: String) -> Bool { RelyingParty.isTenant(text) }

    private static func bareHost(_ text: String) -> String {
        let rest = text.lowercased().firstRange(of: "://").map { text.lowercased()[$0.upperBound...] }
            ?? text.lowercased()[...]
        return String(rest.prefix { $0 != "/" })
    }
}
