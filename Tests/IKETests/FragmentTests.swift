import Base
import Cryptography
@testable import IKE
import Testing

/// IKE fragmentation (RFC 7383), from both ends.
struct FragmentTests {
    /// A pair that cuts its messages at `size` bytes of IP datagram; nil turns fragmentation off on that side.
    private func makePair(
        _ sizeA: Int? = 256, _ sizeB: Int? = 256, _ encryption: EncryptionAlgorithm = .aes256,
        engine: EngineConfiguration = EngineConfiguration()
    ) -> Pair {
        let offer = IKEProposal(
            encryption: [encryption], integrity: encryption.isAEAD ? [] : [.sha256], prf: [.sha256],
            groups: [.curve25519])
        var a = Pair.configuration(.a, ike: [offer])
        var b = Pair.configuration(.b, ike: [offer])
        // Names so long that IKE_AUTH does not fit into one small datagram, from either side.
        (a.localID, a.remoteID) = (nameA, nameB)
        (b.localID, b.remoteID) = (nameB, nameA)
        a.fragmentSize = sizeA
        b.fragmentSize = sizeB
        return Pair(a: a, b: b, engine: engine)
    }

    private let nameA = IKEIdentity(String(repeating: "branch.", count: 25) + "example")
    private let nameB = IKEIdentity(String(repeating: "centre.", count: 25) + "example")

    private func isFragment(_ bytes: [UInt8]) -> Bool { bytes.count > 16 && bytes[16] == 53 }

    private func fragments(_ sent: [([UInt8], Path)]) -> [[UInt8]] { sent.map(\.0).filter(isFragment) }

    /// The one IKE SA of an end.
    private func sa(_ end: Pair.End) throws -> IKESA {
        try #require(end.engine.table.spis.first.flatMap { end.engine.table[$0] })
    }

