import Base
import Cryptography
import Host
import IKE
import Portal
import Store
import Tunnels

/// Answers what the sockets ask: reads from the core and the log, writes to the store, and tells the core.
struct GatewayControl: GatewayAPI {
    let core: Core
    let gatekeeper: Gatekeeper
    /// Nil when the boot file asks for none.
    let webPages: WebPages?
    let web: HTTPClient
    let tokens: TokenSource
    let directories: DirectoryDesk
    let courier: DirectoryCourier
    let endpoints: EndpointKeeper
    let store: Store
    let log: EventLog
    let dataPathKind: String
    let startedAt: WallTime
    let examine: @Sendable () async -> [Finding]
    let reread: @Sendable (Caller) async throws -> Void

    // MARK: Reading

    func status() async -> GatewayStatus {
        let tunnels = await core.ask { core in await core.status() } ?? []
        return GatewayStatus(
            version: gatehouseVersion, startedAt: startedAt, dataPath: dataPathKind, tunnels: tunnels,
            services: await endpoints.services(now: store.wall()))
    }

    func counters() async -> GatewayCounters {
        let tunnels = await core.ask { core in await core.counters() } ?? []
        return GatewayCounters(
            tunnels: tunnels, datagramsDropped: core.inbox.dropped,
            messagesRejected: await core.ask { core in core.rejectedMessages } ?? 0, events: log.counts,
            outgoing: web.hosts.map(OutgoingHostCounters.init))
    }

    func events(after: UInt64?) async -> AsyncStream<GatewayEvent> { log.follow(after: after) }

    func recentEvents(limit: Int) async -> [GatewayEvent] { log.recent(limit: limit) }

    func problems() async -> [String] { await core.ask { core in core.problems } ?? ["The gateway is stopping."] }

    // MARK: Control

    func connectors() async throws -> [Connector] {
        try refusing { () throws(StoreError) in try store.contents().connectors }
    }

    func revealedConnector(id: String, caller: Caller) async throws -> Connector {
        let connector = try find(id)
        try refusing { () throws(StoreError) in
            try store.record("secrets-shown", subject: id, by: Change(actor: caller.description))
        }
        return connector
    }

    func importAWS(file: [UInt8], request: ImportRequest, caller: Caller) async throws -> ImportResult {
        let (connector, warnings) = try readImport(file, request)
        let known = try await connectors().first { $0.id == connector.id }
        let changes = known.map { ConnectorDifference(from: $0, to: connector).changes } ?? []
        let isStored = !request.isDryRun && !(known != nil && request.isReplacing && changes.isEmpty)
        if isStored {
            try await store(
                connector, replacing: request.isReplacing, keepsEnabled: true, caller: caller,
                (["imported from an AWS VPN file"] + changes).joined(separator: "; "))
        }
        return ImportResult(
            connector: connector.id, tunnels: connector.tunnels.map(\.name), warnings: warnings, isStored: isStored,
            isKnown: known != nil, changes: changes)
    }

    func previewConnector(_ connector: Connector) async throws -> ConnectorPreview {
        let known = try await connectors().first { $0.id == connector.id }
        return ConnectorPreview(of: try complete(connector, known), stored: known)
    }

    func addConnector(_ connector: Connector, replacing: Bool, caller: Caller) async throws {
        let known = replacing ? try await connectors().first { $0.id == connector.id } : nil
        let complete = try complete(connector, known)
        let changes = ConnectorPreview(of: complete, stored: known).changes
        try await store(
            complete, replacing: replacing, caller: caller, changes.isEmpty ? nil : changes.joined(separator: "; "))
    }

    /// A definition that can be stored, with the keys that it keeps.
    private func complete(_ connector: Connector, _ known: Connector?) throws -> Connector {
        for tunnel in connector.tunnels {
            if let fault = tunnel.phase2Fault { throw APIError.invalid("Tunnel \(tunnel.name) \(fault).") }
        }
        do {
            let complete = try connector.keepingKeys(of: known)
            for tunnel in complete.tunnels {
                if let fault = tunnel.authenticationFault {
                    throw APIError.invalid("Tunnel \(tunnel.name) \(fault).")
                }
            }
            return complete
        } catch let error as Connector.KeyMissing {
            throw APIError.invalid(error.description)
        }
    }

    /// - Parameter keepsEnabled: for a file that says nothing of whether the connector is in use.
    private func store(
        _ connector: Connector, replacing: Bool, keepsEnabled: Bool = false, caller: Caller, _ reason: String?
    ) async throws {
        let change = Change(actor: caller.description, reason: reason)
        let isKnown = try await connectors().contains { $0.id == connector.id }
        try refusing { () throws(StoreError) in
            if replacing, isKnown {
                try store.replace(connector, keepsEnabled: keepsEnabled, by: change)
            } else {
                try store.add(connector, by: change)
            }
        }
        log.add(
            .info, kind: isKnown ? "connector-replaced" : "connector-added", connector: connector.id,
            message: "\(caller) \(isKnown ? "replaced" : "added") connector \(connector.id) with "
                + "\(connector.tunnels.count) tunnel\(connector.tunnels.count == 1 ? "" : "s").")
        putInForce()
    }

