import Base
import Cryptography
import Testing

@testable import IKE

/// Both sides rekey one child at once (RFC 7296 §2.8.1), message by message. The exchange with the lowest nonce loses.
struct ChildCollisionCases {
    private static let sides: [Pair.Side] = [.a, .b]

    private func crossing(_ loser: Pair.Side) throws -> Stage {
        var s = try Stage(.rekeyChild, loser: loser)
        s.a(.rekeyChild)
        s.b(.rekeyChild)
        return s
    }

    ///     A: rekey ──╲ ╱── rekey :B
    ///     ◀──────────╱ ╲─────────▶
    ///     answer ────╲ ╱─── answer
    ///     ◀──────────╱ ╲─────────▶
    @Test func collisionThatALoses() throws {
        var s = try crossing(.a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild 1 colliding again in 1 [1, 2 inbound]; sends on 1")
        s.expect(.b, "I1 established asks rekeyChild 1 colliding again in 1 [1, 3 inbound]; sends on 1")
        // The answers: A deletes what it made, B the old child.
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks deleteChild again in 1 [1 replaced until 60, 2 inbound]; sends on 1",
            tells: ["child rekeyed"])
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 established asks deleteChild 1 again in 1 [1 deleting, 3 redundant until 30, 2]; sends on 2",
            tells: ["child rekeyed"])
        // The DELETEs.
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks deleteChild again in 1 [1 lingers until 5, 2]; sends on 2")
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        s.expect(.a, "I1 established [1 lingers until 5, 2]; sends on 2")
        s.expect(.b, "I1 established [1 lingers until 5, 2]; sends on 2")
        s.settle()
        s.expectOneOfEach()
    }

    @Test func collisionThatBLoses() throws {
        var s = try crossing(.b)
        for _ in 0..<2 {
            try s.deliver(to: .b)
            try s.deliver(to: .a)
        }
        s.expect(
            .a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2 redundant until 30, 3]; sends on 3",
            tells: ["child rekeyed"])
        s.expect(
            .b, "I1 established asks deleteChild again in 1 [1 replaced until 60, 3 inbound]; sends on 1",
            tells: ["child rekeyed"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks deleteChild again in 1 [1 lingers until 5, 3]; sends on 3")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 3]; sends on 3")
        s.settle()
        s.expectOneOfEach()
    }

    /// The old child has carried all that it may before A knows whose rekey stands: nothing is lost, and what takes its
    /// place is told of.
    @Test(arguments: sides)
    func oldChildSpentMeanwhile(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        let old = try #require(s.pair.a.sending?.child.spiIn)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.pair.give(.a, .childSpent(spiIn: old))
        s.settle()
        for side in Self.sides {
            #expect(s.pair.childClosed(side).isEmpty)
            let sending = try #require(s.pair[side].sending?.child.spiIn)
            let isTold = s.pair.count(side) { if case .childRekeyed(sending, _) = $0 { true } else { false } } > 0
            #expect(isTold, "\(side) sends on a child that nobody was told of")
        }
        s.expectOneOfEach()
    }

    /// The answer to A is late: B has finished both exchanges before A knows how its own ended.
    @Test(arguments: sides)
    func delayedAnswer(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        let late = try s.hold(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        if loser == .a {
            s.expect(
                .a, "I1 established asks rekeyChild 1 colliding again in 1 [1 lingers until 5, 2]; sends on 2",
                tells: ["child rekeyed"])
        } else {
            s.expect(.a, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        }
        s.hand(late)
        if loser == .a {
            s.expect(.a, "I1 established asks deleteChild again in 1 [1 lingers until 5, 2]; sends on 2")
        } else {
            s.expect(
                .a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2",
                tells: ["child rekeyed"])
        }
        s.settle()
        s.expectOneOfEach()
    }

    /// A's request comes when B has rekeyed the child and its DELETE is out: B has nothing left to rekey.
    @Test(arguments: sides)
    func delayedRequest(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        let late = try s.hold(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2", tells: ["child rekeyed"])
        s.hand(late)
        s.expect(.b, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2")
        // TEMPORARY_FAILURE: A was overtaken, and goes on with B's.
        let delete = try s.hold(to: .a)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.hand(delete)
        s.expect(.a, "I1 established [1 lingers until 5, 2]; sends on 2")
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.failures(.a).isEmpty && s.pair.failures(.b).isEmpty)
    }

    /// As before, and B's DELETE is answered as well: the child is not known any more.
    @Test(arguments: sides)
    func requestDelayedUntilTheChildIsGone(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        let late = try s.hold(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks rekeyChild 1 colliding again in 1 [1 lingers until 5, 2]; sends on 2",
            tells: ["child rekeyed"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 established [1 lingers until 5, 2]; sends on 2", tells: ["child rekeyed"])
        s.hand(late)
        // CHILD_SA_NOT_FOUND: no loss, since B's rekey stands.
        try s.deliver(to: .a)
        s.expect(.a, "I1 established [1 lingers until 5, 2]; sends on 2")
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.failures(.a).isEmpty)
    }

    @Test(arguments: sides)
    func requestIsLost(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        _ = try s.hold(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        s.wait(1)
        s.expect(
            .a, "I1 established asks rekeyChild 1 colliding again in 1.8 [1 lingers until 4, 2]; sends on 2",
            tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1 && s.pair.childRekeys(.b) == 1)
    }

    /// Both offer a group that the other has no use for; both try again, and collide.
    @Test(arguments: sides)
    func bothMustChooseAnotherGroup(_ loser: Pair.Side) throws {
        var s = Stage(
            Stage.pair(loser == .a ? 1 : 2, esp: [[.ecp256, .curve25519], [.ecp384, .curve25519]]))
        s.a(.rekeyChild)
        s.b(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        // INVALID_KE_PAYLOAD both ways.
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        s.expect(.b, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild 1 colliding again in 1 [1, 2 inbound]; sends on 1")
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.a.children.values.first?.child.suite.group == .curve25519)
        #expect(s.pair.failures(.a).isEmpty && s.pair.failures(.b).isEmpty)
    }

    /// A's second try is late: B has rekeyed meanwhile.
    @Test func secondTryWithAnotherGroupIsDelayed() throws {
        var s = Stage(Stage.pair(esp: [[.ecp256, .curve25519], [.curve25519]]))
        s.a(.rekeyChild)
        s.b(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .a)
        let late = try s.hold(to: .b)
        try s.deliver(to: .b)
        s.hand(late)
        s.expect(.a, "I1 established asks rekeyChild 1 colliding again in 1 [1, 2 inbound]; sends on 1")
        s.expect(
            .b, "I1 established asks deleteChild 1 again in 1 [1 deleting, 3 redundant until 30, 2]; sends on 2",
            tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
    }

    /// The loser's DELETE of what it made never comes: the winner deletes it in its own time.
    @Test func deleteOfTheRedundantChildIsLostForEver() throws {
        var s = try crossing(.a)
        for _ in 0..<2 {
            try s.deliver(to: .b)
            try s.deliver(to: .a)
        }
        s.expect(
            .b, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2 redundant until 30, 3]; sends on 3",
            tells: ["child rekeyed"])
        // As a peer does that sends no DELETE at all.
        s.forgetRequest(.a)
        s.settle(45)
        s.expectOneOfEach()
    }

    /// Every message comes twice, the second time when the first has been answered.
    @Test(arguments: sides)
    func everythingComesTwice(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        var turns = 0
        while let message = s.pair.network.first, turns < 40 {
            s.pair.network.removeFirst()
            s.hand(message)
            let answers = s.pair.network.count
            s.hand(message)
            // A repeated request brings the same answer once more, a repeated answer nothing.
            #expect(s.pair.network.count - answers <= 1)
            if s.pair.network.count > answers { s.pair.network.removeLast() }
            turns += 1
        }
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1 && s.pair.childRekeys(.b) == 1)
    }

    /// The data path of the winner refuses the new child: the loser's stands.
    @Test func winnerCannotInstallItsChild() throws {
        var s = try crossing(.a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .a)
        s.pair.b.refusesInstalls = true
        try s.deliver(to: .b)
        s.pair.b.refusesInstalls = false
        s.expect(
            .b, "I1 established asks deleteChild again in 1 [1 rekeys in 34.2, 2 redundant until 30]; sends on 1",
            tells: ["failed: dataPathRefused"])
        s.settle(60)
        #expect(s.pair.faultOfAgreement == nil)
    }
}
