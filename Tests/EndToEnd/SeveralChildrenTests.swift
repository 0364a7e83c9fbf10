internal import Testing

/// Several child SAs on one IKE SA, and lifetimes in bytes, with strongSwan.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct SeveralChildrenTests {
    private static let networks = ["10.1.0.0/24", "10.1.1.0/24"]
    private static let secondClient = "10.1.1.10"

    /// The client has an address in each of our two networks.
    private func addSecondNetwork(_ lab: Lab) async throws {
        _ = try await lab.ip(["addr", "add", Self.secondClient + "/32", "dev", "eth0"], on: .client)
        _ = try await lab.ip(["route", "add", "10.1.1.0/24", "via", Topology.client], on: .gateway)
    }

    private func pingFromSecond(_ lab: Lab) async throws -> PingCount {
        try PingCount(
            try await lab.run(
                "ping", ["-n", "-q", "-c", "5", "-i", "0.1", "-W", "5", "-I", Self.secondClient, Topology.vpc],
                on: .client
            ).text)
    }

    private func endpoint(_ lab: Lab, further: [String]) -> StrongSwanConnection {
        var endpoint = Pair.endpoint(lab.topology, .gcm)
        endpoint.localSelectors = Topology.remoteNetwork
        endpoint.remoteSelectors = Self.networks[0]
        endpoint.furtherRemoteSelectors = further
        return endpoint
    }

    private func connector(_ lab: Lab) -> ConnectorFile {
        var connector = Pair.connector(lab.topology, .gcm)
        connector.inside = nil
        connector.networksApart = Self.networks
        connector.remoteSelectors = [Topology.remoteNetwork]
        return connector
    }

    @Test func eachNetworkHasItsOwn() async throws {
        try await Lab.with { lab in
            try await addSecondNetwork(lab)
            let peer = try await StrongSwan(lab, on: .aws1, [endpoint(lab, further: [Self.networks[1]])])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(connector(lab))
            let first = try await gateway.waitFor("lab-1", "online with both") {
                $0.state == "online" && $0.children.count == 2
            }
            #expect(Set(first.children.flatMap(\.localNetworks)) == Set(Self.networks))
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
            #expect(try await pingFromSecond(lab).lost == 0)
            // Each is rekeyed, by either side.
            try await gateway.rekeyChild("lab")
            let second = try await gateway.waitFor("lab-1", "rekeyed by us") { now in
                now.children.count == 2
                    && Set(now.children.map(\.spiIn)).isDisjoint(with: first.children.map(\.spiIn))
            }
            for child in ["customer-net", "customer-net2"] {
                _ = try await peer.swanctl(["--rekey", "--child", child])
            }
            try await gateway.waitFor("lab-1", "rekeyed by strongSwan") { now in
                now.children.count == 2
                    && Set(now.children.map(\.spiIn)).isDisjoint(with: second.children.map(\.spiIn))
            }
            #expect(try await lab.ping().lost == 0)
            #expect(try await pingFromSecond(lab).lost == 0)
        }
    }

    @Test func oneThatIsRefusedLeavesTheOther() async throws {
        try await Lab.with { lab in
            try await addSecondNetwork(lab)
            _ = try await StrongSwan(lab, on: .aws1, [endpoint(lab, further: [])])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(connector(lab))
            let tunnel = try await gateway.waitFor("lab-1", "degraded") {
                $0.state == "degraded" && $0.lastError != nil
            }
            #expect(tunnel.children.map(\.localNetworks) == [[Self.networks[0]]])
            let why = try await gateway.mustCLI(["explain", "lab-1"])
            #expect(why.contains("phase 2 from-10.1.1.0 of lab-1 is not up"), "\(why)")
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    @Test func whatAnSAMayCarryIsKept() async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            connector.childLifetimeBytes = 20_000_000
            try await gateway.add(connector)
            let before = try await gateway.waitForOnline()
            try await lab.waitForPing()
            for _ in 1...4 { try await lab.transfer(megabytes: 8) }
            let after = try await gateway.waitFor("lab-1", "rekeyed by its bytes") {
                $0.children.count == 1 && $0.children[0].spiIn != before.children[0].spiIn
            }
            #expect(after.ike == before.ike)
            #expect(after.children[0].bytesOut < 20_000_000)
            #expect(after.lastError == nil)
            try await eventually("one pair is left") { try await peer.hasOnePair() }
            #expect(try await lab.ping().lost == 0)
        }
    }
}
