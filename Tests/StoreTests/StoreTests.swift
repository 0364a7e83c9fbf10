import Base
import Cryptography
import Foundation
import GRDB
import IKE
import Testing
import Tunnels

@testable import Store

@Suite struct StoreTests {
    @Test func givesBackWhatWasAdded() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        let connector = sample("vpn-a")
        try store.add(connector, by: Change(actor: "root (uid 0)", reason: "test"))
        #expect(try store.connectors() == [connector])
        try store.close()
        let again = try folder.store()
        #expect(try again.connectors() == [connector], "also after a restart, secrets and all")
        try again.close()
    }

    @Test func secretsNeverReachTheFileInClear() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a", psk: "unmistakable.secret_0123456789ab"), by: Change(actor: "test"))
        try store.setEnabled("vpn-a", false, by: Change(actor: "test"))
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + name))
            #expect(bytes.range(of: Data("unmistakable".utf8)) == nil, "\(name)")
            let hexadecimal = Data("unmistakable".utf8).map { String($0, radix: 16) }.joined()
            #expect(bytes.range(of: Data(hexadecimal.utf8)) == nil, "\(name)")
        }
        try store.close()
    }

    @Test func filesAreForTheirOwnerOnly() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)
            #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
        }
        try store.close()
    }

    @Test func anIDIsTakenOnce() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        #expect(throws: StoreError.exists("vpn-a")) { try store.add(sample("vpn-a"), by: Change(actor: "test")) }
        #expect(try store.audit(limit: 10).count == 1, "what was refused leaves no entry")
    }

    @Test func aTunnelNameBelongsToOneConnector() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("vpn-a", tunnel: "shared"), by: Change(actor: "test"))
        #expect(throws: StoreError.tunnelNameTaken("shared", connector: "vpn-a")) {
            try store.add(sample("vpn-b", tunnel: "shared"), by: Change(actor: "test"))
        }
        #expect(try store.connectors().map(\.id) == ["vpn-a"], "all or nothing")
    }

    @Test func replacingKeepsThePlaceInTheOrder() throws {
        let store = try TemporaryFolder().store()
        for id in ["vpn-a", "vpn-b", "vpn-c"] { try store.add(sample(id), by: Change(actor: "test")) }
        let fresh = sample("vpn-b", psk: "another.key")
        try store.replace(fresh, by: Change(actor: "test"))
        #expect(try store.connectors().map(\.id) == ["vpn-a", "vpn-b", "vpn-c"])
        #expect(try store.connectors()[1] == fresh)
        #expect(throws: StoreError.unknown("vpn-x")) { try store.replace(sample("vpn-x"), by: Change(actor: "test")) }
    }

    @Test func removingAndDisablingNameWhatIsUnknown() throws {
        let store = try TemporaryFolder().store()
        #expect(throws: StoreError.unknown("vpn-x")) { try store.remove("vpn-x", by: Change(actor: "test")) }
        #expect(throws: StoreError.unknown("vpn-x")) {
            try store.setEnabled("vpn-x", true, by: Change(actor: "test"))
        }
        #expect(try store.audit(limit: 10).isEmpty)
    }

    @Test func everyChangeIsInTheAuditTrail() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("vpn-a"), by: Change(actor: "anna (uid 1000)", reason: "imported"))
        try store.setEnabled("vpn-a", false, by: Change(actor: "root (uid 0)"))
        try store.setEnabled("vpn-a", false, by: Change(actor: "root (uid 0)"))
        try store.remove("vpn-a", by: Change(actor: "root (uid 0)"))
        let trail = try store.audit(limit: 10)
        #expect(trail.map(\.action) == ["connector-removed", "connector-disabled", "connector-added"])
        #expect(trail.last?.actor == "anna (uid 1000)" && trail.last?.detail == "imported")
        #expect(try store.audit(limit: 1, before: trail[0].number).map(\.action) == ["connector-disabled"])
    }

    @Test func theAuditTrailCannotBeRewritten() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.record("secrets-shown", subject: "vpn-a", by: Change(actor: "root (uid 0)"))
        try store.close()
        let raw = try DatabaseQueue(path: folder.database)
        #expect(throws: DatabaseError.self) { try raw.write { try $0.execute(sql: "DELETE FROM audit") } }
        #expect(throws: DatabaseError.self) { try raw.write { try $0.execute(sql: "UPDATE audit SET actor = 'x'") } }
    }

    @Test func anotherMachineKeyOpensNothingAndLosesNothing() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        try store.close()
        let stranger = try folder.store(key: 9)
        #expect(throws: StoreError.sealBroken(connector: "vpn-a")) { try stranger.connectors() }
        try stranger.close()
        let owner = try folder.store()
        #expect(try owner.connectors() == [sample("vpn-a")])
        try owner.close()
    }

    @Test func aSecretMovedToAnotherConnectorDoesNotOpen() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a", psk: "first.key"), by: Change(actor: "test"))
        try store.add(sample("vpn-b", psk: "second.key"), by: Change(actor: "test"))
        try store.close()
        let raw = try DatabaseQueue(path: folder.database)
        try raw.write {
            try $0.execute(
                sql: """
                    UPDATE secret SET sealed = (SELECT sealed FROM secret WHERE connector = 'vpn-a')
                    WHERE connector = 'vpn-b'
                    """)
        }
        try raw.close()
        let again = try folder.store()
        #expect(throws: StoreError.sealBroken(connector: "vpn-b")) { try again.connectors() }
        try again.close()
    }

    @Test func aDatabaseOfANewerReleaseIsRefusedUntouched() throws {
        let folder = try TemporaryFolder()
        try folder.store().close()
        let raw = try DatabaseQueue(path: folder.database)
        try raw.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99 from the future')") }
        try raw.close()
        #expect(throws: StoreError.newer(path: folder.database)) { try folder.store() }
    }

    @Test func aFileThatIsNoDatabaseIsRefusedUntouched() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "this is no database\n", count: 100)
        try text.write(toFile: folder.database, atomically: true, encoding: .utf8)
        #expect(throws: StoreError.self) { try folder.store() }
        #expect(try String(contentsOfFile: folder.database, encoding: .utf8) == text)
    }
}

