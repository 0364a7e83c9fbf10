/// Lowers the maximum segment size that TCP announces through a tunnel (RFC 9293 §3.7.1), so that no segment is too
/// long for it even where path MTU discovery is broken.
public struct MSSClamp: Hashable, Sendable {
    /// Largest MSS let through, in bytes, for IPv4 and IPv6.
    public var ipv4: UInt16
    public var ipv6: UInt16

    /// For a tunnel that carries inner packets of `mtu` bytes; `mss` is a lower limit for IPv4 if one is set.
    public init(mtu: Int, mss: Int? = nil) {
        let limit = min(mss ?? mtu - 40, mtu - 40)
        ipv4 = UInt16(clamping: max(limit, 88))
        ipv6 = UInt16(clamping: max(limit - 20, 88))
    }

    /// Lowers the MSS option in a SYN, with the TCP checksum brought in line; any other packet is left alone.
    /// True when the packet was changed.
    @discardableResult
    public func apply(_ bytes: UnsafeMutableRawBufferPointer, _ packet: InnerPacket) -> Bool {
        let tcp = packet.transportOffset
        let end = min(packet.length, bytes.count)
        guard packet.ipProtocol == 6, packet.ports != nil, tcp + 20 <= end, bytes[tcp + 13] & 0x02 != 0 else {
            return false
        }
        let optionsEnd = tcp + Int(bytes[tcp + 12] >> 4) * 4
        guard optionsEnd <= end else { return false }
        let limit = packet.isIPv4 ? ipv4 : ipv6
        var at = tcp + 20
        while at < optionsEnd {
            switch bytes[at] {
            case 0: return false
            case 1: at += 1
            default:
                guard at + 1 < optionsEnd else { return false }
                let length = Int(bytes[at + 1])
                guard length >= 2, at + length <= optionsEnd else { return false }
                if bytes[at] == 2, length == 4 {
                    return lower(bytes, at + 2, checksumAt: tcp + 16, from: tcp, limit)
                }
                at += length
            }
        }
        return false
    }

    private func lower(
        _ bytes: UnsafeMutableRawBufferPointer, _ at: Int, checksumAt: Int, from tcp: Int, _ limit: UInt16
    ) -> Bool {
        let before = bytes.uint16(at)
        guard before > limit else { return false }
        bytes.set(limit, at: at)
        let old = bytes.loadUnaligned(fromByteOffset: checksumAt, as: UInt16.self)
        // An option behind a single NOP begins at an odd offset: the sum then sees its bytes swapped.
        let isOdd = (at - tcp) % 2 == 1
        let updated = Checksum.updated(
            old, from: isOdd ? before.byteSwapped : before, to: isOdd ? limit.byteSwapped : limit)
        bytes.storeBytes(of: updated, toByteOffset: checksumAt, as: UInt16.self)
        return true
    }
}
