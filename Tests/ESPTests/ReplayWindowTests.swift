import ESP
import Testing

/// Numbers that anyone can draw again.
struct Draw: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct ReplayWindowTests {
    @Test(arguments: [32, 33, 63, 64, 65, 128, 1000, 1024, 2048], [1, 5, 64, 500, 5000] as [UInt64])
    func agreesWithASetOfAllNumbers(size: Int, stride: UInt64) {
        var window = ReplayWindow(size: size)
        var seen: Set<UInt64> = []
        var newest: UInt64 = 0
        var draw = Draw(UInt64(size) * 31 + stride)
        var accepted = 0
        for _ in 0..<4000 {
            let base = newest > UInt64(size) * 2 ? newest - UInt64(size) * 2 : 0
            let number = UInt64.random(in: base...newest + stride, using: &draw)
            let isFresh = number != 0 && !seen.contains(number) && (number > newest || newest - number < UInt64(size))
            #expect(window.check(number) == isFresh)
            if isFresh {
                #expect(window.record(number) == (number > newest))
                seen.insert(number)
                newest = max(newest, number)
                accepted += 1
            }
        }
        #expect(window.newest == newest)
        #expect(accepted > 50)
    }

    @Test func checkingAloneChangesNothing() {
        var window = ReplayWindow(size: 64)
        window.record(10)
        #expect(window.check(1 << 40))
        #expect(window.check(9))
        #expect(window.newest == 10)
        #expect(!window.check(10))
    }

    @Test(arguments: [(1, 32), (31, 32), (5000, 2048)])
    func sizesAreBroughtWithinBounds(asked: Int, given: UInt64) { #expect(ReplayWindow(size: asked).size == given) }

    /// Every number that may come next is told from its lower half alone (RFC 4304, appendix A).
    @Test(
        arguments: [1, 40, 1000, 0xFFFF_FF00, 0x1_0000_0000, 0x1_0000_0010, 0x1_8000_0000, 0x7_FFFF_FFFF] as [UInt64])
    func theUpperHalfIsInferred(newest: UInt64) {
        for size in [32, 64, 1024, 2048] {
            var window = ReplayWindow(size: size)
            window.record(newest)
            for back in [0, 1, UInt64(size) / 2, UInt64(size) - 1] where newest > back {
                let number = newest - back
                #expect(window.extended(UInt32(truncatingIfNeeded: number)) == number)
            }
            for ahead in [1, 2, 100, 1 << 20, (1 << 32) - UInt64(size)] as [UInt64] {
                let number = newest + ahead
                #expect(window.extended(UInt32(truncatingIfNeeded: number)) == number)
            }
        }
    }

    @Test func numbersBeforeTheFirstOrPastTheLastAreNone() {
        var window = ReplayWindow(size: 64)
        #expect(window.extended(UInt32.max) == nil)
        #expect(window.extended(1) == 1)
        window.record(UInt64.max)
        #expect(window.extended(5) == nil)
        #expect(window.extended(UInt32.max) == UInt64.max)
    }
}
