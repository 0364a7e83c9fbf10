internal import Base
internal import Cryptography

/// Yamaha RTX: commands with the number of the gateway in them, and tunnel settings behind `tunnel select N`.
struct YamahaFormat: ImportFormat {
    let title = "a Yamaha RTX configuration"

    func recognises(_ document: ImportDocument) -> Bool {
        document.lines.contains {
            $0.text.hasPrefix("ipsec ike pre-shared-key ") && $0.text.containsBytes(" text ")
        }
    }

    private static let grammar = DeviceGrammar([
        ("ipsec ike encryption * *", .gateway, "encryption"), ("ipsec ike group * *", .gateway, "group"),
        ("ipsec ike hash * *", .gateway, "integrity"), ("ipsec ike version * *", .gateway, "version"),
        ("ipsec ike pre-shared-key * text *", .gateway, "key"),
        ("ipsec ike remote address * *", .gateway, "remote"), ("ipsec ike local address * *", .gateway, "local"),
        ("ipsec ike local name * *", .gateway, "local-name"), ("ipsec ike pfs * *", .gateway, "pfs"),
        ("ipsec ike duration ipsec-sa * *", .gateway, "lifetime2"),
        ("ipsec ike duration ike-sa * *", .gateway, "lifetime"),
        ("ipsec ike duration isakmp-sa * *", .gateway, "lifetime"),
        ("bgp autonomous-system *", .global, "asn"),
    ])

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-yamaha")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var objects = DeviceObjects()
        var selected: String?
        for line in document.lines {
            guard let command = DeviceCommand(line) else { continue }
            try take(command, &selected, &objects)
        }
        var tunnels: [VPNTunnel] = []
        for gateway in objects.all(.gateway) where gateway["key"] != nil || gateway["remote"] != nil {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: gateway.place.line, text: ""))
            tunnels.append(try tunnel(gateway, objects, context, &connection))
        }
        try BGPNeighbors(objects).apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private func take(
        _ command: DeviceCommand, _ selected: inout String?, _ objects: inout DeviceObjects
    ) throws(ImportError) {
        let words = command.words
        guard words.count >= 3 else { return }
        switch words[0] + " " + words[1] {
        case "tunnel select": selected = UInt16(words[2]) == nil ? nil : words[2]
        case "ipsec sa":
            // ipsec sa policy 201 N esp aes-cbc sha-hmac
            guard words.count >= 7, words[2] == "policy" else { return }
            guard words[5] == "esp" else {
                throw command.field("ipsec sa policy", words[5]).fault("\(quoted(words[5])) is not ESP")
            }
            try objects.set(.transform, words[4], "encryption", command.field("ipsec sa policy", words[6]))
            if words.count > 7 {
                try objects.set(.transform, words[4], "integrity", command.field("ipsec sa policy", words[7]))
            }
        case "ipsec ike":
            if let captured = command.match("ipsec ike keepalive use * *") {
                if let at = words.firstIndex(of: "dpd"), at + 2 < words.count {
                    try objects.set(.gateway, captured[0], "dpd-interval", command.field("dpd", words[at + 1]))
                    try objects.set(.gateway, captured[0], "dpd-retries", command.field("dpd", words[at + 2]))
                }
            } else if words.count >= 5, UInt16(words[3]) != nil || UInt16(words[4]) != nil {
                try Self.grammar.take(command, into: &objects)
            }
        case "ip tunnel": try takeTunnel(command, selected, &objects)
        case "bgp neighbor":
            // bgp neighbor N PEERAS R hold-time=30 local-address=L
            guard words.count >= 5 else { return }
            try objects.set(.neighbor, words[4], "asn", command.field("bgp neighbor", words[3]))
            for word in words[5...] where word.hasPrefix("hold-time=") {
                try objects.set(.neighbor, words[4], "hold", command.field("hold-time", String(word.dropFirst(10))))
            }
        default: try Self.grammar.take(command, into: &objects)
        }
    }

    private func takeTunnel(
        _ command: DeviceCommand, _ selected: String?, _ objects: inout DeviceObjects
    ) throws(ImportError) {
        guard let selected else { return }
        let forms: [(DevicePattern, String)] = [
            ("ip tunnel address *", "address"), ("ip tunnel remote address *", "peer"),
            ("ip tunnel tcp mss limit *", "mss"), ("ip tunnel mtu *", "mtu"),
        ]
        for (pattern, key) in forms {
            guard let captured = command.match(pattern), captured[0] != "auto" else { continue }
            try objects.set(.interface, selected, key, command.field(key, captured[0]))
        }
    }

    private func tunnel(
        _ gateway: DeviceObjects.Object, _ objects: DeviceObjects, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: gateway.place)
        tunnel.remoteOutside = try gateway["remote"]?.address()
        if let name = gateway["local-name"] { tunnel.takeLocal(name, &connection) }
        // AWS writes YOUR_LOCAL_NETWORK_ADDRESS here, and administrators the address of a LAN: neither is ours outside.
        tunnel.takeLocal(gateway["local"], &connection)
        tunnel.psk = try gateway["key"]?.deviceKey(context)
        // The router speaks IKEv1 where nothing else is said.
        tunnel.ikeVersions = try gateway["version"]?.ikeVersion() ?? Sourced([1], .file, gateway.place)
        try tunnel.takePhase1(gateway)
        try tunnel.takeDPD(gateway)
        try tunnel.takePhase2(objects.named(.transform, gateway.name))
        if let field = gateway["lifetime2"] { tunnel.lifetime2 = try field.seconds() }
        if let pfs = gateway["pfs"] {
            // "on" means the group of phase 1.
            tunnel.groups2 =
                pfs.text == "on" ? tunnel.groups1.map { Sourced($0.value, .derived, $0.place) } : pfs.sourced([])
        }
        if let interface = objects.named(.interface, gateway.name) {
            tunnel.insideLocal = try interface["address"]?.inside(context.profile)
            tunnel.insideRemote = try interface["peer"]?.inside(context.profile)
            tunnel.mss = try interface["mss"]?.bytes(500...1460)
            tunnel.mtu = try interface["mtu"]?.bytes(576...1500)
        }
        return tunnel
    }
}
