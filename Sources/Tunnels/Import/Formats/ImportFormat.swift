/// One kind of file: how to know it, and how to read it. A new format is a new file in this folder with a type
/// that conforms, and its place in ``ImportFormats/all``.
protocol ImportFormat: Sendable {
    /// In words, for messages: "a FortiOS CLI configuration".
    var title: String { get }
    /// By content, never by name.
    func recognises(_ document: ImportDocument) -> Bool
    /// What the file says; nothing filled in, nothing guessed.
    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection
}

/// What a reader may need beside the file.
struct ImportContext: Sendable {
    var options: ImportOptions
    var profile: VendorProfile
    /// True within a text that was unwrapped from JSON: it is not unwrapped again.
    var isUnwrapped = false
}

enum ImportFormats {
    /// The order matters: the first that recognises a file reads it (or refuses it by name).
    static let all: [any ImportFormat] = [
        ClientVPNProfile(),
        AWSJSONFormat(),
        AWSXMLFormat(),
        WindowsServerFormat(),
        StrongSwanTextFormat(),
        OpenswanFormat(),
        FortiOSFormat(),
        FortiOSStepsFormat(),
        PfSenseFormat(),
        VyattaFormat(),
        JunOSFormat(),
        ScreenOSFormat(),
        PANOSFormat(),
        SonicOSFormat(),
        YamahaFormat(),
        UnreadableFormat("a policy-based Cisco ASA configuration (one crypto map for both peers)", isPolicyBased: true)
        {
            $0.has(prefix: "crypto map amzn_vpn_map")
        },
        CiscoASAFormat(),
        CiscoIOSFormat(),
        DeviceWithoutReader(),
        GenericTextFormat(),
    ]

    /// What we read, in words.
    static let readable =
        "describe-vpn-connections JSON, CustomerGatewayConfiguration XML, and the text downloads Generic, strongSwan, "
        + "Openswan, Vyatta, Cisco IOS and ASA (route-based), JunOS, ScreenOS, FortiOS, PAN-OS, pfSense, SonicOS, "
        + "Yamaha and Windows Server"

    /// What to do with a file that has no reader.
    static let useInstead =
        "In the AWS console download the configuration for vendor Generic or strongSwan, or save the output of "
        + "'aws ec2 describe-vpn-connections'."

    static func format(of document: ImportDocument) throws(ImportError) -> any ImportFormat {
        if let format = all.first(where: { $0.recognises(document) }) { return format }
        guard !document.lines.isEmpty else {
            throw ImportError(.unknownFormat, "the file is empty", remedy: ImportError.downloadAgain)
        }
        if let line = document.lines.first(where: {
            $0.text.containsBytes("Your VPN Connection ID") || $0.text.containsBytes("Your VPN connection ID")
        }) {
            throw ImportError(
                .unknownFormat, at: Place(line: line.number),
                "this is an AWS download for a type of device that Gatehouse does not know; it reads \(readable)",
                remedy: useInstead)
        }
        if document.firstByte == UInt8(ascii: "<") {
            throw ImportError(
                .unknownFormat, at: document.lines.first.map { Place(line: $0.number) },
                "this is XML or HTML, but no CustomerGatewayConfiguration: there is no element vpn_connection",
                remedy: ImportError.downloadAgain)
        }
        throw ImportError(
            .unknownFormat, "this is no AWS Site-to-Site VPN configuration; Gatehouse reads \(readable)",
            remedy: ImportError.downloadAgain)
    }
}

/// A format that AWS gives out and that has no reader: refused by name.
struct UnreadableFormat: ImportFormat {
    var title: String
    private let isPolicyBased: Bool
    private let test: @Sendable (ImportDocument) -> Bool

    init(
        _ title: String, isPolicyBased: Bool = false,
        _ test: @escaping @Sendable (ImportDocument) -> Bool = { _ in false }
    ) {
        self.title = title
        self.isPolicyBased = isPolicyBased
        self.test = test
    }

