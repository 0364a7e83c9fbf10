internal import Base
internal import Cryptography
internal import XML

/// `CustomerGatewayConfiguration`: the document that every other download is rendered from.
struct AWSXMLFormat: ImportFormat {
    let title = "a CustomerGatewayConfiguration document"

    func recognises(_ document: ImportDocument) -> Bool {
        guard let first = document.firstByte, first == UInt8(ascii: "<") || first == UInt8(ascii: "\"") else {
            return false
        }
        return document.text.containsBytes("<vpn_connection")
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        let (root, warnings) = try Self.parse(document)
        var connection = try Self.connection(root, context)
        connection.warnings = warnings + connection.warnings
        return connection
    }

    /// The tree of a document. A copy in which line breaks or quotation marks are written as escapes is mended once.
    static func parse(_ document: ImportDocument) throws(ImportError) -> (XMLElement, [String]) {
        do {
            return (try XMLParser.parse(Array(document.text.utf8)), document.warnings)
        } catch {
            if let mended = document.unescaped(), let root = try? XMLParser.parse(Array(mended.text.utf8)) {
                return (root, mended.warnings)
            }
            throw Self.refusal(error)
        }
    }

    private static func refusal(_ error: XMLError) -> ImportError {
        var reason = "not well-formed XML: " + error.explanation
        if error.reason == .documentType { reason = error.explanation }
        // Element names come from the file: only the ones that AWS writes are repeated.
        if let open = error.openElement, elementNames.contains(open) { reason += " (inside <\(open)>)" }
        let remedy: String
        switch error.reason {
        case .documentType: remedy = "AWS writes none: this file was made or changed by someone else. "
        case .truncated: remedy = "The file was cut short. "
        default: remedy = ""
        }
        return ImportError(
            error.reason == .documentType ? .unsupported : .malformed,
            at: error.line > 0 ? Place(line: error.line) : nil, reason, remedy: remedy + ImportError.downloadAgain)
    }

    private static let elementNames: Set<String> = [
        "vpn_connection", "customer_gateway_id", "vpn_gateway_id", "vpn_connection_type", "vpn_connection_attributes",
        "ipsec_tunnel", "customer_gateway", "vpn_gateway", "tunnel_outside_address", "tunnel_inside_address",
        "tunnel_inside_ipv6_address", "ip_address", "network_mask", "network_cidr", "prefix_length", "bgp", "asn",
        "hold_time", "ike", "ipsec", "authentication_protocol", "encryption_protocol", "lifetime",
        "perfect_forward_secrecy", "mode", "pre_shared_key", "protocol", "clear_df_bit",
        "fragmentation_before_encryption", "tcp_mss_adjustment", "dead_peer_detection", "interval", "retries",
    ]

    /// What the tree says.
    static func connection(_ root: XMLElement, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        guard root.name == "vpn_connection" else {
            throw ImportError(
                .unknownFormat, at: Place(line: root.line),
                "the root element is not vpn_connection: this is no CustomerGatewayConfiguration",
                remedy: ImportError.downloadAgain)
        }
        try checkEllipsis(root)
        var connection = VPNConnection(format: "aws-xml")
        if let id = root.attributes["id"] {
            let field = Field(name: "vpn_connection id", text: trimmed(id), place: Place(line: root.line))
            connection.connectionID = try field.identifier(prefix: "vpn-", warnings: &connection.warnings)
        }
        connection.customerGatewayID =
            try field(root, "customer_gateway_id")?.identifier(prefix: "cgw-", warnings: &connection.warnings)
        connection.vpnGatewayID = try field(root, "vpn_gateway_id")?.identifier(
            prefix: nil, warnings: &connection.warnings)
        if let field = field(root, "vpn_connection_type"), field.text != "ipsec.1" {
            throw ImportError(
                .unsupported, at: field.place, field: field.name, "the connection type is \(quoted(field.text))",
                remedy: "Gatehouse imports connections of type ipsec.1.")
        }
        let tunnels = root.children(named: "ipsec_tunnel")
        guard !tunnels.isEmpty else {
            throw ImportError(
                .missingValue, at: Place(line: root.line), "the document holds no ipsec_tunnel",
                remedy: ImportError.downloadAgain)
        }
        guard tunnels.count <= TextFile.tunnelLimit else {
            throw ImportError(
                .unsupported, at: Place(line: root.line), "the document holds \(tunnels.count) ipsec_tunnel elements",
                remedy: ImportError.downloadAgain)
        }
        for element in tunnels { connection.tunnels.append(try tunnel(element, context)) }

        let attributes = field(root, "vpn_connection_attributes")
        if let attributes, attributes.text.containsBytes("NoBGP") {
            connection.routing = attributes.sourced(.static)
        } else if let asn = connection.tunnels.lazy.compactMap({ $0.localASN ?? $0.remoteASN }).first {
            connection.routing = Sourced(.bgp, .file, asn.place)
        }
        if connection.tunnels.contains(where: { $0.insideLocal6 != nil || $0.insideRemote6 != nil }) {
            connection.isIPv6Inside = Sourced(true, .file, connection.tunnels.first?.insideLocal6?.place)
        }
        return connection
    }

    /// An element with children and "..." as its text was shortened by hand.
    private static func checkEllipsis(_ element: XMLElement) throws(ImportError) {
        if !element.children.isEmpty, element.text.containsBytes("...") || element.text.containsBytes("…") {
            throw ImportError(
                .missingValue, at: Place(line: element.line), "the document was shortened: there is an ellipsis in it",
                remedy: ImportError.downloadAgain)
        }
        for child in element.children { try checkEllipsis(child) }
    }

