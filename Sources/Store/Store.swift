public import Base
public import Cryptography
import Foundation
import GRDB

/// What the gateway must not forget: connectors, their secrets (sealed), settings and the audit trail, in one SQLite
/// database.
///
/// Every change is one transaction with its entry in the audit trail, on disk when the method returns: a power cut
/// loses no committed configuration. Reading never waits for a writer (WAL).
public final class Store: Sendable {
    let database: any DatabaseWriter
    let key: SealingKey
    let random: @Sendable (Int) -> [UInt8]
    public let wall: @Sendable () -> WallTime

    /// Opens the database at `path`, creating or migrating it; a nil path keeps it in memory.
    ///
    /// - Parameters:
    ///   - key: seals the secrets; see ``MachineKey``.
    ///   - random: fresh random bytes, as many as asked for.
    ///   - wall: the time, for the records.
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

    /// Closes the database; later calls throw.
    public func close() throws(StoreError) {
        do {
            try database.close()
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    // MARK: - Transactions

    func reading<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.read(body)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    /// Changes the database and writes the audit trail, both or neither.
    ///
    /// `body` says what it did: an entry follows, or none when there was nothing to do.
    func writing(_ change: Change, _ body: (Database) throws -> Deed?) throws(StoreError) {
        try writingAll { database in
            if let deed = try body(database) { try enter(deed, change, database) }
        }
    }

    /// One line of the audit trail, in the transaction of what it tells of.
    func enter(_ deed: Deed, _ change: Change, _ database: Database) throws {
        try database.cachedStatement(
            sql: "INSERT INTO audit (time, actor, action, subject, detail, definition) VALUES (?, ?, ?, ?, ?, ?)"
        ).execute(arguments: [wall().rfc3339, change.actor, deed.action, deed.subject, change.reason, deed.definition])
    }

    /// A transaction: all that `body` does, or nothing when it throws.
    func writingAll(_ body: (Database) throws -> Void) throws(StoreError) {
        do {
            try database.write(body)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    /// What a transaction did, for the audit trail.
    struct Deed {
        var action: String
        var subject: String
        /// What is stored now, as JSON without secrets.
        var definition: String?
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
