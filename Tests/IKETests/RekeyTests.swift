import Base
import Cryptography
import IKE
import Testing

struct RekeyTests {
    @Test(arguments: [Pair.Side.a, .b])
    func eitherSideRekeysTheChildWithoutLoss(_ side: Pair.Side) {
        var pair = Pair()
        pair.connect()
        let old = pair.a.children.keys.first
        pair.give(side, .rekeyChild(Pair.id))
        pair.driveMilliseconds(200)
        #expect(pair.childRekeys(.a) == 1)
        #expect(pair.childRekeys(.b) == 1)
        // The old inbound SA still takes what is on its way.
        #expect(pair.a.children.count == 2)
        pair.expectConnected()
        pair.drive(.seconds(6))
        pair.expectOnlyOne()
        #expect(old.map { pair.a.children[$0] == nil } == true)
        #expect(pair.a.children.values.first?.child.suite.group == .curve25519)
        #expect(pair.failures(.a).isEmpty && pair.failures(.b).isEmpty)
    }

    @Test func theResponderOfARekeySendsOnTheNewChildAtTheFirstPacketOnIt() throws {
        var pair = Pair()
        pair.connect()
        pair.loses = { $0.to == .a }
        pair.give(.a, .rekeyChild(Pair.id))
        pair.driveMilliseconds(15)
        let new = try #require(pair.b.children.values.first { $0.child.replaces != nil })
        #expect(!new.usesOutbound)
        pair.give(.b, .inboundTraffic(spiIn: new.child.spiIn, at: pair.now))
        #expect(pair.b.children[new.child.spiIn]?.usesOutbound == true)
    }

