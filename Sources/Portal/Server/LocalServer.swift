import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// One HTTP server on one Unix socket.
final class LocalServer: Sendable {
    private let file: SocketFile
    private let limits: PortalConfiguration.Limits
    private let connections: Connections
    private let channel: any Channel
    /// The accept loop and all connections; ends when both have.
    private let work: Task<Void, Never>

    private init(
        file: SocketFile, limits: PortalConfiguration.Limits, connections: Connections, channel: any Channel,
        work: Task<Void, Never>
    ) {
        self.file = file
        self.limits = limits
        self.connections = connections
        self.channel = channel
        self.work = work
    }

    /// Begins to listen on a bound socket, which is ours from here on.
    static func start(
        on file: SocketFile, routes: Routes, limits: PortalConfiguration.Limits, logger: Logger
    ) async throws -> LocalServer {
        let connections = Connections(limit: limits.connections)
        let responder = Responder(routes: routes, limits: limits, connections: connections, logger: logger)
        var configuration = HTTP1Channel.Configuration(idleTimeout: .milliseconds(limits.requestMilliseconds))
        configuration.httpDecoder = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 64 << 10, maxHeaderFieldCount: 100)
        let http = HTTP1Channel(
            responder: { request, writer, channel in
                try await responder.respond(to: request, writer: writer, channel: channel)
            }, configuration: configuration)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            // A client may end its side after the request and still wait for the answer.
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .bind(file.descriptor) { channel in
                connections.add(channel)
                return http.setup(channel: channel, logger: logger).map { connections.keep($0, of: channel) }
            }
        let work = Task<Void, Never> {
            try? await server.executeThenClose { inbound in
                await withDiscardingTaskGroup { group in
                    do {
                        for try await connection in inbound {
                            group.addTask { await http.handle(value: connection, logger: logger) }
                        }
                    } catch {
                        logger.error("\(file.path) no longer accepts connections: \(error)")
                    }
                }
            }
        }
        return LocalServer(
            file: file, limits: limits, connections: connections, channel: server.channel, work: work)
    }

    /// Accepts no more, ends event streams, lets answers under way finish for the grace time, and closes the rest.
    func stop() async {
        file.remove()
        try? await channel.close()
        connections.stop()
        let end = channel.eventLoop.scheduleTask(in: .milliseconds(limits.graceMilliseconds)) { [connections] in
            connections.closeAll()
        }
        await work.value
        end.cancel()
    }
}

/// The open connections of a server, and what they are at.
final class Connections: Sendable {
    private struct Entry {
        var channel: any Channel
        /// Came while the limit was reached: it is told so.
        var isExtra: Bool
        var isBusy = false
        /// Ends the event stream that the connection carries.
        var endStream: (@Sendable () -> Void)?
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var isStopping = false
    }

    /// What a connection may do with a request that came in.
    enum Admission { case serve, refuse, stop }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Takes note of a new connection. Past twice the limit it is closed at once; between, its requests are refused.
    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let isTaken = state.withLock { state in
            guard !state.isStopping, state.entries.count < 2 * limit else { return false }
            state.entries[id] = Entry(channel: channel, isExtra: state.entries.count >= limit)
            return true
        }
        guard isTaken else { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [weak self] _ in self?.forget(id) }
    }

    /// Keeps what serves a connection until it has closed. A listening channel that closes drops the connections that it
    /// has accepted and not yet handed over; their writers would go unfinished, which NIO takes for a fault of ours and
    /// ends the process.
    func keep<Value: Sendable>(_ value: Value, of channel: any Channel) -> Value {
        channel.closeFuture.whenComplete { _ in withExtendedLifetime(value) {} }
        return value
    }

    private func forget(_ id: ObjectIdentifier) {
        let entry = state.withLock { $0.entries.removeValue(forKey: id) }
        entry?.endStream?()
    }

    func begin(_ channel: any Channel) -> Admission {
        state.withLock { state in
            let id = ObjectIdentifier(channel)
            state.entries[id]?.isBusy = true
            return state.isStopping ? .stop : state.entries[id]?.isExtra == true ? .refuse : .serve
        }
    }

    /// True when the connection should close after this answer.
    func end(_ channel: any Channel) -> Bool {
        state.withLock { state in
            state.entries[ObjectIdentifier(channel)]?.isBusy = false
            state.entries[ObjectIdentifier(channel)]?.endStream = nil
            return state.isStopping
        }
    }

    /// Has `end` called when the connection closes or the server stops; at once when it already has.
    func whenStreamMustEnd(_ channel: any Channel, _ end: @escaping @Sendable () -> Void) {
        let isKept = state.withLock { state in
            guard !state.isStopping, state.entries[ObjectIdentifier(channel)] != nil else { return false }
            state.entries[ObjectIdentifier(channel)]?.endStream = end
            return true
        }
        if !isKept { end() }
    }

    func stop() {
        let entries = state.withLock { state in
            state.isStopping = true
            return Array(state.entries.values)
        }
        for entry in entries {
            entry.endStream?()
            if !entry.isBusy { entry.channel.close(promise: nil) }
        }
    }

    func closeAll() {
        for entry in state.withLock({ Array($0.entries.values) }) { entry.channel.close(promise: nil) }
    }
}
