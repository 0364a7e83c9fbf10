internal import Base
internal import Cryptography

/// The command language that IOS and ASA have in common: blocks that a line opens and `exit` or the next block ends.
struct CiscoReader {
    let context: ImportContext
    private(set) var objects = DeviceObjects()
    private var block: (kind: DeviceObjects.Kind, name: String)?
    /// The keyring whose peers are being read: each peer is an object of its own.
    private var keyring = ""
    /// A keyring or profile of IKEv2 says which IKE it is.
    private(set) var version: Sourced<Int>?

    init(context: ImportContext) { self.context = context }

    mutating func take(_ line: ImportDocument.Line) throws(ImportError) {
        guard let command = DeviceCommand(line) else { return }
        let words = command.words
        switch words[0] {
        case "crypto": try takeCrypto(command)
        case "interface":
            guard words.count >= 2, words[1].hasPrefix("Tunnel") || words[1].hasPrefix("tunnel") else {
                block = nil
                return
            }
            try open(.interface, words.count > 2 ? words[1] + words[2] : words[1], command.place)
        case "router":
            block = nil
            if words.count >= 3, words[1] == "bgp" {
                try objects.set(.global, "", "asn", command.field("router bgp", words[2]))
            }
        case "tunnel-group":
            guard words.count >= 3 else { return }
            if words[2] == "type" {
                block = nil
                if words.last == "ipsec-l2l" { try objects.open(.gateway, words[1], command.place) }
            } else if words[2] == "ipsec-attributes" {
                try open(.gateway, words[1], command.place)
            }
        case "sysopt":
            if let size = command.word(after: "tcpmss") {
                try objects.set(.global, "", "mss", command.field("tcpmss", size))
            }
        case "neighbor": try takeNeighbor(command)
        default: try takeSetting(command)
        }
    }

    private mutating func open(_ kind: DeviceObjects.Kind, _ name: String, _ place: Place) throws(ImportError) {
        block = (kind, name)
        try objects.open(kind, name, place)
    }

    private mutating func set(_ key: String, _ command: DeviceCommand, _ text: String) throws(ImportError) {
        guard let block else { return }
        try objects.set(block.kind, block.name, key, command.field(command.words[0], text))
    }

    private mutating func takeCrypto(_ command: DeviceCommand) throws(ImportError) {
        let words = command.words
        block = nil
        func name(_ index: Int) -> String? { index < words.count ? words[index] : nil }
        switch words.dropFirst().prefix(2).joined(separator: " ") {
        case "isakmp policy", "ikev1 policy":
            if let name = name(3) { try open(.policy, name, command.place) }
            noteVersion(1, command)
        case "ikev2 proposal":
            if let name = name(3) { try open(.policy, name, command.place) }
            noteVersion(2, command)
        case "ikev2 policy":
            // On IOS this only refers to a proposal, and its lines are none of a proposal's; on ASA it is the proposal.
            if let name = name(3) { try open(.policy, "policy " + name, command.place) }
            noteVersion(2, command)
        case "ikev2 keyring":
            keyring = name(3) ?? ""
            try open(.key, keyring, command.place)
        case "isakmp profile", "ikev2 profile": if let name = name(3) { try open(.profile, name, command.place) }
        case "isakmp key":
            // crypto isakmp key K address R
            if let address = command.word(after: "address"), let at = words.firstIndex(of: "address"), at > 3 {
                try objects.set(
                    .key, "isakmp " + address, "key", command.field("key", words[3..<at].joined(separator: " ")))
                try objects.set(.key, "isakmp " + address, "remote", command.field("address", address))
            }
        case "isakmp keepalive", "ikev2 dpd":
            if let interval = name(3) {
                try objects.set(.global, "", "dpd-interval", command.field(words[2], interval))
            }
        case "ipsec transform-set": try takeTransform(command, from: 3)
        case "ipsec ikev1": if name(3) == "transform-set" { try takeTransform(command, from: 4) }
        case "ipsec ikev2":
            if name(3) == "ipsec-proposal", let name = name(4) { try open(.transform, name, command.place) }
        case "ipsec profile": if let name = name(3) { try open(.ipsec, name, command.place) }
        case "ipsec security-association":
            if let size = command.word(after: "window-size") {
                try objects.set(.global, "", "window", command.field("window-size", size))
            }
        default:
            if name(1) == "keyring" {
                keyring = name(2) ?? ""
                try open(.key, keyring, command.place)
            }
        }
    }

    private mutating func noteVersion(_ number: Int, _ command: DeviceCommand) {
        if version == nil || number > (version?.value ?? 0) { version = Sourced(number, .file, command.place) }
    }

    /// `NAME esp-aes 128 esp-sha-hmac`.
    private mutating func takeTransform(_ command: DeviceCommand, from index: Int) throws(ImportError) {
        guard index < command.words.count else { return }
        try open(.transform, command.words[index], command.place)
        var parts: [String] = []
        for word in command.words[(index + 1)...] {
            if let last = parts.last, word.utf8.allSatisfy({ (48...57).contains($0) }) {
                parts[parts.count - 1] = last + " " + word
            } else {
                parts.append(word)
            }
        }
        for part in parts {
            let field = command.field("transform-set", part)
            let key = Vocabulary.integrity(part) != nil ? "integrity" : "encryption"
            try objects.set(.transform, command.words[index], key, field)
        }
    }

