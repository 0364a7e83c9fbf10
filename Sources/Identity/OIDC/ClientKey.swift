import Base
import Cryptography
public import JSONText

extension OpenIDProvider {
    /// The public half of our key for `private_key_jwt` as a key set (RFC 7517 §5), for consoles that want one (Okta);
    /// Entra takes the certificate. Nil without a key.
    public var publicKeySet: JSON? {
        guard let certificate, let parts = certificate.publicKey.components else { return nil }
        return .object([
            .init("keys", .array([
                .object([
                    .init("kty", .string("RSA")), .init("use", .string("sig")), .init("alg", .string("RS256")),
                    .init("kid", .string(keyID ?? certificate.thumbprint)),
                    .init("n", .string(Base64URL.encode(parts.modulus))),
                    .init("e", .string(Base64URL.encode(parts.exponent))),
                ])
            ]))
        ])
    }
}

extension PinnedCertificate {
    /// SHA-256 over the certificate, as a name for its key.
    var thumbprint: String { Base64URL.encode(Hash.digest(.sha256, [der])) }
}
