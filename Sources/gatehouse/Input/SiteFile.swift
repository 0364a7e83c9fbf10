import Base
import Cryptography
import IKE
import JSONText
import Portal
import Tunnels
import Yams

/// A whole site as YAML, with one connector after the other in the form of ``ConnectorFile``.
enum SiteFile {
    static let version = 1
    private static let sealingMethod = "scrypt-131072-8-1"

    /// What becomes of the secrets in a file.
    enum Secrets {
        /// `(hidden)`: whoever applies the file must have them.
        case hidden
        case clear
        /// Each under the key that the passphrase and the salt make.
        case sealed(SealingKey, salt: [UInt8], random: (Int) -> [UInt8])
    }

    // MARK: Writing

    static func json(_ site: Site, _ secrets: Secrets) throws -> JSON {
        var members = [JSON.Member("gatehouse", .number("\(version)"))]
        if case .sealed(_, let salt, _) = secrets {
            members.append(
                JSON.Member(
                    "sealing",
                    .object([
                        JSON.Member("method", .string(sealingMethod)), JSON.Member("salt", .string(salt.hexadecimal)),
                    ])))
        }
        let settings = site.settings.sorted { $0.key < $1.key }.map { name, value in
            JSON.object([JSON.Member("name", .string(name)), JSON.Member("value", .string(value))])
        }
        members.append(JSON.Member("settings", .array(settings)))
        members.append(JSON.Member("connectors", .array(try site.connectors.map { try json($0, secrets) })))
        return .object(members)
    }

    static func text(_ site: Site, _ secrets: Secrets) throws -> String {
        let said =
            switch secrets {
            case .hidden: "Keys are left out: (hidden) keeps the one that the gateway has."
            case .clear: "Keys are in it: treat it as a secret."
            case .sealed: "Keys are sealed with a passphrase; the rest is neither sealed nor signed."
            }
        return """
            # The site of a Gatehouse gateway: 'gatehouse apply FILE' shows what it changes, and asks.
            # A connector that is not in here is removed, unless --keep-others is given.
            # \(said)

            """ + YAMLText.text(of: try json(site, secrets))
    }

    private static func json(_ connector: Connector, _ secrets: Secrets) throws -> JSON {
        switch secrets {
        case .hidden: return ConnectorFile.json(connector, showSecrets: false)
        case .clear: return ConnectorFile.json(connector, showSecrets: true)
        case .sealed(let key, _, let random):
            var sealed: [String] = []
            for tunnel in connector.tunnels {
                guard let psk = tunnel.phase1.psk else { continue }
                let blob = try key.seal(
                    psk, context: context(connector.id, tunnel.name), nonce: random(SealingKey.nonceLength))
                sealed.append(blob.hexadecimal)
            }
            var rest = sealed[...]
            return replacing(ConnectorFile.json(connector, showSecrets: false)) {
                .object([JSON.Member("sealed", .string(rest.popFirst() ?? ""))])
            }
        }
    }

    /// The tree with another value wherever it says `psk: (hidden)`.
    private static func replacing(_ json: JSON, _ value: () -> JSON) -> JSON {
        switch json {
        case .array(let items): .array(items.map { replacing($0, value) })
        case .object(let members):
            .object(
                members.map { member in
                    let isKey = member.key == "psk" && member.value == .string("(hidden)")
                    return JSON.Member(member.key, isKey ? value() : replacing(member.value, value))
                })
        default: json
        }
    }

    /// A sealed key opens only in the tunnel for which it was sealed.
    private static func context(_ connector: String, _ tunnel: String) -> String { "site/\(connector)/\(tunnel)/psk" }

    // MARK: Reading

