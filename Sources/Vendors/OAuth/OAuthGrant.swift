public import Base
public import Cryptography
public import HTTP
import Identity
import JSONText

/// How a program of ours proves to a token endpoint who it is, and what it wants: the client credentials grant (RFC 6749
/// §4.4) with a secret or a signed proof, or the JWT bearer grant (RFC 7523 §2.1) of Google's service accounts.
///
/// Equal grants share one token; a changed one gets a new token.
public struct OAuthGrant: Hashable, Sendable {
    public enum Proof: Hashable, Sendable {
        /// `client_secret` in the form (RFC 6749 §2.3.1).
        case secret(Secret)
        /// `private_key_jwt` (RFC 7523 §2.2).
        case privateKey(SigningKey)
        /// The grant itself is signed: a service account, which may act as a user of its domain.
        ///
        /// - subject: the user's e-mail address; nil for the account itself.
        case bearer(SigningKey, subject: String?)
    }

    /// An RSA key of ours, in PEM or PKCS #8, with what the other side finds its public half by.
    public struct SigningKey: Hashable, Sendable {
        public var key: Secret
        /// `kid` in the header.
        public var id: String?
        /// SHA-1 over the certificate in base64url: `x5t` in the header, by which Entra finds it.
        public var thumbprint: String?

        public init(_ key: Secret, id: String? = nil, thumbprint: String? = nil) {
            self.key = key
            self.id = id
            self.thumbprint = thumbprint
        }
    }

    /// The connection's name, for errors and logs.
    public var connection: String
    public var endpoint: WebURL
    /// The client ID, or the service account's e-mail address.
    public var clientID: String
    public var proof: Proof
    public var scopes: [String]
    public var addresses: AddressPolicy

    /// Random bytes that one request needs, for the proof's `jti`.
    public static let entropyLength = 16
    /// How long a signed proof holds. Google's may hold an hour; less serves as well.
    private static let assertionSeconds: Int64 = 300
    /// By how much our clock may be ahead.
    private static let leewaySeconds: Int64 = 30

    public init(
        connection: String, endpoint: WebURL, clientID: String, proof: Proof, scopes: [String],
        addresses: AddressPolicy = .publicOnly
    ) {
        self.connection = connection
        self.endpoint = endpoint
        self.clientID = clientID
        self.proof = proof
        self.scopes = scopes
        self.addresses = addresses
    }

    /// The call that asks for a token.
    ///
    /// - Parameters:
    ///   - entropy: ``entropyLength`` random bytes.
    ///   - now: the time of day.
    ///   - retries: how long it may be tried.
    /// - Throws: ``OAuthRefusal`` where our key cannot sign.
    public func request(
        entropy: [UInt8], now: WallTime, retries: RetryPolicy = .background
    ) throws(OAuthRefusal) -> HTTPRequest {
        var request = HTTPRequest(.post, endpoint, purpose: "the access token of '\(connection)'", retries: retries)
        request.limits.bodyBytes = 64 * 1024
        request.addresses = addresses
        request.headers = [
            ("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"),
        ]
        var form: [(String, String)]
        let scope = scopes.joined(separator: " ")
        switch proof {
        case .secret(let secret):
            form = [
                ("grant_type", "client_credentials"), ("client_id", clientID),
                ("client_secret", String(decoding: secret.exposedBytes, as: UTF8.self)),
            ]
        case .privateKey(let key):
            form = [
                ("grant_type", "client_credentials"), ("client_id", clientID),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", try assertion(key, subject: clientID, entropy: entropy, now: now)),
            ]
        case .bearer(let key, let subject):
            form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", try assertion(key, subject: subject, scope: scope, entropy: entropy, now: now)),
            ]
        }
        // In the bearer grant the scope stands in the signed claims.
        if case .bearer = proof {} else if !scope.isEmpty { form.append(("scope", scope)) }
        request.body = Secret(Array(FormEncoding.encode(form).utf8))
        return request
    }

    private func assertion(
        _ signer: SigningKey, subject: String?, scope: String? = nil, entropy: [UInt8], now: WallTime
    ) throws(OAuthRefusal) -> String {
        var header: [JSON.Member] = []
        if let id = signer.id { header.append(.init("kid", .string(id))) }
        if let thumbprint = signer.thumbprint { header.append(.init("x5t", .string(thumbprint))) }
        let issued = now.nanoseconds / 1_000_000_000 - Self.leewaySeconds
        var claims: [JSON.Member] = [
            .init("iss", .string(clientID)), .init("aud", .string(endpoint.description)),
            .init("jti", .string(Base64URL.encode(entropy))), .init("iat", .number(String(issued))),
            .init("exp", .number(String(issued + Self.assertionSeconds))),
        ]
        if let subject { claims.append(.init("sub", .string(subject))) }
        if let scope { claims.append(.init("scope", .string(scope))) }
        guard let key = try? RSAPrivateKey(signer.key),
            let text = try? SignedAssertion.text(header: header, claims: claims, key: key)
        else {
            throw OAuthRefusal(
                connection: connection, host: endpoint.authority, reason: .key,
                detail: "our private key cannot be used: is it an RSA key in PEM, without a passphrase?")
        }
        return text
    }
}
