internal import Foundation
internal import Glibc
internal import Synchronization

/// What the lab cannot do, in words for the person who runs the tests.
struct LabError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A program of the host that the lab uses, and the Debian package that brings it.
struct Program: Sendable {
    let path: String

    private static let packages = [
        "charon-systemd": "charon-systemd", "chromedriver": "chromium-driver", "curl": "curl", "glewlwyd": "glewlwyd",
        "ip": "iproute2", "iperf3": "iperf3", "nft": "nftables", "php": "php-cli", "ping": "iputils-ping", "socat": "socat",
        "swanctl": "strongswan-swanctl", "sysctl": "procps", "tcpdump": "tcpdump", "sha256sum": "coreutils",
        "/usr/bin/python3": "python3",
    ]

    init(_ name: String) throws {
        if name.hasPrefix("/"), access(name, X_OK) == 0 {
            path = name
            return
        }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for folder in folders + ["/usr/sbin", "/sbin", "/usr/bin", "/bin"] where access(folder + "/" + name, X_OK) == 0
        {
            path = folder + "/" + name
            return
        }
        throw LabError(
            "The program '\(name)' is not installed. Install it with: apt-get install \(Self.packages[name] ?? name)")
    }
}

/// A process that the lab started. It is known by its process ID and ends with the lab.
final class Child: Sendable {
    let pid: pid_t
    /// The file that takes standard output and standard error.
    let logFile: String
    private let status = Mutex<Int32?>(nil)

    /// Starts a program with its output in `logFile`. Only the three standard descriptors are handed down.
    init(_ program: Program, _ arguments: [String], environment: [String: String] = [:], logFile: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, logFile, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        }
        // Threads of ours may block signals, and a shell may have told us to ignore some: not so for the child.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let variables = ProcessInfo.processInfo.environment
            .merging(["SWIFT_BACKTRACE": "enable=no", "LC_ALL": "C"]) { $1 }
            .merging(environment) { $1 }
        var argv = ([program.path] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup($0.key + "=" + $0.value) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, program.path, &actions, &attributes, &argv, &envp)
        guard code == 0 else {
            throw LabError("\(program.path) did not start: \(String(cString: strerror(code)))")
        }
        self.pid = pid
        self.logFile = logFile
    }

    /// The exit status once the process has ended (128 + signal for one that was killed), else nil.
    var exitStatus: Int32? {
        status.withLock { known in
            if known == nil {
                var raw: Int32 = 0
                if waitpid(pid, &raw, WNOHANG) == pid {
                    known = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
                }
            }
            return known
        }
    }

    var log: String { (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? "" }

    /// Sends a signal, unless the process has ended: its number may belong to someone else by then.
    func signal(_ number: Int32) {
        if exitStatus == nil { kill(pid, number) }
    }

    /// Waits for the end; nil when it has not come in time.
    func wait(seconds: Double = 30) async -> Int32? {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        var pause = Duration.milliseconds(2)
        while clock.now < end {
            if let exitStatus { return exitStatus }
            try? await clock.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(50))
        }
        return exitStatus
    }

    /// Ends the process: politely first where `gracefully`, and in any case for good.
    @discardableResult
    func end(gracefully: Bool = true, seconds: Double = 10) async -> Int32? {
        if gracefully {
            signal(SIGTERM)
            if let code = await wait(seconds: seconds) { return code }
        }
        signal(SIGKILL)
        return await wait(seconds: 5)
    }
}

/// What a finished program said.
struct Output: Sendable {
    var status: Int32
    var text: String
}

/// Runs a program to its end, at most `seconds` long.
func run(
    _ name: String, _ arguments: [String], environment: [String: String] = [:], seconds: Double = 30
) async throws -> Output {
    let file = NSTemporaryDirectory() + "/gh-run-\(getpid())-\(UUID().uuidString)"
    defer { unlink(file) }
    let child = try Child(
        name.hasPrefix("/") ? Program(path: name) : Program(name), arguments, environment: environment, logFile: file)
    guard let status = await child.wait(seconds: seconds) else {
        await child.end(gracefully: false)
        throw LabError("\(name) \(arguments.joined(separator: " ")) did not end within \(seconds) s: \(child.log)")
    }
    return Output(status: status, text: child.log)
}

/// As ``run(_:_:environment:seconds:)``, but a status other than 0 is an error that shows the output.
@discardableResult
func must(
    _ name: String, _ arguments: [String], environment: [String: String] = [:], seconds: Double = 30
) async throws -> String {
    let output = try await run(name, arguments, environment: environment, seconds: seconds)
    guard output.status == 0 else {
        throw LabError("\(name) \(arguments.joined(separator: " ")) ended with \(output.status): \(output.text)")
    }
    return output.text
}

extension Program {
    init(path: String) { self.path = path }
}

/// Asks again and again until there is an answer, at most `seconds` long; then fails with the reason given.
func eventually<Value>(
    _ expectation: String, within seconds: Double = 20, every pause: Duration = .milliseconds(50),
    _ body: () async throws -> Value?
) async throws -> Value {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(seconds)
    var lastError: (any Error)?
    repeat {
        do {
            if let value = try await body() { return value }
        } catch let error as LabError {
            lastError = error
        }
        try await clock.sleep(for: pause)
    } while clock.now < end
    throw LabError("Not within \(seconds) s: \(expectation)" + (lastError.map { " (last: \($0))" } ?? ""))
}

/// Waits until a condition holds.
func eventually(
    _ expectation: String, within seconds: Double = 20, every pause: Duration = .milliseconds(50),
    holds body: () async throws -> Bool
) async throws {
    _ = try await eventually(expectation, within: seconds, every: pause) { () -> Bool? in
        try await body() ? true : nil
    }
}
