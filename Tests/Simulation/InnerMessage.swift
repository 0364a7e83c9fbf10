import Base

/// A packet from inside to inside that can be told from every other: IPv4 and UDP with a number and a mark.
struct InnerMessage {
    enum Kind: UInt8 { case data, echoRequest, echoReply }

    var kind: Kind
    var number: UInt64
    var source: IPAddress
    var destination: IPAddress

    static let length = 20 + 8 + 17
    static let mark: [UInt8] = Array("clearmark".utf8.prefix(8))

    var bytes: [UInt8] {
        var bytes: [UInt8] = [0x45, 0, 0, UInt8(Self.length), 0, 0, 0x40, 0, 64, 17, 0, 0]
        bytes += source.bytes + destination.bytes
        bytes += [0x13, 0x88, 0x13, 0x88, 0, UInt8(Self.length - 20), 0, 0]
        bytes += Self.mark + [kind.rawValue]
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
        return bytes
    }

    init(_ kind: Kind, _ number: UInt64, from source: IPAddress, to destination: IPAddress) {
        self.kind = kind
        self.number = number
        self.source = source
        self.destination = destination
    }

    /// Nil unless the bytes are exactly such a packet.
    init?(_ packet: some RandomAccessCollection<UInt8>) {
        let packet = Array(packet)
        guard packet.count == Self.length, Array(packet[28..<36]) == Self.mark, let kind = Kind(rawValue: packet[36]),
            let source = IPAddress(bytes: packet[12..<16]), let destination = IPAddress(bytes: packet[16..<20])
        else { return nil }
        self.init(kind, packet[37...].reduce(0) { $0 << 8 | UInt64($1) }, from: source, to: destination)
        guard bytes == packet else { return nil }
    }
}
