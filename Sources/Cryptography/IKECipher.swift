/// The protection of IKE's Encrypted payload (RFC 7296 §3.14, RFC 5282, RFC 7634), key and IV given with each message.
///
/// `key` holds the key with the 4 bytes of salt behind it for AEAD ciphers; the nonce is salt, then `iv`. CBC is bare:
/// the caller pads, unpads and authenticates.
public enum IKECipher {
    /// The ciphertext; for AEAD ciphers with the 16 bytes of tag behind it. CBC leaves `aad` out of account, and takes
    /// whole blocks only.
    public static func seal(
        _ encryption: EncryptionAlgorithm, key: Secret, iv: some ByteSource, aad: some ByteSource,
        plaintext: some ByteSource
    ) throws(CryptographyError) -> [UInt8] {
        let run = try start(encryption, key, iv, isSealing: true)
        if encryption.isAEAD { try aad.withBytes { (aad) throws(CryptographyError) in try run.authenticate(aad) } }
        return try plaintext.withBytes { (plaintext) throws(CryptographyError) in
            try checkBlocks(encryption, plaintext.count)
            var output = [UInt8](repeating: 0, count: plaintext.count + encryption.tagLength)
            try output.withUnsafeMutableBufferPointer { (buffer) throws(CryptographyError) in
                let output = UnsafeMutableRawBufferPointer(buffer)
                try run.process(plaintext, into: output)
                if encryption.isAEAD, let start = output.baseAddress {
                    try run.finish(writingTag: start + plaintext.count)
                }
            }
            return output
        }
    }

    /// The plaintext of what ``seal(_:key:iv:aad:plaintext:)`` made.
    ///
    /// Throws ``CryptographyError/authenticationFailed`` when the ciphertext, IV or additional data is not what an
    /// AEAD cipher sealed under this key. CBC cannot tell: verify the integrity tag first.
    public static func open(
        _ encryption: EncryptionAlgorithm, key: Secret, iv: some ByteSource, aad: some ByteSource,
        ciphertext: some ByteSource
    ) throws(CryptographyError) -> [UInt8] {
        let run = try start(encryption, key, iv, isSealing: false)
        if encryption.isAEAD { try aad.withBytes { (aad) throws(CryptographyError) in try run.authenticate(aad) } }
        return try ciphertext.withBytes { (ciphertext) throws(CryptographyError) in
            let length = ciphertext.count - encryption.tagLength
            // Too short to hold a tag: no one sealed this.
            guard length >= 0 else { throw .authenticationFailed }
            try checkBlocks(encryption, length)
            var output = [UInt8](repeating: 0, count: length)
            try output.withUnsafeMutableBufferPointer { (buffer) throws(CryptographyError) in
                try run.process(
                    UnsafeRawBufferPointer(rebasing: ciphertext[0..<length]),
                    into: UnsafeMutableRawBufferPointer(buffer))
            }
            if encryption.isAEAD {
                try run.finish(verifyingTag: UnsafeRawBufferPointer(rebasing: ciphertext[length...]))
            }
            return output
        }
    }

    private static func checkBlocks(_ encryption: EncryptionAlgorithm, _ count: Int) throws(CryptographyError) {
        guard count % encryption.blockLength == 0 else { throw .partialBlock(given: count) }
    }

    private static func start(
        _ encryption: EncryptionAlgorithm, _ key: Secret, _ iv: some ByteSource, isSealing: Bool
    ) throws(CryptographyError) -> CipherRun {
        let keyLength = encryption.keyLength + encryption.saltLength
        guard key.count == keyLength else {
            throw .wrongLength(what: "\(encryption.rawValue) key", expected: keyLength, given: key.count)
        }
        let ivLength = iv.withBytes { $0.count }
        guard ivLength == encryption.ivLength else {
            throw .wrongLength(what: "\(encryption.rawValue) IV", expected: encryption.ivLength, given: ivLength)
        }
        let nonce = key.withUnsafeBytes {
            CipherRun.Nonce(salt: UnsafeRawBufferPointer(rebasing: $0[encryption.keyLength...]), iv: iv)
        }
        return try CipherRun(encryption, key: key, nonce: nonce, isSealing: isSealing)
    }
}
