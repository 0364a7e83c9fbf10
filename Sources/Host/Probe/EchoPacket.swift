import Base

/// ICMP (RFC 792) and ICMPv6 (RFC 4443) echo messages.
struct EchoPacket: Hashable, Sendable {
    var identifier: UInt16
    var sequence: UInt16
    var payload: [UInt8]

    /// The request as a raw socket takes it. The kernel fills in ICMPv6's checksum, which covers the addresses.
    func request(_ family: IPAddress.Family) -> [UInt8] {
        var writer = ByteWriter(capacity: 8 + payload.count)
        writer.uint8(family == .ipv4 ? 8 : 128)
        writer.uint8(0)
        writer.uint16(0)
        writer.uint16(identifier)
        writer.uint16(sequence)
        writer.append(payload)
        if family == .ipv4 { writer.patchUInt16(Self.checksum(writer.bytes), at: 2) }
        return writer.bytes
    }

    /// Reads an echo reply as a raw socket gives it: with the IP header for IPv4, without for IPv6. Nil for all else.
    init?(reply bytes: [UInt8], _ family: IPAddress.Family) {
        var message = bytes[...]
        if family == .ipv4 {
            // The kernel has checked the IP header, but not the message behind it.
            guard let first = bytes.first, first >> 4 == 4 else { return nil }
            let headerLength = Int(first & 15) * 4
            guard headerLength >= 20, bytes.count >= headerLength else { return nil }
            message = bytes[headerLength...]
            guard Self.checksum(message) == 0 else { return nil }
        }
        var reader = ByteReader(message)
        guard let type = try? reader.uint8(), let code = try? reader.uint8(), type == (family == .ipv4 ? 0 : 129),
            code == 0, (try? reader.uint16()) != nil, let identifier = try? reader.uint16(),
            let sequence = try? reader.uint16()
        else { return nil }
        self.init(identifier: identifier, sequence: sequence, payload: Array(reader.rest()))
    }

    init(identifier: UInt16, sequence: UInt16, payload: [UInt8]) {
        self.identifier = identifier
        self.sequence = sequence
        self.payload = payload
    }

    /// The Internet checksum (RFC 1071); 0 over a message that carries the right one.
    static func checksum(_ bytes: some Collection<UInt8>) -> UInt16 {
        var sum: UInt64 = 0
        var isHigh = true
        for byte in bytes {
            sum += isHigh ? UInt64(byte) << 8 : UInt64(byte)
            isHigh.toggle()
        }
        while sum > 0xFFFF { sum = sum >> 16 + sum & 0xFFFF }
        return ~UInt16(sum)
    }
}
