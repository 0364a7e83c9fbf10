import Base
import Testing

@testable import IKE

/// One side rekeys a child, the other deletes it (RFC 7296 §2.25.1), message by message.
struct ChildDeleteCases {
    private func crossing() throws -> Stage {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        s.b(.deleteChild)
        s.forgetEvents()
        return s
    }

    ///     A: rekey ──╲ ╱── DELETE :B
    ///     ◀──────────╱ ╲────────▶ CHILD_SA_NOT_FOUND
    @Test func rekeyAgainstDelete() throws {
        var s = try crossing()
        s.expect(.b, "I1 established asks deleteChild again in 1; sends on none")
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks deleteChild again in 1; sends on none")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild again in 1; sends on none", tells: ["child closed: deletedByPeer"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 established; sends on none")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established; sends on none")
        #expect(s.pair.network.isEmpty)
        #expect(s.pair.faultOfChildren == nil)
    }

    /// The DELETE is lost, and comes again when the rekey has been refused.
    @Test func rekeyAgainstDeleteThatIsLost() throws {
        var s = try crossing()
        _ = try s.hold(to: .a)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        // The child is young: A's request may have overtaken the answer that made it.
        s.expect(.a, "I1 established [1 rekeys in 3.3]; sends on 1")
        s.wait(1)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established; sends on none", tells: ["child closed: deletedByPeer"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 established; sends on none")
        #expect(s.pair.faultOfChildren == nil)
    }

    /// The rekey is lost, and comes again when the child is gone.
    @Test func rekeyThatIsLostAgainstDelete() throws {
        var s = try crossing()
        _ = try s.hold(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild again in 1; sends on none", tells: ["child closed: deletedByPeer"])
        try s.deliver(to: .b)
        s.wait(1)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established; sends on none")
        #expect(s.pair.faultOfChildren == nil)
    }

    /// A has had its answer when B's DELETE of the old child comes: A's own one is out, and neither repeats the SPI.
    @Test func deleteOfTheOldChildFromBothSides() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        s.pair.deleteChild(.b)
        let delete = try #require(s.pair.network.last)
        #expect(delete.to == .a)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2", tells: ["child rekeyed"])
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks deleteChild 1 again in 1 [1 lingers until 5, 2]; sends on 2")
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks deleteChild again in 1 [2]; sends on 2", tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
    }

    @Test func deleteAgainstDelete() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.deleteChild)
        s.b(.deleteChild)
        s.expect(
            .a, "I1 established asks deleteChild again in 1; sends on none", tells: ["child closed: lifetimeExpired"])
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(
            .b, "I1 established asks deleteChild again in 1; sends on none", tells: ["child closed: lifetimeExpired"])
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established; sends on none")
        s.expect(.b, "I1 established; sends on none")
        #expect(s.pair.faultOfChildren == nil && s.pair.a.children.isEmpty)
    }

    @Test func answerToADeleteIsLost() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.deleteChild)
        try s.deliver(to: .b)
        let lost = try s.hold(to: .a)
        s.expect(.b, "I1 established; sends on none", tells: ["child closed: deletedByPeer"])
        s.wait(1)
        try s.deliver(to: .b)
        #expect(s.pair.network.last?.bytes == lost.bytes)
        s.expect(.b, "I1 established; sends on none")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established; sends on none", tells: ["child closed: lifetimeExpired"])
    }

    /// RFC 7296 §2.25: a child that the peer does not know is gone; an old one is made anew, with its own deadline.
    @Test func childThatThePeerHasForgottenIsMadeAnew() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.wait(6)
        let owner = try #require(s.pair.ikeSAs(.b).first?.spi)
        let gone = try #require(s.pair.b.sending?.child.spiIn)
        s.pair.b.engine.with(owner) { engine, sa in engine.removeChild(&sa, gone, nil) }
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        s.expect(.b, "I1 established; sends on none")
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks createChild again in 1; sends on none", tells: ["child closed: deletedByPeer"])
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established [2]; sends on 2", tells: ["child established"])
        #expect(s.pair.faultOfAgreement == nil)
    }

    @Test func deleteOfAnUnknownChildIsAnsweredWithNothing() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        let owner = try #require(s.pair.ikeSAs(.a).first?.spi)
        s.pair.a.engine.with(owner) { engine, sa in engine.startChildDeletion(&sa, 0x0102_0304) }
        s.pair.wake(.a)
        try s.deliver(to: .b)
        s.expect(.b, "I1 established [1]; sends on 1")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established [1]; sends on 1")
    }
}
