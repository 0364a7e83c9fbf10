import Base
import Cryptography
import Testing

@testable import IKE

/// Initiation without a child SA (RFC 6023).
@Suite struct ChildlessTests {
    private func pair(_ change: (inout ConnectionConfiguration) -> Void = { _ in }) -> Pair {
        var ours = Pair.configuration(.a)
        ours.prefersChildless = true
        var theirs = Pair.configuration(.b)
        change(&theirs)
        return Pair(a: ours, b: theirs)
    }

    @Test func theFirstChildHasAKeyExchangeOfItsOwn() throws {
        var pair = pair()
        pair.connect()
        pair.expectConnected()
        pair.expectOnlyOne()
        #expect(pair.a.sending?.child.suite.group == .curve25519)
        #expect(pair.established(.a) == 1 && pair.established(.b) == 1)
        #expect(pair.failures(.a).isEmpty && pair.failures(.b).isEmpty)
    }

    @Test func theIKESAStandsBeforeItsChild() throws {
        var pair = pair()
        pair.give(.a, .initiate(Pair.id))
        // IKE_SA_INIT and IKE_AUTH, there and back.
        pair.driveMilliseconds(45)
        #expect(pair.established(.a) == 1 && pair.established(.b) == 1)
        #expect(pair.a.children.isEmpty && pair.b.children.isEmpty)
        // An IKE SA alone is alive: its deadline is liveness, not an end.
        #expect(pair.b.engine.deadline?.reason == "check that the peer lives")
        pair.drive(.seconds(1))
        pair.expectConnected()
    }

    @Test func aRefusedChildEndsTheAttempt() throws {
        var pair = pair { $0.espProposals = [ESPProposal(encryption: [.aes256], integrity: [.sha512], groups: [])] }
        pair.connect()
        #expect(pair.failures(.a).map(\.reason) == [.noProposalChosen])
        #expect(pair.a.children.isEmpty && pair.b.children.isEmpty)
        pair.drive(.seconds(20))
        #expect(pair.a.engine.ikeSACount == 0 && pair.b.engine.ikeSACount == 0)
    }

    @Test func aSnapshotInTheMiddleOfItGoesOn() throws {
        var pair = pair()
        pair.give(.a, .initiate(Pair.id))
        pair.driveMilliseconds(25)
        let snapshot = pair.a.engine.snapshot()
        pair.a.engine = Engine(
            restoring: snapshot, configuration: EngineConfiguration(), seed: [5], now: pair.now)
        pair.drive(.seconds(2))
        pair.expectConnected()
    }
}
