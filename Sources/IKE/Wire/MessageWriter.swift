import Base

/// Builds one message: header, then payloads chained by their next-payload bytes.
///
/// An encrypted message is laid out where it will be sent, with room for the SK header and IV, so that sealing it
/// copies nothing.
struct MessageWriter {
    private(set) var writer: ByteWriter
    /// Where the type of the next payload goes.
    private var nextPayloadOffset: Int
    /// Offset of the generic header of SK or SKF.
    let encryptedOffset: Int?
    /// Where the IV goes, behind the SK header or the longer one of SKF.
    let ivOffset: Int
    let ivLength: Int

    /// Bytes in front of the first inner payload of an encrypted message.
    var plaintextOffset: Int { ivOffset + ivLength }

    /// Begins a message; an encrypted one when there is an IV, one of its fragments when `fragment` says which
    /// (RFC 7383 §2.5).
    init(
        _ header: Header, ivLength: Int? = nil, fragment: Payloads.Encrypted.Fragment? = nil, capacity: Int = 512
    ) {
        var writer = ByteWriter(capacity: capacity)
        writer.uint64(header.initiatorSPI)
        writer.uint64(header.responderSPI)
        writer.uint8(0)
        writer.uint8(header.majorVersion << 4 | header.minorVersion)
        writer.uint8(header.exchange)
        writer.uint8(header.flags)
        writer.uint32(header.messageID)
        writer.uint32(0)
        nextPayloadOffset = 16
        encryptedOffset = ivLength == nil ? nil : Header.length
        self.ivLength = ivLength ?? 0
        if let ivLength {
            let type = fragment == nil ? PayloadType.encrypted : .encryptedFragment
            writer.patchUInt8(type.rawValue, at: 16)
            nextPayloadOffset = writer.count
            writer.uint32(0)
            if let fragment {
                writer.uint16(fragment.number)
                writer.uint16(fragment.total)
            }
            writer.zeros(ivLength)
        }
        ivOffset = writer.count - self.ivLength
        self.writer = writer
    }

    /// Appends a payload; `body` writes what follows its generic header.
    mutating func add(_ type: PayloadType, _ body: (inout ByteWriter) -> Void) {
        writer.patchUInt8(type.rawValue, at: nextPayloadOffset)
        let start = writer.count
        nextPayloadOffset = start
        writer.uint32(0)
        body(&writer)
        writer.patchUInt16(UInt16(truncatingIfNeeded: writer.count - start), at: start + 2)
    }

    mutating func add(_ notify: Notify) { add(.notify) { notify.write(to: &$0) } }

    mutating func add(_ type: NotifyType, _ data: [UInt8] = []) { add(Notify(type, data: data)) }

    mutating func add(_ delete: Delete) { add(.delete) { delete.write(to: &$0) } }

    mutating func add(proposals: [Proposal]) {
        add(.securityAssociation) { Proposal.write(proposals, to: &$0) }
    }

    mutating func add(group: UInt16, publicValue: [UInt8]) {
        add(.keyExchange) {
            $0.uint16(group)
            $0.uint16(0)
            $0.append(publicValue)
        }
    }

    mutating func add(certificate der: [UInt8]) {
        add(.certificate) {
            $0.uint8(Payloads.CertificateData.x509)
            $0.append(der)
        }
    }

    /// Asks for a certificate that one of these CAs has issued; each by the hash of its key.
    mutating func add(requesting authorities: [[UInt8]]) {
        add(.certificateRequest) {
            $0.uint8(Payloads.CertificateData.x509)
            for hash in authorities { $0.append(hash) }
        }
    }

    mutating func add(authentication method: UInt8, _ data: [UInt8]) {
        add(.authentication) {
            $0.uint8(method)
            $0.zeros(3)
            $0.append(data)
        }
    }

    mutating func add(nonce: [UInt8]) { add(.nonce) { $0.append(nonce) } }

    mutating func add(initiator: [TrafficSelector], responder: [TrafficSelector]) {
        add(.selectorsInitiator) { TrafficSelector.write(initiator, to: &$0) }
        add(.selectorsResponder) { TrafficSelector.write(responder, to: &$0) }
    }

    /// Writes a part of a message's content, which begins with a payload of type `first`; 0 except in fragment 1.
    mutating func add(part: ArraySlice<UInt8>, first: UInt8) {
        writer.patchUInt8(first, at: nextPayloadOffset)
        writer.append(part)
    }

    /// How long the message will be once it is padded and has its ICV.
    func sealedLength(blockLength: Int, tagLength: Int) -> Int {
        let content = writer.count - plaintextOffset + 1
        return plaintextOffset + (content + blockLength - 1) / blockLength * blockLength + tagLength
    }

    /// The type of the first inner payload, and the content so far.
    var content: (first: UInt8, bytes: ArraySlice<UInt8>) {
        (writer.bytes[encryptedOffset ?? 0], writer.bytes[plaintextOffset...])
    }

    /// The finished message without encryption.
    consuming func finish() -> [UInt8] {
        writer.patchUInt32(UInt32(truncatingIfNeeded: writer.count), at: 24)
        return writer.bytes
    }

    /// The message with its SK payload padded and room for the ICV, its lengths final, ready to be sealed in place.
    /// `blockLength` is what the content is padded to.
    consuming func layout(blockLength: Int, tagLength: Int) -> [UInt8] {
        let offset = encryptedOffset ?? 0
        let content = writer.count - plaintextOffset + 1
        let padding = (blockLength - content % blockLength) % blockLength
        writer.zeros(padding)
        writer.uint8(UInt8(truncatingIfNeeded: padding))
        writer.zeros(tagLength)
        writer.patchUInt16(UInt16(truncatingIfNeeded: writer.count - offset), at: offset + 2)
        writer.patchUInt32(UInt32(truncatingIfNeeded: writer.count), at: 24)
        return writer.bytes
    }
}
