import Base
import Cryptography
import Foundation
import GRDB
import Testing
import Tunnels

@testable import Store

struct TamperingTests {
    /// A store with connectors a, b and c, closed, and then changed by hand.
    private func tampered(_ sql: String, arguments: StatementArguments = []) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        for id in ["vpn-a", "vpn-b", "vpn-c"] { try store.add(sample(id), by: Change(actor: "test")) }
        try store.close()
        let raw = try DatabaseQueue(path: folder.database)
        try raw.write { try $0.execute(sql: sql, arguments: arguments) }
        try raw.close()
        return folder
    }

    @Test("A changed or cut blob is an error that names its connector, and the others still open", arguments: [
        "UPDATE secret SET sealed = CAST(substr(sealed, 1, 20) || x'00' || substr(sealed, 22) AS BLOB)",
        "UPDATE secret SET sealed = x''", "UPDATE secret SET sealed = x'01'", "UPDATE secret SET sealed = x'ff00'",
        "UPDATE secret SET sealed = substr(sealed, 1, length(sealed) - 1)",
        "UPDATE secret SET sealed = zeroblob(100000)",
    ])
    func blob(_ sql: String) throws {
        let store = try tampered(sql + " WHERE connector = 'vpn-b'").store()
        #expect(throws: StoreError.sealBroken(connector: "vpn-b")) { try store.connectors() }
        let contents = try store.contents()
        #expect(contents.connectors == [sample("vpn-a"), sample("vpn-c")])
        #expect(contents.broken == [.sealBroken(connector: "vpn-b")])
        #expect("\(contents.broken[0])".contains("vpn-b"))
        try store.close()
    }

    @Test("A lost secret or a broken definition names connector and place, and shows no innards", arguments: [
        ("DELETE FROM secret WHERE connector = 'vpn-b'", "tunnels.0.phase1.psk"),
        ("UPDATE connector SET definition = '{}' WHERE id = 'vpn-b'", "missing"),
        ("UPDATE connector SET definition = 'no JSON' WHERE id = 'vpn-b'", "vpn-b"),
        (
            "UPDATE connector SET definition = replace(definition, 'aes128', 'rot13') WHERE id = 'vpn-b'",
            "tunnels.0.phase1.encryption.0"
        ),
    ])
    func definition(_ sql: String, _ place: String) throws {
        let store = try tampered(sql).store()
        let contents = try store.contents()
        #expect(contents.connectors.map(\.id) == ["vpn-a", "vpn-c"])
        let text = try "\(#require(contents.broken.first))"
        #expect(text.contains("'vpn-b'") && text.contains(place) && !text.contains("codingPath"))
        // It can be replaced, which mends it, or removed.
        try store.replace(sample("vpn-b"), by: Change(actor: "test"))
        #expect(try store.connectors().map(\.id) == ["vpn-a", "vpn-b", "vpn-c"])
        try store.close()
    }

    @Test("A broken connector can be removed")
    func removal() throws {
        let store = try tampered("UPDATE secret SET sealed = x'01' WHERE connector = 'vpn-b'").store()
        try store.remove("vpn-b", by: Change(actor: "test"))
        #expect(try store.connectors().map(\.id) == ["vpn-a", "vpn-c"])
        try store.close()
    }

    @Test("The audit trail takes no update, no delete and no replacement", arguments: [
        "UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE number = 2",
        "INSERT OR REPLACE INTO audit (number, time, actor, action, subject) VALUES (1, 't', 'nobody', 'x', 'y')",
        "INSERT INTO audit (number, time, actor, action, subject) VALUES (2, 't', 'nobody', 'x', 'y')",
        "UPDATE OR REPLACE audit SET number = 1 WHERE number = 2",
    ])
    func auditTrail(_ sql: String) throws {
        #expect(throws: DatabaseError.self) { try tampered(sql) }
        let store = try tampered("SELECT 1").store()
        #expect(throws: StoreError.self) {
            try store.writing(Change(actor: "test")) { database in
                try database.execute(sql: sql)
                return nil
            }
        }
        #expect(try store.audit(limit: 10).map(\.actor) == ["test", "test", "test"])
        try store.close()
    }

    @Test("The audit trail tells what was stored, without its secrets")
    func auditDefinition() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a", psk: "swordfish"), by: Change(actor: "test"))
        try store.set("colour", to: "green", by: Change(actor: "test", reason: "it is nicer"))
        try store.set("colour", to: "green", by: Change(actor: "test"))
        try store.set("colour", to: nil, by: Change(actor: "test"))
        try store.set("colour", to: nil, by: Change(actor: "test"))
        let trail = try store.audit(limit: 10)
        #expect(trail.map(\.action) == ["setting-removed", "setting-changed", "connector-added"])
        #expect(trail[1].definition == "green" && trail[1].detail == "it is nicer" && trail[1].subject == "colour")
        let definition = try #require(trail[2].definition)
        #expect(definition.contains("203.0.113.1") && definition.contains("(hidden)"))
        #expect(trail[0].definition == nil)
        #expect(try store.setting("colour") == nil)
        try store.close()
    }

    @Test("No form of a key is in any file, also after replacing and removing")
    func scan() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        let psk = "unmistakable.secret_0123456789ab"
        try store.add(sample("vpn-a", psk: psk), by: Change(actor: "test"))
        try store.replace(sample("vpn-a", psk: psk + ".2"), by: Change(actor: "test"))
        try store.add(sample("vpn-b", psk: psk), by: Change(actor: "test"))
        try store.remove("vpn-b", by: Change(actor: "test"))
        let raw = Data(psk.utf8.prefix(24))
        let forms = [
            raw, Data(raw.hexadecimal.utf8), Data(raw.hexadecimal.uppercased().utf8),
            Data(raw.base64EncodedString().utf8), Data(psk.utf8.prefix(24).reversed()),
            Data(psk.prefix(24).utf16.flatMap { [UInt8(truncatingIfNeeded: $0), 0] }),
        ]
        func check() throws {
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(names.contains("gatehouse.sqlite"))
            for name in names {
                let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + name))
                for form in forms { #expect(bytes.range(of: form) == nil, "\(name)") }
            }
        }
        #expect(FileManager.default.fileExists(atPath: folder.database + "-wal"))
        try check()
        try store.close()
        try check()
    }

    @Test("Replacing keeps when the connector was added")
    func createdAt() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        try store.close()
        let later = try Store(
            path: folder.database, key: SealingKey(Secret([UInt8](repeating: 1, count: 32))),
            random: { SharedRandom().bytes($0) },
            wall: { withExtendedLifetime(folder) { WallTime(nanoseconds: 1_000_000_000) } })
        try later.replace(sample("vpn-a", psk: "another"), by: Change(actor: "test"))
        let times = try later.reading { database in
            try Row.fetchOne(database, sql: "SELECT createdAt, updatedAt FROM connector")
        }
        #expect(times?["createdAt"] == "1970-01-01T00:00:00.000Z")
        #expect(times?["updatedAt"] == "1970-01-01T00:00:01.000Z")
        try later.close()
    }
}

struct MachineKeyPlaceTests {
    @Test("A folder that others may write to is no place for the key", arguments: [0o777, 0o770, 0o702])
    func folder(mode: Int) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder.path)
        let error = #expect(throws: StoreError.self) {
            try MachineKey.load(path: folder.path + "/machine.key") { SharedRandom().bytes($0) }
        }
        #expect(error?.description.contains("chmod 700") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test("No key is made of too little randomness, through a symbolic link, or where there is no folder")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/machine.key"
        #expect(throws: StoreError.self) { try MachineKey.load(path: path) { SharedRandom().bytes($0 - 1) } }
        #expect(throws: StoreError.self) {
            try MachineKey.load(path: folder.path + "/none/machine.key") { SharedRandom().bytes($0) }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder.path + "/elsewhere")
        #expect(throws: StoreError.self) { try MachineKey.load(path: path) { SharedRandom().bytes($0) } }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["machine.key"])
    }
}