    /// `neighbor R remote-as N`, `neighbor R timers KEEPALIVE HOLD …`, wherever it stands.
    private mutating func takeNeighbor(_ command: DeviceCommand) throws(ImportError) {
        let words = command.words
        guard words.count >= 4 else { return }
        if words[2] == "remote-as" {
            try objects.set(.neighbor, words[1], "asn", command.field("remote-as", words[3]))
        } else if words[2] == "timers", words.count >= 5 {
            try objects.set(.neighbor, words[1], "hold", command.field("timers", words[4]))
        }
    }

    private mutating func takeSetting(_ command: DeviceCommand) throws(ImportError) {
        guard let kind = block?.kind else { return }
        let words = command.words
        switch kind {
        case .policy: try takePolicy(command)
        case .key: try takeKey(command)
        case .profile: try takeProfile(command)
        case .transform:
            if words.count >= 4, words[0] == "protocol", words[1] == "esp" {
                try set(words[2] == "integrity" ? "integrity" : "encryption", command, command.rest(from: 3))
            } else if words[0] == "mode", words.count == 2, words[1] != "tunnel" {
                throw command.field("mode", words[1]).fault("\(quoted(words[1])) is not tunnel mode")
            }
        case .ipsec:
            if words.count >= 3, words[0] == "set" { try takeIPsec(command) }
        case .gateway:
            if let key = command.word(after: "pre-shared-key"), words[0].hasPrefix("ikev") {
                try objects.set(
                    .gateway, block?.name ?? "", "key",
                    command.field("pre-shared-key", words.last == key ? key : command.rest(from: words.count - 2)))
                noteVersion(words[0] == "ikev2" ? 2 : 1, command)
            } else if let interval = command.word(after: "threshold") {
                try set("dpd-interval", command, interval)
            }
        case .interface: try takeInterface(command)
        default: break
        }
    }

    private mutating func takePolicy(_ command: DeviceCommand) throws(ImportError) {
        switch command.words[0] {
        case "encryption", "encr": try set("encryption", command, Self.listed(command))
        case "hash", "integrity": try set("integrity", command, Self.listed(command))
        case "group": try set("group", command, Self.listed(command))
        case "lifetime": try set("lifetime", command, command.words.last ?? "")
        case "authentication":
            guard command.rest(from: 1) == "pre-share" else {
                throw ImportError(
                    .unsupported, at: command.place, field: "authentication",
                    "the tunnel authenticates by something other than a pre-shared key",
                    remedy: "Gatehouse imports connections with pre-shared keys.")
            }
        default: break
        }
    }

    /// `aes 128` is one value, `aes-cbc-128 aes-cbc-256` and `14 19` are lists.
    private static func listed(_ command: DeviceCommand) -> String {
        let words = Array(command.words.dropFirst())
        if words.count == 2, words[0] == "aes" { return words.joined(separator: " ") }
        return words.joined(separator: ",")
    }

    private mutating func takeKey(_ command: DeviceCommand) throws(ImportError) {
        let words = command.words
        switch words[0] {
        case "local-address": try objects.set(.key, keyring, "local", command.field(words[0], command.rest(from: 1)))
        case "peer": if words.count > 1 { try open(.key, keyring + " " + words[1], command.place) }
        case "address": try set("remote", command, words.count > 1 ? words[1] : "")
        case "pre-shared-key":
            // IKEv1: pre-shared-key address R key K. IKEv2: pre-shared-key [local | remote] K.
            if words.count > 2, words[1] == "address" {
                try open(.key, keyring + " " + words[2], command.place)
                try set("remote", command, words[2])
                if let at = words.firstIndex(of: "key") { try set("key", command, command.rest(from: at + 1)) }
            } else {
                let index = words.count > 1 && (words[1] == "local" || words[1] == "remote") ? 2 : 1
                try set("key", command, command.rest(from: index))
            }
        default: break
        }
    }

    private mutating func takeProfile(_ command: DeviceCommand) throws(ImportError) {
        let words = command.words
        switch words[0] {
        case "local-address": try set("local", command, command.rest(from: 1))
        case "match":
            // One profile may serve both tunnels.
            if words.contains("identity"), let address = command.word(after: "address") {
                try set("remote " + address, command, address)
            } else if let address = command.word(after: "local") {
                try set("local", command, address == "address" ? words.last ?? "" : address)
            }
        case "keyring": try set("keyring", command, words.last ?? "")
        case "lifetime": try set("lifetime", command, words.last ?? "")
        case "dpd", "keepalive": if words.count > 1 { try set("dpd-interval", command, words[1]) }
        case "identity":
            if words.count > 3, words[1] == "local", words[2] == "address" { try set("local", command, words[3]) }
        default: break
        }
    }

