/// The strongSwan text download: an `ipsec.conf` and an `ipsec.secrets` line for each tunnel, in prose.
struct StrongSwanTextFormat: ImportFormat {
    let title = "a strongSwan configuration"

    func recognises(_ document: ImportDocument) -> Bool { document.has(setting: "leftauth", value: "psk") }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-strongswan")
        connection.warnings = document.warnings
        try TextFile.readHeader(document, into: &connection)

        var reader = IPsecConfReader(context: context)
        for line in document.lines { try reader.take(line) }
        connection.tunnels = try reader.finish()
        return connection
    }
}
