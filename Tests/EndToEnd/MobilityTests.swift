internal import Testing

/// Tunnels that outlive what happens to either end: another address, another life.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct MobilityTests {
    /// Our second address on the outside.
    private static let elsewhere = "198.51.100.8"

    /// The provider gives the gateway another address: the old one goes with all its routes.
    private func moveGateway(_ lab: Lab) async throws {
        _ = try await lab.ip(["addr", "add", Self.elsewhere + "/32", "dev", "wan"], on: .gateway)
        _ = try await lab.ip(["addr", "del", lab.topology.customer + "/24", "dev", "wan"], on: .gateway)
        _ = try await lab.ip(
            ["route", "replace", "default", "via", "198.51.100.1", "onlink", "dev", "wan", "src", Self.elsewhere],
            on: .gateway)
    }

    private func expectSameSAs(_ before: TunnelReport, _ after: TunnelReport) {
        #expect(after.state == "online")
        #expect(after.ike == before.ike)
        #expect(after.children.map(\.spiIn) == before.children.map(\.spiIn))
        #expect(after.lastError == nil)
    }

    @Test func ourTunnelWithStrongSwanGoesAlong() async throws {
        try await Lab.with { lab in
            var endpoint = Pair.endpoint(lab.topology, .gcm)
            endpoint.isMobile = true
            let peer = try await StrongSwan(lab, on: .aws1, [endpoint])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            try await gateway.add(connector)
            let before = try await gateway.waitForOnline()
            try await lab.waitForPing()
            #expect(try await peer.listSAs().contains(lab.topology.customer))
            try await moveGateway(lab)
            try await lab.waitForPing()
            // charon rekeys the child afterwards, because kernel-libipsec cannot move one.
            let after = try await gateway.waitFor("lab-1", "settled") { $0.children.count == 1 }
            #expect(after.state == "online")
            #expect(after.ike == before.ike)
            #expect(after.lastError == nil)
            #expect(try await peer.listSAs().contains(Self.elsewhere))
            try await eventually("one pair is left") { try await peer.hasOnePair() }
            #expect(gateway.log.contains("our address is now \(Self.elsewhere)"))
            // The SAs that follow live at the new address as well.
            try await gateway.rekeyIKE(connector.name)
            try await gateway.waitFor("lab-1", "rekeyed") { $0.ike != nil && $0.ike != before.ike }
            try await gateway.rekeyChild(connector.name)
            try await gateway.waitFor("lab-1", "rekeyed") {
                $0.children.count == 1 && $0.children[0].spiIn != before.children[0].spiIn
            }
            #expect(try await lab.ping(count: 20).lost == 0)
            try await lab.transfer()
        }
    }

    @Test func twoOfOursGoAlong() async throws {
        try await Lab.with { lab in
            let (gateway, endpoint) = try await pair(lab)
            let capture = try await lab.capture()
            let before = try await gateway.waitForOnline()
            try await lab.waitForPing()
            let ping = try lab.startPing()
            try await moveGateway(lab)
            try await lab.waitForPing()
            let count = try await ping.stop()
            expectSameSAs(before, try await gateway.tunnel())
            #expect(try await endpoint.tunnel().ike == before.ike)
            #expect(endpoint.log.contains("the peer is now at \(Self.elsewhere)"))
            #expect(count.answered > 20, "\(count)")
            try await lab.transfer()
            try await capture.stop()
            let clear = try await capture.clearPackets()
            #expect(clear == [])
            // Nothing translates: ESP stays outside UDP.
            #expect(try await capture.count("esp and host \(Self.elsewhere)") > 100)
        }
    }

    /// An endpoint that has lost its memory proves it to the first message that it gets.
    @Test func aRestartedPeerIsKnownAtOnce() async throws {
        try await Lab.with { lab in
            let (gateway, endpoint) = try await pair(lab)
            let before = try await gateway.waitForOnline()
            try await lab.waitForPing()
            await endpoint.kill()
            try endpoint.forgetRuntime()
            try await endpoint.start()
            try await gateway.rekeyIKE("lab")
            try await eventually("the gateway knows of the restart") {
                gateway.log.contains("has restarted and knows nothing of this IKE SA any more")
            }
            let after = try await gateway.waitFor("lab-1", "online anew") { $0.state == "online" && $0.ike != before.ike }
            #expect(after.children.count == 1)
            try await lab.waitForPing()
        }
    }

    @Test func weBeginWithoutAChild() async throws {
        try await Lab.with { lab in
            _ = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            connector.childless = true
            try await gateway.add(connector)
            let tunnel = try await gateway.waitForOnline()
            // The first child of a usual IKE_AUTH has no group of its own.
            #expect(tunnel.children.map(\.proposal) == ["aes128gcm16-ecp256"])
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    @Test func strongSwanBeginsWithoutAChild() async throws {
        try await Lab.with { lab in
            var theirs = Pair.endpoint(lab.topology, .gcm)
            theirs.childless = "force"
            let peer = try await StrongSwan(lab, on: .aws1, [theirs])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            connector.initiation = "respond"
            try await gateway.add(connector)
            try await eventually("the connector is in force") { try await peer.attempt("customer").status == 0 }
            let tunnel = try await gateway.waitForOnline()
            #expect(tunnel.children.map(\.proposal) == ["aes128gcm16-ecp256"])
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    /// Two of our own daemons with a tunnel between them, which the gateway brings up.
    private func pair(_ lab: Lab) async throws -> (gateway: Gatehoused, endpoint: Gatehoused) {
        let endpoint = try await Gatehoused(lab, on: .aws1)
        var theirs = Pair.connector(lab.topology, .gcm)
        theirs.initiation = "respond"
        theirs.localAddress = lab.topology.endpoints[0]
        theirs.remoteAddress = lab.topology.customer
        theirs.localNetworks = [Topology.remoteNetwork]
        theirs.remoteNetworks = [Topology.localNetwork]
        theirs.inside = nil
        try await endpoint.add(theirs)
        let gateway = try await Gatehoused(lab)
        var ours = Pair.connector(lab.topology, .gcm)
        ours.inside = nil
        try await gateway.add(ours)
        return (gateway, endpoint)
    }
}
