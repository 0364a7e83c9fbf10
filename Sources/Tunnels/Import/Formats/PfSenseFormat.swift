/// The steps on pfSense's web page: policy-based, so there are no addresses inside the tunnels, and "My IP address"
/// in the place of ours.
struct PfSenseFormat: ImportFormat {
    let title = "instructions for pfSense"

    /// A copy of the settings alone lacks the first line, and has AWS's name for them.
    func recognises(_ document: ImportDocument) -> Bool {
        document.has(part: "Add a new Phase1 entry") || document.has(part: "Amazon-IKE-vpn-")
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-pfsense")
        connection.warnings = document.warnings
        connection.lacks = [.insideAddresses, .customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var steps = StepsReader(context: context)
        for line in document.lines { try steps.take(line, &connection) }
        TextFile.finish(steps.tunnels, document, into: &connection)
        return connection
    }
}
