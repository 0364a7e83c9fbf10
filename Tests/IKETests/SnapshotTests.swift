import Base
import Cryptography
import Foundation
import IKE
import Testing

struct SnapshotTests {
    private func roundTrip(_ snapshot: EngineSnapshot) throws -> EngineSnapshot {
        let encoder = JSONEncoder()
        encoder.userInfo[Secret.revealSecrets] = true
        return try JSONDecoder().decode(EngineSnapshot.self, from: encoder.encode(snapshot))
    }

    private func restart(_ pair: inout Pair, _ side: Pair.Side) throws {
        let snapshot = try roundTrip(pair[side].engine.snapshot())
        pair[side].engine = Engine(
            restoring: snapshot, configuration: EngineConfiguration(), seed: [200, 1], now: pair.now)
        #expect(snapshot.revision > 0)
    }

    @Test(arguments: [Pair.Side.a, .b])
    func aRestoredEngineGoesOnAndRekeysItsChildren(_ side: Pair.Side) throws {
        var pair = Pair()
        pair.connect()
        pair.drive(.seconds(25))
        try restart(&pair, side)
        let deadline = try #require(pair[side].engine.deadline)
        #expect(deadline == Deadline(pair.now, "rekey a child SA"))
        pair.drive(.seconds(20))
        #expect(pair.childRekeys(side) == 1)
        pair.expectOnlyOne()
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.drive(.seconds(20))
        pair.give(.b, .terminate(Pair.id))
        pair.drive(.seconds(20))
        pair.expectNothingLeft()
    }

    @Test(arguments: [Pair.Side.a, .b])
    func whatTheDataPathHasKeptIsNotRekeyed(_ side: Pair.Side) throws {
        var pair = Pair()
        pair.connect()
        pair.drive(.seconds(25))
        let snapshot = try roundTrip(pair[side].engine.snapshot())
        let saved = try #require(snapshot.children.first)
        let installed = try #require(pair[side].children[saved.child.spiIn])
        #expect(snapshot.children.count == 1 && saved.isTold && !saved.isSuperseded)
        #expect(saved.usesOutbound == installed.usesOutbound)
        var bare = installed.child
        for key in [\ChildSA.encryptionKeyIn, \.encryptionKeyOut, \.integrityKeyIn, \.integrityKeyOut] {
            bare[keyPath: key] = Secret([])
        }
        #expect(saved.child == bare)
        let up = try #require(snapshot.establishedSAs.first)
        #expect(snapshot.establishedSAs.count == 1 && up.id == saved.child.ikeSA && up.connection == Pair.id)
        #expect(snapshot.configurations[Pair.id] != nil)

        pair[side].engine = Engine(
            restoring: snapshot, kept: [saved.child.spiIn], configuration: EngineConfiguration(), seed: [200, 1],
            now: pair.now)
        pair.drive(.seconds(60))
        #expect(pair.childRekeys(side) == 0)
        pair.expectConnected()
        // Both sides begin exchanges: the message IDs still agree.
        pair.give(.a, .rekeyChild(Pair.id))
        pair.drive(.seconds(10))
        pair.give(.b, .rekeyIKE(Pair.id))
        pair.drive(.seconds(20))
        pair.expectOnlyOne()
        pair.expectConnected()
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
    }

    @Test(arguments: 0..<12)
    func aRestartInTheMiddleOfAnythingHeals(_ moment: Int) throws {
        var pair = Pair()
        if moment >= 4 {
            pair.connect()
            pair.give(.a, moment % 2 == 0 ? .rekeyChild(Pair.id) : .rekeyIKE(Pair.id))
            if moment >= 8 { pair.give(.b, .rekeyChild(Pair.id)) }
        } else {
            pair.give(.a, .initiate(Pair.id))
        }
        for _ in 0..<moment % 4 { pair.deliver() }
        try restart(&pair, .a)
        try restart(&pair, .b)
        pair.drive(.seconds(120))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(20))
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    @Test func aChildThatWasBeingInstalledCountsAsFailed() throws {
        var pair = Pair()
        pair.b.installsAtOnce = false
        pair.give(.a, .initiate(Pair.id))
        pair.driveMilliseconds(100)
        #expect(pair.b.waitingInstalls.count == 1)
        try restart(&pair, .b)
        pair.b.children = [:]
        pair.b.installsAtOnce = true
        pair.drive(.seconds(5))
        #expect(pair.failures(.b).first?.reason == .dataPathRefused)
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(5))
        pair.expectConnected()
    }

    @Test func aStaleSnapshotRepeatsNoIV() throws {
        let offer = IKEProposal(encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: [.curve25519])
        var pair = Pair(a: Pair.configuration(.a, ike: [offer]), b: Pair.configuration(.b, ike: [offer]))
        pair.connect()
        let stale = try roundTrip(pair.a.engine.snapshot())
        let before = pair.a.sent.count
        pair.give(.a, .checkLiveness(Pair.id))
        pair.drive(.seconds(1))
        var old = Engine(restoring: stale, configuration: EngineConfiguration(), seed: [3], now: pair.now)
        let effects = old.receive(.checkLiveness(Pair.id), now: pair.now)
        let again = effects.compactMap { if case .send(let bytes, _) = $0 { bytes } else { nil } }
        let first = pair.a.sent[before].0
        let second = try #require(again.first)
        // Same message ID, as the stale state has it; another IV.
        #expect(first[20..<24] == second[20..<24])
        #expect(first[32..<40] != second[32..<40])
    }

    @Test func aSnapshotWithoutLeaveToRevealHidesEveryKey() throws {
        var pair = Pair()
        pair.connect()
        let text = try #require(String(data: JSONEncoder().encode(pair.a.engine.snapshot()), encoding: .utf8))
        #expect(text.contains("(hidden)"))
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(EngineSnapshot.self, from: Data(text.utf8))
        }
    }

    @Test func everyInputMovesTheRevision() {
        var pair = Pair()
        let before = pair.a.engine.revision
        pair.give(.a, .checkLiveness(Pair.id))
        #expect(pair.a.engine.revision == before + 1)
        pair.wake(.a)
        #expect(pair.a.engine.revision == before + 2)
    }
}
