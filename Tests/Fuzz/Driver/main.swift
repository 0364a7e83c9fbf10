import CFuzzer
import FuzzTargets
import Glibc

// libFuzzer's own main would clash with SwiftPM's: so its driver is called here. tools/fuzz is how a person starts it.
guard let name = getenv("GATEHOUSE_FUZZ_TARGET").map({ String(cString: $0) }), let chosen = FuzzTarget(rawValue: name)
else {
    for target in FuzzTarget.allCases { print(target.rawValue, target.summary, separator: "\t") }
    exit(0)
}

if let folder = getenv("GATEHOUSE_FUZZ_SEEDS").map({ String(cString: $0) }) {
    for (index, seed) in chosen.seeds.enumerated() {
        guard let file = fopen("\(folder)/seed-\(index)", "w") else { exit(1) }
        fwrite(seed, 1, seed.count, file)
        fclose(file)
    }
    exit(0)
}

// A C function pointer captures nothing, so the target stands in a global of its own.
private let target = chosen

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { data, size in
        target.run(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    })