    /// Reads a site.
    ///
    /// - Parameter passphrase: asked for once, if the file has sealed keys.
    /// - Throws: ``CommandFailure`` with the first fault of every connector and section, never a secret.
    static func read(_ bytes: [UInt8], file: String, passphrase: () throws -> Secret) throws -> SiteOrder {
        let root = FileEntry(try ConnectorFile.compose(bytes, file: file), "the site", keepsHidden: true)
        var faults: [String] = []
        func collect<Value>(_ body: () throws -> Value) throws -> Value? {
            do {
                return try body()
            } catch let fault as FileEntry.Fault {
                faults.append("\(file): \(fault.line.map { "line \($0): " } ?? "")\(fault.text)")
                return nil
            }
        }
        var order = SiteOrder(connectors: [])
        _ = try collect {
            let map = try root.map(["gatehouse", "sealing", "settings", "connectors"])
            let version = try map.need("gatehouse")
            guard try version.number(in: 0...Int.max) == Self.version else {
                throw version.fault("is a version of the file that this Gatehouse does not know: it reads 1")
            }
            var key: SealingKey?
            if let sealing = map["sealing"] {
                key = try collect { try self.key(sealing, passphrase) } ?? nil
            }
            order.settings = try map["settings"].flatMap { entry in try collect { try settings(entry) } }
            for entry in try map.need("connectors").items() {
                if let connector = try collect({ try connector(entry, key) }) { order.connectors.append(connector) }
            }
        }
        guard faults.isEmpty else { throw CommandFailure(faults.joined(separator: "\n")) }
        return order
    }

    private static func key(_ entry: FileEntry, _ passphrase: () throws -> Secret) throws -> SealingKey {
        let map = try entry.map(["method", "salt"])
        guard try map.need("method").word() == sealingMethod else {
            throw try map.need("method").fault("must be \(sealingMethod)")
        }
        guard let salt = [UInt8](hexadecimal: try map.need("salt").word()), salt.count == SealingKey.saltLength else {
            throw try map.need("salt").fault("must be \(SealingKey.saltLength) bytes in hexadecimal")
        }
        return try SealingKey(passphrase: passphrase(), salt: salt)
    }

    private static func settings(_ entry: FileEntry) throws -> [String: String] {
        var settings: [String: String] = [:]
        for item in try entry.items() {
            let map = try item.map(["name", "value"])
            let name = try map.need("name").word()
            guard settings.updateValue(try map.need("value").word(), forKey: name) == nil else {
                throw item.fault("is there twice")
            }
        }
        return settings
    }

    private static func connector(_ entry: FileEntry, _ key: SealingKey?) throws -> Connector {
        var sealed: [Int: (FileEntry, [UInt8])] = [:]
        var connector = try ConnectorFile.connector(
            entry.hidingSealed { tunnel, entry in
                let map = try entry.map(["sealed"])
                guard let blob = [UInt8](hexadecimal: try map.need("sealed").word()) else {
                    throw entry.fault("must be hexadecimal under sealed")
                }
                sealed[tunnel] = (entry, blob)
            })
        for (index, (entry, blob)) in sealed.sorted(by: { $0.key < $1.key }) {
            guard let key else { throw entry.fault("is sealed, and the file has no section 'sealing'") }
            do {
                connector.tunnels[index].phase1.authentication = .psk(
                    try key.open(blob, context: context(connector.id, connector.tunnels[index].name)))
            } catch {
                throw entry.fault(
                    "does not open: another passphrase, or the key, its connector's id or its tunnel's name was changed")
            }
        }
        return connector
    }
}

extension FileEntry {
    /// The same connector with every `psk` of keys and values handed over and read as hidden.
    fileprivate func hidingSealed(_ found: (Int, FileEntry) throws -> Void) throws -> FileEntry {
        guard var connector = node.mapping, var tunnels = connector["tunnels"]?.sequence else { return self }
        for index in tunnels.indices {
            guard var tunnel = tunnels[index].mapping, var phase1 = tunnel["phase1"]?.mapping,
                let psk = phase1["psk"], psk.mapping != nil
            else { continue }
            try found(index, FileEntry(psk, "\(name).tunnels[\(index)].phase1.psk"))
            phase1["psk"] = Node("(hidden)")
            tunnel["phase1"] = .mapping(phase1)
            tunnels[index] = .mapping(tunnel)
        }
        connector["tunnels"] = .sequence(tunnels)
        return FileEntry(.mapping(connector), name, line: line, keepsHidden: true)
    }
}
