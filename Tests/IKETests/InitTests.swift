import Base
import Cryptography
import IKE
import Testing

/// IKE_SA_INIT: cookies, groups, NAT, limits, repetitions.
struct InitTests {
    // MARK: Groups

    @Test func thePeersGroupIsTakenAfterInvalidKEPayload() {
        let mine = IKEProposal(
            encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: [.modp2048, .ecp256, .curve25519])
        let theirs = IKEProposal(encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: [.ecp256])
        var pair = Pair(a: Pair.configuration(.a, ike: [mine]), b: Pair.configuration(.b, ike: [theirs]))
        pair.connect()
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.a.sent.count == 3)
    }

    @Test func aPeerThatKeepsAskingForOtherGroupsIsNotFollowedForEver() throws {
        let groups: [DHGroup] = [.curve25519, .ecp256, .ecp384]
        let offer = IKEProposal(encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: groups)
        var pair = Pair(a: Pair.configuration(.a, ike: [offer]))
        pair.loses = { _ in true }
        pair.give(.a, .initiate(Pair.id))
        for round in 0..<40 {
            let (request, path) = try #require(pair.a.sent.last)
            let group = groups[round % 3].rawValue
            var answer = Array(request[0..<8]) + [UInt8](repeating: 0, count: 8)
            answer += [41, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 38]
            answer += [0, 0, 0, 10, 0, 0, 0, 17, UInt8(group >> 8), UInt8(truncatingIfNeeded: group)]
            let seen = Path(local: path.local, remote: path.remote, isNATPort: false)
            pair.give(.a, .datagram(answer, seen))
        }
        #expect(pair.a.sent.count <= 4)
    }

    // MARK: Cookies

    @Test func underLoadACookieIsAskedForBeforeAnythingIsKept() {
        var configuration = EngineConfiguration()
        configuration.cookieThreshold = 0
        var pair = Pair(engine: configuration)
        pair.give(.a, .initiate(Pair.id))
        pair.driveMilliseconds(15)
        #expect(pair.b.engine.ikeSACount == 0)
        #expect(pair.b.engine.counters.cookiesDemanded == 1)
        pair.drive(.seconds(2))
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.a.sent.count == 3)
    }

    @Test func aCookieIsGoodForItsSenderOnlyAndForTwoMinutes() throws {
        var configuration = EngineConfiguration()
        configuration.cookieThreshold = 0
        var pair = Pair(engine: configuration)
        pair.give(.a, .initiate(Pair.id))
        pair.deliver()
        pair.deliver()
        let withCookie = try #require(pair.network.first)
        var elsewhere = withCookie
        elsewhere.path.remote.port = 501
        pair.give(.b, .datagram(elsewhere.bytes, elsewhere.path))
        #expect(pair.b.engine.ikeSACount == 0)
        #expect(pair.b.engine.counters.cookiesDemanded == 2)
        pair.network = []
        pair.now = pair.now + .seconds(130)
        pair.give(.b, .datagram(withCookie.bytes, withCookie.path))
        #expect(pair.b.engine.ikeSACount == 0)
        #expect(pair.b.engine.counters.cookiesDemanded == 3)
    }

    @Test func cookiesAndAnotherGroupGoTogether() {
        let mine = IKEProposal(
            encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: [.modp2048, .ecp256])
        let theirs = IKEProposal(encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: [.ecp256])
        var configuration = EngineConfiguration()
        configuration.cookieThreshold = 0
        var pair = Pair(
            a: Pair.configuration(.a, ike: [mine]), b: Pair.configuration(.b, ike: [theirs]), engine: configuration)
        pair.connect()
        pair.expectConnected()
    }

    // MARK: Limits

    @Test func oneHostWithManyPortsLeavesRoomForOthers() {
        var configuration = EngineConfiguration()
        configuration.maximumHalfOpen = 64
        configuration.cookieThreshold = 1000
        var anyone = Pair.configuration(.b)
        anyone.remoteAddress = nil
        var pair = Pair(b: anyone, engine: configuration)
        pair.give(.a, .initiate(Pair.id))
        let first = pair.network[0]
        pair.network = []
        func knock(_ host: UInt32, _ number: Int) {
            var datagram = first
            datagram.bytes[6] = UInt8(truncatingIfNeeded: host)
            datagram.bytes[7] = UInt8(truncatingIfNeeded: number)
            datagram.path.remote = Endpoint(.v4(0x0A00_0000 + host), UInt16(2000 + number))
            pair.give(.b, .datagram(datagram.bytes, datagram.path))
        }
        // Many clients behind one translator are welcome while there is room.
        for number in 0..<60 { knock(1, number) }
        #expect(pair.b.engine.halfOpenCount == 32)
        for host in 2...9 as ClosedRange<UInt32> { for number in 0..<10 { knock(host, number) } }
        #expect(pair.b.engine.halfOpenCount == 64)
        pair.network = []
        pair.drive(.seconds(31))
        #expect(pair.b.engine.halfOpenCount == 0)
    }

    @Test func halfOpenSAsOfOneAddressAndPortAreLimitedAndGoAway() {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        let first = pair.network[0]
        pair.network = []
        for number in 1...20 as ClosedRange<UInt8> {
            var bytes = first.bytes
            bytes[7] = number
            pair.give(.b, .datagram(bytes, first.path))
        }
        #expect(pair.b.engine.halfOpenCount == 8)
        #expect(pair.b.engine.counters.cookiesDemanded == 12)
        // Another client behind the same NAT has another port. For ten seconds it needs a cookie too, and no more.
        var path = first.path
        path.remote.port = 40_000
        pair.give(.b, .datagram(first.bytes, path))
        #expect(pair.b.engine.halfOpenCount == 8 && pair.b.engine.counters.cookiesDemanded == 13)
        pair.network = []
        pair.now = pair.now + .seconds(10)
        pair.give(.b, .datagram(first.bytes, path))
        #expect(pair.b.engine.halfOpenCount == 9)
        pair.network = []
        pair.now = pair.now + .seconds(31)
        pair.wake(.b)
        #expect(pair.b.engine.halfOpenCount == 0)
        #expect(pair.b.engine.ikeSACount == 0)
        #expect(pair.b.engine.deadline == nil)
    }

    @Test func whoeverKnocksInThePeersNameDoesNotLockItOut() {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        let first = pair.network[0]
        for number in 1...200 as ClosedRange<UInt8> {
            var forged = first.bytes
            forged[7] = number
            pair.give(.b, .datagram(forged, first.path))
        }
        #expect(pair.b.engine.halfOpenCount == 8)
        // What answers the forged ones means nothing to A, which returns the cookie of its own.
        pair.drive(.seconds(2))
        #expect(pair.established(.a) == 1)
        pair.expectConnected()
        #expect(pair.b.engine.halfOpenCount == 8)
        pair.drive(.seconds(31))
        pair.expectOnlyOne()
    }

    @Test func whoeverHasCookiesIsLimitedAsWell() throws {
        var pair = Pair()
        for seed in 0..<40 as Range<UInt8> {
            var other = Engine(configuration: EngineConfiguration(), seed: [9, seed], now: pair.now)
            _ = other.receive(.configure(Pair.id, Pair.configuration(.a)), now: pair.now)
            var effects = other.receive(.initiate(Pair.id), now: pair.now)
            // The first message, and the second with a cookie where one is asked for.
            for _ in 0..<2 {
                for case .send(let bytes, let path) in effects where bytes[18] == 34 {
                    let seen = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
                    let before = pair.network.count
                    pair.give(.b, .datagram(bytes, seen))
                    effects = []
                    guard pair.network.count > before, let answer = pair.network.popLast() else { continue }
                    effects = other.receive(.datagram(answer.bytes, answer.path), now: pair.now)
                }
            }
        }
        #expect(pair.b.engine.halfOpenCount == 16)
        #expect(pair.b.engine.counters.droppedHalfOpen > 20)
    }

    @Test func aRepeatedFirstMessageGetsTheSameAnswer() {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        let first = pair.network[0]
        for _ in 0..<3 { pair.give(.b, .datagram(first.bytes, first.path)) }
        #expect(pair.b.engine.ikeSACount == 1)
        #expect(pair.b.sent.count == 3)
        #expect(Set(pair.b.sent.map { $0.0 }).count == 1)
    }

    @Test func anotherFirstMessageWithTheSameSPIIsNotAnswered() {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        let first = pair.network[0]
        pair.give(.b, .datagram(first.bytes, first.path))
        var other = first.bytes
        other[other.count - 1] ^= 1
        pair.give(.b, .datagram(other, first.path))
        #expect(pair.b.sent.count == 1)
    }

    // MARK: NAT

    @Test func withoutANATEverythingStaysOnPort500() {
        var pair = Pair()
        pair.connect()
        #expect(pair.a.sent.allSatisfy { !$0.1.isNATPort })
        #expect(pair.a.children.values.allSatisfy { !$0.child.path.isNATPort })
    }

    @Test func behindANATBothSidesMoveToPort4500() throws {
        var mine = Pair.configuration(.a)
        mine.localAddress = Pair.insideA
        mine.localID = IKEIdentity(Pair.addressA)
        var pair = Pair(a: mine)
        pair.nat = Pair.NAT(address: Pair.addressA)
        pair.connect()
        pair.expectConnected()
        let (message, path) = try #require(pair.a.sent.last)
        #expect(path.isNATPort && path.remote.port == 4500 && path.local.port == 4500)
        #expect(message[0..<4] == [0, 0, 0, 0])
        let child = try #require(pair.b.children.values.first?.child)
        #expect(child.path.isNATPort)
        #expect(child.path.remote == Endpoint(Pair.addressA, 14_500))
        let summaries = pair.a.events.compactMap { if case .ikeEstablished(let summary) = $0 { summary } else { nil } }
        #expect(summaries.first?.isBehindNAT == true)
        #expect(summaries.first?.isPeerBehindNAT == false)
        let others = pair.b.events.compactMap { if case .ikeEstablished(let summary) = $0 { summary } else { nil } }
        #expect(others.first?.isBehindNAT == false)
        #expect(others.first?.isPeerBehindNAT == true)
    }

    @Test func onlyTheSideBehindTheNATSendsKeepalives() {
        var mine = Pair.configuration(.a)
        mine.localAddress = Pair.insideA
        mine.localID = IKEIdentity(Pair.addressA)
        mine.dpdDelay = .zero
        var other = Pair.configuration(.b)
        other.dpdDelay = .zero
        var pair = Pair(a: mine, b: other)
        pair.nat = Pair.NAT(address: Pair.addressA)
        pair.connect()
        pair.drive(.seconds(61))
        #expect(pair.a.sent.filter { $0.0 == [0xFF] }.count == 3)
        #expect(pair.b.sent.filter { $0.0 == [0xFF] }.isEmpty)
        #expect(pair.b.engine.counters.malformed == 0)
    }

    @Test func withoutANATNobodySendsKeepalives() {
        var pair = Pair()
        pair.connect()
        pair.drive(.seconds(120))
        #expect((pair.a.sent + pair.b.sent).allSatisfy { $0.0 != [0xFF] })
    }

    @Test(arguments: [Pair.Side.a, .b])
    func aPretendedNATMakesESPTravelInUDP(_ side: Pair.Side) {
        var configurations = (Pair.configuration(.a), Pair.configuration(.b))
        if side == .a {
            configurations.0.forceUDPEncapsulation = true
        } else {
            configurations.1.forceUDPEncapsulation = true
        }
        var pair = Pair(a: configurations.0, b: configurations.1)
        pair.connect()
        pair.expectConnected()
        #expect(pair.a.children.values.allSatisfy { $0.child.path.isNATPort })
        #expect(pair.b.children.values.allSatisfy { $0.child.path.isNATPort })
        #expect(pair.a.sent.last?.1.isNATPort == true)
    }

    @Test func whenTheNATMovesItsPortThePathFollowsAuthenticatedMessages() throws {
        var mine = Pair.configuration(.a)
        mine.localAddress = Pair.insideA
        mine.localID = IKEIdentity(Pair.addressA)
        var pair = Pair(a: mine)
        pair.nat = Pair.NAT(address: Pair.addressA)
        pair.connect()
        // A forged message from elsewhere moves nothing.
        let (last, _) = try #require(pair.a.sent.last)
        var forged = last
        forged[forged.count - 1] ^= 1
        let elsewhere = Path(
            local: Endpoint(Pair.addressB, 4500), remote: Endpoint(.v4(0x0102_0304), 4500), isNATPort: true)
        pair.give(.b, .datagram(forged, elsewhere))
        #expect(pair.count(.b) { if case .peerMoved = $0 { true } else { false } } == 0)
        // Neither does an old message, sent again from elsewhere.
        pair.give(.b, .datagram(last, elsewhere))
        #expect(pair.count(.b) { if case .peerMoved = $0 { true } else { false } } == 0)
        pair.nat?.portOffset = 20_000
        pair.give(.a, .checkLiveness(Pair.id))
        pair.driveMilliseconds(200)
        #expect(pair.count(.b) { if case .peerMoved = $0 { true } else { false } } == 1)
        #expect(pair.b.children.values.first?.child.path.remote == Endpoint(Pair.addressA, 24_500))
        pair.give(.b, .checkLiveness(Pair.id))
        pair.driveMilliseconds(200)
        #expect(pair.count(.b) { if case .answered = $0 { true } else { false } } == 1)
    }

    @Test func theDataPathMayTellThatTheNATMoved() throws {
        var mine = Pair.configuration(.a)
        mine.localAddress = Pair.insideA
        mine.localID = IKEIdentity(Pair.addressA)
        var pair = Pair(a: mine)
        pair.nat = Pair.NAT(address: Pair.addressA)
        pair.connect()
        let spiIn = try #require(pair.b.children.keys.first)
        let moved = Path(
            local: Endpoint(Pair.addressB, 4500), remote: Endpoint(Pair.addressA, 33_333), isNATPort: true)
        pair.give(.b, .peerMoved(spiIn: spiIn, moved))
        #expect(pair.b.children[spiIn]?.child.path == moved)
    }

    // MARK: IPv6 and identities

    @Test func ipv6OutsideAddressesWork() throws {
        let six = try (#require(IPAddress("2001:db8::2")), #require(IPAddress("2001:db8:1::1")))
        var mine = Pair.configuration(.a)
        mine.localAddress = six.0
        mine.remoteAddress = six.1
        var other = Pair.configuration(.b)
        other.localAddress = six.1
        other.remoteAddress = six.0
        mine.localSelectors = [Pair.selector("2001:db8:a::/48"), Pair.selectorA]
        mine.remoteSelectors = [Pair.selector("::/0"), Pair.selectorB]
        other.localSelectors = [Pair.selector("2001:db8:b::/48"), Pair.selectorB]
        other.remoteSelectors = [Pair.selector("::/0"), Pair.selector("0.0.0.0/0")]
        var pair = Pair(a: mine, b: other)
        pair.connect()
        pair.expectConnected()
        let child = try #require(pair.a.children.values.first?.child)
        #expect(Set(child.localSelectors) == [Pair.selector("2001:db8:a::/48"), Pair.selectorA])
        #expect(Set(child.remoteSelectors) == [Pair.selector("2001:db8:b::/48"), Pair.selectorB])
    }

    @Test(arguments: ["vpn.example.org", "Ops@Example.org", "192.0.2.77", "2001:db8::77", "keyid:00ff"])
    func everyKindOfIdentityAuthenticates(_ text: String) throws {
        var mine = Pair.configuration(.a)
        mine.localID = IKEIdentity(text)
        var other = Pair.configuration(.b)
        other.remoteID = IKEIdentity(text.lowercased())
        other.remoteAddress = nil
        var pair = Pair(a: mine, b: other)
        pair.connect()
        pair.expectConnected()
    }

    @Test func aWildcardResponderTellsItsPeersApartByIdentityAndKey() {
        var pair = Pair()
        pair.give(.b, .remove(Pair.id))
        for number in 1...5 as ClosedRange<UInt32> {
            var definition = Pair.configuration(.b, psk: "the key of number \(number)")
            definition.remoteAddress = nil
            definition.remoteID = .fqdn("site\(number).example.org")
            pair.give(.b, .configure(ConnectionID(number), definition))
        }
        var mine = Pair.configuration(.a, psk: "the key of number 4")
        mine.localID = .fqdn("site4.example.org")
        pair.give(.a, .configure(Pair.id, mine))
        pair.connect()
        pair.expectConnected()
        #expect(pair.b.children.values.first?.child.connection == ConnectionID(4))
    }

    @Test func twoConnectionsToOnePeerLiveSideBySide() throws {
        var pair = Pair()
        var second = Pair.configuration(.a)
        second.localID = .fqdn("second.example.org")
        second.localSelectors = [Pair.selector("10.3.0.0/16")]
        var answering = Pair.configuration(.b)
        answering.remoteID = .fqdn("second.example.org")
        answering.remoteSelectors = [Pair.selector("10.3.0.0/16")]
        pair.give(.a, .configure(ConnectionID(2), second))
        pair.give(.b, .configure(ConnectionID(2), answering))
        pair.give(.a, .initiate(ConnectionID(2)))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(3))
        #expect(Set(pair.b.children.values.map(\.child.connection)) == [Pair.id, ConnectionID(2)])
        #expect(pair.a.engine.ikeSACount == 2)
        pair.give(.a, .terminate(ConnectionID(2)))
        pair.drive(.seconds(20))
        pair.expectOnlyOne()
        pair.expectConnected()
    }

    @Test func theShardStandsInEverySPI() throws {
        var configuration = EngineConfiguration()
        configuration.shard = 7
        var pair = Pair(engine: configuration)
        pair.connect()
        let child = try #require(pair.a.children.values.first?.child)
        #expect(child.ikeSA.spi >> 56 == 7)
        #expect(child.spiIn >> 24 == 7)
        #expect(child.spiOut >> 24 == 7)
    }
}
