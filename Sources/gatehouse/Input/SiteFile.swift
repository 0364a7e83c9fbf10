import Base
import Cryptography
import IKE
import JSONText
import Portal
import Tunnels
import Yams

/// A site as YAML, with one connector after the other in the form of ``ConnectorFile``.
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
            var json = ConnectorFile.json(connector, showSecrets: false)
            for (index, tunnel) in connector.tunnels.enumerated() {
                for place in SecretPlace.allCases {
                    guard let secret = tunnel.phase1[place] else { continue }
                    let blob = try key.seal(
                        secret, context: context(connector.id, tunnel.name, place),
                        nonce: random(SealingKey.nonceLength))
                    let sealed = JSON.object([JSON.Member("sealed", .string(blob.hexadecimal))])
                    json = replacing(json, at: ["tunnels", "\(index)", "phase1"] + place.path, by: sealed)
                }
            }
            return json
        }
    }

    /// The tree with another value at a path of keys and places in lists.
    private static func replacing(_ json: JSON, at path: [String], by value: JSON) -> JSON {
        guard let key = path.first else { return value }
        let rest = Array(path.dropFirst())
        switch json {
        case .array(let items):
            return .array(
                items.enumerated().map {
                    "\($0.offset)" == key ? replacing($0.element, at: rest, by: value) : $0.element
                })
        case .object(let members):
            return .object(
                members.map { $0.key == key ? JSON.Member($0.key, replacing($0.value, at: rest, by: value)) : $0 })
        default: return json
        }
    }

    /// A sealed key opens only in the place for which it was sealed.
    private static func context(_ connector: String, _ tunnel: String, _ place: SecretPlace) -> String {
        "site/\(connector)/\(tunnel)/\(place.rawValue)"
    }

    // MARK: Reading

    /// Reads a site.
    ///
    /// - Parameter passphrase: asked for once, if the file has sealed keys.
    /// - Throws: ``CommandFailure`` with the first fault of every connector and section, never a secret.
    static func read(_ bytes: [UInt8], file: String, passphrase: () throws -> Secret) throws -> SiteOrder {
        let root = FileEntry(try ConnectorFile.compose(bytes, file: file), "the site", keepsHidden: true,
            folder: ConnectorFile.folder(of: file))
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
        var sealed: [(tunnel: Int, place: SecretPlace, entry: FileEntry, blob: [UInt8])] = []
        var connector = try ConnectorFile.connector(
            entry.hidingSealed { tunnel, place, entry in
                let map = try entry.map(["sealed"])
                guard let blob = [UInt8](hexadecimal: try map.need("sealed").word()) else {
                    throw entry.fault("must be hexadecimal under sealed")
                }
                sealed.append((tunnel, place, entry, blob))
            })
        for (index, place, entry, blob) in sealed {
            guard let key else { throw entry.fault("is sealed, and the file has no section 'sealing'") }
            do {
                connector.tunnels[index].phase1[place] = try key.open(
                    blob, context: context(connector.id, connector.tunnels[index].name, place))
            } catch {
                throw entry.fault(
                    "does not open: another passphrase, or the key, its connector's id or its tunnel's name was changed")
            }
        }
        return connector
    }
}

extension FileEntry {
    /// The same connector with every secret of keys and values handed over and read as hidden.
    fileprivate func hidingSealed(_ found: (Int, SecretPlace, FileEntry) throws -> Void) throws -> FileEntry {
        guard var connector = node.mapping, var tunnels = connector["tunnels"]?.sequence else { return self }
        for index in tunnels.indices {
            for place in SecretPlace.allCases {
                let path = ["phase1"] + place.path
                guard let secret = tunnels[index].value(at: path[...]), secret.mapping != nil else { continue }
                try found(
                    index, place, FileEntry(secret, "\(name).tunnels[\(index)].\(path.joined(separator: "."))"))
                tunnels[index].replaceValue(at: path[...], by: Node("(hidden)"))
            }
        }
        connector["tunnels"] = .sequence(tunnels)
        return FileEntry(.mapping(connector), name, line: line, keepsHidden: true, folder: folder)
    }
}

extension Node {
    fileprivate func value(at path: ArraySlice<String>) -> Node? {
        guard let key = path.first else { return self }
        return mapping?[Node(key)]?.value(at: path.dropFirst())
    }

    fileprivate mutating func replaceValue(at path: ArraySlice<String>, by value: Node) {
        guard let key = path.first else {
            self = value
            return
        }
        guard var mapping, var inner = mapping[Node(key)] else { return }
        inner.replaceValue(at: path.dropFirst(), by: value)
        mapping[Node(key)] = inner
        self = .mapping(mapping)
    }
}
