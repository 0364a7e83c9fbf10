public import Base
import Cryptography
public import Portal
import Synchronization
public import Tunnels

/// A gateway that has what a test gives it and remembers what was asked of it.
public final class FakeGateway: GatewayAPI {
    public struct State: Sendable {
        public var status = GatewayStatus(version: "1.0", startedAt: .example(0), dataPath: "userspace", tunnels: [])
        public var counters = GatewayCounters()
        public var problems: [String] = []
        public var connectors: [Connector] = []
        public var findings: [Finding] = []
        public var audit: [AuditRecord] = []
        public var importResult = ImportResult(connector: "vpn-1", tunnels: [], warnings: [], isStored: true)
        public var explanations: [Explanation] = []
        public var events: [GatewayEvent] = []
        /// What was called, one line each, with the caller's uid.
        public var calls: [String] = []
        public var callers: [Caller] = []
        public var site = Site()
        public var sessions: [SessionStatus] = []
        public var users: [UserStatus] = []
        public var siteOrders: [SiteOrder] = []
        public var importedFile: [UInt8] = []
        public var importRequest = ImportRequest()
        public var addedConnectors: [Connector] = []
        /// Thrown by the next control method.
        public var failure: (any Error)?
        public var followers: [Int: AsyncStream<GatewayEvent>.Continuation] = [:]
        var nextFollower = 0
    }

    private let state = Mutex(State())
    private let followerCount: AsyncStream<Int>
    private let followerCountContinuation: AsyncStream<Int>.Continuation

    public init() {
        (followerCount, followerCountContinuation) = AsyncStream.makeStream()
    }

    public func with<Result: Sendable>(_ body: (inout State) throws -> sending Result) rethrows -> sending Result {
        try state.withLock { try body(&$0) }
    }

    /// Waits until exactly `count` event streams are open.
    public func waitForFollowers(_ count: Int) async {
        if with({ $0.followers.count == count }) { return }
        for await current in followerCount where current == count { return }
    }

    /// Logs an event and sends it to every stream.
    public func emit(_ kind: String, connector: String? = nil, tunnel: String? = nil, message: String) {
        with { state in
            let event = GatewayEvent(
                number: UInt64(state.events.count + 1), time: .example(state.events.count), level: .info, kind: kind,
                connector: connector, tunnel: tunnel, message: message)
            state.events.append(event)
            for follower in state.followers.values { follower.yield(event) }
        }
    }

    func note(_ call: String, _ caller: Caller? = nil) throws {
        try with { state in
            state.calls.append(call)
            if let caller { state.callers.append(caller) }
            if let failure = state.failure {
                state.failure = nil
                throw failure
            }
        }
    }

    public func status() async -> GatewayStatus { with { $0.status } }
    public func counters() async -> GatewayCounters { with { $0.counters } }
    public func problems() async -> [String] { with { $0.problems } }
    public func recentEvents(limit: Int) async -> [GatewayEvent] { with { Array($0.events.suffix(limit)) } }

    public func events(after: UInt64?) async -> AsyncStream<GatewayEvent> {
        let (stream, continuation) = AsyncStream<GatewayEvent>.makeStream()
        let (id, count) = with { state in
            if let after {
                for event in state.events where event.number > after { continuation.yield(event) }
            }
            state.nextFollower += 1
            state.followers[state.nextFollower] = continuation
            return (state.nextFollower, state.followers.count)
        }
        followerCountContinuation.yield(count)
        continuation.onTermination = { [weak self] _ in
            guard let self else { return }
            let count = self.with { state in
                state.followers[id] = nil
                return state.followers.count
            }
            self.followerCountContinuation.yield(count)
        }
        return stream
    }

    public func connectors() async throws -> [Connector] {
        try note("connectors")
        return with { $0.connectors }
    }

    public func revealedConnector(id: String, caller: Caller) async throws -> Connector {
        try note("reveal \(id)", caller)
        guard let connector = with({ $0.connectors.first { $0.id == id } }) else {
            throw APIError.notFound("there is no connector '\(id)'")
        }
        return connector
    }

    public func site(isRevealing: Bool, caller: Caller) async throws -> SiteSnapshot {
        try note("site\(isRevealing ? " revealed" : "")", caller)
        return with { SiteSnapshot(version: "v1", site: $0.site) }
    }

    public func applySite(
        _ order: SiteOrder, keepsOthers: Bool, against version: String?, isDryRun: Bool, caller: Caller
    ) async throws -> SiteResult {
        try note(
            "apply\(isDryRun ? " dry" : "")\(keepsOthers ? " keeping" : "") against \(version ?? "any")", caller)
        return with { state in
            state.siteOrders.append(order)
            let after = Site(connectors: order.connectors, settings: order.settings ?? [:])
            return SiteResult(
                version: "v1", isStored: !isDryRun, difference: SiteDifference(from: state.site, to: after))
        }
    }

    public func importAWS(file: [UInt8], request: ImportRequest, caller: Caller) async throws -> ImportResult {
        try note("import", caller)
        return with { state in
            state.importedFile = file
            state.importRequest = request
            return state.importResult
        }
    }

    public func previewConnector(_ connector: Connector) async throws -> ConnectorPreview {
        let stored = with { $0.connectors.first { $0.id == connector.id } }
        return ConnectorPreview(of: (try? connector.keepingKeys(of: stored)) ?? connector, stored: stored)
    }

    public func addConnector(_ connector: Connector, replacing: Bool, caller: Caller) async throws {
        try note("add \(connector.id)\(replacing ? " replacing" : "")", caller)
        with { $0.addedConnectors.append(connector) }
    }

    public func removeConnector(id: String, caller: Caller) async throws { try note("remove \(id)", caller) }

    public func setEnabled(id: String, _ isEnabled: Bool, caller: Caller) async throws {
        try note("\(isEnabled ? "enable" : "disable") \(id)", caller)
    }

    public func rekey(_ subject: String, phase: RekeyPhase, caller: Caller) async throws -> [String] {
        try note("rekey \(subject) \(phase.rawValue)", caller)
        return [subject + "-1", subject + "-2"]
    }

    public func restart(_ subject: String, caller: Caller) async throws -> [String] {
        try note("restart \(subject)", caller)
        return [subject]
    }

    public func doctor() async throws -> [Finding] {
        try note("doctor")
        return with { $0.findings }
    }

    public func audit(limit: Int) async throws -> [AuditRecord] {
        try note("audit \(limit)")
        return with { Array($0.audit.prefix(limit)) }
    }

    public func reload(caller: Caller) async throws { try note("reload", caller) }

    public func explain(_ subject: String) async throws -> [Explanation] {
        try note("explain \(subject)")
        return with { $0.explanations }
    }
}

extension WallTime {
    /// Seconds after 2026-11-24T12:00:00Z, the moment at which examples play.
    public static func example(_ seconds: Int) -> WallTime {
        WallTime(nanoseconds: (1_795_521_600 + Int64(seconds)) * 1_000_000_000)
    }
}
