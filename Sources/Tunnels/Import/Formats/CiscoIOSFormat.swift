/// Cisco IOS and IOS XE (ISR, CSR): a tunnel interface for each tunnel, with IKEv1 or IKEv2.
struct CiscoIOSFormat: ImportFormat {
    let title = "a Cisco IOS configuration"

    func recognises(_ document: ImportDocument) -> Bool {
        document.has(prefix: "crypto isakmp") || document.has(prefix: "crypto ikev2")
            || document.has(prefix: "crypto keyring")
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-cisco-ios")
        connection.warnings = document.warnings
        try TextFile.readHeader(document, into: &connection)
        // An administrator may have put the name of an interface in its place.
        connection.lacks = [.customerAddress]
        var reader = CiscoReader(context: context)
        for line in document.lines { try reader.take(line) }
        let tunnels = try reader.tunnels(&connection)
        if tunnels.isEmpty, let map = document.lines.first(where: { $0.text.hasPrefix("crypto map ") }) {
            throw UnreadableFormat("a policy-based Cisco IOS configuration (a crypto map)", isPolicyBased: true)
                .refusal(document, context, at: map)
        }
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }
}
