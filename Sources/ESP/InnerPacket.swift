public import Base

/// What a gateway needs to know of an IP packet: read once, from any bytes.
public struct InnerPacket: Hashable, Sendable {
    public var source: IPAddress
    public var destination: IPAddress
    /// Bytes of the packet by its own header; what follows is padding (RFC 4303 §2.7).
    public var length: Int
    /// IP protocol of what the headers carry; extension headers of IPv6 are passed over.
    public var ipProtocol: UInt8
    /// Where the transport header begins.
    public var transportOffset: Int
    /// Ports, or type and code of ICMP as RFC 4301 §4.4.1.1 puts them (`type << 8 | code` as source port).
    /// Nil when there are none or the packet is a later fragment.
    public var ports: Ports?
    /// A piece of a larger packet.
    public var isFragment: Bool
    /// The packet must not be fragmented: DF of IPv4, always for IPv6.
    public var mustNotFragment: Bool
    /// TOS or traffic class.
    public var trafficClass: UInt8

    public struct Ports: Hashable, Sendable {
        public var source: UInt16
        public var destination: UInt16
    }

    public var isIPv4: Bool { source.isIPv4 }

    /// Nil unless the bytes begin with an IPv4 or IPv6 header whose length fits inside them.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 20 else { return nil }
        switch bytes[0] >> 4 {
        case 4: self.init(version4: bytes)
        case 6: self.init(version6: bytes)
        default: return nil
        }
    }

    private init?(version4 bytes: UnsafeRawBufferPointer) {
        let headerLength = Int(bytes[0] & 15) * 4
        let total = Int(bytes.uint16(2))
        guard headerLength >= 20, total >= headerLength, total <= bytes.count else { return nil }
        let fragment = bytes.uint16(6)
        source = .v4(bytes.uint32(12))
        destination = .v4(bytes.uint32(16))
        length = total
        ipProtocol = bytes[9]
        transportOffset = headerLength
        isFragment = fragment & 0x3FFF != 0
        mustNotFragment = fragment & 0x4000 != 0
        trafficClass = bytes[1]
        ports = fragment & 0x1FFF == 0 ? Self.ports(bytes, bytes[9], headerLength, total) : nil
    }

    private init?(version6 bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 40 else { return nil }
        let total = 40 + Int(bytes.uint16(4))
        guard total <= bytes.count else { return nil }
        source = .v6(bytes.uint128(8))
        destination = .v6(bytes.uint128(24))
        length = total
        mustNotFragment = true
        trafficClass = UInt8(truncatingIfNeeded: bytes.uint16(0) >> 4)
        isFragment = false
        var next = bytes[6]
        var offset = 40
        var isLaterFragment = false
        // A chain longer than eight headers is left where it stands: it has no ports then.
        walk: for _ in 0..<8 {
            switch next {
            case 0, 43, 60, 135:
                guard offset + 8 <= total else { break walk }
                next = bytes[offset]
                offset += 8 + Int(bytes[offset + 1]) * 8
            case 44:
                guard offset + 8 <= total else { break walk }
                isFragment = true
                isLaterFragment = bytes.uint16(offset + 2) & 0xFFF8 != 0
                next = bytes[offset]
                offset += 8
                if isLaterFragment { break walk }
            case 51:
                guard offset + 8 <= total else { break walk }
                next = bytes[offset]
                offset += 8 + Int(bytes[offset + 1]) * 4
            default: break walk
            }
        }
        ipProtocol = next
        transportOffset = min(offset, total)
        ports = isLaterFragment || offset > total ? nil : Self.ports(bytes, next, offset, total)
    }

    private static func ports(_ bytes: UnsafeRawBufferPointer, _ ipProtocol: UInt8, _ offset: Int, _ end: Int) -> Ports?
    {
        switch ipProtocol {
        case 6, 17, 33, 132, 136:
            guard offset + 4 <= end else { return nil }
            return Ports(source: bytes.uint16(offset), destination: bytes.uint16(offset + 2))
        case 1, 58:
            guard offset + 2 <= end else { return nil }
            return Ports(source: bytes.uint16(offset), destination: bytes.uint16(offset))
        default: return nil
        }
    }
}
