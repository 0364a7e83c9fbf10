import Base
import Cryptography
import ESP

private let key = Secret([UInt8](repeating: 0x42, count: 20))
private let none = Secret([])
private let cbcKey = Secret([UInt8](repeating: 0x42, count: 16))
private let integrityKey = Secret([UInt8](repeating: 0x24, count: 20))
private let everything = SelectorPair(
    local: [Selector(IPPrefix.all(.ipv4)), Selector(IPPrefix.all(.ipv6))],
    remote: [Selector(IPPrefix.all(.ipv4)), Selector(IPPrefix.all(.ipv6))])

/// The first byte says which suite, and whether the rest is an ESP packet as a stranger sends it or the inner packets
/// of a genuine peer, each with its length.
func fuzzESPInput(_ bytes: [UInt8]) {
    guard let mode = bytes.first else { return }
    let isAEAD = mode & 1 == 0
    let encryption: EncryptionAlgorithm = isAEAD ? .aes128gcm16 : .aes128
    let integrity: IntegrityAlgorithm? = isAEAD ? nil : .sha1
    let encryptionKey = isAEAD ? key : cbcKey
    let macKey = isAEAD ? none : integrityKey
    let extended = mode & 4 != 0
    guard
        let inbound = try? InboundSA(
            spi: 0x0102_0304, encryption: encryption, integrity: integrity, encryptionKey: encryptionKey,
            integrityKey: macKey, extendedSequence: extended, replayWindow: 64, selectors: everything),
        let outbound = try? OutboundSA(
            spi: 0x0102_0304, encryption: encryption, integrity: integrity, encryptionKey: encryptionKey,
            integrityKey: macKey, extendedSequence: extended)
    else { preconditionFailure("an SA could not be made") }
    var input = InputReader(Array(bytes.dropFirst()))
    if mode & 2 == 0 {
        var packet = input.remainder()
        packet.withUnsafeMutableBytes { buffer in
            guard buffer.count >= 8 else { return }
            if case .packet = inbound.open(buffer) { preconditionFailure("a packet that no one sealed is opened") }
        }
        return
    }
    let receiver = Receiver()
    for _ in 0..<16 where !input.isAtEnd { pass(input.piece(), outbound, inbound, receiver) }
    receiver.flush()
}

/// Seals an inner packet, opens it again, and does with it what the data path does.
private func pass(_ inner: [UInt8], _ outbound: OutboundSA, _ inbound: InboundSA, _ receiver: Receiver) {
    guard !inner.isEmpty, inner.count <= 4096 else { return }
    let header = outbound.format.headerLength
    let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: outbound.format.sealedLength(inner.count), alignment: 16)
    room.initializeMemory(as: UInt8.self, repeating: 0)
    UnsafeMutableRawBufferPointer(rebasing: room[header...]).copyBytes(from: inner)
    receiver.keep(room)
    guard case .sealed(let length, _) = outbound.seal(room, length: inner.count) else { return }
    precondition(length <= room.count, "a packet longer than its room")
    let sealed = UnsafeMutableRawBufferPointer(rebasing: room[0..<length])
    let copy = Array(sealed)
    switch inbound.open(sealed) {
    case .packet(let packet, let offset, _):
        precondition(offset + packet.length <= length, "an inner packet longer than what was opened")
        receiver.take(UnsafeMutableRawBufferPointer(rebasing: sealed[offset..<offset + packet.length]), packet)
    case .dummy, .malformed, .outsideSelectors: break
    case .replayed, .forged: preconditionFailure("what we sealed does not open")
    }
    // The same packet again.
    var again = copy
    again.withUnsafeMutableBytes { buffer in
        if case .packet = inbound.open(buffer) { preconditionFailure("a replayed packet is opened") }
    }
}

/// The way from a genuine inner packet to the device: MSS, coalescing, splitting, answers to packets that are too big.
private final class Receiver {
    private let clamp = MSSClamp(mtu: 1400)
    private let coalescer = TCPCoalescer()
    private var kept: [UnsafeMutableRawBufferPointer] = []
    private var offered = 0
    private var emitted = 0

    deinit { kept.forEach { $0.deallocate() } }

    func keep(_ room: UnsafeMutableRawBufferPointer) { kept.append(room) }

    func take(_ bytes: UnsafeMutableRawBufferPointer, _ packet: InnerPacket) {
        _ = clamp.apply(bytes, packet)
        precondition(InnerPacket(UnsafeRawBufferPointer(bytes)) != nil, "the clamp has broken a packet")
        answerTooBig(bytes, packet)
        split(bytes, packet)
        offered += 1
        coalescer.offer(bytes, packet) { parts, _ in emitted += parts.count }
    }

    func flush() {
        coalescer.flush { parts, _ in emitted += parts.count }
        precondition(emitted == offered && coalescer.isEmpty, "the coalescer lost or made up a packet")
    }

    private func answerTooBig(_ bytes: UnsafeMutableRawBufferPointer, _ packet: InnerPacket) {
        var answer = [UInt8](repeating: 0, count: 1500)
        answer.withUnsafeMutableBytes { buffer in
            guard let length = PacketTooBig.write(answering: .init(bytes), packet, mtu: 1280, into: buffer) else {
                return
            }
            precondition(length <= 1280, "an answer longer than every link carries")
            precondition(InnerPacket(UnsafeRawBufferPointer(buffer)) != nil, "an answer that is no packet")
        }
    }

    private func split(_ bytes: UnsafeMutableRawBufferPointer, _ packet: InnerPacket) {
        guard let splitter = TCPSplitter(.init(bytes), packet, segmentSize: 100) else { return }
        var target = [UInt8](repeating: 0, count: splitter.largest)
        target.withUnsafeMutableBytes { buffer in
            for index in 0..<splitter.count {
                let length = splitter.write(index, to: buffer)
                precondition(length == splitter.length(index) && length <= buffer.count, "a piece of a wrong length")
            }
        }
    }
}

func espInputSeeds() -> [[UInt8]] {
    // IPv4 with TCP and an MSS option, IPv4 with ICMP, IPv6 with a destination option before UDP.
    let tcp: [UInt8] = [
        0x45, 0, 0, 48, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x70,
        2, 0xFF, 0xFF, 0, 0, 0, 0, 2, 4, 5, 0xB4, 1, 1, 0, 0,
    ]
    var data: [UInt8] = [
        0x45, 0, 0, 240, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1,
        0x50, 0x10, 0xFF, 0xFF, 0, 0, 0, 0,
    ]
    data += [UInt8](repeating: 7, count: 200)
    var next = data
    next[5] = 2
    next[27] = 201
    let icmp: [UInt8] = [
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0, 0, 1, 0, 1,
    ]
    let udp6: [UInt8] =
        [0x60, 0, 0, 0, 0, 16, 60, 64] + [UInt8](repeating: 1, count: 32) + [17, 0, 1, 4, 0, 0, 0, 0]
        + [0, 53, 0, 53, 0, 8, 0, 0]
    func genuine(_ mode: UInt8, _ packets: [[UInt8]]) -> [UInt8] {
        [mode] + packets.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 0xFF)] + $0 }
    }
    return [
        genuine(2, [tcp]), genuine(3, [icmp, tcp]), genuine(6, [udp6]), genuine(2, [data, next]),
        [0] + [1, 2, 3, 4, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 60),
        [1] + [1, 2, 3, 4, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 76),
    ]
}
