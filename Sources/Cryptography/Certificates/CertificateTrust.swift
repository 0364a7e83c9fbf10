public import Base
internal import COpenSSL

/// Whether missing or old CRLs are put up with.
public enum RevocationPolicy: String, Hashable, Codable, Sendable, CaseIterable {
    /// What a CRL revokes is refused, also when the CRL is past its next update; where none speaks of a certificate,
    /// it is accepted.
    case relaxed
    /// Every certificate of a chain below the trusted CA needs a current CRL.
    case strict
}

/// The CAs that are trusted, and the CRLs that are known: what a peer's certificate is verified against.
// Proof of Sendable: the store is filled in `init` and freed in `deinit`; verifying reads it under a lock of its own.
public final class CertificateTrust: @unchecked Sendable {
    public let authorities: [Certificate]
    public let revocationLists: [RevocationList]
    public let policy: RevocationPolicy
    private let store: OpaquePointer

    /// Certificates of the longest chain, and the most that a peer may send.
    public static let mostCertificates = 10
    /// Bits of strength that every key and every hash of a chain must have: RSA of 2048 bits, no SHA-1.
    private static let strength: Int32 = 2

    /// Throws ``CertificateFault/noAuthority(subject:)`` for a certificate that is no CA.
    public init(
        authorities: [Certificate], revocationLists: [RevocationList] = [], policy: RevocationPolicy = .relaxed
    ) throws(CertificateFault) {
        for certificate in authorities where !certificate.isAuthority {
            throw .noAuthority(subject: certificate.subject.description)
        }
        guard let store = X509_STORE_new() else { throw .other(subject: "CA", reason: "no memory") }
        self.authorities = authorities
        self.revocationLists = revocationLists
        self.policy = policy
        self.store = store
        for certificate in authorities { X509_STORE_add_cert(store, certificate.pointer) }
        for list in revocationLists { X509_STORE_add_crl(store, list.pointer) }
        ERR_clear_error()
    }

    deinit { X509_STORE_free(store) }

    /// What a verification found beside the chain itself.
    public struct Chain: Sendable {
        /// From the peer's own certificate up to the trusted CA.
        public var certificates: [Certificate]
        /// The subjects whose CRL is past its next update.
        public var stale: [String]
    }

    /// Verifies a peer's certificate at a time: a chain of valid signatures up to a trusted CA, every certificate
    /// within its time, made for its place, strong enough and not revoked.
    public func verify(
        _ end: Certificate, intermediates: [Certificate], at time: WallTime
    ) throws(CertificateFault) -> Chain {
        guard let context = X509_STORE_CTX_new(), let others = OPENSSL_sk_new_null() else {
            throw .other(subject: end.subject.description, reason: "no memory")
        }
        defer {
            X509_STORE_CTX_free(context)
            OPENSSL_sk_free(others)
            ERR_clear_error()
        }
        for certificate in intermediates.prefix(Self.mostCertificates) { OPENSSL_sk_push(others, UnsafeRawPointer(certificate.pointer)) }
        guard X509_STORE_CTX_init(context, store, end.pointer, others) == 1 else {
            throw .other(subject: end.subject.description, reason: "no memory")
        }
        let checksLists = policy == .strict || !revocationLists.isEmpty
        let parameters = X509_STORE_CTX_get0_param(context)
        var flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST
        if checksLists { flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL }
        X509_VERIFY_PARAM_set_flags(parameters, UInt(flags))
        X509_VERIFY_PARAM_set_time(parameters, time.seconds)
        X509_VERIFY_PARAM_set_auth_level(parameters, Self.strength)
        X509_VERIFY_PARAM_set_depth(parameters, Int32(Self.mostCertificates))
        var tolerance = Tolerance(isStrict: policy == .strict)
        let isValid = withUnsafeMutablePointer(to: &tolerance) { tolerance in
            X509_STORE_CTX_set_ex_data(context, 0, tolerance)
            X509_STORE_CTX_set_verify_cb(context) { isRight, context in
                guard isRight == 0, let context, let kept = X509_STORE_CTX_get_ex_data(context, 0) else { return isRight }
                return kept.assumingMemoryBound(to: Tolerance.self).pointee.permits(context) ? 1 : 0
            }
            return X509_verify_cert(context) == 1
        }
        guard isValid else { throw fault(of: context, end) }
        let chain = try chain(of: context, end, among: intermediates)
        try end.requirePeerUsage()
        // OpenSSL takes a certificate for a CA when its key usage alone says so; basicConstraints must.
        for certificate in chain.dropFirst() where !certificate.isAuthority {
            throw .noAuthority(subject: certificate.subject.description)
        }
        return Chain(certificates: chain, stale: tolerance.stale)
    }

