/// Openswan and Libreswan: `ipsec.conf` in prose, like strongSwan's, but without addresses inside the tunnels.
struct OpenswanFormat: ImportFormat {
    let title = "an Openswan or Libreswan configuration"

    func recognises(_ document: ImportDocument) -> Bool {
        document.has(setting: "phase2alg") || document.has(setting: "dpdaction", value: "restart_by_peer")
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-openswan")
        connection.warnings = document.warnings
        connection.lacks = [.insideAddresses]
        try TextFile.readHeader(document, into: &connection)
        var reader = IPsecConfReader(context: context)
        for line in document.lines { try reader.take(line) }
        TextFile.finish(try reader.finish(), document, into: &connection)
        return connection
    }
}
