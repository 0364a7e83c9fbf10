import Base
import Cryptography

/// The Encrypted payload of an IKE SA (RFC 7296 §3.14, RFC 5282).
extension IKESA {
    /// Builds, encrypts and authenticates a message of ours; its fragments, one behind another, when it is too large
    /// for one datagram.
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
        let length = message.sealedLength(blockLength: encryption.blockLength, tagLength: tagLength)
        if let limit = largestMessage, length > limit {
            let (first, content) = message.content
            return sealFragments(header, first: first, content, limit: limit, random: &random)
        }
        guard length <= Header.largestMessage else { return nil }
        let ivOffset = message.ivOffset
        var bytes = message.layout(blockLength: encryption.blockLength, tagLength: tagLength)
        return protect(&bytes, suite, keys, ivOffset: ivOffset, random: &random) ? bytes : nil
    }

    /// Encrypts and authenticates a message that is laid out, in place; false when OpenSSL refuses.
    private mutating func protect(
        _ bytes: inout [UInt8], _ suite: IKESuite, _ keys: IKEKeys, ivOffset: Int, random: inout SeededRandom
    ) -> Bool {
        let encryption = suite.encryption
        let iv: [UInt8]
        if encryption.isAEAD {
            iv = KeySchedule.bytes(nextIV)
            nextIV += 1
        } else {
            iv = random.bytes(encryption.ivLength)
        }
        let start = ivOffset + encryption.ivLength
        bytes.replaceSubrange(ivOffset..<start, with: iv)
        let end = bytes.count - (suite.integrity?.tagLength ?? encryption.tagLength)
        guard
            let ciphertext = try? IKECipher.seal(
                encryption, key: keys.encryptionOut, iv: iv, aad: bytes[0..<ivOffset], plaintext: bytes[start..<end])
        else { return false }
        bytes.replaceSubrange(start..<start + ciphertext.count, with: ciphertext)
        if let integrity = suite.integrity, let key = keys.integrityOut {
            bytes.replaceSubrange(end..., with: integrity.tag(key: key, [bytes[0..<end]]))
        }
        return true
    }

    // MARK: - Fragments (RFC 7383 §2.5)

    /// The fragments of a message, one behind another, none longer than `limit`.
    private mutating func sealFragments(
        _ header: Header, first: UInt8, _ content: ArraySlice<UInt8>, limit: Int, random: inout SeededRandom
    ) -> [UInt8]? {
        guard let suite, let keys else { return nil }
        let encryption = suite.encryption
        let tagLength = suite.integrity?.tagLength ?? encryption.tagLength
        let overhead = Header.length + 8 + encryption.ivLength + tagLength
        // Whole blocks, of which the last byte is the length of the padding.
        let room = (limit - overhead) / encryption.blockLength * encryption.blockLength - 1
        guard room > 0 else { return nil }
        let total = (content.count + room - 1) / room
        guard total <= Reassembly.mostFragments else { return nil }
        var messages: [UInt8] = []
        messages.reserveCapacity(content.count + total * (overhead + encryption.blockLength))
        for index in 0..<total {
            let start = content.startIndex + index * room
            let fragment = Payloads.Encrypted.Fragment(
                number: UInt16(truncatingIfNeeded: index + 1), total: UInt16(truncatingIfNeeded: total))
            var message = MessageWriter(
                header, ivLength: encryption.ivLength, fragment: fragment, capacity: limit)
            message.add(part: content[start..<min(start + room, content.endIndex)], first: index == 0 ? first : 0)
            let ivOffset = message.ivOffset
            var bytes = message.layout(blockLength: encryption.blockLength, tagLength: tagLength)
            guard protect(&bytes, suite, keys, ivOffset: ivOffset, random: &random) else { return nil }
            messages += bytes
        }
        return messages
    }

    /// The same message of ours in the pieces that ``fragmentSize`` now allows; nil when it has none to cut.
    mutating func refragment(_ messages: [UInt8], random: inout SeededRandom) -> [UInt8]? {
        guard let limit = largestMessage, SealedMessages.each(messages).contains(where: { $0.count > limit }) else {
            return nil
        }
        var first: UInt8 = 0
        var content: [UInt8] = []
        var header: Header?
        for message in SealedMessages.each(messages) {
            let copy = Array(message)
            guard let own = try? Header(copy[...]),
                let encrypted = (try? Payloads(first: own.nextPayload, copy.dropFirst(Header.length)))?.encrypted,
                let part = try? decrypt(copy[...], encrypted, isOurs: true)
            else { return nil }
            if header == nil { (header, first) = (own, encrypted.firstInner) }
            content += part
        }
        guard let header else { return nil }
        return sealFragments(header, first: first, content[...], limit: limit, random: &random)
    }

    /// Verifies and decrypts the content of SK, or the part in SKF. `message` begins with the IKE header.
    ///
    /// What does not authenticate throws a fault `.unauthentic`, whatever else is wrong with it.
    func decrypt(
        _ message: ArraySlice<UInt8>, _ encrypted: Payloads.Encrypted, isOurs: Bool = false
    ) throws(MessageError) -> [UInt8] {
        guard let suite, let keys else {
            throw MessageError(.unexpected, "SK", at: encrypted.offset, "there are no keys yet")
        }
        let encryption = suite.encryption
        let tagLength = suite.integrity?.tagLength ?? encryption.tagLength
        let ivOffset = encrypted.ivOffset
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
            guard let key = isOurs ? keys.integrityOut : keys.integrityIn,
                integrity.verify(message[end...], key: key, [message[..<end]])
            else { throw forged }
        }
        var plaintext: [UInt8]
        do {
            plaintext = try IKECipher.open(
                encryption, key: isOurs ? keys.encryptionOut : keys.encryptionIn, iv: iv, aad: message[..<ivOffset],
                ciphertext: encryption.isAEAD ? message[start...] : message[start..<end])
        } catch {
            throw forged
        }
        guard let padding = plaintext.last, Int(padding) < plaintext.count else {
            throw .malformed("SK padding", at: encrypted.offset, "longer than the payload")
        }
        plaintext.removeLast(Int(padding) + 1)
        return plaintext
    }
}
