internal import Base

/// The steps on FortiOS's web page. What has no place there (MTU, segment size, sometimes BGP) stands as commands in
/// the same text.
struct FortiOSStepsFormat: ImportFormat {
    let title = "instructions for the FortiOS web page"

    func recognises(_ document: ImportDocument) -> Bool {
        document.has(part: "Select \"Enable IPsec Interface Mode\"")
            || document.lines.contains { $0.text.containsBytes("Select \"Enable IPsec Interface Mode\"") }
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-fortios-steps")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var steps = StepsReader(context: context)
        var commands = FortiReader()
        for line in document.lines {
            try steps.take(line, &connection)
            try commands.take(line)
        }
        var tunnels = steps.tunnels
        let interfaces = commands.objects.all(.interface)
        for (index, interface) in interfaces.enumerated() where interfaces.count == tunnels.count {
            tunnels[index].mtu = try interface["mtu"]?.bytes(576...1500)
            tunnels[index].mss = try interface["mss"]?.bytes(500...1460)
            if tunnels[index].insideLocal == nil {
                tunnels[index].insideLocal = try interface["address"]?.inside(context.profile)
            }
            if tunnels[index].insideRemote == nil {
                tunnels[index].insideRemote = try interface["peer"]?.inside(context.profile)
            }
        }
        let localASN = commands.objects.global("asn")
        try BGPNeighbors(commands.objects).apply(to: &tunnels, localASN: localASN, context.profile)
        if let known = tunnels.lazy.compactMap(\.localASN).first {
            for index in tunnels.indices where tunnels[index].remoteASN != nil && tunnels[index].localASN == nil {
                tunnels[index].localASN = known
            }
        }
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }
}
