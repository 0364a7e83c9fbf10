import Base
import Cryptography

/// The Encrypted payload of an IKE SA (RFC 7296 §3.14, RFC 5282).
extension IKESA {
    /// Builds, encrypts and authenticates a message of ours.
    ///
    /// Nil when the SA has no keys yet or OpenSSL refuses, in which case nothing may be sent.
    mutating func seal(
        _ exchange: ExchangeType, messageID: UInt32, isResponse: Bool, random: inout SeededRandom,
        capacity: Int = 256, _ build: (inout MessageWriter) -> Void
    ) -> [UInt8]? {
        guard let suite, let keys else { return nil }
        let encryption = suite.encryption
        let flags = (isInitiator ? Header.initiatorFlag : 0) | (isResponse ? Header.responseFlag : 0)
        let header = Header(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: exchange.rawValue, flags: flags,
            messageID: messageID)
        var message = MessageWriter(header, ivLength: encryption.ivLength, capacity: capacity)
        build(&message)
        let tagLength = suite.integrity?.tagLength ?? encryption.tagLength
        let ivOffset = Header.length + 4
        let start = ivOffset + encryption.ivLength
        var bytes = message.layout(blockLength: encryption.blockLength, tagLength: tagLength)
        guard bytes.count <= Header.largestMessage else { return nil }
        let iv: [UInt8]
        if encryption.isAEAD {
            iv = KeySchedule.bytes(nextIV)
            nextIV += 1
        } else {
            iv = random.bytes(encryption.ivLength)
        }
        bytes.replaceSubrange(ivOffset..<start, with: iv)
        let end = bytes.count - tagLength
        guard
            let ciphertext = try? IKECipher.seal(
                encryption, key: keys.encryptionOut, iv: iv, aad: bytes[0..<ivOffset], plaintext: bytes[start..<end])
        else { return nil }
        bytes.replaceSubrange(start..<start + ciphertext.count, with: ciphertext)
        if let integrity = suite.integrity, let key = keys.integrityOut {
            bytes.replaceSubrange(end..., with: integrity.tag(key: key, [bytes[0..<end]]))
        }
        return bytes
    }

    /// Verifies and decrypts a message of the peer's and reads the payloads inside.
    ///
    /// `message` begins with the IKE header; `outer` are its payloads in the clear.
    func open(_ message: ArraySlice<UInt8>, _ outer: Payloads) throws(MessageError) -> Payloads {
        guard let encrypted = outer.encrypted else {
            throw MessageError(.unauthentic, "SK", at: Header.length, "the message is not encrypted")
        }
        let (plaintext, first) = try decrypt(message, encrypted)
        return try Payloads(first: first, plaintext[...])
    }

    private func decrypt(
        _ message: ArraySlice<UInt8>, _ encrypted: Payloads.Encrypted
    ) throws(MessageError) -> ([UInt8], UInt8) {
        guard let suite, let keys else {
            throw MessageError(.unexpected, "SK", at: encrypted.offset, "there are no keys yet")
        }
        let encryption = suite.encryption
        let tagLength = suite.integrity?.tagLength ?? encryption.tagLength
        let ivOffset = encrypted.offset + 4
        let start = ivOffset + encryption.ivLength
        let end = message.endIndex - tagLength
        guard end > start, (end - start) % encryption.blockLength == 0 else {
            throw MessageError(
                .unauthentic, "SK length", at: encrypted.offset,
                "\(message.endIndex - ivOffset) bytes cannot hold a \(encryption.rawValue) payload")
        }
        let iv = message[ivOffset..<start]
        let forged = MessageError(
            .unauthentic, "SK", at: encrypted.offset, "does not authenticate: damaged, forged, or made with other keys")
        if let integrity = suite.integrity {
            guard let key = keys.integrityIn, integrity.verify(message[end...], key: key, [message[..<end]]) else {
                throw forged
            }
        }
        var plaintext: [UInt8]
        do {
            plaintext = try IKECipher.open(
                encryption, key: keys.encryptionIn, iv: iv, aad: message[..<ivOffset],
                ciphertext: encryption.isAEAD ? message[start...] : message[start..<end])
        } catch {
            throw forged
        }
        guard let padding = plaintext.last, Int(padding) < plaintext.count else {
            throw .malformed("SK padding", at: encrypted.offset, "longer than the payload")
        }
        plaintext.removeLast(Int(padding) + 1)
        return (plaintext, encrypted.firstInner)
    }
}
