internal import Base
internal import Cryptography

/// SonicOS: a VPN policy for each tunnel, whose phase 2 stands apart from it, and a tunnel interface.
struct SonicOSFormat: ImportFormat {
    let title = "a SonicWall SonicOS configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(prefix: "vpn policy tunnel-interface") }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-sonicos")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var reader = Reader()
        for line in document.lines { try reader.take(line) }
        let objects = reader.objects
        connection.warnings += reader.warnings
        let interfaces = objects.all(.interface)
        var tunnels: [VPNTunnel] = []
        let policies = objects.all(.gateway)
        for (position, policy) in policies.enumerated() {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: policy.place.line, text: ""))
            let interface =
                interfaces.first { $0["policy"]?.text == policy.name }
                ?? objects.find(.interface, nil, suffix: policy.suffix)
                ?? (interfaces.count == policies.count ? interfaces[position] : nil)
            tunnels.append(try tunnel(policy, interface, objects, context, &connection))
        }
        var neighbors = BGPNeighbors(objects)
        mend(&neighbors, tunnels, &connection)
        try neighbors.apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private struct Reader {
        var objects = DeviceObjects()
        var warnings: [String] = []
        /// The number of the last divider. The first section of AWS's text has none.
        private var section = 1
        private var policySections: [String: Int] = [:]
        private var policy: String?
        private var interface: String?

        mutating func take(_ line: ImportDocument.Line) throws(ImportError) {
            if let number = TextFile.tunnelNumber(line.text) { section = number }
            if line.text.containsBytes("DPD "),
                let field = Field(labelled: TextFile.withoutLeader(line.text), line: line.number)
            {
                // AWS writes these two in a remark, since the device's commands have no place for them.
                let key = ["DPD Interval": "dpd-interval", "DPD Retries": "dpd-retries"][field.name]
                if let key, let policy { try objects.set(.gateway, policy, key, field) }
            }
            guard let command = DeviceCommand(line) else { return }
            let words = command.words
            guard words.count >= 2 else { return }
            switch words[0] {
            case "vpn":
                interface = nil
                if words.count >= 4, words[1] == "policy" {
                    policy = words[3]
                    if policySections[words[3]] == nil { policySections[words[3]] = section }
                    try objects.open(.gateway, words[3], command.place)
                }
            case "tunnel-interface":
                if words.count >= 3, words[1] == "vpn" {
                    interface = words[2]
                    try objects.open(.interface, words[2], command.place)
                }
            case "router":
                interface = nil
                if words.count >= 3, words[1] == "bgp" {
                    try objects.set(.global, "", "asn", command.field("router bgp", words[2]))
                }
            case "neighbor":
                if words.count >= 4, words[2] == "remote-as" {
                    try objects.set(.neighbor, words[1], "asn", command.field("remote-as", words[3]))
                } else if words.count >= 5, words[2] == "timers" {
                    try objects.set(.neighbor, words[1], "hold", command.field("timers", words[4]))
                }
            case "gateway", "shared-secret", "ike-id", "proposal", "auth-method":
                if words[0] == "gateway", words.count > 2, words[1] == "primary" { try tellApart(words[2], command) }
                if let policy { try takePolicy(command, policy) }
            case "ip", "policy", "mtu", "ip-mtu":
                if words[0] == "policy", words.count >= 3, words[1] == "interface" {
                    if let peer = command.word(after: "gateway") {
                        try objects.set(.interface, words[2], "peer", command.field("gateway", peer))
                    }
                } else if let interface {
                    try takeInterface(command, interface)
                }
            default: break
            }
        }

        /// AWS's BGP text gives the policies of both tunnels one name. In a section of its own, with a gateway of its
        /// own, it is the second tunnel's.
        private mutating func tellApart(_ remote: String, _ command: DeviceCommand) throws(ImportError) {
            guard let name = policy, let known = objects.named(.gateway, name)?["remote"], known.text != remote,
                let first = policySections[name], first != section
            else { return }
            let other = "\(name) of tunnel \(section):"
            if policySections[other] == nil {
                policySections[other] = section
                warnings.append(
                    "\(command.place), gateway: the policy has the name of the one of \(known.place), a known fault of "
                        + "AWS's text; it is read as the one of tunnel \(section)")
            }
            policy = other
            try objects.open(.gateway, other, command.place)
        }

        private mutating func takePolicy(_ command: DeviceCommand, _ policy: String) throws(ImportError) {
            let words = command.words
            func put(_ key: String, _ value: String) throws(ImportError) {
                try objects.set(.gateway, policy, key, command.field(words[0], value))
            }
            switch words[0] {
            case "gateway": if words.count > 2, words[1] == "primary" { try put("remote", words[2]) }
            case "shared-secret": try put("key", command.rest(from: 1))
            case "ike-id": if words.count > 3, words[1] == "local" { try put("local", words[3]) }
            case "auth-method":
                guard words[1] == "shared-secret" else {
                    throw ImportError(
                        .unsupported, at: command.place, field: "auth-method",
                        "the tunnel authenticates by something other than a pre-shared key",
                        remedy: "Gatehouse imports connections with pre-shared keys.")
                }
            default:
                guard words.count > 3, words[1] == "ike" || words[1] == "ipsec" else { return }
                let names = [
                    "lifetime": "lifetime", "authentication": "integrity", "encryption": "encryption",
                    "dh-group": "group", "perfect-forward-secrecy": "group", "exchange": "exchange",
                    "protocol": "protocol",
                ]
                guard let name = names[words[2]] else { return }
                try objects.set(
                    words[1] == "ike" ? .policy : .transform, policy, name,
                    command.field("proposal \(words[1]) \(words[2])", words[words.count - 1]))
            }
        }

        private mutating func takeInterface(_ command: DeviceCommand, _ interface: String) throws(ImportError) {
            let words = command.words
            switch words[0] {
            case "ip":
                if words.count >= 4, words[2] == "netmask" {
                    try objects.set(.interface, interface, "address", command.field("ip", words[1] + " " + words[3]))
                }
            case "mtu", "ip-mtu": try objects.set(.interface, interface, "mtu", command.field("mtu", words[1]))
            case "policy": try objects.set(.interface, interface, "policy", command.field("policy", words[1]))
            default: break
            }
        }
    }

    private func tunnel(
        _ policy: DeviceObjects.Object, _ interface: DeviceObjects.Object?, _ objects: DeviceObjects,
        _ context: ImportContext, _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: policy.place)
        tunnel.remoteOutside = try policy["remote"]?.address()
        tunnel.takeLocal(policy["local"], &connection)
        tunnel.psk = try policy["key"]?.deviceKey(context)
        let phase1 = objects.named(.policy, policy.name)
        try tunnel.takePhase1(phase1)
        if let exchange = phase1?["exchange"] {
            tunnel.ikeVersions = exchange.sourced(exchange.text.lowercased() == "ikev2" ? [2] : [1])
        }
        let phase2 = objects.named(.transform, policy.name)
        if let field = phase2?["protocol"], field.text.lowercased() != "esp" {
            throw field.fault("\(quoted(field.text)) is not ESP")
        }
        try tunnel.takePhase2(phase2)
        try tunnel.takeDPD(policy)
        tunnel.insideLocal = try interface?["address"]?.inside(context.profile)
        tunnel.mtu = try interface?["mtu"]?.bytes(576...1500)
        if let field = interface?["peer"], let own = tunnel.insideLocal,
            let peer = IPPrefix(try field.address().value, length: own.value.length)
        {
            tunnel.insideRemote = field.sourced(peer)
        }
        return tunnel
    }

    /// AWS's BGP text names our own address as the neighbour. In a /30 there is one other, and that is meant.
    private func mend(_ neighbors: inout BGPNeighbors, _ tunnels: [VPNTunnel], _ connection: inout VPNConnection) {
        for index in neighbors.list.indices {
            let field = neighbors.list[index].address
            guard
                let own = tunnels.lazy.compactMap(\.insideLocal).first(where: {
                    $0.value.address == IPAddress(field.text)
                })
            else { continue }
            var tunnel = VPNTunnel(place: field.place)
            tunnel.insideLocal = own
            tunnel.derivePeerInside()
            guard let peer = tunnel.insideRemote else { continue }
            neighbors.list[index].address.text = peer.value.address.description
            connection.warnings.append(
                "\(field.place), neighbor: the BGP neighbour \(field.text) is our own inside address of "
                    + "\(own.place?.description ?? "another line"), a known fault of AWS's text; the other one, "
                    + "\(peer.value.address), is used")
        }
    }
}
