import Base

/// The answer to an inner packet that is too long for the tunnel and must not be fragmented.
///
/// The tunnel interface's MTU makes the kernel fragment, or refuse, what is longer than the tunnel; so inner packets
/// are never fragmented here before encryption. This answer is for the case that the SA carries less than the
/// interface's MTU promises (a longer suite was negotiated, or NAT-T came in).
public enum PacketTooBig {
    /// Writes an ICMP "fragmentation needed" (RFC 1191 §4) or ICMPv6 "packet too big" (RFC 4443 §3.2) to the sender of
    /// `packet` into `buffer`, from the packet's own destination, naming `mtu`.
    ///
    /// Returns its length, or nil where none may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4): an answer to an ICMP error,
    /// a later fragment, a multicast packet, or a buffer under 1,280 bytes.
    public static func write(
        answering bytes: UnsafeRawBufferPointer, _ packet: InnerPacket, mtu: Int,
        into buffer: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard buffer.count >= 1280, bytes.count >= packet.length, !packet.source.isMulticast,
            !packet.source.isUnspecified, !packet.destination.isMulticast
        else { return nil }
        return packet.isIPv4 ? writeIPv4(bytes, packet, mtu, buffer) : writeIPv6(bytes, packet, mtu, buffer)
    }

    private static func writeIPv4(
        _ bytes: UnsafeRawBufferPointer, _ packet: InnerPacket, _ mtu: Int, _ buffer: UnsafeMutableRawBufferPointer
    ) -> Int? {
        // Anything but an echo may be an ICMP error.
        if packet.ipProtocol == 1 {
            guard let ports = packet.ports, [0, 8].contains(ports.source >> 8) else { return nil }
        }
        if packet.isFragment, packet.ports == nil { return nil }
        let quoted = min(packet.length, 548)
        let total = 28 + quoted
        buffer.part(0, 28).initializeMemory(as: UInt8.self, repeating: 0)
        buffer[0] = 0x45
        buffer.set(UInt16(truncatingIfNeeded: total), at: 2)
        buffer[8] = 64
        buffer[9] = 1
        buffer.part(12, 4).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[16..<20]))
        buffer.part(16, 4).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[12..<16]))
        Checksum.writeIPv4(buffer, headerLength: 20)
        buffer[20] = 3
        buffer[21] = 4
        buffer.set(UInt16(clamping: mtu), at: 26)
        buffer.part(28, quoted).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<quoted]))
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(buffer.part(20, total - 20)))
        buffer.storeBytes(of: sum.stored, toByteOffset: 22, as: UInt16.self)
        return total
    }

    private static func writeIPv6(
        _ bytes: UnsafeRawBufferPointer, _ packet: InnerPacket, _ mtu: Int, _ buffer: UnsafeMutableRawBufferPointer
    ) -> Int? {
        // ICMPv6 types below 128 are errors.
        if packet.ipProtocol == 58, (packet.ports?.source ?? 0) >> 8 < 128 { return nil }
        let quoted = min(packet.length, 1280 - 48)
        let length = 8 + quoted
        buffer.part(0, 48).initializeMemory(as: UInt8.self, repeating: 0)
        buffer[0] = 0x60
        buffer.set(UInt16(truncatingIfNeeded: length), at: 4)
        buffer[6] = 58
        buffer[7] = 64
        buffer.part(8, 16).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[24..<40]))
        buffer.part(24, 16).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[8..<24]))
        buffer[40] = 2
        buffer.set(UInt32(clamping: mtu), at: 44)
        buffer.part(48, quoted).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<quoted]))
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(buffer.part(8, 32)))
        sum.add(UInt16(truncatingIfNeeded: length))
        sum.add(58 as UInt16)
        sum.add(UnsafeRawBufferPointer(buffer.part(40, length)))
        buffer.storeBytes(of: sum.stored, toByteOffset: 42, as: UInt16.self)
        return 40 + length
    }
}
