import Base
import Cryptography
import Testing

@testable import IKE

/// Both sides rekey the IKE SA at once (RFC 7296 §2.8.2), message by message. The exchange with the lowest nonce loses.
struct IKECollisionCases {
    private static let sides: [Pair.Side] = [.a, .b]

    private func crossing(_ loser: Pair.Side) throws -> Stage {
        var s = try Stage(.rekeyIKE, loser: loser)
        s.a(.rekeyIKE)
        s.b(.rekeyIKE)
        return s
    }

    @Test func collisionThatALoses() throws {
        var s = try crossing(.a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyIKE colliding again in 1 [1]; I2 provisional; sends on 1")
        s.expect(.b, "I1 established asks rekeyIKE colliding again in 1 [1]; I3 provisional; sends on 1")
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 rekeyed until 60; I2 established [1]; I3 deleting until 5 asks deleteIKE again in 1; sends on 1",
            tells: ["IKE rekeyed"])
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; I3 rekeyed until 60; sends on 1",
            tells: ["IKE rekeyed"])
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; I3 closed until 10; sends on 1")
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 closed until 10; I2 established [1]; I3 deleting until 5 asks deleteIKE again in 1; sends on 1")
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.a) == 1 && s.pair.ikeRekeys(.b) == 1)
    }

    @Test func collisionThatBLoses() throws {
        var s = try crossing(.b)
        for _ in 0..<2 {
            try s.deliver(to: .b)
            try s.deliver(to: .a)
        }
        s.expect(
            .a, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; I3 rekeyed until 60; sends on 1",
            tells: ["IKE rekeyed"])
        s.expect(
            .b, "I1 rekeyed until 60; I2 established [1]; I3 deleting until 5 asks deleteIKE again in 1; sends on 1",
            tells: ["IKE rekeyed"])
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; I3 closed until 10; sends on 1")
        s.expect(
            .b, "I1 closed until 10; I2 established [1]; I3 deleting until 5 asks deleteIKE again in 1; sends on 1")
        s.settle()
        s.expectOneOfEach()
    }

    /// The answer to A is late: the winner deletes the old SA, or the loser its new one, before A knows who won.
    @Test(arguments: sides)
    func delayedAnswer(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        let late = try s.hold(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        if loser == .a {
            s.expect(.a, "I1 closed until 10; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        } else {
            s.expect(.a, "I1 established asks rekeyIKE colliding again in 1 [1]; I2 provisional until 10; sends on 1")
        }
        s.hand(late)
        s.settle(70)
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.a) == 1 && s.pair.ikeRekeys(.b) == 1)
    }

    /// A's request comes when B has rekeyed alone and its DELETE is out.
    @Test(arguments: sides)
    func delayedRequest(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        let late = try s.hold(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyIKE colliding again in 1 [1]; I2 provisional; sends on 1")
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        s.hand(late)
        s.expect(.b, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; sends on 1")
        let delete = try s.hold(to: .a)
        try s.deliver(to: .a)
        s.expect(.a, "I1 rekeyed until 60; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        s.hand(delete)
        s.expect(.a, "I1 closed until 10; I2 established [1]; sends on 1")
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.failures(.a).isEmpty && s.pair.failures(.b).isEmpty)
    }

    /// As before, and B's DELETE is done: A's request meets an SA that is closed.
    @Test(arguments: sides)
    func requestDelayedUntilTheDelete(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        let late = try s.hold(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 closed until 10; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        try s.deliver(to: .b)
        s.expect(.b, "I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        s.hand(late)
        s.expect(.b, "I2 established [1]; sends on 1")
        s.settle()
        s.expectOneOfEach()
    }

    @Test(arguments: sides)
    func requestIsLost(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        _ = try s.hold(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        s.wait(1)
        s.expect(.a, "I1 established asks rekeyIKE colliding again in 1.8 [1]; I2 provisional; sends on 1")
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.a) == 1 && s.pair.ikeRekeys(.b) == 1)
    }

    @Test func bothMustChooseAnotherGroup() throws {
        let all: [DHGroup] = [.curve25519, .ecp256, .ecp384]
        var pair = Stage.pair(ike: [all, all])
        pair.connect()
        for (side, groups) in [(Pair.Side.a, [DHGroup.ecp256, .ecp384]), (.b, [.ecp384])] {
            var other = Pair.configuration(
                side, ike: [IKEProposal(encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: groups)])
            other.espProposals[0].groups = []
            pair.give(side, .configure(Pair.id, other))
        }
        var s = Stage(pair)
        s.a(.rekeyIKE)
        s.b(.rekeyIKE)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyIKE colliding again in 1 [1]; I2 provisional; sends on 1")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyIKE colliding again in 1 [1]; I2 provisional; sends on 1")
        try s.deliver(to: .b)
        try s.deliver(to: .b)
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.ikeSAs(.a).first?.suite?.group == .ecp384)
    }

    /// The loser's DELETE of what it made never comes: the winner lets it go in its own time.
    @Test func deleteOfTheRedundantSAIsLostForEver() throws {
        var s = try crossing(.a)
        for _ in 0..<2 {
            try s.deliver(to: .b)
            try s.deliver(to: .a)
        }
        try s.cutOff(to: .b)
        s.expect(
            .a, "I1 rekeyed until 60; I2 deleting until 5 asks deleteIKE again in 1; I3 established [1]; sends on 1",
            tells: ["IKE rekeyed"])
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1; I2 rekeyed until 60; I3 established [1]; sends on 1",
            tells: ["IKE rekeyed"])
        s.settle(65)
        s.expectOneOfEach()
    }

    @Test(arguments: sides)
    func everythingComesTwice(_ loser: Pair.Side) throws {
        var s = try crossing(loser)
        var turns = 0
        while let message = s.pair.network.first, turns < 40 {
            s.pair.network.removeFirst()
            s.hand(message)
            let answers = s.pair.network.count
            s.hand(message)
            #expect(s.pair.network.count - answers <= 1)
            if s.pair.network.count > answers { s.pair.network.removeLast() }
            turns += 1
        }
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.a) == 1 && s.pair.ikeRekeys(.b) == 1)
    }
}
