internal import Foundation
internal import Testing

/// A peer in Python, with cryptography of its own, that sends what no honest peer would. Every case must be refused for its
/// own reason, and neither our state nor another tunnel may suffer.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(10)))
struct HostilePeerTests {
    private struct Verdict: Decodable {
        var `case`: String
        var problem: String?
    }

    @Test func nothingThatAHostilePeerSendsDoesHarm() async throws {
        try await Lab.with { lab in
            let bystander = lab.topology.endpoints[1]
            var strongSwan = Pair.endpoint(lab.topology, .gcm)
            strongSwan.local = bystander
            strongSwan.localID = bystander
            _ = try await StrongSwan(lab, on: .aws2, [strongSwan])
            let gateway = try await Gatehoused(lab)
            var honest = Pair.connector(lab.topology, .gcm)
            honest.remoteAddress = bystander
            honest.remoteNetworks = ["10.2.0.0/24"]
            try await gateway.add(honest)
            var hostile = Pair.connector(lab.topology, .gcm)
            hostile.name = "hostile"
            hostile.initiation = "respond"
            hostile.group = 31
            hostile.inside = nil
            hostile.remoteNetworks = ["10.66.0.0/16"]
            try await gateway.add(hostile)
            let before = try await gateway.waitForOnline()
            try await lab.waitForPing()

            let traffic = try lab.startPing()
            let output = try await lab.run(
                "/usr/bin/python3",
                [
                    "-B", Self.folder + "/peer.py", "--local", lab.topology.endpoints[0], "--remote", lab.topology.customer,
                    "--psk", Pair.psk, "--log", gateway.logFile ?? "",
                ], on: .aws1, seconds: 400)
            let lost = try await traffic.stop().lost
            let verdicts = try output.text.split(separator: "\n").filter { $0.hasPrefix("{") }.map {
                try JSONDecoder().decode(Verdict.self, from: Data($0.utf8))
            }
            #expect(output.status == 0 && verdicts.count >= 140, "the peer ended early: \(output.text.suffix(400))")
            for verdict in verdicts {
                if let problem = verdict.problem { Issue.record("\(verdict.case): \(problem)") }
            }
            let after = try await gateway.tunnel()
            #expect(after.ike == before.ike && after.children.map(\.spiIn) == before.children.map(\.spiIn))
            #expect(after.lastError == nil)
            #expect(lost <= 1, "the other tunnel lost \(lost) pings")
            // What half-open SAs and dead children the cases left is gone again.
            try await gateway.waitFor("hostile-1", "left with nothing", within: 40) {
                $0.ike == nil && $0.children.isEmpty
            }
        }
    }

    /// The folder of the peer's scripts, beside this file.
    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/HostilePeer"
}
