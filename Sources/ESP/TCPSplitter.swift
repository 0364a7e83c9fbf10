/// Cuts a TCP packet of up to 64 KiB, as the kernel hands it over a device with segmentation offload, into the packets
/// that go over the wire.
public struct TCPSplitter {
    private let packet: UnsafeRawBufferPointer
    private let isIPv4: Bool
    private let tcp: Int
    private let payload: Int
    private let segmentSize: Int

    /// Packets that it makes: at least one.
    public let count: Int
    /// Bytes of the longest of them.
    public let largest: Int

    /// `segmentSize` is the payload of each packet but the last. Nil unless the bytes are an unfragmented TCP packet
    /// with some payload.
    public init?(_ bytes: UnsafeRawBufferPointer, _ inner: InnerPacket, segmentSize: Int) {
        let tcp = inner.transportOffset
        guard inner.ipProtocol == 6, !inner.isFragment, segmentSize > 0, inner.length <= bytes.count,
            tcp + 20 <= inner.length
        else { return nil }
        let payload = tcp + Int(bytes[tcp + 12] >> 4) * 4
        guard payload >= tcp + 20, payload < inner.length else { return nil }
        packet = UnsafeRawBufferPointer(rebasing: bytes[0..<inner.length])
        isIPv4 = inner.isIPv4
        self.tcp = tcp
        self.payload = payload
        self.segmentSize = segmentSize
        count = (inner.length - payload + segmentSize - 1) / segmentSize
        largest = payload + min(segmentSize, inner.length - payload)
    }

    /// Bytes of the packet number `index`, from 0.
    public func length(_ index: Int) -> Int {
        payload + min(segmentSize, packet.count - payload - index * segmentSize)
    }

    /// Writes packet number `index`, complete with its checksums, to the start of `target`, which must hold
    /// ``length(_:)`` bytes. Returns that length.
    public func write(_ index: Int, to target: UnsafeMutableRawBufferPointer) -> Int {
        let start = payload + index * segmentSize
        let size = min(segmentSize, packet.count - start)
        let length = payload + size
        guard let to = target.baseAddress, let from = packet.baseAddress, target.count >= length, size > 0 else {
            return 0
        }
        to.copyMemory(from: from, byteCount: payload)
        (to + payload).copyMemory(from: from + start, byteCount: size)
        let tcpLength = length - tcp
        var sum = Checksum()
        if isIPv4 {
            target.set(UInt16(truncatingIfNeeded: length), at: 2)
            target.set(packet.uint16(4) &+ UInt16(truncatingIfNeeded: index), at: 4)
            Checksum.writeIPv4(target, headerLength: tcp)
            sum.add(UnsafeRawBufferPointer(target.part(12, 8)))
        } else {
            target.set(UInt16(truncatingIfNeeded: length - 40), at: 4)
            sum.add(UnsafeRawBufferPointer(target.part(8, 32)))
        }
        target.set(packet.uint32(tcp + 4) &+ UInt32(truncatingIfNeeded: index * segmentSize), at: tcp + 4)
        // FIN and PSH belong to the last, CWR to the first (as the kernel's own segmentation has it).
        var flags = packet[tcp + 13]
        if index < count - 1 { flags &= ~0x09 }
        if index > 0 { flags &= ~0x80 }
        target[tcp + 13] = flags
        target.storeBytes(of: 0, toByteOffset: tcp + 16, as: UInt16.self)
        sum.add(6 as UInt16)
        sum.add(UInt16(truncatingIfNeeded: tcpLength))
        sum.add(UnsafeRawBufferPointer(target.part(tcp, tcpLength)))
        target.storeBytes(of: sum.stored, toByteOffset: tcp + 16, as: UInt16.self)
        return length
    }

    /// Finishes a checksum that the kernel left to the device: over everything from `start`, stored `offset` behind it.
    /// The field already holds the sum of the pseudo-header. False when the numbers point outside.
    public static func finishChecksum(
        _ packet: UnsafeMutableRawBufferPointer, start: Int, offset: Int
    ) -> Bool {
        guard start >= 0, offset >= 0, start + offset + 2 <= packet.count else { return false }
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(packet.part(start, packet.count - start)))
        // A UDP checksum of zero would mean "none"; both forms of zero are equal in this arithmetic.
        packet.storeBytes(of: sum.stored == 0 ? 0xFFFF : sum.stored, toByteOffset: start + offset, as: UInt16.self)
        return true
    }
}