    /// The text of an element as a field; nil when the element is not there or empty.
    private static func field(_ element: XMLElement?, _ name: String, as label: String? = nil) -> Field? {
        guard let child = element?.child(name), !child.trimmedText.isEmpty else { return nil }
        return Field(name: label ?? name, text: child.trimmedText, place: Place(line: child.line))
    }

    private static func tunnel(_ element: XMLElement, _ context: ImportContext) throws(ImportError) -> VPNTunnel {
        let profile = context.profile
        var tunnel = VPNTunnel(place: Place(line: element.line))
        let ours = element.child("customer_gateway")
        let theirs = element.child("vpn_gateway")
        func label(_ side: String, _ name: String) -> String { "\(side)/\(name)" }
        tunnel.localOutside =
            try field(ours?["tunnel_outside_address"], "ip_address", as: "customer_gateway/tunnel_outside_address")?
            .address()
        tunnel.remoteOutside =
            try field(theirs?["tunnel_outside_address"], "ip_address", as: "vpn_gateway/tunnel_outside_address")?
            .address()
        tunnel.insideLocal = try inside(ours, "customer_gateway", profile)
        tunnel.insideRemote = try inside(theirs, "vpn_gateway", profile)
        tunnel.insideLocal6 = try inside6(ours, "customer_gateway", profile)
        tunnel.insideRemote6 = try inside6(theirs, "vpn_gateway", profile)
        tunnel.localASN = try field(ours?["bgp"], "asn", as: "customer_gateway/bgp/asn")?.asn()
        tunnel.remoteASN = try field(theirs?["bgp"], "asn", as: "vpn_gateway/bgp/asn")?.asn()
        let holdTime = field(ours?["bgp"], "hold_time") ?? field(theirs?["bgp"], "hold_time")
        tunnel.holdTime = try holdTime?.seconds(3...65_535)

        let ike = element.child("ike")
        tunnel.encryption1 = try field(ike, "encryption_protocol")?.encryption().map { [$0] }
        tunnel.integrity1 = try field(ike, "authentication_protocol")?.integrity().map { [$0] }
        tunnel.groups1 = try field(ike, "perfect_forward_secrecy")?.group().map { [$0] }
        tunnel.lifetime1 = try field(ike, "lifetime")?.seconds()
        tunnel.psk = try field(ike, "pre_shared_key")?.key(profile.permitted.psk, placeholders: profile.placeholders)

        let ipsec = element.child("ipsec")
        if let field = field(ipsec, "protocol"), field.text.lowercased() != "esp" {
            throw field.fault("\(quoted(field.text)) is not ESP")
        }
        if let field = field(ipsec, "mode"), field.text.lowercased() != "tunnel" {
            throw field.fault("\(quoted(field.text)) is not tunnel mode")
        }
        tunnel.encryption2 = try field(ipsec, "encryption_protocol")?.encryption().map { [$0] }
        tunnel.integrity2 = try field(ipsec, "authentication_protocol")?.integrity().map { [$0] }
        tunnel.groups2 = try field(ipsec, "perfect_forward_secrecy")?.group().map { [$0] }
        tunnel.lifetime2 = try field(ipsec, "lifetime")?.seconds()
        tunnel.mss = try field(ipsec, "tcp_mss_adjustment")?.bytes(500...1460)
        let detection = ipsec?.child("dead_peer_detection")
        tunnel.dpdInterval = try field(detection, "interval")?.seconds(1...3600)
        tunnel.dpdRetries = try field(detection, "retries")?.number(1...100)
        return tunnel
    }

    /// The IPv4 address inside, with the length that `network_cidr` or `network_mask` gives.
    private static func inside(
        _ gateway: XMLElement?, _ side: String, _ profile: VendorProfile
    ) throws(ImportError) -> Sourced<IPPrefix>? {
        let element = gateway?.child("tunnel_inside_address")
        let name = side + "/tunnel_inside_address"
        guard let field = field(element, "ip_address", as: name) else { return nil }
        let address = try field.address()
        var length = profile.tunnelInterface.insideLength
        if let cidr = self.field(element, "network_cidr", as: name + "/network_cidr") {
            length = try cidr.number(0...32).value
        } else if let mask = self.field(element, "network_mask", as: name + "/network_mask") {
            guard case .v4(let bits)? = IPAddress(mask.text), (~bits &+ 1) & ~bits == 0 else {
                throw mask.fault("\(quoted(mask.text)) is no network mask")
            }
            length = bits.nonzeroBitCount
        }
        guard address.value.isIPv4, let prefix = IPPrefix(address.value, length: length) else {
            throw field.fault("\(quoted(field.text)) is not an IPv4 address")
        }
        return field.sourced(prefix)
    }

    /// The IPv6 address inside. AWS writes a prefix length of 128 although the network between the two is a /126.
    private static func inside6(
        _ gateway: XMLElement?, _ side: String, _ profile: VendorProfile
    ) throws(ImportError) -> Sourced<IPPrefix>? {
        let name = side + "/tunnel_inside_ipv6_address"
        guard let field = field(gateway?["tunnel_inside_ipv6_address"], "ip_address", as: name) else { return nil }
        let address = try field.address().value
        guard !address.isIPv4, let prefix = IPPrefix(address, length: profile.tunnelInterface.insideLength6) else {
            throw field.fault("\(quoted(field.text)) is not an IPv6 address")
        }
        return field.sourced(prefix)
    }
}
