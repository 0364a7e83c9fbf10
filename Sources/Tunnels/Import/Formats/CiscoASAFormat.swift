/// Cisco ASA with virtual tunnel interfaces (9.7 and later). The text never names the customer's outside address.
struct CiscoASAFormat: ImportFormat {
    let title = "a Cisco ASA configuration"

    func recognises(_ document: ImportDocument) -> Bool {
        document.lines.contains { $0.text.hasPrefix("tunnel-group ") && $0.text.hasSuffix("type ipsec-l2l") }
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        if let map = document.lines.first(where: {
            $0.text.hasPrefix("crypto map ") && $0.text.containsBytes("set peer")
        }) {
            throw UnreadableFormat("a policy-based Cisco ASA configuration (a crypto map)", isPolicyBased: true)
                .refusal(document, context, at: map)
        }
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-cisco-asa")
        connection.warnings = document.warnings
        connection.lacks = [.customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var reader = CiscoReader(context: context)
        for line in document.lines { try reader.take(line) }
        TextFile.finish(try reader.tunnels(&connection), document, into: &connection)
        return connection
    }
}
