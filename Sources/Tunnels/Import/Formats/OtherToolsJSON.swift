import JSONText

/// VPN connections in the JSON of tools that ask AWS for someone: Terraform's state and outputs, Ansible's and Pulumi's
/// results. They have AWS's document whole, and name the fields around it in their own style.
enum OtherToolsJSON {
    private static let limit = 64

    /// Every connection in the tree, as the API would have written it.
    static func connections(_ root: JSONTree) -> [JSONTree] {
        var found: [JSONTree] = []
        collect(root, &found)
        return found
    }

    private static func collect(_ tree: JSONTree, _ found: inout [JSONTree]) {
        guard found.count < limit else { return }
        switch tree.value {
        case .object(let fields):
            let configuration = fields.first { canonical($0.key) == "CustomerGatewayConfiguration" }?.value
            if let text = configuration?.string, text.containsBytes("<vpn_connection") {
                found.append(fields["tunnel1_address"] == nil ? renamed(tree) : terraform(fields, tree.line))
            } else {
                for (_, child) in fields.sorted(by: { ($0.value.line, $0.key) < ($1.value.line, $1.key) }) {
                    collect(child, &found)
                }
            }
        case .array(let items): for item in items { collect(item, &found) }
        case .string(let text) where text.containsBytes("<vpn_connection "):
            // An output of Terraform: the document alone.
            found.append(JSONTree(value: .object(["CustomerGatewayConfiguration": tree]), line: tree.line))
        default: break
        }
    }

    /// `customer_gateway_configuration`, `customerGatewayConfiguration`: by AWS's own name.
    private static func canonical(_ key: String) -> String { names[key.lowercased().replacing("_", with: "")] ?? key }

    private static let names = Dictionary(
        uniqueKeysWithValues: [
            "VpnConnectionId", "State", "Type", "Category", "CustomerGatewayId", "VpnGatewayId", "TransitGatewayId",
            "CoreNetworkArn", "VpnConcentratorId", "CustomerGatewayConfiguration", "Routes", "DestinationCidrBlock",
            "VgwTelemetry", "CertificateArn", "LastStatusChange", "Tags", "Key", "Value", "Options",
            "EnableAcceleration", "StaticRoutesOnly", "LocalIpv4NetworkCidr", "RemoteIpv4NetworkCidr",
            "LocalIpv6NetworkCidr", "RemoteIpv6NetworkCidr", "OutsideIpAddressType", "TunnelInsideIpVersion",
            "TunnelOptions", "OutsideIpAddress", "TunnelInsideCidr", "TunnelInsideIpv6Cidr", "PreSharedKey",
            "Phase1LifetimeSeconds", "Phase2LifetimeSeconds", "RekeyMarginTimeSeconds", "RekeyFuzzPercentage",
            "ReplayWindowSize", "DpdTimeoutSeconds", "Phase1EncryptionAlgorithms", "Phase2EncryptionAlgorithms",
            "Phase1IntegrityAlgorithms", "Phase2IntegrityAlgorithms", "Phase1DHGroupNumbers",
            "Phase2DHGroupNumbers", "IkeVersions", "StartupAction",
        ].map { ($0.lowercased(), $0) })

    private static func renamed(_ tree: JSONTree) -> JSONTree {
        switch tree.value {
        case .object(let fields):
            let pairs = fields.map { (canonical($0.key), renamed($0.value)) }
            return JSONTree(
                value: .object(Dictionary(pairs, uniquingKeysWith: { $0.line < $1.line ? $0 : $1 })), line: tree.line)
        case .array(let items): return JSONTree(value: .array(items.map(renamed)), line: tree.line)
        default: return tree
        }
    }

    /// The attributes of Terraform's `aws_vpn_connection`: flat, with the tunnel's number in the name, and 0 or nothing
    /// where AWS said nothing.
    private static func terraform(_ fields: [String: JSONTree], _ line: Int) -> JSONTree {
        func isSet(_ tree: JSONTree) -> Bool {
            switch tree.value {
            case .null, .number("0"), .string(""): false
            case .array(let items): !items.isEmpty
            default: true
            }
        }
        var connection: [String: JSONTree] = [:]
        var options: [String: JSONTree] = [:]
        var tunnels: [[String: JSONTree]] = [[:], [:]]
        for (key, tree) in fields where isSet(tree) {
            if key.hasPrefix("tunnel1_") || key.hasPrefix("tunnel2_") {
                let name = String(key.dropFirst(8))
                let known = [
                    "address": "OutsideIpAddress", "inside_cidr": "TunnelInsideCidr",
                    "inside_ipv6_cidr": "TunnelInsideIpv6Cidr",
                ]
                tunnels[key.hasPrefix("tunnel1_") ? 0 : 1][known[name] ?? canonical(name)] = tree
            } else if [
                "static_routes_only", "enable_acceleration", "outside_ip_address_type", "tunnel_inside_ip_version",
                "local_ipv4_network_cidr", "remote_ipv4_network_cidr", "local_ipv6_network_cidr",
                "remote_ipv6_network_cidr",
            ].contains(key) {
                options[canonical(key)] = tree
            } else if key == "id" || [
                "type", "customer_gateway_id", "vpn_gateway_id", "transit_gateway_id", "core_network_arn",
                "customer_gateway_configuration", "routes",
            ].contains(key) {
                connection[key == "id" ? "VpnConnectionId" : canonical(key)] = renamed(tree)
            }
        }
        // Before version 3 of its provider Terraform did not keep the options, which is not the same as none set.
        if fields["tunnel1_ike_versions"] != nil {
            options["TunnelOptions"] = JSONTree(
                value: .array(tunnels.map { JSONTree(value: .object($0), line: line) }), line: line)
        }
        connection["Options"] = JSONTree(value: .object(options), line: line)
        return JSONTree(value: .object(connection), line: line)
    }
}
