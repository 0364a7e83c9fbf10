import Base
import Logging
import Portal
import Synchronization
import Tunnels

/// The gateway's recent events, numbered, and everyone who follows them.
final class EventLog: Sendable {
    private struct State {
        var recent: [GatewayEvent] = []
        var next: UInt64 = 1
        var counts = GatewayCounters.EventCounts()
        var followers: [UInt64: AsyncStream<GatewayEvent>.Continuation] = [:]
        var nextFollower: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let capacity: Int
    private let journal: Journal?
    private let wall: @Sendable () -> WallTime

    /// Keeps the newest `capacity` events; each is a line of the `journal` as well.
    init(capacity: Int = 2000, journal: Journal? = nil, wall: @escaping @Sendable () -> WallTime) {
        self.capacity = capacity
        self.journal = journal
        self.wall = wall
    }

    @discardableResult
    func add(
        _ level: GatewayEvent.Level, kind: String, connector: String? = nil, tunnel: String? = nil, message: String
    ) -> GatewayEvent {
        let (event, slow) = state.withLock { state in
            let event = GatewayEvent(
                number: state.next, time: wall(), level: level, kind: kind, connector: connector, tunnel: tunnel,
                message: message)
            state.next += 1
            switch level {
            case .info: state.counts.info += 1
            case .warning: state.counts.warning += 1
            case .error: state.counts.error += 1
            }
            // Dropping a block at a time keeps the cost of an event constant.
            if state.recent.count >= capacity + capacity / 4 { state.recent.removeFirst(capacity / 4) }
            state.recent.append(event)
            var slow: [AsyncStream<GatewayEvent>.Continuation] = []
            for follower in state.followers.values {
                if case .dropped = follower.yield(event) { slow.append(follower) }
            }
            return (event, slow)
        }
        // Outside the lock, since ending a stream calls `forget`.
        for follower in slow { follower.finish() }
        journal?.logger.log(
            level: level.loggerLevel, "\(message)", metadata: tunnel.map { ["tunnel": "\($0)"] })
        return event
    }

    /// Events since the start, by level.
    var counts: GatewayCounters.EventCounts { state.withLock { $0.counts } }

    /// The newest events, oldest first.
    func recent(limit: Int) -> [GatewayEvent] { state.withLock { Array($0.recent.suffix(max(0, limit))) } }

    /// Kept events numbered above `after`, then all that follow. A reader that falls further behind than what is
    /// kept is cut off, rather than shown a log with holes.
    func follow(after: UInt64?) -> AsyncStream<GatewayEvent> {
        let (stream, continuation) = AsyncStream<GatewayEvent>.makeStream(
            bufferingPolicy: .bufferingOldest(2 * capacity))
        let id: UInt64? = state.withLock { state in
            if let after {
                for event in state.recent where event.number > after { continuation.yield(event) }
            }
            guard !state.isClosed else { return nil }
            let id = state.nextFollower
            state.nextFollower += 1
            state.followers[id] = continuation
            return id
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.forget(id) }
        return stream
    }

    private func forget(_ id: UInt64) {
        _ = state.withLock { $0.followers.removeValue(forKey: id) }
    }

    /// Ends every follower's stream.
    func close() {
        let followers = state.withLock { state in
            state.isClosed = true
            let all = Array(state.followers.values)
            state.followers = [:]
            return all
        }
        for follower in followers { follower.finish() }
    }
}
