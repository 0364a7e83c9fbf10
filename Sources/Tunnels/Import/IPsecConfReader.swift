internal import Base
internal import Cryptography
internal import IKE

/// A `conn` section with the interface commands of the same name.
private struct Section {
    var name: String
    var tunnel: VPNTunnel
    /// What was set by which line: a second, different value is a contradiction.
    var settings: [String: Field] = [:]
}

private struct Key {
    var local: IPAddress?
    var remote: IPAddress
    var psk: Sourced<Secret>
}

/// Reads `ipsec.conf` sections, `ipsec.secrets` lines and the interface commands around them, as strongSwan, Openswan
/// and Libreswan have them in AWS's prose.
struct IPsecConfReader {
    let context: ImportContext
    private var sections: [Section] = []
    private var defaults: [String: Field] = [:]
    private var keys: [Key] = []
    private var inDefault = false

    init(context: ImportContext) { self.context = context }

    mutating func take(_ line: ImportDocument.Line) throws(ImportError) {
        let words = line.text.words
        guard let first = words.first else { return }
        let place = Place(line: line.number)
        if first == "conn", words.count == 2 {
            inDefault = words[1] == "%default"
            guard !inDefault else { return }
            guard !sections.contains(where: { $0.name == words[1] }) else {
                throw ImportError(
                    .contradiction, at: place, "'conn' begins a second time for the same name",
                    remedy: "Import each connection from a file of its own.")
            }
            try TextFile.checkCount(sections.count, line)
            sections.append(Section(name: words[1], tunnel: VPNTunnel(place: place)))
        } else if TextFile.tunnelNumber(line.text) != nil {
            inDefault = false
        } else if let at = words.firstIndex(of: "PSK") ?? words.firstIndex(of: ":PSK"), at + 1 < words.count,
            at <= 3
        {
            try takeKey(line, words, at)
        } else if line.text.containsBytes("ip addr add ") || line.text.containsBytes("ip address add ") {
            try takeInside(words, place)
        } else if line.text.containsBytes("ip link set ") {
            try takeMTU(words, place)
        } else if line.text.containsBytes("leftupdown") {
            try takeUpdown(words, place)
        } else if let setting = line.setting, Self.names.contains(setting.name), !setting.value.hasPrefix("is the ") {
            // ("leftsubnet= is the local network …" is a remark whose mark was lost.)
            let field = Field(name: setting.name, text: trimmed(setting.value, also: "\""), place: place)
            if inDefault { defaults[Self.aliases[setting.name] ?? setting.name] = field } else { try set(field) }
        }
    }

    private static let names: Set<String> = [
        "left", "leftid", "right", "rightid", "leftauth", "rightauth", "authby", "keyexchange", "ike",
        "ikelifetime", "esp", "phase2alg", "lifetime", "keylife", "salifetime", "ikev2", "leftsubnet", "rightsubnet",
        "leftvti", "dpddelay", "dpdtimeout", "type",
    ]

    /// Openswan's and Libreswan's names for the same things.
    private static let aliases = ["keylife": "lifetime", "salifetime": "lifetime", "phase2alg": "esp"]

    private mutating func set(_ field: Field) throws(ImportError) {
        guard !sections.isEmpty else { return }
        let key = Self.aliases[field.name] ?? field.name
        if let known = sections[sections.count - 1].settings[key], known.text != field.text {
            throw ImportError(
                .contradiction, at: field.place, field: field.name,
                "this differs from what \(known.place) says for the same 'conn'",
                remedy:
                    "If a line 'conn …' was lost in copying, put it back; else download the configuration again.")
        }
        sections[sections.count - 1].settings[key] = field
    }

    /// `LOCAL REMOTE : PSK "…"`.
    private mutating func takeKey(_ line: ImportDocument.Line, _ words: [String], _ at: Int) throws(ImportError) {
        var addresses: [IPAddress] = []
        for word in words[..<at] where word != ":" {
            let field = Field(name: "PSK", text: trimmed(word, also: ":"), place: Place(line: line.number))
            // "%any" stands for whatever our address is.
            if field.text == "%any" || field.text.isEmpty { continue }
            // An identity that is a name joins by the remote address alone.
            if let address = IPAddress(field.text) ?? IPAddress(word) { addresses.append(address) }
        }
        guard let remote = addresses.last else { return }
        var text = trimmed(words[(at + 1)...].joined(separator: " "))
        for quote in ["\"", "\u{201C}", "\u{201D}", "\u{201E}", "'", "\u{2018}", "\u{2019}"] {
            if text.hasPrefix(quote) { text.removeFirst() }
            if text.hasSuffix(quote) { text.removeLast() }
        }
        let field = Field(name: "PSK", text: text, place: Place(line: line.number))
        let rule = context.profile.permitted.psk
        let psk = try field.key(rule, placeholders: context.profile.placeholders)
        if let known = keys.first(where: { $0.remote == remote }), known.psk.value != psk.value {
            throw ImportError(
                .contradiction, at: field.place, field: "PSK",
                "this key for \(remote) differs from the one of \(known.psk.place?.description ?? "another line")",
                remedy: ImportError.downloadAgain)
        }
        try TextFile.checkCount(keys.count / 4, line)
        keys.append(Key(local: addresses.count > 1 ? addresses[0] : nil, remote: remote, psk: psk))
    }

