internal import Foundation
internal import Testing

/// A whole site, taken from one gateway to another.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct SiteTests {
    private func waitForAllOnline(_ gateway: Gatehoused, _ count: Int) async throws {
        try await eventually("all \(count) tunnels are online", within: 40) {
            let tunnels = try await gateway.tunnels()
            return tunnels.count == count && tunnels.allSatisfy { $0.state == "online" }
        }
    }

    @Test func exportOfOneGatewayGivesAnotherTheSameTunnels() async throws {
        let sample = Sample.staticJSON
        try await Lab.with(sample.topology) { lab in
            _ = try await sample.strongSwan(lab, 0)
            _ = try await sample.strongSwan(lab, 1)
            let first = try await Gatehoused(lab)
            try await first.importAWS(sample.path)
            try await waitForAllOnline(first, 2)
            let passphrase = try lab.write("a passphrase of some length\n", to: "passphrase")
            let sealed = try await first.mustCLI(["export", "--seal", "--passphrase-file", passphrase])
            let hidden = try await first.mustCLI(["export"])
            #expect(try await first.mustCLI(["export"]) == hidden, "the same site gives another file")
            for endpoint in sample.endpoints {
                #expect(!sealed.contains(endpoint.psk) && !hidden.contains(endpoint.psk))
            }
            _ = await first.stop()

            let second = try await Gatehoused(lab, name: "second")
            let withoutKeys = try await second.cli([
                "apply", lab.write(hidden, to: "hidden.yaml"), "--yes",
            ])
            #expect(withoutKeys.status == 1, "a site without its keys was stored: \(withoutKeys.text)")
            #expect(try await second.tunnels().isEmpty)
            let file = try lab.write(sealed, to: "site.yaml")
            let apply = ["apply", file, "--yes", "--passphrase-file", passphrase]
            try await second.mustCLI(apply)
            try await waitForAllOnline(second, 2)
            #expect(Set(try await second.tunnels().map(\.tunnel)) == Set(sample.tunnels))
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)

            // The same again touches nothing; nor does the other tunnel's connector feel a change beside it.
            let before = try await second.tunnels().compactMap(\.ike)
            #expect(try await second.mustCLI(apply).contains("Nothing differs."))
            #expect(try await second.mustCLI(["export"]) == hidden, "the other gateway's site is another one")
            #expect(try await second.tunnels().compactMap(\.ike) == before)
        }
    }

    @Test func applyTouchesOnlyWhatDiffers() async throws {
        try await Lab.with { lab in
            _ = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(Pair.connector(lab.topology, .gcm))
            let before = try await gateway.waitForOnline()
            try await lab.waitForPing()
            var other = Pair.connector(lab.topology, .gcm)
            other.name = "other"
            other.initiation = "respond"
            other.remoteAddress = "203.0.113.77"
            other.remoteNetworks = ["10.66.0.0/16"]
            other.inside = nil
            try await gateway.add(other)
            let site = try await gateway.mustCLI(["export"])
            let changed = try lab.write(
                site.replacingOccurrences(of: "10.66.0.0/16", with: "10.67.0.0/16"), to: "changed.yaml")
            let running = try lab.startPing()
            let preview = try await gateway.mustCLI(["apply", changed, "--dry-run"])
            #expect(preview.contains("10.67.0.0/16") && preview.contains("1 connector unchanged"), "\(preview)")
            try await gateway.mustCLI(["apply", changed, "--yes"])
            #expect(try await gateway.mustCLI(["connector", "show", "other"]).contains("10.67.0.0/16"))
            let after = try await gateway.tunnel()
            #expect(after.ike == before.ike && after.children.map(\.spiIn) == before.children.map(\.spiIn))
            #expect(try await running.stop().lost == 0)

            // What is wrong in one place changes nothing anywhere.
            let broken = try lab.write(
                site.replacingOccurrences(of: "10.66.0.0/16", with: "10.67.0.0/99"), to: "broken.yaml")
            let refusal = try await gateway.cli(["apply", broken, "--yes"])
            #expect(refusal.status != 0 && refusal.text.contains("10.67.0.0/99"), "\(refusal.text)")
            #expect(try await gateway.mustCLI(["connector", "show", "other"]).contains("10.67.0.0/16"))
        }
    }
}
