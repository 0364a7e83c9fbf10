public import Base
import Cryptography
import Foundation
import GRDB
public import Identity

extension Store {
    /// What can be read of the identity providers, in the order in which they were added, and one error for each that
    /// cannot.
    public func identityProviders() throws(StoreError) -> (providers: [IdentityProvider], broken: [StoreError]) {
        try reading { database in
            var providers: [IdentityProvider] = []
            var broken: [StoreError] = []
            for row in try Row.fetchAll(
                database, sql: "SELECT id, definition FROM identityProvider ORDER BY position")
            {
                do {
                    providers.append(try provider(from: row, database))
                } catch let error as StoreError {
                    broken.append(error)
                }
            }
            return (providers, broken)
        }
    }

    /// Stores a provider: a new one behind the others, or in the place of the one with the same identifier.
    ///
    /// - Throws: ``StoreError/providerTaken(issuer:serviceURL:by:)`` when another has its Identifier and Service URL,
    ///   ``StoreError/providerExists(_:)`` when it is not to replace one, ``StoreError/providerUnknown(_:)`` when it is.
    public func save(_ provider: IdentityProvider, replacing: Bool, by change: Change) throws(StoreError) {
        try writing(change) { database in
            let owner = try String.fetchOne(
                database, sql: "SELECT id FROM identityProvider WHERE issuer = ? AND serviceURL = ? AND id <> ?",
                arguments: [provider.issuer, provider.serviceURL, provider.id])
            if let owner {
                throw StoreError.providerTaken(issuer: provider.issuer, serviceURL: provider.serviceURL, by: owner)
            }
            let parts = try Parts(provider)
            let isKnown =
                try Row.fetchOne(
                    database, sql: "SELECT 1 FROM identityProvider WHERE id = ?", arguments: [provider.id]) != nil
            guard isKnown == replacing else {
                throw isKnown ? StoreError.providerExists(provider.id) : StoreError.providerUnknown(provider.id)
            }
            try database.execute(
                sql: """
                    INSERT INTO identityProvider (id, position, issuer, serviceURL, definition, updatedAt)
                    VALUES (?, (SELECT COALESCE(MAX(position), 0) + 1 FROM identityProvider), ?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, serviceURL = excluded.serviceURL,
                        definition = excluded.definition, updatedAt = excluded.updatedAt
                    """,
                arguments: [
                    provider.id, provider.issuer, provider.serviceURL, parts.definition, wall().rfc3339,
                ])
            try database.execute(
                sql: "DELETE FROM identityProviderSecret WHERE provider = ?", arguments: [provider.id])
            for (place, secret) in parts.secrets {
                let sealed = try key.seal(
                    secret, context: Self.providerContext(provider.id, place), nonce: random(SealingKey.nonceLength))
                try database.execute(
                    sql: "INSERT INTO identityProviderSecret (provider, place, sealed) VALUES (?, ?, ?)",
                    arguments: [provider.id, place, Data(sealed)])
            }
            return Deed(
                action: replacing ? "identity-provider-changed" : "identity-provider-added", subject: provider.id,
                definition: parts.definition)
        }
    }

    /// Removes a provider and its secrets.
    public func removeIdentityProvider(_ id: String, by change: Change) throws(StoreError) {
        try writing(change) { database in
            try database.execute(sql: "DELETE FROM identityProvider WHERE id = ?", arguments: [id])
            guard database.changesCount == 1 else { throw StoreError.providerUnknown(id) }
            return Deed(action: "identity-provider-removed", subject: id)
        }
    }

    /// The assertions that were used and could still be accepted.
    public func usedAssertions(now: WallTime) throws(StoreError) -> [ReplayCache.Entry] {
        try reading { database in
            try Row.fetchAll(
                database, sql: "SELECT issuer, assertion, until FROM usedAssertion WHERE until > ?",
                arguments: [now.nanoseconds]
            ).map {
                ReplayCache.Entry(
                    issuer: $0["issuer"], assertionID: $0["assertion"], until: WallTime(nanoseconds: $0["until"]))
            }
        }
    }

    /// Keeps a used assertion until it is of no use any more; those that are over go.
    public func keep(_ entry: ReplayCache.Entry, now: WallTime) throws(StoreError) {
        try writingAll { database in
            try database.execute(sql: "DELETE FROM usedAssertion WHERE until <= ?", arguments: [now.nanoseconds])
            try database.execute(
                sql: "INSERT INTO usedAssertion (issuer, assertion, until) VALUES (?, ?, ?)",
                arguments: [entry.issuer, entry.assertionID, entry.until.nanoseconds])
        }
    }

    private func provider(from row: Row, _ database: Database) throws -> IdentityProvider {
        let id: String = row["id"]
        var secrets: [String: Secret] = [:]
        for row in try Row.fetchAll(
            database, sql: "SELECT place, sealed FROM identityProviderSecret WHERE provider = ?", arguments: [id])
        {
            let place: String = row["place"]
            let sealed: Data = row["sealed"]
            guard let secret = try? key.open([UInt8](sealed), context: Self.providerContext(id, place)) else {
                throw StoreError.providerBroken(id, reason: "its key does not open with this machine key")
            }
            secrets[place] = secret
        }
        do {
            return try Parts.assemble(IdentityProvider.self, row["definition"], secrets)
        } catch {
            throw StoreError.providerBroken(id, reason: Self.reason(error))
        }
    }

    private static func providerContext(_ id: String, _ place: String) -> String { "identity-provider/\(id)/\(place)" }
}
