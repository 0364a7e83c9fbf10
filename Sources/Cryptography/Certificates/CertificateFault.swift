public import Base

/// Why a certificate, a key or a chain is not accepted. Each fault has words of its own; none holds key material.
public enum CertificateFault: Error, Hashable, Sendable {
    // MARK: What was given to us

    /// The text or bytes hold no such thing; `what` is a noun such as `certificate`.
    case unreadable(what: String, reason: String)
    /// A private key that only a passphrase opens.
    case encryptedKey
    case unsupportedKey(String)
    /// The private key is not that of the certificate.
    case keyMismatch(subject: String)
    /// The identity does not stand in the certificate; `names` are those that do.
    case wrongIdentity(String, subject: String, names: [String])

    // MARK: What a chain lacks

    /// Nobody that is trusted has issued it: another CA, or an intermediate certificate is missing.
    case unknownIssuer(subject: String, issuer: String)
    /// A certificate that signs itself and is not trusted.
    case untrustedRoot(subject: String)
    case expired(subject: String, at: WallTime)
    case notYetValid(subject: String, from: WallTime)
    case revoked(subject: String)
    case badSignature(subject: String)
    /// It issued another certificate and is no CA, or may not sign certificates.
    case noAuthority(subject: String)
    case pathTooLong(subject: String)
    /// Its key usage permits no signatures, or its extended key usage no IPsec.
    case wrongUsage(subject: String, reason: String)
    /// RSA below 2048 bits, or another key of less than 112 bits of strength.
    case weakKey(subject: String)
    /// Signed with SHA-1 or MD5.
    case weakHash(subject: String)
    case unknownExtension(subject: String)
    /// No CRL speaks of it, and the policy demands one.
    case noRevocationList(subject: String)
    /// The CRL is past its next update, and the policy demands a current one.
    case staleRevocationList(subject: String)
    /// A configured CRL that its issuer did not sign, or may not.
    case badRevocationList(subject: String, reason: String)
    case other(subject: String, reason: String)
}

extension CertificateFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreadable(let what, let reason): "no \(what) can be read: \(reason)"
        case .encryptedKey:
            "the private key is encrypted with a passphrase, which nobody could type when the gateway starts: "
                + "decrypt it first with 'openssl pkey -in FILE -out PLAIN'"
        case .unsupportedKey(let kind):
            "a key of kind \(kind) is not supported: RSA from 2048 bits on and ECDSA with P-256, P-384 or P-521 are"
        case .keyMismatch(let subject): "the private key does not belong to the certificate '\(subject)'"
        case .wrongIdentity(let identity, let subject, let names):
            "the certificate '\(subject)' does not name '\(identity)'; it names "
                + (names.isEmpty ? "its subject only" : names.map { "'\($0)'" }.joined(separator: ", "))
        case .unknownIssuer(let subject, let issuer):
            "the issuer '\(issuer)' of '\(subject)' is not known: it is no configured CA, or an intermediate "
                + "certificate is missing"
        case .untrustedRoot(let subject): "'\(subject)' signs itself and is no configured CA"
        case .expired(let subject, let time): "'\(subject)' expired on \(time.day)"
        case .notYetValid(let subject, let time): "'\(subject)' is valid from \(time.rfc3339) on only; check the clocks"
        case .revoked(let subject): "'\(subject)' was revoked"
        case .badSignature(let subject): "the signature in '\(subject)' is not its issuer's"
        case .noAuthority(let subject): "'\(subject)' has issued a certificate and is no CA that may"
        case .pathTooLong(let subject): "'\(subject)' stands above more certificates than its path length permits"
        case .wrongUsage(let subject, let reason): "'\(subject)' is not made for this: \(reason)"
        case .weakKey(let subject): "the key of '\(subject)' is too weak: RSA needs 2048 bits at least"
        case .weakHash(let subject): "'\(subject)' is signed with a weak hash (SHA-1 or MD5)"
        case .unknownExtension(let subject): "'\(subject)' has a critical extension that is not known here"
        case .noRevocationList(let subject): "no CRL speaks of '\(subject)', and the policy is strict"
        case .staleRevocationList(let subject):
            "the CRL that speaks of '\(subject)' is past its next update, and the policy is strict"
        case .badRevocationList(let subject, let reason): "the CRL that speaks of '\(subject)' is refused: \(reason)"
        case .other(let subject, let reason): "'\(subject)' is refused: \(reason)"
        }
    }
}
