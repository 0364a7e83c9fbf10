public import Base
import Cryptography
import Foundation
import GRDB
public import Tunnels

/// What the gateway must not forget: connectors, their secrets (sealed), and the audit trail, in one SQLite database.
///
/// Every change is one transaction with its entry in the audit trail, on disk when the method returns: a power cut
/// loses no committed configuration. Reading never waits for a writer (WAL).
public final class Store: Sendable {
    private let database: any DatabaseWriter
    private let key: SealingKey
    private let random: @Sendable (Int) -> [UInt8]
    private let wall: @Sendable () -> WallTime

    /// Opens the database at `path`, creating or migrating it; a nil path keeps it in memory.
    ///
    /// - Parameters:
    ///   - key: seals the secrets; see ``MachineKey``.
    ///   - random: fresh random bytes, as many as asked for.
    /// - Throws: ``StoreError`` when the file cannot be used or comes from a newer Gatehouse.
    public init(
        path: String?, key: SealingKey, random: @escaping @Sendable (Int) -> [UInt8],
        wall: @escaping @Sendable () -> WallTime
    ) throws(StoreError) {
        self.key = key
        self.random = random
        self.wall = wall
        do {
            database = try Schema.open(path: path)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .unusable(path: path ?? "memory", reason: "\(error)")
        }
    }

    // MARK: - Connectors

    /// All connectors with their secrets, in the order in which they were added.
    ///
    /// - Throws: ``StoreError/sealBroken(connector:)`` naming the first connector whose secrets the machine key does
    ///   not open; the database is left as it is.
    public func connectors() throws(StoreError) -> [Connector] {
        try reading { database in
            let rows = try Row.fetchAll(database, sql: "SELECT id, enabled, definition FROM connector ORDER BY position")
            return try rows.map { try self.connector(from: $0, database) }
        }
    }

    /// Stores a new connector.
    ///
    /// - Throws: ``StoreError/exists(_:)`` when its ID is taken, ``StoreError/tunnelNameTaken(_:connector:)`` when
    ///   another connector has a tunnel of that name.
    public func add(_ connector: Connector, by change: Change) throws(StoreError) {
        try writing(change, action: "connector-added", subject: connector.id) { database in
            guard try !Self.exists(connector.id, database) else { throw StoreError.exists(connector.id) }
            let position = try Int.fetchOne(database, sql: "SELECT COALESCE(MAX(position), 0) + 1 FROM connector") ?? 1
            try self.insert(connector, position: position, database)
        }
    }

    /// Puts a new definition in the place of the one with the same ID.
    public func replace(_ connector: Connector, by change: Change) throws(StoreError) {
        try writing(change, action: "connector-replaced", subject: connector.id) { database in
            guard
                let position = try Int.fetchOne(
                    database, sql: "SELECT position FROM connector WHERE id = ?", arguments: [connector.id])
            else { throw StoreError.unknown(connector.id) }
            try database.execute(sql: "DELETE FROM connector WHERE id = ?", arguments: [connector.id])
            try self.insert(connector, position: position, database)
        }
    }

    public func remove(_ id: String, by change: Change) throws(StoreError) {
        try writing(change, action: "connector-removed", subject: id) { database in
            try database.execute(sql: "DELETE FROM connector WHERE id = ?", arguments: [id])
            guard database.changesCount == 1 else { throw StoreError.unknown(id) }
        }
    }

    /// Enables or disables a connector. One that is so already is left alone, without an audit entry.
    public func setEnabled(_ id: String, _ isEnabled: Bool, by change: Change) throws(StoreError) {
        let isAlready = try reading { database in
            try Bool.fetchOne(database, sql: "SELECT enabled FROM connector WHERE id = ?", arguments: [id])
        }
        guard isAlready != isEnabled else { return }
        try writing(change, action: isEnabled ? "connector-enabled" : "connector-disabled", subject: id) { database in
            try database.execute(
                sql: "UPDATE connector SET enabled = ?, updatedAt = ? WHERE id = ?",
                arguments: [isEnabled, self.wall().rfc3339, id])
            guard database.changesCount == 1 else { throw StoreError.unknown(id) }
        }
    }

