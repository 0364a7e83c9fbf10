import Base

/// Joins TCP packets of one flow that follow one another into one large packet, so that the kernel walks its stack
/// once for all of them. The reverse of ``TCPSplitter``, and like it invisible to both ends.
///
/// Packets are not copied: what it holds are pointers, so the owner must call ``flush(_:)`` before it uses the buffers
/// again. Not Sendable: it belongs to one thread.
public final class TCPCoalescer {
    /// What to tell the device of a packet.
    public struct Offload: Hashable, Sendable {
        /// Payload of each TCP packet; 0 for a packet that stands for itself.
        public var segmentSize = 0
        public var isIPv4 = true
        /// Bytes of the IP header, where the checksum begins.
        public var checksumStart = 0
        /// Bytes of all headers.
        public var headerLength = 0

        public init() {}
    }

    /// Takes the parts of one packet, in order.
    public typealias Sink = (UnsafeBufferPointer<UnsafeMutableRawBufferPointer>, Offload) -> Void

    private struct Run {
        var source = IPAddress.v4(0)
        var destination = IPAddress.v4(0)
        var ports = InnerPacket.Ports(source: 0, destination: 0)
        var isIPv4 = true
        var tcp = 0
        var headerLength = 0
        var segmentSize = 0
        var total = 0
        var nextSequence: UInt32 = 0
        var nextID: UInt16 = 0
        var lastFlags: UInt8 = 0
        var parts = 0
    }

    private static let runCount = 8
    private static let partCount = 64
    private var runs = [Run](repeating: Run(), count: runCount)
    private let parts: UnsafeMutablePointer<UnsafeMutableRawBufferPointer>
    private var used = 0
    private var victim = 0

    public init() {
        parts = .allocate(capacity: Self.runCount * Self.partCount)
        parts.initialize(
            repeating: UnsafeMutableRawBufferPointer(start: nil, count: 0), count: Self.runCount * Self.partCount)
    }

    deinit { parts.deallocate() }

    /// Whether nothing is held back.
    public var isEmpty: Bool { used == 0 }

    /// Takes the packet in `bytes`, exactly as long as its header says. What must go out ahead of it, or need not wait,
    /// goes to `sink` at once.
    public func offer(_ bytes: UnsafeMutableRawBufferPointer, _ inner: InnerPacket, _ sink: Sink) {
        guard inner.ipProtocol == 6, let ports = inner.ports else { return pass(bytes, sink) }
        let tcp = inner.transportOffset
        let slot = runs.firstIndex {
            $0.parts > 0 && $0.ports == ports && $0.source == inner.source && $0.destination == inner.destination
        }
        guard let candidate = mergeable(bytes, inner, tcp) else {
            // Packets of one flow keep their order.
            if let slot { emit(slot, sink) }
            return pass(bytes, sink)
        }
        if let slot {
            if append(bytes, candidate, tcp, to: slot, sink) { return }
            emit(slot, sink)
        }
        start(bytes, inner, ports, tcp, candidate, sink)
    }

    /// Sends on everything that was held back.
    public func flush(_ sink: Sink) {
        guard used > 0 else { return }
        for slot in 0..<Self.runCount where runs[slot].parts > 0 { emit(slot, sink) }
    }

    private struct Candidate {
        var headerLength: Int
        var payloadLength: Int
        var flags: UInt8
    }

