import Access
import Base
import Portal
import Store
import Tunnels
import Vendors

extension GatewayControl {
    func endpointSources() async throws -> [EndpointSourceStatus] {
        let stored = try refusing { () throws(StoreError) in try store.endpointSources() }
        var all: [EndpointSourceStatus] = []
        for connection in stored.sources { all.append(await status(of: connection)) }
        return all
    }

    private func status(of connection: EndpointConnection) async -> EndpointSourceStatus {
        if let source = await endpoints.source(connection.id) { return await source.status }
        var shown = connection
        shown.key = nil
        shown.profileText = nil
        guard connection.isEnabled else {
            return EndpointSourceStatus(
                connection: shown, title: (try? connection.profile())?.title ?? connection.kind, state: .disabled)
        }
        var status = EndpointSourceStatus(connection: shown, title: connection.kind, state: .needsAttention)
        do {
            _ = try connection.profile()
            status.state = .starting
        } catch {
            status.lastError = "Its profile cannot be read: \(error)."
        }
        return status
    }

    func saveEndpointSource(
        _ connection: EndpointConnection, replacing: Bool, caller: Caller
    ) async throws -> EndpointSourceStatus {
        var complete = connection
        let stored = try refusing { () throws(StoreError) in try store.endpointSources().sources }
            .first { $0.id == connection.id }
        // Before the one that runs is stopped for it.
        guard replacing == (stored != nil) else {
            throw APIError(replacing ? .endpointSourceUnknown(connection.id) : .endpointSourceExists(connection.id))
        }
        if complete.key == nil { complete.key = stored?.key }
        if complete.kind == EndpointConnection.custom, complete.profileText == nil {
            complete.profileText = stored?.profileText
        }
        let profile: EndpointProfile
        do {
            profile = try complete.profile()
        } catch {
            throw APIError.invalid("The profile cannot be used: \(error).")
        }
        let faults = complete.faults(profile)
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        // Another place or another customer has other endpoints.
        let forgets =
            stored.map {
                $0.url != complete.url || $0.kind != complete.kind || $0.values != complete.values
                    || $0.profileText != complete.profileText
            } ?? false
        let change = Change(actor: caller.description)
        // Stored when the old one stands still: what it learns up to then is forgotten with the rest.
        try await endpoints.put(complete) { [complete] in
            try refusing { () throws(StoreError) in
                try store.save(complete, replacing: replacing, forgets: forgets, by: change)
            }
        }
        log.add(
            .info, kind: replacing ? "endpoint-protection-changed" : "endpoint-protection-added",
            message: "\(caller) \(replacing ? "changed" : "added") the connection to endpoint protection '\(complete.id)'.")
        return await status(of: complete)
    }

    func removeEndpointSource(id: String, caller: Caller) async throws {
        try await endpoints.remove(id) {
            try refusing { () throws(StoreError) in
                try store.removeEndpointSource(id, by: Change(actor: caller.description))
            }
        }
        log.add(
            .info, kind: "endpoint-protection-removed",
            message: "\(caller) removed the connection to endpoint protection '\(id)'.")
    }

    func testEndpointSource(id: String, showsRecords: Bool) async throws -> EndpointSourceTest {
        try await running(id).test(showsRecords: showsRecords)
    }

    func syncEndpointSource(id: String, acceptsLoss: Bool, caller: Caller) async throws -> EndpointSourceStatus {
        let source = try await running(id)
        if acceptsLoss {
            try refusing { () throws(StoreError) in
                try store.record("endpoint-loss-accepted", subject: id, by: Change(actor: caller.description))
            }
        }
        await source.sync(acceptsLoss: acceptsLoss)
        return await source.status
    }

    func endpoints(source: String?, search: String?, limit: Int) async throws -> EndpointListing {
        let connections = try refusing { () throws(StoreError) in try store.endpointSources().sources }
        if let source, !connections.contains(where: { $0.id == source }) {
            throw APIError(StoreError.endpointSourceUnknown(source))
        }
        var found: [(EndpointRecord, PostureSource)] = []
        for connection in connections where source == nil || connection.id == source {
            guard let running = await endpoints.source(connection.id) else { continue }
            let (records, posture) = await (running.records(matching: search), running.posture)
            found += records.map { ($0, posture) }
        }
        found.sort { a, b in
            let (x, y) = (a.0.hostName?.lowercased() ?? a.0.id, b.0.hostName?.lowercased() ?? b.0.id)
            return x == y ? a.0.id < b.0.id : x < y
        }
        let now = store.wall()
        return EndpointListing(
            total: found.count, endpoints: found.prefix(limit).map { EndpointStatus($0.0, of: $0.1, now: now) })
    }

    private func running(_ id: String) async throws -> EndpointSource {
        if let source = await endpoints.source(id) { return source }
        let stored = try refusing { () throws(StoreError) in try store.endpointSources().sources }
        guard stored.contains(where: { $0.id == id }) else { throw APIError(StoreError.endpointSourceUnknown(id)) }
        throw APIError.conflict("'\(id)' is disabled, or its profile cannot be read: 'gatehouse epp show \(id)' says more.")
    }
}

extension EndpointSource {
    /// Records with a text in one of the things that people know an endpoint by.
    func records(matching search: String?) -> [EndpointRecord] {
        guard let search = search?.lowercased(), !search.isEmpty else { return mirror.records }
        return mirror.records.filter { record in
            [record.hostName, record.id, record.lastUser].contains { $0?.lowercased().contains(search) == true }
                || record.macs.contains { $0.description == search }
                || record.addresses.contains { $0.description == search }
        }
    }
}

extension EndpointKeeper {
    /// One line each for `gatehouse status`; nil where there is no connection.
    func services(now: WallTime) async -> [ServiceStatus]? {
        var services: [ServiceStatus] = []
        for status in await statuses() {
            let age = status.completedAt.map { "as of \(max(0, (now.nanoseconds - $0.nanoseconds) / 1_000_000_000)) s ago" }
            let isWell = status.state == .ok && status.warnings.isEmpty
            let state = status.state == .ok ? [] : [status.lastError ?? status.state.rawValue]
            services.append(
                ServiceStatus(
                    kind: "endpoint protection", name: status.connection.id, isWell: isWell,
                    detail: (["\(status.endpoints) endpoints, \(age ?? "never complete yet")"] + state + status.warnings)
                        .joined(separator: "; ")))
        }
        return services.isEmpty ? nil : services
    }

    /// What the doctor says of the connections.
    func findings() async -> [Finding] {
        var findings: [Finding] = []
        for complaint in broken {
            findings.append(
                Finding(id: "endpoint-protection", title: "Endpoint protection", state: .failed, detail: complaint))
        }
        for status in await statuses() {
            let name = status.connection.id
            let state: Finding.State =
                switch status.state {
                case .ok: status.warnings.isEmpty ? .ok : .warning
                case .starting, .failing, .disabled: .warning
                case .needsAttention: .failed
                }
            let words = ([status.lastError ?? "\(status.endpoints) endpoints"] + status.warnings).joined(separator: " ")
            findings.append(
                Finding(
                    id: "endpoint-protection-\(name)", title: "Endpoint protection '\(name)'", state: state,
                    detail: words.hasSuffix(".") ? String(words.dropLast()) : words,
                    remedy: state == .ok ? nil : "gatehouse epp test \(name)"))
        }
        return findings
    }

    private func statuses() async -> [EndpointSourceStatus] {
        var all: [EndpointSourceStatus] = []
        for source in running { all.append(await source.status) }
        return all
    }
}