    private mutating func takeIPsec(_ command: DeviceCommand) throws(ImportError) {
        let words = command.words
        switch words[1] {
        case "pfs": try set("group", command, words[2])
        case "security-association":
            if words.contains("seconds"), let seconds = command.word(after: "seconds") {
                try set("lifetime", command, seconds)
            }
        case "transform-set": try set("transform", command, words[2])
        case "ikev1", "ikev2": if words.count > 3 { try set("transform", command, words[3]) }
        case "ikev2-profile", "isakmp-profile": try set("profile", command, words[2])
        default: break
        }
    }

    private mutating func takeInterface(_ command: DeviceCommand) throws(ImportError) {
        let words = command.words
        switch words.prefix(2).joined(separator: " ") {
        case "ip address": try set("address", command, words.dropFirst(2).prefix(2).joined(separator: " "))
        case "ip tcp": if let size = command.word(after: "adjust-mss") { try set("mss", command, size) }
        case "ip mtu": if words.count > 2 { try set("mtu", command, words[2]) }
        case "tunnel source": if words.count > 2 { try set("local", command, words[words.count - 1]) }
        case "tunnel destination": if words.count > 2 { try set("remote", command, words[2]) }
        case "tunnel protection": if let name = command.word(after: "profile") { try set("profile", command, name) }
        default: break
        }
    }

    // MARK: To tunnels

    func tunnels(_ connection: inout VPNConnection) throws(ImportError) -> [VPNTunnel] {
        let interfaces = objects.all(.interface).filter { $0["remote"] != nil }
        let policies = try self.policies()
        var tunnels: [VPNTunnel] = []
        for (position, interface) in interfaces.enumerated() {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: interface.place.line, text: ""))
            var tunnel = VPNTunnel(place: interface.place)
            tunnel.remoteOutside = try interface["remote"]?.address()
            let remote = tunnel.remoteOutside?.value.description ?? ""
            func speaksToIt(_ object: DeviceObjects.Object) -> Bool {
                object["remote"]?.text == remote || object["remote " + remote] != nil
            }

            let ipsec = objects.named(.ipsec, interface["profile"]?.text)
            let profile =
                objects.named(.profile, ipsec?["profile"]?.text) ?? objects.all(.profile).first(where: speaksToIt)
            let keyring = objects.all(.key).first(where: speaksToIt) ?? objects.named(.key, profile?["keyring"]?.text)
            let group = objects.named(.gateway, remote)
            tunnel.psk = try (keyring?["key"] ?? group?["key"])?.deviceKey(context)
            let ring = objects.named(.key, profile?["keyring"]?.text)
            for object in [interface, keyring, ring, profile] { tunnel.takeLocal(object?["local"], &connection) }
            if let version { tunnel.ikeVersions = version.map { [$0] } }

            // Policies are a list of the whole device: one for each tunnel in their order, or all for every one.
            if policies.count == interfaces.count {
                try tunnel.takePhase1(policies[position])
            } else {
                try takeAll(policies, &tunnel)
            }
            if let lifetime = profile?["lifetime"] { tunnel.lifetime1 = try lifetime.seconds() }
            try tunnel.takePhase2(ipsec)
            try takeTransform(ipsec, &tunnel)
            try tunnel.takeDPD(objects.named(.global, ""))
            try tunnel.takeDPD(profile)
            try tunnel.takeDPD(group)
            tunnel.replayWindow = try objects.global("window")?.number(1...1_000_000)
            tunnel.insideLocal = try interface["address"]?.inside(context.profile)
            tunnel.mtu = try interface["mtu"]?.bytes(576...1500)
            tunnel.mss = try (interface["mss"] ?? objects.global("mss"))?.bytes(500...1460)
            tunnels.append(tunnel)
        }
        try BGPNeighbors(objects).apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        return tunnels
    }

    private func policies() throws(ImportError) -> [DeviceObjects.Object] {
        objects.all(.policy).filter { $0["encryption"] != nil || $0["group"] != nil || $0["integrity"] != nil }
    }

    private func takeTransform(_ ipsec: DeviceObjects.Object?, _ tunnel: inout VPNTunnel) throws(ImportError) {
        guard let name = ipsec?["transform"],
            let transform = objects.find(.transform, name.text, suffix: ipsec?.suffix)
        else { return }
        try tunnel.takePhase2(transform)
    }

    /// The union of what several policies offer, in their order.
    private func takeAll(_ policies: [DeviceObjects.Object], _ tunnel: inout VPNTunnel) throws(ImportError) {
        guard let first = policies.first else { return }
        var union = first
        for policy in policies.dropFirst() {
            for (key, field) in policy.values {
                guard let known = union.values[key] else {
                    union.values[key] = field
                    continue
                }
                guard known.text != field.text, key != "lifetime" else { continue }
                union.values[key]?.text = known.text + "," + field.text
            }
        }
        try tunnel.takePhase1(union)
    }
}
