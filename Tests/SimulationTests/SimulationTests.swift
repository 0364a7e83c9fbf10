import Simulation
import Testing

@Suite struct SimulationTests {
    @Test func sameSeedGivesTheSameLife() {
        for seed in 1...3 as ClosedRange<UInt64> {
            let first = Life.live(seed, isTold: true)
            let second = Life.live(seed)
            #expect(first.digest == second.digest && first.packets == second.packets && first.packets > 100)
            #expect(!first.story.isEmpty && second.story.isEmpty)
        }
    }

    @Test func otherSeedsAndOtherDisturbancesGiveOtherLives() {
        let whole = Life.live(1)
        #expect(whole.digest != Life.live(2).digest)
        let quiet = Life.live(1, steps: [])
        #expect(quiet.steps.isEmpty && !whole.steps.isEmpty && quiet.digest != whole.digest)
    }

    /// What has once been found stays mended: seeds that have failed.
    @Test(arguments: [113, 523] as [UInt64])
    func lifeThatOnceFailedComesRight(_ seed: UInt64) {
        let outcome = Life.live(seed)
        #expect(outcome.failure == nil, "tools/simulate --replay \(seed)")
    }
}
