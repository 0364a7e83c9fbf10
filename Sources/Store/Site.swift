import Base
import Cryptography
import Foundation
import GRDB
public import Tunnels

extension Store {
    /// What an order would do, worked out against one version of the site.
    public struct SitePlan: Sendable {
        /// Stands for what was stored when the plan was made.
        public var version: String
        public var before: Site
        /// With the secrets that the order kept.
        public var after: Site
        public var difference: SiteDifference
    }

    /// Everything that defines the site, and a word that changes whenever it does.
    ///
    /// - Throws: the error of a connector that cannot be read: a site is given whole or not at all.
    public func site() throws(StoreError) -> (site: Site, version: String) {
        try reading { database in (try site(database), try Self.version(database)) }
    }

    /// Checks an order whole, and says what it changes.
    ///
    /// - Parameter keepsOthers: leaves connectors and settings that the order does not name.
    /// - Throws: ``StoreError/siteRefused(_:)`` with everything that is wrong.
    public func plan(_ order: SiteOrder, keepsOthers: Bool) throws(StoreError) -> SitePlan {
        let (before, version) = try site()
        let stored = Dictionary(before.connectors.map { ($0.id, $0) }) { first, _ in first }
        var faults: [String] = []
        var connectors: [Connector] = []
        for connector in order.connectors {
            connectors.append(try Self.complete(connector, from: stored[connector.id], &faults))
        }
        let named = Dictionary(connectors.map { ($0.id, $0) }) { first, _ in first }
        var after = Site(connectors: connectors, settings: order.settings ?? before.settings)
        if keepsOthers {
            after.connectors =
                before.connectors.map { named[$0.id] ?? $0 } + connectors.filter { stored[$0.id] == nil }
            after.settings = before.settings.merging(order.settings ?? [:]) { $1 }
        }
        faults += Self.faults(connectors, in: after)
        guard faults.isEmpty else { throw .siteRefused(faults) }
        return SitePlan(
            version: version, before: before, after: after, difference: SiteDifference(from: before, to: after))
    }

    /// Puts a plan's site in the place of the stored one: all of it, with its audit entries, or nothing.
    ///
    /// - Throws: ``StoreError/siteChanged`` when what is stored is no longer what the plan was made against.
    public func carryOut(_ plan: SitePlan, by change: Change) throws(StoreError) {
        let difference = plan.difference
        guard !difference.isEmpty else { return }
        let changed = Dictionary(difference.changed.map { ($0.connector, $0.changes) }) { first, _ in first }
        let added = Set(difference.added.map(\.connector))
        try writingAll { database in
            guard try Self.version(database) == plan.version else { throw StoreError.siteChanged }
            func enter(_ deed: Deed, _ reason: String?) throws {
                try self.enter(deed, Change(actor: change.actor, reason: reason), database)
            }
            for id in difference.removed {
                try database.execute(sql: "DELETE FROM connector WHERE id = ?", arguments: [id])
                try enter(Deed(action: "connector-removed", subject: id), "applied a site file")
            }
            // All at once, so that connectors may exchange names of tunnels.
            for id in changed.keys {
                try database.execute(sql: "DELETE FROM tunnel WHERE connector = ?", arguments: [id])
                try database.execute(sql: "DELETE FROM secret WHERE connector = ?", arguments: [id])
            }
            let time = wall().rfc3339
            for (position, connector) in plan.after.connectors.enumerated() {
                if added.contains(connector.id) || changed[connector.id] != nil {
                    let parts = try Parts(connector)
                    try database.execute(
                        sql: """
                            INSERT INTO connector (id, position, enabled, definition, createdAt, updatedAt)
                            VALUES (?, 0, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
                            SET enabled = excluded.enabled, definition = excluded.definition,
                                updatedAt = excluded.updatedAt
                            """, arguments: [connector.id, connector.isEnabled, parts.definition, time, time])
                    try insertParts(of: connector, parts, database)
                    let isNew = added.contains(connector.id)
                    try enter(
                        Deed(
                            action: isNew ? "connector-added" : "connector-replaced", subject: connector.id,
                            definition: parts.definition),
                        (["applied a site file"] + (changed[connector.id] ?? [])).joined(separator: "; "))
                }
                try database.execute(
                    sql: "UPDATE connector SET position = ? WHERE id = ?", arguments: [position + 1, connector.id])
            }
            try database.execute(sql: "DELETE FROM setting")
            for (name, value) in plan.after.settings {
                try database.execute(
                    sql: "INSERT INTO setting (name, value) VALUES (?, ?)", arguments: [name, value])
            }
            try enter(
                Deed(action: "site-applied", subject: "site"),
                "\(added.count) added, \(changed.count) changed, \(difference.removed.count) removed"
                    + (difference.settings.isEmpty ? "" : "; settings: " + difference.settings.joined(separator: "; ")))
        }
    }

