import Testing

/// Every interleaving of short stories: when the dust has settled, both ends hold the same SAs and nothing else, and
/// no end was told that it lost its tunnel.
struct ExplorationTests {
    typealias Story = Explorer.Story

    private static let commands: [([Story.Command], [Story.Command])] = [
        ([.rekeyChild], [.rekeyChild]), ([.rekeyIKE], [.rekeyIKE]), ([.rekeyIKE], [.rekeyChild]),
        ([.rekeyChild], [.rekeyIKE]), ([.rekeyChild], [.terminate]), ([.rekeyIKE], [.terminate]),
        ([.terminate], [.terminate]), ([.rekeyChild], [.deleteChild]), ([.rekeyIKE], [.deleteChild]),
        ([.deleteChild], [.deleteChild]), ([.rekeyIKE], [.checkLiveness]), ([.rekeyChild], [.checkLiveness]),
        ([.checkLiveness], [.terminate]),
    ]

    /// In any order, and the rekeys with any one message lost.
    static let small =
        commands.map { Story(a: $0, b: $1) } + commands.prefix(3).map { Story(a: $0, b: $1, losses: 1) }
        + [
            Story(a: [.terminate], b: [.terminate], repetitions: 1),
            Story(a: [.rekeyChild], b: [.deleteChild], repetitions: 1),
            Story(a: [.initiate], b: [.initiate], isConnected: false),
        ]

    /// Too many to go through: longer, and with all that can befall a message.
    static let large = [
        Story(a: [.rekeyChild], b: [.rekeyChild], losses: 2, repetitions: 2, waits: 3, depth: 40),
        Story(a: [.rekeyIKE], b: [.rekeyIKE], losses: 2, repetitions: 2, waits: 3, depth: 40),
        Story(a: [.rekeyIKE], b: [.rekeyChild], losses: 2, repetitions: 2, waits: 3, depth: 40),
        long([.rekeyChild, .rekeyIKE], [.rekeyIKE, .rekeyChild]),
        long([.rekeyChild, .rekeyChild], [.rekeyChild, .rekeyChild]),
        long([.rekeyIKE, .rekeyIKE], [.rekeyIKE, .rekeyIKE]),
        long([.rekeyIKE, .rekeyChild], [.terminate]),
        long([.rekeyChild, .rekeyIKE], [.deleteChild, .rekeyIKE]),
        Story(a: [.initiate], b: [.initiate], isConnected: false, losses: 2, repetitions: 2, waits: 3, depth: 40),
    ]

    private static func long(_ a: [Story.Command], _ b: [Story.Command]) -> Story {
        Story(a: a, b: b, losses: 1, repetitions: 1, waits: 2, depth: 40)
    }

    @Test(arguments: small)
    func everyInterleavingEndsWell(_ story: Story) {
        var covered = 0
        // The seed decides which side has the lowest nonce.
        for seed in 0..<2 as Range<UInt8> {
            var explorer = Explorer(story)
            explorer.exhaust(seed: seed)
            covered += explorer.covered
            for failure in explorer.failures { Issue.record("seed \(seed): \(failure)") }
        }
        print("\(story.testDescription): all of \(covered) interleavings")
    }

    @Test(arguments: large)
    func randomInterleavingsEndWell(_ story: Story) {
        var covered = 0
        for turn in 0..<Explorer.turns as Range<UInt64> {
            var explorer = Explorer(story)
            explorer.walk(seed: UInt8(truncatingIfNeeded: turn), turn: turn)
            covered += explorer.covered
            guard let failure = explorer.failures.first else { continue }
            Issue.record("turn \(turn): \(failure)")
            break
        }
        print("\(story.testDescription): \(covered) interleavings of many")
    }
}
