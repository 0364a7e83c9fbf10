import Base
import Cryptography
import FoundationEssentials
import JSONText
import Tunnels

/// What both sockets answer.
func readingEndpoints(api: any GatewayAPI, wall: @escaping @Sendable () -> WallTime) -> [Endpoint] {
    [
        Endpoint(.get, "/v1/status", "the gateway and its tunnels") { _ in try .encoded(await api.status()) },
        Endpoint(.get, "/v1/tunnels", "the tunnels, an array") { _ in try .encoded(await api.status().tunnels) },
        Endpoint(.get, "/v1/tunnels/{name}", "one tunnel") { call in
            let name = call.argument("name")
            guard let tunnel = await api.status().tunnels.first(where: { $0.tunnel == name }) else {
                throw APIError.notFound("there is no tunnel '\(name)'; 'gatehouse status' lists them")
            }
            return try .encoded(tunnel)
        },
        Endpoint(
            .get, "/v1/events", "server-sent events: kept ones numbered above 'after', then new ones",
            parameters: ["after"]
        ) { call in
            var after: UInt64? = try call.query.number("after", in: 0...UInt64.max)
            if let text = call.lastEventID {
                guard let number = UInt64(text) else {
                    throw APIError.badRequest("the Last-Event-ID '\(text)' is no event number")
                }
                after = number
            }
            // Numbers start again with the daemon: a reader from before the restart gets everything there is.
            if let asked = after, asked > (await api.recentEvents(limit: 1).last?.number ?? 0) { after = 0 }
            return .events(await api.events(after: after))
        },
        Endpoint(
            .get, "/v1/events/recent", "the newest events, an array, oldest first", parameters: ["limit"]
        ) { call in
            try .encoded(await api.recentEvents(limit: call.query.number("limit", in: 1...100_000) ?? 100))
        },
        Endpoint(.get, "/metrics", "counters and states for Prometheus") { _ in
            let status = await api.status()
            let metrics = Metrics(
                status: status, counters: await api.counters(), health: Health(status, problems: await api.problems()),
                now: wall())
            return .text(metrics.text, contentType: Metrics.contentType)
        },
        Endpoint(.get, "/health", "200 when every enabled connector has a tunnel online, else 503") { _ in
            let health = Health(await api.status(), problems: await api.problems())
            return try .encoded(health, status: health.isHealthy ? 200 : 503)
        },
    ] + accessReadingEndpoints(api: api)
}

/// What the control socket answers beyond that.
func controlEndpoints(api: any GatewayAPI) -> [Endpoint] {
    connectorEndpoints(api: api) + tunnelEndpoints(api: api) + identityEndpoints(api: api) + directoryEndpoints(api: api)
        + policyEndpoints(api: api) + endpointProtectionEndpoints(api: api)
        + accessControlEndpoints(api: api) + [
        Endpoint(
            .post, "/v1/import/aws-vpn", "stores the connector of the AWS VPN file in the body",
            parameters: [
                "name", "local-network", "remote-network", "local-address", "connection", "dry-run", "replace",
            ]
        ) { call in
            let query = call.query
            let request = ImportRequest(
                name: try query.one("name"), localNetworks: query.all("local-network"),
                remoteNetworks: query.all("remote-network"), localAddress: try query.one("local-address"),
                connection: try query.one("connection"), isDryRun: try query.flag("dry-run"),
                isReplacing: try query.flag("replace"))
            guard !call.body.isEmpty else {
                throw APIError.badRequest("the body must be the AWS file, and it is empty")
            }
            let result = try await api.importAWS(file: call.body, request: request, caller: call.caller)
            return try .encoded(result, status: result.isStored ? 201 : 200)
        },
        Endpoint(
            .get, "/v1/site", "all connectors and settings, and their version; its secrets with ?show-secrets=1",
            parameters: ["show-secrets"]
        ) { call in
            let isRevealing = try call.query.flag("show-secrets")
            let snapshot = try await api.site(isRevealing: isRevealing, caller: call.caller)
            return .json(try JSON(encoding: snapshot, revealsSecrets: isRevealing))
        },
        Endpoint(
            .post, "/v1/site", "puts the site in the body in force, all or nothing; an empty psk keeps the stored one",
            parameters: ["dry-run", "keep-others", "against"]
        ) { call in
            let query = call.query
            let result = try await api.applySite(
                decoded(SiteOrder.self, from: call.body), keepsOthers: query.flag("keep-others"),
                against: query.one("against"), isDryRun: query.flag("dry-run"), caller: call.caller)
            return try .encoded(result)
        },
        Endpoint(.get, "/v1/doctor", "checks of this host, an array") { _ in try .encoded(try await api.doctor()) },
        Endpoint(.get, "/v1/audit", "the newest changes, an array, newest first", parameters: ["limit"]) { call in
            try .encoded(try await api.audit(limit: call.query.number("limit", in: 1...100_000) ?? 100))
        },
        Endpoint(.post, "/v1/reload", "reads the stored connectors and settings again") { call in
            try await api.reload(caller: call.caller)
            return .done
        },
    ]
}

