public import Base
public import Cryptography
public import HTTP
public import JSONText

/// The request that turns a code into tokens (OpenID Connect Core 1.0 §3.1.3.1).
public enum TokenRequest {
    /// Random bytes that one request needs.
    public static let entropyLength = 16
    /// How long our signed proof holds, and by how much our clock may be ahead.
    private static let assertionSeconds = 300
    private static let leewaySeconds = 30

    /// - Parameters:
    ///   - entropy: ``entropyLength`` random bytes, for the proof's `jti`.
    ///   - now: the time of day.
    /// - Throws: ``OpenIDRefusal`` where the configuration lacks the secret or key that it needs.
    public static func make(
        for answer: AuthorizationAnswer, _ provider: OpenIDProvider, entropy: [UInt8], now: WallTime
    ) throws(OpenIDRefusal) -> HTTPRequest {
        let endpoint = answer.login.configuration.tokenEndpoint
        // A code is good for one request: this is never repeated.
        var request = HTTPRequest(.post, endpoint, purpose: "the sign-in with '\(provider.id)'", retries: .none)
        request.limits = .signIn
        request.addresses = provider.addresses(for: endpoint)
        request.headers = [
            ("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"),
        ]
        var form = [
            ("grant_type", "authorization_code"), ("code", text(answer.code)),
            ("redirect_uri", answer.login.redirectURI), ("code_verifier", text(answer.login.verifier)),
        ]
        func secret() throws(OpenIDRefusal) -> String {
            guard let secret = provider.secret else {
                throw OpenIDRefusal(.configuration, "The client secret of '\(provider.id)' is missing.")
            }
            return text(secret)
        }
        switch provider.authentication {
        case .basic:
            // RFC 6749 §2.3.1: each part is form-encoded first.
            let login = FormEncoding.escape(provider.clientID) + ":" + FormEncoding.escape(try secret())
            request.authorization = Secret(Array(("Basic " + Array(login.utf8).base64).utf8))
        case .post:
            form += [("client_id", provider.clientID), ("client_secret", try secret())]
        case .privateKey:
            form += [
                ("client_id", provider.clientID),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", try assertion(provider, endpoint, entropy: entropy, now: now)),
            ]
        }
        request.body = Secret(Array(FormEncoding.encode(form).utf8))
        return request
    }

    /// The proof that we hold the key (RFC 7523 §2.2 and §3).
    static func assertion(
        _ provider: OpenIDProvider, _ endpoint: WebURL, entropy: [UInt8], now: WallTime
    ) throws(OpenIDRefusal) -> String {
        guard let key = provider.key.flatMap({ try? RSAPrivateKey($0) }), let certificate = provider.certificate else {
            throw OpenIDRefusal(.configuration, "The key of ours for '\(provider.id)' is missing or cannot be used.")
        }
        // Entra finds the certificate by its fingerprint, others the key by its name.
        let header: [JSON.Member] = [
            .init("kid", .string(provider.keyID ?? certificate.thumbprint)),
            .init("x5t", .string(Base64URL.encode(Hash.digest(.sha1, [certificate.der])))),
        ]
        let issued = now.nanoseconds / 1_000_000_000 - Int64(leewaySeconds)
        let claims: [JSON.Member] = [
            .init("iss", .string(provider.clientID)), .init("sub", .string(provider.clientID)),
            .init("aud", .string(endpoint.description)), .init("jti", .string(Base64URL.encode(entropy))),
            .init("iat", .number(String(issued))), .init("nbf", .number(String(issued))),
            .init("exp", .number(String(issued + Int64(assertionSeconds)))),
        ]
        guard let text = try? SignedAssertion.text(header: header, claims: claims, key: key) else {
            throw OpenIDRefusal(.configuration, "The key of ours for '\(provider.id)' does not sign.")
        }
        return text
    }

    private static func text(_ secret: Secret) -> String { String(decoding: secret.exposedBytes, as: UTF8.self) }
}

