import Access
import Base
import Host
import HTTP
import Portal
import Store
import Tunnels
import Vendors

/// The connections to endpoint protection platforms, and what is known of all their endpoints.
actor EndpointKeeper: EndpointLookUp {
    /// How long a person who signs in waits for what the platforms say.
    static let patience = Tick.Span.seconds(5)

    private enum Order: Sendable {
        case start(EndpointSource)
    }

    private let web: HTTPClient
    private let tokens: TokenSource
    private let store: Store
    private let log: EventLog
    private let clock: SystemClock
    private let random: @Sendable (Int) -> [UInt8]
    private let follow: InventoryFollower
    private var sources: [String: EndpointSource] = [:]
    private let orders: AsyncStream<Order>
    private let ordering: AsyncStream<Order>.Continuation
    private var watched: Set<EndpointKey> = []
    /// Names of connections that somebody changes, with those who wait to do so.
    private var changing: [String: [CheckedContinuation<Void, Never>]] = [:]
    /// Stored connections whose profile or key cannot be read.
    private(set) var broken: [String] = []

    /// - Parameter follow: is told of every change after it is stored.
    init(
        web: HTTPClient, tokens: TokenSource, store: Store, log: EventLog, clock: SystemClock,
        random: @escaping @Sendable (Int) -> [UInt8], follow: @escaping InventoryFollower
    ) {
        self.web = web
        self.tokens = tokens
        self.store = store
        self.log = log
        self.clock = clock
        self.random = random
        self.follow = follow
        (orders, ordering) = AsyncStream.makeStream()
    }

    /// What is stored of all connections, for those who decide before the first poll.
    static func stored(_ store: Store) -> [InventoryChange] {
        guard let connections = try? store.endpointSources().sources else { return [] }
        var changes: [InventoryChange] = []
        for connection in connections where connection.isEnabled {
            guard let profile = try? connection.profile(), let kept = try? store.endpoints(of: connection.id) else {
                continue
            }
            let completedAt = kept.answered[profile.listingName]
            changes.append(.source(PostureSource(connection, profile, completedAt: completedAt, problem: nil)))
            changes.append(.changed(kept.records))
        }
        return changes
    }

    /// Polls every connection until the task is cancelled.
    func run() async {
        do {
            let stored = try store.endpointSources()
            broken = stored.broken.map(\.description)
            for connection in stored.sources where connection.isEnabled {
                // Whoever changes one starts it, or has done so.
                guard sources[connection.id] == nil, changing[connection.id] == nil else { continue }
                start(connection)
            }
        } catch {
            broken = [error.description]
        }
        for complaint in broken { log.add(.error, kind: "endpoint-protection-broken", message: complaint) }
        await withDiscardingTaskGroup { group in
            for await order in orders {
                switch order {
                case .start(let source): group.addTask { await source.run() }
                }
            }
            group.cancelAll()
        }
    }

    /// Begins to poll a connection, with what is stored of its endpoints.
    private func start(_ connection: EndpointConnection) {
        do {
            let profile = try connection.profile()
            let kept = try store.endpoints(of: connection.id)
            let (store, log, follow) = (store, log, follow)
            let machine = EndpointSource.Machine(
                web: web, tokens: tokens, clock: clock, random: random,
                keep: { change, answered in
                    do {
                        try store.keep(
                            change.changed, removed: change.removed, answered: answered, of: connection.id)
                    } catch {
                        log.add(.error, kind: "endpoints-not-stored", message: "\(error)")
                    }
                }, tell: follow, log: log)
            let mirror = EndpointMirror(connection, profile, records: kept.records, answered: kept.answered)
            let source = EndpointSource(
                connection, profile, mirror, machine,
                watched: Set(watched.filter { $0.source == connection.id }.map(\.id)))
            sources[connection.id] = source
            ordering.yield(.start(source))
        } catch {
            broken.append("The connection '\(connection.id)' cannot be used: \(error)")
        }
    }

    // MARK: - Control

    /// A connection was added or changed and is stored: what is polled is this from now on.
    func put(_ connection: EndpointConnection) async { await put(connection) {} }

    /// Adds or changes a connection: what is polled is this from now on.
    ///
    /// - Parameter save: stores it, when the one before stands still: what that one stored last can be forgotten with the rest.
    ///   Where it throws, everything is as it was.
    func put(_ connection: EndpointConnection, save: @Sendable () throws -> Void) async rethrows {
        try await replace(connection.id, by: connection.isEnabled ? connection : nil, save: save)
    }

    /// A connection was removed.
    func remove(_ id: String) async { await remove(id) {} }

    /// Removes a connection.
    ///
    /// - Parameter save: removes it from the store, when it stands still. Where it throws, everything is as it was.
    func remove(_ id: String, save: @Sendable () throws -> Void) async rethrows {
        try await replace(id, by: nil, save: save)
    }

    private func replace(
        _ id: String, by next: EndpointConnection?, save: @Sendable () throws -> Void
    ) async rethrows {
        await enter(id)
        defer { leave(id) }
        let old = sources.removeValue(forKey: id)
        // Two at a time must not have one name: what comes late for the old one would be taken for the new one's.
        await old?.stop()
        do {
            try save()
        } catch {
            if let old { start(old.connection) }
            throw error
        }
        await tokens.forget(connection: id)
        if old != nil { await follow([.sourceRemoved(id)]) }
        if let next { start(next) }
    }

    /// Waits until nobody else changes the connection of that name. Whoever has been let in must ``leave(_:)``.
    private func enter(_ id: String) async {
        guard changing[id] != nil else {
            changing[id] = []
            return
        }
        await withCheckedContinuation { changing[id, default: []].append($0) }
    }

    /// Lets the next one in.
    private func leave(_ id: String) {
        guard var waiting = changing[id], !waiting.isEmpty else {
            changing[id] = nil
            return
        }
        let next = waiting.removeFirst()
        changing[id] = waiting
        next.resume()
    }

    func source(_ id: String) -> EndpointSource? { sources[id] }

    /// Those that are polled, by name.
    var running: [EndpointSource] { sources.sorted { $0.key < $1.key }.map(\.value) }

    // MARK: - EndpointLookUp

    func refresh(_ query: EndpointQuery) async {
        let all = Array(sources.values)
        guard !all.isEmpty else { return }
        await withTaskGroup(of: Void.self) { group in
            // A person waits for what this looks up.
            group.addTask { _ = try? await Task.sleep(for: .nanoseconds(Self.patience.nanoseconds)) }
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for source in all { group.addTask { await source.refresh(query) } }
                }
            }
            // Whichever is first; the other is given up.
            await group.next()
            group.cancelAll()
        }
    }

    func watch(_ endpoints: Set<EndpointKey>) async {
        watched = endpoints
        let bySource = Dictionary(grouping: endpoints, by: \.source)
        for (id, source) in sources { await source.watch(Set((bySource[id] ?? []).map(\.id))) }
    }
}
