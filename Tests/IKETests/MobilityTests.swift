import Base
import Cryptography
import Testing

@testable import IKE

/// MOBIKE (RFC 4555): the tunnel follows a change of addresses.
@Suite struct MobilityTests {
    private static let elsewhere = IPAddress.v4(0xC633_6463)  // 198.51.100.99
    private static let further = IPAddress.v4(0xC633_6464)

    /// Two ends that can move, connected by A, which loses its first address as soon as it has another.
    private func mobilePair(b: Bool = true, _ change: (inout ConnectionConfiguration) -> Void = { _ in }) -> Pair {
        var (ours, theirs) = (Pair.configuration(.a), Pair.configuration(.b))
        ours.isMobile = true
        theirs.isMobile = b
        change(&ours)
        change(&theirs)
        var pair = Pair(a: ours, b: theirs)
        pair.connect()
        pair.expectConnected()
        return pair
    }

    private func move(_ pair: inout Pair, to address: IPAddress, hasLostOld: Bool = true) {
        pair.loses = { $0.to == .a && $0.path.local.address != address }
        pair.give(.a, .relocate(Pair.id, to: address, hasLostOld: hasLostOld))
    }

    private func path(_ pair: Pair, _ side: Pair.Side) -> Path? { pair[side].engine.table.only?.path }

    private func moves(_ pair: Pair, _ side: Pair.Side) -> [Path] {
        pair[side].events.compactMap {
            switch $0 {
            case .moved(let path), .peerMoved(let path): path
            default: nil
            }
        }
    }

