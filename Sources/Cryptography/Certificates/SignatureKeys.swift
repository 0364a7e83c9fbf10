internal import COpenSSL

/// What kind of key signs: for the choice of a ``SignatureScheme``.
public enum SignatureKeyKind: Hashable, Sendable, CustomStringConvertible {
    /// `isPSSOnly` for keys whose certificate permits RSASSA-PSS alone (RFC 4055).
    case rsa(bits: Int, isPSSOnly: Bool)
    case p256, p384, p521

    public var description: String {
        switch self {
        case .rsa(let bits, _): "RSA \(bits)"
        case .p256: "ECDSA P-256"
        case .p384: "ECDSA P-384"
        case .p521: "ECDSA P-521"
        }
    }

    /// The hash whose strength fits the key (RFC 4754, NIST SP 800-57).
    public var hash: HashAlgorithm {
        switch self {
        case .rsa(let bits, _): bits < 3072 ? .sha256 : bits < 7680 ? .sha384 : .sha512
        case .p256: .sha256
        case .p384: .sha384
        case .p521: .sha512
        }
    }

    /// Bytes of one number of an ECDSA signature; nil for RSA.
    public var ecdsaLength: Int? {
        switch self {
        case .rsa: nil
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// Whether a scheme can be used with the key.
    public func permits(_ scheme: SignatureScheme) -> Bool {
        switch (self, scheme) {
        case (.rsa(_, let isPSSOnly), .pkcs1): !isPSSOnly
        case (.rsa, .pss): true
        case (.rsa, .ecdsa), (.p256, .pkcs1), (.p256, .pss), (.p384, .pkcs1), (.p384, .pss), (.p521, .pkcs1),
            (.p521, .pss):
            false
        case (.p256, .ecdsa), (.p384, .ecdsa), (.p521, .ecdsa): true
        }
    }

    init?(_ key: OpaquePointer) {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA: self = .rsa(bits: Int(EVP_PKEY_get_bits(key)), isPSSOnly: false)
        case EVP_PKEY_RSA_PSS: self = .rsa(bits: Int(EVP_PKEY_get_bits(key)), isPSSOnly: true)
        case EVP_PKEY_EC:
            var name = [CChar](repeating: 0, count: 64)
            var count = 0
            guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else { return nil }
            switch name.withUnsafeBufferPointer({ String(cString: $0.baseAddress!) }) {
            case "prime256v1", "P-256": self = .p256
            case "secp384r1", "P-384": self = .p384
            case "secp521r1", "P-521": self = .p521
            default: return nil
            }
        default: return nil
        }
    }

    /// Says what a key is that is none of these.
    static func unsupported(_ key: OpaquePointer) -> CertificateFault {
        .unsupportedKey(EVP_PKEY_get0_type_name(key).map { String(cString: $0) } ?? "unknown")
    }
}

/// A private key that signs.
///
/// ECDSA and RSASSA-PSS draw a fresh random number for each signature from OpenSSL: no seed repeats it, and a repeated
/// one would give the key away. So these signatures alone differ when an engine's life is replayed.
// Proof of Sendable: the key is written in `init` and `deinit` alone; signing reads it and counts its references,
// atomically.
public final class PrivateKey: @unchecked Sendable {
    let pointer: OpaquePointer
    public let kind: SignatureKeyKind

    /// Reads what ``pkcs8`` gives, or the key in PEM text: PKCS#8, PKCS#1 or SEC 1. The text may hold other things
    /// beside the key, such as EC parameters or a certificate.
    ///
    /// Throws ``CertificateFault/encryptedKey``, ``CertificateFault/unsupportedKey(_:)``,
    /// ``CertificateFault/weakKey(subject:)`` or ``CertificateFault/unreadable(what:reason:)``.
    public convenience init(_ bytes: Secret) throws(CertificateFault) {
        let isDER = bytes.withUnsafeBytes { $0.first == DER.sequenceTag }
        guard !isDER else {
            try self.init(der: bytes)
            return
        }
        let blocks = PEM.blocks(bytes).filter { $0.label.hasSuffix("PRIVATE KEY") }
        guard let block = blocks.first else {
            throw .unreadable(
                what: "private key",
                reason: "there is no '-----BEGIN PRIVATE KEY-----' of PKCS#8, nor one of RSA or EC")
        }
        guard blocks.count == 1 else {
            throw .unreadable(what: "private key", reason: "there are \(blocks.count) keys, and one is wanted")
        }
        guard block.label != "ENCRYPTED PRIVATE KEY", !block.header.contains("ENCRYPTED") else { throw .encryptedKey }
        try self.init(der: block.bytes)
    }

    private init(der: Secret) throws(CertificateFault) {
        let key = der.withUnsafeBytes { bytes in
            var start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            return d2i_AutoPrivateKey_ex(nil, &start, bytes.count, nil, nil)
        }
        guard let key else {
            ERR_clear_error()
            throw .unreadable(what: "private key", reason: "the key is damaged, or of a form that is not known")
        }
        guard let kind = SignatureKeyKind(key) else {
            defer { EVP_PKEY_free(key) }
            throw SignatureKeyKind.unsupported(key)
        }
        if case .rsa(let bits, _) = kind, bits < 2048 {
            EVP_PKEY_free(key)
            throw .weakKey(subject: "RSA \(bits)")
        }
        pointer = key
        self.kind = kind
    }

    deinit { EVP_PKEY_free(pointer) }