    @Test func theAnswerToARekeyWaitsForTheInboundSA() {
        var pair = Pair()
        pair.connect()
        pair.b.installsAtOnce = false
        let sent = pair.b.sent.count
        pair.give(.a, .rekeyChild(Pair.id))
        pair.driveMilliseconds(500)
        #expect(pair.b.sent.count == sent)
        #expect(pair.b.waitingInstalls.count == 1)
        // A repetition meanwhile is neither answered nor taken for a new request.
        pair.drive(.seconds(2))
        #expect(pair.b.waitingInstalls.count == 1)
        pair.answerInstalls(.b)
        pair.b.installsAtOnce = true
        pair.drive(.seconds(10))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.childRekeys(.a) == 1)
    }

    @Test(arguments: 0..<12)
    func bothSidesRekeyTheChildAtOnceAndOneIsLeft(_ seed: Int) {
        var pair = Pair(seedA: [1, UInt8(seed)], seedB: [2, UInt8(seed)])
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        pair.give(.b, .rekeyChild(Pair.id))
        pair.driveMilliseconds(500)
        pair.expectConnected()
        pair.drive(.seconds(10))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.childRekeys(.a) == 1)
        #expect(pair.childRekeys(.b) == 1)
        #expect(pair.failures(.a).isEmpty && pair.failures(.b).isEmpty)
        #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
    }

    /// The second story of RFC 7296 §2.8.1: the first request of A is lost, B's rekey is over before it is repeated.
    @Test(arguments: 0..<4)
    func aCollisionWithALostRequestEndsWithOneChild(_ seed: Int) {
        var pair = Pair(seedA: [1, UInt8(seed)], seedB: [2, UInt8(seed)])
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.a, .rekeyChild(Pair.id))
        pair.loses = { _ in false }
        pair.give(.b, .rekeyChild(Pair.id))
        pair.drive(.seconds(15))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.childRekeys(.a) == 1)
        #expect(pair.childRekeys(.b) == 1)
        #expect(pair.failures(.a).isEmpty && pair.failures(.b).isEmpty)
    }

    /// Every order in which the messages of a collision can arrive, hand-delivered.
    @Test(arguments: 0..<120)
    func aCollisionInAnyOrderOfArrivalEndsWithOneChild(_ order: Int) {
        var pair = Pair(seedA: [3, UInt8(order)], seedB: [4, UInt8(order)])
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        pair.give(.b, .rekeyChild(Pair.id))
        var choice = order
        for _ in 0..<8 where !pair.network.isEmpty {
            pair.deliver(choice % pair.network.count)
            choice /= 2
        }
        pair.drive(.seconds(15))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.childRekeys(.a) == 1)
        #expect(pair.childRekeys(.b) == 1)
    }

    @Test(arguments: [Pair.Side.a, .b])
    func eitherSideRekeysTheIKESAAndTheChildMovesOver(_ side: Pair.Side) {
        var pair = Pair()
        pair.connect()
        let children = Set(pair.a.children.keys)
        pair.give(side, .rekeyIKE(Pair.id))
        pair.drive(.seconds(1))
        #expect(pair.ikeRekeys(.a) == 1)
        #expect(pair.ikeRekeys(.b) == 1)
        #expect(Set(pair.a.children.keys) == children)
        pair.drive(.seconds(30))
        pair.expectOnlyOne()
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        // The new IKE SA works: its child can be rekeyed, from both sides, and the IKE SA again.
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        pair.give(.b, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        pair.give(side == .a ? .b : .a, .rekeyIKE(Pair.id))
        pair.drive(.seconds(30))
        pair.expectOnlyOne()
        pair.expectConnected()
        #expect(pair.ikeRekeys(.a) == 2)
        #expect(pair.childRekeys(.b) == 2)
    }

    @Test(arguments: 0..<12)
    func bothSidesRekeyTheIKESAAtOnceAndOneIsLeft(_ seed: Int) {
        var pair = Pair(seedA: [1, UInt8(seed)], seedB: [2, UInt8(seed)])
        pair.connect()
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.drive(.seconds(30))
        pair.expectOnlyOne()
        pair.expectConnected()
        #expect(pair.ikeRekeys(.a) == 1)
        #expect(pair.ikeRekeys(.b) == 1)
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        pair.give(.b, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test(arguments: 0..<120)
    func anIKECollisionInAnyOrderOfArrivalEndsWithOneSA(_ order: Int) {
        var pair = Pair(seedA: [3, UInt8(order)], seedB: [4, UInt8(order)])
        pair.connect()
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.give(.b, .rekeyIKE(Pair.id))
        var choice = order
        for _ in 0..<8 where !pair.network.isEmpty {
            pair.deliver(choice % pair.network.count)
            choice /= 2
        }
        pair.drive(.seconds(90))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
    }

    @Test func aLostRequestOfAnIKECollisionEndsWithOneSA() {
        var pair = Pair()
        pair.connect()
        pair.loses = { _ in true }
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.loses = { _ in false }
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.drive(.seconds(90))
        pair.expectOnlyOne()
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
    }

    @Test(arguments: [true, false])
    func aChildRekeyAgainstAnIKERekeyOfTheOtherSideSucceedsInTheEnd(_ childFirst: Bool) {
        var pair = Pair()
        pair.connect()
        pair.give(.a, childFirst ? .rekeyChild(Pair.id) : .rekeyIKE(Pair.id))
        pair.give(.b, childFirst ? .rekeyIKE(Pair.id) : .rekeyChild(Pair.id))
        pair.drive(.seconds(60))
        #expect(pair.childRekeys(.a) == 1)
        #expect(pair.ikeRekeys(.a) == 1)
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test func lifetimesMakeRekeysByThemselves() {
        var short = Pair.configuration(.a)
        short.ikeLifetime = .seconds(900)
        short.ikeRekeyMargin = .seconds(100)
        short.childLifetime = .seconds(300)
        short.childRekeyMargin = .seconds(60)
        var pair = Pair(a: short)
        pair.connect()
        pair.drive(.seconds(3600))
        #expect(pair.ikeRekeys(.a) == 4)
        #expect(pair.childRekeys(.a) == 14 || pair.childRekeys(.a) == 15)
        pair.expectConnected()
        #expect(pair.a.engine.ikeSACount == 1)
        #expect(pair.closed(.a).isEmpty && pair.childClosed(.a).isEmpty)
    }

    @Test func fuzzSpreadsTheRekeysOfManyChildren() {
        var moments: Set<Tick> = []
        for seed in 0..<20 as Range<UInt8> {
            var configuration = Pair.configuration(.a)
            configuration.rekeyFuzzPercent = 100
            var pair = Pair(a: configuration, seedA: [seed])
            pair.connect()
            if let child = pair.a.children.values.first?.child {
                moments.insert(child.rekeyAt)
                let margin = child.expiresAt - child.rekeyAt
                #expect(margin >= configuration.childRekeyMargin)
                #expect(margin <= configuration.childRekeyMargin * 2)
            }
        }
        #expect(moments.count == 20)
    }

    @Test func aRefusedRekeyIsReportedAndTheOldChildStays() {
        var other = Pair.configuration(.b)
        other.espProposals[0].groups = [.modp2048]
        var pair = Pair(b: other)
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(5))
        #expect(pair.failures(.a).map(\.reason) == [.noProposalChosen])
        #expect(pair.failures(.a).first?.explanation.contains("PFS group is the likely difference") == true)
        #expect(pair.failures(.b).first?.explanation.contains("ours modp2048, theirs curve25519") == true)
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test func aRekeyThatNeverSucceedsEndsTheChildAtItsLifetime() {
        var mine = Pair.configuration(.a)
        mine.childLifetime = .seconds(200)
        mine.childRekeyMargin = .seconds(60)
        var other = Pair.configuration(.b)
        other.espProposals[0].groups = [.modp2048]
        var pair = Pair(a: mine, b: other)
        pair.connect()
        pair.drive(.seconds(195))
        #expect(pair.failures(.a).count >= 2)
        #expect(pair.childClosed(.a).isEmpty)
        pair.drive(.seconds(20))
        #expect(pair.childClosed(.a).map(\.reason) == [.lifetimeExpired])
        #expect(pair.a.children.isEmpty)
        #expect(pair.childClosed(.b).map(\.reason) == [.deletedByPeer])
    }

    @Test func anotherPFSGroupIsTakenWhenThePeerAsksForIt() {
        var mine = Pair.configuration(.a)
        mine.espProposals[0].groups = [.modp2048, .ecp256]
        var other = Pair.configuration(.b)
        other.espProposals[0].groups = [.ecp256]
        var pair = Pair(a: mine, b: other)
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        #expect(pair.failures(.a).isEmpty)
        #expect(pair.a.children.values.first?.child.suite.group == .ecp256)
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test func anotherIKEGroupIsTakenWhenThePeerAsksForIt() {
        let both = IKEProposal(encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: [.modp2048, .ecp256])
        var other = Pair.configuration(.b, ike: [both])
        var pair = Pair(a: Pair.configuration(.a, ike: [both]), b: other)
        pair.connect()
        other.ikeProposals[0].groups = [.ecp256]
        pair.give(.b, .configure(Pair.id, other))
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.drive(.seconds(15))
        #expect(pair.ikeRekeys(.a) == 1)
        pair.expectOnlyOne()
    }

    @Test func anExhaustedChildIsRekeyed() throws {
        var pair = Pair()
        pair.connect()
        let spiIn = try #require(pair.a.children.keys.first)
        pair.give(.a, .childExhausted(spiIn: spiIn))
        pair.give(.a, .childExhausted(spiIn: spiIn))
        pair.drive(.seconds(8))
        #expect(pair.childRekeys(.a) == 1)
        pair.expectOnlyOne()
    }

    @Test(arguments: [Pair.Side.a, .b])
    func aDataPathThatRefusesTheNewChildKeepsTheOld(_ side: Pair.Side) {
        var pair = Pair()
        pair.connect()
        pair[side].refusesInstalls = true
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(8))
        #expect(pair.failures(side).first?.reason == .dataPathRefused)
        pair.expectConnected()
        pair[side].refusesInstalls = false
        pair.drive(.seconds(60))
        #expect(pair.childRekeys(.a) == 1)
        pair.expectConnected()
        pair.expectOnlyOne()
    }
}
