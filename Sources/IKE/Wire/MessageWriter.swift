import Base

/// Builds one message: header, then payloads chained by their next-payload bytes.
///
/// An encrypted message is laid out where it will be sent, with room for the SK header and IV, so that sealing it
/// copies nothing.
struct MessageWriter {
    private(set) var writer: ByteWriter
    /// Where the type of the next payload goes.
    private var nextPayloadOffset: Int
    /// Offset of the SK payload's generic header.
    let encryptedOffset: Int?
    let ivLength: Int

    /// Bytes in front of the first inner payload of an encrypted message.
    var plaintextOffset: Int { (encryptedOffset ?? 0) + 4 + ivLength }

    init(_ header: Header, ivLength: Int? = nil, capacity: Int = 512) {
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
            writer.patchUInt8(PayloadType.encrypted.rawValue, at: 16)
            nextPayloadOffset = writer.count
            writer.zeros(4 + ivLength)
        }
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

    mutating func add(nonce: [UInt8]) { add(.nonce) { $0.append(nonce) } }

    mutating func add(initiator: [TrafficSelector], responder: [TrafficSelector]) {
        add(.selectorsInitiator) { TrafficSelector.write(initiator, to: &$0) }
        add(.selectorsResponder) { TrafficSelector.write(responder, to: &$0) }
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
        let content = writer.count - offset - 4 - ivLength + 1
        let padding = (blockLength - content % blockLength) % blockLength
        writer.zeros(padding)
        writer.uint8(UInt8(truncatingIfNeeded: padding))
        writer.zeros(tagLength)
        writer.patchUInt16(UInt16(truncatingIfNeeded: writer.count - offset), at: offset + 2)
        writer.patchUInt32(UInt32(truncatingIfNeeded: writer.count), at: 24)
        return writer.bytes
    }
}
