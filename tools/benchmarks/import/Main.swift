internal import Glibc
internal import Tunnels

/// Reads hostile inputs with the AWS import and prints what each kind of them costs: CPU and memory.
///
///     bench-import SAMPLES [--size BYTES] [--all]
///
/// Exits with 1 when a case goes over the bounds.
@main struct Main {
    /// No input may cost more, in a release build.
    static let cpuBound = 200.0
    static let memoryBound = 64.0

    static func main() {
        var arguments = Array(CommandLine.arguments.dropFirst())
        var size = ImportDocument.sizeLimit
        if let at = arguments.firstIndex(of: "--size"), at + 1 < arguments.count {
            size = min(size, max(4096, Int(arguments[at + 1]) ?? size))
            arguments.removeSubrange(at...at + 1)
        }
        let showsAll = arguments.contains("--all")
        arguments.removeAll { $0 == "--all" }
        guard let folder = arguments.first else {
            print("bench-import SAMPLES [--size BYTES] [--all]")
            exit(2)
        }
        let samples = Files.texts(under: folder)
        guard !samples.isEmpty else {
            print("bench-import: there is no sample under \(folder)")
            exit(1)
        }
        // The vendor profile is read once beforehand: it belongs to no input.
        _ = try? AWSImport.read([])
        var worst = Worst()
        for (name, text) in samples {
            for kind in SampleHostility.allCases {
                worst.run(name, kind.rawValue, kind.inputs(of: text, size), showsAll)
            }
        }
        for kind in ShapeHostility.allCases { worst.run("no sample", kind.rawValue, kind.inputs(size), showsAll) }
        worst.report(size)
        exit(worst.cpu.cost > cpuBound || worst.memory.cost > memoryBound ? 1 : 0)
    }
}

/// The dearest case of all, and of each kind while it runs.
struct Worst {
    private(set) var cpu = (cost: 0.0, name: "")
    private(set) var memory = (cost: 0.0, name: "")
    private var count = 0

    mutating func run(_ sample: String, _ kind: String, _ inputs: some Sequence<HostileInput>, _ showsAll: Bool) {
        var group = (cpu: 0.0, memory: 0.0, cases: 0, outcome: "")
        for input in inputs {
            let cost = Cost.measured(input.bytes)
            let name = "\(sample), \(kind)\(input.detail.isEmpty ? "" : ": ")\(input.detail)"
            if showsAll { print(line(name, cost.cpu, cost.memory, cost.outcome)) }
            if cost.cpu > cpu.cost { cpu = (cost.cpu, name) }
            if cost.memory > memory.cost { memory = (cost.memory, name) }
            if cost.cpu >= group.cpu { group.outcome = cost.outcome }
            group = (max(group.cpu, cost.cpu), max(group.memory, cost.memory), group.cases + 1, group.outcome)
        }
        count += group.cases
        guard !showsAll, group.cases > 0 else { return }
        print(line("\(sample), \(kind) (\(group.cases))", group.cpu, group.memory, group.outcome))
    }

    private func line(_ name: String, _ cpu: Double, _ memory: Double, _ outcome: String) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.utf8.count)) + text
        }
        return padded(oneDecimal(cpu), 7) + " ms" + padded(oneDecimal(memory), 7) + " MiB  \(name) → \(outcome)"
    }

    func report(_ size: Int) {
        print("\nmost CPU: \(cpu.name)\nmost memory: \(memory.name)\n")
        print("figure import_hostile_cases \(count) cases")
        print("figure import_input_size \(size) bytes")
        print("figure import_worst_cpu_ms \(oneDecimal(cpu.cost)) ms")
        print("figure import_worst_cpu_bound \(oneDecimal(Main.cpuBound)) ms")
        print("figure import_worst_peak_mib \(oneDecimal(memory.cost)) MiB")
        print("figure import_worst_peak_bound \(oneDecimal(Main.memoryBound)) MiB")
    }
}

func oneDecimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
}

/// What one reading costs this process.
struct Cost {
    /// Milliseconds of CPU.
    var cpu: Double
    /// MiB at the peak, beyond what the process has while it reads nothing.
    var memory: Double
    var outcome: String

    static func measured(_ bytes: [UInt8]) -> Cost {
        var best = once(bytes)
        // The machine is shared: only what is dear three times is dear.
        for _ in 0..<2 where best.cpu > Main.cpuBound / 4 {
            let again = once(bytes)
            if again.cpu < best.cpu { best = again }
        }
        return best
    }

    private static func once(_ bytes: [UInt8]) -> Cost {
        // What earlier inputs left behind goes back to the kernel, and the peak begins anew.
        _ = trim(0)
        Files.write("5", to: "/proc/self/clear_refs")
        let resting = Files.memory("VmRSS:")
        let start = cpuTime()
        let outcome: String
        do throws(ImportError) {
            let plan = try AWSImport.read(bytes)
            // What a person sees is part of the work.
            outcome = "a plan of \(plan.tunnels.count) tunnels, \(plan.table().utf8.count + plan.json().utf8.count) bytes"
        } catch {
            outcome = "\(error.kind), \(error.description.utf8.count) bytes"
        }
        return Cost(cpu: cpuTime() - start, memory: Files.memory("VmHWM:") - resting, outcome: outcome)
    }

    /// glibc's malloc_trim, which no module of Swift's names.
    private static let trim: @convention(c) (Int) -> CInt = {
        guard let symbol = dlsym(nil, "malloc_trim") else { fatalError("this C library has no malloc_trim") }
        return unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)
    }()

    private static func cpuTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }
}

/// The few files that this program touches.
enum Files {
    static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += buffer[..<count]
        }
    }

    static func write(_ text: String, to path: String) {
        let descriptor = open(path, O_WRONLY)
        guard descriptor >= 0 else { return }
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    /// MiB that a line of the process's status names: what it has, or its peak since `clear_refs` was written.
    static func memory(_ name: String) -> Double {
        let status = String(decoding: read("/proc/self/status") ?? [], as: UTF8.self)
        let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
        let kilobytes = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }
        return Double(kilobytes ?? 0) / 1024
    }

    /// Every file in the folders below, by its path there.
    static func texts(under folder: String) -> [(name: String, text: String)] {
        var found: [(String, String)] = []
        for part in names(in: folder) {
            for name in names(in: folder + "/" + part) {
                guard let bytes = read("\(folder)/\(part)/\(name)") else { continue }
                found.append(("\(part)/\(name)", String(decoding: bytes, as: UTF8.self)))
            }
        }
        return found
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}
