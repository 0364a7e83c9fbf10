import Base
import Cryptography
@testable import IKE
import Testing

/// An SA's life: losses, liveness, deletes, duplicates, commands.
struct LifecycleTests {
    // MARK: Loss

    @Test(arguments: 0..<4)
    func anyLostMessageOfTheHandshakeIsSentAgain(_ lost: Int) {
        var pair = Pair()
        let counter = Counter()
        pair.loses = { _ in counter.next() == lost }
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(5))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.count(.a) { if case .retransmitted = $0 { true } else { false } } == 1)
    }

    @Test func everyMessageTwiceMakesNoDifference() {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        pair.give(.b, .checkLiveness(Pair.id))
        for round in 0..<60 {
            if let next = pair.network.first {
                pair.network.insert(next, at: 1)
                pair.deliver()
                pair.deliver()
            } else if round % 3 == 0 {
                pair.give(.a, .rekeyChild(Pair.id))
            } else if round % 3 == 1 {
                pair.give(.b, .rekeyIKE(Pair.id))
            } else {
                pair.give(.b, .checkLiveness(Pair.id))
            }
        }
        pair.drive(.seconds(20))
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    /// Random loss, duplication, delay and reordering; whatever the network does, it heals, and then one tunnel is up.
    @Test(arguments: 0..<300)
    func aBadNetworkLeavesNothingWrongBehind(_ seed: UInt64) {
        var pair = Pair(
            seedA: [9, UInt8(truncatingIfNeeded: seed), UInt8(seed >> 8)],
            seedB: [8, UInt8(truncatingIfNeeded: seed), UInt8(seed >> 8)])
        var random = SmallRandom(seed)
        let weather = SmallRandomBox(seed &+ 1000)
        pair.loses = { _ in weather.next(below: 100) < 20 }
        pair.give(.a, .initiate(Pair.id))
        for _ in 0..<150 {
            pair.delay = .milliseconds(Int(random.next(below: 400)))
            switch random.next(below: 16) {
            case 0: pair.give(.a, .rekeyChild(Pair.id))
            case 1: pair.give(.b, .rekeyChild(Pair.id))
            case 2: pair.give(.a, .rekeyIKE(Pair.id))
            case 3: pair.give(.b, .rekeyIKE(Pair.id))
            case 4: if let datagram = pair.network.randomElement(using: &random) { pair.network.append(datagram) }
            case 5: pair.give(.a, .initiate(Pair.id))
            case 6: pair.deliver(Int(random.next(below: 8)))
            case 7: pair.give(.b, .initiate(Pair.id))
            case 8: if random.next(below: 8) == 0 { pair.give(.a, .terminate(Pair.id)) }
            case 9: if random.next(below: 8) == 0 { pair.give(.b, .terminate(Pair.id)) }
            case 10:
                if let spiIn = pair.a.children.keys.min() { pair.give(.a, .inboundTraffic(spiIn: spiIn, at: pair.now)) }
            default: pair.driveMilliseconds(Int(random.next(below: 1500)))
            }
        }
        pair.loses = { _ in false }
        pair.delay = .milliseconds(10)
        pair.drive(.seconds(130))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(20))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.a.engine.counters.malformed == 0 && pair.b.engine.counters.malformed == 0)
        #expect(pair.a.engine.counters.unauthentic == 0 && pair.b.engine.counters.unauthentic == 0)
        pair.give(.a, .terminate(Pair.id))
        pair.drive(.seconds(90))
        pair.expectNothingLeft()
    }

    // MARK: Liveness

    @Test func trafficAndMessagesSpareTheLivenessCheck() throws {
        var pair = Pair()
        pair.connect()
        let spiIn = try #require(pair.a.children.keys.first)
        let other = try #require(pair.b.children.keys.first)
        let before = pair.a.sent.count + pair.b.sent.count
        for _ in 0..<30 {
            pair.drive(.seconds(2))
            pair.give(.a, .inboundTraffic(spiIn: spiIn, at: pair.now))
            pair.give(.b, .inboundTraffic(spiIn: other, at: pair.now))
        }
        #expect(pair.a.sent.count + pair.b.sent.count == before)
    }

    @Test func zeroDelayTurnsLivenessChecksOff() {
        var mine = Pair.configuration(.a)
        var other = Pair.configuration(.b)
        mine.dpdDelay = .zero
        other.dpdDelay = .zero
        var pair = Pair(a: mine, b: other)
        pair.connect()
        let before = pair.a.sent.count + pair.b.sent.count
        pair.drive(.seconds(300))
        #expect(pair.a.sent.count + pair.b.sent.count == before)
    }

    @Test func deathIsToldWithWordsAndTheChildGoes() {
        var pair = Pair()
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(31))
        #expect(pair.closed(.a).map(\.reason) == [.silence])
        #expect(pair.childClosed(.a).map(\.reason) == [.silence])
        #expect(
            pair.closed(.a).first?.explanation.hasPrefix("203.0.113.1 has not answered INFORMATIONAL for 30 s") == true)
        #expect(pair.a.children.isEmpty)
        #expect(pair.a.engine.ikeSACount == 0)
    }

    /// A peer that asks first would otherwise spare us the question for ever, and the doubt would stay.
    @Test func anIKESAThatTakesOverWhileARequestIsUnansweredAsksAgain() {
        var mine = Pair.configuration(.a)
        mine.dpdDelay = .seconds(3600)
        var pair = Pair(a: mine)
        pair.connect()
        pair.loses = { $0.to == .b }
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(4))
        #expect(pair.count(.a) { if case .retransmitted = $0 { true } else { false } } == 2)
        let answers = pair.count(.a) { if case .answered = $0 { true } else { false } }
        pair.loses = { _ in false }
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.driveMilliseconds(200)
        #expect(pair.ikeRekeys(.a) == 1)
        #expect(pair.count(.a) { if case .answered = $0 { true } else { false } } == answers + 1)
        pair.drive(.seconds(20))
        pair.expectOnlyOne()
    }

    @Test func answersTellTheRoundTrip() {
        var pair = Pair()
        pair.connect()
        pair.a.events = []
        pair.give(.a, .checkLiveness(Pair.id))
        pair.driveMilliseconds(100)
        #expect(pair.a.events == [.answered(roundTrip: .milliseconds(20), retransmits: 0)])
    }

    // MARK: Deletes

    @Test(arguments: [Pair.Side.a, .b])
    func deletingIsKnownOnBothSides(_ side: Pair.Side) {
        var pair = Pair()
        pair.connect()
        let spi = pair[side].children.keys.first
        pair.give(side, .terminate(Pair.id))
        // What the peer sends until it knows is still taken.
        #expect(pair[side].children.count == 1)
        #expect(pair[side].events.contains { if case .childClosed(let gone, _) = $0 { gone == spi } else { false } })
        pair.driveMilliseconds(100)
        #expect(pair[side].children.isEmpty)
        pair.drive(.seconds(15))
        #expect(pair.closed(side).map(\.reason) == [.requested])
        #expect(pair.closed(side == .a ? .b : .a).map(\.reason) == [.deletedByPeer])
        pair.expectNothingLeft()
    }

    @Test func crossingDeletesBothEnd() {
        var pair = Pair()
        pair.connect()
        pair.give(.a, .terminate(Pair.id))
        pair.give(.b, .terminate(Pair.id))
        pair.drive(.seconds(15))
        #expect(pair.closed(.a).map(\.reason) == [.requested])
        #expect(pair.closed(.b).map(\.reason) == [.requested])
        pair.expectNothingLeft()
    }

    @Test func aDeleteThatNobodyAnswersEndsAfterItsTime() {
        var pair = Pair()
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.a, .terminate(Pair.id))
        pair.drive(.seconds(6))
        #expect(pair.closed(.a).map(\.reason) == [.requested])
        #expect(pair.a.engine.ikeSACount == 0)
    }

    @Test func aDeleteBehindAnUnansweredRequestEndsAfterItsTime() {
        var pair = Pair()
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(2))
        pair.give(.a, .terminate(Pair.id))
        pair.drive(.seconds(6))
        #expect(pair.closed(.a).map(\.reason) == [.requested])
        #expect(pair.a.engine.ikeSACount == 0)
        #expect(pair.a.engine.deadline == nil)
    }

    @Test func aLostAnswerToADeleteIsRepeated() {
        var pair = Pair()
        pair.connect()
        let counter = Counter()
        pair.loses = { $0.to == .a && counter.next() == 0 }
        pair.give(.a, .terminate(Pair.id))
        pair.drive(.seconds(3))
        #expect(pair.closed(.a).map(\.reason) == [.requested])
        pair.drive(.seconds(15))
        pair.expectNothingLeft()
    }

    @Test(arguments: [true, false])
    func aDeleteAgainstAChildRekeyEndsEverything(_ deleteFirst: Bool) {
        var pair = Pair()
        pair.connect()
        if deleteFirst { pair.give(.b, .terminate(Pair.id)) }
        pair.give(.a, .rekeyChild(Pair.id))
        if !deleteFirst { pair.give(.b, .terminate(Pair.id)) }
        pair.drive(.seconds(60))
        pair.expectNothingLeft()
        #expect(pair.closed(.a).map(\.reason) == [.deletedByPeer])
    }

    @Test func aDeleteAgainstAnIKERekeyEndsEverything() {
        var pair = Pair()
        pair.connect()
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.give(.b, .terminate(Pair.id))
        pair.drive(.seconds(90))
        pair.expectNothingLeft()
    }

    @Test func terminateWhileConnectingLeavesNothing() {
        for steps in 0..<4 {
            var pair = Pair()
            pair.give(.a, .initiate(Pair.id))
            for _ in 0..<steps { pair.deliver() }
            pair.give(.a, .terminate(Pair.id))
            pair.drive(.seconds(90))
            pair.expectNothingLeft()
        }
    }

    @Test func removeDeletesAtThePeerAndForgetsTheConnection() {
        var pair = Pair()
        pair.connect()
        pair.give(.a, .remove(Pair.id))
        pair.drive(.seconds(15))
        pair.expectNothingLeft()
        #expect(pair.a.engine.explain(Pair.id).name == nil)
        pair.give(.a, .initiate(Pair.id))
        #expect(pair.failures(.a).map(\.reason) == [.noSuchConnection])
    }

    // MARK: Duplicates

    @Test func initiateWhileUpDoesNothing() {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(2))
        let sent = pair.a.sent.count
        pair.give(.a, .initiate(Pair.id))
        #expect(pair.a.sent.count == sent)
        pair.expectOnlyOne()
    }

    @Test func aPeerThatLostItsStateReplacesItsOldSA() {
        var pair = Pair()
        pair.connect()
        pair.drive(.seconds(60))
        // A restarts with nothing.
        pair.a.engine = Engine(configuration: EngineConfiguration(), seed: [77], now: pair.now)
        pair.a.children = [:]
        pair.give(.a, .configure(Pair.id, Pair.configuration(.a)))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(5))
        #expect(pair.closed(.b).map(\.reason) == [.replaced])
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    /// Roles change with the restart, as in a crossing of calls; INITIAL_CONTACT tells the two apart.
    @Test func aPeerThatRestartsWithinSecondsAndCallsReplacesOurSA() {
        var pair = Pair()
        pair.connect()
        pair.drive(.seconds(5))
        pair.b.engine = Engine(configuration: EngineConfiguration(), seed: [77], now: pair.now)
        pair.b.children = [:]
        pair.b.active = []
        pair.give(.b, .configure(Pair.id, Pair.configuration(.b)))
        pair.give(.b, .initiate(Pair.id))
        pair.driveMilliseconds(100)
        // At once, and not when DPD finds the old one dead.
        #expect(pair.closed(.a).map(\.reason) == [.replaced])
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test(arguments: 0..<10)
    func bothSidesCallingEachOtherEndWithOneSA(_ seed: UInt8) {
        var pair = Pair(seedA: [1, seed], seedB: [2, seed])
        pair.give(.a, .initiate(Pair.id))
        if seed % 2 == 0 { pair.deliver() }
        pair.give(.b, .initiate(Pair.id))
        pair.drive(.seconds(30))
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test func aChildThatThePeerDeletedCanBeMadeAgainOnTheSameIKESA() throws {
        var mine = Pair.configuration(.b)
        mine.childLifetime = .seconds(60)
        mine.childRekeyMargin = .zero
        var other = Pair.configuration(.a)
        other.espProposals[0].groups = [.ecp256]
        var pair = Pair(a: other, b: mine)
        pair.connect()
        pair.drive(.seconds(62))
        // The child ended at its lifetime, for the two do not agree on a PFS group.
        #expect(pair.a.children.isEmpty && pair.b.children.isEmpty)
        #expect(pair.a.engine.ikeSACount == 1)
        mine.espProposals[0].groups = [.ecp256]
        mine.childLifetime = .seconds(3600)
        pair.give(.b, .configure(Pair.id, mine))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(3))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.established(.a) == 1)
    }

    @Test func aSecondChildIsRefusedAndTheFirstStays() throws {
        var pair = Pair()
        pair.connect()
        // A forgets its child without a word, and so asks for another.
        let child = try #require(pair.a.children.values.first?.child)
        pair.a.engine.with(child.ikeSA.spi) { $1.children = [] }
        pair.give(.a, .initiate(Pair.id))
        pair.driveMilliseconds(15)
        #expect(pair.notices(.b).contains { $0.contains("a second child SA") })
        #expect(pair.b.children.count == 1)
        pair.driveMilliseconds(15)
        #expect(pair.failures(.a).first?.explanation.contains("NO_ADDITIONAL_SAS") == true)
    }

    // MARK: Deadlines and explanations

    @Test func deadlinesCarryReasonsThatFitTheState() {
        var pair = Pair()
        #expect(pair.a.engine.deadline == nil)
        pair.give(.a, .initiate(Pair.id))
        #expect(pair.a.engine.deadline == Deadline(pair.now + .seconds(1), "send the request again"))
        pair.deliver()
        #expect(pair.b.engine.deadline == Deadline(pair.now + .seconds(30), "drop a half-open IKE SA"))
        pair.drive(.seconds(2))
        #expect(pair.a.engine.deadline?.reason == "check that the peer lives")
        pair.give(.a, .terminate(Pair.id))
        #expect(pair.a.engine.deadline?.reason == "send the request again")
        pair.driveMilliseconds(100)
        #expect(pair.a.engine.deadline == nil)
        #expect(pair.b.engine.deadline?.reason == "forget a closed IKE SA")
    }

    @Test func theExplanationTellsWeakAlgorithmsAndTheNextStep() throws {
        let offer = IKEProposal(encryption: [.aes128], integrity: [.sha1], prf: [.sha1], groups: [.modp1024])
        var pair = Pair(a: Pair.configuration(.a, ike: [offer]), b: Pair.configuration(.b, ike: [offer]))
        #expect(pair.a.engine.explain(Pair.id).sentence == "Down; nothing has been tried.")
        pair.connect()
        let explanation = pair.a.engine.explain(Pair.id)
        #expect(
            explanation.sentence
                == "Up with 203.0.113.1:500 (aes128-sha1-modp1024), child SAs: 1; weak: modp1024, sha1.")
        let sa = try #require(explanation.ikeSAs.first)
        #expect(sa.state == "established")
        #expect(sa.weaknesses == ["modp1024", "sha1"])
        #expect(sa.nextStep == "check that the peer lives")
        #expect(sa.children.first?.sendsOnIt == true)
    }
}

/// Counts from zero.
final class Counter {
    private var count = -1
    func next() -> Int {
        count += 1
        return count
    }
}

/// A small generator for test schedules (splitmix64).
struct SmallRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func next(below bound: UInt64) -> UInt64 { next() % bound }
}

final class SmallRandomBox {
    private var random: SmallRandom
    init(_ seed: UInt64) { random = SmallRandom(seed) }
    func next(below bound: UInt64) -> UInt64 { random.next(below: bound) }
}
