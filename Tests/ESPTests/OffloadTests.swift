import Base
import ESP
import Testing

/// What a coalescer gave out, joined to whole packets.
private final class Collector {
    var packets: [(bytes: [UInt8], offload: TCPCoalescer.Offload)] = []

    /// Offers all packets, each in memory of its own, and flushes.
    static func joined(_ packets: [[UInt8]]) -> Collector {
        let collector = Collector()
        let coalescer = TCPCoalescer()
        let sink: TCPCoalescer.Sink = { parts, offload in
            collector.packets.append((parts.flatMap { Array($0) }, offload))
        }
        var memory: [UnsafeMutableRawBufferPointer] = []
        for packet in packets {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: packet.count, alignment: 8)
            copy.copyBytes(from: packet)
            memory.append(copy)
            if let inner = read(packet) { coalescer.offer(copy, inner, sink) }
        }
        coalescer.flush(sink)
        for buffer in memory { buffer.deallocate() }
        #expect(coalescer.isEmpty)
        return collector
    }

    /// Each packet as the kernel would cut it up again.
    var cut: [[UInt8]] {
        packets.flatMap { packet, offload -> [[UInt8]] in
            guard offload.segmentSize > 0 else { return [packet] }
            return split(packet, offload.segmentSize)
        }
    }
}

private func split(_ packet: [UInt8], _ size: Int) -> [[UInt8]] {
    guard let inner = read(packet) else { return [] }
    return packet.withUnsafeBytes { raw -> [[UInt8]] in
        guard let splitter = TCPSplitter(raw, inner, segmentSize: size) else { return [] }
        return (0..<splitter.count).map { index in
            var target = [UInt8](repeating: 0xEE, count: splitter.length(index))
            let length = target.withUnsafeMutableBytes { splitter.write(index, to: $0) }
            #expect(length == target.count && length <= splitter.largest)
            return target
        }
    }
}

private let stamps: [UInt8] = [1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4]

private func flow(
    _ count: Int, size: Int = 100, last: Int? = nil, isIPv4: Bool = true, port: UInt16 = 5000, lastFlags: UInt8 = 0x18
) -> [[UInt8]] {
    (0..<count).map { index in
        let isLast = index == count - 1
        let length = isLast ? last ?? size : size
        return tcpPacket(
            isIPv4: isIPv4, options: stamps, payload: (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ index * 3) },
            flags: isLast ? lastFlags : 0x10, sequence: UInt32.max - 150 &+ UInt32(index * size),
            identification: 65530 &+ UInt16(index), ports: (port, 80))
    }
}

