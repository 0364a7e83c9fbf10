internal import Base
import JSONText
internal import XML

/// The JSON of `aws ec2 describe-vpn-connections` and its relatives: the XML in a string, and beside it the tunnel
/// options, which say what the endpoint really accepts.
struct AWSJSONFormat: ImportFormat {
    let title = "JSON of the AWS API"

    func recognises(_ document: ImportDocument) -> Bool {
        document.firstByte == UInt8(ascii: "{") || document.firstByte == UInt8(ascii: "[")
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        let root = try Self.tree(document.text)
        if let sample = root["VpnConnectionDeviceSampleConfiguration"] {
            return try unwrapped(sample, context)
        }
        let (chosen, skipped) = try choose(Self.connections(root), context)
        var connection = try self.connection(chosen, context)
        connection.warnings = document.warnings + skipped + connection.warnings
        return connection
    }

    /// `get-vpn-connection-device-sample-configuration`: one of the text formats as a JSON string.
    private static func tree(_ text: String) throws(ImportError) -> JSONTree {
        do {
            return try JSONTree.parse(text)
        } catch {
            throw ImportError(
                .malformed, at: Place(line: error.line), "not valid JSON: " + error.reason,
                remedy: "Save the output of 'aws ec2 describe-vpn-connections' again, whole and unedited.")
        }
    }

    private func unwrapped(_ sample: JSONTree, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        guard let text = sample.string, !context.isUnwrapped else {
            throw ImportError(
                .malformed, at: Place(line: sample.line), field: "VpnConnectionDeviceSampleConfiguration",
                "this is not a text", remedy: ImportError.downloadAgain)
        }
        var context = context
        context.isUnwrapped = true
        do {
            let document = ImportDocument(text: text)
            return try ImportFormats.format(of: document).read(document, context)
        } catch {
            throw error.inside(sample.line)
        }
    }

    /// The connection objects of any of the shapes.
    private static func connections(_ root: JSONTree) throws(ImportError) -> [JSONTree] {
        if let list = root["VpnConnections"]?.array ?? root.array,
            list.isEmpty || list.contains(where: {
                $0["VpnConnectionId"] != nil || $0["CustomerGatewayConfiguration"] != nil || !$0.isObject
            })
        {
            guard !list.isEmpty else {
                throw ImportError(
                    .missingValue, at: Place(line: root.line), field: "VpnConnections",
                    "the answer of AWS lists no VPN connection",
                    remedy: "Check the region and the filters of 'aws ec2 describe-vpn-connections'.")
            }
            return list
        }
        if let one = root["VpnConnection"] { return [one] }
        if root["VpnConnectionId"] != nil || root["CustomerGatewayConfiguration"] != nil { return [root] }
        let found = OtherToolsJSON.connections(root)
        if !found.isEmpty { return found }
        throw ImportError(
            .unknownFormat, at: Place(line: root.line),
            "this JSON holds no VPN connection: there is no VpnConnections, VpnConnection or "
                + "CustomerGatewayConfiguration",
            remedy: "Save the output of 'aws ec2 describe-vpn-connections' and import that.")
    }

    /// The one to import: the one that was asked for, or the only one that is not deleted.
    private func choose(
        _ list: [JSONTree], _ context: ImportContext
    ) throws(ImportError) -> (JSONTree, skipped: [String]) {
        func id(_ tree: JSONTree) -> String { Self.shown(tree["VpnConnectionId"]) ?? "(no VpnConnectionId)" }
        func state(_ tree: JSONTree) -> String { Self.shown(tree["State"]) ?? "state unknown" }
        func isGone(_ tree: JSONTree) -> Bool { ["deleted", "deleting"].contains(state(tree)) }
        func described(_ tree: JSONTree) -> String {
            let name = Self.nameTag(tree).map { ", " + quoted($0.value) } ?? ""
            return "\(id(tree)) (\(state(tree))\(name))"
        }
        for tree in list where !tree.isObject {
            throw ImportError(
                .malformed, at: Place(line: tree.line), "a VPN connection was expected here, and this is no object",
                remedy: ImportError.downloadAgain)
        }
        let candidates: [JSONTree]
        if let wanted = context.options.connection {
            candidates = list.filter { $0["VpnConnectionId"]?.string == wanted }
            guard let first = candidates.first else {
                throw ImportError(
                    .choice,
                    "the file does not hold the connection \(quoted(wanted)); it holds "
                        + list.prefix(20).map(described).joined(separator: ", "),
                    remedy: "Choose one of these with --connection.")
            }
            if isGone(first) { throw gone(first, described(first)) }
        } else {
            candidates = list.filter { !isGone($0) }
            guard let first = list.first else {
                throw ImportError(.missingValue, "there is no VPN connection", remedy: ImportError.downloadAgain)
            }
            guard !candidates.isEmpty else { throw gone(first, list.prefix(20).map(described).joined(separator: ", ")) }
            guard candidates.count == 1 else {
                throw ImportError(
                    .choice,
                    "the file holds \(candidates.count) VPN connections: "
                        + candidates.prefix(20).map(described).joined(separator: ", "),
                    remedy: "Choose one with --connection, such as --connection \(id(candidates[0])).")
            }
        }
        guard candidates.count == 1 else {
            throw ImportError(
                .contradiction, at: Place(line: candidates[1].line),
                "the connection stands in the file twice, first on line \(candidates[0].line)",
                remedy: ImportError.downloadAgain)
        }
        let others = list.filter { $0.line != candidates[0].line || id($0) != id(candidates[0]) }
        let skipped =
            others.isEmpty || list.count == 1
            ? [] : ["not imported from the same file: " + others.prefix(20).map(described).joined(separator: ", ")]
        return (candidates[0], skipped)
    }

