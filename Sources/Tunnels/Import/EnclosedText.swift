/// A document that stands within other text: a page of a wiki, a mail, the answer of the query API, a heredoc.
enum EnclosedText {
    /// The XML or JSON within the text, on the lines where it stands; nil where the text is none of that kind, or is
    /// the document itself. Of several XML documents the one that `wanted` names, else the only one.
    static func document(
        in document: ImportDocument, connection wanted: String?
    ) throws(ImportError) -> ImportDocument? {
        if isWhole(document) { return nil }
        let lines = document.lines
        // JSON has the XML in it and says more: it comes first.
        if lines.contains(where: {
            $0.text.containsBytes("\"CustomerGatewayConfiguration\"") || $0.text.containsBytes("\"TunnelOptions\"")
        }), let json = json(lines, document.warnings) {
            return json
        }
        guard lines.contains(where: { $0.text.containsBytes("<vpn_connection ") }) else { return nil }
        return try xml(lines, wanted, document.warnings)
    }

    /// JSON, or XML that begins with its own declaration, comments or root element.
    private static func isWhole(_ document: ImportDocument) -> Bool {
        switch document.firstByte {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""): return true
        case UInt8(ascii: "<"):
            // An answer of the query API has the document as escaped text, a page has it somewhere.
            guard let first = document.lines.first?.text, document.text.containsBytes("<vpn_connection") else {
                return !document.text.containsBytes("&lt;vpn_connection")
            }
            return first.hasPrefix("<?") || first.hasPrefix("<!") || first.hasPrefix("<vpn_connection")
        default: return false
        }
    }

    private static func xml(
        _ lines: [ImportDocument.Line], _ wanted: String?, _ warnings: [String]
    ) throws(ImportError) -> ImportDocument {
        let starts = lines.indices.filter { lines[$0].text.containsBytes("<vpn_connection ") }
        var chosen = starts[0]
        if starts.count > 1 {
            let matching = starts.filter { index in wanted.map { lines[index].text.contains("\"\($0)\"") } ?? false }
            guard matching.count == 1 else {
                throw ImportError(
                    .choice, at: Place(line: lines[starts[1]].number),
                    "the text holds \(starts.count) VPN connections, the first on line \(lines[starts[0]].number)",
                    remedy: "Choose one with --connection, or import each from a file of its own.")
            }
            chosen = matching[0]
        }
        let end =
            lines[chosen...].firstIndex { $0.text.containsBytes("</vpn_connection>") }
            ?? lines.index(before: lines.endIndex)
        var part = Array(lines[chosen...end])
        if let start = part[0].text.firstRange(of: "<vpn_connection ") {
            part[0].text = String(part[0].text[start.lowerBound...])
        }
        if let close = part[part.count - 1].text.firstRange(of: "</vpn_connection>") {
            part[part.count - 1].text = String(part[part.count - 1].text[..<close.upperBound])
        }
        return joined(
            part,
            warnings + [
                "the CustomerGatewayConfiguration was taken out of the text around it, which was not read: tunnel "
                    + "options there are not in the plan"
            ])
    }

    private static func json(_ lines: [ImportDocument.Line], _ warnings: [String]) -> ImportDocument? {
        func opens(_ text: String) -> Bool { text.hasPrefix("{") || text == "[" || text.hasPrefix("[{") }
        guard let first = lines.firstIndex(where: { opens($0.text) }),
            let last = lines.lastIndex(where: {
                $0.text.hasPrefix("}") || $0.text.hasPrefix("]") || $0.text.hasSuffix("}")
            }),
            first <= last
        else { return nil }
        return joined(Array(lines[first...last]), warnings)
    }

    /// The lines as a text, each on its own number.
    private static func joined(_ lines: [ImportDocument.Line], _ warnings: [String]) -> ImportDocument {
        var text = ""
        var number = 1
        for line in lines {
            text += String(repeating: "\n", count: max(0, line.number - number)) + line.text
            number = max(number, line.number)
        }
        var document = ImportDocument(text: text)
        document.warnings = warnings
        return document
    }
}
