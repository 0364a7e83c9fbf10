import Base
import Cryptography
import Testing

@testable import IKE

/// One side is busy with a child while the other rekeys the IKE SA (RFC 7296 §2.25.2).
struct ChildAgainstIKECases {
    ///     A: child ──╲ ╱── IKE :B
    ///     ◀──────────╱ ╲────────▶ TEMPORARY_FAILURE both ways
    @Test func childRekeyAgainstIKERekey() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyChild)
        s.b(.rekeyIKE)
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks rekeyIKE again in 1 [1]; sends on 1")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        try s.deliver(to: .a)
        // Each comes again in three to six seconds, at a moment of its own.
        s.expect(.a, "I1 established [1 rekeys in 5.6]; sends on 1")
        try s.deliver(to: .b)
        s.expect(.b, "I1 established rekeys in 3.3 [1]; sends on 1")
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1 && s.pair.ikeRekeys(.a) == 1)
    }

    /// The request for a child comes when the IKE SA has been replaced and its DELETE is out.
    @Test func childRekeyThatIsDelayedAgainstIKERekey() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyChild)
        let late = try s.hold(to: .b)
        s.b(.rekeyIKE)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        s.expect(.b, "I1 established rekeys in 3.3 [1]; sends on 1")
        s.hand(late)
        s.expect(
            .b, "I1 established rekeys in 3.3 [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1 && s.pair.ikeRekeys(.b) == 1)
    }

    /// While the data path installs a child for the peer, our rekey of the IKE SA waits for its turn.
    @Test func ikeRekeyWaitsForTheChildThatIsBeingInstalled() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.pair.b.installsAtOnce = false
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        s.b(.rekeyIKE)
        s.expect(.b, "I1 established wants rekeyIKE answers late [1, 2 installing]; sends on 1")
        #expect(s.pair.network.isEmpty)
        s.pair.b.installsAtOnce = true
        s.pair.answerInstalls(.b)
        s.expect(
            .b, "I1 established asks rekeyIKE again in 1 [1 replaced until 60, 2 inbound]; sends on 1",
            tells: ["child rekeyed"])
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1 && s.pair.ikeRekeys(.b) == 1)
    }

    @Test func ikeRekeyThatComesWhileAChildIsBeingInstalled() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.pair.a.installsAtOnce = false
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established [1, 2 installing]; sends on 2")
        s.b(.rekeyIKE)
        try s.deliver(to: .a)
        s.expect(.a, "I1 rekeyed until 60; I2 established [1, 2 installing]; sends on 2", tells: ["IKE rekeyed"])
        s.pair.a.installsAtOnce = true
        s.pair.answerInstalls(.a)
        s.expect(
            .a, "I1 rekeyed until 60; I2 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2",
            tells: ["child rekeyed"])
        s.settle(60)
        s.expectOneOfEach()
    }

    @Test func childDeleteAgainstIKERekey() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.deleteChild)
        s.b(.rekeyIKE)
        s.forgetEvents()
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks rekeyIKE again in 1; sends on none", tells: ["child closed: deletedByPeer"])
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks deleteChild again in 1; sends on none")
        s.settle(60)
        #expect(s.pair.faultOfChildren == nil && s.pair.a.children.isEmpty)
        #expect(s.pair.ikeRekeys(.b) == 1)
    }

    /// The DELETE of a child overtakes nothing: it comes on the old SA when the new one has the child.
    @Test func childDeleteThatIsDelayedAgainstIKERekey() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        let late = try s.hold(to: .b)
        s.b(.rekeyIKE)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2", tells: ["child rekeyed"])
        s.hand(late)
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.b) == 1)
    }

    /// What waits for the window of the old SA is done on the new one.
    @Test func plansGoOverToTheNewIKESA() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.checkLiveness)
        s.a(.rekeyChild)
        s.expect(.a, "I1 established asks liveness again in 1 wants rekeyChild 1 [1]; sends on 1")
        s.b(.rekeyIKE)
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 rekeyed until 60 again in 1; I2 established asks rekeyChild 1 again in 1 [1]; sends on 1",
            tells: ["IKE rekeyed"])
        s.settle(30)
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1 && s.pair.ikeRekeys(.a) == 1)
    }
}
