internal import COpenSSL

/// The cipher of one direction of one ESP SA: the key is set once, each packet brings only its sequence number.
///
/// Works in place on a packet laid out as RFC 4303 §2 has it, `SPI | sequence | IV | payload | ICV`, and allocates
/// nothing per packet. AES-GCM is RFC 4106, ChaCha20-Poly1305 RFC 7634, AES-CBC RFC 3602 with the HMACs of RFC 2404
/// and RFC 4868 (encrypt, then authenticate).
///
/// Not Sendable: a cipher belongs to the thread that made it.
public final class PacketCipher {
    public enum Direction: Sendable {
        case seal, open
    }

    /// Why a cipher cannot be made from what was given.
    public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        case encryptionKeyLength(expected: Int, given: Int)
        case integrityKeyLength(expected: Int, given: Int)
        /// A cipher without its own integrity needs an integrity algorithm; an AEAD cipher must have none.
        case integrityMismatch
        /// OpenSSL does not offer the cipher (a FIPS configuration, for one).
        case unavailable(EncryptionAlgorithm)

        public var description: String {
            switch self {
            case .encryptionKeyLength(let expected, let given):
                "the encryption key has \(given) bytes, the cipher needs \(expected) with its salt"
            case .integrityKeyLength(let expected, let given):
                "the integrity key has \(given) bytes, the algorithm needs \(expected)"
            case .integrityMismatch: "an AEAD cipher takes no integrity algorithm, and any other needs one"
            case .unavailable(let cipher): "OpenSSL on this host does not offer \(cipher.rawValue)"
            }
        }
    }

    /// Bytes of `SPI | sequence`, in front of the IV.
    public static let headerLength = 8

    /// Bytes of IV on the wire: 8 or 16.
    public let ivLength: Int
    /// Bytes of integrity check value on the wire: 12 to 32.
    public let tagLength: Int

    private let direction: Direction
    private let extendedSequence: Bool
    private let context: OpaquePointer
    /// AEAD: salt and IV, 12 bytes. CBC: the zero IV of ``sealCBC``, 16 bytes.
    private let nonce: UnsafeMutablePointer<UInt8>
    /// AEAD with ESN: SPI, high and low half of the sequence number (RFC 4106 §5). CBC: the digest.
    private let scratch: UnsafeMutablePointer<UInt8>
    private let hmac: UnsafeMutablePointer<gh_packet_hmac>?

    private static let nonceCapacity = 16
    private static let scratchCapacity = 64

    /// `encryptionKey` holds the key with its salt behind it. `extendedSequence` puts the upper half of the sequence
    /// number under the ICV (RFC 4303 §2.2.1).
    public init(
        _ direction: Direction, encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?,
        encryptionKey: Secret, integrityKey: Secret, extendedSequence: Bool
    ) throws(Refusal) {
        guard encryption.isAEAD == (integrity == nil) else { throw .integrityMismatch }
        let expected = encryption.keyLength + encryption.saltLength
        guard encryptionKey.count == expected else {
            throw .encryptionKeyLength(expected: expected, given: encryptionKey.count)
        }
        let expectedIntegrity = integrity?.keyLength ?? 0
        guard integrityKey.count == expectedIntegrity else {
            throw .integrityKeyLength(expected: expectedIntegrity, given: integrityKey.count)
        }
        guard let cipher = EVP_CIPHER_fetch(nil, Self.name(of: encryption), nil) else { throw .unavailable(encryption) }
        defer { EVP_CIPHER_free(cipher) }
        guard let context = EVP_CIPHER_CTX_new() else { throw .unavailable(encryption) }
        let isSet = encryptionKey.withUnsafeBytes { key in
            let bytes = key.assumingMemoryBound(to: UInt8.self).baseAddress
            return EVP_CipherInit_ex2(context, cipher, bytes, nil, direction == .seal ? 1 : 0, nil) == 1
                && EVP_CIPHER_CTX_set_padding(context, 0) == 1
        }
        guard isSet else {
            EVP_CIPHER_CTX_free(context)
            throw .unavailable(encryption)
        }
        self.direction = direction
        self.extendedSequence = extendedSequence
        self.context = context
        ivLength = encryption.ivLength
        tagLength = integrity?.tagLength ?? encryption.tagLength
        nonce = .allocate(capacity: Self.nonceCapacity)
        nonce.initialize(repeating: 0, count: Self.nonceCapacity)
        scratch = .allocate(capacity: Self.scratchCapacity)
        scratch.initialize(repeating: 0, count: Self.scratchCapacity)
        if let integrity {
            let state = UnsafeMutablePointer<gh_packet_hmac>.allocate(capacity: 1)
            state.initialize(to: gh_packet_hmac())
            let bits = Int32(integrity.hash.digestLength * 8)
            // The key is as long as the digest (checked above), which is never longer than the block.
            integrityKey.withUnsafeBytes { _ = gh_packet_hmac_prepare(state, bits, $0.baseAddress, $0.count) }
            hmac = state
        } else {
            hmac = nil
            encryptionKey.withUnsafeBytes { key in
                let salt = key[encryption.keyLength..<encryption.keyLength + encryption.saltLength]
                for (index, byte) in salt.enumerated() { nonce[index] = byte }
            }
        }
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
        OPENSSL_cleanse(nonce, Self.nonceCapacity)
        nonce.deallocate()
        OPENSSL_cleanse(scratch, Self.scratchCapacity)
        scratch.deallocate()
        if let hmac {
            OPENSSL_cleanse(hmac, MemoryLayout<gh_packet_hmac>.size)
            hmac.deallocate()
        }
    }

    /// Encrypts the payload of `packet` and fills in its IV and ICV.
    ///
    /// The SPI, the lower half of the sequence number and the payload (padding and trailer included) stand in `packet`;
    /// a `sequence` may be used once only, for the IV comes from it: as it is for AEAD ciphers (RFC 4106 §3.1), and as
    /// the encryption of a block that holds it for CBC, which nobody can predict (NIST SP 800-38A, appendix C).
    /// False when the packet is too short, the payload fills no whole blocks or OpenSSL fails; then nothing may be
    /// sent.
    public func seal(_ packet: UnsafeMutableRawBufferPointer, sequence: UInt64) -> Bool {
        let payloadLength = packet.count - Self.headerLength - ivLength - tagLength
        guard direction == .seal, payloadLength > 0, let start = packet.baseAddress else { return false }
        let bytes = start.assumingMemoryBound(to: UInt8.self)
        let payload = bytes + Self.headerLength + ivLength
        return if let hmac {
            sealCBC(hmac, bytes, payloadLength, sequence)
        } else {
            sealAEAD(bytes, payload, payloadLength, sequence)
        }
    }

    /// Checks the ICV of `packet`, in constant time, and decrypts its payload.
    ///
    /// `sequence` is the whole number, its upper half inferred. False when the packet is too short, is no whole number
    /// of blocks, or was not made with this key; the payload is then of no use.
    public func open(_ packet: UnsafeMutableRawBufferPointer, sequence: UInt64) -> Bool {
        let payloadLength = packet.count - Self.headerLength - ivLength - tagLength
        guard direction == .open, payloadLength > 0, let start = packet.baseAddress else { return false }
        let bytes = start.assumingMemoryBound(to: UInt8.self)
        return if let hmac {
            openCBC(hmac, bytes, payloadLength, sequence)
        } else {
            openAEAD(bytes, payloadLength, sequence)
        }
    }

    // MARK: AEAD

    private func sealAEAD(
        _ bytes: UnsafeMutablePointer<UInt8>, _ payload: UnsafeMutablePointer<UInt8>, _ length: Int, _ sequence: UInt64
    ) -> Bool {
        let iv = UnsafeMutableRawPointer(bytes + Self.headerLength)
        iv.storeBytes(of: sequence.bigEndian, as: UInt64.self)
        UnsafeMutableRawPointer(nonce).storeBytes(of: sequence.bigEndian, toByteOffset: 4, as: UInt64.self)
        var written: Int32 = 0
        guard EVP_EncryptInit_ex(context, nil, nil, nil, nonce) == 1, addAAD(bytes, sequence),
            EVP_EncryptUpdate(context, payload, &written, payload, Int32(truncatingIfNeeded: length)) == 1,
            EVP_EncryptFinal_ex(context, payload + length, &written) == 1
        else { return false }
        return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, payload + length) == 1
    }

    private func openAEAD(_ bytes: UnsafeMutablePointer<UInt8>, _ length: Int, _ sequence: UInt64) -> Bool {
        let payload = bytes + Self.headerLength + ivLength
        let iv = UnsafeRawPointer(bytes + Self.headerLength).loadUnaligned(as: UInt64.self)
        UnsafeMutableRawPointer(nonce).storeBytes(of: iv, toByteOffset: 4, as: UInt64.self)
        var written: Int32 = 0
        // OpenSSL compares the tag in constant time, in Final.
        return EVP_DecryptInit_ex(context, nil, nil, nil, nonce) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, payload + length) == 1
            && addAAD(bytes, sequence)
            && EVP_DecryptUpdate(context, payload, &written, payload, Int32(truncatingIfNeeded: length)) == 1
            && EVP_DecryptFinal_ex(context, payload + length, &written) == 1
    }

    private func addAAD(_ bytes: UnsafeMutablePointer<UInt8>, _ sequence: UInt64) -> Bool {
        var written: Int32 = 0
        guard extendedSequence else {
            return EVP_CipherUpdate(context, nil, &written, bytes, Int32(Self.headerLength)) == 1
        }
        let aad = UnsafeMutableRawPointer(scratch)
        aad.copyMemory(from: bytes, byteCount: 4)
        aad.storeBytes(of: sequence.bigEndian, toByteOffset: 4, as: UInt64.self)
        return EVP_CipherUpdate(context, nil, &written, scratch, 12) == 1
    }

    // MARK: CBC and HMAC

    private func sealCBC(
        _ hmac: UnsafeMutablePointer<gh_packet_hmac>, _ bytes: UnsafeMutablePointer<UInt8>, _ length: Int,
        _ sequence: UInt64
    ) -> Bool {
        guard length % 16 == 0 else { return false }
        // One pass makes the IV as well: a block with the sequence number is encrypted in front of the payload, and its
        // ciphertext is what the payload is chained to.
        let iv = UnsafeMutableRawPointer(bytes + Self.headerLength)
        iv.storeBytes(of: 0, as: UInt64.self)
        iv.storeBytes(of: sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
        let start = bytes + Self.headerLength
        var written: Int32 = 0
        guard EVP_EncryptInit_ex(context, nil, nil, nil, nonce) == 1,
            EVP_EncryptUpdate(context, start, &written, start, Int32(truncatingIfNeeded: length + 16)) == 1,
            Int(written) == length + 16
        else { return false }
        authenticate(hmac, bytes, length, sequence)
        (start + 16 + length).update(from: scratch, count: tagLength)
        return true
    }

    private func openCBC(
        _ hmac: UnsafeMutablePointer<gh_packet_hmac>, _ bytes: UnsafeMutablePointer<UInt8>, _ length: Int,
        _ sequence: UInt64
    ) -> Bool {
        guard length % 16 == 0 else { return false }
        authenticate(hmac, bytes, length, sequence)
        let iv = bytes + Self.headerLength
        let payload = iv + 16
        guard CRYPTO_memcmp(scratch, payload + length, tagLength) == 0 else { return false }
        var written: Int32 = 0
        return EVP_DecryptInit_ex(context, nil, nil, nil, iv) == 1
            && EVP_DecryptUpdate(context, payload, &written, payload, Int32(truncatingIfNeeded: length)) == 1
            && Int(written) == length
    }

    /// Leaves the digest of the packet, and of the upper half of the sequence number with ESN, in `scratch`.
    private func authenticate(
        _ hmac: UnsafeMutablePointer<gh_packet_hmac>, _ bytes: UnsafeMutablePointer<UInt8>, _ length: Int,
        _ sequence: UInt64
    ) {
        var high = UInt32(truncatingIfNeeded: sequence >> 32).bigEndian
        gh_packet_hmac_compute(
            hmac, bytes, Self.headerLength + 16 + length, &high, extendedSequence ? 4 : 0, scratch)
    }

    private static func name(of cipher: EncryptionAlgorithm) -> String {
        switch cipher {
        case .aes128: "AES-128-CBC"
        case .aes192: "AES-192-CBC"
        case .aes256: "AES-256-CBC"
        case .aes128gcm16: "AES-128-GCM"
        case .aes192gcm16: "AES-192-GCM"
        case .aes256gcm16: "AES-256-GCM"
        case .chacha20poly1305: "ChaCha20-Poly1305"
        }
    }
}