@Suite struct OffloadTests {
    @Test(arguments: [true, false], [(1460, 1400, 65000), (7, 3, 30), (1000, 1000, 5000)])
    func largePacketsAreCutIntoRightOnes(isIPv4: Bool, numbers: (Int, Int, Int)) throws {
        let (size, _, total) = numbers
        var draw = Draw(UInt64(total))
        let payload = (0..<total).map { _ in UInt8.random(in: 0...255, using: &draw) }
        let large = tcpPacket(
            isIPv4: isIPv4, options: stamps, payload: payload, flags: 0x99, sequence: UInt32.max - 100,
            identification: 65535)
        let pieces = split(large, size)
        #expect(pieces.count == (total + size - 1) / size)
        let header = (isIPv4 ? 20 : 40) + 32
        #expect(pieces.flatMap { $0[header...] } == payload)
        for (index, piece) in pieces.enumerated() {
            #expect(hasRightChecksums(piece))
            #expect(read(piece)?.length == piece.count)
            let tcp = header - 32
            let sequence = piece[tcp + 4..<tcp + 8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            #expect(sequence == UInt32.max - 100 &+ UInt32(index * size))
            let isLast = index == pieces.count - 1
            #expect(piece[tcp + 13] == 0x10 | (isLast ? 0x09 : 0) | (index == 0 ? 0x80 : 0))
            if isIPv4 { #expect(UInt16(piece[4]) << 8 | UInt16(piece[5]) == 65535 &+ UInt16(index)) }
        }
    }

    @Test(arguments: [true, false])
    func packetsOfAFlowAreJoinedAndCutUpTheSame(isIPv4: Bool) throws {
        let packets = flow(40, size: 1348, last: 77, isIPv4: isIPv4)
        let collector = Collector.joined(packets)
        #expect(collector.packets.count == 1)
        let offload = try #require(collector.packets.first).offload
        #expect(offload.segmentSize == 1348 && offload.isIPv4 == isIPv4)
        #expect(offload.checksumStart == (isIPv4 ? 20 : 40) && offload.headerLength == offload.checksumStart + 32)
        #expect(collector.cut == packets)
    }

    @Test func theDeviceFinishesTheChecksumOfAJoinedPacket() throws {
        let collector = Collector.joined(flow(3))
        var (packet, offload) = try #require(collector.packets.first)
        let (start, count) = (offload.checksumStart, packet.count)
        #expect(!hasRightChecksums(packet))
        #expect(packet.withUnsafeMutableBytes { TCPSplitter.finishChecksum($0, start: start, offset: 16) })
        #expect(hasRightChecksums(packet))
        #expect(!packet.withUnsafeMutableBytes { TCPSplitter.finishChecksum($0, start: count, offset: 16) })
    }

    @Test func flowsThatAlternateAreJoinedEachForItself() {
        let (a, b) = (flow(10), flow(10, port: 6000))
        let collector = Collector.joined(zip(a, b).flatMap { [$0, $1] })
        #expect(collector.packets.count == 2)
        #expect(collector.cut == a + b)
    }

    @Test func moreFlowsThanThereIsRoomForLoseNothing() {
        let flows = (0..<20).map { flow(4, port: 7000 + UInt16($0)) }
        let collector = Collector.joined((0..<4).flatMap { index in flows.map { $0[index] } })
        func sorted(_ packets: [[UInt8]]) -> [[UInt8]] { packets.sorted { $0.lexicographicallyPrecedes($1) } }
        #expect(sorted(collector.cut) == sorted(flows.flatMap { $0 }))
    }

    @Test func aBrokenChecksumIsPassedOnUnmended() {
        var packets = flow(5)
        packets[2][60] ^= 1
        let collector = Collector.joined(packets)
        #expect(collector.cut == packets)
        #expect(collector.packets.contains { $0.bytes == packets[2] })
    }

    @Test func whateverDiffersBeginsANewPacketInOrder() {
        let base = flow(3, lastFlags: 0x10)
        let next = UInt32.max - 150 &+ 300
        let payload = [UInt8](repeating: 1, count: 100)
        let others: [[UInt8]] = [
            tcpPacket(options: stamps, payload: payload, sequence: next &+ 1, identification: 65533),
            tcpPacket(options: stamps, payload: payload, sequence: next, acknowledgement: 78, identification: 65533),
            tcpPacket(
                options: [1, 1, 8, 10, 0, 0, 1, 3, 0, 0, 3, 4], payload: payload, sequence: next,
                identification: 65533),
            tcpPacket(payload: payload, sequence: next, identification: 65533),
            tcpPacket(options: stamps, payload: payload + [1], sequence: next, identification: 65533),
            tcpPacket(options: stamps, payload: payload, sequence: next, identification: 65533, tos: 2),
            tcpPacket(options: stamps, payload: payload, flags: 0x30, sequence: next, identification: 65533),
            tcpPacket(options: stamps, flags: 0x10, sequence: next, identification: 65533),
            tcpPacket(options: stamps, payload: payload, flags: 0x14, sequence: next, identification: 65533),
        ]
        for other in others {
            let collector = Collector.joined(base + [other])
            #expect(collector.packets.count == 2)
            #expect(collector.cut == base + [other])
        }
    }

    @Test func otherProtocolsPassAtOnce() {
        let packets = [ipv4Packet(), ipv6Packet(), ipv4Packet(ipProtocol: 1)]
        #expect(Collector.joined(packets).packets.map(\.bytes) == packets)
    }
}
