import Cryptography
import Foundation
import GRDB

/// Where one kind of thing keeps its secrets: in a table of their own, each sealed for the place where it stands in the
/// definition.
struct SecretDrawer: Sendable {
    var table: String
    /// The column with the thing's ID.
    var owner: String
    /// What every secret of this kind is sealed for, before the ID and the place: one opens nowhere else.
    var context: String

    static let connectors = SecretDrawer(table: "secret", owner: "connector", context: "connector")
    static let identityProviders = SecretDrawer(
        table: "identityProviderSecret", owner: "provider", context: "identity-provider")
    static let directories = SecretDrawer(table: "directorySecret", owner: "directory", context: "directory")
    static let endpointSources = SecretDrawer(
        table: "endpointSourceSecret", owner: "source", context: "endpoint-source")

    fileprivate func context(_ id: String, _ place: String) -> String { "\(context)/\(id)/\(place)" }
}

extension Store {
    /// Keeps just these secrets of a thing, sealed.
    func keep(_ secrets: [String: Secret], of id: String, in drawer: SecretDrawer, _ database: Database) throws {
        try database.execute(sql: "DELETE FROM \(drawer.table) WHERE \(drawer.owner) = ?", arguments: [id])
        for (place, secret) in secrets {
            let sealed = try key.seal(
                secret, context: drawer.context(id, place), nonce: random(SealingKey.nonceLength))
            try database.execute(
                sql: "INSERT INTO \(drawer.table) (\(drawer.owner), place, sealed) VALUES (?, ?, ?)",
                arguments: [id, place, Data(sealed)])
        }
    }

    /// The secrets of a thing by their places.
    ///
    /// - Parameter fault: what is thrown when one does not open with this machine key.
    func secrets(
        of id: String, in drawer: SecretDrawer, _ database: Database, orThrow fault: StoreError
    ) throws -> [String: Secret] {
        var secrets: [String: Secret] = [:]
        for row in try Row.fetchAll(
            database, sql: "SELECT place, sealed FROM \(drawer.table) WHERE \(drawer.owner) = ?", arguments: [id])
        {
            let (place, sealed): (String, Data) = (row["place"], row["sealed"])
            guard let secret = try? key.open([UInt8](sealed), context: drawer.context(id, place)) else { throw fault }
            secrets[place] = secret
        }
        return secrets
    }
}
