import Base
import Cryptography
import Testing

@testable import IKE

/// Peers and strangers that keep to the letter of the protocol and would have us work, remember or say without end.
@Suite struct AbuseTests {
    private static let path = Path(
        local: Endpoint(Pair.addressB, 500), remote: Endpoint(Pair.addressA, 500), isNATPort: false)

    /// A first message with an offer of whatever is wanted.
    private func firstMessage(_ spi: UInt64, _ proposals: [Proposal], padding: Int = 0) -> [UInt8] {
        let header = Header(
            initiatorSPI: spi, responderSPI: 0, exchange: ExchangeType.ikeSAInit.rawValue,
            flags: Header.initiatorFlag, messageID: 0)
        var message = MessageWriter(header, capacity: 4096)
        message.add(proposals: proposals)
        message.add(group: DHGroup.curve25519.rawValue, publicValue: [UInt8](repeating: 9, count: 32))
        message.add(nonce: [UInt8](repeating: 1, count: 32))
        if padding > 0 { message.add(.cookie2, [UInt8](repeating: 0, count: padding)) }
        return message.finish()
    }

    private func answer(_ spi: UInt64, cookie: [UInt8]) -> [UInt8] {
        let header = Header(
            initiatorSPI: spi, responderSPI: 0, exchange: ExchangeType.ikeSAInit.rawValue, flags: Header.responseFlag,
            messageID: 0)
        var message = MessageWriter(header, capacity: 128)
        message.add(.cookie, cookie)
        return message.finish()
    }

    private func only(_ end: Pair.End) -> IKESA? { end.engine.table.spis.first.flatMap { end.engine.table[$0] } }

    // MARK: - Strangers

    @Test func offersOfNothingArePutIntoWordsSeldomAndShortly() {
        var pair = Pair()
        let odd = (0..<40).map { Transform(type: Transform.Kind.encryption, id: UInt16(1000 + $0)) }
        let offer = (1...12).map { Proposal(number: $0, protocolID: SecurityProtocol.ike, spi: [], transforms: odd) }
        for spi in 1...200 as ClosedRange<UInt64> {
            pair.give(.b, .datagram(firstMessage(spi, offer), Self.path))
        }
        let told = pair.failures(.b)
        #expect(told.count == EngineConfiguration().noticesPerSecond)
        #expect(told.allSatisfy { $0.reason == .noProposalChosen && $0.explanation.utf8.count < 4000 })
        #expect(pair.b.sent.count == 200 && pair.b.engine.ikeSACount == 0)
    }

    @Test func aFirstMessageOfManyKilobytesIsNotKept() {
        var pair = Pair()
        let offer = Negotiation.wire(Pair.configuration(.b).ikeProposals)
        pair.give(.b, .datagram(firstMessage(1, offer, padding: 5000), Self.path))
        #expect(pair.b.engine.ikeSACount == 0 && pair.b.sent.isEmpty)
        pair.give(.b, .datagram(firstMessage(1, offer, padding: 3000), Self.path))
        #expect(pair.b.engine.ikeSACount == 1)
    }