    private func gone(_ tree: JSONTree, _ list: String) -> ImportError {
        ImportError(
            .unsupported, at: Place(line: tree.line), field: "State",
            "there is nothing to import: \(list) no longer exists at AWS",
            remedy: "Create the VPN connection again and import its configuration.")
    }

    /// Text of an identifier-like field for a message.
    private static func shown(_ tree: JSONTree?) -> String? {
        guard let text = tree?.string, !text.isEmpty, text.utf8.count <= 64,
            text.utf8.allSatisfy({
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45
            })
        else { return nil }
        return text
    }

    private static func nameTag(_ tree: JSONTree) -> Sourced<String>? {
        for tag in tree["Tags"]?.array ?? [] where tag["Key"]?.string == "Name" {
            if let value = tag["Value"]?.string.map({ trimmed($0) }), !value.isEmpty, value.utf8.count <= 256 {
                return Sourced(value, .file, Place(line: tag.line))
            }
        }
        return nil
    }

    private func connection(_ tree: JSONTree, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try checkAuthentication(tree)
        var connection: VPNConnection
        if let xml = tree["CustomerGatewayConfiguration"]?.string, !trimmed(xml).isEmpty {
            connection = try self.xml(xml, line: tree["CustomerGatewayConfiguration"]?.line ?? tree.line, context)
        } else {
            connection = VPNConnection(format: "aws-json")
        }
        connection.format = "aws-json"
        try readIdentifiers(tree, into: &connection)
        connection.nameTag = Self.nameTag(tree)
        if let type = tree["Type"], type.string != "ipsec.1" {
            throw ImportError(
                .unsupported, at: Place(line: type.line), field: "Type", "the connection type is not ipsec.1",
                remedy: "Gatehouse imports connections of type ipsec.1.")
        }
        if let state = Self.shown(tree["State"]) {
            connection.state = Sourced(state, .file, tree["State"].map { Place(line: $0.line) })
        }
        for route in tree["Routes"]?.array ?? [] {
            guard let field = Self.field(route, "DestinationCidrBlock") else { continue }
            if let state = route["State"]?.string, state == "deleted" || state == "deleting" { continue }
            let prefix = try field.prefix().value.network
            if !connection.staticRoutes.contains(prefix) { connection.staticRoutes.append(prefix) }
        }
        try readOptions(tree["Options"], into: &connection)
        try TunnelOptions(context: context).apply(tree["Options"], to: &connection)
        noteTelemetry(tree, context, into: &connection)
        guard !connection.tunnels.isEmpty else {
            throw ImportError(
                .missingValue, at: Place(line: tree.line),
                "the connection has neither a CustomerGatewayConfiguration nor TunnelOptions",
                remedy: "AWS shows them only while the connection is pending or available. " + ImportError.downloadAgain
            )
        }
        return connection
    }

    private func xml(_ text: String, line: Int, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        do {
            let document = ImportDocument(text: text)
            let (root, warnings) = try AWSXMLFormat.parse(document)
            var connection = try AWSXMLFormat.connection(root, context)
            connection.warnings = warnings + connection.warnings
            connection.place(inside: line)
            return connection
        } catch {
            throw error.inside(line)
        }
    }

    private func checkAuthentication(_ tree: JSONTree) throws(ImportError) {
        for entry in tree["VgwTelemetry"]?.array ?? [] {
            if let certificate = entry["CertificateArn"], certificate.string?.isEmpty == false {
                throw ImportError(
                    .unsupported, at: Place(line: certificate.line), field: "CertificateArn",
                    "the connection authenticates by certificate, and no AWS file holds what that needs",
                    remedy: "Gatehouse imports connections with pre-shared keys.")
            }
        }
    }