    func removeConnector(id: String, caller: Caller) async throws {
        try refusing { () throws(StoreError) in try store.remove(id, by: Change(actor: caller.description)) }
        log.add(.info, kind: "connector-removed", connector: id, message: "\(caller) removed connector \(id).")
        putInForce()
    }

    func setEnabled(id: String, _ isEnabled: Bool, caller: Caller) async throws {
        let before = try find(id).isEnabled
        guard before != isEnabled else { return }
        try refusing { () throws(StoreError) in
            try store.setEnabled(id, isEnabled, by: Change(actor: caller.description))
        }
        let verb = isEnabled ? "enabled" : "disabled"
        log.add(.info, kind: "connector-\(verb)", connector: id, message: "\(caller) \(verb) connector \(id).")
        putInForce()
    }

    func rekey(_ subject: String, phase: RekeyPhase, caller: Caller) async throws -> [String] {
        let tunnels = try tunnels(of: subject)
        let status = await status().tunnels
        for tunnel in tunnels where status.first(where: { $0.tunnel == tunnel })?.ike == nil {
            throw APIError.conflict("Tunnel \(tunnel) is not up, so there is nothing to rekey.")
        }
        try refusing { () throws(StoreError) in
            try store.record("rekey", subject: subject, by: Change(actor: caller.description, reason: phase.rawValue))
        }
        let phases: SupervisorInput.Phase = switch phase {
        case .ike: .ike
        case .child: .child
        case .both: .both
        }
        for tunnel in tunnels { core.inbox.put(.supervise(.rekey(tunnel, phases))) }
        return tunnels
    }

    func restart(_ subject: String, caller: Caller) async throws -> [String] {
        let tunnels = try tunnels(of: subject)
        try refusing { () throws(StoreError) in
            try store.record("restart", subject: subject, by: Change(actor: caller.description))
        }
        for tunnel in tunnels { core.inbox.put(.supervise(.restart(tunnel))) }
        return tunnels
    }

    func doctor() async throws -> [Finding] { await examine() }

    func audit(limit: Int) async throws -> [AuditRecord] {
        try refusing { () throws(StoreError) in try store.audit(limit: limit) }.map {
            AuditRecord(
                number: $0.number, time: $0.time, actor: $0.actor, action: $0.action, subject: $0.subject,
                detail: $0.detail)
        }
    }

    func reload(caller: Caller) async throws { try await reread(caller) }

    func explain(_ subject: String) async throws -> [Explanation] {
        var explanations: [Explanation] = []
        for tunnel in try tunnels(of: subject) {
            guard let reasons = await core.ask({ core in core.explain(tunnel: tunnel) }) ?? nil,
                let first = reasons.first
            else { continue }
            explanations.append(Explanation(subject: tunnel, summary: first, reasons: Array(reasons.dropFirst())))
        }
        guard !explanations.isEmpty else {
            throw APIError.conflict("\(subject) is stored, but not in force yet: ask again in a moment.")
        }
        return explanations
    }

    // MARK: Parts

    /// Tells the core and the gatekeeper what the store now holds.
    func putInForce() {
        core.inbox.put(.readConnectors)
        gatekeeper.inbox.put(.reread)
    }

    private func find(_ id: String) throws -> Connector {
        let all = try refusing { () throws(StoreError) in try store.contents().connectors }
        guard let connector = all.first(where: { $0.id == id }) else { throw APIError(StoreError.unknown(id)) }
        return connector
    }

    /// The tunnels that a tunnel's name or a connector's ID stands for.
    private func tunnels(of subject: String) throws -> [String] {
        for connector in try refusing({ () throws(StoreError) in try store.contents().connectors }) {
            if connector.id == subject || connector.name == subject { return connector.tunnels.map(\.name) }
            if connector.tunnels.contains(where: { $0.name == subject }) { return [subject] }
        }
        throw APIError.notFound("There is no tunnel or connector '\(subject)'. `gatehouse status` shows those that exist.")
    }

    func refusing<Value>(_ body: () throws(StoreError) -> Value) throws(APIError) -> Value {
        do {
            return try body()
        } catch {
            throw APIError(error)
        }
    }
}

extension APIError {
    init(_ error: StoreError) {
        switch error {
        case .unknown, .providerUnknown, .directoryUnknown, .accessUnknown, .endpointSourceUnknown:
            self = .notFound(error.description)
        case .siteRefused: self = .invalid(error.description)
        case .exists, .tunnelNameTaken, .siteChanged, .policiesChanged, .providerExists, .providerTaken, .clientTaken,
            .directoryExists, .accessExists, .endpointSourceExists:
            self = .conflict(error.description)
        case .unusable, .newer, .sealBroken, .definitionBroken, .providerBroken, .policiesBroken, .directoryBroken,
            .endpointSourceBroken, .failed:
            self = .internal(error.description)
        }
    }
}
