public import HTTP
import JSONText

/// What an OpenID provider publishes of itself (OpenID Connect Discovery 1.0 §3, RFC 8414 §2), as far as it is used.
public struct OpenIDConfiguration: Hashable, Sendable {
    /// As written.
    public var issuer: String
    public var authorizationEndpoint: WebURL
    public var tokenEndpoint: WebURL
    public var keySetURL: WebURL
    public var userInfoEndpoint: WebURL?
    public var endSessionEndpoint: WebURL?
    /// `client_secret_basic` where nothing is said.
    public var clientAuthentications: [String]
    /// Nil where nothing is said.
    public var scopes: [String]?
    /// Whether every answer names its issuer (RFC 9207 §3).
    public var answersNameIssuer: Bool
    public var hasBackChannelLogout: Bool

    /// Reads the document and holds it against the issuer that was configured: the two must be the same text, or
    /// whoever answers at that address could sign in anyone of another provider.
    public init(_ body: [UInt8], issuer expected: String) throws(OpenIDRefusal) {
        let document = try Self.document(body)
        guard let issuer = document["issuer"]?.string else {
            throw OpenIDRefusal(.discovery, "The discovery document names no issuer.")
        }
        guard issuer == expected else {
            throw OpenIDRefusal(
                .discoveryIssuer, "The discovery document is that of \(issuer.quoted), and configured is "
                    + "\(expected.quoted): the two must be the same, to the last slash.")
        }
        func endpoint(_ name: String) throws(OpenIDRefusal) -> WebURL? {
            guard let member = document[name] else { return nil }
            guard let text = member.string, let url = WebURL(text) else {
                throw OpenIDRefusal(.discovery, "The discovery document's \(name) is no https:// URL.")
            }
            return url
        }
        func needed(_ name: String) throws(OpenIDRefusal) -> WebURL {
            guard let url = try endpoint(name) else {
                throw OpenIDRefusal(.discovery, "The discovery document has no \(name).")
            }
            return url
        }
        self.issuer = issuer
        authorizationEndpoint = try needed("authorization_endpoint")
        tokenEndpoint = try needed("token_endpoint")
        keySetURL = try needed("jwks_uri")
        userInfoEndpoint = try endpoint("userinfo_endpoint")
        endSessionEndpoint = try endpoint("end_session_endpoint")
        clientAuthentications = Self.texts(document["token_endpoint_auth_methods_supported"]) ?? ["client_secret_basic"]
        scopes = Self.texts(document["scopes_supported"])
        answersNameIssuer = document["authorization_response_iss_parameter_supported"]?.bool ?? false
        hasBackChannelLogout = document["backchannel_logout_supported"]?.bool ?? false
        // Of what a provider supports only the code flow matters; Entra and Google never say that they have PKCE.
        if let types = Self.texts(document["response_types_supported"]), !types.contains("code") {
            throw OpenIDRefusal(.discovery, "The provider does not offer the authorization code flow.")
        }
    }

    /// The issuer that a document names, unjudged: for showing it to an administrator who typed a domain name.
    public static func issuer(of body: [UInt8]) throws(OpenIDRefusal) -> String? { try document(body)["issuer"]?.string }

    private static func document(_ body: [UInt8]) throws(OpenIDRefusal) -> JSONTree {
        guard let text = String(validating: body, as: UTF8.self) else {
            throw OpenIDRefusal(.discovery, "The discovery document is not UTF-8.")
        }
        let tree: JSONTree
        do {
            tree = try JSONTree.parse(text)
        } catch {
            throw OpenIDRefusal(.discovery, "The discovery document is not JSON: \(error.description).")
        }
        guard tree.isObject else { throw OpenIDRefusal(.discovery, "The discovery document is no JSON object.") }
        return tree
    }

    private static func texts(_ member: JSONTree?) -> [String]? { member?.array?.compactMap(\.string) }
}
