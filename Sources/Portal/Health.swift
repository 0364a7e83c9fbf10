public import Tunnels

/// `GET /health`: whether every enabled connector has a tunnel that carries traffic.
public struct Health: Hashable, Codable, Sendable {
    /// Answered with 200 when true, else with 503.
    public var isHealthy: Bool
    /// One sentence for each thing that is wrong; empty when healthy.
    public var reasons: [String]

    public init(isHealthy: Bool, reasons: [String]) {
        self.isHealthy = isHealthy
        self.reasons = reasons
    }

    /// Judges by the tunnels' states. A connector whose tunnels are all disabled is not expected to be up.
    ///
    /// - Parameter problems: what is wrong with the gateway itself.
    public init(_ status: GatewayStatus, problems: [String] = []) {
        var order: [String] = []
        var tunnels: [String: [TunnelStatus]] = [:]
        for tunnel in status.tunnels where tunnel.state != .disabled {
            if tunnels[tunnel.connector] == nil { order.append(tunnel.connector) }
            tunnels[tunnel.connector, default: []].append(tunnel)
        }
        reasons = problems
        for connector in order {
            let own = tunnels[connector] ?? []
            guard !own.contains(where: \.state.carriesTraffic) else { continue }
            let states = own.map { tunnel in
                "\(tunnel.tunnel) is \(tunnel.state.rawValue)" + (tunnel.lastError.map { " (\($0))" } ?? "")
            }
            reasons.append("connector \(connector) has no tunnel online: " + states.joined(separator: ", "))
        }
        isHealthy = reasons.isEmpty
    }
}

extension TunnelStatus.State {
    /// Packets pass: online, or degraded, which is up with a check failing.
    public var carriesTraffic: Bool { self == .online || self == .degraded }
}