    @Test func bothEndsSayThatTheyCanMove() throws {
        let pair = mobilePair()
        let (a, b) = (try #require(pair.a.engine.table.only), try #require(pair.b.engine.table.only))
        #expect(a.mobility == Mobility(isOriginalInitiator: true))
        #expect(b.mobility == Mobility(isOriginalInitiator: false))
        // On port 4500 from IKE_AUTH on, although nothing translates: ESP itself stays outside UDP.
        #expect(a.path.isNATPort && a.path.local.port == 4500 && a.path.remote.port == 4500)
        #expect(b.path.isNATPort)
        #expect(pair.a.sending?.child.path.isNATPort == false)
        #expect(pair.b.sending?.child.path.isNATPort == false)
    }

    @Test func aPeerThatCannotMoveIsToldNothing() throws {
        let pair = mobilePair(b: false)
        #expect(pair.a.engine.table.only?.mobility == nil)
        #expect(pair.b.engine.table.only?.mobility == nil)
    }

    @Test func theTunnelGoesAlongWithOurAddress() throws {
        var pair = mobilePair()
        let before = pair.a.children.keys.sorted()
        move(&pair, to: Self.elsewhere)
        // Ours moves at once; the request says where we are.
        #expect(pair.a.sending?.child.path.local.address == Self.elsewhere)
        #expect(pair.b.sending?.child.path.remote.address == Pair.addressA)
        pair.drive(.seconds(1))
        #expect(pair.b.sending?.child.path.remote.address == Self.elsewhere)
        #expect(path(pair, .b)?.remote.address == Self.elsewhere)
        #expect(moves(pair, .a).map(\.local.address) == [Self.elsewhere])
        #expect(moves(pair, .b).map(\.remote.address) == [Self.elsewhere])
        #expect(pair.a.children.keys.sorted() == before)
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        pair.expectConnected()
        pair.expectOnlyOne()
        // And it lives on: liveness checks and rekeys find each other.
        pair.drive(.seconds(3600))
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
    }

    @Test func nobodyPointsOurTrafficAtOthers() throws {
        var pair = mobilePair()
        // Nothing gets to the new address: whoever lives there never answers COOKIE2.
        pair.loses = { $0.to == .a }
        pair.give(.a, .relocate(Pair.id, to: Self.elsewhere, hasLostOld: true))
        pair.drive(.seconds(5))
        #expect(pair.b.sending?.child.path.remote.address == Pair.addressA)
        #expect(moves(pair, .b).isEmpty)
        #expect(pair.b.engine.deadline?.reason == "send the request again")
        pair.drive(.seconds(40))
        // Silence ends it as it ends any other SA.
        #expect(pair.closed(.b).map(\.reason) == [.silence])
        #expect(pair.b.children.isEmpty)
    }

    /// Neither by one move nor by a second from the same place, which is as unproven as the first.
    @Test func aSecondMoveProvesNoFirst() throws {
        var pair = mobilePair()
        var sa = try #require(pair.a.engine.table.only)
        var random = SeededRandom(seed: [9])
        pair.loses = { _ in true }
        for port in [4500, 4501] as [UInt16] {
            let sealed = sa.seal(.informational, messageID: sa.nextRequestID, isResponse: false, random: &random) {
                $0.add(.updateSAAddresses)
            }
            sa.nextRequestID += 1
            let path = Path(local: sa.path.remote, remote: Endpoint(Self.elsewhere, port), isNATPort: true)
            pair.give(.b, .datagram([0, 0, 0, 0] + (try #require(sealed)), path))
        }
        #expect(pair.b.engine.table.only?.path.remote == Endpoint(Self.elsewhere, 4501))
        #expect(pair.b.sending?.child.path.remote.address == Pair.addressA)
        #expect(moves(pair, .b).isEmpty)
    }

    @Test func aFalseCookieEndsTheSA() throws {
        var pair = mobilePair()
        move(&pair, to: Self.elsewhere)
        // The route check of B is out; its answer is made without the cookie.
        pair.driveMilliseconds(15)
        pair.b.engine.with(try #require(pair.b.engine.table.spis.first)) { engine, sa in
            guard case .checkRoute(let path, _) = sa.exchange else {
                Issue.record("no route check is out")
                return
            }
            sa.exchange = .checkRoute(path, cookie: [1, 2, 3, 4, 5, 6, 7, 8])
        }
        pair.drive(.seconds(1))
        #expect(pair.closed(.b).map(\.reason) == [.protocolError])
        #expect(pair.closed(.a).map(\.reason) == [.deletedByPeer])
        pair.drive(.seconds(20))
        pair.expectNothingLeft()
    }

    @Test func theLastOfSeveralMovesCounts() throws {
        var pair = mobilePair()
        move(&pair, to: Self.elsewhere)
        pair.driveMilliseconds(5)
        move(&pair, to: Self.further)
        pair.drive(.seconds(10))
        #expect(path(pair, .b)?.remote.address == Self.further)
        #expect(pair.b.sending?.child.path.remote.address == Self.further)
        #expect(pair.a.sending?.child.path.local.address == Self.further)
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
    }

    @Test func aRequestThatIsOutIsRepeatedFromTheNewAddress() throws {
        var pair = mobilePair()
        pair.loses = { _ in true }
        pair.give(.a, .checkLiveness(Pair.id))
        let sent = pair.a.sent.count
        move(&pair, to: Self.elsewhere)
        pair.driveMilliseconds(1)
        // The liveness check first, since the window has room for one; then the news.
        #expect(pair.a.sent.count == sent + 1)
        #expect(pair.a.sent.last?.0 == pair.a.sent[sent - 1].0)
        #expect(pair.a.sent.last?.1.local.address == Self.elsewhere)
        pair.drive(.seconds(2))
        #expect(path(pair, .b)?.remote.address == Self.elsewhere)
        pair.expectConnected()
    }

    @Test func aLostUpdateIsRepeated() throws {
        var pair = mobilePair()
        var lost = 0
        pair.give(.a, .relocate(Pair.id, to: Self.elsewhere, hasLostOld: true))
        pair.network.removeAll()
        pair.loses = { _ in
            lost += 1
            return lost <= 3
        }
        pair.drive(.seconds(20))
        #expect(pair.b.sending?.child.path.remote.address == Self.elsewhere)
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        pair.expectConnected()
    }

    @Test func behindATranslatorESPGoesIntoUDP() throws {
        var pair = mobilePair()
        // The new place is behind a NAT.
        pair.nat = Pair.NAT(address: IPAddress.v4(0xC633_6401))
        pair.give(.a, .relocate(Pair.id, to: Pair.insideA, hasLostOld: true))
        pair.drive(.seconds(2))
        #expect(pair.a.sending?.child.path.isNATPort == true)
        #expect(pair.b.sending?.child.path.isNATPort == true)
        #expect(pair.b.sending?.child.path.remote == Endpoint(IPAddress.v4(0xC633_6401), 14_500))
        #expect(pair.a.engine.table.only?.nat.isBehindNAT == true)
        #expect(pair.a.engine.table.only?.nextKeepalive ?? .distantFuture < .distantFuture)
        // And out of it again.
        pair.nat = nil
        pair.give(.a, .relocate(Pair.id, to: Self.further, hasLostOld: true))
        pair.drive(.seconds(2))
        #expect(pair.a.sending?.child.path.isNATPort == false)
        #expect(pair.b.sending?.child.path == Path(
            local: Endpoint(Pair.addressB, 4500), remote: Endpoint(Self.further, 4500), isNATPort: false))
        #expect(pair.a.engine.table.only?.nextKeepalive == .distantFuture)
        pair.expectConnected()
    }

    @Test func aTranslatorThatForgetsUsIsNoticed() throws {
        var (ours, theirs) = (Pair.configuration(.a), Pair.configuration(.b))
        (ours.isMobile, theirs.isMobile) = (true, true)
        ours.localAddress = Pair.insideA
        ours.localID = IKEIdentity(Pair.addressA)
        theirs.remoteAddress = nil
        theirs.remoteID = IKEIdentity(Pair.addressA)
        var pair = Pair(a: ours, b: theirs)
        pair.nat = Pair.NAT(address: IPAddress.v4(0xC633_6401))
        pair.connect()
        pair.expectConnected()
        pair.drive(.seconds(25))
        #expect(moves(pair, .b).isEmpty)
        // Another mapping: the next liveness check of ours tells, and B follows without a packet of ESP.
        pair.nat?.portOffset = 20_000
        pair.drive(.seconds(25))
        #expect(path(pair, .b)?.remote.port == 24_500)
        #expect(pair.b.sending?.child.path.remote.port == 24_500)
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        pair.expectConnected()
    }

    @Test func whoCannotMoveComesUpAnew() throws {
        var pair = mobilePair(b: false)
        // Another way, but the old address is still there: the SA stays as it is.
        pair.give(.a, .relocate(Pair.id, to: Self.elsewhere, hasLostOld: false))
        pair.drive(.seconds(1))
        #expect(pair.closed(.a).isEmpty)
        move(&pair, to: Self.elsewhere)
        pair.drive(.seconds(1))
        #expect(pair.closed(.a).map(\.reason) == [.addressChanged])
        #expect(pair.closed(.b).map(\.reason) == [.deletedByPeer])
    }

    @Test func theEndThatWasCalledCannotMove() throws {
        var pair = mobilePair()
        // The peer began the IKE SA: from this end there is no telling it (RFC 4555 §3.2).
        pair.give(.b, .relocate(Pair.id, to: Self.elsewhere, hasLostOld: true))
        pair.drive(.seconds(1))
        #expect(pair.closed(.b).map(\.reason) == [.addressChanged])
        #expect(pair.closed(.a).map(\.reason) == [.deletedByPeer])
    }

    @Test func theRightToMoveOutlivesRekeysOfEitherSide() throws {
        var pair = mobilePair()
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.drive(.seconds(30))
        #expect(pair.a.engine.table.only?.isInitiator == false)
        #expect(pair.a.engine.table.only?.mobility?.isOriginalInitiator == true)
        move(&pair, to: Self.elsewhere)
        pair.drive(.seconds(1))
        #expect(pair.b.sending?.child.path.remote.address == Self.elsewhere)
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    @Test(arguments: [Pair.Side.a, .b])
    func aMoveInTheMiddleOfARekeyIsNotLost(_ side: Pair.Side) throws {
        for milliseconds in stride(from: 0, through: 45, by: 5) {
            var pair = mobilePair()
            pair.give(side, .rekeyIKE(Pair.id))
            pair.driveMilliseconds(milliseconds)
            move(&pair, to: Self.elsewhere)
            pair.drive(.seconds(90))
            #expect(pair.b.sending?.child.path.remote.address == Self.elsewhere, "after \(milliseconds) ms")
            #expect(pair.a.sending?.child.path.local.address == Self.elsewhere, "after \(milliseconds) ms")
            #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty, "after \(milliseconds) ms")
            pair.expectConnected()
            pair.expectOnlyOne()
        }
    }

    @Test func aMoveOfBothRekeysAtOnceIsNotLost() throws {
        for milliseconds in stride(from: 0, through: 45, by: 5) {
            var pair = mobilePair()
            pair.give(.a, .rekeyIKE(Pair.id))
            pair.give(.b, .rekeyIKE(Pair.id))
            pair.driveMilliseconds(milliseconds)
            move(&pair, to: Self.elsewhere)
            pair.drive(.seconds(90))
            #expect(pair.b.sending?.child.path.remote.address == Self.elsewhere, "after \(milliseconds) ms")
            #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty, "after \(milliseconds) ms")
            pair.expectConnected()
            pair.expectOnlyOne()
        }
    }

    @Test func anAttemptFromALostAddressFailsAtOnce() throws {
        var ours = Pair.configuration(.a)
        ours.isMobile = true
        var pair = Pair(a: ours)
        pair.loses = { _ in true }
        pair.give(.a, .initiate(Pair.id))
        pair.give(.a, .relocate(Pair.id, to: Self.elsewhere, hasLostOld: true))
        #expect(pair.failures(.a).map(\.reason) == [.addressChanged])
        #expect(pair.a.engine.ikeSACount == 0)
    }

    @Test func aSnapshotKeepsTheRightToMove() throws {
        let pair = mobilePair()
        let restored = Engine(
            restoring: pair.a.engine.snapshot(), configuration: EngineConfiguration(), seed: [9], now: pair.now)
        #expect(restored.table.only?.mobility?.isOriginalInitiator == true)
    }
}

extension SATable {
    /// The one SA of the table; nil with none or several that are established.
    var only: IKESA? {
        let established = spis.compactMap { self[$0] }.filter(\.isEstablished)
        return established.count == 1 ? established[0] : nil
    }
}
