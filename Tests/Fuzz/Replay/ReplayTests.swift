import Dispatch
import FuzzTargets
import Glibc
import Testing

/// What fuzzing has kept runs in every test run: inputs that reach much of the code, and every one that ever broke it.
struct ReplayTests {
    @Test(arguments: FuzzTarget.allCases)
    func everyKeptInputIsSurvived(_ target: FuzzTarget) async throws {
        let corpus = try Self.inputs("Corpus", target)
        #expect(corpus.count >= 8, "Tests/Fuzz/Corpus/\(target.rawValue) is missing or empty")
        for (name, bytes) in corpus + (try Self.inputs("Crashes", target)) {
            // A trap ends the process: with GATEHOUSE_FUZZ_VERBOSE set, the last line says which input it was.
            Self.note("\(target.rawValue)/\(name)")
            await Self.run(target, bytes)
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func everySeedIsSurvivedWholeAndCutShort(_ target: FuzzTarget) async {
        for seed in target.seeds {
            for length in stride(from: seed.count, through: 0, by: -max(1, seed.count / 40)) {
                await Self.run(target, Array(seed.prefix(length)))
            }
        }
    }

    /// On a thread of its own: a target may wait for tasks, and the test's thread is one that tasks run on.
    private static func run(_ target: FuzzTarget, _ bytes: [UInt8]) async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                target.run(bytes)
                continuation.resume()
            }
        }
    }

    private static func note(_ input: String) {
        guard getenv("GATEHOUSE_FUZZ_VERBOSE") != nil else { return }
        let line = input + "\n"
        write(STDERR_FILENO, line, line.utf8.count)
    }

    /// The files of one folder beside this one, by name.
    private static func inputs(_ folder: String, _ target: FuzzTarget) throws -> [(String, [UInt8])] {
        let here = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        let path = "/\(here)/\(folder)/\(target.rawValue)"
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return try names.sorted().map { name in
            let file = try #require(fopen("\(path)/\(name)", "r"), "\(path)/\(name) cannot be read")
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            let count = fread(&bytes, 1, bytes.count, file)
            return (name, Array(bytes.prefix(count)))
        }
    }
}
