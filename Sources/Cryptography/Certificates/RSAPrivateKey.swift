internal import COpenSSL

/// An RSA private key that signs and decrypts. It never prints.
public final class RSAPrivateKey: Sendable {
    // Proof of Sendable: as for RSAPublicKey.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Takes over the reference. Throws for a key of another kind.
    init(owning pointer: OpaquePointer) throws(CryptographyError) {
        self.pointer = pointer
        guard EVP_PKEY_get_base_id(pointer) == EVP_PKEY_RSA else {
            throw .openSSL(operation: "use the key", reason: "it is no RSA key")
        }
    }

    deinit { EVP_PKEY_free(pointer) }

    /// Reads one private key in PEM or DER: PKCS #8 without encryption, or the older forms for RSA and EC.
    public convenience init(_ bytes: Secret) throws(CryptographyError) {
        let read = bytes.withUnsafeBytes { bytes -> Result<OpaquePointer, CryptographyError> in
            guard let base = bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count > 0 else {
                return .failure(.openSSL(operation: "read a private key", reason: "there is none"))
            }
            if bytes[0] == 0x30 {
                var place: UnsafePointer<UInt8>? = base
                return d2i_AutoPrivateKey(nil, &place, bytes.count).map(Result.success)
                    ?? .failure(.fromOpenSSL("read a private key"))
            }
            guard let count = Int32(exactly: bytes.count), let source = BIO_new_mem_buf(base, count) else {
                return .failure(.fromOpenSSL("read a private key"))
            }
            defer { BIO_free(source) }
            // The callback answers that there is no passphrase: without it OpenSSL would ask on the terminal.
            return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil).map(Result.success)
                ?? .failure(.fromOpenSSL("read a private key without a passphrase"))
        }
        try self.init(owning: try read.get())
    }

    /// The size of the key in bits: of the modulus for RSA.
    public var bits: Int { Int(EVP_PKEY_get_bits(pointer)) }

    /// The key as PKCS #8 in DER, without encryption: for sealing only.
    public var pkcs8: Secret {
        get throws(CryptographyError) {
            guard let info = EVP_PKEY2PKCS8(pointer) else { throw .fromOpenSSL("write a private key") }
            defer { PKCS8_PRIV_KEY_INFO_free(info) }
            var written: UnsafeMutablePointer<UInt8>?
            let count = Int(i2d_PKCS8_PRIV_KEY_INFO(info, &written))
            guard count > 0, let written else { throw .fromOpenSSL("write a private key") }
            defer {
                OPENSSL_cleanse(written, count)
                gh_openssl_free(written)
            }
            return Secret(UnsafeBufferPointer(start: written, count: count))
        }
    }

    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) over `message`.
    public func signPKCS1(_ message: [UInt8], hash: HashAlgorithm) throws(CryptographyError) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw .fromOpenSSL("sign with RSA") }
        defer { EVP_MD_CTX_free(context) }
        var count = Int(EVP_PKEY_get_size(pointer))
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSignInit(context, nil, hash.method, nil, pointer) == 1,
            EVP_DigestSign(context, &signature, &count, message, message.count) == 1
        else { throw .fromOpenSSL("sign with RSA") }
        return Array(signature.prefix(count))
    }

    /// RSAES-OAEP (RFC 8017 §7.1) without a label.
    ///
    /// Throws ``CryptographyError/authenticationFailed`` whatever is wrong with the ciphertext.
    public func decryptOAEP(
        _ ciphertext: [UInt8], hash: HashAlgorithm, maskHash: HashAlgorithm
    ) throws(CryptographyError) -> Secret {
        guard let context = EVP_PKEY_CTX_new(pointer, nil) else { throw .fromOpenSSL("decrypt with RSA") }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_decrypt_init(context) == 1,
            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1,
            EVP_PKEY_CTX_set_rsa_oaep_md(context, hash.method) == 1,
            EVP_PKEY_CTX_set_rsa_mgf1_md(context, maskHash.method) == 1
        else { throw .fromOpenSSL("decrypt with RSA") }
        var count = Int(EVP_PKEY_get_size(pointer))
        var plaintext = [UInt8](repeating: 0, count: count)
        defer { plaintext.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        guard EVP_PKEY_decrypt(context, &plaintext, &count, ciphertext, ciphertext.count) == 1 else {
            ERR_clear_error()
            throw .authenticationFailed
        }
        return Secret(plaintext.prefix(count))
    }
}

extension RSAPrivateKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "(hidden)" }
    public var debugDescription: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
