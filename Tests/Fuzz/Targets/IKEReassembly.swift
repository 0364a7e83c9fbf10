import Base
import Cryptography
@testable import IKE

/// Fragments of an authenticated peer's messages (RFC 7383), honest and not.
///
/// The first byte says whether the peer has authenticated or its IKE_AUTH is under way. Then steps of a byte each: a
/// fragment with any number and total, or a whole message, cut small, whose pieces come in any order and some twice.
func fuzzIKEReassembly(_ bytes: [UInt8]) {
    var input = InputReader(bytes)
    let isHalfOpen = input.byte() & 1 != 0
    var world = isHalfOpen ? IKEWorld.halfOpen : IKEWorld.connected
    guard let spi = world.a.connections[IKEWorld.id]?.sas.sorted.first, let sender = world.a.table[spi] else {
        preconditionFailure("the peer has no IKE SA")
    }
    var peer = FragmentingPeer(sa: sender, exchange: isHalfOpen ? .ikeAuth : .informational)
    for _ in 0..<64 where !input.isAtEnd {
        let step = input.byte()
        if step & 3 == 3, !isHalfOpen {
            peer.sendWhole(step, &input, to: &world)
        } else {
            peer.sendFragment(step, &input, to: &world)
        }
        checkReassemblies(world.b)
    }
    world.driveB(Reassembly.patience + .seconds(1))
    let kept = world.b.table.spis.compactMap { world.b.table[$0]?.reassemblies.count }.reduce(0, +)
    precondition(kept == 0 && world.b.gate.heldBytes == 0, "fragments are kept for ever")
    world.end()
}

/// What unfinished messages take up is bounded, and counted right.
private func checkReassemblies(_ engine: Engine) {
    var held = 0
    for sa in engine.table.spis.compactMap({ engine.table[$0] }) {
        precondition(sa.reassemblies.count <= 2, "more than one request and one answer are being put together")
        for reassembly in sa.reassemblies {
            let cost = reassembly.parts.values.map { $0.count + Reassembly.partCost }.reduce(0, +)
            precondition(reassembly.cost == cost, "the cost of a reassembly is counted wrong")
            precondition(!reassembly.isComplete && reassembly.total <= Reassembly.mostFragments, "too many fragments")
            precondition(cost <= (sa.isHalfOpen ? Reassembly.mostHalfOpenBytes : Reassembly.mostBytes), "too large")
            if sa.isHalfOpen { held += cost }
        }
    }
    precondition(engine.gate.heldBytes == held, "what half-open SAs hold is counted wrong")
}

/// A peer with the keys of an IKE SA, which cuts its messages as the input says.
private struct FragmentingPeer {
    var sa: IKESA
    let exchange: ExchangeType
    private var random = SeededRandom(seed: [4])
    /// Message IDs under which fragments of nothing were sent.
    private var spoilt: Set<UInt32> = []

    init(sa: IKESA, exchange: ExchangeType) {
        self.sa = sa
        self.exchange = exchange
    }

    private var due: UInt32 { exchange == .ikeAuth ? 1 : sa.nextRequestID }

    /// Number, total, first payload and content as the input has them.
    mutating func sendFragment(_ step: UInt8, _ input: inout InputReader, to world: inout IKEWorld) {
        let fragment = Payloads.Encrypted.Fragment(number: UInt16(input.byte()), total: UInt16(input.byte()))
        let isResponse = step & 4 != 0
        let first = input.byte()
        var part = input.piece()
        // A little input makes much content.
        if step & 8 != 0 { part += [UInt8](repeating: 0, count: Int(input.byte()) * 64) }
        let messageID = due &+ (step & 16 != 0 ? 1 : 0)
        guard let message = seal(fragment, first: first, part[...], messageID, isResponse: isResponse) else { return }
        if !isResponse { spoilt.insert(messageID) }
        deliver(message, &world)
    }

