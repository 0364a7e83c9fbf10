internal import Testing

/// A vendor's gateway, played by a strongSwan that accepts what the vendor's documentation says and nothing else.
struct VendorPeer: Sendable, CustomTestStringConvertible {
    var template: String
    var ikeProposals: String
    var espProposals: String
    /// What both must come to: of what we offer, the peer's first.
    var ikeSuite: String
    var espSuite: String
    /// The child's suite after a rekey, which is where PFS shows: the peer's choice when we ask, ours when it does.
    var rekeyedSuites: [String]
    /// Route-based gateways negotiate everything, the others their networks.
    var isRouteBased: Bool

    var testDescription: String { template }

    /// The accept-lists of `Profiles/ipsec`, with their sources there. What charon does not have (3DES, DES, group 1)
    /// is left out; we offer none of it.
    static let all = [
        VendorPeer(
            template: "azure",
            ikeProposals: "aes256-sha1-modp1024,aes256-sha256-modp1024,aes128-sha1-modp1024,aes128-sha256-modp1024",
            espProposals: """
                aes256gcm16,aes256-sha1,aes256-sha256,aes128-sha1,aes256-sha1-modp1024,aes256-sha1-modp2048,\
                aes128-sha1-modp1024,aes128-sha1-modp2048,aes256-sha256-modp1024,aes256-sha256-modp2048,aes128-sha256,\
                aes128-sha256-modp1024,aes128-sha256-modp2048
                """,
            ikeSuite: "aes256-sha256-modp1024", espSuite: "aes256gcm16", rekeyedSuites: ["aes256gcm16", "aes256gcm16"],
            isRouteBased: true),
        VendorPeer(
            template: "google-cloud",
            ikeProposals: """
                aes256gcm16-aes192gcm16-aes128gcm16-prfsha512-prfsha256-modp2048-modp4096-modp3072-modp8192-\
                ecp256-ecp384
                """,
            espProposals: "aes128gcm16-aes192gcm16-aes256gcm16-modp2048-modp4096-modp3072-modp8192-ecp256-ecp384",
            ikeSuite: "aes256gcm16-prfsha512-modp4096", espSuite: "aes256gcm16",
            rekeyedSuites: ["aes256gcm16-modp4096", "aes256gcm16-modp4096"],
            isRouteBased: true),
        VendorPeer(
            template: "strongswan", ikeProposals: "default", espProposals: "default",
            ikeSuite: "aes256-sha256-curve25519", espSuite: "aes256-sha256",
            rekeyedSuites: ["aes256-sha256", "aes256gcm16"],
            isRouteBased: false),
        VendorPeer(
            template: "fortigate",
            ikeProposals: """
                aes128-sha256-modp2048-modp1536,aes256-sha256-modp2048-modp1536,\
                aes128gcm16-prfsha256-modp2048-modp1536,aes256gcm16-prfsha384-modp2048-modp1536,\
                chacha20poly1305-prfsha256-modp2048-modp1536
                """,
            espProposals: """
                aes128-sha1-modp2048-modp1536,aes256-sha1-modp2048-modp1536,aes128-sha256-modp2048-modp1536,\
                aes256-sha256-modp2048-modp1536,aes128gcm16-modp2048-modp1536,aes256gcm16-modp2048-modp1536,\
                chacha20poly1305-modp2048-modp1536
                """,
            ikeSuite: "aes256-sha256-modp2048", espSuite: "aes256-sha256",
            rekeyedSuites: ["aes256-sha256-modp2048", "aes256gcm16-modp2048"],
            isRouteBased: false),
    ]

    func connection(_ topology: Topology) -> StrongSwanConnection {
        var connection = Pair.endpoint(topology, .gcm)
        (connection.ikeProposals, connection.espProposals) = (ikeProposals, espProposals)
        if !isRouteBased {
            connection.localSelectors = Topology.remoteNetwork
            connection.remoteSelectors = Topology.localNetwork
        }
        return connection
    }
}

/// Connectors made and changed with the command line alone.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(10)))
struct ConnectorByHandTests {
    private func words(_ lab: Lab, _ more: [String] = []) throws -> [String] {
        [
            "connector", "add", "lab", "--remote-address", lab.topology.endpoints[0], "--local-network",
            Topology.localNetwork, "--remote-network", Topology.remoteNetwork, "--psk-file",
            try lab.write(Pair.psk + "\n", to: "key"),
        ] + more
    }