    /// What is put up with while a chain is verified.
    private struct Tolerance {
        var isStrict: Bool
        var stale: [String] = []

        mutating func permits(_ context: OpaquePointer) -> Bool {
            switch X509_STORE_CTX_get_error(context) {
            case X509_V_ERR_UNABLE_TO_GET_CRL: return !isStrict || CertificateTrust.isAnchor(context)
            case X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID:
                // What is trusted by its own name needs no list to say so.
                if CertificateTrust.isAnchor(context) { return true }
                guard !isStrict else { return false }
                let subject = CertificateTrust.subject(context)
                if !stale.contains(subject) { stale.append(subject) }
                return true
            default: return false
            }
        }
    }

    private static func isAnchor(_ context: OpaquePointer) -> Bool {
        Int(X509_STORE_CTX_get_error_depth(context)) == count(context) - 1
    }

    private static func count(_ context: OpaquePointer) -> Int {
        X509_STORE_CTX_get0_chain(context).map { Int(OPENSSL_sk_num($0)) } ?? 0
    }

    private static func subject(_ context: OpaquePointer) -> String {
        guard let current = X509_STORE_CTX_get_current_cert(context), let name = X509_get_subject_name(current) else {
            return "the peer's certificate"
        }
        return DistinguishedName(name).description
    }

    private func chain(
        of context: OpaquePointer, _ end: Certificate, among others: [Certificate]
    ) throws(CertificateFault) -> [Certificate] {
        guard let stack = X509_STORE_CTX_get0_chain(context) else { return [end] }
        let known = [end] + others + authorities
        var chain: [Certificate] = []
        for index in 0..<OPENSSL_sk_num(stack) {
            guard let raw = OPENSSL_sk_value(stack, index) else { continue }
            guard let certificate = known.first(where: { X509_cmp($0.pointer, OpaquePointer(raw)) == 0 }) else {
                throw .other(subject: end.subject.description, reason: "its chain has a certificate of nobody")
            }
            chain.append(certificate)
        }
        return chain
    }

    // MARK: - Reasons

    private func fault(of context: OpaquePointer, _ end: Certificate) -> CertificateFault {
        let subject = Self.subject(context)
        let current = X509_STORE_CTX_get_current_cert(context)
        let code = X509_STORE_CTX_get_error(context)
        switch code {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
            let issuer = current.flatMap { X509_get_issuer_name($0) }.map { DistinguishedName($0) } ?? end.issuer
            return .unknownIssuer(subject: subject, issuer: issuer.description)
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return .untrustedRoot(subject: subject)
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return .expired(subject: subject, at: WallTime(X509_get0_notAfter(current)) ?? end.notAfter)
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return .notYetValid(subject: subject, from: WallTime(X509_get0_notBefore(current)) ?? end.notBefore)
        case X509_V_ERR_CERT_REVOKED: return .revoked(subject: subject)
        case X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE,
            X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY:
            return .badSignature(subject: subject)
        case X509_V_ERR_INVALID_CA, X509_V_ERR_INVALID_NON_CA, X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
            return .noAuthority(subject: subject)
        case X509_V_ERR_PATH_LENGTH_EXCEEDED, X509_V_ERR_CERT_CHAIN_TOO_LONG: return .pathTooLong(subject: subject)
        case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL: return .weakKey(subject: subject)
        case X509_V_ERR_CA_MD_TOO_WEAK: return .weakHash(subject: subject)
        case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION: return .unknownExtension(subject: subject)
        case X509_V_ERR_UNABLE_TO_GET_CRL: return .noRevocationList(subject: subject)
        case X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID:
            return .staleRevocationList(subject: subject)
        case X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE,
            X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION,
            X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, X509_V_ERR_DIFFERENT_CRL_SCOPE, X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
            return .badRevocationList(subject: subject, reason: Self.words(code))
        default: return .other(subject: subject, reason: Self.words(code))
        }
    }

    private static func words(_ code: Int32) -> String {
        X509_verify_cert_error_string(Int(code)).map { String(cString: $0) } ?? "error \(code)"
    }
}
