import CMnl
import Glibc

/// A network namespace of this machine, by the file that stands for it.
///
/// A thread is in one namespace, and a socket stays in that of the thread that made it. ``run(_:)`` therefore works
/// on a thread of its own; the sockets that it returns keep working from anywhere.
public struct NetworkNamespace: Hashable, Sendable, CustomStringConvertible {
    /// Such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    public var path: String

    public init(path: String) { self.path = path }

    /// A namespace made by `ip netns add NAME`.
    public init(named name: String) { path = "/run/netns/" + name }

    public var description: String { path }

    /// The namespace could not be entered.
    public struct Unreachable: Error, Hashable, Sendable, CustomStringConvertible {
        public var path: String
        public var errno: Int32

        public var description: String {
            "cannot enter the network namespace \(path): \(String(cString: strerror(errno)))"
                + (errno == EPERM ? "; CAP_SYS_ADMIN is needed" : "")
        }
    }

    /// Runs `body` on a new thread in this namespace and waits for it.
    public func run<Value>(_ body: () throws -> Value) throws -> Value {
        try onThread(
            entering: {
                let file = open(path, O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { throw Unreachable(path: path, errno: errno) }
                defer { close(file) }
                guard gh_setns(file, GH_CLONE_NEWNET) == 0 else { throw Unreachable(path: path, errno: errno) }
            }, body)
    }

    /// Runs `body` on a new thread in a new, empty namespace, which goes when the last socket in it is closed.
    public static func runInNew<Value>(_ body: () throws -> Value) throws -> Value {
        try onThread(
            entering: {
                guard gh_unshare(GH_CLONE_NEWNET) == 0 else { throw Unreachable(path: "(new)", errno: errno) }
            }, body)
    }
}

/// Runs both closures on a thread that ends with them, so that what they do to the thread stays there.
private func onThread<Value>(entering enter: () throws -> Void, _ body: () throws -> Value) throws -> Value {
    try withoutActuallyEscaping(enter) { enter in
        try withoutActuallyEscaping(body) { body in
            let errand = Errand {
                try enter()
                return try body()
            }
            var thread = pthread_t()
            let status = pthread_create(&thread, nil, runErrand, Unmanaged.passRetained(errand).toOpaque())
            guard status == 0 else {
                Unmanaged.passUnretained(errand).release()
                throw NetworkNamespace.Unreachable(path: "(thread)", errno: status)
            }
            pthread_join(thread, nil)
            guard let result = errand.result as? Result<Value, any Error> else {
                throw NetworkNamespace.Unreachable(path: "(thread)", errno: ECANCELED)
            }
            return try result.get()
        }
    }
}

/// Carries work to a thread and its result back. Only one of the two threads is ever in it: the maker waits in
/// pthread_join while the other runs.
private final class Errand {
    private var work: (() -> Any)?
    private(set) var result: Any?

    init<Value>(_ work: @escaping () throws -> Value) {
        self.work = { Result<Value, any Error>(catching: work) }
    }

    func run() {
        result = work?()
        work = nil
    }
}

private func runErrand(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { Unmanaged<Errand>.fromOpaque(argument).takeRetainedValue().run() }
    return nil
}
