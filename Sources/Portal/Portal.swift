public import Base
import Glibc
public import Logging

/// The two local sockets: `status.sock` answers questions, `control.sock` also carries out changes.
///
/// Both speak HTTP/1.1 with JSON. They are ready when ``start(_:api:logger:)`` returns, and gone after ``stop()``.
public final class Portal: Sendable {
    private let status: LocalServer
    private let control: LocalServer
    private let lock: RuntimeLock

    private init(status: LocalServer, control: LocalServer, lock: RuntimeLock) {
        self.status = status
        self.control = control
        self.lock = lock
    }

    /// Makes both sockets and begins to answer.
    ///
    /// - Throws: ``PortalError``, such as when another daemon has the sockets.
    public static func start(
        _ configuration: PortalConfiguration, api: any GatewayAPI, logger: Logger
    ) async throws -> Portal {
        let lock = try RuntimeLock(directory: configuration.runtimeDirectory)
        let limits = configuration.limits
        let wall = configuration.wall
        let reading = readingEndpoints(api: api, wall: wall)
        let statusFile = try SocketFile.bind(
            path: configuration.statusSocketPath, mode: 0o660, group: configuration.statusGroup)
        let controlFile: SocketFile
        do {
            controlFile = try SocketFile.bind(path: configuration.controlSocketPath, mode: 0o600, group: nil)
        } catch {
            statusFile.close()
            throw error
        }
        let status: LocalServer
        do {
            status = try await LocalServer.start(
                on: statusFile, routes: Routes(reading, socket: "status.sock"), limits: limits, logger: logger)
        } catch {
            controlFile.close()
            throw error
        }
        do {
            let control = try await LocalServer.start(
                on: controlFile, routes: Routes(reading + controlEndpoints(api: api), socket: "control.sock"),
                limits: limits, logger: logger)
            return Portal(status: status, control: control, lock: lock)
        } catch {
            await status.stop()
            throw error
        }
    }

    /// Answers what is under way, ends event streams, and removes the socket files.
    public func stop() async {
        async let first: Void = status.stop()
        async let second: Void = control.stop()
        _ = await (first, second)
        lock.release()
    }
}

/// Where the sockets are and what they bear.
public struct PortalConfiguration: Sendable {
    /// Holds both sockets; made if it is missing and its parent exists.
    public var runtimeDirectory: String
    /// The group (a name or a number) that may use the status socket; nil leaves the daemon's own.
    public var statusGroup: String?
    public var limits: Limits
    /// The calendar clock, for the uptime in the metrics.
    public var wall: @Sendable () -> WallTime

    public var statusSocketPath: String { runtimeDirectory + "/status.sock" }
    public var controlSocketPath: String { runtimeDirectory + "/control.sock" }

    public init(
        runtimeDirectory: String, statusGroup: String? = nil, limits: Limits = Limits(),
        wall: @escaping @Sendable () -> WallTime = PortalConfiguration.systemTime
    ) {
        self.runtimeDirectory = runtimeDirectory
        self.statusGroup = statusGroup
        self.limits = limits
        self.wall = wall
    }

    /// `CLOCK_REALTIME`.
    public static let systemTime: @Sendable () -> WallTime = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return WallTime(nanoseconds: Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec))
    }

    /// Bounds on what a client can make the daemon hold.
    public struct Limits: Hashable, Sendable {
        /// Bytes of the largest request body.
        public var bodyBytes = 4 << 20
        /// Milliseconds that a connection may be idle, or take to send its request.
        public var requestMilliseconds: Int64 = 30_000
        /// Milliseconds that a reader may leave an answer, or one line of an event stream, unread.
        public var writeMilliseconds: Int64 = 30_000
        /// Milliseconds between the comments that keep an idle event stream alive.
        public var keepAliveMilliseconds: Int64 = 15_000
        /// Milliseconds that answers under way get when the server stops.
        public var graceMilliseconds: Int64 = 2_000
        /// Connections at a time on one socket; more are answered 503.
        public var connections = 128
        /// Events that wait for one slow reader; more cut it off.
        public var waitingEvents = 4_096

        public init() {}
    }
}

/// Why the sockets could not be made.
public struct PortalError: Error, Hashable, Sendable, CustomStringConvertible {
    public var kind: Kind
    /// What failed, on which file, and what to do.
    public var description: String

    public enum Kind: Hashable, Sendable {
        /// Another daemon has the sockets.
        case alreadyRunning
        /// A path, mode, owner or group cannot be set.
        case unusable
    }
}
