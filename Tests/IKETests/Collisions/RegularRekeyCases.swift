import Base
import Cryptography
import Testing

@testable import IKE

/// Rekeys of one side alone, message by message (RFC 7296 §1.3.2, §1.3.3, §2.18).
struct RegularRekeyCases {
    /// A picture of a side that waits for nothing.
    private let quiet = "I1 established [1]; sends on 1"

    @Test func childRekey() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.expect(.a, quiet)
        s.expect(.b, quiet)
        s.a(.rekeyChild)
        s.expect(.a, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        try s.deliver(to: .b)
        s.expect(.b, "I1 established [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2", tells: ["child rekeyed"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 established [1 lingers until 5, 2]; sends on 2")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established [1 lingers until 5, 2]; sends on 2")
        #expect(s.pair.network.isEmpty)
        s.wait(5)
        s.expect(.a, "I1 established [2]; sends on 2")
        s.expect(.b, "I1 established [2]; sends on 2")
    }

    @Test func childRekeyWithAnotherGroup() throws {
        var s = Stage(Stage.pair(esp: [[.ecp256, .curve25519], [.curve25519]]))
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        s.expect(.b, quiet)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        try s.deliver(to: .b)
        s.expect(.b, "I1 established [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
    }

    @Test func responderIgnoresASoftLimitOfTheReplacedChild() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        let old = try #require(s.pair.b.sending?.child.spiIn)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        s.pair.give(.b, .childExhausted(spiIn: old))
        #expect(s.waiting(to: .a) == 1)
        s.expect(.b, "I1 established [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.a) == 1)
    }

    @Test func responderEndsTheReplacedChildAtItsHardLimit() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        let late = try s.hold(to: .b)
        s.pair.deleteChild(.b)
        s.expect(.b, "I1 established asks deleteChild again in 1 [2]; sends on 2", tells: ["child rekeyed"])
        // The DELETEs cross: neither repeats the other's SPI in its answer (RFC 7296 §1.4.1).
        s.hand(late)
        s.expect(.b, "I1 established asks deleteChild again in 1 [2]; sends on 2")
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 established asks deleteChild 1 again in 1 [1 lingers until 5, 2]; sends on 2",
            tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
    }

    @Test func responderDeletesTheReplacedChildThatThePeerForgets() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        s.forgetRequest(.a)
        s.settle(59)
        s.expect(.b, "I1 established [1 replaced until 1, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.settle(1)
        s.expect(.b, "I1 established asks deleteChild again in 1 [2]; sends on 2")
        s.settle(6)
        s.expectOneOfEach()
    }

    @Test func answerToAChildRekeyIsLost() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        let lost = try s.hold(to: .a)
        s.wait(1)
        s.expect(.a, "I1 established asks rekeyChild 1 again in 1.8 [1]; sends on 1")
        try s.deliver(to: .b)
        // The same answer, and no third child.
        #expect(s.pair.network.last?.bytes == lost.bytes)
        s.expect(.b, "I1 established [1 replaced until 59, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.childRekeys(.b) == 1)
    }

    @Test func deleteOfTheOldChildIsLost() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        _ = try s.hold(to: .b)
        s.expect(.b, "I1 established [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        // The first packet on the new child shows that the peer hears us on it.
        let new = try #require(s.pair.b.children.values.first { $0.child.replaces != nil }?.child.spiIn)
        s.pair.give(.b, .inboundTraffic(spiIn: new, at: s.pair.now))
        s.expect(.b, "I1 established [1 replaced until 60, 2]; sends on 2")
        s.wait(1)
        try s.deliver(to: .b)
        s.expect(.b, "I1 established [1 lingers until 5, 2]; sends on 2")
        s.settle()
        s.expectOneOfEach()
    }

    @Test func answerToTheDeleteOfTheOldChildIsLost() throws {
        var s = try Stage(.rekeyChild, loser: .a)
        s.a(.rekeyChild)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        try s.deliver(to: .b)
        let lost = try s.hold(to: .a)
        s.expect(
            .a, "I1 established asks deleteChild 1 again in 1 [1 deleting, 2]; sends on 2", tells: ["child rekeyed"])
        s.wait(1)
        try s.deliver(to: .b)
        #expect(s.pair.network.last?.bytes == lost.bytes)
        s.settle()
        s.expectOneOfEach()
    }

    @Test func ikeRekey() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyIKE)
        s.expect(.a, "I1 established asks rekeyIKE again in 1 [1]; sends on 1")
        try s.deliver(to: .b)
        s.expect(.b, "I1 rekeyed until 60; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        try s.deliver(to: .a)
        s.expect(
            .a, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        try s.deliver(to: .b)
        s.expect(.b, "I1 closed until 10; I2 established [1]; sends on 1")
        try s.deliver(to: .a)
        s.expect(.a, "I2 established [1]; sends on 1")
        #expect(s.pair.network.isEmpty)
        s.wait(10)
        s.expect(.b, "I2 established asks liveness again in 1 [1]; sends on 1")
    }

    @Test func ikeRekeyWithAnotherGroup() throws {
        var pair = Stage.pair(ike: [[.curve25519, .ecp256], [.curve25519, .ecp256]])
        pair.connect()
        var other = Pair.configuration(
            .b, ike: [IKEProposal(encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: [.ecp256])])
        other.espProposals[0].groups = []
        pair.give(.b, .configure(Pair.id, other))
        var s = Stage(pair)
        s.a(.rekeyIKE)
        try s.deliver(to: .b)
        s.expect(.b, quiet)
        try s.deliver(to: .a)
        s.expect(.a, "I1 established asks rekeyIKE again in 1 [1]; sends on 1")
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.a) == 1)
    }

    @Test func answerToAnIKERekeyIsLost() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyIKE)
        try s.deliver(to: .b)
        let lost = try s.hold(to: .a)
        s.wait(1)
        s.expect(.a, "I1 established asks rekeyIKE again in 1.8 [1]; sends on 1")
        try s.deliver(to: .b)
        #expect(s.pair.network.last?.bytes == lost.bytes)
        s.expect(.b, "I1 rekeyed until 59; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        s.settle()
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.b) == 1)
    }

    @Test func deleteOfTheOldIKESAIsLostForEver() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.a(.rekeyIKE)
        try s.deliver(to: .b)
        try s.deliver(to: .a)
        try s.cutOff(to: .b)
        s.expect(
            .a, "I1 deleting until 5 asks deleteIKE again in 1; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        // A gives up on the answer, B on the DELETE, each in its own time and without a word.
        s.settle(6)
        s.expect(.a, "I2 established [1]; sends on 1")
        s.expect(.b, "I1 rekeyed until 54; I2 established [1]; sends on 1", tells: ["IKE rekeyed"])
        s.settle(60)
        s.expectOneOfEach()
    }

    /// A child request that reaches the old SA after the new one has taken over belongs to neither.
    @Test func childRequestOnAReplacedIKESAIsPutOff() throws {
        var s = try Stage(.rekeyIKE, loser: .a)
        s.b(.rekeyChild)
        let late = try s.hold(to: .a)
        s.a(.rekeyIKE)
        // B is busy with a child: it asks A to come again.
        try s.deliver(to: .b)
        s.expect(.b, "I1 established asks rekeyChild 1 again in 1 [1]; sends on 1")
        try s.deliver(to: .a)
        s.expect(.a, "I1 established rekeys in 4.3 [1]; sends on 1")
        s.hand(late)
        s.expect(
            .a, "I1 established rekeys in 4.3 [1 replaced until 60, 2 inbound]; sends on 1", tells: ["child rekeyed"])
        s.settle(60)
        s.expectOneOfEach()
        #expect(s.pair.ikeRekeys(.a) == 1 && s.pair.childRekeys(.a) == 1)
    }
}
