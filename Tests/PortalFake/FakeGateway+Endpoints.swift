import Cryptography
public import Portal
public import Vendors

extension FakeGateway {
    public func endpointSources() async throws -> [EndpointSourceStatus] {
        try note("endpoint sources")
        return []
    }

    public func saveEndpointSource(
        _ connection: EndpointConnection, replacing: Bool, caller: Caller
    ) async throws -> EndpointSourceStatus {
        let key = connection.key.map { String(decoding: $0.exposedBytes, as: UTF8.self) } ?? "none"
        try note("\(replacing ? "replace" : "add") endpoint source \(connection.id) with the key \(key)", caller)
        var connection = connection
        connection.key = nil
        return EndpointSourceStatus(
            connection: connection, title: connection.kind, state: .starting, keyEndsAt: connection.keyEndsAt)
    }

    public func removeEndpointSource(id: String, caller: Caller) async throws {
        try note("remove endpoint source \(id)", caller)
    }

    public func testEndpointSource(id: String, showsRecords: Bool) async throws -> EndpointSourceTest {
        try note("test endpoint source \(id)\(showsRecords ? " with records" : "")")
        return EndpointSourceTest(findings: [])
    }

    public func syncEndpointSource(
        id: String, acceptsLoss: Bool, caller: Caller
    ) async throws -> EndpointSourceStatus {
        try note("sync endpoint source \(id)\(acceptsLoss ? " accepting losses" : "")", caller)
        return EndpointSourceStatus(
            connection: EndpointConnection(id: id, kind: "sentinelone"), title: "SentinelOne", state: .ok)
    }

    public func endpoints(source: String?, search: String?, limit: Int) async throws -> EndpointListing {
        try note("endpoints \(source ?? "all") \(search ?? "any") \(limit)")
        return EndpointListing(total: 0, endpoints: [])
    }
}
