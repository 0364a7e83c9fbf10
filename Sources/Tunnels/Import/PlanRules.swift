internal import Base
internal import Cryptography
internal import IKE

/// From what a file says to a plan: demands what must be there, fills in defaults that say so, refuses what cannot
/// work and warns of what may not.
struct PlanRules {
    let context: ImportContext
    private var profile: VendorProfile { context.profile }
    private var options: ImportOptions { context.options }

    init(context: ImportContext) { self.context = context }

    func plan(_ connection: VPNConnection) throws(ImportError) -> ImportPlan {
        var notes = Notes(first: connection.warnings)
        try checkTunnels(connection, &notes)
        let routing = self.routing(connection, &notes)
        let networks = self.networks(connection, routing.value, &notes)
        let name = options.name ?? connection.nameTag?.value
        let identifier = ImportPlan.identifier(
            connectionID: connection.connectionID?.value, name: name,
            remote: connection.tunnels.first?.remoteOutside?.value)
        var planned: [ImportPlan.Planned] = []
        for (index, tunnel) in connection.tunnels.enumerated() {
            var builder = TunnelBuilder(
                context: context, connection: connection, tunnel: tunnel, number: index + 1, routing: routing.value,
                networks: networks)
            planned.append(try builder.build(named: "\(identifier)-\(index + 1)", &notes))
        }
        checkAcross(connection, planned, networks, &notes)
        if routing.value == .bgp {
            notes.add(
                "the connection routes by BGP, which Gatehouse does not speak: run a BGP daemon such as FRR over the "
                    + "inside addresses, or use static routing at AWS, else AWS sends nothing back")
        }
        return ImportPlan(
            format: connection.format, connectionID: connection.connectionID?.value,
            customerGatewayID: connection.customerGatewayID?.value, vpnGatewayID: connection.vpnGatewayID?.value,
            name: name, routing: routing.value, routingOrigin: routing.origin, staticRoutes: connection.staticRoutes,
            localNetworks: networks.local.value, remoteNetworks: networks.remote.value,
            warnings: notes.sentences(tunnels: planned.count), tunnels: planned)
    }

    /// Warnings, each once; the same one for several tunnels becomes one sentence.
    struct Notes {
        private var list: [(text: String, tunnels: [Int])] = []
        private var index: [String: Int] = [:]
        private var dropped = 0

        /// Nobody reads more, and a file may have a fault on every line.
        private static let limit = 100

        init(first: [String]) {
            for text in first {
                if list.count < Self.limit || index[text] != nil { add(text) } else { dropped += 1 }
            }
        }

        mutating func add(_ text: String, tunnel: Int? = nil) {
            let key = (tunnel == nil ? "" : "tunnel ") + text
            if let at = index[key] {
                if let tunnel, !list[at].tunnels.contains(tunnel) { list[at].tunnels.append(tunnel) }
            } else {
                index[key] = list.count
                list.append((text, tunnel.map { [$0] } ?? []))
            }
        }

        func sentences(tunnels count: Int) -> [String] {
            let shown = list.map { text, tunnels in
                if tunnels.isEmpty { return text }
                if tunnels.count == count, count > 1 { return (count == 2 ? "both tunnels: " : "all tunnels: ") + text }
                return "tunnel \(tunnels.map(String.init).joined(separator: ", ")): " + text
            }
            return dropped == 0 ? shown : shown + ["and \(dropped) more of this kind"]
        }
    }

    struct Networks {
        var local: Sourced<[IPPrefix]>
        var remote: Sourced<[IPPrefix]>
        var localSelectors: Sourced<[IPPrefix]>
        var remoteSelectors: Sourced<[IPPrefix]>
    }

    // MARK: What must hold

