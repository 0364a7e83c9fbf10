import Glibc
import Host
import Synchronization

/// A network namespace for one test, with `lo` up, which goes when the value does.
final class KernelLab: Sendable {
    let name: String
    var namespace: NetworkNamespace { NetworkNamespace(named: name) }

    private static let counter = Atomic(0)

    /// Fails without root, and says so: these tests have no second-best form.
    init() throws {
        guard geteuid() == 0 else { throw CannotRun(reason: "this test makes network namespaces: run it as root") }
        let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
        name = "ghk-\(getpid())-\(number)"
        try run("ip netns add \(name) && ip -n \(name) link set lo up")
    }

    deinit { _ = try? run("ip netns del \(name)") }

    /// What `ip` says in this namespace: a second opinion on what our own code did.
    @discardableResult
    func ip(_ arguments: String) throws -> String { try run("ip -n \(name) \(arguments)") }

    /// A command inside the namespace.
    @discardableResult
    func exec(_ command: String) throws -> String { try run("ip netns exec \(name) \(command)") }

    /// A pair of connected interfaces, both up; the far end stays in this namespace or goes to another one.
    func addPair(_ near: String, _ far: String, in other: KernelLab? = nil) throws {
        try ip("link add \(near) type veth peer name \(far)" + (other.map { " netns \($0.name)" } ?? ""))
        try ip("link set \(near) up")
        try (other ?? self).ip("link set \(far) up")
    }
}

struct CannotRun: Error, CustomStringConvertible {
    var reason: String
    var description: String { reason }
}

/// Runs a shell command and returns what it printed, errors included; throws that text when it fails.
@discardableResult
func run(_ command: String) throws -> String {
    guard let pipe = popen("{ \(command)\n} 2>&1", "re") else { throw CannotRun(reason: "popen: errno \(errno)") }
    var output: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&block, 1, block.count, pipe), count > 0 { output += block[0..<count] }
    let text = String(decoding: output, as: UTF8.self)
    guard pclose(pipe) == 0 else { throw CannotRun(reason: "\(command): \(text)") }
    return text
}
