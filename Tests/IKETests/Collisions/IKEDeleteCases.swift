import Base
import Testing

@testable import IKE

/// One side deletes the IKE SA while the other does something with it or with its child (RFC 7296 §2.25.2).
struct IKEDeleteCases {
    private func crossing(_ a: Explorer.Story.Command, _ b: Explorer.Story.Command) throws -> Stage {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(a)
        s.b(b)
        return s
    }

    ///     A: rekey ──╲ ╱── DELETE :B
    ///     ◀──────────╱ ╲────────▶ TEMPORARY_FAILURE
    @Test func ikeRekeyAgainstDelete() throws {
        var s = try crossing(.rekeyIKE, .terminate)
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1",
            tells: ["child closed: requested"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1")
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 closed until 10; sends on none",
            tells: ["child closed: deletedByPeer", "IKE closed: deletedByPeer"])
        try s.deliver(to: .b)
        s.expect(.b, "sends on none", tells: ["IKE closed: requested"])
        s.settle()
        s.expectNothingLeft()
    }

    @Test func ikeRekeyAgainstDeleteThatIsLost() throws {
        var s = try crossing(.rekeyIKE, .terminate)
        _ = try s.hold(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        // Refused for the moment: A would come again in three to six seconds.
        s.expect(.a, "I1 established rekeys in 4.3 [1]; sends on 1")
        s.wait(1)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 closed until 10; sends on none",
            tells: ["child closed: deletedByPeer", "IKE closed: deletedByPeer"])
        s.settle()
        s.expectNothingLeft()
    }

    @Test func ikeRekeyThatIsLostAgainstDelete() throws {
        var s = try crossing(.rekeyIKE, .terminate)
        _ = try s.hold(to: .b)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 closed until 10; sends on none",
            tells: ["child closed: deletedByPeer", "IKE closed: deletedByPeer"])
        try s.deliver(to: .b)
        s.expect(.b, "sends on none", tells: ["child closed: requested", "IKE closed: requested"])
        s.settle()
        s.expectNothingLeft()
    }

    /// The peer deletes the SA that we have just replaced for it, before our answer reaches it: the new one goes too.
    @Test func deleteWhileTheAnswerToTheRekeyIsOnItsWay() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyIKE)
        try s.deliver(to: .b)
        s.b(.terminate)
        s.expect(
            .b, "I1 rekeyed until 60; I2 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1",
            tells: ["IKE rekeyed", "child closed: requested"])
        s.settle()
        s.expectNothingLeft()
        #expect(s.pair.closed(.a).map(\.reason) == [.deletedByPeer] && s.pair.closed(.b).map(\.reason) == [.requested])
    }

    @Test func deleteAgainstDelete() throws {
        var s = try crossing(.terminate, .terminate)
        s.expect(
            .a, "I1 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1",
            tells: ["child closed: requested"])
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 closed until 10 [1 lingers until 5]; sends on 1", tells: ["IKE closed: requested"])
        s.expect(
            .b, "I1 closed until 10 [1 lingers until 5]; sends on 1",
            tells: ["child closed: requested", "IKE closed: requested"])
        s.settle()
        s.expectNothingLeft()
    }

    @Test func answerToADeleteIsLost() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.terminate)
        try s.deliver(to: .b)
        let lost = try s.hold(to: .a)
        s.expect(
            .b, "I1 closed until 10; sends on none",
            tells: ["child closed: deletedByPeer", "IKE closed: deletedByPeer"])
        s.wait(1)
        try s.deliver(to: .b)
        #expect(s.pair.network.last?.bytes == lost.bytes)
        s.settle()
        s.expectNothingLeft()
    }

    @Test func deleteIsLostForEver() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.pair.loses = { _ in true }
        s.a(.terminate)
        s.expect(
            .a, "I1 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1",
            tells: ["child closed: requested"])
        s.wait(5)
        s.expect(.a, "sends on none", tells: ["IKE closed: requested"])
        #expect(s.pair.a.engine.deadline == nil)
        // B notices by its own liveness check.
        s.wait(40)
        s.expect(.b, "sends on none", tells: ["child closed: silence", "IKE closed: silence"])
    }

    @Test func childRekeyAgainstDelete() throws {
        var s = try crossing(.rekeyChild, .terminate)
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1",
            tells: ["child closed: requested"])
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 closed until 10; sends on none",
            tells: ["child closed: deletedByPeer", "IKE closed: deletedByPeer"])
        try s.deliver(to: .a)
        s.settle()
        s.expectNothingLeft()
    }

    @Test func childDeleteAgainstDelete() throws {
        var s = try crossing(.deleteChild, .terminate)
        try s.deliver(to: .b)
        s.expect(
            .b, "I1 deleting until 5 asks deleteIKE again in 1 [1 lingers until 5]; sends on 1",
            tells: ["child closed: requested"])
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 closed until 10; sends on none",
            tells: ["child closed: lifetimeExpired", "IKE closed: deletedByPeer"])
        s.settle()
        s.expectNothingLeft()
    }
}
