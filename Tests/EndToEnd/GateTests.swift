internal import Foundation
internal import Glibc
internal import Testing

/// What `GET /v1/sessions` says, read on its own terms.
struct SessionReport: Decodable, Sendable {
    var id: Int
    var user: String?
    var address: String
    var mac: String?
    var sites: [String]
    var bytesOut: UInt64
    var packetsOut: UInt64
    var packetsIn: UInt64
    var reason: String
}

extension Gatehoused {
    func sessions() async throws -> [SessionReport] {
        try JSONDecoder().decode([SessionReport].self, from: Data(try await get("/v1/sessions").utf8))
    }

    /// Waits for a line of the audit trail.
    func waitForAudit(_ words: String...) async throws {
        try await eventually("the audit trail says \(words)") {
            let text = try await self.mustCLI(["audit", "--json"])
            return words.allSatisfy(text.contains)
        }
    }
}

/// The gate before a real tunnel: who crosses and who does not, on this kernel.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct GateTests {
    /// A tunnel that is online, and a closed gate.
    private func closed(_ body: @Sendable (Lab, Gatehoused) async throws -> Void) async throws {
        try await Lab.with { lab in
            _ = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(Pair.connector(lab.topology, .gcm))
            try await gateway.waitForOnline()
            try await lab.waitForPing()
            try await gateway.mustCLI(["gate", "enable"])
            try await body(lab, gateway)
        }
    }

    private func isRefused(_ lab: Lab) async throws -> Bool { try await lab.ping(count: 1).answered == 0 }

    @Test func nobodyCrossesUntilAdmittedAndNoLongerThanThat() async throws {
        try await closed { lab, gateway in
            #expect(try await isRefused(lab), "the gate lets someone through unasked")
            try await gateway.mustCLI(["user", "add", "ada@example.org", "--first-name", "Ada"])
            try await gateway.mustCLI(["session", "admit", Topology.client, "--user", "ada@example.org"])
            #expect(try await lab.ping(count: 3).lost == 0)
            try await lab.transfer(megabytes: 2)
            let session = try #require(try await gateway.sessions().first)
            #expect(session.user == "ada@example.org" && session.sites == ["lab"] && session.bytesOut > 2_000_000)
            #expect(session.packetsIn > 3 && session.mac != nil)

            // In the middle of a transfer: both ends notice, and nothing more comes through.
            let receiver = try lab.start(
                "socat", ["-u", "TCP4-LISTEN:5998,reuseaddr", "CREATE:/dev/null"], on: .vpc, log: "receiver.log")
            let sender = try lab.start(
                "socat", ["-u", "FILE:/dev/zero", "TCP:\(Topology.vpc):5998,retry=50,interval=0.1"], on: .client,
                log: "sender.log")
            let before = session.bytesOut
            try await eventually("the transfer runs") { try await gateway.sessions()[0].bytesOut > before + 1_000_000 }
            try await gateway.mustCLI(["session", "revoke", "\(session.id)", "--reason", "laptop lost"])
            #expect(await sender.wait(seconds: 10) != nil, "the connection hangs instead of being reset")
            #expect(try await isRefused(lab))
            #expect(try await gateway.sessions().isEmpty)
            let table = try await lab.must("nft", ["list", "table", "inet", "gatehouse"], on: .gateway)
            #expect(!table.contains(Topology.client))
            try await gateway.waitForAudit("session-ended", "revoked by root (uid 0): laptop lost")
            receiver.signal(SIGTERM)

            // Disabled means out, and not in again.
            try await gateway.mustCLI(["session", "admit", Topology.client, "--user", "ada@example.org"])
            #expect(try await lab.ping(count: 1).lost == 0)
            try await gateway.mustCLI(["user", "disable", "ada@example.org"])
            #expect(try await isRefused(lab))
            let again = try await gateway.cli(["session", "admit", Topology.client, "--user", "ada@example.org"])
            #expect(again.status == 1 && again.text.contains("is disabled"), "\(again.text)")

            try await gateway.mustCLI(["gate", "exempt", "add", Topology.client])
            #expect(try await lab.ping(count: 3).lost == 0)
            try await gateway.mustCLI(["gate", "exempt", "remove", Topology.client])
            #expect(try await isRefused(lab))
            try await gateway.mustCLI(["gate", "disable", "--yes"])
            #expect(try await lab.ping(count: 3).lost == 0)
        }
    }

    @Test func whatOthersDoToTheRulesetIsMended() async throws {
        try await closed { lab, gateway in
            try await gateway.mustCLI(["session", "admit", Topology.client])
            let rules = try await lab.must("nft", ["-s", "list", "table", "inet", "gatehouse"], on: .gateway)
            func withoutTimes(_ text: String) -> String { text.replacing(#/ timeout [^ ,]+( expires [^ ,]+)?/#, with: "") }
            for command in [
                "flush ruleset", "insert rule inet gatehouse forward accept",
                "delete element inet gatehouse sessions4 { \(Topology.client) }", "delete chain inet gatehouse forward",
            ] {
                try await lab.must("nft", [command], on: .gateway)
                try await eventually("'\(command)' is mended") {
                    let now = try await lab.must("nft", ["-s", "list", "table", "inet", "gatehouse"], on: .gateway)
                    return withoutTimes(now) == withoutTimes(rules)
                }
            }
            #expect(try await lab.ping(count: 3).lost == 0)
            #expect(try await gateway.mustCLI(["events", "--limit", "50"]).contains("by someone else"))
            // Someone else's own table is none of our business.
            try await lab.must("nft", ["add table inet theirs"], on: .gateway)
            try await gateway.mustCLI(["session", "revoke", "--all"])
            #expect(try await lab.must("nft", ["list", "tables"], on: .gateway).contains("theirs"))
        }
    }

    @Test func aDeadDaemonClosesTheGateAndARestartFindsTheSessions() async throws {
        try await closed { lab, gateway in
            try await gateway.mustCLI(["session", "admit", Topology.client])
            try await gateway.mustCLI(["session", "admit", "10.1.0.77", "--for", "60s"])
            await gateway.kill()
            let entry = "elements = { \(Topology.client) "
            let set = ["list", "set", "inet", "gatehouse", "sessions4"]
            #expect(try await lab.must("nft", set, on: .gateway).contains(Topology.client), "\(entry)")
            try await eventually("the lease is over", within: 45, every: .milliseconds(500)) {
                try await !lab.must("nft", ["list", "set", "inet", "gatehouse", "lease"], on: .gateway).contains("expires")
            }
            // What the boot loads is the same gate with nobody in it.
            let boot = try String(contentsOfFile: gateway.stateFolder + "/gate.nft", encoding: .utf8)
            #expect(boot.contains("10.2.0.0") && !boot.contains(Topology.client))
            try await lab.must("nft", ["-c", "-f", gateway.stateFolder + "/gate.nft"], on: .gateway)

            try await gateway.start()
            #expect(try await gateway.sessions().map(\.address).contains(Topology.client))
            #expect(try await lab.must("nft", set, on: .gateway).contains(Topology.client))
            try await gateway.waitForOnline(within: 60)
            try await lab.waitForPing()
            #expect(await gateway.stop() == 0)
            #expect(
                try await !lab.must("nft", ["list", "set", "inet", "gatehouse", "lease"], on: .gateway).contains("expires"))
        }
    }

    @Test func anAddressInOtherHandsIsOut() async throws {
        try await closed { lab, gateway in
            try await gateway.mustCLI(["session", "admit", Topology.client])
            #expect(try await lab.ping(count: 2).lost == 0)
            try await lab.must("ip", ["link", "set", "eth0", "address", "02:00:00:00:be:ef"], on: .client)
            try await eventually("the other card is noticed", within: 30) {
                _ = try await lab.ping("10.1.0.1", count: 1)
                return try await gateway.sessions().isEmpty
            }
            #expect(try await isRefused(lab))
            try await gateway.waitForAudit("another device (02:00:00:00:be:ef)")
        }
    }
}
