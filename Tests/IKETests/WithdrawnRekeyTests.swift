import Base
import IKE
import Testing

/// Rekeys that the peer takes back while ours of the same child is out.
@Suite struct WithdrawnRekeyTests {
    /// Seeds for either outcome of the comparison of nonces.
    @Test(arguments: 1...8 as ClosedRange<UInt8>)
    func ourRekeyStandsWhenThePeerHasTakenItsOwnBack(_ seed: UInt8) {
        var pair = Pair(seedA: [seed], seedB: [seed, 1])
        pair.connect()
        pair.loses = { $0.to == .b }
        pair.give(.a, .rekeyChild(Pair.id))
        pair.loses = { _ in false }
        // B's own rekey reaches A while A's is out; then B cannot install what comes of it, and deletes it.
        pair.b.refusesInstalls = true
        pair.give(.b, .rekeyChild(Pair.id))
        pair.driveMilliseconds(200)
        pair.b.refusesInstalls = false
        #expect(pair.a.children.count == 1)
        // A's request arrives at last.
        pair.drive(.seconds(2))
        pair.expectConnected()
        pair.drive(.seconds(10))
        pair.expectConnected()
        pair.expectOnlyOne()
    }
}