    private func site(_ database: Database) throws -> Site {
        let rows = try Row.fetchAll(
            database, sql: "SELECT id, enabled, definition FROM connector ORDER BY position")
        let settings = try Row.fetchAll(database, sql: "SELECT name, value FROM setting")
        return Site(
            connectors: try rows.map { try connector(from: $0, database) },
            settings: Dictionary(uniqueKeysWithValues: settings.map { ($0["name"], $0["value"]) }))
    }

    /// A digest of all that is stored of the site. Secrets go in sealed, so that it says nothing of them.
    private static func version(_ database: Database) throws -> String {
        var parts: [[UInt8]] = []
        for sql in [
            "SELECT id, position, enabled, definition FROM connector ORDER BY id",
            "SELECT connector, place, hex(sealed) FROM secret ORDER BY connector, place",
            "SELECT name, value FROM setting ORDER BY name",
        ] {
            for row in try Row.fetchAll(database, sql: sql) {
                for value in row.databaseValues {
                    let bytes = Array(value.description.utf8)
                    parts += [Array("\(bytes.count):".utf8), bytes]
                }
            }
            parts.append([UInt8(ascii: ";")])
        }
        return Hash.digest(.sha256, [parts.flatMap { $0 }]).hexadecimal
    }

    /// Puts stored secrets where a definition has ones of no bytes. Tunnels are told apart by name.
    private static func complete(
        _ connector: Connector, from stored: Connector?, _ faults: inout [String]
    ) throws(StoreError) -> Connector {
        do {
            let parts = try Parts(connector)
            guard parts.secrets.values.contains(where: { $0.count == 0 }) else { return connector }
            let kept = try stored.map { try Parts($0).secrets } ?? [:]
            var secrets = parts.secrets
            for (place, secret) in parts.secrets.sorted(by: { $0.key < $1.key }) where secret.count == 0 {
                // tunnels.NUMBER.and so on
                let words = place.split(separator: ".", maxSplits: 2).map(String.init)
                guard words.count == 3, let number = Int(words[1]), connector.tunnels.indices.contains(number) else {
                    faults.append("Connector \(connector.id) lacks the secret \(place).")
                    continue
                }
                let name = connector.tunnels[number].name
                if let index = stored?.tunnels.firstIndex(where: { $0.name == name }),
                    let secret = kept["tunnels.\(index).\(words[2])"]
                {
                    secrets[place] = secret
                } else {
                    faults.append(
                        "The \(words[2]) of tunnel \(name) in connector \(connector.id) is hidden, and this gateway "
                            + "has none to keep: write it, or export with --seal or --show-secrets.")
                }
            }
            let decoder = JSONDecoder()
            decoder.userInfo[Secret.vault] = Secret.Vault(secrets)
            return try decoder.decode(Connector.self, from: Data(parts.definition.utf8))
        } catch {
            throw .failed(reason: "\(error)")
        }
    }

    private static func faults(_ connectors: [Connector], in site: Site) -> [String] {
        var faults: [String] = []
        var ids: Set<String> = []
        for connector in connectors where !ids.insert(connector.id).inserted {
            faults.append("The connector \(connector.id) is there twice.")
        }
        var owners: [String: String] = [:]
        for connector in site.connectors {
            for tunnel in connector.tunnels {
                if let owner = owners.updateValue(connector.id, forKey: tunnel.name) {
                    faults.append("Two tunnels are called \(tunnel.name), in \(owner) and \(connector.id).")
                }
                for case let fault? in [tunnel.phase2Fault, tunnel.authenticationFault] {
                    faults.append("Tunnel \(tunnel.name) \(fault).")
                }
            }
        }
        return faults
    }
}
