import Base
import Cryptography
import Foundation
import GRDB
import Synchronization
import Testing
import Tunnels

@testable import Store

/// What a crash or a power cut leaves is what the files hold at that moment: a copy of them stands for it here.
struct DurabilityTests {
    @Test("A change that has returned survives a kill")
    func committed() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        let after = try folder.copy()
        try store.close()
        let survivor = try after.store()
        #expect(try survivor.connectors() == [sample("vpn-a")])
        #expect(try survivor.audit(limit: 10).map(\.action) == ["connector-added"])
        try survivor.close()
    }

    @Test("A change that is killed before its end leaves nothing, and nothing of what came before is lost")
    func uncommitted() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        var copies: [TemporaryFolder] = []
        try store.writing(Change(actor: "test")) { database in
            try database.execute(sql: "UPDATE connector SET definition = '{}'")
            // Enough to spill out of SQLite's cache into the WAL file before the commit.
            for number in 0..<3000 {
                try database.execute(
                    sql: "INSERT INTO setting (name, value) VALUES (?, ?)",
                    arguments: ["\(number)", String(repeating: "x", count: 4000)])
            }
            copies.append(try folder.copy())
            return nil
        }
        #expect(try store.settings().count == 3000)
        let log = try Data(contentsOf: URL(fileURLWithPath: copies[0].database + "-wal"))
        #expect(log.count > 8_000_000, "the copy holds pages of the open transaction")
        try store.close()
        let survivor = try copies[0].store()
        #expect(try survivor.connectors() == [sample("vpn-a")])
        #expect(try survivor.settings().isEmpty)
        try survivor.close()
    }

    @Test("A log cut anywhere keeps every change before the cut, whole")
    func truncated() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        for number in 0..<5 { try store.add(sample("vpn-\(number)"), by: Change(actor: "test")) }
        let log = try Data(contentsOf: URL(fileURLWithPath: folder.database + "-wal"))
        var counts: Set<Int> = []
        for cut in stride(from: 0, through: log.count, by: log.count / 40) {
            let copy = try folder.copy()
            try log.prefix(cut).write(to: URL(fileURLWithPath: copy.database + "-wal"))
            try? FileManager.default.removeItem(atPath: copy.database + "-shm")
            let survivor = try copy.store()
            let connectors = try survivor.connectors()
            #expect(connectors == (0..<connectors.count).map { sample("vpn-\($0)") })
            #expect(try survivor.audit(limit: 10).count == connectors.count)
            counts.insert(connectors.count)
            try survivor.close()
        }
        #expect(counts.count > 2, "the cuts fell between different changes")
        try store.close()
    }

    @Test("A change that throws midway leaves the store as it was")
    func rollback() throws {
        struct Interrupted: Error {}
        let store = try TemporaryFolder().store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        #expect(throws: StoreError.self) {
            try store.writing(Change(actor: "test")) { database in
                try database.execute(sql: "DELETE FROM connector")
                throw Interrupted()
            }
        }
        #expect(try store.connectors() == [sample("vpn-a")])
        #expect(try store.audit(limit: 10).count == 1)
        let two = Connector(
            id: "vpn-b", name: "vpn-b", source: .init(format: "manual"), localNetworks: [], remoteNetworks: [],
            tunnels: sample("vpn-b").tunnels + sample("vpn-a").tunnels)
        #expect(throws: StoreError.tunnelNameTaken("vpn-a-1", connector: "vpn-a")) {
            try store.add(two, by: Change(actor: "test"))
        }
        #expect(throws: StoreError.unknown("vpn-b")) { try store.replace(two, by: Change(actor: "test")) }
        #expect(try store.connectors() == [sample("vpn-a")])
    }

    @Test("Commits are flushed to disk, and references hold")
    func pragmas() throws {
        let store = try TemporaryFolder().store()
        try store.writing(Change(actor: "test")) { database in
            let synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous")
            let journal = try String.fetchOne(database, sql: "PRAGMA journal_mode")
            let areReferencesChecked = try Bool.fetchOne(database, sql: "PRAGMA foreign_keys")
            #expect(synchronous == 2, "2 is FULL")
            #expect(journal == "wal")
            #expect(areReferencesChecked == true)
            return nil
        }
        #expect(throws: StoreError.self) {
            try store.writing(Change(actor: "test")) { database in
                try database.execute(sql: "INSERT INTO tunnel (name, connector) VALUES ('orphan', 'nobody')")
                return nil
            }
        }
    }

    @Test("Readers neither wait for a writer nor see half of its work")
    func concurrentReaders() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        let seen = Mutex<[String]>([])
        try store.writing(Change(actor: "test")) { database in
            try database.execute(sql: "DELETE FROM connector")
            let readers = DispatchGroup()
            for _ in 0..<4 {
                readers.enter()
                Thread.detachNewThread {
                    let outcome: String
                    do {
                        outcome = "\(try store.connectors().count)"
                    } catch {
                        outcome = "\(error)"
                    }
                    seen.withLock { $0.append(outcome) }
                    readers.leave()
                }
            }
            #expect(readers.wait(timeout: .now() + 60) == .success, "they end while the transaction is open")
            return nil
        }
        #expect(seen.withLock { $0 } == ["1", "1", "1", "1"])
        #expect(try store.connectors().isEmpty)
    }

    @Test("Opening again changes nothing, and the schema of a fresh store is that of a migrated one")
    func migrations() throws {
        let folder = try TemporaryFolder()
        func schema() throws -> [String] {
            let raw = try DatabaseQueue(path: folder.database)
            defer { try? raw.close() }
            return try raw.read { database in
                try String.fetchAll(database, sql: "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
                    + String.fetchAll(database, sql: "SELECT identifier FROM grdb_migrations")
            }
        }
        let first = try folder.store()
        try first.add(sample("vpn-a"), by: Change(actor: "test"))
        try first.close()
        let before = try schema()
        for _ in 0..<3 {
            let again = try folder.store()
            #expect(try again.connectors() == [sample("vpn-a")])
            try again.close()
        }
        #expect(try schema() == before)
    }

    @Test("A store in memory does the same")
    func memory() throws {
        let store = try Store(
            path: nil, key: SealingKey(Secret([UInt8](repeating: 1, count: 32))), random: { SharedRandom().bytes($0) },
            wall: { WallTime(nanoseconds: 0) })
        try store.add(sample("vpn-a"), by: Change(actor: "test"))
        try store.set("a", to: "b", by: Change(actor: "test"))
        #expect(try store.connectors() == [sample("vpn-a")])
        #expect(try store.setting("a") == "b")
    }
}

extension TemporaryFolder {
    /// A folder with the database's files as they are now.
    func copy() throws -> TemporaryFolder {
        let copy = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where !name.hasSuffix("-shm") {
            try FileManager.default.copyItem(atPath: path + "/" + name, toPath: copy.path + "/" + name)
        }
        return copy
    }
}
