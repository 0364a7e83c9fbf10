public import Base
import Cryptography
import Foundation
import GRDB
public import Identity

extension Store {
    /// Which standard a provider speaks. One name and one order serve both kinds.
    enum ProviderKind: String { case saml, openID = "oidc" }

    /// What can be read of the identity providers, in the order in which they were added, and one error for each that
    /// cannot.
    public func identityProviders() throws(StoreError) -> (providers: [IdentityProvider], broken: [StoreError]) {
        try storedProviders(IdentityProvider.self, kind: .saml)
    }

    /// Stores a provider: a new one behind the others, or in the place of the one with the same identifier.
    ///
    /// - Throws: ``StoreError/providerTaken(issuer:serviceURL:by:)`` when another has its Identifier and Service URL,
    ///   ``StoreError/providerExists(_:)`` when it is not to replace one, ``StoreError/providerUnknown(_:)`` when it is.
    public func save(_ provider: IdentityProvider, replacing: Bool, by change: Change) throws(StoreError) {
        let (issuer, serviceURL) = (provider.issuer, provider.serviceURL)
        try saveProvider(
            provider, id: provider.id, kind: .saml, issuer: issuer, place: serviceURL, replacing: replacing, by: change
        ) { .providerTaken(issuer: issuer, serviceURL: serviceURL, by: $0) }
    }

    func storedProviders<Provider: Decodable & Sendable>(
        _: Provider.Type, kind: ProviderKind
    ) throws(StoreError) -> (providers: [Provider], broken: [StoreError]) {
        try reading { database in
            var providers: [Provider] = []
            var broken: [StoreError] = []
            for row in try Row.fetchAll(
                database, sql: "SELECT id, definition FROM identityProvider WHERE kind = ? ORDER BY position",
                arguments: [kind.rawValue])
            {
                do {
                    providers.append(try provider(Provider.self, from: row, database))
                } catch let error as StoreError {
                    broken.append(error)
                }
            }
            return (providers, broken)
        }
    }

    /// - Parameters:
    ///   - place: with the issuer it is unique: the Service URL of SAML, the client ID of OpenID Connect.
    ///   - taken: the error for a pair that the provider of that name has.
    func saveProvider(
        _ value: some Encodable & Sendable, id: String, kind: ProviderKind, issuer: String, place: String,
        replacing: Bool, by change: Change, taken: @Sendable (String) -> StoreError
    ) throws(StoreError) {
        try writing(change) { database in
            let owner = try String.fetchOne(
                database, sql: "SELECT id FROM identityProvider WHERE issuer = ? AND serviceURL = ? AND id <> ?",
                arguments: [issuer, place, id])
            if let owner { throw taken(owner) }
            let parts = try Parts(value)
            let known = try String.fetchOne(
                database, sql: "SELECT kind FROM identityProvider WHERE id = ?", arguments: [id])
            guard known == (replacing ? kind.rawValue : nil) else {
                throw replacing ? StoreError.providerUnknown(id) : StoreError.providerExists(id)
            }
            try database.execute(
                sql: """
                    INSERT INTO identityProvider (id, kind, position, issuer, serviceURL, definition, updatedAt)
                    VALUES (?, ?, (SELECT COALESCE(MAX(position), 0) + 1 FROM identityProvider), ?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, serviceURL = excluded.serviceURL,
                        definition = excluded.definition, updatedAt = excluded.updatedAt
                    """,
                arguments: [id, kind.rawValue, issuer, place, parts.definition, wall().rfc3339])
            try keep(parts.secrets, of: id, in: .identityProviders, database)
            return Deed(
                action: replacing ? "identity-provider-changed" : "identity-provider-added", subject: id,
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

    private func provider<Provider: Decodable>(
        _: Provider.Type, from row: Row, _ database: Database
    ) throws -> Provider {
        let id: String = row["id"]
        let secrets = try secrets(
            of: id, in: .identityProviders, database,
            orThrow: .providerBroken(id, reason: "its key does not open with this machine key"))
        do {
            return try Parts.assemble(Provider.self, row["definition"], secrets)
        } catch {
            throw StoreError.providerBroken(id, reason: Self.reason(error))
        }
    }
}
