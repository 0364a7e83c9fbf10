internal import Base
internal import Cryptography

/// The commands for FortiOS.
struct FortiOSFormat: ImportFormat {
    let title = "a FortiOS CLI configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(prefix: "config vpn ipsec phase1-interface") }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-fortios")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var reader = FortiReader()
        for line in document.lines { try reader.take(line) }
        let objects = reader.objects
        var tunnels: [VPNTunnel] = []
        for gateway in objects.all(.gateway) {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: gateway.place.line, text: ""))
            tunnels.append(try tunnel(gateway, objects, context, &connection))
        }
        try BGPNeighbors(objects).apply(to: &tunnels, localASN: objects.global("asn"), context.profile)
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private func tunnel(
        _ gateway: DeviceObjects.Object, _ objects: DeviceObjects, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: gateway.place)
        if let field = gateway["authentication"], field.text != "psk" {
            throw ImportError(
                .unsupported, at: field.place, field: field.name,
                "the tunnel authenticates by something other than a pre-shared key",
                remedy: "Gatehouse imports connections with pre-shared keys.")
        }
        tunnel.remoteOutside = try gateway["remote"]?.address()
        tunnel.takeLocal(gateway["local"], &connection)
        tunnel.psk = try gateway["key"]?.deviceKey(context)
        // FortiOS speaks IKEv1 where nothing else is said.
        tunnel.ikeVersions = try gateway["version"]?.ikeVersion() ?? Sourced([1], .file, gateway.place)
        try tunnel.takePhase1(gateway)
        try tunnel.takeDPD(gateway)
        let phase2 =
            objects.all(.transform).first { $0["gateway"]?.text == gateway.name }
            ?? objects.find(.transform, gateway.name, suffix: gateway.suffix)
        try tunnel.takePhase2(phase2)
        if let pfs = phase2?["pfs"], pfs.text == "disable" { tunnel.groups2 = pfs.sourced([]) }
        if let interface = objects.find(.interface, gateway.name, suffix: gateway.suffix) {
            tunnel.insideLocal = try interface["address"]?.inside(context.profile)
            tunnel.insideRemote = try interface["peer"]?.inside(context.profile)
            tunnel.mtu = try interface["mtu"]?.bytes(576...1500)
            tunnel.mss = try interface["mss"]?.bytes(500...1460)
        }
        return tunnel
    }
}
