internal import COpenSSL

/// OpenSSL's description of a cipher, looked up once a process: a lookup costs more than encrypting an IKE message.
enum CipherHandle {
    // Proof for each `nonisolated(unsafe)`: a fetched EVP_CIPHER never changes and OpenSSL lets threads share it
    // (crypto(7), "Using algorithms in applications"); its reference count is atomic; these are never freed.
    private nonisolated(unsafe) static let aes128 = EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
    private nonisolated(unsafe) static let aes192 = EVP_CIPHER_fetch(nil, "AES-192-CBC", nil)
    private nonisolated(unsafe) static let aes256 = EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)
    private nonisolated(unsafe) static let aes128gcm = EVP_CIPHER_fetch(nil, "AES-128-GCM", nil)
    private nonisolated(unsafe) static let aes192gcm = EVP_CIPHER_fetch(nil, "AES-192-GCM", nil)
    private nonisolated(unsafe) static let aes256gcm = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
    private nonisolated(unsafe) static let chacha = EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil)

    static func of(_ algorithm: EncryptionAlgorithm) -> OpaquePointer? {
        switch algorithm {
        case .aes128: aes128
        case .aes192: aes192
        case .aes256: aes256
        case .aes128gcm16: aes128gcm
        case .aes192gcm16: aes192gcm
        case .aes256gcm16: aes256gcm
        case .chacha20poly1305: chacha
        }
    }
}

/// One use of a cipher: key and IV go in, the context is wiped at the end.
struct CipherRun: ~Copyable {
    private let context: OpaquePointer
    private let name: String

    /// What the cipher itself takes: 12 bytes for AEAD, 16 for CBC.
    struct Nonce {
        fileprivate var bytes: (UInt64, UInt64) = (0, 0)

        /// Salt, then IV; what exceeds 16 bytes is left out.
        init(salt: UnsafeRawBufferPointer, iv: some ByteSource) {
            withUnsafeMutableBytes(of: &bytes) { bytes in
                bytes.copyBytes(from: salt.prefix(bytes.count))
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[min(salt.count, bytes.count)...])
                iv.withBytes { rest.copyBytes(from: $0.prefix(rest.count)) }
            }
        }
    }

    /// `key` may be longer than the cipher's key: the salt behind it is left out. The caller checks the lengths.
    init(
        _ algorithm: EncryptionAlgorithm, key: Secret, nonce: Nonce, isSealing: Bool
    ) throws(CryptographyError) {
        guard key.count >= algorithm.keyLength, let cipher = CipherHandle.of(algorithm),
            let context = EVP_CIPHER_CTX_new()
        else { throw .fromOpenSSL("start \(algorithm.rawValue)") }
        let isSet = key.withUnsafeBytes { key in
            withUnsafeBytes(of: nonce.bytes) { nonce in
                EVP_CipherInit_ex2(
                    context, cipher, key.assumingMemoryBound(to: UInt8.self).baseAddress,
                    nonce.assumingMemoryBound(to: UInt8.self).baseAddress, isSealing ? 1 : 0, nil) == 1
                    && EVP_CIPHER_CTX_set_padding(context, 0) == 1
            }
        }
        guard isSet else {
            EVP_CIPHER_CTX_free(context)
            throw .fromOpenSSL("start \(algorithm.rawValue)")
        }
        self.context = context
        name = algorithm.rawValue
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    func authenticate(_ bytes: UnsafeRawBufferPointer) throws(CryptographyError) {
        guard !bytes.isEmpty else { return }
        var written: Int32 = 0
        guard let count = Int32(exactly: bytes.count),
            EVP_CipherUpdate(context, nil, &written, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, count) == 1
        else { throw .fromOpenSSL("authenticate with \(name)") }
    }

    /// `output` has as many bytes as `input`.
    func process(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(CryptographyError) {
        guard !input.isEmpty else { return }
        var written: Int32 = 0
        guard let count = Int32(exactly: input.count), output.count >= input.count,
            EVP_CipherUpdate(
                context, output.assumingMemoryBound(to: UInt8.self).baseAddress, &written,
                input.assumingMemoryBound(to: UInt8.self).baseAddress, count) == 1,
            written == count
        else { throw .fromOpenSSL("run \(name)") }
    }

    /// Ends sealing with an AEAD cipher; `tag` has 16 bytes.
    func finish(writingTag tag: UnsafeMutableRawPointer) throws(CryptographyError) {
        var written: Int32 = 0
        guard EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &written) == 1,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1
        else { throw .fromOpenSSL("finish \(name)") }
    }

    /// Ends opening with an AEAD cipher; OpenSSL compares the 16 bytes of tag in constant time.
    func finish(verifyingTag tag: UnsafeRawBufferPointer) throws(CryptographyError) {
        var written: Int32 = 0
        var copy: (UInt64, UInt64) = (0, 0)
        var rest: (UInt64, UInt64) = (0, 0)
        let isGenuine = withUnsafeMutableBytes(of: &copy) { copy in
            withUnsafeMutableBytes(of: &rest) { rest in
                copy.copyBytes(from: tag.prefix(16))
                return tag.count == 16
                    && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, copy.baseAddress) == 1
                    && EVP_CipherFinal_ex(context, rest.assumingMemoryBound(to: UInt8.self).baseAddress, &written) == 1
            }
        }
        guard isGenuine else {
            ERR_clear_error()
            throw .authenticationFailed
        }
    }
}
