import Base
import Cryptography
import IKE
import Testing

struct HandshakeTests {
    @Test func aHandshakeBringsUpOneChildOnBothSides() {
        var pair = Pair()
        pair.connect()
        #expect(pair.established(.a) == 1)
        #expect(pair.established(.b) == 1)
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.a.sent.count == 2)
        #expect(pair.b.sent.count == 2)
    }

    @Test(arguments: DHGroup.allCases)
    func everyGroupConnects(_ group: DHGroup) {
        let offer = IKEProposal(encryption: [.aes128], integrity: [.sha1], prf: [.sha1], groups: [group])
        var pair = Pair(a: Pair.configuration(.a, ike: [offer]), b: Pair.configuration(.b, ike: [offer]))
        pair.connect()
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    @Test(arguments: EncryptionAlgorithm.allCases, IntegrityAlgorithm.allCases)
    func everySuiteConnects(_ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm) {
        let prf = PRFAlgorithm(rawValue: integrity.rawValue) ?? .sha256
        let ike = IKEProposal(
            encryption: [encryption], integrity: encryption.isAEAD ? [] : [integrity], prf: [prf], groups: [.curve25519]
        )
        let esp = ESPProposal(
            encryption: [encryption], integrity: encryption.isAEAD ? [] : [integrity], groups: [], esn: [true])
        var pair = Pair(
            a: Pair.configuration(.a, ike: [ike], esp: [esp]), b: Pair.configuration(.b, ike: [ike], esp: [esp]))
        pair.connect()
        pair.expectConnected()
        pair.expectOnlyOne()
        let child = pair.a.children.values.first?.child
        #expect(child?.suite.esn == true)
        #expect(child?.encryptionKeyIn.count == encryption.keyLength + encryption.saltLength)
        #expect(child?.integrityKeyIn.count == (encryption.isAEAD ? 0 : integrity.keyLength))
    }

    @Test func terminateDeletesOnBothSidesAndLeavesNothing() {
        var pair = Pair()
        pair.connect()
        pair.give(.a, .terminate(Pair.id))
        pair.drive(.seconds(20))
        #expect(pair.closed(.a).map(\.reason) == [.requested])
        #expect(pair.closed(.b).map(\.reason) == [.deletedByPeer])
        pair.expectNothingLeft()
    }

    @Test func anIdlePeerIsAskedWhetherItLives() {
        var pair = Pair()
        pair.connect()
        let before = pair.a.sent.count
        pair.drive(.seconds(11))
        #expect(pair.a.sent.count + pair.b.sent.count > before + 2)
        #expect(pair.count(.a) { if case .answered = $0 { true } else { false } } >= 2)
        pair.expectConnected()
    }

    @Test func aDeadPeerIsFoundWithinTheTimeout() {
        var pair = Pair()
        pair.connect()
        let died = pair.now
        pair.loses = { _ in true }
        while pair.closed(.a).isEmpty, pair.step(until: died + .seconds(100)) {}
        #expect(pair.closed(.a).map(\.reason) == [.silence])
        #expect(pair.now - died <= .seconds(40))
    }
}