    /// A request of ours in pieces, of which the engine must make the same request again.
    mutating func sendWhole(_ step: UInt8, _ input: inout InputReader, to world: inout IKEWorld) {
        var cutting = sa
        let messageID = due
        let mustCome = !spoilt.contains(messageID) && world.b.isAlive(sa.peerSPI)
        cutting.fragmentSize = 160 + UInt16(input.byte())
        let content = input.piece().prefix(2048)
        let sealed = cutting.seal(exchange, messageID: messageID, isResponse: false, random: &random) { message in
            message.add(NotifyType(rawValue: 40_960), Array(content))
        }
        sa.nextIV = cutting.nextIV
        guard let sealed else { return }
        var waiting = SealedMessages.each(sealed).map { [UInt8]($0) }
        while !waiting.isEmpty {
            let choice = input.byte()
            let index = Int(choice & 0x7F) % waiting.count
            deliver(waiting[index], &world)
            if choice & 0x80 == 0 { waiting.remove(at: index) }
            // The end of the input takes every piece once.
            if input.isAtEnd {
                for message in waiting { deliver(message, &world) }
                waiting = []
            }
        }
        let isAccepted = world.b.table[sa.peerSPI]?.nextPeerRequestID == messageID &+ 1
        precondition(isAccepted || !mustCome, "a whole message did not come out of its fragments")
    }

    private mutating func deliver(_ message: [UInt8], _ world: inout IKEWorld) {
        world.toB(.datagram(message, IKEWorld.pathAtB))
        // The next request has the number that the other side waits for.
        if exchange != .ikeAuth, let next = world.b.table[sa.peerSPI]?.nextPeerRequestID { sa.nextRequestID = next }
    }

    private mutating func seal(
        _ fragment: Payloads.Encrypted.Fragment, first: UInt8, _ part: ArraySlice<UInt8>, _ messageID: UInt32,
        isResponse: Bool
    ) -> [UInt8]? {
        guard let suite = sa.suite, let keys = sa.keys else { return nil }
        let header = Header(
            initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, exchange: exchange.rawValue,
            flags: Header.initiatorFlag | (isResponse ? Header.responseFlag : 0), messageID: messageID)
        var message = MessageWriter(header, ivLength: suite.encryption.ivLength, fragment: fragment)
        message.add(part: part, first: first)
        let ivOffset = message.ivOffset
        var bytes = message.layout(blockLength: suite.encryption.blockLength, tagLength: suite.encryption.tagLength)
        let start = ivOffset + suite.encryption.ivLength
        let iv = KeySchedule.bytes(sa.nextIV)
        sa.nextIV += 1
        bytes.replaceSubrange(ivOffset..<start, with: iv)
        let ciphertext = try? IKECipher.seal(
            suite.encryption, key: keys.encryptionOut, iv: iv, aad: bytes[0..<ivOffset],
            plaintext: bytes[start..<bytes.count - suite.encryption.tagLength])
        guard let ciphertext else { return nil }
        bytes.replaceSubrange(start..., with: ciphertext)
        return bytes
    }
}

func ikeReassemblySeeds() -> [[UInt8]] {
    func whole(_ size: UInt8, _ length: Int, _ order: [UInt8]) -> [UInt8] {
        [3, size, UInt8(length >> 8), UInt8(length & 0xFF)] + [UInt8](repeating: 5, count: length) + order
    }
    func fragment(_ step: UInt8, _ number: UInt8, _ total: UInt8, _ content: [UInt8]) -> [UInt8] {
        [step, number, total, 42, 0, UInt8(content.count)] + content
    }
    let delete: [UInt8] = [0, 0, 0, 8, 1, 0, 0, 0]
    return [
        [0] + whole(0, 300, [0, 0, 0, 0, 0, 0]), [0] + whole(20, 700, [4, 0x83, 2, 1, 0x80, 0, 0, 0, 0]),
        [0] + whole(0, 200, [1, 0]) + whole(90, 500, [2, 1, 0, 0]),
        [0] + fragment(0, 1, 2, Array(delete.prefix(4))) + fragment(0, 2, 2, Array(delete.suffix(4))),
        [0] + fragment(0, 2, 2, delete) + fragment(0, 2, 3, delete) + fragment(0, 1, 1, delete),
        [0] + fragment(0, 0, 1, delete) + fragment(0, 2, 1, delete) + fragment(0, 1, 0, []),
        [0] + fragment(4, 1, 2, delete) + fragment(16, 1, 2, delete) + whole(0, 300, [0]),
        [0] + (1...20 as ClosedRange<UInt8>).flatMap { fragment(8, $0, 64, []) + [255] },
        [1] + fragment(0, 1, 3, delete) + fragment(0, 2, 3, delete) + fragment(0, 3, 3, delete),
        [1] + (1...40 as ClosedRange<UInt8>).flatMap { fragment(8, $0, 64, []) + [32] },
    ]
}
