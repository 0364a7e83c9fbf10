public import Base
public import Cryptography
public import HTTP

/// A sign-in that was begun at an OpenID provider and is not answered yet: all that the answer is held against.
public struct PendingLogin: Hashable, Sendable {
    /// The identifier of the provider's configuration here. The answer says nothing of it.
    public var provider: String
    /// What the provider published when the sign-in began: an answer is never taken elsewhere.
    public var configuration: OpenIDConfiguration
    public var redirectURI: String
    /// Comes back in the ID token.
    public var nonce: String
    /// The PKCE secret (RFC 7636 §4.1).
    public var verifier: Secret
    /// What the browser's cookie says: only the browser that asked may answer.
    public var browser: String
    public var deadline: Tick
}

/// The request that sends a browser to an OpenID provider (OpenID Connect Core 1.0 §3.1.2.1).
public struct AuthorizationRequest: Hashable, Sendable {
    /// Random bytes that one request needs.
    public static let entropyLength = 96

    /// Where the browser goes.
    public var url: WebURL
    /// Comes back with the answer.
    public var state: String
    public var login: PendingLogin

    /// PKCE and the nonce are always used, whatever the discovery document says of them: it is silent at Entra, and
    /// whoever could strike them from it would want to.
    ///
    /// - Parameters:
    ///   - browser: the secret of the browser's cookie.
    ///   - entropy: ``entropyLength`` random bytes, for the state, the nonce and the PKCE verifier.
    public init(
        to provider: OpenIDProvider, _ configuration: OpenIDConfiguration, redirectURI: String, browser: String,
        entropy: [UInt8], now: Tick
    ) {
        precondition(entropy.count == Self.entropyLength, "an authorization request without its random bytes")
        state = Base64URL.encode(entropy[0..<32])
        let nonce = Base64URL.encode(entropy[32..<64])
        let verifier = Base64URL.encode(entropy[64..<96])
        login = PendingLogin(
            provider: provider.id, configuration: configuration, redirectURI: redirectURI, nonce: nonce,
            verifier: Secret(Array(verifier.utf8)), browser: browser,
            deadline: now + .seconds(PendingLogins.lifetimeSeconds))
        var scopes = ["openid"]
        for scope in provider.scopes where !scopes.contains(scope) { scopes.append(scope) }
        var parameters = [
            ("response_type", "code"), ("client_id", provider.clientID), ("redirect_uri", redirectURI),
            ("scope", scopes.joined(separator: " ")), ("state", state), ("nonce", nonce),
            ("code_challenge", Base64URL.encode(Hash.digest(.sha256, [Array(verifier.utf8)]))),
            ("code_challenge_method", "S256"),
        ]
        // Only a hint for the account chooser: the ID token says which domain it was.
        if provider.kind == .google, provider.hostedDomains.count == 1 {
            parameters.append(("hd", provider.hostedDomains[0]))
        }
        url = configuration.authorizationEndpoint.adding(parameters)
    }
}

/// Sign-ins that were begun and not answered. Each belongs to one browser, is good for one answer, and not for long.
public struct PendingLogins: Sendable {
    /// Seconds that a person has to sign in at the provider.
    public static let lifetimeSeconds = 10 * 60
    /// Sign-ins kept; the oldest go first.
    public static let limit = 20_000

    private var logins = PendingTable<PendingLogin>(limit: limit)

    public init() {}

    public var count: Int { logins.count }

    /// - Parameter address: where the browser is: of one client, too, the oldest go first.
    public mutating func add(_ request: AuthorizationRequest, at address: IPAddress? = nil, now: Tick) {
        logins.add(
            request.login, named: request.state, from: address, until: request.login.deadline,
            now: now)
    }

    /// The sign-in of that state, if this browser began it; there is none of it afterwards. Another browser's is left
    /// alone: nobody can end a stranger's sign-in.
    mutating func take(_ state: String, browser: String?, now: Tick) -> PendingLogin? {
        guard let login = logins[state], let browser, Secret(Array(login.browser.utf8)) == Secret(Array(browser.utf8))
        else { return nil }
        logins.remove(state)
        return login.deadline > now ? login : nil
    }
}
