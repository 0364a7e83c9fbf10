import Base
import IKE
import Testing

/// Collisions of child rekeys, message by message (RFC 7296 §2.8.1).
struct ChildCollisionTests {
    /// The one answer is late: the loser's DELETE of its own child overtakes it.
    ///
    ///     A: rekey ───╲   ╱─── rekey :B
    ///                  ╲─╱───────────▶
    ///     ◀─────────────╱   ╭─ answer
    ///     answer ───────────┼────────▶  loses, deletes what it made
    ///     ◀─────────────────┼─ DELETE
    ///     ◀─────────────────╯
    @Test func theLosersDeleteMayOvertakeItsAnswer() throws {
        var found = 0
        for seed in 0..<8 as Range<UInt8> {
            var pair = Pair(seedA: [1, seed], seedB: [2, seed])
            pair.connect()
            pair.give(.a, .rekeyChild(Pair.id))
            pair.give(.b, .rekeyChild(Pair.id))
            try pair.hand(to: .b)
            try pair.hand(to: .a)
            let late = try pair.take(to: .a)
            try pair.hand(to: .b)
            // The winner deletes the old child, which A sends on; the loser the new one, which nobody uses.
            let old = pair.a.sending?.child.spiIn
            try pair.hand(to: .a)
            guard pair.a.sending?.child.spiIn == old, pair.a.children.count == 1 else { continue }
            found += 1
            #expect(pair.childClosed(.a).isEmpty)
            pair.hand(late)
            #expect(pair.childRekeys(.a) == 1)
            #expect(pair.a.sending?.child.replaces == old)
            pair.drive(.seconds(10))
            #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
            pair.expectConnected()
            pair.expectOnlyOne()
        }
        #expect(found > 0)
    }

    /// The DELETE of a child comes when its successor has been rekeyed as well.
    ///
    ///     A: rekey ──────────────▶ :B
    ///     ◀───────────────  answer
    ///     DELETE old ───╮
    ///     ◀─────────────┼── rekey
    ///     answer ───────┼────────▶  sends on the third, deletes the second
    ///                   ╰────────▶
    @Test func aLateDeleteOfAChildWhoseSuccessorWasRekeyedIsNoLoss() throws {
        var pair = Pair()
        pair.connect()
        pair.give(.a, .rekeyChild(Pair.id))
        try pair.hand(to: .b)
        try pair.hand(to: .a)
        let late = try pair.take(to: .b)
        pair.give(.b, .rekeyChild(Pair.id))
        try pair.hand(to: .a)
        try pair.hand(to: .b)
        #expect(pair.childRekeys(.b) == 2)
        pair.hand(late)
        #expect(pair.childClosed(.b).isEmpty)
        pair.drive(.seconds(10))
        #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
        pair.expectConnected()
        pair.expectOnlyOne()
    }

    /// A late answer to a rekey that lost long ago must not make the end of the winner's child a concession.
    ///
    ///     A: rekey ───╲  ╱─── rekey :B
    ///                  ╲╱───────────▶
    ///     ◀─────────────────── answer
    ///     DELETE old ──────────────▶  B's own request is still on its way
    ///     rekey ───────────────────▶
    ///     ◀─────────────────── answer
    ///     DELETE second ───────────▶
    @Test func theEndOfAWinnersChildIsNoConcession() throws {
        for seed in 0..<6 as Range<UInt8> {
            var pair = Pair(seedA: [1, seed], seedB: [2, seed])
            pair.connect()
            pair.give(.a, .rekeyChild(Pair.id))
            pair.give(.b, .rekeyChild(Pair.id))
            let late = try pair.take(to: .a)
            for _ in 0..<3 {
                try pair.hand(to: .b)
                try pair.hand(to: .a)
                if pair.network.isEmpty { pair.give(.a, .rekeyChild(Pair.id)) }
            }
            while !pair.network.isEmpty { pair.deliver() }
            #expect(pair.faultOfTraffic == nil)
            pair.hand(late)
            pair.drive(.seconds(15))
            #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
            pair.expectConnected()
            pair.expectOnlyOne()
        }
    }
}
