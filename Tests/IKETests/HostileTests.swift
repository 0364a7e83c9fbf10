import Base
import Cryptography
import Testing

@testable import IKE

/// Messages that no honest peer sends. Whatever comes, the engine lives, and so does what stands.
struct HostileTests {
    /// Real datagrams of a life with everything in it, with their direction.
    private static func conversation() -> [Pair.Datagram] {
        var pair = Pair()
        let recorded = Recorder()
        pair.loses = {
            recorded.datagrams.append($0)
            return false
        }
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(2))
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.drive(.seconds(2))
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(2))
        pair.give(.b, .terminate(Pair.id))
        pair.drive(.seconds(2))
        return recorded.datagrams
    }

    /// A pair that has lived through the first `count` datagrams of the same story.
    private static func pairJustBefore(_ count: Int) -> Pair? {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        for _ in 0..<count {
            guard pair.step(until: pair.now + .seconds(1)) else { return nil }
        }
        return pair
    }

    @Test(arguments: 0..<4)
    func everyPrefixOfAHandshakeMessageIsSurvived(_ position: Int) throws {
        let pair = try #require(Self.pairJustBefore(position))
        let next = try #require(pair.network.first)
        for length in 0..<next.bytes.count {
            var copy = pair
            copy.give(next.to, .datagram(Array(next.bytes[0..<length]), next.path))
            // And the real one still does its work.
            if length % 16 == 0 {
                copy.drive(.seconds(3))
                copy.expectConnected()
            }
        }
    }

    @Test(arguments: 0..<4)
    func everyFlippedByteOfAHandshakeMessageIsSurvived(_ position: Int) throws {
        let pair = try #require(Self.pairJustBefore(position))
        let next = try #require(pair.network.first)
        for index in next.bytes.indices {
            for mask in [0x01, 0x80, 0xFF] as [UInt8] {
                var copy = pair
                var bytes = next.bytes
                bytes[index] ^= mask
                copy.give(next.to, .datagram(bytes, next.path))
                // What is damaged within IKE_AUTH does not authenticate, and the real message follows.
                if position >= 2, index % 8 == 0 {
                    copy.drive(.seconds(3))
                    copy.expectConnected()
                }
            }
        }
    }

    @Test func whatIsDamagedNeverHarmsAnEstablishedSA() {
        var pair = Pair()
        pair.connect()
        let before = (pair.a.children.count, pair.b.children.count)
        for datagram in Self.conversation() {
            for index in stride(from: 0, to: datagram.bytes.count, by: 3) {
                var bytes = datagram.bytes
                bytes[index] ^= 0x55
                pair.give(datagram.to, .datagram(bytes, datagram.path))
                pair.give(datagram.to, .datagram(Array(bytes[0...index]), datagram.path))
            }
        }
        pair.network = []
        #expect((pair.a.children.count, pair.b.children.count) == before)
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(2))
        pair.expectConnected()
    }

    @Test func replayedDatagramsOfTheWholeLifeChangeNothing() {
        var pair = Pair()
        let recorded = Recorder()
        pair.loses = {
            recorded.datagrams.append($0)
            return false
        }
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        pair.loses = { _ in false }
        let events = (pair.a.events.count, pair.b.events.count)
        let all = recorded.datagrams
        for datagram in all + all.reversed() { pair.give(datagram.to, .datagram(datagram.bytes, datagram.path)) }
        // The replayed IKE_SA_INIT opens a half-open SA, which goes by itself; nothing else happens.
        let kinds = (pair.a.events.dropFirst(events.0) + pair.b.events.dropFirst(events.1)).filter {
            if case .notice = $0 { false } else { true }
        }
        #expect(kinds.isEmpty)
        pair.drive(.seconds(60))
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test func reflectedMessagesAreRefused() {
        var pair = Pair()
        pair.connect()
        for (bytes, path) in pair.a.sent { pair.give(.a, .datagram(bytes, path)) }
        for (bytes, path) in pair.b.sent { pair.give(.b, .datagram(bytes, path)) }
        pair.drive(.seconds(40))
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    @Test func encryptedPayloadWithinAnotherIsRefused() throws {
        var pair = Pair()
        pair.connect()
        var sa = try #require(pair.a.engine.table.spis.first.flatMap { pair.a.engine.table[$0] })
        var random = SeededRandom(seed: [9])
        let sealed = sa.seal(.informational, messageID: sa.nextRequestID, isResponse: false, random: &random) {
            $0.add(.encrypted) { $0.zeros(40) }
        }
        let path = Path(local: sa.path.remote, remote: sa.path.local, isNATPort: sa.path.isNATPort)
        pair.give(.b, .datagram(try #require(sealed), path))
        #expect(pair.b.engine.counters.malformed == 1)
        #expect(pair.notices(.b).contains { $0.contains("within another SK") })
    }

    @Test func randomBytesAreSurvivedAndTold() {
        var pair = Pair()
        pair.connect()
        var random = SmallRandom(5)
        let path = Path(local: Endpoint(Pair.addressB, 500), remote: Endpoint(Pair.addressA, 500), isNATPort: false)
        for _ in 0..<20_000 {
            let count = Int(random.next(below: 120))
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if count >= 28, random.next(below: 4) > 0 {
                // A header that gets further in.
                bytes[16] = UInt8(33 + random.next(below: 22))
                bytes[17] = 0x20
                bytes[18] = UInt8(34 + random.next(below: 4))
                bytes.replaceSubrange(8..<16, with: [UInt8](repeating: 0, count: 8))
                bytes[19] = 0x08
                bytes.replaceSubrange(20..<24, with: [0, 0, 0, 0])
                bytes.replaceSubrange(24..<28, with: [0, 0, 0, UInt8(count)])
            }
            pair.give(.b, .datagram(bytes, path))
        }
        #expect(pair.b.engine.counters.malformed > 5000)
        #expect(pair.notices(.b).count <= 10)
        pair.give(.b, .checkLiveness(Pair.id))
        pair.drive(.seconds(2))
        pair.expectConnected()
    }

    @Test func anUnknownCriticalPayloadIsNamedAndAnOptionalOneIsPassedOver() throws {
        for isCritical in [true, false] {
            var pair = Pair()
            pair.give(.a, .initiate(Pair.id))
            var datagram = try #require(pair.network.first)
            pair.network = []
            // A payload of type 200 in front of all others.
            let first = datagram.bytes[16]
            datagram.bytes[16] = 200
            datagram.bytes.insert(contentsOf: [first, isCritical ? 0x80 : 0, 0, 8, 1, 2, 3, 4], at: 28)
            datagram.bytes[27] &+= 8
            if datagram.bytes[27] < 8 { datagram.bytes[26] += 1 }
            pair.give(.b, .datagram(datagram.bytes, datagram.path))
            let answer = try #require(pair.b.sent.first?.0)
            if isCritical {
                // Notify UNSUPPORTED_CRITICAL_PAYLOAD with the payload's type as its data.
                #expect(Array(answer[28...]) == [0, 0, 0, 9, 0, 0, 0, 1, 200])
                #expect(pair.b.engine.ikeSACount == 0)
            } else {
                #expect(pair.b.engine.ikeSACount == 1)
            }
        }
    }

    @Test func higherVersionsAreAnsweredAndIKEv1IsTold() throws {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        var datagram = try #require(pair.network.first)
        pair.network = []
        datagram.bytes[17] = 0x30
        pair.give(.b, .datagram(datagram.bytes, datagram.path))
        let answer = try #require(pair.b.sent.first?.0)
        #expect(answer[17] == 0x20 && answer[19] & 0x20 != 0)
        #expect(Array(answer[28...]) == [0, 0, 0, 8, 0, 0, 0, 5])
        datagram.bytes[17] = 0x10
        pair.give(.b, .datagram(datagram.bytes, datagram.path))
        #expect(pair.b.sent.count == 1)
        #expect(pair.notices(.b).contains { $0.contains("the peer speaks IKEv1; set it to IKEv2") })
        #expect(pair.b.engine.ikeSACount == 0)
    }

    @Test func anUnknownIKESAIsAnsweredSeldomAndHarmsNobody() throws {
        var configuration = EngineConfiguration()
        configuration.unknownSPIAnswersPerSecond = 10
        var pair = Pair(engine: configuration)
        pair.connect()
        pair.give(.a, .checkLiveness(Pair.id))
        var datagram = try #require(pair.network.first)
        pair.network = []
        datagram.bytes[8] ^= 1
        let before = pair.b.sent.count
        for number in 0..<50 as Range<UInt8> {
            datagram.bytes[15] = number
            pair.give(.b, .datagram(datagram.bytes, datagram.path))
        }
        #expect(pair.b.sent.count - before == 10)
        let answer = try #require(pair.network.first)
        #expect(Array(answer.bytes[28...]) == [0, 0, 0, 8, 0, 0, 0, 4])
        pair.drive(.seconds(30))
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty)
    }

    @Test func aPublicValueThatIsNoneIsRefused() throws {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        let datagram = try #require(pair.network.first)
        let key = try #require(
            datagram.bytes.indices.first { Array(datagram.bytes[$0...].prefix(4)) == [0, 31, 0, 0] })
        var zero = datagram.bytes
        for index in key + 4..<key + 36 { zero[index] = 0 }
        // The all-zero point of curve25519 has small order: found when the secret would be computed.
        pair.give(.b, .datagram(zero, datagram.path))
        pair.network = []
        #expect(pair.b.engine.ikeSACount == 1)
        var auth = [UInt8](repeating: 0, count: 100)
        let answer = try #require(pair.b.sent.first?.0)
        auth.replaceSubrange(0..<16, with: answer[0..<16])
        auth.replaceSubrange(16..<32, with: [46, 0x20, 35, 0x08, 0, 0, 0, 1, 0, 0, 0, 100, 35, 0, 0, 72])
        for _ in 0..<5 { pair.give(.b, .datagram(auth, datagram.path)) }
        #expect(pair.b.engine.counters.misbehaved == 1)
        #expect(pair.established(.b) == 0)
    }
}

final class Recorder {
    var datagrams: [Pair.Datagram] = []
}
