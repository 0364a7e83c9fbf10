import Foundation
import Portal
import PortalFake
import Testing

/// Endpoint protection platforms on the command line, against a fake gateway.
@Suite struct EppCommandTests {
    @Test func aConnectionReachesTheGatewayWithItsKey() async throws {
        let desk = try await Desk()
        let key = try desk.file("k3y\n")
        let output = try await desk.gatehouse(
            "epp", "add", "sentinelone", "s1", "--url", "https://acme.sentinelone.net", "--key-file", key, "--key-ends",
            "2026-12-29", "--refresh", "30")
        #expect(output.status == 0 && output.out.contains("Added."), "\(output)")
        #expect(!output.out.contains("k3y") && output.out.contains("2026-12-29") && output.out.contains("30 s"))
        #expect(desk.gateway.with { $0.calls.last }?.hasPrefix("add endpoint source s1 with the key k3y") == true)
    }

    @Test(arguments: [
        (["epp", "add", "norton"], "none of defender, gravityzone, heimdal, sentinelone, custom"),
        (["epp", "add", "custom", "a"], "--profile goes with 'custom'"),
        (["epp", "add", "heimdal", "--profile", "x"], "--profile goes with 'custom'"),
        (["epp", "add", "heimdal", "--key-file", "a", "--key-env", "b"], "exclude each other"),
        (["epp", "add", "heimdal", "--key-env", "GATEHOUSE_NO_SUCH_VARIABLE"], "no environment variable"),
        (["epp", "add", "heimdal", "--key-file", "/dev/null", "--set", "x"], "say name=value"),
        (["epp", "edit", "s1", "--enable", "--disable"], "exclude each other"),
    ])
    func wrongWordsAreUsageAndSayWhatIsPermitted(_ words: [String], _ hint: String) async throws {
        let output = try await Command.run(words)
        #expect(output.status != 0 && output.error.contains(hint), "\(output)")
    }

    @Test func otherVerbsReachTheGatewayToo() async throws {
        let desk = try await Desk()
        #expect(try await desk.gatehouse("epp", "list").out.contains("gatehouse epp add --help"))
        #expect(try await desk.gatehouse("epp", "show", "s1").status == 1)
        #expect(try await desk.gatehouse("epp", "test", "s1", "--record").status == 0)
        #expect(try await desk.gatehouse("epp", "sync", "s1", "--accept-loss").status == 0)
        #expect(try await desk.gatehouse("epp", "endpoints", "ada", "--source", "s1").out.contains("no such endpoints"))
        #expect(try await desk.gatehouse("epp", "profile", "heimdal").out.contains("title: Heimdal"))
        #expect(
            desk.gateway.with { $0.calls.filter { !$0.hasPrefix("endpoint sources") } }.map { $0.prefix(34) } == [
                "test endpoint source s1 with record", "sync endpoint source s1 accepting l", "endpoints s1 ada 1000",
            ].map { $0.prefix(34) })
    }
}
