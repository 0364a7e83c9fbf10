import Base

/// The 28 bytes in front of every IKE message (RFC 7296 §3.1).
struct Header: Hashable, Sendable {
    static let length = 28
    static let initiatorFlag: UInt8 = 0x08
    static let responseFlag: UInt8 = 0x20
    /// Bytes of the largest message that we read or write: one UDP datagram.
    static let largestMessage = 65_507

    var initiatorSPI: UInt64
    var responderSPI: UInt64
    var nextPayload: UInt8
    var majorVersion: UInt8
    var minorVersion: UInt8
    /// The number on the wire; ``ExchangeType`` for those we know.
    var exchange: UInt8
    var flags: UInt8
    var messageID: UInt32
    var messageLength: UInt32

    var isResponse: Bool { flags & Self.responseFlag != 0 }
    /// Set on messages from the peer that initiated the IKE SA.
    var isFromInitiator: Bool { flags & Self.initiatorFlag != 0 }

    /// Reads the header and checks that the message is as long as it says.
    init(_ message: ArraySlice<UInt8>) throws(MessageError) {
        var reader = ByteReader(message)
        let start = message.startIndex
        guard message.count >= Self.length else {
            throw .malformed("header", at: start, "a message has at least 28 bytes, this one has \(message.count)")
        }
        (initiatorSPI, responderSPI, nextPayload) = try reading("header") { () throws(ByteReader.Truncated) in
            (try reader.uint64(), try reader.uint64(), try reader.uint8())
        }
        let version = try reading("header version") { () throws(ByteReader.Truncated) in try reader.uint8() }
        majorVersion = version >> 4
        minorVersion = version & 15
        (exchange, flags, messageID, messageLength) = try reading("header") { () throws(ByteReader.Truncated) in
            (try reader.uint8(), try reader.uint8(), try reader.uint32(), try reader.uint32())
        }
        guard Int(messageLength) == message.count else {
            throw .malformed(
                "header length", at: start + 24, "says \(messageLength) bytes, the datagram has \(message.count)")
        }
    }

    init(
        initiatorSPI: UInt64, responderSPI: UInt64, exchange: UInt8, flags: UInt8, messageID: UInt32,
        majorVersion: UInt8 = 2
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        nextPayload = 0
        self.majorVersion = majorVersion
        minorVersion = 0
        self.exchange = exchange
        self.flags = flags
        self.messageID = messageID
        messageLength = 0
    }
}