    /// RFC 7296 §2.1: what is kept of an IKE SA whose IKE_AUTH was refused repeats its answer, and nothing else.
    @Test func whoWasRefusedIsForgottenWhateverHeGoesOnToSay() throws {
        var pair = Pair(a: Pair.configuration(.a, psk: "another key"))
        pair.give(.a, .initiate(Pair.id))
        pair.driveMilliseconds(25)
        var sa = try #require(only(pair.a))
        pair.driveMilliseconds(100)
        #expect(pair.failures(.b).count == 1 && pair.b.engine.ikeSACount == 1)
        // He goes on counting as a stranger.
        #expect(pair.b.engine.halfOpenCount == 1)
        var random = SeededRandom(seed: [9])
        let path = Path(local: sa.path.remote, remote: sa.path.local, isNATPort: sa.path.isNATPort)
        for id in 2...4 as ClosedRange<UInt32> {
            let sealed = sa.seal(.informational, messageID: id, isResponse: false, random: &random) {
                $0.add(Delete.ikeSA)
            }
            let sent = pair.b.sent.count
            pair.give(.b, .datagram(try #require(sealed), path))
            #expect(pair.b.sent.count == sent)
            pair.network = []
            pair.drive(.seconds(4))
        }
        #expect(pair.b.engine.ikeSACount == 0 && pair.b.engine.halfOpenCount == 0)
    }

    @Test func refusalsOfWhomeverAreToldAFewTimesASecond() {
        var anyone = Pair.configuration(.b)
        anyone.remoteAddress = nil
        anyone.remoteID = IKEIdentity(Pair.addressA)
        var pair = Pair(a: Pair.configuration(.a, psk: "another key"), b: anyone)
        pair.delay = .zero
        for _ in 0..<20 {
            pair.give(.a, .initiate(Pair.id))
            pair.driveMilliseconds(1)
        }
        // We remember all of them for a while, which keeps nobody from trying again.
        #expect(pair.failures(.a).count == 20 && pair.b.engine.halfOpenCount == 20)
        #expect((1...EngineConfiguration().noticesPerSecond).contains(pair.failures(.b).count))
    }

    @Test func oneHostOfIPv6HasOneShareWhateverItsAddresses() throws {
        var gate = HalfOpenGate()
        for number in 1...5 as ClosedRange<UInt64> {
            let address = try #require(IPAddress("2001:db8:0:1::\(number)"))
            gate.add(HalfOpenGate.Key(spi: number, remote: Endpoint(address, 500)), number)
        }
        #expect(gate.count(at: try #require(IPAddress("2001:db8:0:1:ffff::9"))) == 5)
        #expect(gate.count(at: try #require(IPAddress("2001:db8:0:2::1"))) == 0)
        for number in 1...5 as ClosedRange<UInt64> {
            let address = try #require(IPAddress("2001:db8:0:1::\(number)"))
            gate.remove(HalfOpenGate.Key(spi: number, remote: Endpoint(address, 500)))
        }
        #expect(gate.count(at: try #require(IPAddress("2001:db8:0:1::1"))) == 0)
    }

    @Test func aPeerWithAnAddressFindsRoomWhenStrangersHaveTakenIt() {
        var configuration = EngineConfiguration()
        configuration.maximumHalfOpen = 32
        configuration.cookieThreshold = 16
        var pair = Pair(engine: configuration)
        for number in 1...32 as ClosedRange<UInt64> {
            let remote = Endpoint(.v4(0x0A00_0000 + UInt32(number)), 500)
            pair.b.engine.gate.add(HalfOpenGate.Key(spi: number, remote: remote), number)
        }
        pair.connect()
        pair.expectConnected()
        #expect(pair.b.engine.counters.cookiesDemanded == 1)
    }

    // MARK: - Cookies that cross

    /// As responder: a second copy of a first message is not taken without the cookie that the first was asked for, for
    /// the sender follows the demand, and AUTH would be about another message than the one that was answered.
    @Test func demandsDoNotFlap() throws {
        var configuration = EngineConfiguration()
        configuration.cookieThreshold = 1
        var pair = Pair(engine: configuration)
        let other = HalfOpenGate.Key(spi: 77, remote: Endpoint(.v4(9), 500))
        pair.b.engine.gate.add(other, 77)
        pair.give(.a, .initiate(Pair.id))
        let first = try #require(pair.network.first)
        pair.deliver()
        #expect(pair.b.engine.counters.cookiesDemanded == 1)
        pair.b.engine.gate.remove(other)
        pair.give(.b, .datagram(first.bytes, first.path))
        #expect(pair.b.engine.counters.cookiesDemanded == 2 && pair.b.engine.ikeSACount == 0)
        pair.drive(.seconds(3))
        pair.expectConnected()
        #expect(pair.failures(.a).isEmpty && pair.failures(.b).isEmpty)
    }

    /// As initiator: each copy of a first message may get a cookie of its own. Only one is followed.
    @Test func oneOfSeveralCookiesIsFollowed() throws {
        var pair = Pair()
        pair.loses = { $0.to == .b }
        pair.give(.a, .initiate(Pair.id))
        while pair.a.sent.count < 3 { _ = pair.step(until: pair.now + .seconds(10)) }
        let sa = try #require(only(pair.a))
        let path = Path(local: sa.path.local, remote: sa.path.remote, isNATPort: false)
        for cookie in [[1, 1, 1], [2, 2, 2], [1, 1, 1], [3, 3, 3]] as [[UInt8]] {
            pair.give(.a, .datagram(answer(sa.spi, cookie: cookie), path))
        }
        #expect(pair.a.sent.count == 4)
        guard case .initSent(let sent) = only(pair.a)?.state else {
            Issue.record("IKE_SA_INIT is no longer out")
            return
        }
        #expect(sent.cookie == [1, 1, 1] && sent.restarts == 1)
        // What comes after all copies have had theirs is a new demand.
        pair.give(.a, .datagram(answer(sa.spi, cookie: [4, 4, 4]), path))
        #expect(pair.a.sent.count == 5)
    }

    // MARK: - Peers that have proven who they are

    /// A CREATE_CHILD_SA request that replaces the IKE SA, as a peer sends it that does not wait for anything.
    private func rekeyRequest(_ sa: inout IKESA, spi: UInt64, _ random: inout SeededRandom) throws -> [UInt8] {
        let keyPair = try DHKeyPair(group: .curve25519, random: &random)
        let proposals = Negotiation.wire(Pair.configuration(.a).ikeProposals, spi: KeySchedule.bytes(spi))
        let sealed = sa.seal(.createChildSA, messageID: sa.nextRequestID, isResponse: false, random: &random) {
            $0.add(proposals: proposals)
            $0.add(nonce: [UInt8](repeating: UInt8(truncatingIfNeeded: spi), count: 32))
            $0.add(group: DHGroup.curve25519.rawValue, publicValue: keyPair.publicValue)
        }
        sa.nextRequestID += 1
        return try #require(sealed)
    }

    @Test func aCollisionHasOneProductHoweverOftenThePeerRekeys() throws {
        var pair = Pair()
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.b, .rekeyIKE(Pair.id))
        var sa = try #require(only(pair.a))
        var random = SeededRandom(seed: [9])
        let path = Path(local: sa.path.remote, remote: sa.path.local, isNATPort: sa.path.isNATPort)
        for spi in 1...5 as ClosedRange<UInt64> {
            pair.give(.b, .datagram(try rekeyRequest(&sa, spi: spi, &random), path))
        }
        #expect(pair.b.engine.ikeSACount == 2)
        pair.drive(.seconds(120))
        #expect(pair.b.engine.ikeSACount == 0 && pair.b.children.isEmpty)
        pair.loses = { _ in false }
        pair.give(.b, .initiate(Pair.id))
        pair.drive(.seconds(5))
        pair.expectConnected()
    }

    @Test func anIKESAIsNotReplacedWithoutEnd() {
        var pair = Pair()
        pair.connect()
        for _ in 0..<20 {
            pair.give(.a, .rekeyIKE(Pair.id))
            pair.driveMilliseconds(100)
        }
        func rekeys() -> Int { pair.count(.b) { if case .ikeRekeyed = $0 { true } else { false } } }
        #expect(rekeys() == PeerRekeys.most)
        pair.drive(.seconds(30))
        #expect(rekeys() > PeerRekeys.most)
        pair.expectConnected()
    }

    @Test func aChildIsNotReplacedWhileTooManyThatWereAreThere() throws {
        var pair = Pair()
        pair.connect()
        let sending = try #require(pair.a.sending).child.spiIn
        let spi = try #require(pair.b.engine.table.spis.first)
        let until = pair.now + .seconds(5)
        pair.b.engine.with(spi) { _, sa in
            guard let child = sa.children.first else { return }
            for number in 0..<UInt32(2 * Child.most) {
                var copy = child
                (copy.spiIn, copy.spiOut) = (0x7000_0000 + number, 0x7100_0000 + number)
                copy.state = .lingering(until: until)
                sa.children.append(copy)
            }
        }
        for number in 0..<UInt32(2 * Child.most) {
            pair.b.children[0x7000_0000 + number] = pair.b.children.values.first
        }
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(2))
        #expect(pair.a.sending?.child.spiIn == sending)
        // They go, and what was put off is done.
        pair.drive(.seconds(20))
        #expect(pair.a.sending?.child.spiIn != sending)
        pair.expectConnected()
    }