/// What the token endpoint answered (OpenID Connect Core 1.0 §3.1.3.3).
public struct TokenResponse: Sendable {
    /// Unjudged.
    public var idToken: String
    public var accessToken: Secret?

    public init(_ response: HTTPResponse) throws(OpenIDRefusal) {
        let tree = Self.tree(response)
        guard response.status == 200 else {
            guard let error = Self.error(in: response) else {
                throw OpenIDRefusal(
                    .token, "The provider's token endpoint answered with status \(response.status) and no reason.")
            }
            throw OpenIDRefusal(
                .token, "The provider's token endpoint refused (status \(response.status)): \(Self.meaning(error)).")
        }
        guard let tree, tree.isObject else {
            throw OpenIDRefusal(.token, "The provider's token endpoint did not answer with a JSON object.")
        }
        guard let idToken = tree["id_token"]?.string, !idToken.isEmpty else {
            throw OpenIDRefusal(.token, "The provider gave no ID token, though the scope 'openid' was asked for.")
        }
        if let type = tree["token_type"] {
            guard type.string?.lowercased() == "bearer" else {
                throw OpenIDRefusal(.token, "The provider gave tokens of a kind that is not known.")
            }
        }
        self.idToken = idToken
        accessToken = tree["access_token"]?.string.map { Secret(Array($0.utf8)) }
    }

    /// The error code of a refusal (RFC 6749 §5.2); nil for another answer.
    public static func error(in response: HTTPResponse) -> String? {
        guard response.status != 200, let error = tree(response)?["error"]?.string else { return nil }
        // Its characters are those that the standard allows.
        return error.utf8.count <= 100 && error.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? error : nil
    }

    /// Nil for what is no JSON: a proxy in between may turn anything into HTML.
    private static func tree(_ response: HTTPResponse) -> JSONTree? {
        String(validating: response.body, as: UTF8.self).flatMap { try? JSONTree.parse($0) }
    }

    /// What the standard errors mean to an administrator (RFC 6749 §5.2).
    private static func meaning(_ error: String) -> String {
        let meaning =
            switch error {
            case "invalid_client":
                "client ID or secret are wrong, or the secret has expired: make a new one in the provider's console and "
                    + "give it to 'gatehouse idp edit'"
            case "invalid_grant", "invalid_code": "the code was used before, too old, or for another redirect URI"
            case "unauthorized_client": "this client may not use the authorization code flow"
            case "invalid_request": "it does not like our request; is the redirect URI registered?"
            default: ""
            }
        return error.quoted + (meaning.isEmpty ? "" : " (\(meaning))")
    }
}

/// What the provider says of a person when it is asked with the access token (OpenID Connect Core 1.0 §5.3).
public enum UserInfo {
    /// The request; nil where the provider has no such endpoint.
    public static func request(
        _ provider: OpenIDProvider, _ configuration: OpenIDConfiguration, accessToken: Secret
    ) -> HTTPRequest? {
        guard let endpoint = configuration.userInfoEndpoint else { return nil }
        var request = HTTPRequest(.get, endpoint, purpose: "the user info of '\(provider.id)'", retries: .signIn)
        request.limits = .signIn
        request.addresses = provider.addresses(for: endpoint)
        request.headers = [("Accept", "application/json")]
        request.authorization = Secret(Array("Bearer ".utf8) + accessToken.exposedBytes)
        return request
    }

    /// The claims; ``VerifiedIDToken/person(userInfo:)`` checks whose they are.
    public static func read(_ response: HTTPResponse) throws(OpenIDRefusal) -> JSONTree {
        guard response.status == 200 else {
            throw OpenIDRefusal(.userInfo, "The user-info endpoint answered with status \(response.status).")
        }
        // A signed answer (application/jwt) was not asked for.
        guard response.contentType == "application/json",
            let text = String(validating: response.body, as: UTF8.self), let tree = try? JSONTree.parse(text),
            tree.isObject
        else { throw OpenIDRefusal(.userInfo, "The user-info endpoint did not answer with a JSON object.") }
        return tree
    }
}
