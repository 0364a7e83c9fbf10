internal import Foundation
internal import Testing

/// Healthy devices only, through to packets in a real tunnel: simulators of what the vendors' platforms are on the wire.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct PostureTests {
    /// The example of the administrator, with each vendor.
    @Test(arguments: [
        PostureLab.Platform.sentinelOne, .gravityZone, .defender, .heimdal,
    ])
    func whoIsInfectedIsOffAtOnce(_ platform: PostureLab.Platform) async throws {
        try await PostureLab.with(platform) { posture in
            let gateway = posture.gateway
            try await posture.enrol()
            try await posture.sync()
            try await posture.setPolicies(platform)
            try await gateway.mustCLI(["user", "add", "ada@corp.example", "--group", "Finance"])
            let said = try await gateway.mustCLI(["policy", "test", "--user", "ada@corp.example", "--address", Topology.client])
            #expect(said.contains("would be let in to lab") && said.contains("Check windows passes"), "\(said)")

            try await posture.expectIn()
            let session = try #require(try await gateway.sessions().first)
            #expect(session.reason.contains("policy \"Finance from healthy Windows\""), "\(session)")
            let sender = try await posture.startTransfer()

            try await posture.enrol(#""infected": true"#)
            #expect(await sender.wait(seconds: 60) != nil, "the transfer goes on from an infected machine")
            #expect(try await posture.openID.isRefused())
            #expect(try await gateway.sessions().isEmpty)
            try await gateway.waitForAudit("session-ended", "Windows must be healthy", "Device Infected is yes (s1, observed at")
            let explained = try await gateway.mustCLI(["posture", "explain", "--address", Topology.client])
            #expect(explained.contains("Check windows FAILS") && explained.lowercased().contains("fin-lt-041"), "\(explained)")
            try await posture.expectOut(page: "Device Infected is yes", audit: "Windows must be healthy")

            // Clean, but with an old agent; then in order.
            try await posture.enrol(#""infected": false, "# + platform.outdated)
            try await posture.sync()
            try await posture.expectOut(page: "Antivirus Agent Outdated is yes", audit: "Windows must be healthy")
            try await posture.enrol(#""infected": false, "upToDate": true, "version": "4.6.2""#)
            try await posture.sync()
            #expect(try await posture.openID.isRefused())
            try await posture.expectIn()
        }
    }

    /// People in Finance come from such machines only, others also from a machine with another system.
    @Test func financeComesFromSuchMachinesOnly() async throws {
        try await PostureLab.with { posture in
            let gateway = posture.gateway
            try await posture.enrol(#""os": "linux""#)
            try await posture.sync()
            try await posture.setPolicies()
            try await gateway.mustCLI(["user", "add", "grace@corp.example", "--group", "Sales"])
            try await gateway.mustCLI(["user", "add", "ada@corp.example", "--group", "Finance"])
            try await posture.expectIn("grace")
            try await posture.expectOut(page: "rules do not let you in", audit: "Finance else")
            try await gateway.waitForAudit("policy-notified", "ada@corp.example")
            #expect(try await gateway.mustCLI(["events", "--limit", "100"]).contains("was denied"))
            // Grace's own session is none of Ada's business; when she comes to Finance herself, she is out.
            #expect(try await gateway.sessions().map(\.user) == ["grace@corp.example"])
            try await gateway.mustCLI(["user", "edit", "grace@corp.example", "--group", "Finance"])
            #expect(try await gateway.sessions().isEmpty)
            try await gateway.waitForAudit("session-ended", "Finance else")

            // What an edit would have done is known before it is made, and an edit is in force at once.
            let file = try await posture.lab.write(gateway.mustCLI(["policy", "export"]), to: "policies.yaml")
            let edited = try posture.lab.write(
                String(contentsOfFile: file, encoding: .utf8).replacingOccurrences(of: "- Finance", with: "- Sales"),
                to: "edited.yaml")
            let simulated = try await gateway.mustCLI(["policy", "simulate", edited])
            #expect(simulated.contains("grace@corp.example: 1 sign-in") && simulated.contains("1 refused"), "\(simulated)")
            try await gateway.mustCLI(["policy", "apply", edited, "--yes"])
            try await posture.expectIn("ada")
            try await gateway.mustCLI(["policy", "default", "--deny"])
            #expect(try await gateway.sessions().isEmpty)
            #expect(try await posture.openID.isRefused())

            // Another time of the week can be thought through: a Wednesday and a Saturday.
            try await gateway.mustCLI([
                "behaviour", "add", "hours", "--time", "mon-fri 08:00-18:00", "--zone", "Europe/Berlin",
            ])
            try await gateway.mustCLI(["policy", "add", "office hours", "--place", "1", "--when", "hours", "--allow"])
            let question = ["policy", "test", "--user", "ada@corp.example", "--address", Topology.client, "--at"]
            let wednesday = try await gateway.mustCLI(question + ["2026-11-25T16:59:59Z"])
            #expect(wednesday.contains("would be let in to lab") && wednesday.contains("2026-11-25 17:00:00Z"), "\(wednesday)")
            #expect(try await gateway.mustCLI(question + ["2026-11-28T12:00:00Z"]).contains("would be refused"))
        }
    }

    /// The platform's silence is neither health nor sickness: what it said last holds for so long, then it is missing.
    @Test func aSilentPlatformIsBelievedForItsStaleLimit() async throws {
        try await PostureLab.with(.sentinelOne, ["--stale", "60"]) { posture in
            let gateway = posture.gateway
            try await posture.enrol()
            try await posture.sync()
            try await posture.setPolicies()
            try await posture.expectIn()
            try await posture.platform(#"{"faults": {"all": "down"}}"#)
            try await eventually("the platform's fault is noticed", within: 45, every: .milliseconds(500)) {
                try await gateway.mustCLI(["posture", "explain", "--address", Topology.client]).contains("problem")
            }
            // In, and newly in, by what was said last.
            #expect(try await posture.openID.isAdmitted())
            try await eventually("its word has grown old", within: 120, every: .seconds(1)) {
                try await gateway.sessions().isEmpty
            }
            try await gateway.waitForAudit("session-ended", "the source has not answered for too long")
            try await posture.expectOut(page: "is not known", audit: "the source has not answered for too long")
            #expect(try await posture.openID.isRefused())
        }
    }

    /// A machine with two cards is one machine by either of them, and a machine that has an address after another one is not
    /// that one.
    @Test func cardsSayWhichMachineItIs() async throws {
        try await PostureLab.with { posture in
            let (gateway, lab) = (posture.gateway, posture.lab)
            let (first, second, other) = (try await posture.clientCard(), "02:00:00:00:00:22", "02:00:00:00:00:33")
            try await posture.enrol(macs: [first, second])
            try await posture.sync()
            try await posture.setPolicies()

            // Behind a router nobody sees a card, unless the DHCP server says it.
            _ = try await lab.ip(["route", "add", "10.7.0.0/16", "via", Topology.client], on: .gateway)
            let question = ["posture", "explain", "--address", "10.7.0.5"]
            let before = try await gateway.mustCLI(question)
            #expect(before.contains("10.7.0.5 is behind the router 10.1.0.10"), "\(before)")
            #expect(before.contains("Check windows FAILS") && before.contains("it is not certain enough"), "\(before)")
            let leases = try lab.write("0 \(first) 10.7.0.5 fin-lt-041 *\n", to: "dnsmasq.leases")
            try await gateway.mustCLI(["posture", "set", "--lease-file", leases])
            try await eventually("the leases are read") {
                let after = try await gateway.mustCLI(question)
                return after.contains("by the DHCP server's lease") && after.contains("by MAC address (certain)")
            }

            func plug(_ card: String) async throws {
                try await lab.must("ip", ["link", "set", "eth0", "address", card], on: .client)
                try await eventually("the gateway knows the card", within: 30) {
                    _ = try await lab.ping("10.1.0.1", count: 1)
                    return try await gateway.mustCLI(["posture", "explain", "--address", Topology.client]).contains(card)
                }
            }
            try await posture.expectIn()
            try await plug(second)
            #expect(try await gateway.sessions().isEmpty, "another card ends the session")
            try await posture.expectIn()

            // Another machine takes the address: nobody knows it, though the first was seen there a moment ago.
            try await plug(other)
            try await posture.expectOut(page: "This device is not ready", audit: "Windows must be healthy")
            let explained = try await gateway.mustCLI(["posture", "explain", "--address", Topology.client])
            #expect(explained.contains("fin-lt-041 would fit, but it has other MAC addresses"), "\(explained)")
            // It is enrolled, and not well; the first machine comes back with the same address.
            try await posture.enrol(#""infected": true"#, id: "3", macs: [other])
            try await posture.sync()
            try await posture.expectOut(page: "Device Infected is yes", audit: "Device Infected is yes")
            try await plug(first)
            try await posture.expectIn()
            // Two records for one card: nobody can say which.
            try await posture.enrol(id: "5", macs: [first])
            try await eventually("two that fit are none", within: 30) { try await gateway.sessions().isEmpty }
            try await gateway.waitForAudit("session-ended", "more than one device of the source fits")
        }
    }

    @Test func aKeyThatHasExpiredIsSaidAndBelievedNoLongerThanItsWord() async throws {
        try await PostureLab.with(.sentinelOne, ["--stale", "60"]) { posture in
            let gateway = posture.gateway
            try await posture.enrol()
            try await posture.sync()
            try await posture.setPolicies()
            try await posture.expectIn()
            try await posture.platform(#"{"token": "expired"}"#)
            try await eventually("the key's end is noticed", within: 45, every: .milliseconds(500)) {
                try await gateway.mustCLI(["epp", "show", "s1"]).contains("refused the API token")
            }
            try await eventually("its word has grown old", within: 120, every: .seconds(1)) {
                try await gateway.sessions().isEmpty
            }
            try await gateway.waitForAudit("session-ended", "the source has not answered for too long")

            // A new key, and the platform is believed again.
            try await posture.platform(#"{"token": "good"}"#)
            try await gateway.mustCLI(["epp", "edit", "s1", "--key-file", posture.lab.file("epp.secret")])
            try await posture.sync()
            try await posture.expectIn()
        }
    }

    /// What is stored is enough to decide by after a restart, before the gate is open.
    @Test func aRestartDecidesByWhatIsStored() async throws {
        try await PostureLab.with { posture in
            let gateway = posture.gateway
            try await posture.enrol()
            try await posture.sync()
            try await posture.setPolicies()
            try await posture.expectIn()
            let session = try #require(try await gateway.sessions().first)
            await gateway.kill()
            try await posture.platform(#"{"faults": {"all": "down"}}"#)
            try await gateway.start()
            #expect(try await gateway.sessions().map(\.id) == [session.id])
            #expect(try await gateway.mustCLI(["posture", "explain", "--address", Topology.client]).contains("fin-lt-041"))
        }
    }
}
