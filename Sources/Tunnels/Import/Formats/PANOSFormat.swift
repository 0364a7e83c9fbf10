internal import Base
internal import Cryptography

/// PAN-OS: `edit PATH` goes to a place, `set` gives values there, `top` leaves it. AWS's text has references to names
/// that do not exist, so objects are joined by their numbers where a name is unknown.
struct PANOSFormat: ImportFormat {
    let title = "a Palo Alto PAN-OS configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(prefix: "edit network ike crypto-profiles") }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-panos")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var reader = Reader()
        for line in document.lines { try reader.take(line) }
        let objects = reader.objects
        try checkNeighbors(objects)
        var tunnels: [VPNTunnel] = []
        for gateway in objects.all(.gateway) {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: gateway.place.line, text: ""))
            tunnels.append(try tunnel(gateway, objects, context, &connection))
        }
        try BGPNeighbors(objects).apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private struct Reader {
        var objects = DeviceObjects()
        private var kind: DeviceObjects.Kind?
        private var name = ""

        mutating func take(_ line: ImportDocument.Line) throws(ImportError) {
            guard let command = DeviceCommand(line) else { return }
            switch command.words[0] {
            case "edit": try enter(command)
            case "top": kind = nil
            case "set":
                if command.words.count > 2 { try set(command) }
            default: break
            }
        }

        private mutating func enter(_ command: DeviceCommand) throws(ImportError) {
            let words = command.words
            let paths: [(DevicePattern, DeviceObjects.Kind)] = [
                ("edit network ike crypto-profiles ike-crypto-profiles *", .policy),
                ("edit network ike crypto-profiles ipsec-crypto-profiles *", .transform),
                ("edit network ike gateway *", .gateway), ("edit network tunnel ipsec *", .vpn),
                ("edit network interface tunnel units *", .interface), ("edit peer *", .neighbor),
            ]
            kind = nil
            for (pattern, found) in paths {
                guard let captured = command.match(pattern) else { continue }
                (kind, name) = (found, captured[0])
            }
            if kind == nil, words.count == 4, words[3] == "tunnel", words[2] == "interface" {
                // Its name, "units tunnel.1", comes between its values.
                (kind, name) = (.interface, "on " + command.place.description)
            }
            if kind == nil, words.last == "bgp" { (kind, name) = (.global, "") }
            if let kind, kind != .global { try objects.open(kind, name, command.place) }
        }

        private mutating func set(_ command: DeviceCommand) throws(ImportError) {
            guard let kind else { return }
            let words = command.words
            func put(_ key: String, _ word: String) throws(ImportError) {
                guard let value = command.word(after: word) else { return }
                let text = value == "[" ? Self.bracketed(command, after: word) : value
                try objects.set(kind, name, key, command.field(word, text))
            }
            switch (kind, words[1]) {
            case (.policy, "dh-group"), (.transform, "dh-group"):
                try put("group", "dh-group")
                try putLifetime(command)
            case (.policy, "hash"): try put("integrity", "hash")
            case (.policy, "encryption"): try put("encryption", "encryption")
            case (.policy, "lifetime"), (.transform, "lifetime"): try putLifetime(command)
            case (.transform, "esp"):
                try put("integrity", "authentication")
                try put("encryption", "encryption")
            case (.gateway, "protocol"):
                if words[2] == "version" { return try put("version", "version") }
                if words.contains("dpd") {
                    try put("dpd-interval", "interval")
                    try put("dpd-retries", "retry")
                }
                try put("profile", "ike-crypto-profile")
                if words[2].hasPrefix("ikev") {
                    try objects.set(kind, name, words[2], command.field("protocol", words[2]))
                }
            case (.gateway, "authentication"):
                guard words[2] == "pre-shared-key" else {
                    throw ImportError(
                        .unsupported, at: command.place, field: "authentication",
                        "the tunnel authenticates by something other than a pre-shared key",
                        remedy: "Gatehouse imports connections with pre-shared keys.")
                }
                if words.count > 4 { try objects.set(kind, name, "key", command.field("key", command.rest(from: 4))) }
            case (.gateway, "local-address"): try put("local", "ip")
            case (.gateway, "local-id"): try put("local-id", "id")
            case (.gateway, "peer-address"): try put("remote", "ip")
            case (.vpn, "auto-key"):
                try put("gateway", "ike-gateway")
                try put("profile", "ipsec-crypto-profile")
            case (.vpn, "tunnel-interface"): try put("interface", "tunnel-interface")
            case (.interface, "ip"): try put("address", "ip")
            case (.interface, "units"): try put("units", "units")
            case (.interface, "mtu"): try put("mtu", "mtu")
            case (.interface, "adjust-tcp-mss"): try put("mss", "ipv4-mss-adjustment")
            case (.global, "local-as"): try put("asn", "local-as")
            case (.neighbor, "peer-as"): try put("asn", "peer-as")
            case (.neighbor, "peer-address"): try put("address", "ip")
            case (.neighbor, "local-address"): try put("local", "ip")
            case (.neighbor, "connection-options"): try put("hold", "hold-time")
            default: break
            }
        }

        /// `lifetime seconds 28800`, `lifetime hours 8`.
        private mutating func putLifetime(_ command: DeviceCommand) throws(ImportError) {
            guard let kind, let at = command.words.firstIndex(of: "lifetime"), at + 2 < command.words.count else {
                return
            }
            let text = command.words[at + 2] + " " + command.words[at + 1]
            try objects.set(kind, name, "lifetime", command.field("lifetime", text))
        }

        private static func bracketed(_ command: DeviceCommand, after word: String) -> String {
            guard let at = command.words.firstIndex(of: word) else { return "" }
            return command.words[(at + 2)...].prefix { $0 != "]" }.joined(separator: ",")
        }
    }

    /// The published text has peers outside the tunnel's network and one that is no address: all of it is named.
    private func checkNeighbors(_ objects: DeviceObjects) throws(ImportError) {
        var faults: [(field: Field, reason: String)] = []
        for neighbor in objects.all(.neighbor).prefix(4 * TextFile.tunnelLimit) {
            guard let peer = neighbor["address"] else { continue }
            guard let address = IPAddress(peer.text) else {
                faults.append((peer, "\(quoted(peer.text)) is not an IP address"))
                continue
            }
            if let local = neighbor["local"], let own = IPPrefix(local.text), !own.contains(address) {
                faults.append(
                    (peer, "the BGP peer \(address) is not in the network of our address \(own) (\(local.place))"))
            }
        }
        guard let first = faults.first else { return }
        let more = faults.dropFirst().map { "; \($0.field.place): \($0.reason)" }.joined()
        throw ImportError(
            .contradiction, at: first.field.place, field: "peer-address ip", first.reason + more,
            remedy: "AWS's published example has these faults. " + ImportError.downloadAgain)
    }

    private func tunnel(
        _ gateway: DeviceObjects.Object, _ objects: DeviceObjects, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: gateway.place)
        let suffix = gateway.suffix
        tunnel.remoteOutside = try gateway["remote"]?.address()
        tunnel.takeLocal(gateway["local-id"], &connection)
        if var field = gateway["local"] {
            // The address may stand with the length of the interface's network.
            field.text = String(field.text.prefix { $0 != "/" })
            tunnel.takeLocal(field, &connection)
        }
        tunnel.psk = try gateway["key"]?.deviceKey(context)
        if let version = gateway["version"] {
            tunnel.ikeVersions =
                version.text == "ikev2-preferred" ? version.sourced([2, 1]) : try version.ikeVersion()
        } else if let field = gateway["ikev1"] ?? gateway["ikev2"] {
            tunnel.ikeVersions = try field.ikeVersion()
        }
        try tunnel.takePhase1(objects.find(.policy, gateway["profile"]?.text, suffix: suffix))
        try tunnel.takeDPD(gateway)
        let vpn = objects.all(.vpn).first { $0["gateway"]?.text == gateway.name }
        try tunnel.takePhase2(objects.find(.transform, vpn?["profile"]?.text, suffix: suffix))
        let interfaces = objects.all(.interface)
        let interface =
            vpn?["interface"].flatMap { wanted in
                interfaces.first { $0.name == wanted.text || $0["units"]?.text == wanted.text }
            }
        tunnel.insideLocal = try interface?["address"]?.inside(context.profile)
        tunnel.mtu = try interface?["mtu"]?.bytes(576...1500)
        tunnel.mss = try interface?["mss"]?.bytes(500...1460)
        return tunnel
    }
}