@Suite struct MachineKeyTests {
    @Test func isMadeOnceAndReadAgain() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/machine.key"
        let key = try MachineKey.load(path: path) { Array(repeating: 5, count: $0) }
        let nonce = [UInt8](repeating: 0, count: SealingKey.nonceLength)
        let sealed = try key.seal(Secret([1, 2, 3]), context: "c", nonce: nonce)
        let again = try MachineKey.load(path: path) { _ in
            Issue.record("asked for randomness although the key exists")
            return []
        }
        #expect(try again.open(sealed, context: "c") == Secret([1, 2, 3]))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["machine.key"])
    }

    @Test(arguments: [0, 31, 33, 1000]) func aKeyOfTheWrongSizeIsRefused(size: Int) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/machine.key"
        #expect(FileManager.default.createFile(
            atPath: path, contents: Data(count: size), attributes: [.posixPermissions: 0o600]))
        #expect(throws: StoreError.self) { try MachineKey.load(path: path) { Array(repeating: 5, count: $0) } }
    }

    @Test func aKeyThatOthersMayReadIsRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/machine.key"
        #expect(FileManager.default.createFile(
            atPath: path, contents: Data(count: 32), attributes: [.posixPermissions: 0o640]))
        let error = #expect(throws: StoreError.self) {
            try MachineKey.load(path: path) { Array(repeating: 5, count: $0) }
        }
        #expect(error?.description.contains("chmod 600") == true)
    }
}

/// A folder of this test's own, removed with the value and the stores in it.
final class TemporaryFolder: Sendable {
    let path: String
    var database: String { path + "/gatehouse.sqlite" }

    init() throws {
        path = NSTemporaryDirectory() + "/gatehouse-store-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func store(key: UInt8 = 1) throws -> Store {
        let sealingKey = try SealingKey(Secret(Array(repeating: key, count: MachineKey.length)))
        let seed = SharedRandom()
        return try Store(
            path: database, key: sealingKey, random: { seed.bytes($0) },
            // The store keeps the folder alive through this closure.
            wall: { withExtendedLifetime(self) { WallTime(nanoseconds: 0) } })
    }
}

/// Random enough that no nonce comes twice.
final class SharedRandom: Sendable {
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255) } }
}

func sample(_ id: String, tunnel: String? = nil, psk: String = "a.pre_shared.key") -> Connector {
    let remote = IPAddress("203.0.113.1")
    return Connector(
        id: id, name: id, source: .init(format: "manual"), localNetworks: [.all(.ipv4)], remoteNetworks: [.all(.ipv4)],
        tunnels: [
            Tunnel(
                name: tunnel ?? id + "-1",
                phase1: Phase1(
                    localAddress: nil, remoteAddress: remote, authentication: .psk(Secret(Array(psk.utf8))), encryption: [.aes128],
                    integrity: [.sha256], dhGroups: [.modp2048], lifetimeSeconds: 28_800,
                    dpd: .init(delaySeconds: 10, timeoutSeconds: 30, action: .restart)),
                phase2: Phase2(
                    encryption: [.aes128], integrity: [.sha256], pfsGroups: [.modp2048], lifetimeSeconds: 3600,
                    localSelectors: [.all(.ipv4)], remoteSelectors: [.all(.ipv4)]),
                inside: nil, bgp: nil)
        ])
}
