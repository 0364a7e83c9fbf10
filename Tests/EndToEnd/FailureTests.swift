internal import Testing

/// What goes wrong at the peer, and what the status then says.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct FailureTests {
    @Test func killedPeerIsNoticedAndComesBack() async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            connector.dpdDelay = 2
            connector.dpdTimeout = 6
            try await gateway.add(connector)
            try await gateway.waitForOnline()
            try await lab.waitForPing()
            await peer.kill()
            let dead = try await gateway.waitFor("lab-1", "noticed dead", within: 30) {
                $0.state != "online" && $0.state != "degraded"
            }
            #expect(dead.children.isEmpty)
            try await gateway.waitFor("lab-1", "explained", within: 30) { $0.lastError != nil }
            try await peer.start()
            try await gateway.waitForOnline(within: 60)
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    @Test func whatSomeoneElseChangesIsMended() async throws {
        try await Lab.with { lab in
            _ = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(Pair.connector(lab.topology, .gcm))
            try await gateway.waitForOnline()
            try await lab.waitForPing()
            // The gateway's own packets cross as well: they do not come from the inside address.
            #expect(try await lab.ping(from: .gateway, count: 3).lost == 0)
            let capture = try await lab.capture()
            let routes = try await lab.routes(of: .gateway)
            for route in [[Topology.remoteNetwork, "metric", "100"], ["unreachable", Topology.remoteNetwork]] {
                _ = try await lab.ip(["route", "delete"] + route, on: .gateway)
            }
            try await eventually("the routes are back") { try await lab.routes(of: .gateway) == routes }
            _ = try await lab.ip(["link", "set", "gh0", "down"], on: .gateway)
            try await eventually("the interface is back") { try await lab.routes(of: .gateway) == routes }
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
            #expect(try await gateway.mustCLI(["events", "--limit", "20"]).contains("by someone else"))
            try await capture.stop()
            let clear = try await capture.clearPackets()
            #expect(clear == [])
        }
    }

    @Test func peerThatLostItsMemoryIsReplaced() async throws {
        // The peer is killed and started again, and initiates before we have noticed.
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            try await gateway.add(connector)
            let before = try await gateway.waitForOnline()
            await peer.kill()
            try await peer.start()
            try await peer.initiate("customer")
            let after = try await gateway.waitFor("lab-1", "online anew") {
                $0.state == "online" && $0.ike != before.ike && $0.children.count == 1
            }
            #expect(after.children[0].spiIn != before.children[0].spiIn)
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    @Test func peersDeleteBringsTheTunnelUpAnew() async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            var connector = Pair.connector(lab.topology, .gcm)
            connector.inside = nil
            try await gateway.add(connector)
            let before = try await gateway.waitForOnline()
            try await peer.terminate("customer")
            try await gateway.waitFor("lab-1", "online anew", within: 40) {
                $0.state == "online" && $0.ike != nil && $0.ike != before.ike
            }
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
            #expect(try await peer.hasOnePair())
        }
    }

    /// One term of the peer's that does not fit ours, and words of which one must be in the status.
    struct Mismatch: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var words: [String]
        var change: @Sendable (inout StrongSwanConnection) -> Void

        static let all = [
            Mismatch(testDescription: "pre-shared key", words: ["pre-shared key"]) {
                $0.psk = "anotherSecret_0123456789.ab"
            },
            Mismatch(testDescription: "phase 1 proposal", words: ["proposal"]) {
                $0.ikeProposals = "aes256-sha512-modp4096"
            },
            Mismatch(testDescription: "phase 2 proposal", words: ["proposal"]) {
                $0.espProposals = "aes256-sha512"
            },
            Mismatch(testDescription: "selectors", words: ["selector", "network"]) {
                $0.localSelectors = "10.99.0.0/16"
                $0.remoteSelectors = "10.98.0.0/16"
            },
        ]
    }

    private func connector(_ lab: Lab) -> ConnectorFile {
        var connector = Pair.connector(lab.topology, .common)
        connector.inside = nil
        connector.localSelectors = [Topology.localNetwork]
        connector.remoteSelectors = [Topology.remoteNetwork]
        return connector
    }

    private func endpoint(_ lab: Lab, _ mismatch: Mismatch) -> StrongSwanConnection {
        var endpoint = Pair.endpoint(lab.topology, .common)
        endpoint.localSelectors = Topology.remoteNetwork
        endpoint.remoteSelectors = Topology.localNetwork
        mismatch.change(&endpoint)
        return endpoint
    }

    private func expectWords(_ gateway: Gatehoused, _ mismatch: Mismatch) async throws {
        let tunnel = try await gateway.waitFor("lab-1", "in error, with one of the words \(mismatch.words)") { tunnel in
            mismatch.words.contains { tunnel.lastError?.lowercased().contains($0) == true }
        }
        #expect(tunnel.state != "online")
        #expect(tunnel.children.isEmpty)
        // Neither the status nor the log tells the key.
        #expect(!gateway.log.contains(Pair.psk))
        #expect(try await !gateway.get("/v1/tunnels").contains(Pair.psk))
    }

    @Test(arguments: Mismatch.all)
    func mismatchIsNamedWhenWeInitiate(_ mismatch: Mismatch) async throws {
        try await Lab.with { lab in
            _ = try await StrongSwan(lab, on: .aws1, [endpoint(lab, mismatch)])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(connector(lab))
            try await expectWords(gateway, mismatch)
        }
    }

    @Test(arguments: Mismatch.all)
    func mismatchIsNamedWhenWeRespond(_ mismatch: Mismatch) async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [endpoint(lab, mismatch)])
            let gateway = try await Gatehoused(lab)
            var connector = connector(lab)
            connector.initiation = "respond"
            try await gateway.add(connector)
            let attempt = try await peer.attempt("customer")
            #expect(attempt.status != 0)
            try await expectWords(gateway, mismatch)
        }
    }

    @Test func silentPeerIsNamed() async throws {
        try await Lab.with { lab in
            let gateway = try await Gatehoused(lab)
            try await gateway.add(connector(lab))
            let tunnel = try await gateway.waitFor("lab-1", "in error", within: 60) { $0.lastError != nil }
            #expect(tunnel.lastError?.contains(lab.topology.endpoints[0]) == true)
            #expect(tunnel.state != "online")
        }
    }
}
