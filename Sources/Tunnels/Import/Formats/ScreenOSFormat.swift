internal import Base
internal import Cryptography

/// ScreenOS on SSG, ISG and NetScreen: proposals on one line each.
struct ScreenOSFormat: ImportFormat {
    let title = "a Juniper ScreenOS configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(prefix: "set ike p1-proposal") }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-screenos")
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
        for gateway in objects.all(.gateway) where gateway["remote"] != nil {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: gateway.place.line, text: ""))
            tunnels.append(try tunnel(gateway, objects, commented, context, &connection))
        }
        try BGPNeighbors(objects).apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private func take(_ command: DeviceCommand, _ objects: inout DeviceObjects) throws(ImportError) {
        let words = command.words
        guard words.count >= 4 else {
            if words.count == 3, words[1] == "hold-time" {
                try objects.set(.global, "", "hold", command.field("hold-time", words[2]))
            }
            return
        }
        switch words[1] + " " + words[2] {
        case "ike p1-proposal": try takeProposal(command, .policy, &objects)
        case "ike p2-proposal": try takeProposal(command, .transform, &objects)
        case "ike gateway": try takeGateway(command, &objects)
        case "flow vpn-tcp-mss", "flow tcp-mss": try objects.set(.global, "", "mss", command.field(words[2], words[3]))
        case "protocol bgp": try objects.set(.global, "", "asn", command.field("protocol bgp", words[3]))
        default: break
        }
        switch words[1] {
        case "vrouter":
            if let number = command.word(after: "bgp"), UInt32(number) != nil {
                try objects.set(.global, "", "asn", command.field("protocol bgp", number))
            }
        case "vpn":
            for (word, key) in [("gateway", "gateway"), ("proposal", "proposal"), ("interface", "interface")] {
                if let value = command.word(after: word) {
                    try objects.set(.vpn, words[2], key, command.field(word, value))
                }
            }
        case "interface":
            let key = ["ip": "address", "mtu": "mtu"][words[3]]
            if let key, words[2].hasPrefix("tunnel."), words.count >= 5 {
                try objects.set(.interface, words[2], key, command.field(words[3], words[4]))
            }
        case "neighbor":
            if let number = command.word(after: "remote-as") {
                try objects.set(.neighbor, words[2], "asn", command.field("remote-as", number))
            }
        default: break
        }
    }

    /// `NAME preshare group2 esp aes128 sha-1 second 28800`, and the same without `preshare` for phase 2.
    private func takeProposal(
        _ command: DeviceCommand, _ kind: DeviceObjects.Kind, _ objects: inout DeviceObjects
    ) throws(ImportError) {
        let name = command.words[3]
        var isUnit: String?
        for word in command.words[4...] {
            if let unit = isUnit {
                try objects.set(kind, name, "lifetime", command.field("lifetime", word + " " + unit))
                isUnit = nil
                continue
            }
            switch word {
            case "preshare", "esp": continue
            case "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days": isUnit = word
            case _ where word.hasPrefix("group") || word == "no-pfs":
                try objects.set(kind, name, "group", command.field("group", word))
            case _ where Vocabulary.encryption(word) != nil:
                try objects.set(kind, name, "encryption", command.field("encryption", word))
            case _ where Vocabulary.integrity(word) != nil:
                try objects.set(kind, name, "integrity", command.field("authentication", word))
            default:
                throw command.field(kind == .policy ? "p1-proposal" : "p2-proposal", word).fault(
                    "\(quoted(word)) is nothing that we know in a proposal")
            }
        }
    }

    private func takeGateway(_ command: DeviceCommand, _ objects: inout DeviceObjects) throws(ImportError) {
        var words = command.words
        let isIKEv2 = words[3] == "ikev2" && words.count > 4
        if isIKEv2 { words.remove(at: 3) }
        let name = words[3]
        if isIKEv2 { try objects.set(.gateway, name, "version", command.field("ikev2", "2")) }
        let keys = [
            ("address", "remote"), ("id", "peer-id"), ("local-id", "local"), ("preshare", "key"),
            ("proposal", "proposal"), ("interval", "dpd-interval"), ("retry", "dpd-retries"),
        ]
        for (word, key) in keys {
            // The words of a gateway are not repeated; "interval" and "retry" belong to dpd-liveness alone.
            if key.hasPrefix("dpd"), !words.contains("dpd-liveness") { continue }
            guard let value = command.word(after: word) else { continue }
            try objects.set(.gateway, name, key, command.field(word, value))
        }
    }

    private func tunnel(
        _ gateway: DeviceObjects.Object, _ objects: DeviceObjects, _ commented: Field?, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: gateway.place)
        let suffix = gateway.suffix
        tunnel.remoteOutside = try gateway["remote"]?.address()
        tunnel.takeLocal(gateway["local"], &connection)
        tunnel.takeLocal(commented, &connection)
        tunnel.psk = try gateway["key"]?.deviceKey(context)
        tunnel.ikeVersions = Sourced([gateway["version"] == nil ? 1 : 2], .file, gateway.place)
        try tunnel.takePhase1(objects.find(.policy, gateway["proposal"]?.text, suffix: suffix))
        try tunnel.takeDPD(gateway)
        let vpn =
            objects.all(.vpn).first { $0["gateway"]?.text == gateway.name } ?? objects.find(.vpn, nil, suffix: suffix)
        try tunnel.takePhase2(objects.find(.transform, vpn?["proposal"]?.text, suffix: suffix))
        let interface = objects.named(.interface, vpn?["interface"]?.text)
        tunnel.insideLocal = try interface?["address"]?.inside(context.profile)
        tunnel.mtu = try interface?["mtu"]?.bytes(576...1500)
        tunnel.mss = try objects.global("mss")?.bytes(500...1460)
        tunnel.holdTime = try objects.global("hold")?.seconds(3...65_535)
        return tunnel
    }
}
