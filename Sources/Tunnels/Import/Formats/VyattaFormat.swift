internal import Base
internal import Cryptography

/// Vyatta, VyOS and EdgeOS: `set` commands, each naming its group, peer or interface.
struct VyattaFormat: ImportFormat {
    let title = "a Vyatta, VyOS or EdgeOS configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(prefix: "set vpn ipsec ike-group") }

    private static let groups = DeviceGrammar([
        ("set vpn ipsec ike-group * lifetime *", .proposal, "lifetime"),
        ("set vpn ipsec ike-group * key-exchange *", .proposal, "version"),
        ("set vpn ipsec ike-group * proposal * dh-group *", .proposal, "group"),
        ("set vpn ipsec ike-group * proposal * encryption *", .proposal, "encryption"),
        ("set vpn ipsec ike-group * proposal * hash *", .proposal, "integrity"),
        ("set vpn ipsec ike-group * dead-peer-detection interval *", .proposal, "dpd-interval"),
        ("set vpn ipsec ike-group * dead-peer-detection timeout *", .proposal, "dpd-timeout"),
        ("set vpn ipsec esp-group * lifetime *", .ipsec, "lifetime"),
        ("set vpn ipsec esp-group * mode *", .ipsec, "mode"),
        ("set vpn ipsec esp-group * pfs *", .ipsec, "group"),
        ("set vpn ipsec esp-group * proposal * encryption *", .ipsec, "encryption"),
        ("set vpn ipsec esp-group * proposal * hash *", .ipsec, "integrity"),
    ])

