/// What AWS's text downloads have in common: the header with the three ids, and the dividers between the tunnels.
enum TextFile {
    /// Refuses what was never filled in or was cut by hand.
    static func checkWhole(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) {
        if let (word, line) = document.placeholder(context.profile.placeholders) {
            throw ImportError(
                .placeholder, at: Place(line: line.number), "the file holds the placeholder \(word)",
                remedy: "This is a published example, not the configuration of a connection. "
                    + ImportError.downloadAgain)
        }
        if let line = document.ellipsis {
            throw ImportError(
                .missingValue, at: Place(line: line.number), "\(quoted(line.text)) says that a part was left out",
                remedy: ImportError.downloadAgain)
        }
    }

    /// Tunnels beyond which a file is not one connection.
    static let tunnelLimit = 16

    static func checkCount(_ count: Int, _ line: ImportDocument.Line) throws(ImportError) {
        guard count < tunnelLimit else {
            throw ImportError(
                .unsupported, at: Place(line: line.number), "the file describes more than \(tunnelLimit) tunnels",
                remedy: "Import each connection from a file of its own.")
        }
    }

    /// Reads `Your VPN Connection ID : vpn-…` and its two companions.
    static func readHeader(
        _ document: ImportDocument, into connection: inout VPNConnection
    ) throws(ImportError) {
        for line in document.lines where line.text.containsBytes(" ID") {
            let text = withoutLeader(line.text)
            guard text.hasPrefix("Your "), let field = Field(labelled: text, line: line.number) else { continue }
            switch field.name.lowercased() {
            case "your vpn connection id":
                try set(&connection.connectionID, field, prefix: "vpn-", warnings: &connection.warnings)
            case "your virtual private gateway id", "your vpn gateway id", "your transit gateway id":
                try set(&connection.vpnGatewayID, field, prefix: nil, warnings: &connection.warnings)
            case "your customer gateway id":
                try set(&connection.customerGatewayID, field, prefix: "cgw-", warnings: &connection.warnings)
            default: break
            }
        }
    }

    private static func set(
        _ slot: inout Sourced<String>?, _ field: Field, prefix: String?, warnings: inout [String]
    ) throws(ImportError) {
        guard let id = try field.identifier(prefix: prefix, warnings: &warnings) else { return }
        if let known = slot, known.value != id.value {
            throw ImportError(
                .contradiction, at: field.place, field: field.name,
                "this says \(id.value), and \(known.place?.description ?? "another line") says \(known.value): the "
                    + "file holds more than one connection", remedy: "Import each connection from a file of its own.")
        }
        slot = slot ?? id
    }

    /// The number of a divider line such as `IPSec Tunnel #2`, whatever stands around it.
    static func tunnelNumber(_ line: String) -> Int? {
        guard line.utf8.count <= 100 else { return nil }
        let words = trimmed(withoutLeader(line), also: "-=*_ ").lowercased().words
        guard words.count >= 3, words[0] == "ipsec", words[1] == "tunnel" else { return nil }
        let digits = words[2...].joined().utf8.drop { $0 == UInt8(ascii: "#") || $0 == UInt8(ascii: "!") }
        guard (1...2).contains(digits.count) else { return nil }
        return Int(String(Substring(digits)))
    }

    /// Without the marks of a comment in front.
    static func withoutLeader(_ line: String) -> String {
        let rest = line.utf8.drop { [32, 9, UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: ">")].contains($0) }
        return String(Substring(rest))
    }
}

extension Field {
    /// A line `Label   : value`; blanks in the label are made single, a bullet in front is dropped, and so are
    /// further colons before the value. Nil when there is no colon.
    init?(labelled line: String, line number: Int) {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let label = line[..<colon]
        guard label.utf8.count <= 80 else { return nil }
        var words = String(label).words
        while let first = words.first, ["-", "*", "•", "–", "—", "·"].contains(first) { words.removeFirst() }
        if let first = words.first, first.hasPrefix("-"), first.utf8.count > 1 { words[0] = String(first.dropFirst()) }
        guard !words.isEmpty else { return nil }
        let rest = line.utf8[line.utf8.index(after: colon)...].drop { [32, 9, UInt8(ascii: ":")].contains($0) }
        self.init(name: words.joined(separator: " "), text: trimmed(Substring(rest)), place: Place(line: number))
    }

    /// An AWS resource id; nil for an empty value, which transit gateways have. Odd lengths are only warned of.
    func identifier(prefix: String?, warnings: inout [String]) throws(ImportError) -> Sourced<String>? {
        guard !text.isEmpty else { return nil }
        let isPlain = text.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || "-:/".utf8.contains($0)
        }
        guard isPlain, text.utf8.count <= 128, text.utf8.contains(UInt8(ascii: "-")), text.hasPrefix(prefix ?? "")
        else {
            throw fault(
                "\(quoted(text)) is no AWS identifier" + (prefix.map { " such as \($0)0a1b2c3d4e5f60718" } ?? ""))
        }
        if let dash = text.utf8.firstIndex(of: UInt8(ascii: "-")), !text.hasPrefix("arn:") {
            let digits = text.utf8[text.utf8.index(after: dash)...]
            let isHexadecimal = digits.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
            if !isHexadecimal || (digits.count != 8 && digits.count != 17) {
                warnings.append(
                    "\(place), \(name): an AWS identifier has 8 or 17 hexadecimal digits; this one does not")
            }
        }
        return sourced(text)
    }
}
