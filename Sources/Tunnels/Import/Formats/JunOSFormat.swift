internal import Base
internal import Cryptography

/// JunOS on SRX and J-Series: `set security` commands. AWS's J-Series text mixes up the numbers of its references,
/// so the number in an object's own name decides to which tunnel it belongs.
struct JunOSFormat: ImportFormat {
    let title = "a Juniper JunOS configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(prefix: "set security ike proposal") }

    private static let grammar = DeviceGrammar([
        ("set security ike proposal * authentication-method *", .policy, "authentication"),
        ("set security ike proposal * authentication-algorithm *", .policy, "integrity"),
        ("set security ike proposal * encryption-algorithm *", .policy, "encryption"),
        ("set security ike proposal * lifetime-seconds *", .policy, "lifetime"),
        ("set security ike proposal * dh-group *", .policy, "group"),
        ("set security ike policy * proposals *", .profile, "proposal"),
        ("set security ike policy * pre-shared-key ascii-text *", .profile, "key"),
        ("set security ike gateway * ike-policy *", .gateway, "policy"),
        ("set security ike gateway * address *", .gateway, "remote"),
        ("set security ike gateway * local-address *", .gateway, "local"),
        ("set security ike gateway * local-identity inet *", .gateway, "identity"),
        ("set security ike gateway * version *", .gateway, "version"),
        ("set security ipsec proposal * authentication-algorithm *", .transform, "integrity"),
        ("set security ipsec proposal * encryption-algorithm *", .transform, "encryption"),
        ("set security ipsec proposal * lifetime-seconds *", .transform, "lifetime"),
        ("set security ipsec proposal * protocol *", .transform, "protocol"),
        ("set security ipsec policy * perfect-forward-secrecy keys *", .ipsec, "group"),
        ("set security ipsec policy * proposals *", .ipsec, "proposal"),
        ("set security ipsec vpn * bind-interface *", .vpn, "interface"),
        ("set security ipsec vpn * ike gateway *", .vpn, "gateway"),
        ("set security ipsec vpn * ike ipsec-policy *", .vpn, "policy"),
        ("set security ipsec vpn * vpn-monitor destination-ip *", .vpn, "monitor"),
        ("set security flow tcp-mss ipsec-vpn mss *", .global, "mss"),
        ("set interfaces * family inet address *", .interface, "address"),
        ("set interfaces * family inet mtu *", .interface, "mtu"),
        ("set routing-options autonomous-system *", .global, "asn"),
    ])

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-junos")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var objects = DeviceObjects()
        var commented: Field?
        for line in document.lines {
            if let local = TextFile.commentedLocal(line) { commented = commented ?? local }
            guard line.text.hasPrefix("set "), let command = DeviceCommand(line) else { continue }
            try take(command, &objects)
        }
        var tunnels: [VPNTunnel] = []
        let ends = objects.all(.vpn).isEmpty ? objects.all(.gateway) : objects.all(.vpn)
        for end in ends {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: end.place.line, text: ""))
            tunnels.append(try tunnel(end, objects, commented, context, &connection))
        }
        try BGPNeighbors(objects).apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private func take(_ command: DeviceCommand, _ objects: inout DeviceObjects) throws(ImportError) {
        if let captured = command.match("set security ike gateway * dead-peer-detection") {
            for (word, key) in [("interval", "dpd-interval"), ("threshold", "dpd-retries")] {
                if let value = command.word(after: word) {
                    try objects.set(.gateway, captured[0], key, command.field(word, value))
                }
            }
        } else if let captured = command.match("set protocols bgp group * neighbor *"), command.words.count >= 8 {
            for (word, key) in [("peer-as", "asn"), ("hold-time", "hold"), ("local-as", "local-asn")] {
                if let value = command.word(after: word) {
                    try objects.set(.neighbor, captured[1], key, command.field(word, value))
                }
            }
        } else if let captured = command.match("set interfaces * unit * family inet * *") {
            // The long way of writing st0.1.
            let key = ["address": "address", "mtu": "mtu"][captured[2]]
            if let key {
                try objects.set(
                    .interface, captured[0] + "." + captured[1], key, command.field(captured[2], captured[3]))
            }
        } else {
            try Self.grammar.take(command, into: &objects)
        }
    }

    private func tunnel(
        _ end: DeviceObjects.Object, _ objects: DeviceObjects, _ commented: Field?, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: end.place)
        let suffix = end.suffix
        func find(_ kind: DeviceObjects.Kind, _ reference: Field?) -> DeviceObjects.Object? {
            let found = objects.find(kind, reference?.text, suffix: suffix, suffixFirst: true)
            if let reference, let found, objects.named(kind, reference.text).map({ $0.name != found.name }) ?? true {
                connection.warnings.append(
                    "\(reference.place), \(reference.name): this refers to another tunnel's object; the one with this "
                        + "tunnel's number is used")
            }
            return found
        }
        let gateway = end.kind == .gateway ? end : find(.gateway, end["gateway"])
        let profile = find(.profile, gateway?["policy"])
        let proposal = find(.policy, profile?["proposal"])
        let ipsec = find(.ipsec, end["policy"])
        let transform = find(.transform, ipsec?["proposal"])
        if let field = proposal?["authentication"], field.text != "pre-shared-keys" {
            throw ImportError(
                .unsupported, at: field.place, field: field.name,
                "the tunnel authenticates by something other than a pre-shared key",
                remedy: "Gatehouse imports connections with pre-shared keys.")
        }
        if let field = transform?["protocol"], field.text != "esp" {
            throw field.fault("\(quoted(field.text)) is not ESP")
        }
        tunnel.remoteOutside = try gateway?["remote"]?.address()
        tunnel.takeLocal(gateway?["identity"], &connection)
        tunnel.takeLocal(gateway?["local"], &connection)
        tunnel.takeLocal(commented, &connection)
        tunnel.psk = try profile?["key"]?.deviceKey(context)
        if let version = gateway?["version"] {
            tunnel.ikeVersions = version.sourced(version.text == "v2-only" ? [2] : [1])
        } else {
            // JunOS speaks IKEv1 where nothing else is said.
            tunnel.ikeVersions = gateway.map { Sourced([1], .file, $0.place) }
        }
        try tunnel.takePhase1(proposal)
        try tunnel.takePhase2(ipsec)
        try tunnel.takePhase2(transform)
        try tunnel.takeDPD(gateway)
        // The interface is the tunnel's own, whatever its number.
        let interface = objects.named(.interface, end["interface"]?.text)
        tunnel.insideLocal = try interface?["address"]?.inside(context.profile)
        tunnel.mtu = try interface?["mtu"]?.bytes(576...1500)
        tunnel.mss = try objects.global("mss")?.bytes(500...1460)
        if let field = end["monitor"], let own = tunnel.insideLocal,
            let peer = IPPrefix(try field.address().value, length: own.value.length)
        {
            tunnel.insideRemote = field.sourced(peer)
        }
        return tunnel
    }
}
