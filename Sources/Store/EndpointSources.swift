import Base
import Cryptography
import Foundation
import GRDB
public import Vendors

extension Store {
    /// What can be read of the connections to endpoint protection platforms, in the order in which they were added, and one
    /// error for each that cannot.
    public func endpointSources() throws(StoreError) -> (sources: [EndpointConnection], broken: [StoreError]) {
        try reading { database in
            var sources: [EndpointConnection] = []
            var broken: [StoreError] = []
            for row in try Row.fetchAll(
                database, sql: "SELECT id, definition FROM endpointSource ORDER BY position")
            {
                let id: String = row["id"]
                do {
                    let secrets = try secrets(
                        of: id, in: .endpointSources, database,
                        orThrow: .endpointSourceBroken(id, reason: "its key does not open with this machine key"))
                    sources.append(try Parts.assemble(EndpointConnection.self, row["definition"], secrets))
                } catch let error as StoreError {
                    broken.append(error)
                } catch {
                    broken.append(.endpointSourceBroken(id, reason: Self.reason(error)))
                }
            }
            return (sources, broken)
        }
    }

    /// Stores a connection: a new one behind the others, or in the place of the one of that name.
    ///
    /// - Parameter forgets: what was had from it is of no use for the changed one.
    /// - Throws: ``StoreError/endpointSourceExists(_:)`` when it is not to replace one,
    ///   ``StoreError/endpointSourceUnknown(_:)`` when it is.
    public func save(
        _ source: EndpointConnection, replacing: Bool, forgets: Bool = false, by change: Change
    ) throws(StoreError) {
        try writing(change) { database in
            let parts = try Parts(source)
            let isKnown = try Row.fetchOne(
                database, sql: "SELECT 1 FROM endpointSource WHERE id = ?", arguments: [source.id]) != nil
            guard isKnown == replacing else {
                throw replacing
                    ? StoreError.endpointSourceUnknown(source.id) : StoreError.endpointSourceExists(source.id)
            }
            try database.execute(
                sql: """
                    INSERT INTO endpointSource (id, position, definition, updatedAt)
                    VALUES (?, (SELECT COALESCE(MAX(position), 0) + 1 FROM endpointSource), ?, ?)
                    ON CONFLICT (id) DO UPDATE SET definition = excluded.definition, updatedAt = excluded.updatedAt
                    """, arguments: [source.id, parts.definition, wall().rfc3339])
            try keep(parts.secrets, of: source.id, in: .endpointSources, database)
            if forgets {
                for table in ["endpoint", "endpointAnswer"] {
                    try database.execute(sql: "DELETE FROM \(table) WHERE source = ?", arguments: [source.id])
                }
            }
            return Deed(
                action: replacing ? "endpoint-protection-changed" : "endpoint-protection-added", subject: source.id,
                definition: parts.definition)
        }
    }

    /// Removes a connection, its key, and all that was had from it.
    public func removeEndpointSource(_ id: String, by change: Change) throws(StoreError) {
        try writing(change) { database in
            try database.execute(sql: "DELETE FROM endpointSource WHERE id = ?", arguments: [id])
            guard database.changesCount == 1 else { throw StoreError.endpointSourceUnknown(id) }
            return Deed(action: "endpoint-protection-removed", subject: id)
        }
    }
}
