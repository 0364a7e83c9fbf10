import Access
import Base
import Cryptography
import Foundation
import Testing
import Vendors

@testable import Store

@Suite struct EndpointSourceStoreTests {
    private let change = Change(actor: "test")
    private let now = WallTime(nanoseconds: 1_768_471_200_123_456_789)

    private func connection(_ id: String = "s1") -> EndpointConnection {
        var connection = EndpointConnection(id: id, kind: "sentinelone")
        connection.url = "https://acme.sentinelone.net"
        connection.key = Secret(Array("unmistakable-secret".utf8))
        connection.keyEndsAt = WallTime(rfc3339: "2026-12-29T00:00:00Z")
        return connection
    }

    private func record(_ id: String) throws -> EndpointRecord {
        var record = EndpointRecord(
            key: EndpointKey(source: "s1", id: id), vendor: "sentinelone", hostName: "laptop \"of Ada\"",
            macs: [try #require(MACAddress("02:00:00:00:00:0a"))],
            addresses: [try #require(IPAddress("10.1.0.10")), try #require(IPAddress("2001:db8::1"))], seenAt: now,
            lastUser: "CORP\\ada", fetchedAt: now)
        for (attribute, outcome) in [
            (PostureAttribute.infected, PostureOutcome.value(.flag(true), observedAt: now)),
            (.diskEncrypted, .value(.flag(false), observedAt: now)), (.avSignatureOutdated, .notSupported),
            (.risk, .value(.risk(.number(81)), observedAt: now)), (.agentInstalled, .unknown(.stale)),
            (.os, .value(.operatingSystem(.init(family: .windowsServer, name: "Windows Server 2022")), observedAt: now)),
        ] { record.facts[attribute] = PostureFact(outcome, raw: "\"raw\"", note: "inferred") }
        record.facts[.malwareDetected] = PostureFact(.value(.flag(false), observedAt: now), restsOnAbsence: true)
        record.facts[.avAgentOutdated] = PostureFact(.value(.risk(.level(.none)), observedAt: now))
        return record
    }

    @Test func recordsComeBackAsTheyWere() throws {
        let store = try TemporaryFolder().store()
        try store.save(connection(), replacing: false, by: change)
        let records = try [record("1"), record("2")]
        try store.keep(records, removed: [], answered: ["agents": now], of: "s1")
        let kept = try store.endpoints(of: "s1")
        #expect(kept.records.sorted { $0.id < $1.id } == records && kept.answered == ["agents": now])
        var changed = records[0]
        changed.facts[.infected] = PostureFact(.value(.flag(false), observedAt: now))
        try store.keep([changed], removed: [records[1].key], answered: ["agents": now + .seconds(60)], of: "s1")
        #expect(try store.endpoints(of: "s1").records == [changed])
        #expect(try store.endpoints(of: "s1").answered == ["agents": now + .seconds(60)])
        // Another console has other endpoints.
        try store.save(connection(), replacing: true, forgets: true, by: change)
        #expect(try store.endpoints(of: "s1").records.isEmpty && store.endpoints(of: "s1").answered.isEmpty)
        // What comes late, from a connection that is gone.
        try store.removeEndpointSource("s1", by: change)
        try store.keep(records, removed: [], answered: ["agents": now], of: "s1")
        #expect(try store.endpoints(of: "s1").records.isEmpty)
    }

    @Test func connectionsAreAddedChangedAndRemoved() throws {
        let store = try TemporaryFolder().store()
        try store.save(connection(), replacing: false, by: change)
        #expect(try store.endpointSources().sources == [connection()])
        #expect(throws: StoreError.endpointSourceExists("s1")) {
            try store.save(connection(), replacing: false, by: change)
        }
        #expect(throws: StoreError.endpointSourceUnknown("s2")) {
            try store.save(connection("s2"), replacing: true, by: change)
        }
        #expect(throws: StoreError.endpointSourceUnknown("s2")) { try store.removeEndpointSource("s2", by: change) }
        var changed = connection()
        changed.key = Secret(Array("another".utf8))
        try store.save(changed, replacing: true, by: change)
        #expect(try store.endpointSources().sources == [changed])
        try store.removeEndpointSource("s1", by: change)
        #expect(try store.endpointSources().sources.isEmpty)
        #expect(
            try store.audit(limit: 10).map(\.action) == [
                "endpoint-protection-removed", "endpoint-protection-changed", "endpoint-protection-added",
            ])
    }

    @Test func theKeyIsSealed() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.save(connection(), replacing: false, by: change)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + name)))
            for secret in ["unmistakable-secret", Array("unmistakable-secret".utf8).hexadecimal] {
                #expect(bytes.firstRange(of: Array(secret.utf8)) == nil, "\(name)")
            }
        }
        #expect(try !store.audit(limit: 10).contains { $0.definition?.contains("unmistakable") == true })
    }
}
