public import Base
import CMnl
import Glibc

/// Tells systemd how the service is doing (sd_notify(3)): one datagram to `$NOTIFY_SOCKET` each.
///
/// Without a service manager every call does nothing.
public struct ServiceManager: Sendable {
    /// The socket's name, in the abstract namespace when it begins with a zero byte.
    private let address: [UInt8]?
    /// How long systemd waits for ``watchdog()`` before it takes the service for dead; nil when it does not watch.
    /// Call at least twice in that time.
    public let watchdogTimeout: Tick.Span?
    /// Sockets that an earlier process gave to ``keep(_:)``. Open, and the caller's to close.
    public let kept: [Int32]

    /// What this process's environment says.
    public init() { self.init { name in getenv(name).map { String(cString: $0) } } }

    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`, `LISTEN_FDS` and `LISTEN_PID` by `environment`.
    public init(environment: (String) -> String?) {
        var address: [UInt8]?
        if let name = environment("NOTIFY_SOCKET"), name.hasPrefix("/") || name.hasPrefix("@") {
            var bytes = Array(name.utf8)
            if name.hasPrefix("@") { bytes[0] = 0 }
            // sun_path holds 108 bytes; a path needs its terminating zero among them.
            if bytes.count > 1, bytes.count < 108 { address = bytes }
        }
        self.address = address
        let isForUs = environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        let microseconds = environment("WATCHDOG_USEC").flatMap(Int64.init) ?? 0
        let count = environment("LISTEN_PID").map { Int32($0) == getpid() } == true
            ? environment("LISTEN_FDS").flatMap(Int32.init) ?? 0 : 0
        // Descriptors from 3 on, by sd_listen_fds(3).
        kept = count > 0 && count <= 1024 ? Array(3..<3 + count) : []
        // Ten years are no watchdog, and their nanoseconds still fit.
        let isTimeout = microseconds > 0 && microseconds < 315_360_000_000_000
        watchdogTimeout = isForUs && isTimeout ? Tick.Span(nanoseconds: microseconds * 1000) : nil
    }

    /// There is a service manager to talk to.
    public var isPresent: Bool { address != nil }

    /// The service does its work; also ends a reload.
    public func ready(status: String? = nil) { send(["READY=1"] + lines(status)) }

    /// A reload begins; ``ready(status:)`` ends it.
    public func reloading() {
        send(["RELOADING=1", "MONOTONIC_USEC=\(SystemClock.monotonicMicroseconds)"])
    }

    public func stopping(status: String? = nil) { send(["STOPPING=1"] + lines(status)) }

    /// One line for `systemctl status`.
    public func status(_ text: String) { send(lines(text)) }

    /// The service is alive.
    public func watchdog() { send(["WATCHDOG=1"]) }

    /// Has systemd hold these sockets, in the place of all that it holds for us: they stay open when this process ends,
    /// however it ends, and its successor gets them. At most 64; the unit must allow them (`FileDescriptorStoreMax=`).
    public func keep(_ descriptors: [Int32]) {
        send(["FDSTOREREMOVE=1", "FDNAME=outside"])
        // Without FDPOLL=0 systemd would drop a socket that reports an error, such as an unreachable peer.
        if !descriptors.isEmpty { send(["FDSTORE=1", "FDNAME=outside", "FDPOLL=0"], descriptors) }
    }

    private func lines(_ status: String?) -> [String] {
        // A line break in the text would begin another assignment.
        status.map { ["STATUS=" + $0.split(whereSeparator: \.isNewline).joined(separator: " ")] } ?? []
    }

    private func send(_ lines: [String], _ descriptors: [Int32] = []) {
        guard let address else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // systemd that does not read holds us up for half a second, not for ever.
        var patience = timeval(tv_sec: 0, tv_usec: 500_000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: address) }
        // An abstract name is as long as it says; a path takes its zero along.
        let pathOffset = MemoryLayout.offset(of: \sockaddr_un.sun_path) ?? 2
        let length = pathOffset + address.count + (address.first == 0 ? 0 : 1)
        let message = Array(lines.joined(separator: "\n").utf8)
        // Nobody can be told about a failure here; systemd sees the silence.
        _ = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                gh_send_descriptors(
                    descriptor, $0, socklen_t(length), message, message.count, descriptors, descriptors.count)
            }
        }
    }
}