    private func checkTunnels(_ connection: VPNConnection, _ notes: inout Notes) throws(ImportError) {
        guard !connection.tunnels.isEmpty else {
            throw ImportError(
                .missingValue, "the file describes no tunnel", remedy: ImportError.downloadAgain)
        }
        if connection.tunnels.count == 1 {
            notes.add(
                "the file describes one tunnel only; AWS gives two, and without the second there is no failover")
        }
        if connection.tunnels.count > 2 {
            notes.add("the file describes \(connection.tunnels.count) tunnels; an AWS connection has two")
        }
        for (index, tunnel) in connection.tunnels.enumerated() {
            try require(tunnel, index + 1, lacks: connection.lacks)
            for earlier in connection.tunnels[..<index] {
                try compare(tunnel, earlier)
            }
        }
        let named = connection.tunnels.compactMap(\.localOutside)
        let addresses = Set(named.map(\.value))
        if addresses.count > 1 {
            let places = named.compactMap(\.place).map(\.description)
            notes.add(
                "the two tunnels name different customer gateway addresses: "
                    + addresses.sorted().map(\.description).joined(separator: ", ")
                    + (places.isEmpty ? "" : " (" + places.joined(separator: " and ") + ")"))
        }
        if let state = connection.state, state.value != "available" {
            notes.add(
                "AWS says that the connection is '\(state.value)' and not 'available': the tunnels may not come up yet")
        }
    }

    private func require(
        _ tunnel: VPNTunnel, _ number: Int, lacks: Set<VPNConnection.Lack>
    ) throws(ImportError) {
        func missing(_ what: String, _ remedy: String = "The file looks cut short. " + ImportError.downloadAgain)
            -> ImportError
        {
            ImportError(
                .missingValue, at: tunnel.place, field: "tunnel \(number)", "\(what) is missing", remedy: remedy)
        }
        guard let remote = tunnel.remoteOutside else {
            throw missing("AWS's outside address (virtual private gateway)")
        }
        guard tunnel.psk != nil else {
            throw missing(
                "the pre-shared key",
                "Either the file was cut short, or the key is in AWS Secrets Manager, or the connection uses "
                    + "certificates. " + ImportError.downloadAgain)
        }
        guard tunnel.localOutside != nil || options.localAddress != nil || lacks.contains(.customerAddress) else {
            throw missing(
                "our outside address (customer gateway)",
                "Give the address of the customer gateway with --local-address. ")
        }
        if tunnel.ownInside != nil || tunnel.peerInside != nil || !lacks.contains(.insideAddresses) {
            guard tunnel.ownInside != nil else { throw missing("our address inside the tunnel (customer gateway)") }
            guard tunnel.peerInside != nil else { throw missing("AWS's address inside the tunnel") }
        }
        if let local = tunnel.localOutside, local.value == remote.value {
            throw ImportError(
                .contradiction, at: remote.place, field: "tunnel \(number)",
                "both ends have the outside address \(remote.value)", remedy: ImportError.downloadAgain)
        }
    }

    private func compare(_ tunnel: VPNTunnel, _ other: VPNTunnel) throws(ImportError) {
        if let a = tunnel.remoteOutside, let b = other.remoteOutside, a.value == b.value {
            let isSame = tunnel.ownInside?.value == other.ownInside?.value && tunnel.psk?.value == other.psk?.value
            throw ImportError(
                .contradiction, at: a.place,
                (isSame ? "both tunnels are identical: they" : "both tunnels")
                    + " have the AWS outside address \(a.value), first on \(b.place?.description ?? "another line")",
                remedy: "AWS gives each tunnel an address of its own"
                    + (isSame ? "; a mock of the API writes files like this. " : ". ") + ImportError.downloadAgain)
        }
        if let a = tunnel.ownInside, let b = other.ownInside, a.value.network == b.value.network {
            throw ImportError(
                .contradiction, at: a.place,
                "both tunnels have the inside network \(a.value.network), first on "
                    + (b.place?.description ?? "another line"),
                remedy: "AWS gives each tunnel a network of its own. " + ImportError.downloadAgain)
        }
    }

    // MARK: Routing and networks

    private func routing(_ connection: VPNConnection, _ notes: inout Notes) -> Sourced<Connector.Routing> {
        if let routing = connection.routing { return routing }
        notes.add("the file does not say whether routing is static or BGP; static is assumed")
        return Sourced(.static, .default)
    }