    // MARK: - What honest peers did not get

    /// RFC 7296 §2.4: INITIAL_CONTACT is about identities, not about our connections. A peer that is told so drops what
    /// it has without a word.
    @Test func aSecondConnectionBetweenTheSameIdentitiesIsNoFirstContact() {
        var pair = Pair()
        var second = Pair.configuration(.a)
        second.name = "to-b-again"
        pair.give(.a, .configure(ConnectionID(2), second))
        pair.connect()
        pair.give(.a, .initiate(ConnectionID(2)))
        pair.drive(.seconds(3))
        // B has one connection for both, in which the newer SA takes the place of the older; it says so.
        #expect(pair.closed(.a).map(\.reason) == [.deletedByPeer])
    }

    @Test func ofTwoThatComeUpTogetherOneIsTheFirstContact() {
        var pair = Pair()
        pair.give(.a, .configure(ConnectionID(2), Pair.configuration(.a)))
        pair.give(.a, .initiate(Pair.id))
        pair.give(.a, .initiate(ConnectionID(2)))
        pair.drive(.seconds(3))
        #expect(pair.closed(.a).map(\.reason) == [.deletedByPeer])
    }

    /// RFC 7296 §1.4.1: what our rekey has made at the peer is deleted with the rest.
    @Test func anEndInTheMiddleOfARekeyLeavesThePeerNothing() {
        var pair = Pair()
        pair.connect()
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.deliver()
        pair.give(.a, .terminate(Pair.id))
        pair.drive(.seconds(2))
        #expect(pair.a.children.isEmpty && pair.b.children.isEmpty)
        #expect(pair.closed(.b).map(\.reason) == [.deletedByPeer])
        pair.drive(.seconds(90))
        pair.expectNothingLeft()
    }

    /// A request that waits for the data path is answered when the IKE SA ends meanwhile.
    @Test func whatThePeerAskedForIsAnsweredAtTheEnd() {
        var pair = Pair()
        pair.connect()
        pair.b.installsAtOnce = false
        pair.give(.a, .rekeyChild(Pair.id))
        pair.deliver()
        let sent = pair.b.sent.count
        pair.give(.b, .terminate(Pair.id))
        // The refusal, and the DELETE.
        #expect(pair.b.sent.count == sent + 2)
        pair.b.waitingInstalls = []
        pair.drive(.seconds(60))
        pair.expectNothingLeft()
    }
}