    private func field(_ words: [String], after word: String, _ place: Place) -> Field? {
        guard let at = words.firstIndex(of: word), at + 1 < words.count else { return nil }
        return Field(name: word, text: trimmed(words[at + 1], also: "\""), place: place)
    }

    /// `ip addr add L/30 remote R/30 dev NAME`.
    private mutating func takeInside(_ words: [String], _ place: Place) throws(ImportError) {
        guard let local = field(words, after: "add", place), let remote = field(words, after: "remote", place),
            let device = field(words, after: "dev", place)
        else { return }
        try setInside(device.text, local, remote)
    }

    /// `#leftupdown="… -ln NAME -ll L/30 -lr R/30 …"`.
    private mutating func takeUpdown(_ words: [String], _ place: Place) throws(ImportError) {
        guard let local = field(words, after: "-ll", place), let remote = field(words, after: "-lr", place) else {
            return
        }
        guard let name = field(words, after: "-ln", place)?.text ?? sections.last?.name else { return }
        try setInside(name, local, remote)
    }

    private mutating func setInside(_ name: String, _ local: Field, _ remote: Field) throws(ImportError) {
        guard let index = sections.firstIndex(where: { $0.name == name }) else { return }
        let length = context.profile.tunnelInterface.insideLength
        let pair = (try local.prefix(defaultLength: length), try remote.prefix(defaultLength: length))
        if let known = sections[index].tunnel.insideLocal, let other = sections[index].tunnel.insideRemote,
            known.value != pair.0.value || other.value != pair.1.value
        {
            throw ImportError(
                .contradiction, at: local.place,
                "the inside addresses \(pair.0.value) and \(pair.1.value) differ from \(known.value) and "
                    + "\(other.value) of \(known.place?.description ?? "another line")",
                remedy: ImportError.downloadAgain)
        }
        sections[index].tunnel.insideLocal = sections[index].tunnel.insideLocal ?? pair.0
        sections[index].tunnel.insideRemote = sections[index].tunnel.insideRemote ?? pair.1
    }

    /// `ip link set NAME up mtu 1419`.
    private mutating func takeMTU(_ words: [String], _ place: Place) throws(ImportError) {
        guard let mtu = field(words, after: "mtu", place), let at = words.firstIndex(of: "set"),
            at + 1 < words.count,
            let index = sections.firstIndex(where: { $0.name == words[at + 1] || words.contains($0.name) })
        else { return }
        sections[index].tunnel.mtu = try mtu.bytes(576...1500)
    }

    mutating func finish() throws(ImportError) -> [VPNTunnel] {
        var tunnels: [VPNTunnel] = []
        for var section in sections {
            section.settings.merge(defaults) { own, _ in own }
            try apply(section.settings, to: &section.tunnel)
            if let remote = section.tunnel.remoteOutside, let key = keys.first(where: { $0.remote == remote.value }) {
                section.tunnel.psk = key.psk
                if let local = key.local {
                    if let known = section.tunnel.localOutside, known.value != local {
                        throw ImportError(
                            .contradiction, at: key.psk.place, field: "PSK",
                            "the key belongs to \(local), but \(known.place?.description ?? "leftid") says leftid="
                                + "\(known.value)", remedy: ImportError.downloadAgain)
                    }
                    section.tunnel.localOutside =
                        section.tunnel.localOutside ?? Sourced(local, .file, key.psk.place)
                }
            }
            tunnels.append(section.tunnel)
        }
        return tunnels
    }