    /// The key as PKCS#8 in DER, without a passphrase.
    public var pkcs8: Secret {
        guard let form = EVP_PKEY2PKCS8(pointer) else { return Secret([]) }
        defer { PKCS8_PRIV_KEY_INFO_free(form) }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_PKCS8_PRIV_KEY_INFO(form, &bytes)
        guard count > 0, let bytes else { return Secret([]) }
        defer { CRYPTO_clear_free(bytes, Int(count), nil, 0) }
        return Secret(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    /// Signs the parts, one behind the other. ECDSA gives DER (RFC 3279 §2.2.3).
    public func sign(_ scheme: SignatureScheme, _ parts: [any ByteSource]) throws(CryptographyError) -> [UInt8] {
        let run = try SignatureRun()
        guard kind.permits(scheme),
            EVP_DigestSignInit(run.pointer, run.parameters, scheme.hash.message, nil, pointer) == 1,
            run.setPadding(scheme), run.update(parts)
        else { throw .fromOpenSSL("sign with \(scheme)") }
        var count = 0
        guard EVP_DigestSignFinal(run.pointer, nil, &count) == 1 else { throw .fromOpenSSL("sign with \(scheme)") }
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSignFinal(run.pointer, &signature, &count) == 1, count <= signature.count else {
            throw .fromOpenSSL("sign with \(scheme)")
        }
        signature.removeSubrange(count...)
        return signature
    }
}

extension PrivateKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "\(kind) key (hidden)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A public key that checks signatures.
// Proof of Sendable: as ``PrivateKey``.
public final class PublicKey: @unchecked Sendable {
    let pointer: OpaquePointer
    public let kind: SignatureKeyKind

    /// Takes the pointer over.
    init(taking pointer: OpaquePointer) throws(CertificateFault) {
        guard let kind = SignatureKeyKind(pointer) else {
            defer { EVP_PKEY_free(pointer) }
            throw SignatureKeyKind.unsupported(pointer)
        }
        self.pointer = pointer
        self.kind = kind
    }

    deinit { EVP_PKEY_free(pointer) }

    /// Whether `signature` is one of the parts by the other half of this key.
    public func verify(_ signature: [UInt8], _ scheme: SignatureScheme, _ parts: [any ByteSource]) -> Bool {
        guard kind.permits(scheme), !signature.isEmpty, let run = try? SignatureRun() else { return false }
        let isRight =
            EVP_DigestVerifyInit(run.pointer, run.parameters, scheme.hash.message, nil, pointer) == 1
            && run.setPadding(scheme) && run.update(parts)
            && EVP_DigestVerifyFinal(run.pointer, signature, signature.count) == 1
        ERR_clear_error()
        return isRight
    }

    /// Whether it is the other half of a private key.
    func belongs(to key: PrivateKey) -> Bool {
        let isSame = EVP_PKEY_eq(pointer, key.pointer) == 1
        ERR_clear_error()
        return isSame
    }
}

/// One signature being made or checked.
private final class SignatureRun {
    let pointer: OpaquePointer
    let parameters = UnsafeMutablePointer<OpaquePointer?>.allocate(capacity: 1)

    init() throws(CryptographyError) {
        parameters.initialize(to: nil)
        guard let pointer = EVP_MD_CTX_new() else {
            parameters.deallocate()
            throw .fromOpenSSL("make room for a signature")
        }
        self.pointer = pointer
    }

    deinit {
        EVP_MD_CTX_free(pointer)
        parameters.deallocate()
    }

    func setPadding(_ scheme: SignatureScheme) -> Bool {
        guard let parameters = parameters.pointee else { return false }
        switch scheme {
        case .ecdsa: return true
        case .pkcs1: return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PADDING) == 1
        case .pss(let hash):
            return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, hash.message) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
        }
    }

    func update(_ parts: [any ByteSource]) -> Bool {
        parts.allSatisfy { part in part.withBytes { EVP_DigestUpdate(pointer, $0.baseAddress, $0.count) == 1 } }
    }
}

extension HashAlgorithm {
    /// OpenSSL's name for it.
    fileprivate var message: OpaquePointer? {
        switch self {
        case .sha1: EVP_sha1()
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        }
    }
}

/// ECDSA signatures as the methods of RFC 4754 have them: r and s as two numbers of a fixed length.
extension SignatureKeyKind {
    /// Out of DER.
    public func plainECDSA(_ der: [UInt8]) -> [UInt8]? {
        guard let length = ecdsaLength else { return nil }
        return der.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            guard let signature = d2i_ECDSA_SIG(nil, &start, buffer.count) else { return nil }
            defer { ECDSA_SIG_free(signature) }
            var bytes = [UInt8](repeating: 0, count: 2 * length)
            let isDone = bytes.withUnsafeMutableBufferPointer { output in
                BN_bn2binpad(ECDSA_SIG_get0_r(signature), output.baseAddress, Int32(length)) == length
                    && BN_bn2binpad(ECDSA_SIG_get0_s(signature), output.baseAddress! + length, Int32(length)) == length
            }
            return isDone ? bytes : nil
        }
    }

    /// Into DER.
    public func derECDSA(_ plain: [UInt8]) -> [UInt8]? {
        guard let length = ecdsaLength, plain.count == 2 * length, let signature = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(signature) }
        guard let r = BN_bin2bn(Array(plain[..<length]), Int32(length), nil) else { return nil }
        guard let s = BN_bin2bn(Array(plain[length...]), Int32(length), nil) else {
            BN_free(r)
            return nil
        }
        guard ECDSA_SIG_set0(signature, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(signature, &bytes)
        guard count > 0, let bytes else { return nil }
        defer { CRYPTO_free(bytes, nil, 0) }
        return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }
}
