import Base
import Cryptography
import Foundation
import GRDB
public import Tunnels

extension Store {
    /// All connectors with their secrets, in the order in which they were added.
    ///
    /// - Throws: the first of ``Contents/broken``; the database is left as it is.
    public func connectors() throws(StoreError) -> [Connector] {
        let contents = try contents()
        if let first = contents.broken.first { throw first }
        return contents.connectors
    }

    /// What can be read of the connectors, and what cannot.
    public struct Contents: Sendable {
        /// Those that are whole, in the order in which they were added.
        public var connectors: [Connector]
        /// One error for each of the others, naming it. They stay stored as they are.
        public var broken: [StoreError]
    }

    /// All connectors, with one broken definition or secret keeping no other from being read.
    public func contents() throws(StoreError) -> Contents {
        try reading { database in
            let rows = try Row.fetchAll(
                database, sql: "SELECT id, enabled, definition FROM connector ORDER BY position")
            var contents = Contents(connectors: [], broken: [])
            for row in rows {
                do {
                    contents.connectors.append(try connector(from: row, database))
                } catch let error as StoreError {
                    contents.broken.append(error)
                }
            }
            return contents
        }
    }

    /// Stores a new connector behind the others.
    ///
    /// - Throws: ``StoreError/exists(_:)`` when its ID is taken, ``StoreError/tunnelNameTaken(_:connector:)`` when
    ///   another connector, or the same one twice, has a tunnel of that name.
    public func add(_ connector: Connector, by change: Change) throws(StoreError) {
        try writing(change) { database in
            guard try !Self.exists(connector.id, database) else { throw StoreError.exists(connector.id) }
            let parts = try Parts(connector)
            let time = wall().rfc3339
            try database.execute(
                sql: """
                    INSERT INTO connector (id, position, enabled, definition, createdAt, updatedAt)
                    VALUES (?, (SELECT COALESCE(MAX(position), 0) + 1 FROM connector), ?, ?, ?, ?)
                    """, arguments: [connector.id, connector.isEnabled, parts.definition, time, time])
            try insertParts(of: connector, parts, database)
            return Deed(action: "connector-added", subject: connector.id, definition: parts.definition)
        }
    }

    /// Puts a new definition in the place of the one with the same ID.
    ///
    /// - Throws: ``StoreError/unknown(_:)`` when there is none, ``StoreError/tunnelNameTaken(_:connector:)`` as
    ///   ``add(_:by:)`` does.
    /// - Parameter keepsEnabled: whether it is in use stays as it is stored, whatever the definition says.
    public func replace(
        _ connector: Connector, keepsEnabled: Bool = false, by change: Change
    ) throws(StoreError) {
        try writing(change) { database in
            let parts = try Parts(connector)
            try database.execute(
                sql: """
                    UPDATE connector SET enabled = CASE WHEN ? THEN enabled ELSE ? END, definition = ?, updatedAt = ?
                    WHERE id = ?
                    """,
                arguments: [keepsEnabled, connector.isEnabled, parts.definition, wall().rfc3339, connector.id])
            guard database.changesCount == 1 else { throw StoreError.unknown(connector.id) }
            try database.execute(sql: "DELETE FROM tunnel WHERE connector = ?", arguments: [connector.id])
            try database.execute(sql: "DELETE FROM secret WHERE connector = ?", arguments: [connector.id])
            try insertParts(of: connector, parts, database)
            return Deed(action: "connector-replaced", subject: connector.id, definition: parts.definition)
        }
    }

    /// Removes a connector and its secrets.
    public func remove(_ id: String, by change: Change) throws(StoreError) {
        try writing(change) { database in
            try database.execute(sql: "DELETE FROM connector WHERE id = ?", arguments: [id])
            guard database.changesCount == 1 else { throw StoreError.unknown(id) }
            return Deed(action: "connector-removed", subject: id)
        }
    }

    /// Enables or disables a connector. One that is so already is left alone, without an audit entry.
    public func setEnabled(_ id: String, _ isEnabled: Bool, by change: Change) throws(StoreError) {
        try writing(change) { database in
            guard try Self.exists(id, database) else { throw StoreError.unknown(id) }
            try database.execute(
                sql: "UPDATE connector SET enabled = ?, updatedAt = ? WHERE id = ? AND enabled <> ?",
                arguments: [isEnabled, wall().rfc3339, id, isEnabled])
            guard database.changesCount == 1 else { return nil }
            return Deed(action: isEnabled ? "connector-enabled" : "connector-disabled", subject: id)
        }
    }

    // MARK: - Parts

    /// A definition taken apart for storage.
    struct Parts {
        /// JSON, with `(hidden)` where secrets stood.
        var definition: String
        /// By their place in the definition.
        var secrets: [String: Secret]

        init(_ value: some Encodable) throws {
            let vault = Secret.Vault()
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.userInfo[Secret.vault] = vault
            definition = String(decoding: try encoder.encode(value), as: UTF8.self)
            secrets = vault.secrets
        }

        /// Puts a definition together again.
        static func assemble<Value: Decodable>(
            _: Value.Type, _ definition: String, _ secrets: [String: Secret]
        ) throws -> Value {
            let decoder = JSONDecoder()
            decoder.userInfo[Secret.vault] = Secret.Vault(secrets)
            return try decoder.decode(Value.self, from: Data(definition.utf8))
        }
    }

    private static func exists(_ id: String, _ database: Database) throws -> Bool {
        try Row.fetchOne(database, sql: "SELECT 1 FROM connector WHERE id = ?", arguments: [id]) != nil
    }

    func insertParts(of connector: Connector, _ parts: Parts, _ database: Database) throws {
        for tunnel in connector.tunnels {
            let owner = try String.fetchOne(
                database, sql: "SELECT connector FROM tunnel WHERE name = ?", arguments: [tunnel.name])
            if let owner { throw StoreError.tunnelNameTaken(tunnel.name, connector: owner) }
            try database.execute(
                sql: "INSERT INTO tunnel (name, connector) VALUES (?, ?)", arguments: [tunnel.name, connector.id])
        }
        try keep(parts.secrets, of: connector.id, in: .connectors, database)
    }

    func connector(from row: Row, _ database: Database) throws -> Connector {
        let id: String = row["id"]
        let definition: String = row["definition"]
        let secrets = try secrets(of: id, in: .connectors, database, orThrow: .sealBroken(connector: id))
        do {
            var connector = try Parts.assemble(Connector.self, definition, secrets)
            connector.isEnabled = row["enabled"]
            return connector
        } catch {
            throw StoreError.definitionBroken(connector: id, reason: Self.reason(error))
        }
    }

    /// Where decoding stopped, and why, without the innards of `DecodingError`.
    static func reason(_ error: any Error) -> String {
        let context: DecodingError.Context? = switch error as? DecodingError {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): context
        case .keyNotFound(let key, let context):
            .init(codingPath: context.codingPath + [key], debugDescription: "it is missing")
        default: nil
        }
        guard let context else { return "\(error)" }
        let place = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        return place.isEmpty ? context.debugDescription : "at \(place): \(context.debugDescription)"
    }
}
