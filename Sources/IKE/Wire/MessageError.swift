import Base

/// Why a message was refused: whose fault it is, which field, and where in the datagram.
struct MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    enum Fault: String, Sendable, Hashable {
        /// The bytes are no IKEv2 message.
        case malformed
        /// The message does not authenticate: forged, damaged, or made with other keys.
        case unauthentic
        /// A well-formed message breaks a rule of the protocol.
        case misbehaved
        /// An honest peer wants something that we do not do.
        case incompatible
        /// Nothing here knows the SA or waits for the message: late, repeated, or never ours.
        case unexpected
    }

    var fault: Fault
    /// The payload and field, such as `SA proposal 2 transform 1 length`.
    var field: String
    /// Bytes from the start of the IKE header, or of the decrypted content for fields inside SK.
    var offset: Int
    var reason: String
    /// The error notify that a peer who is told of this gets; nil where RFC 7296 wants silence.
    var answer: NotifyType?
    /// The data of that notify.
    var answerData: [UInt8] = []

    init(
        _ fault: Fault, _ field: String, at offset: Int, _ reason: String, answer: NotifyType? = nil,
        answerData: [UInt8] = []
    ) {
        self.fault = fault
        self.field = field
        self.offset = offset
        self.reason = reason
        self.answer = answer
        self.answerData = answerData
    }

    static func malformed(_ field: String, at offset: Int, _ reason: String) -> MessageError {
        MessageError(.malformed, field, at: offset, reason, answer: .invalidSyntax)
    }

    static func truncated(_ field: String, _ error: ByteReader.Truncated) -> MessageError {
        malformed(field, at: error.offset, error.description)
    }

    var description: String { "\(field) at offset \(offset): \(reason)" }
}

/// Runs `body` and names the field that a read past the end belongs to.
@inline(__always)
func reading<Value>(
    _ field: @autoclosure () -> String, _ body: () throws(ByteReader.Truncated) -> Value
) throws(MessageError) -> Value {
    do {
        return try body()
    } catch {
        throw .truncated(field(), error)
    }
}
