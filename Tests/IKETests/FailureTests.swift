import Base
import Cryptography
import IKE
import Testing

/// What people read when it does not work: the likely cause, on both sides.
struct FailureTests {
    private func expect(
        _ failure: Failure?, _ reason: Failure.Reason, _ parts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(failure?.reason == reason, sourceLocation: sourceLocation)
        for part in parts {
            #expect(
                failure?.explanation.contains(part) == true, "'\(failure?.explanation ?? "none")' lacks '\(part)'",
                sourceLocation: sourceLocation)
        }
        #expect(failure?.explanation.contains("shared key of some length") != true, sourceLocation: sourceLocation)
    }

    @Test func aWrongKey() {
        var pair = Pair(b: Pair.configuration(.b, psk: "another shared key of some length"))
        pair.connect()
        expect(
            pair.failures(.a).first, .authenticationFailed, "203.0.113.1 refused our authentication",
            "We called ourselves '198.51.100.2'", "pre-shared key differs")
        expect(
            pair.failures(.b).first, .authenticationFailed, "198.51.100.2 calls itself '198.51.100.2', as expected",
            "its pre-shared key is not ours")
        #expect(pair.failures(.a).count == 1 && pair.failures(.b).count == 1)
        pair.drive(.seconds(30))
        pair.expectNothingLeft()
    }

    @Test func aWrongIdentityOfOurs() {
        var mine = Pair.configuration(.a)
        mine.localID = .fqdn("branch.example.org")
        var pair = Pair(a: mine)
        pair.connect()
        expect(
            pair.failures(.b).first, .authenticationFailed, "calls itself 'branch.example.org'",
            "'to-a' expects '198.51.100.2'", "Set the remote identity to 'branch.example.org'")
        expect(pair.failures(.a).first, .authenticationFailed, "We called ourselves 'branch.example.org'")
    }

    @Test func aWrongIdentityOfThePeer() {
        var other = Pair.configuration(.b)
        other.localID = .fqdn("hub.example.org")
        var pair = Pair(b: other)
        pair.connect()
        expect(
            pair.failures(.a).first, .authenticationFailed, "203.0.113.1 calls itself 'hub.example.org'",
            "we expect '203.0.113.1'")
        // The responder thought that all was well; it is told.
        expect(pair.failures(.b).first, .authenticationFailed, "did not accept our authentication as 'hub.example.org'")
        pair.drive(.seconds(30))
        pair.expectNothingLeft()
    }

    @Test func anIdentityThatThePeerDoesNotHave() {
        var mine = Pair.configuration(.a)
        mine.remoteID = .fqdn("west.example.org")
        var other = Pair.configuration(.b)
        other.localID = .fqdn("east.example.org")
        var pair = Pair(a: mine, b: other)
        pair.connect()
        expect(
            pair.failures(.b).first, .authenticationFailed, "asks for 'west.example.org'", "we are 'east.example.org'")
        expect(pair.failures(.a).first, .authenticationFailed, "asked for 'west.example.org'")
    }

    @Test func noCommonPhase1Proposal() {
        let mine = IKEProposal(
            encryption: [.aes256, .aes128], integrity: [.sha256], prf: [.sha256], groups: [.modp2048])
        let theirs = IKEProposal(encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: [.ecp256])
        var pair = Pair(a: Pair.configuration(.a, ike: [mine]), b: Pair.configuration(.b, ike: [theirs]))
        pair.give(.a, .initiate(Pair.id))
        pair.driveMilliseconds(2500)
        // Anyone could have sent the refusal: it is not believed at once.
        #expect(pair.failures(.a).isEmpty)
        pair.drive(.seconds(2))
        expect(
            pair.failures(.a).first, .noProposalChosen, "203.0.113.1 accepts none of our phase-1 proposals",
            "We offered aes256/aes128-sha256-prfsha256-modp2048")
        expect(
            pair.failures(.b).first, .noProposalChosen, "It offered aes256/aes128-sha256-prfsha256-modp2048",
            "we accept aes256-sha256-prfsha256-ecp256",
            "Nearest miss: Diffie-Hellman group: ours ecp256, theirs modp2048")
        #expect(pair.failures(.a).count == 1)
        pair.drive(.seconds(30))
        pair.expectNothingLeft()
    }

    @Test func noCommonPhase2Proposal() {
        let mine = ESPProposal(encryption: [.aes256], integrity: [.sha256], groups: [])
        let theirs = ESPProposal(encryption: [.aes256], integrity: [.sha512], groups: [])
        var pair = Pair(a: Pair.configuration(.a, esp: [mine]), b: Pair.configuration(.b, esp: [theirs]))
        pair.connect()
        expect(
            pair.failures(.a).first, .noProposalChosen, "none of our phase-2 proposals", "We offered aes256-sha256.",
            "Make phase-2 encryption, integrity and ESN agree")
        expect(pair.failures(.b).first, .noProposalChosen, "Nearest miss: integrity: ours sha512, theirs sha256")
        #expect(pair.established(.a) == 1)
        #expect(pair.closed(.a).map(\.reason) == [.noProposalChosen])
        pair.drive(.seconds(30))
        pair.expectNothingLeft()
    }

    @Test func networksThatDoNotMeet() {
        var other = Pair.configuration(.b)
        other.localSelectors = [Pair.selector("10.9.0.0/16")]
        var pair = Pair(b: other)
        pair.connect()
        expect(
            pair.failures(.a).first, .selectorsUnacceptable, "TS_UNACCEPTABLE", "local 10.1.0.0/16",
            "remote 10.2.0.0/16")
        expect(
            pair.failures(.b).first, .selectorsUnacceptable,
            "asked for 10.1.0.0/16 on its side and 10.2.0.0/16 on ours",
            "local 10.9.0.0/16")
        pair.drive(.seconds(30))
        pair.expectNothingLeft()
    }

    @Test func silenceFromTheStart() {
        var pair = Pair()
        pair.loses = { _ in true }
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(29))
        #expect(pair.failures(.a).isEmpty)
        pair.drive(.seconds(2))
        expect(
            pair.failures(.a).first, .silence, "No answer from 203.0.113.1 port 500 in 30 s",
            "firewall, a wrong address, or the peer is down", "UDP 500 and 4500 must pass")
        pair.expectNothingLeft()
    }

    @Test func silenceAfterAuthentication() {
        var pair = Pair()
        pair.loses = { $0.bytes.count > 18 && $0.bytes[18] == 35 }
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(31))
        expect(pair.failures(.a).first, .silence, "answered IKE_SA_INIT, but not IKE_AUTH on port 500")
        #expect(pair.notices(.b).contains { $0.contains("IKE_AUTH never came") })
        pair.expectNothingLeft()
    }

    @Test func silenceOnThePortForNAT() {
        var mine = Pair.configuration(.a)
        mine.forceUDPEncapsulation = true
        var pair = Pair(a: mine)
        pair.loses = { $0.path.isNATPort }
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(31))
        expect(pair.failures(.a).first, .silence, "UDP 4500 may be blocked on the way although UDP 500 passes")
    }

    @Test func aDataPathThatRefuses() {
        for side in [Pair.Side.a, .b] {
            var pair = Pair()
            pair[side].refusesInstalls = true
            pair.connect()
            expect(pair.failures(side).first, .dataPathRefused, "The data path refused the child SA: no room")
            pair.drive(.seconds(30))
            pair.expectNothingLeft()
        }
    }

    @Test func nobodyIsConfiguredForTheCaller() {
        var pair = Pair()
        pair.give(.b, .remove(Pair.id))
        pair.connect()
        pair.drive(.seconds(5))
        expect(pair.failures(.a).first, .noProposalChosen)
        #expect(pair.notices(.b).contains { $0.contains("no connection is configured for this address") })
    }

    @Test func aConnectionWithoutAddressCannotCall() {
        var mine = Pair.configuration(.a)
        mine.remoteAddress = nil
        var pair = Pair(a: mine)
        pair.give(.a, .initiate(Pair.id))
        expect(pair.failures(.a).first, .noSuchConnection, "'to-b' has no remote address")
    }

    @Test func aForgedRefusalDoesNotStopTheHandshake() throws {
        var pair = Pair()
        pair.give(.a, .initiate(Pair.id))
        let (request, path) = try #require(pair.a.sent.first)
        var forged = Array(request[0..<8]) + [UInt8](repeating: 0, count: 8)
        forged += [41, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 36, 0, 0, 0, 8, 0, 0, 0, 14]
        pair.give(.a, .datagram(forged, path))
        pair.drive(.seconds(2))
        pair.expectConnected()
        #expect(pair.failures(.a).isEmpty)
    }

    @Test func theExplanationKeepsTheLastFailureUntilItIsMended() {
        var pair = Pair(b: Pair.configuration(.b, psk: "another"))
        pair.connect()
        #expect(pair.a.engine.explain(Pair.id).lastFailure?.reason == .authenticationFailed)
        #expect(pair.b.engine.explain(Pair.id).sentence.hasPrefix("Down. 198.51.100.2 calls itself"))
        pair.give(.b, .configure(Pair.id, Pair.configuration(.b)))
        pair.connect()
        pair.expectConnected()
        #expect(pair.a.engine.explain(Pair.id).lastFailure == nil)
    }
}