    func recognises(_ document: ImportDocument) -> Bool { test(document) }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        throw refusal(document, context)
    }

    func refusal(
        _ document: ImportDocument, _ context: ImportContext, at line: ImportDocument.Line? = nil
    ) -> ImportError {
        var reason = "this is \(title)"
        if isPolicyBased { reason += ", which has no addresses inside the tunnels and cannot become a route-based one" }
        if let (word, line) = document.placeholder(context.profile.placeholders) {
            reason += ", and line \(line.number) still holds the placeholder \(word)"
        }
        return ImportError(
            .unreadableFormat, at: line.map { Place(line: $0.number) },
            reason + "; Gatehouse reads \(ImportFormats.readable)", remedy: ImportFormats.useInstead)
    }
}

/// OpenVPN for one person's computer: a different product with a similar name.
struct ClientVPNProfile: ImportFormat {
    let title = "an AWS Client VPN profile"

    func recognises(_ document: ImportDocument) -> Bool {
        var hasEndpoint = false
        for line in document.lines {
            if line.text == "client" || line.text == "dev tun" { return true }
            guard line.text.utf8.count > 14 else { continue }
            if line.text.containsBytes("ExportClientVpnClientConfigurationResponse") { return true }
            if line.text.containsBytes("cvpn-endpoint-") { hasEndpoint = true }
            if line.text.hasPrefix("remote "), line.text.containsBytes(".clientvpn."),
                line.text.containsBytes("amazonaws.com")
            {
                return true
            }
        }
        return hasEndpoint && !document.text.containsBytes("vpn_connection")
            && !document.text.containsBytes("VpnConnectionId")
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        let line = document.lines.first { $0.text.containsBytes("cvpn-endpoint-") }
        var endpoint = ""
        if let line, let range = line.text.firstRange(of: "cvpn-endpoint-") {
            let digits = line.text[range.upperBound...].prefix { $0.isASCII && $0.isHexDigit }
            if !digits.isEmpty, digits.count <= 32 { endpoint = ", endpoint cvpn-endpoint-\(digits)" }
        }
        throw ImportError(
            .clientVPN, at: line.map { Place(line: $0.number) },
            "this is an AWS Client VPN (OpenVPN) profile for one user's computer\(endpoint)",
            remedy: "Gatehouse needs the Site-to-Site VPN configuration (VPC > Site-to-Site VPN connections > Download "
                + "configuration, or 'aws ec2 describe-vpn-connections').")
    }
}

extension ImportDocument {
    func has(prefix: String) -> Bool {
        let first = prefix.utf8.first
        return lines.contains { $0.text.utf8.first == first && $0.text.hasPrefix(prefix) }
    }

    func has(part: StaticString) -> Bool { text.containsBytes(part) }

    /// A line `name=value`, with blanks anywhere around.
    func has(setting name: String, value: String? = nil) -> Bool {
        lines.contains { line in
            guard line.text.hasPrefix(name), let setting = line.setting else { return false }
            return setting.name == name && (value == nil || setting.value == value)
        }
    }

    /// The first placeholder of the list that stands in the file as a word of its own.
    func placeholder(_ placeholders: [String]) -> (word: String, line: Line)? {
        let known = Set(placeholders)
        let longest = placeholders.map(\.utf8.count).max() ?? 0
        func isPart(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45
                || byte == 95
        }
        for line in lines {
            // Every placeholder has a hyphen or an underscore in it, and most lines do not.
            guard line.text.utf8.contains(where: { $0 == 45 || $0 == 95 }) else { continue }
            for word in line.text.utf8.split(whereSeparator: { !isPart($0) })
            where word.count <= longest && known.contains(String(Substring(word))) {
                return (String(Substring(word)), line)
            }
        }
        return nil
    }

    /// A line that says that something was left out.
    var ellipsis: Line? {
        let marks: Set = [
            "...", "…", "[...]", "[…]", "(...)", "<snip>", "[snip]", "-- snip --", "....", ".....", "......",
        ]
        return lines.first { line in
            guard line.text.utf8.count <= 10, let first = line.text.utf8.first else { return false }
            return ".[(<-\u{2026}".utf8.contains(first) && marks.contains(line.text.lowercased())
        }
    }
}

extension ImportDocument.Line {
    /// `name = value`, if the line is one.
    var setting: (name: String, value: String)? {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return (trimmed(text[..<equals]), trimmed(text[text.utf8.index(after: equals)...]))
    }
}