    @Test(arguments: VendorPeer.all)
    func aTemplateReachesItsVendorAndRekeysAsItDemands(_ vendor: VendorPeer) async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [vendor.connection(lab.topology)])
            let gateway = try await Gatehoused(lab)
            let capture = try await lab.capture()
            try await gateway.mustCLI(try words(lab, ["--template", vendor.template]))
            let online = try await gateway.waitForOnline()
            #expect(online.ike?.proposal == vendor.ikeSuite)
            #expect(online.children.map(\.proposal) == [vendor.espSuite])
            try await lab.waitForPing()
            #expect(try await lab.ping(count: 10).lost == 0)
            // Both sides rekey: each with the terms that it demands.
            for (isOurs, suite) in zip([true, false], vendor.rekeyedSuites) {
                let before = try await gateway.tunnel()
                if isOurs { try await gateway.rekeyChild("lab") } else { try await peer.rekeyChild("customer") }
                let after = try await gateway.waitFor("lab-1", "rekeyed by \(isOurs ? "us" : "the peer")") {
                    $0.children.count == 1 && $0.children[0].spiIn != before.children.first?.spiIn
                }
                #expect(after.children.map(\.proposal) == [suite])
                #expect(after.ike == before.ike)
                try await lab.waitForPing()
                #expect(try await lab.ping(count: 10).lost == 0)
            }
            #expect(try await gateway.tunnel().lastError == nil)
            try await capture.stop()
            let clear = try await capture.clearPackets()
            #expect(clear == [])
        }
    }

    @Test func aConnectorMadeOfOptionsComesOnlineAndAnEditedLifetimeLeavesItsSAs() async throws {
        try await Lab.with { lab in
            var theirs = Pair.endpoint(lab.topology, .common)
            theirs.remoteID = "gateway.example.org"
            theirs.localID = "branch.example.org"
            theirs.localSelectors = Topology.remoteNetwork
            theirs.remoteSelectors = Topology.localNetwork
            _ = try await StrongSwan(lab, on: .aws1, [theirs])
            let gateway = try await Gatehoused(lab)
            try await gateway.mustCLI(
                try words(
                    lab,
                    [
                        "--type", "ikev2", "--interface", lab.topology.gateway, "--local-id", "gateway.example.org",
                        "--remote-id", "branch.example.org", "--ike-encryption", "aes256", "--ike-integrity", "sha256",
                        "--dh-groups", "14", "--ike-lifetime", "8h", "--dpd-delay", "5", "--dpd-timeout", "20",
                        "--phase2-name", "lan", "--esp-encryption", "aes256", "--esp-integrity", "sha256", "--pfs",
                        "14", "--esp-lifetime", "1h",
                    ]))
            let before = try await gateway.waitForOnline()
            #expect(before.ike?.proposal == CipherSuite.common.ikeProposal)
            #expect(before.children.map(\.localNetworks) == [[Topology.localNetwork]])
            try await lab.waitForPing()
            let ping = try lab.startPing()
            let plan = try await gateway.mustCLI([
                "connector", "phase2", "edit", "lab", "--esp-lifetime", "30m", "--yes",
            ])
            #expect(plan.contains("phase 2 lifetime 3600 → 1800\nNo tunnel goes down by that.\n"))
            let shown = try await gateway.mustCLI(["connector", "show", "lab"])
            #expect(shown.contains("lifetimeSeconds: 1800"))
            let count = try await ping.stop()
            #expect(count.lost == 0, "\(count)")
            let after = try await gateway.tunnel()
            #expect(after.ike == before.ike)
            #expect(after.children.map(\.spiIn) == before.children.map(\.spiIn))
            // What the SAs cannot carry over is said beforehand, and the key that nobody saw is kept.
            let change = try await gateway.mustCLI(["connector", "phase2", "edit", "lab", "--esn", "yes", "--yes"])
            #expect(change.contains("Down and up anew, one at a time: lab-1.\n"))
            try await gateway.waitFor("lab-1", "online anew") { $0.state == "online" && $0.ike != before.ike }
            try await lab.waitForPing()
        }
    }
}
