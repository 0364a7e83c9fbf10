public import Base
public import Cryptography

/// What an import would do: complete, checked, and with the origin of each value.
public struct ImportPlan: Sendable {
    /// `aws-xml`, `aws-json`, `aws-generic`, `aws-strongswan`, `aws-cisco-ios` …
    public var format: String
    public var connectionID: String?
    public var customerGatewayID: String?
    public var vpnGatewayID: String?
    /// The operator's own name for the connection, from the option or the `Name` tag.
    public var name: String?
    public var routing: Connector.Routing
    public var routingOrigin: Origin
    /// On-premises networks that AWS routes to us.
    public var staticRoutes: [IPPrefix]
    public var localNetworks: [IPPrefix]
    public var remoteNetworks: [IPPrefix]
    /// Whole sentences without their full stops. Never a key.
    public var warnings: [String]
    public var tunnels: [Planned]

    /// A tunnel ready to be stored, and where each of its values comes from.
    public struct Planned: Sendable {
        public var tunnel: Tunnel
        /// PRFs that go with ``Phase1/encryption``, in order: derived from the integrity algorithms.
        public var prf: [PRFAlgorithm]
        /// By the name that the value has in the plan's JSON, such as `phase1.encryption`, in the order of that JSON.
        public var origins: [(name: String, origin: Origin)]

        public func origin(of name: String) -> Origin? { origins.first { $0.name == name }?.origin }
    }

    /// The connector that this plan describes, ready to be stored. Fails while no remote network is known.
    public func connector(isEnabled: Bool = true) throws(ImportError) -> Connector {
        guard !remoteNetworks.isEmpty else {
            throw ImportError(
                .missingValue, field: "remote networks",
                "no network behind AWS is known, and no AWS file names one",
                remedy: "Give the VPC's networks with --remote-network, such as --remote-network 10.0.0.0/16.")
        }
        return Connector(
            id: identifier, name: name ?? identifier, isEnabled: isEnabled, initiation: .initiate,
            source: Connector.Source(
                format: format, connectionID: connectionID, customerGatewayID: customerGatewayID,
                vpnGatewayID: vpnGatewayID),
            routing: routing, localNetworks: localNetworks, remoteNetworks: remoteNetworks,
            tunnels: tunnels.map(\.tunnel))
    }

    /// The connection ID, or what stands for it where a file has none.
    public var identifier: String {
        Self.identifier(connectionID: connectionID, name: name, remote: tunnels.first?.tunnel.phase1.remoteAddress)
    }

    static func identifier(connectionID: String?, name: String?, remote: IPAddress?) -> String {
        if let connectionID { return connectionID }
        if let name {
            let bytes = name.lowercased().utf8.map { byte -> UInt8 in
                (48...57).contains(byte) || (97...122).contains(byte) ? byte : UInt8(ascii: "-")
            }
            let slug = trimmed(String(decoding: bytes, as: UTF8.self), also: "-")
            if !slug.isEmpty { return slug }
        }
        let address = remote.map { $0.description.map { $0 == "." || $0 == ":" ? "-" : String($0) }.joined() }
        return "aws-" + (address ?? "vpn")
    }
}
