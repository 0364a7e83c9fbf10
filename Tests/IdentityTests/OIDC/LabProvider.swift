import Base
import Cryptography
import HTTP
import JSONText

@testable import Identity

/// A provider with a key of its own, that signs whatever a test wants signed.
struct LabProvider {
    let key: RSAPrivateKey
    let certificate: PinnedCertificate
    let configuration: OpenIDConfiguration

    static let now = WallTime(nanoseconds: 1_795_476_000 * 1_000_000_000)
    static let seconds: Int64 = 1_795_476_000
    static let issuer = "https://op.lab.example"

    /// One for all: making a key takes longer than any test with it.
    private static let sharedKey = Result { try RSAPrivateKey.generate() }

    init() throws {
        key = try Self.sharedKey.get()
        certificate = try key.selfSigned(for: ["op"], serial: [1, 2, 3, 4, 5, 6, 7, 8], from: Self.now, days: 10)
        configuration = try OpenIDConfiguration(Array(Self.discovery().utf8), issuer: Self.issuer)
    }

    static func discovery(_ changes: [String: String?] = [:]) -> String {
        var members: [String: String?] = [
            "issuer": "\"\(issuer)\"", "authorization_endpoint": "\"\(issuer)/authorize?x=1\"",
            "token_endpoint": "\"\(issuer)/token\"", "jwks_uri": "\"https://keys.lab.example/jwks\"",
            "userinfo_endpoint": "\"\(issuer)/me\"", "end_session_endpoint": "\"\(issuer)/end\"",
        ]
        for (name, value) in changes { members[name] = value }
        let lines = members.compactMap { name, value in value.map { "\"\(name)\": \($0)" } }
        return "{" + lines.joined(separator: ", ") + "}"
    }

    /// How Gatehouse is configured for it.
    var provider: OpenIDProvider {
        var provider = OpenIDProvider(id: "lab", kind: .oidc, issuer: Self.issuer, clientID: "gate house")
        provider.secret = Secret(Array("s3cret+/ü".utf8))
        return provider
    }

    var keySet: String {
        var provider = provider
        provider.certificate = certificate
        provider.keyID = "k"
        return provider.publicKeySet?.text() ?? ""
    }

    func token(
        _ claims: [String: JSON], header: [String: JSON] = [:], signedBy other: RSAPrivateKey? = nil
    ) throws -> String {
        var head: [String: JSON] = ["alg": .string("RS256"), "kid": .string("k")]
        head.merge(header) { $1 }
        let parts = [head, claims].map { members in
            let object = JSON.object(members.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) })
            return Base64URL.encode(Array(object.text().utf8))
        }
        let signed = parts.joined(separator: ".")
        return signed + "." + Base64URL.encode(try (other ?? key).signPKCS1(Array(signed.utf8), hash: .sha256))
    }

    static func time(_ offset: Int64 = 0) -> JSON { .number(String(seconds + offset)) }
}
