import Glibc
import Simulation

/// Lives seeds one after the other. `tools/simulate` runs several of these side by side and reads what they print.
@main enum Main {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        switch (arguments.first, arguments.dropFirst().map { UInt64($0) }) {
        case ("run", let numbers) where numbers.count == 3 && !numbers.contains(nil):
            run(first: numbers[0] ?? 0, count: numbers[1] ?? 0, step: numbers[2] ?? 1, endsAtFirst: false)
        case ("find", let numbers) where numbers.count == 3 && !numbers.contains(nil):
            run(first: numbers[0] ?? 0, count: numbers[1] ?? 0, step: numbers[2] ?? 1, endsAtFirst: true)
        case ("replay", let numbers) where numbers.count >= 1 && !numbers.contains(nil):
            let steps = numbers.dropFirst().map { Int($0 ?? 0) }
            tell(Life.live(numbers[0] ?? 0, steps: steps.isEmpty ? nil : steps, isTold: true))
        case ("shrink", let numbers) where numbers.count == 1 && !numbers.contains(nil):
            tell(Life.shrink(numbers[0] ?? 0))
        default:
            print("simulate run|find FIRST COUNT STEP | replay SEED [STEP…] | shrink SEED")
            exit(2)
        }
    }

    /// Says each seed before it lives, so that one that kills the process is known.
    private static func run(first: UInt64, count: UInt64, step: UInt64, endsAtFirst: Bool) {
        var (packets, seconds, digest, failures) = (0, 0.0, 0 as UInt64, 0)
        for index in 0..<count {
            let seed = first + index * step
            print("seed \(seed)")
            fflush(nil)
            let outcome = Life.live(seed)
            packets += outcome.packets
            seconds += outcome.virtualSeconds
            digest ^= outcome.digest
            if let failure = outcome.failure {
                failures += 1
                print("failed \(seed) \(failure)")
                if endsAtFirst { exit(1) }
            }
        }
        print("done \(count) \(failures) \(packets) \(Int(seconds)) \(String(digest, radix: 16))")
        exit(failures == 0 ? 0 : 1)
    }

    private static func tell(_ outcome: Life.Outcome) {
        for line in outcome.story { print(line) }
        print("")
        print("seed \(outcome.seed), disturbances \(outcome.steps.map(String.init).joined(separator: " "))")
        print(outcome.failure.map { "FAILED: \($0)" } ?? "passed")
        exit(outcome.failure == nil ? 0 : 1)
    }
}
