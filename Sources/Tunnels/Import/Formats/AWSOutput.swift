/// The right answer of AWS in a form that says less or is meant for eyes: refused by name, with the option to use.
enum AWSOutput {
    static func refusal(of document: ImportDocument) -> ImportError? {
        let lines = document.lines.prefix(400)
        func refuse(_ line: ImportDocument.Line, _ reason: String, _ remedy: String) -> ImportError {
            ImportError(.unreadableFormat, at: Place(line: line.number), reason, remedy: remedy)
        }
        let again = "Save it again with 'aws ec2 describe-vpn-connections --output json' and import that."
        if let line = lines.first(where: {
            $0.text == "VpnConnections:" || $0.text == "VpnConnection:"
                || $0.text.hasPrefix("VpnConnectionDeviceSampleConfiguration:")
                || $0.text.hasPrefix("CustomerGatewayConfiguration: ")
        }) {
            return refuse(line, "this is the answer of AWS as YAML, which Gatehouse does not read", again)
        }
        if let line = lines.first(where: {
            $0.text.utf8.count < 400 && trimmed($0.text, also: "|") == "DescribeVpnConnections"
        }) {
            return refuse(line, "this is the answer of AWS as a table, which cuts values off", again)
        }
        if let line = lines.first, line.text.hasPrefix("{'") || line.text.hasPrefix("[{'") {
            return refuse(
                line, "this is a dictionary as Python prints it, and no JSON",
                "Write it with json.dumps(answer, default=str). " + again)
        }
        return nil
    }
}