    private func networks(_ connection: VPNConnection, _ routing: Connector.Routing, _ notes: inout Notes) -> Networks {
        let isIPv6 = connection.isIPv6Inside?.value == true
        let defaults = profile.defaults
        // A file with IPv6 inside still has IPv4 addresses there: both are asked for, and AWS narrows them.
        let any = Sourced(
            isIPv6 ? [defaults.selectorsIPv4, defaults.selectorsIPv6] : [defaults.selectorsIPv4], .default)
        let localSelectors = connection.localSelectors ?? any
        let remoteSelectors = connection.remoteSelectors ?? any

        var local = Sourced(clean(options.localNetworks, "--local-network", &notes), .option)
        if local.value.isEmpty {
            let configured = localSelectors.value.filter { $0.length > 0 }
            if !connection.staticRoutes.isEmpty {
                local = Sourced(connection.staticRoutes, .file)
            } else if !configured.isEmpty {
                local = Sourced(configured, localSelectors.origin, localSelectors.place)
            } else {
                local = Sourced([], .default)
                notes.add("no local network is known; give the networks on this side with --local-network")
            }
        }
        var remote = Sourced(clean(options.remoteNetworks, "--remote-network", &notes), .option)
        if remote.value.isEmpty {
            let configured = remoteSelectors.value.filter { $0.length > 0 }
            remote =
                configured.isEmpty
                ? Sourced([], .default) : Sourced(configured, remoteSelectors.origin, remoteSelectors.place)
            if configured.isEmpty {
                notes.add(
                    routing == .bgp
                        ? "no AWS file names the networks behind AWS (with BGP they would be announced in the tunnel); "
                            + "give them with --remote-network"
                        : "routing is static and no AWS file names the networks behind AWS; give them with "
                            + "--remote-network"
                )
            }
        }
        return Networks(
            local: local, remote: remote, localSelectors: localSelectors, remoteSelectors: remoteSelectors)
    }

    private func clean(_ prefixes: [IPPrefix], _ option: String, _ notes: inout Notes) -> [IPPrefix] {
        var result: [IPPrefix] = []
        for prefix in prefixes {
            if prefix.hasHostBits { notes.add("\(option) \(prefix) was taken as the network \(prefix.network)") }
            if !result.contains(prefix.network) { result.append(prefix.network) }
        }
        return result
    }

    // MARK: What concerns the whole

    private func checkAcross(
        _ connection: VPNConnection, _ planned: [ImportPlan.Planned], _ networks: Networks, _ notes: inout Notes
    ) {
        for network in networks.remote.value {
            if let own = networks.local.value.first(where: { $0.contains(network) || network.contains($0) }) {
                notes.add("the remote network \(network) and the local network \(own) overlap")
            }
            if !networks.remoteSelectors.value.contains(where: { $0.contains(network) }) {
                notes.add(
                    "the remote network \(network) is outside what AWS lets through (RemoteIpv4NetworkCidr "
                        + networks.remoteSelectors.value.map(\.description).joined(separator: ", ") + ")")
            }
            for tunnel in planned {
                if let outside = tunnel.tunnel.phase1.remoteAddress, network.contains(outside) {
                    notes.add(
                        "the remote network \(network) contains AWS's outside address \(outside): the tunnel's own "
                            + "packets are kept out of it")
                }
            }
        }
        for network in networks.local.value
        where !networks.localSelectors.value.contains(where: { $0.contains(network) }) {
            notes.add(
                "the local network \(network) is outside what AWS lets through (LocalIpv4NetworkCidr "
                    + networks.localSelectors.value.map(\.description).joined(separator: ", ") + ")")
        }
        if connection.isAccelerated?.value == true {
            notes.add(
                "the connection is accelerated: ESP always travels in UDP 4500, and Gatehouse starts every rekey")
        }
        let withBGP = planned.count { $0.tunnel.bgp != nil }
        if withBGP > 0, withBGP < planned.count {
            notes.add("some tunnels have BGP values and some have none: the file may have been cut short")
        }
    }
}

extension VPNTunnel {
    /// Our address inside: IPv4 where there is one, else IPv6.
    var ownInside: Sourced<IPPrefix>? { insideLocal ?? insideLocal6 }
    var peerInside: Sourced<IPPrefix>? { insideRemote ?? insideRemote6 }
}