    private static func exists(_ id: String, _ database: Database) throws -> Bool {
        try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM connector WHERE id = ?)", arguments: [id]) ?? false
    }

    private func insert(_ connector: Connector, position: Int, _ database: Database) throws {
        let vault = Secret.Vault()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.userInfo[Secret.vault] = vault
        let definition = String(decoding: try encoder.encode(connector), as: UTF8.self)
        let time = wall().rfc3339
        try database.execute(
            sql: """
                INSERT INTO connector (id, position, enabled, definition, createdAt, updatedAt) VALUES (?, ?, ?, ?, ?, ?)
                """, arguments: [connector.id, position, connector.isEnabled, definition, time, time])
        for tunnel in connector.tunnels {
            if let other = try String.fetchOne(
                database, sql: "SELECT connector FROM tunnel WHERE name = ?", arguments: [tunnel.name])
            {
                throw StoreError.tunnelNameTaken(tunnel.name, connector: other)
            }
            try database.execute(
                sql: "INSERT INTO tunnel (name, connector) VALUES (?, ?)", arguments: [tunnel.name, connector.id])
        }
        for (place, secret) in vault.secrets {
            let sealed = try key.seal(
                secret, context: Self.context(connector.id, place), nonce: random(SealingKey.nonceLength))
            try database.execute(
                sql: "INSERT INTO secret (connector, place, sealed) VALUES (?, ?, ?)",
                arguments: [connector.id, place, Data(sealed)])
        }
    }

    private func connector(from row: Row, _ database: Database) throws -> Connector {
        let id: String = row["id"]
        let definition: String = row["definition"]
        var secrets: [String: Secret] = [:]
        for sealed in try Row.fetchAll(database, sql: "SELECT place, sealed FROM secret WHERE connector = ?", arguments: [id])
        {
            let place: String = sealed["place"]
            let blob: Data = sealed["sealed"]
            do {
                secrets[place] = try key.open([UInt8](blob), context: Self.context(id, place))
            } catch {
                throw StoreError.sealBroken(connector: id)
            }
        }
        let decoder = JSONDecoder()
        decoder.userInfo[Secret.vault] = Secret.Vault(secrets)
        do {
            var connector = try decoder.decode(Connector.self, from: Data(definition.utf8))
            connector.isEnabled = row["enabled"]
            return connector
        } catch {
            throw StoreError.definitionBroken(connector: id, reason: "\(error)")
        }
    }

    /// A sealed secret opens only in the place where it was sealed.
    private static func context(_ connector: String, _ place: String) -> String { "connector/\(connector)/\(place)" }

    // MARK: - Audit trail

    /// Adds an entry for something that changed nothing stored, such as a secret being shown.
    public func record(_ action: String, subject: String, by change: Change) throws(StoreError) {
        try writing(change, action: action, subject: subject) { _ in }
    }

    /// The newest entries below `number`, newest first.
    public func audit(limit: Int, before number: Int64 = .max) throws(StoreError) -> [AuditEntry] {
        try reading { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT number, time, actor, action, subject, detail FROM audit
                    WHERE number < ? ORDER BY number DESC LIMIT ?
                    """, arguments: [number, max(0, limit)]
            ).compactMap { row in
                guard let time = WallTime(rfc3339: row["time"]) else { return nil }
                return AuditEntry(
                    number: row["number"], time: time, actor: row["actor"], action: row["action"],
                    subject: row["subject"], detail: row["detail"])
            }
        }
    }

    // MARK: - Transactions

    private func reading<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.read(body)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    private func writing(
        _ change: Change, action: String, subject: String, _ body: (Database) throws -> Void
    ) throws(StoreError) {
        do {
            try database.write { database in
                try body(database)
                try database.execute(
                    sql: "INSERT INTO audit (time, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
                    arguments: [self.wall().rfc3339, change.actor, action, subject, change.reason])
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    /// Closes the database; later calls throw.
    public func close() throws(StoreError) {
        do {
            try database.close()
        } catch {
            throw .failed(reason: "\(error)")
        }
    }
}

/// Who makes a change, and why if that is known.
public struct Change: Hashable, Sendable {
    /// Such as `root (uid 0)` or `gatehoused`.
    public var actor: String
    /// One sentence for the audit trail. Never a secret.
    public var reason: String?

    public init(actor: String, reason: String? = nil) {
        self.actor = actor
        self.reason = reason
    }
}

/// One entry of the audit trail. Entries are never changed nor removed.
public struct AuditEntry: Hashable, Sendable {
    public var number: Int64
    public var time: WallTime
    public var actor: String
    /// A word for programs, such as `connector-added`.
    public var action: String
    public var subject: String
    public var detail: String?
}