    private func readIdentifiers(_ tree: JSONTree, into connection: inout VPNConnection) throws(ImportError) {
        func take(_ key: String, prefix: String?, _ slot: inout Sourced<String>?) throws(ImportError) {
            guard let field = Self.field(tree, key) else { return }
            guard let id = try field.identifier(prefix: prefix, warnings: &connection.warnings) else { return }
            if let known = slot, known.value != id.value {
                throw ImportError(
                    .contradiction, at: field.place, field: key,
                    "this says \(id.value), and the CustomerGatewayConfiguration inside says \(known.value)",
                    remedy: ImportError.downloadAgain)
            }
            slot = id
        }
        try take("VpnConnectionId", prefix: "vpn-", &connection.connectionID)
        try take("CustomerGatewayId", prefix: "cgw-", &connection.customerGatewayID)
        for key in ["VpnGatewayId", "TransitGatewayId", "CoreNetworkArn", "VpnConcentratorId"] {
            if tree[key]?.string?.isEmpty == false { try take(key, prefix: nil, &connection.vpnGatewayID) }
        }
    }

    private func readOptions(_ options: JSONTree?, into connection: inout VPNConnection) throws(ImportError) {
        guard let options else { return }
        if let field = options["StaticRoutesOnly"], let isStatic = field.bool {
            let routing: Connector.Routing = isStatic ? .static : .bgp
            if let known = connection.routing, known.value != routing {
                connection.warnings.append(
                    "line \(field.line), StaticRoutesOnly: the options say \(routing.rawValue) routing and the "
                        + "CustomerGatewayConfiguration says \(known.value.rawValue); the options are used")
            }
            connection.routing = Sourced(routing, .file, Place(line: field.line))
        }
        if let field = options["EnableAcceleration"], let value = field.bool {
            connection.isAccelerated = Sourced(value, .file, Place(line: field.line))
        }
        if let type = Self.shown(options["OutsideIpAddressType"]) {
            connection.outsideType = Sourced(type, .file, options["OutsideIpAddressType"].map { Place(line: $0.line) })
        }
        if let version = options["TunnelInsideIpVersion"], let text = version.string {
            connection.isIPv6Inside = Sourced(text == "ipv6", .file, Place(line: version.line))
        }
        let suffix = connection.isIPv6Inside?.value == true ? "6" : "4"
        connection.localSelectors = try Self.field(options, "LocalIpv\(suffix)NetworkCidr")?.prefix().map {
            [$0.network]
        }
        connection.remoteSelectors = try Self.field(options, "RemoteIpv\(suffix)NetworkCidr")?.prefix().map {
            [$0.network]
        }
    }

    /// Telemetry is how the tunnels were when the file was written. It is never taken for their state.
    private func noteTelemetry(_ tree: JSONTree, _ context: ImportContext, into connection: inout VPNConnection) {
        guard let now = context.options.now else { return }
        let times = (tree["VgwTelemetry"]?.array ?? []).compactMap { entry in
            entry["LastStatusChange"]?.string.flatMap { WallTime(rfc3339: $0) }
        }
        guard let latest = times.max(), latest.nanoseconds < now.nanoseconds - 86_400_000_000_000 else { return }
        connection.warnings.append(
            "the tunnel states in the file are older than a day (\(latest.rfc3339)): they are no live status")
    }

    static func field(_ tree: JSONTree?, _ keys: String...) -> Field? {
        for key in keys {
            if let child = tree?[key], let text = child.scalar, !trimmed(text).isEmpty {
                return Field(name: key, text: trimmed(text), place: Place(line: child.line))
            }
        }
        return nil
    }
}

extension VPNConnection {
    /// Counts every place from now on as a line within the text of one JSON string.
    fileprivate mutating func place(inside line: Int) {
        func move<Value>(_ slot: inout Sourced<Value>?) {
            if let place = slot?.place { slot?.place = Place(line: line, innerLine: place.line) }
        }
        move(&connectionID)
        move(&customerGatewayID)
        move(&vpnGatewayID)
        move(&routing)
        move(&isIPv6Inside)
        for index in tunnels.indices {
            tunnels[index].place = Place(line: line, innerLine: tunnels[index].place.line)
            move(&tunnels[index].remoteOutside)
            move(&tunnels[index].localOutside)
            move(&tunnels[index].insideLocal)
            move(&tunnels[index].insideRemote)
            move(&tunnels[index].insideLocal6)
            move(&tunnels[index].insideRemote6)
            move(&tunnels[index].psk)
            move(&tunnels[index].encryption1)
            move(&tunnels[index].integrity1)
            move(&tunnels[index].groups1)
            move(&tunnels[index].lifetime1)
            move(&tunnels[index].encryption2)
            move(&tunnels[index].integrity2)
            move(&tunnels[index].groups2)
            move(&tunnels[index].lifetime2)
            move(&tunnels[index].dpdInterval)
            move(&tunnels[index].dpdRetries)
            move(&tunnels[index].mss)
            move(&tunnels[index].localASN)
            move(&tunnels[index].remoteASN)
            move(&tunnels[index].holdTime)
        }
    }
}
