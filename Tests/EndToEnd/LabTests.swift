internal import Testing

/// The lab itself, with strongSwan at both ends: when one of these fails, the lab is at fault and not Gatehouse.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct LabTests {
    /// strongSwan as the customer's gateway towards one endpoint.
    private func gateway(_ lab: Lab, endpoint: Int, _ suite: CipherSuite) -> StrongSwanConnection {
        var connection = Pair.endpoint(lab.topology, suite)
        connection.name = "aws\(endpoint + 1)"
        connection.local = lab.topology.gateway
        connection.remote = lab.topology.endpoints[endpoint]
        connection.localID = lab.topology.customer
        connection.remoteID = lab.topology.endpoints[endpoint]
        connection.network = Topology.remoteNetwork
        return connection
    }

    private func endpoint(_ lab: Lab, _ number: Int, _ suite: CipherSuite) -> StrongSwanConnection {
        var connection = Pair.endpoint(lab.topology, suite)
        connection.local = lab.topology.endpoints[number]
        connection.localID = lab.topology.endpoints[number]
        return connection
    }

    @Test(arguments: CipherSuite.all)
    func strongSwanReachesStrongSwan(_ suite: CipherSuite) async throws {
        try await Lab.with { lab in
            _ = try await StrongSwan(
                lab, on: .aws1, [endpoint(lab, 0, suite)], inside: [Pair.insideEndpoint + "/30"])
            let gateway = try await StrongSwan(
                lab, on: .gateway, [gateway(lab, endpoint: 0, suite)], inside: [Pair.insideGateway + "/30"])
            try await gateway.initiate("aws1")
            // strongSwan routes a moment after it has said that the tunnel is up.
            try await lab.waitForPing()
            let capture = try await lab.capture()
            #expect(try await lab.ping().lost == 0)
            #expect(try await lab.ping(Pair.insideEndpoint, from: .gateway).lost == 0)
            try await lab.transfer()
            try await capture.stop()
            let clear = try await capture.clearPackets()
            #expect(clear == [])
            #expect(try await capture.encryptedPackets() > 20)
        }
    }

    @Test func captureSeesWhatIsNotEncrypted() async throws {
        try await Lab.with { lab in
            let capture = try await lab.capture()
            _ = try await lab.ping(count: 3)
            try await capture.stop()
            let clear = try await capture.clearPackets()
            #expect(clear != [])
        }
    }

    @Test func returnTrafficTakesTheEndpointThatHasATunnel() async throws {
        try await Lab.with { lab in
            let first = try await StrongSwan(lab, on: .aws1, [endpoint(lab, 0, .gcm)])
            _ = try await StrongSwan(lab, on: .aws2, [endpoint(lab, 1, .gcm)])
            let gateway = try await StrongSwan(
                lab, on: .gateway, [gateway(lab, endpoint: 0, .gcm), gateway(lab, endpoint: 1, .gcm)])
            // Only the second endpoint has a tunnel; the VPC's default route is the first one.
            try await gateway.initiate("aws2")
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
            try await gateway.terminate("aws2")
            // Only the first one.
            try await gateway.initiate("aws1")
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
            // The first one's daemon is killed with its tunnel up.
            await first.kill()
            _ = try await gateway.swanctl(["--terminate", "--ike", "aws1", "--force", "--timeout", "1"])
            try await gateway.initiate("aws2")
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    @Test func strongSwanGetsThroughTheNAT() async throws {
        try await Lab.with(Topology(isBehindNAT: true)) { lab in
            _ = try await StrongSwan(lab, on: .aws1, [endpoint(lab, 0, .gcm)])
            let gateway = try await StrongSwan(lab, on: .gateway, [gateway(lab, endpoint: 0, .gcm)])
            try await gateway.initiate("aws1")
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    /// What the peer that we measure ourselves by does: at most one ping for the child that it swaps.
    @Test func strongSwanRekeysUnderPing() async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [endpoint(lab, 0, .gcm)])
            let gateway = try await StrongSwan(lab, on: .gateway, [gateway(lab, endpoint: 0, .gcm)])
            try await gateway.initiate("aws1")
            try await lab.waitForPing()
            let ping = try lab.startPing()
            try await gateway.rekeyChild("aws1")
            try await peer.rekeyIKE("customer")
            try await eventually("one pair is left") { try await gateway.hasOnePair() }
            let count = try await ping.stop()
            #expect(count.lost <= 1)
            #expect(count.sent > 10)
        }
    }

    /// The identity provider and the browser, without a service that would take what they bring.
    @Test func aBrowserSignsInAtTheProvider() async throws {
        try await Lab.with { lab in
            // Nobody listens there.
            let gateway = ["gate.office.example": "10.1.0.1"]
            let service = SignInService(entityID: "urn:lab", consumer: "https://gate.office.example/consumer")
            let provider = try await SimpleSAMLphp(lab, services: [service])
            try lab.setNames([SimpleSAMLphp.name: SimpleSAMLphp.address].merging(gateway) { $1 }, on: .client)
            let stranger = try await Browser(lab, trusting: [])
            try await stranger.open(SimpleSAMLphp.tile(service))
            #expect(try await stranger.title() == "Privacy error")

            let browser = try await Browser(lab, trusting: [provider.webCertificate])
            try await browser.open(SimpleSAMLphp.tile(service))
            try await browser.signInAtProvider("ada", "not her password")
            try await browser.waitFor("Incorrect username or password")
            try await browser.signInAtProvider("ada", Person.ada.password)
            try await eventually("the browser goes where the answer is posted to") {
                try await browser.address() == service.consumer
            }
        }
    }
}