    private static let grammar = DeviceGrammar([
        ("set vpn ipsec site-to-site peer * authentication mode *", .gateway, "authentication"),
        ("set vpn ipsec site-to-site peer * authentication pre-shared-secret *", .gateway, "key"),
        ("set vpn ipsec site-to-site peer * authentication local-id *", .gateway, "identity"),
        ("set vpn ipsec site-to-site peer * authentication id *", .gateway, "identity"),
        ("set vpn ipsec site-to-site peer * remote-address *", .gateway, "remote"),
        ("set vpn ipsec site-to-site peer * local-address *", .gateway, "local"),
        ("set vpn ipsec site-to-site peer * ike-group *", .gateway, "ike-group"),
        ("set vpn ipsec site-to-site peer * default-esp-group *", .gateway, "default-esp-group"),
        ("set vpn ipsec site-to-site peer * vti bind *", .gateway, "interface"),
        ("set vpn ipsec site-to-site peer * vti esp-group *", .gateway, "esp-group"),
        ("set vpn ipsec authentication psk * secret *", .key, "key"),
        ("set interfaces vti * address *", .interface, "address"),
        ("set interfaces vti * mtu *", .interface, "mtu"),
        ("set interfaces vti * ip adjust-mss *", .interface, "mss"),
        ("set firewall options interface * adjust-mss *", .interface, "mss"),
        ("set protocols bgp * neighbor * remote-as *", .neighbor, "asn"),
        ("set protocols bgp neighbor * remote-as *", .neighbor, "asn"),
        ("set protocols bgp neighbor * timers holdtime *", .neighbor, "hold"),
        ("set protocols bgp system-as *", .global, "asn"),
        ("set protocols bgp local-as *", .global, "asn"),
    ])

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-vyatta")
        connection.warnings = document.warnings
        try TextFile.readHeader(document, into: &connection)
        var objects = DeviceObjects()
        for line in document.lines where line.text.hasPrefix("set ") {
            guard let command = DeviceCommand(line) else { continue }
            try take(command, &objects, &connection)
        }
        var tunnels: [VPNTunnel] = []
        for peer in objects.all(.gateway) {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: peer.place.line, text: ""))
            tunnels.append(try tunnel(peer, objects, context, &connection))
        }
        let neighbors = BGPNeighbors(objects)
        try neighbors.apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private func take(
        _ command: DeviceCommand, _ objects: inout DeviceObjects, _ connection: inout VPNConnection
    ) throws(ImportError) {
        // "bgp AS neighbor R": the first asterisk is ours and not the object's name.
        if let captured = command.match("set protocols bgp * neighbor * *") {
            try objects.set(.global, "", "asn", command.field("bgp", captured[0]))
            let neighbor = captured[1]
            switch captured[2] {
            case "remote-as":
                try objects.set(.neighbor, neighbor, "asn", command.field("remote-as", command.rest(from: 7)))
            case "timers":
                if let hold = command.word(after: "holdtime") {
                    try objects.set(.neighbor, neighbor, "hold", command.field("holdtime", hold))
                }
            default: break
            }
        } else if let captured = command.match("set vpn ipsec authentication psk * id *") {
            try objects.set(.key, captured[0], "id " + captured[1], command.field("id", captured[1]))
        } else if command.words.count > 3, command.words[3] == "ike-group" || command.words[3] == "esp-group" {
            // The two tunnels write the same groups: for the device the last value counts.
            var one = DeviceObjects()
            try Self.groups.take(command, into: &one)
            for kind in [DeviceObjects.Kind.proposal, .ipsec] {
                for object in one.all(kind) {
                    for (key, field) in object.values {
                        guard let known = try objects.replace(kind, object.name, key, field) else { continue }
                        connection.warnings.append(
                            "\(field.place), \(field.name): this differs from what \(known.place) says for the same "
                                + "group; the last one is used, as the device does")
                    }
                }
            }
        } else {
            try Self.grammar.take(command, into: &objects)
        }
    }

    private func tunnel(
        _ peer: DeviceObjects.Object, _ objects: DeviceObjects, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: peer.place)
        // Newer VyOS gives peers names and says the address apart.
        tunnel.remoteOutside =
            try (peer["remote"] ?? Field(name: "peer", text: peer.name, place: peer.place)).address()
        if let field = peer["authentication"], field.text != "pre-shared-secret" {
            throw ImportError(
                .unsupported, at: field.place, field: "authentication mode",
                "the tunnel authenticates by something other than a pre-shared key",
                remedy: "Gatehouse imports connections with pre-shared keys.")
        }
        let remote = tunnel.remoteOutside?.value.description ?? ""
        let keys = objects.all(.key)
        let shared =
            keys.first { $0["id " + remote] != nil } ?? objects.named(.key, peer.name)
            ?? (keys.count == 1 && keys[0].values.count == 1 ? keys[0] : nil)
        tunnel.psk = try (peer["key"] ?? shared?["key"])?.deviceKey(context)
        // Behind a NAT the identity is the address that AWS knows us by.
        tunnel.takeLocal(peer["identity"], &connection)
        tunnel.takeLocal(peer["local"], &connection)

        let suffix = peer["interface"].flatMap { DeviceObjects.suffix($0.text) }
        let ike = objects.find(.proposal, peer["ike-group"]?.text, suffix: suffix)
        try tunnel.takePhase1(ike)
        try tunnel.takeDPD(ike)
        tunnel.ikeVersions = try ike?["version"]?.ikeVersion()
        let esp = objects.find(.ipsec, (peer["esp-group"] ?? peer["default-esp-group"])?.text, suffix: suffix)
        if let mode = esp?["mode"], mode.text != "tunnel" {
            throw mode.fault("\(quoted(mode.text)) is not tunnel mode")
        }
        if var own = esp {
            // "enable" means the group of phase 1.
            let followsPhase1 = own["group"]?.text == "enable"
            if followsPhase1 { own.values["group"] = nil }
            try tunnel.takePhase2(own)
            if followsPhase1 { tunnel.groups2 = tunnel.groups1.map { Sourced($0.value, .derived, $0.place) } }
        }
        if let interface = objects.named(.interface, peer["interface"]?.text) {
            tunnel.insideLocal = try interface["address"]?.inside(context.profile)
            tunnel.mtu = try interface["mtu"]?.bytes(576...1500)
            tunnel.mss = try interface["mss"]?.bytes(500...1460)
        }
        return tunnel
    }
}
