internal import Foundation
internal import Glibc
internal import Testing

/// The main job: an AWS file in, two tunnels online, failover and return, and nothing left behind.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct MainJobTests {
    /// The tunnel to one of the sample's endpoints.
    private func tunnel(_ gateway: Gatehoused, to address: String) async throws -> TunnelReport? {
        try await gateway.tunnels().first { $0.remoteAddress == address }
    }

    private func waitForBothOnline(_ gateway: Gatehoused, within seconds: Double = 30) async throws {
        do {
            try await eventually("both tunnels are online", within: seconds) {
                let tunnels = try await gateway.tunnels()
                return tunnels.count == 2 && tunnels.allSatisfy { $0.state == "online" }
            }
        } catch let error as LabError {
            throw LabError("\(error); the status now: \(try await gateway.get("/v1/tunnels"))")
        }
    }

    @Test(arguments: Sample.all)
    func importedFileBringsBothTunnelsOnline(_ sample: Sample) async throws {
        try await Lab.with(sample.topology) { lab in
            let first = try await sample.strongSwan(lab, 0)
            let second = try await sample.strongSwan(lab, 1)
            let gateway = try await Gatehoused(lab)
            let capture = try await lab.capture()
            try await gateway.importAWS(sample.path)
            try await waitForBothOnline(gateway)
            try await lab.waitForPing()
            #expect(try await lab.ping(count: 10).lost == 0)
            for inside in sample.endpoints.compactMap(\.inside) {
                try await lab.waitForPing(inside, from: .gateway)
                let count = try await lab.ping(inside, from: .gateway)
                #expect(count.lost == 0, "\(inside): \(count)")
            }
            try await lab.transfer()
            try await capture.stop()
            let clear = try await capture.clearPackets()
            #expect(clear == [])
            #expect(try await first.hasOnePair())
            #expect(try await second.hasOnePair())
            let tunnels = try await gateway.tunnels()
            #expect(tunnels.count { $0.isActive } == 1)
            #expect(Set(tunnels.map(\.tunnel)) == Set(sample.tunnels))
            for endpoint in sample.endpoints {
                #expect(!gateway.log.contains(endpoint.psk))
            }
        }
    }

    @Test func importBehindNATComesOnline() async throws {
        var topology = Sample.staticJSON.topology
        topology.isBehindNAT = true
        try await Lab.with(topology) { lab in
            _ = try await Sample.staticJSON.strongSwan(lab, 0)
            _ = try await Sample.staticJSON.strongSwan(lab, 1)
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(Sample.staticJSON.path, ["--local-address", Topology.privateGateway])
            try await waitForBothOnline(gateway)
            try await lab.waitForPing()
            #expect(try await lab.ping(count: 10).lost == 0)
        }
    }

    @Test func trafficFailsOverAndReturns() async throws {
        let sample = Sample.staticJSON
        try await Lab.with(sample.topology) { lab in
            var peers: [StrongSwan] = []
            for number in 0...1 { peers.append(try await sample.strongSwan(lab, number)) }
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(sample.path)
            try await waitForBothOnline(gateway)
            try await lab.waitForPing()
            let active = try await eventually("a tunnel is active") {
                try await gateway.tunnels().first { $0.isActive }?.remoteAddress
            }
            let dead = try #require(sample.endpoints.firstIndex { $0.outside == active })
            await peers[dead].kill()
            // The file's DPD is 10 seconds and three tries.
            try await lab.waitForPing(within: 60)
            let other = sample.endpoints[1 - dead].outside
            try await eventually("the other tunnel is active", within: 60) {
                try await tunnel(gateway, to: other)?.isActive == true
            }
            #expect(try await lab.ping(count: 10).lost == 0)
            try await lab.transfer()

            try await peers[dead].start()
            try await waitForBothOnline(gateway, within: 90)
            try await eventually("traffic is back on the first tunnel", within: 120) {
                try await tunnel(gateway, to: active)?.isActive == true
            }
            #expect(try await lab.ping(count: 10).lost == 0)
        }
    }

    @Test func peerIsToldWhenWeStopAndNothingIsLeft() async throws {
        let sample = Sample.staticJSON
        try await Lab.with(sample.topology) { lab in
            let first = try await sample.strongSwan(lab, 0)
            let second = try await sample.strongSwan(lab, 1)
            let before = try await lab.interfaces(of: .gateway)
            let routes = try await lab.routes(of: .gateway)
            let rules = try await lab.ip(["rule"], on: .gateway)
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(sample.path)
            try await waitForBothOnline(gateway)
            #expect(try await lab.interfaces(of: .gateway).count == before.count + 2)
            #expect(await gateway.stop() == 0)
            #expect(try await lab.interfaces(of: .gateway) == before)
            #expect(try await lab.routes(of: .gateway) == routes)
            #expect(try await lab.ip(["rule"], on: .gateway) == rules)
            #expect(access(gateway.statusSocket, F_OK) != 0)
            #expect(access(gateway.controlSocket, F_OK) != 0)
            for peer in [first, second] {
                try await eventually("the peer was told", within: 5) {
                    try await !peer.listSAs().contains("ESTABLISHED")
                }
            }
        }
    }

    @Test func killedDaemonLeavesNoInterfaceAndComesBack() async throws {
        let sample = Sample.staticJSON
        try await Lab.with(sample.topology) { lab in
            _ = try await sample.strongSwan(lab, 0)
            _ = try await sample.strongSwan(lab, 1)
            let before = try await lab.interfaces(of: .gateway)
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(sample.path)
            try await waitForBothOnline(gateway)
            await gateway.kill()
            try await eventually("the interfaces have gone") { try await lab.interfaces(of: .gateway) == before }
            // Nothing reaches the VPC now, in the clear or otherwise.
            #expect(try await lab.ping(count: 3).answered == 0)
            try await gateway.start()
            try await waitForBothOnline(gateway)
            try await lab.waitForPing()
            #expect(try await lab.ping(count: 10).lost == 0)
        }
    }

    @Test(arguments: ["client-vpn-REFUSE/downloaded-client-config.ovpn", "../ImportSampleTests.swift"])
    func fileThatIsNoneChangesNothing(_ file: String) async throws {
        try await Lab.with { lab in
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(Sample.staticJSON.path)
            let before = try await gateway.mustCLI(["connector", "list", "--json"])
            let output = try await gateway.cli(
                ["import", "aws-vpn", Sample.path(file), "--remote-network", Topology.remoteNetwork])
            #expect(output.status == 1)
            #expect(!output.text.isEmpty)
            if file.hasSuffix(".ovpn") {
                #expect(output.text.contains("Client VPN"))
                #expect(!output.text.contains("BEGIN"))
            }
            #expect(try await gateway.mustCLI(["connector", "list", "--json"]) == before)
        }
    }

    @Test func dryRunPrintsThePlanAndChangesNothing() async throws {
        try await Lab.with { lab in
            let gateway = try await Gatehoused(lab)
            let text = try await gateway.mustCLI(
                [
                    "import", "aws-vpn", Sample.xml.path, "--dry-run", "--json", "--local-network",
                    Topology.localNetwork, "--remote-network", Topology.remoteNetwork,
                ])
            let plan = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(plan["format"] as? String == "aws-xml")
            #expect(plan["connectionID"] as? String == Sample.xml.connection)
            let tunnels = try #require(plan["tunnels"] as? [[String: Any]])
            #expect(tunnels.compactMap { $0["name"] as? String } == Sample.xml.tunnels)
            let phase1 = try #require(tunnels.first?["phase1"] as? [String: Any])
            #expect(phase1["psk"] as? String == "(hidden)")
            #expect(phase1["remoteAddress"] as? String == Sample.xml.endpoints[0].outside)
            #expect(try await gateway.tunnels().isEmpty)
        }
    }

    @Test func disabledConnectorGoesAndEnabledOneComesBack() async throws {
        let sample = Sample.staticJSON
        try await Lab.with(sample.topology) { lab in
            let first = try await sample.strongSwan(lab, 0)
            _ = try await sample.strongSwan(lab, 1)
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(sample.path)
            try await waitForBothOnline(gateway)
            try await gateway.mustCLI(["connector", "disable", sample.connection])
            try await eventually("both tunnels are disabled") {
                let tunnels = try await gateway.tunnels()
                return tunnels.count == 2 && tunnels.allSatisfy { $0.state == "disabled" && $0.ike == nil }
            }
            try await eventually("the peer was told") { try await !first.listSAs().contains("ESTABLISHED") }
            try await gateway.mustCLI(["connector", "enable", sample.connection])
            try await waitForBothOnline(gateway)
            try await lab.waitForPing()
            try await gateway.mustCLI(["connector", "remove", sample.connection, "--yes"])
            try await eventually("the tunnels have gone") { try await gateway.tunnels().isEmpty }
        }
    }

    @Test func statusIsReadByPeopleAndPrograms() async throws {
        let sample = Sample.staticJSON
        try await Lab.with(sample.topology) { lab in
            _ = try await sample.strongSwan(lab, 0)
            _ = try await sample.strongSwan(lab, 1)
            let gateway = try await Gatehoused(lab)
            try await gateway.importAWS(sample.path)
            try await waitForBothOnline(gateway)
            let table = try await gateway.mustCLI(["status"])
            for name in sample.tunnels { #expect(table.contains(name)) }
            #expect(table.contains("online"))
            // No colour codes in a pipe.
            #expect(!table.contains("\u{1b}"))
            #expect(try await gateway.get("/v1/status").contains(sample.tunnels[0]))
            #expect(try await gateway.get("/metrics").contains("# TYPE "))
            let events = try await gateway.mustCLI(["events"])
            #expect(events.contains("online"))
            for endpoint in sample.endpoints {
                #expect(!table.contains(endpoint.psk) && !events.contains(endpoint.psk))
            }
        }
    }
}