private func connectorEndpoints(api: any GatewayAPI) -> [Endpoint] {
    [
        Endpoint(.get, "/v1/connectors", "the connectors, an array; secrets are hidden") { _ in
            try .encoded(try await api.connectors())
        },
        Endpoint(
            .post, "/v1/connectors",
            "stores the connector in the body, its psk in hexadecimal, empty to keep the stored one; with ?dry-run=1 "
                + "says what that would change",
            parameters: ["replace", "dry-run"]
        ) { call in
            let connector = try decoded(Connector.self, from: call.body)
            if try call.query.flag("dry-run") { return try .encoded(try await api.previewConnector(connector)) }
            try await api.addConnector(connector, replacing: call.query.flag("replace"), caller: call.caller)
            return try .encoded(connector, status: 201)
        },
        Endpoint(
            .get, "/v1/connectors/{id}", "one connector; its secrets with ?show-secrets=1, which the audit trail notes",
            parameters: ["show-secrets"]
        ) { call in
            let id = call.argument("id")
            if try call.query.flag("show-secrets") {
                let connector = try await api.revealedConnector(id: id, caller: call.caller)
                return .json(try JSON(encoding: connector, revealsSecrets: true))
            }
            guard let connector = try await api.connectors().first(where: { $0.id == id }) else {
                throw APIError.notFound("there is no connector '\(id)'; 'gatehouse connector list' lists them")
            }
            return try .encoded(connector)
        },
        Endpoint(.patch, "/v1/connectors/{id}", #"{"isEnabled":true|false} enables or disables it"#) { call in
            let change = try decoded(ConnectorChange.self, from: call.body)
            try await api.setEnabled(id: call.argument("id"), change.isEnabled, caller: call.caller)
            return .done
        },
        Endpoint(.delete, "/v1/connectors/{id}", "removes it and takes its tunnels down") { call in
            try await api.removeConnector(id: call.argument("id"), caller: call.caller)
            return .done
        },
        Endpoint(
            .post, "/v1/connectors/{id}/rekey", "rekeys all its tunnels: phase is ike, child or both",
            parameters: ["phase"]
        ) { call in
            try .tunnels(await api.rekey(call.argument("id"), phase: phase(call), caller: call.caller))
        },
        Endpoint(.post, "/v1/connectors/{id}/restart", "brings all its tunnels up anew") { call in
            try .tunnels(await api.restart(call.argument("id"), caller: call.caller))
        },
        Endpoint(.get, "/v1/connectors/{id}/explain", "why each of its tunnels is as it is") { call in
            try .encoded(try await api.explain(call.argument("id")))
        },
    ]
}

private func tunnelEndpoints(api: any GatewayAPI) -> [Endpoint] {
    [
        Endpoint(
            .post, "/v1/tunnels/{name}/rekey", "rekeys one tunnel: phase is ike, child or both", parameters: ["phase"]
        ) { call in
            try .tunnels(await api.rekey(call.argument("name"), phase: phase(call), caller: call.caller))
        },
        Endpoint(.post, "/v1/tunnels/{name}/restart", "brings one tunnel up anew") { call in
            try .tunnels(await api.restart(call.argument("name"), caller: call.caller))
        },
        Endpoint(.get, "/v1/tunnels/{name}/explain", "why a tunnel is as it is") { call in
            let name = call.argument("name")
            guard let tunnel = try await api.explain(name).first(where: { $0.subject == name }) else {
                throw APIError.notFound("there is no tunnel '\(name)'; 'gatehouse status' shows those that exist")
            }
            return try .encoded(tunnel)
        },
    ]
}

/// The body of `PATCH /v1/connectors/{id}`.
private struct ConnectorChange: Codable {
    var isEnabled: Bool
}

private func phase(_ call: Call) throws(APIError) -> RekeyPhase {
    guard let text = try call.query.one("phase") else { return .both }
    guard let phase = RekeyPhase(rawValue: text) else {
        let all = RekeyPhase.allCases.map(\.rawValue).joined(separator: ", ")
        throw .badRequest("?phase=\(text) must be one of \(all)")
    }
    return phase
}

extension Answer {
    /// A change that has nothing to tell.
    static var done: Answer { .json(.object([JSON.Member("done", .bool(true))])) }

    fileprivate static func tunnels(_ names: [String]) -> Answer {
        .json(.object([JSON.Member("tunnels", .array(names.map(JSON.string)))]))
    }
}

/// Reads a JSON body; the error names the member that is wrong, never its value.
func decoded<Value: Decodable>(_: Value.Type, from body: [UInt8]) throws(APIError) -> Value {
    func place(_ path: [any CodingKey]) -> String {
        let text = path.reduce(into: "") { text, key in
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += (text.isEmpty ? "" : ".") + key.stringValue
            }
        }
        return text.isEmpty ? "the body" : text
    }
    do {
        return try JSONDecoder().decode(Value.self, from: Data(body))
    } catch DecodingError.keyNotFound(let key, let context) {
        throw .invalid("\(place(context.codingPath + [key])) is missing")
    } catch DecodingError.typeMismatch(let type, let context) {
        throw .invalid("\(place(context.codingPath)) must be \(words(for: type))")
    } catch DecodingError.valueNotFound(_, let context) {
        throw .invalid("\(place(context.codingPath)) must not be null")
    } catch DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty {
        throw .invalid("\(place(context.codingPath)) has a value that cannot be used")
    } catch {
        throw .badRequest("the body is not JSON")
    }
}

private func words(for type: Any.Type) -> String {
    switch type {
    case is String.Type: "a text"
    case is Bool.Type: "true or false"
    case is any FixedWidthInteger.Type: "a whole number"
    case is [Any].Type: "an array"
    default: "an object"
    }
}
