internal import Base

/// FortiOS's command language: `config` opens a table, `edit` an entry of it, `set` gives a value. AWS's text leaves
/// out some of the `end` and `next` lines, so a table lasts until the next one opens.
struct FortiReader {
    private(set) var objects = DeviceObjects()
    private var kind: DeviceObjects.Kind?
    private var entry: String?

    private static let tables: [String: DeviceObjects.Kind] = [
        "vpn ipsec phase1-interface": .gateway, "vpn ipsec phase2-interface": .transform,
        "system interface": .interface, "router bgp": .global, "neighbor": .neighbor,
    ]

    private static let keys: [DeviceObjects.Kind: [String: String]] = [
        .gateway: [
            "local-gw": "local", "remote-gw": "remote", "psksecret": "key", "keylife": "lifetime", "dhgrp": "group",
            "dpd-retryinterval": "dpd-interval", "dpd-retrycount": "dpd-retries", "ike-version": "version",
            "authmethod": "authentication",
        ],
        .transform: ["phase1name": "gateway", "keylifeseconds": "lifetime", "dhgrp": "group", "pfs": "pfs"],
        .interface: ["ip": "address", "remote-ip": "peer", "mtu": "mtu", "tcp-mss": "mss"],
        .global: ["as": "asn"],
        .neighbor: ["remote-as": "asn", "holdtime-timer": "hold"],
    ]

    mutating func take(_ line: ImportDocument.Line) throws(ImportError) {
        guard let command = DeviceCommand(line) else { return }
        let words = command.words
        switch words[0] {
        case "config":
            kind = Self.tables[command.rest(from: 1)]
            entry = kind == .global ? "" : nil
        case "edit":
            guard let kind, kind != .global, words.count > 1 else {
                entry = nil
                return
            }
            entry = words[1]
            if kind != .interface { try objects.open(kind, words[1], command.place) }
        case "next": entry = kind == .global ? "" : nil
        case "end":
            kind = nil
            entry = nil
        case "set":
            guard let kind, let entry, words.count > 2 else { return }
            if words[1] == "proposal" {
                try takeProposal(command, kind, entry)
            } else if let key = Self.keys[kind]?[words[1]] {
                // Several DH groups are a list; an address stands with its mask.
                let text = key == "group" ? words[2...].joined(separator: ",") : command.rest(from: 2)
                try objects.set(kind, entry, key, command.field(words[1], text))
            }
        default: break
        }
    }

    /// `aes128-sha1 aes256gcm-prfsha384`: each word a suite.
    private mutating func takeProposal(
        _ command: DeviceCommand, _ kind: DeviceObjects.Kind, _ entry: String
    ) throws(ImportError) {
        guard kind == .gateway || kind == .transform else { return }
        var encryption: [String] = []
        var integrity: [String] = []
        for suite in command.words[2...] {
            for part in suite.split(separator: "-").map(String.init) {
                let hash = part.hasPrefix("prf") ? String(part.dropFirst(3)) : part
                if Vocabulary.encryption(part) != nil {
                    if !encryption.contains(part) { encryption.append(part) }
                } else if Vocabulary.integrity(hash) != nil {
                    if !integrity.contains(hash) { integrity.append(hash) }
                } else {
                    throw command.field("proposal", part).fault("\(quoted(part)) is no algorithm that we know")
                }
            }
        }
        for (key, list) in [("encryption", encryption), ("integrity", integrity)] where !list.isEmpty {
            try objects.set(kind, entry, key, command.field("proposal", list.joined(separator: ",")))
        }
    }
}