    /// Messages of A's next request with this content, cut as `size` says.
    private func request(_ pair: Pair, size: UInt16, _ build: (inout MessageWriter) -> Void) throws -> [[UInt8]] {
        var sender = try sa(pair.a)
        sender.fragmentSize = size
        var random = SeededRandom(seed: [9])
        let sealed = try #require(
            sender.seal(
                .informational, messageID: sender.nextRequestID, isResponse: false, random: &random, build))
        return SealedMessages.each(sealed).map(Array.init)
    }

    private func long(_ message: inout MessageWriter) {
        message.add(NotifyType(rawValue: 40_960), [UInt8](repeating: 1, count: 900))
    }

    private func seenByB(_ pair: Pair) throws -> Path {
        let path = try sa(pair.a).path
        return Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
    }

    // MARK: Both ways

    @Test(arguments: EncryptionAlgorithm.allCases)
    func aLifeInFragmentsIsLikeAnyOther(_ encryption: EncryptionAlgorithm) {
        var pair = makePair(256, 256, encryption)
        pair.connect()
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(fragments(pair.a.sent).count >= 2)
        #expect(fragments(pair.b.sent).count >= 2)
        for (bytes, path) in pair.a.sent + pair.b.sent where isFragment(bytes) {
            #expect(bytes.count + 28 <= 256 && !path.isNATPort)
        }
        let before = pair.a.sent.count
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(2))
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.drive(.seconds(8))
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        #expect(fragments(Array(pair.a.sent.dropFirst(before))).count >= 4)
        #expect(pair.childRekeys(.a) == 2 && pair.ikeRekeys(.a) == 1)
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.notices(.a).isEmpty && pair.notices(.b).isEmpty)
    }

    @Test func behindANATTheMarkerCountsToo() {
        var pair = makePair()
        pair.nat = Pair.NAT(address: .v4(0xC633_6409))
        var a = Pair.configuration(.a)
        a.localAddress = Pair.insideA
        (a.localID, a.remoteID) = (nameA, nameB)
        a.fragmentSize = 256
        var b = Pair.configuration(.b)
        b.remoteAddress = nil
        (b.localID, b.remoteID) = (nameB, nameA)
        b.fragmentSize = 256
        pair.give(.a, .configure(Pair.id, a))
        pair.give(.b, .configure(Pair.id, b))
        pair.connect()
        pair.expectConnected()
        let cut = pair.a.sent.filter { $0.1.isNATPort && $0.0.count > 20 && $0.0[20] == 53 }
        #expect(cut.count >= 2)
        #expect(cut.allSatisfy { $0.0.count + 28 <= 256 && Array($0.0[0..<4]) == [0, 0, 0, 0] })
    }

    @Test(arguments: [(Int?.none, Int?.some(256)), (256, nil)])
    func withoutBothSidesNothingIsCut(_ a: Int?, _ b: Int?) {
        var pair = makePair(a, b)
        pair.connect()
        pair.expectConnected()
        #expect(fragments(pair.a.sent).isEmpty && fragments(pair.b.sent).isEmpty)
    }

    @Test func messagesThatFitAreNotCut() {
        var pair = makePair(1280, 1280)
        pair.connect()
        pair.expectConnected()
        #expect(fragments(pair.a.sent).isEmpty && fragments(pair.b.sent).isEmpty)
        #expect(pair.a.sent.count == 2)
    }

    @Test func piecesComeInAnyOrderAndTwice() throws {
        var pair = makePair()
        pair.give(.a, .initiate(Pair.id))
        pair.deliver()
        pair.deliver()
        try #require(pair.network.count >= 2)
        let auth = pair.network
        pair.network = []
        for datagram in auth.dropFirst().reversed() + auth.dropFirst() + auth {
            pair.give(.b, .datagram(datagram.bytes, datagram.path))
        }
        #expect(pair.established(.b) == 1)
        let answers = pair.b.sent.count
        // Once it is answered, only the first piece asks for the answer again (RFC 7383 §2.6.1).
        for datagram in auth.dropFirst() { pair.give(.b, .datagram(datagram.bytes, datagram.path)) }
        #expect(pair.b.sent.count == answers)
        pair.give(.b, .datagram(auth[0].bytes, auth[0].path))
        #expect(pair.b.sent.count > answers)
        pair.drive(.seconds(2))
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    @Test func aLostPieceIsSentAgain() {
        var pair = makePair()
        let seen = Recorder()
        pair.loses = { datagram in
            // The second piece of everything is lost the first time.
            guard datagram.bytes.count > 32, datagram.bytes[16] == 53, datagram.bytes[33] == 2 else { return false }
            let isFirst = !seen.datagrams.contains { $0.to == datagram.to }
            seen.datagrams.append(datagram)
            return isFirst
        }
        pair.connect()
        pair.drive(.seconds(10))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(seen.datagrams.count >= 4)
    }

    // MARK: Paths that lose large datagrams

    @Test func aLargeMessageThatGetsNoAnswerIsCutSmaller() throws {
        var pair = makePair(1280, 1280)
        pair.connect()
        // Nothing above 576 bytes gets through any more.
        pair.loses = { $0.bytes.count + 28 > 576 }
        let path = try seenByB(pair)
        var large = try sa(pair.a)
        pair.a.engine.request(&large, .informational, timeout: .seconds(30)) { message in
            for number in 0..<30 as Range<UInt8> { message.add(NotifyType(rawValue: 40_960), [UInt8](repeating: number, count: 60)) }
        }
        pair.a.engine.settle(large)
        // The request went out within the engine; its retransmissions are seen here.
        pair.drive(.seconds(20))
        #expect(try sa(pair.a).request == nil)
        #expect(try sa(pair.a).fragmentSize == 576)
        let cut = fragments(pair.a.sent)
        #expect(cut.contains { $0.count + 28 > 576 } && cut.contains { $0.count + 28 <= 576 })
        #expect(path.remote.address == Pair.addressA)
        pair.expectConnected()
    }

    @Test func silenceAfterASmallMessageChangesNoSize() throws {
        var pair = makePair(1280, 1280)
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(12))
        #expect(try sa(pair.a).fragmentSize == 1280)
        #expect(fragments(pair.a.sent).isEmpty)
    }

    @Test func aRequestInSmallerPiecesBeginsAnew() throws {
        var pair = makePair(1280, 1280)
        pair.connect()
        let content: (inout MessageWriter) -> Void = { message in
            for number in 0..<30 as Range<UInt8> { message.add(NotifyType(rawValue: 40_960), [UInt8](repeating: number, count: 60)) }
        }
        let large = try request(pair, size: 1280, content)
        let small = try request(pair, size: 576, content)
        #expect(large.count == 2 && small.count > 3)
        let path = try seenByB(pair)
        pair.give(.b, .datagram(large[0], path))
        for message in small { pair.give(.b, .datagram(message, path)) }
        // A piece of the earlier cut is of no use any more.
        let answered = pair.b.sent.count
        pair.give(.b, .datagram(large[1], path))
        #expect(pair.b.sent.count == answered)
        #expect(try sa(pair.b).nextPeerRequestID == sa(pair.a).nextRequestID + 1)
        #expect(try sa(pair.b).fragmentSize == 576)
    }

    @Test func anAnswerFollowsARequestThatComesInSmallerPieces() throws {
        var pair = makePair(1280, 1280)
        pair.connect()
        let content: (inout MessageWriter) -> Void = { message in
            for number in 0..<30 as Range<UInt8> { message.add(NotifyType(rawValue: 40_960), [UInt8](repeating: number, count: 60)) }
        }
        let path = try seenByB(pair)
        for message in try request(pair, size: 1280, content) { pair.give(.b, .datagram(message, path)) }
        var before = pair.b.sent.count
        var forged = try request(pair, size: 576, content)[0]
        forged[forged.count - 1] ^= 1
        pair.give(.b, .datagram(forged, path))
        #expect(pair.b.sent.count == before)
        #expect(try sa(pair.b).fragmentSize == 1280)
        let again = try request(pair, size: 576, content)
        pair.give(.b, .datagram(again[0], path))
        #expect(pair.b.sent.count == before + 1)
        #expect(try sa(pair.b).fragmentSize == 576)
        // The same piece is now known by its bytes.
        before = pair.b.sent.count
        pair.give(.b, .datagram(again[0], path))
        #expect(pair.b.sent.count == before + 1)
    }

    // MARK: Hostile pieces

    @Test func aForgedPieceHarmsNoneOfTheOthers() throws {
        var pair = makePair()
        pair.give(.a, .initiate(Pair.id))
        pair.deliver()
        pair.deliver()
        let auth = pair.network
        pair.network = []
        for datagram in auth {
            var forged = datagram.bytes
            forged[forged.count - 1] ^= 1
            pair.give(.b, .datagram(forged, datagram.path))
            // Another count of pieces does not authenticate either.
            forged = datagram.bytes
            forged[35] &+= 7
            pair.give(.b, .datagram(forged, datagram.path))
            pair.give(.b, .datagram(datagram.bytes, datagram.path))
        }
        #expect(pair.b.engine.counters.unauthentic == UInt64(2 * auth.count))
        pair.drive(.seconds(2))
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    @Test func impossiblePieceNumbersAreRefused() throws {
        var pair = makePair()
        pair.connect()
        let path = try seenByB(pair)
        let good = try request(pair, size: 256, long)
        let refused = pair.b.engine.counters
        for (number, total) in [(0, 0), (0, 3), (4, 3), (1, 65), (1, 65_535)] as [(UInt16, UInt16)] {
            var bytes = good[0]
            bytes.replaceSubrange(
                32..<36,
                with: [number, total].flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] })
            pair.give(.b, .datagram(bytes, path))
        }
        let now = pair.b.engine.counters
        #expect(now.malformed - refused.malformed == 3 && now.unexpected - refused.unexpected == 2)
        #expect(try sa(pair.b).reassemblies.isEmpty)
        for message in good { pair.give(.b, .datagram(message, path)) }
        #expect(try sa(pair.b).nextPeerRequestID == sa(pair.a).nextRequestID + 1)
    }

    @Test func fragmentsThatNobodyAgreedOnAreRefused() throws {
        var pair = makePair(nil, nil)
        pair.connect()
        let path = try seenByB(pair)
        let cut = try request(pair, size: 256, long)
        for message in cut { pair.give(.b, .datagram(message, path)) }
        #expect(pair.notices(.b).contains { $0.contains("although we have not agreed on fragments") })
        #expect(try sa(pair.b).nextPeerRequestID == sa(pair.a).nextRequestID)
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(2))
        pair.expectConnected()
    }

    @Test func anUnfinishedMessageIsForgotten() throws {
        var pair = makePair()
        pair.connect()
        let path = try seenByB(pair)
        let cut = try request(pair, size: 256, long)
        pair.network = []
        for message in cut.dropLast() { pair.give(.b, .datagram(message, path)) }
        #expect(try sa(pair.b).reassemblies.count == 1)
        #expect(try sa(pair.b).reassemblies[0].cost < 4000)
        pair.drive(.seconds(31))
        #expect(try sa(pair.b).reassemblies.isEmpty)
        pair.expectConnected()
    }

    @Test func whatIsMalformedInFragmentsIsAnsweredLikeAnyOther() throws {
        var pair = makePair()
        pair.connect()
        let path = try seenByB(pair)
        let known = NotifyType(rawValue: 40_960)
        // A critical payload of type 200 behind a long one.
        let cut = try request(pair, size: 256) { message in
            message.add(known, [UInt8](repeating: 1, count: 500))
            message.add(part: [0, 0x80, 0, 4], first: 200)
        }
        #expect(cut.count > 2)
        for message in cut { pair.give(.b, .datagram(message, path)) }
        #expect(pair.b.engine.counters.incompatible == 1)
        #expect(try sa(pair.b).nextPeerRequestID == sa(pair.a).nextRequestID + 1)
        let (answer, _) = try #require(pair.b.sent.last)
        let receiver = try sa(pair.a)
        let outer = try Payloads(first: answer[16], answer[28...])
        let inner = try receiver.open(answer[...], outer)
        #expect(inner.notifies.map(\.type) == [.unsupportedCriticalPayload])
        #expect(inner.notifies.map(\.data) == [[200]])
    }

    @Test func unfinishedFirstContactsShareOneLimit() throws {
        var configuration = EngineConfiguration()
        configuration.maximumHalfOpenFragmentBytes = 700
        var pair = makePair(engine: configuration)
        var halfOpen = 0
        for seed in 1...8 as ClosedRange<UInt8> {
            var caller = makePair()
            caller.a.engine = Engine(configuration: EngineConfiguration(), seed: [seed, 7], now: pair.now)
            var a = Pair.configuration(.a)
            a.fragmentSize = 256
            (a.localID, a.remoteID) = (nameA, nameB)
            a.localPort = 600 + UInt16(seed)
            caller.give(.a, .configure(Pair.id, a))
            caller.give(.a, .initiate(Pair.id))
            let first = try #require(caller.network.first)
            pair.give(.b, .datagram(first.bytes, first.path))
            let answer = try #require(pair.network.last)
            caller.network = []
            caller.give(.a, .datagram(answer.bytes, answer.path))
            let cut = caller.network.filter { isFragment($0.bytes) }
            try #require(cut.count >= 2)
            pair.give(.b, .datagram(cut[1].bytes, cut[1].path))
            pair.network = []
            halfOpen += 1
        }
        #expect(pair.b.engine.halfOpenCount == halfOpen)
        let held = pair.b.engine.gate.heldBytes
        #expect(held > 0 && held <= 700)
        #expect(pair.notices(.b).contains { $0.contains("too many unfinished messages") })
        pair.network = []
        pair.drive(.seconds(40))
        #expect(pair.b.engine.halfOpenCount == 0)
        #expect(pair.b.engine.gate.heldBytes == 0)
    }

    @Test func aHalfOpenSAHoldsNoMoreThanItsShare() throws {
        var pair = makePair()
        pair.give(.a, .initiate(Pair.id))
        pair.deliver()
        pair.deliver()
        pair.network = []
        var sender = try sa(pair.a)
        sender.fragmentSize = 1280
        var random = SeededRandom(seed: [3])
        let sealed = try #require(
            sender.seal(.ikeAuth, messageID: 1, isResponse: false, random: &random) { message in
                for _ in 0..<60 { message.add(NotifyType(rawValue: 40_960), [UInt8](repeating: 1, count: 1000)) }
            })
        let path = try seenByB(pair)
        for message in SealedMessages.each(sealed) { pair.give(.b, .datagram(Array(message), path)) }
        #expect(pair.b.engine.gate.heldBytes <= Reassembly.mostHalfOpenBytes)
        #expect(pair.b.engine.gate.heldBytes > 20_000)
        #expect(pair.established(.b) == 0)
        #expect(pair.notices(.b).contains { $0.contains("too large") })
    }

    @Test func damagedFragmentsHarmNothingAtAnyByte() {
        var pair = makePair()
        let recorded = Recorder()
        pair.loses = {
            recorded.datagrams.append($0)
            return false
        }
        pair.connect()
        pair.loses = { _ in false }
        for datagram in recorded.datagrams where isFragment(datagram.bytes) {
            for index in datagram.bytes.indices {
                var bytes = datagram.bytes
                bytes[index] ^= 0x55
                pair.give(datagram.to, .datagram(bytes, datagram.path))
                pair.give(datagram.to, .datagram(Array(bytes[0...index]), datagram.path))
            }
        }
        pair.network = []
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(2))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
    }
}

extension IKESA {
    /// Verifies and decrypts a whole message of the peer's and reads the payloads inside.
    func open(_ message: ArraySlice<UInt8>, _ outer: Payloads) throws -> Payloads {
        let encrypted = try outer.require(outer.encrypted, "SK")
        return try Payloads(first: encrypted.firstInner, try decrypt(message, encrypted)[...])
    }
}
