internal import COpenSSL

/// An RSA public key that verifies signatures.
public final class RSAPublicKey: Sendable {
    // Proof of Sendable: an EVP_PKEY that is fully made is only read, which OpenSSL lets threads do at the same time
    // (openssl-threads(7)); it is freed with this object.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Takes over the reference. Throws for a key of another kind.
    init(owning pointer: OpaquePointer) throws(CryptographyError) {
        self.pointer = pointer
        guard EVP_PKEY_get_base_id(pointer) == EVP_PKEY_RSA else {
            throw .openSSL(operation: "use the key", reason: "it is no RSA key")
        }
    }

    deinit { EVP_PKEY_free(pointer) }

    /// The size of the key in bits: of the modulus for RSA.
    public var bits: Int { Int(EVP_PKEY_get_bits(pointer)) }

    /// Modulus and public exponent, most significant byte first, without leading zeros.
    public var components: (modulus: [UInt8], exponent: [UInt8])? {
        func number(_ name: String) -> [UInt8]? {
            var value: OpaquePointer?
            guard EVP_PKEY_get_bn_param(pointer, name, &value) == 1, let value else { return nil }
            defer { BN_free(value) }
            var bytes = [UInt8](repeating: 0, count: Int(BN_num_bits(value) + 7) / 8)
            return BN_bn2bin(value, &bytes) == bytes.count ? bytes : nil
        }
        guard let modulus = number("n"), let exponent = number("e") else { return nil }
        return (modulus, exponent)
    }

    /// Whether `signature` is that of RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) over `message`.
    public func verifiesPKCS1(_ signature: [UInt8], of message: [UInt8], hash: HashAlgorithm) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        let isGenuine =
            EVP_DigestVerifyInit(context, nil, hash.method, nil, pointer) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
        if !isGenuine { ERR_clear_error() }
        return isGenuine
    }
}

extension RSAPublicKey: Equatable {
    public static func == (a: RSAPublicKey, b: RSAPublicKey) -> Bool { EVP_PKEY_eq(a.pointer, b.pointer) == 1 }
}

extension HashAlgorithm {
    /// OpenSSL's description of the algorithm, which is never freed.
    var method: OpaquePointer? {
        switch self {
        case .sha1: EVP_sha1()
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        }
    }
}