    private func apply(_ settings: [String: Field], to tunnel: inout VPNTunnel) throws(ImportError) {
        for name in ["leftauth", "rightauth", "authby"] {
            if let field = settings[name], !["psk", "secret"].contains(field.text) {
                throw ImportError(
                    .unsupported, at: field.place, field: name,
                    "the tunnel authenticates by something other than a pre-shared key",
                    remedy: "Gatehouse imports connections with pre-shared keys.")
            }
        }
        if let field = settings["type"], field.text != "tunnel" {
            throw field.fault("\(quoted(field.text)) is not tunnel mode")
        }
        tunnel.remoteOutside = try settings["right"]?.address()
        if let field = settings["leftid"] {
            if let address = IPAddress(field.text) {
                tunnel.localOutside = field.sourced(address)
            } else if let identity = identity(field) {
                tunnel.localID = field.sourced(identity)
            }
        } else if let field = settings["left"], let address = IPAddress(field.text) {
            tunnel.localOutside = field.sourced(address)
        }
        if let field = settings["rightid"], let identity = identity(field),
            identity != tunnel.remoteOutside.map({ IKEIdentity($0.value) })
        {
            tunnel.remoteID = field.sourced(identity)
        }
        // Without the setting strongSwan itself means either version.
        if let field = settings["keyexchange"], field.text != "ike" { tunnel.ikeVersions = try field.ikeVersion() }
        if let field = settings["ikev2"] {
            tunnel.ikeVersions = field.sourced(
                ["insist", "yes", "propose"].contains(field.text) ? [2] : field.text == "permit" ? [2, 1] : [1])
        }
        if let field = settings["leftvti"] { tunnel.insideLocal = try field.inside(context.profile) }
        if let field = settings["ike"] {
            let suites = try Suites(field)
            tunnel.encryption1 = field.sourced(suites.encryption)
            tunnel.integrity1 = suites.integrity.isEmpty ? nil : field.sourced(suites.integrity)
            tunnel.groups1 = suites.groups.isEmpty ? nil : field.sourced(suites.groups)
        }
        if let field = settings["esp"] {
            let suites = try Suites(field)
            tunnel.encryption2 = field.sourced(suites.encryption)
            tunnel.integrity2 = suites.integrity.isEmpty ? nil : field.sourced(suites.integrity)
            tunnel.groups2 = field.sourced(suites.groups)
        }
        tunnel.lifetime1 = try settings["ikelifetime"]?.seconds()
        tunnel.lifetime2 = try settings["lifetime"]?.seconds()
        tunnel.dpdInterval = try settings["dpddelay"]?.seconds(1...3600)
        tunnel.dpdTimeout = try settings["dpdtimeout"]?.seconds(1...86_400)
        tunnel.localSelectors = try selectors(settings["leftsubnet"])
        tunnel.remoteSelectors = try selectors(settings["rightsubnet"])
    }

    private func identity(_ field: Field) -> IKEIdentity? {
        let text = field.text.hasPrefix("@") ? String(field.text.dropFirst()) : field.text
        return text.isEmpty || text == "%any" || text.hasPrefix("<") ? nil : IKEIdentity(text)
    }

    private func selectors(_ field: Field?) throws(ImportError) -> Sourced<[IPPrefix]>? {
        // "<LOCAL NETWORK>" is AWS's own stand-in, not a value.
        guard let field, !field.text.isEmpty, !field.text.hasPrefix("<") else { return nil }
        var prefixes: [IPPrefix] = []
        for part in field.text.split(separator: ",") {
            var one = field
            one.text = trimmed(part)
            prefixes.append(try one.prefix().value)
        }
        return prefixes.isEmpty ? nil : field.sourced(prefixes)
    }
}

/// `aes128-sha1-modp1024,aes256-sha256-modp2048!`: the algorithms of all proposals, each once, in order.
private struct Suites {
    var encryption: [EncryptionAlgorithm] = []
    var integrity: [IntegrityAlgorithm] = []
    var groups: [DHGroup] = []

    init(_ field: Field) throws(ImportError) {
        guard field.text.utf8.count <= 4096 else { throw field.fault("this list is too long to be meant") }
        let text = field.text.hasSuffix("!") ? String(field.text.dropLast()) : field.text
        for proposal in text.split(separator: ",") {
            for word in trimmed(proposal).split(whereSeparator: { "-;+".contains($0) }).map(String.init) {
                if let algorithm = Vocabulary.encryption(word) {
                    if !encryption.contains(algorithm) { encryption.append(algorithm) }
                } else if let algorithm = Vocabulary.integrity(
                    word.hasPrefix("prf") ? String(word.dropFirst(3)) : word)
                {
                    if !integrity.contains(algorithm) { integrity.append(algorithm) }
                } else if let group = Vocabulary.group(word) {
                    if !groups.contains(group) { groups.append(group) }
                } else if !["esn", "noesn", "null"].contains(word) {
                    throw field.fault("\(quoted(word)) is no algorithm that we know")
                }
            }
        }
        guard !encryption.isEmpty else { throw field.fault("there is no encryption algorithm in it") }
    }
}