    /// A plain data segment: no fragment, no IP options, no flags but ACK, PSH and FIN, and a right checksum (the
    /// joined packet gets a new one, which must not hide an error).
    private func mergeable(_ bytes: UnsafeMutableRawBufferPointer, _ inner: InnerPacket, _ tcp: Int) -> Candidate? {
        guard !inner.isFragment, tcp == (inner.isIPv4 ? 20 : 40), tcp + 20 <= bytes.count, bytes.count == inner.length
        else { return nil }
        let header = tcp + Int(bytes[tcp + 12] >> 4) * 4
        let flags = bytes[tcp + 13]
        guard header >= tcp + 20, header < bytes.count, flags & ~0x09 == 0x10 else { return nil }
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(inner.isIPv4 ? bytes.part(12, 8) : bytes.part(8, 32)))
        sum.add(6 as UInt16)
        sum.add(UInt16(truncatingIfNeeded: bytes.count - tcp))
        sum.add(UnsafeRawBufferPointer(bytes.part(tcp, bytes.count - tcp)))
        guard sum.folded == 0xFFFF else { return nil }
        return Candidate(headerLength: header, payloadLength: bytes.count - header, flags: flags)
    }

    private func start(
        _ bytes: UnsafeMutableRawBufferPointer, _ inner: InnerPacket, _ ports: InnerPacket.Ports, _ tcp: Int,
        _ candidate: Candidate, _ sink: Sink
    ) {
        // PSH says that no more follows for now.
        guard candidate.flags & 0x09 == 0 else { return pass(bytes, sink) }
        let slot: Int
        if let free = runs.firstIndex(where: { $0.parts == 0 }) {
            slot = free
        } else {
            slot = victim
            victim = (victim + 1) % Self.runCount
            emit(slot, sink)
        }
        runs[slot] = Run(
            source: inner.source, destination: inner.destination, ports: ports, isIPv4: inner.isIPv4, tcp: tcp,
            headerLength: candidate.headerLength, segmentSize: candidate.payloadLength, total: bytes.count,
            nextSequence: bytes.uint32(tcp + 4) &+ UInt32(truncatingIfNeeded: candidate.payloadLength),
            nextID: inner.isIPv4 ? bytes.uint16(4) &+ 1 : 0, lastFlags: candidate.flags, parts: 1)
        parts[slot * Self.partCount] = bytes
        used += 1
    }

    /// False when the packet does not continue the run.
    private func append(
        _ bytes: UnsafeMutableRawBufferPointer, _ candidate: Candidate, _ tcp: Int, to slot: Int, _ sink: Sink
    ) -> Bool {
        let run = runs[slot]
        let first = parts[slot * Self.partCount]
        guard run.headerLength == candidate.headerLength, bytes.uint32(tcp + 4) == run.nextSequence,
            candidate.payloadLength <= run.segmentSize, run.parts < Self.partCount,
            run.total + candidate.payloadLength <= 65535,
            // The same acknowledgement and the same options; then the same outside of TCP: version, class, TTL, DF.
            bytes.uint32(tcp + 8) == first.uint32(tcp + 8), hasEqualOptions(bytes, first, run),
            bytes.uint16(0) == first.uint16(0)
        else { return false }
        if run.isIPv4 {
            // Without DF the identification matters: cutting the packet up again counts it upwards.
            guard bytes[8] == first[8], bytes.uint16(6) == first.uint16(6),
                bytes.uint16(6) & 0x4000 != 0 || bytes.uint16(4) == run.nextID
            else { return false }
        } else {
            guard bytes.uint16(2) == first.uint16(2), bytes[7] == first[7] else { return false }
        }
        parts[slot * Self.partCount + run.parts] = bytes.part(candidate.headerLength, candidate.payloadLength)
        runs[slot].parts += 1
        runs[slot].total += candidate.payloadLength
        runs[slot].nextSequence &+= UInt32(truncatingIfNeeded: candidate.payloadLength)
        runs[slot].nextID &+= 1
        runs[slot].lastFlags = candidate.flags
        if candidate.payloadLength < run.segmentSize || candidate.flags & 0x09 != 0 { emit(slot, sink) }
        return true
    }

    private func hasEqualOptions(
        _ a: UnsafeMutableRawBufferPointer, _ b: UnsafeMutableRawBufferPointer, _ run: Run
    ) -> Bool {
        var at = run.tcp + 20
        // Options fill whole words.
        while at < run.headerLength {
            if a.uint32(at) != b.uint32(at) { return false }
            at += 4
        }
        return true
    }

    private func pass(_ bytes: UnsafeMutableRawBufferPointer, _ sink: Sink) {
        withUnsafePointer(to: bytes) { sink(UnsafeBufferPointer(start: $0, count: 1), Offload()) }
    }

    private func emit(_ slot: Int, _ sink: Sink) {
        let run = runs[slot]
        runs[slot].parts = 0
        used -= 1
        let start = parts + slot * Self.partCount
        var offload = Offload()
        if run.parts > 1 {
            let first = start[0]
            first[run.tcp + 13] |= run.lastFlags & 0x09
            var sum = Checksum()
            if run.isIPv4 {
                first.set(UInt16(truncatingIfNeeded: run.total), at: 2)
                Checksum.writeIPv4(first, headerLength: run.tcp)
                sum.add(UnsafeRawBufferPointer(first.part(12, 8)))
            } else {
                first.set(UInt16(truncatingIfNeeded: run.total - 40), at: 4)
                sum.add(UnsafeRawBufferPointer(first.part(8, 32)))
            }
            sum.add(6 as UInt16)
            sum.add(UInt16(truncatingIfNeeded: run.total - run.tcp))
            // The device adds the rest: the field holds the pseudo-header's part, not complemented.
            first.storeBytes(of: sum.folded, toByteOffset: run.tcp + 16, as: UInt16.self)
            offload.segmentSize = run.segmentSize
            offload.isIPv4 = run.isIPv4
            offload.checksumStart = run.tcp
            offload.headerLength = run.headerLength
        }
        sink(UnsafeBufferPointer(start: start, count: run.parts), offload)
    }
}
