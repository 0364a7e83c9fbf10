import Access
import Base
import Foundation
import Portal
import PortalFake
import Testing

/// Posture checks, behaviours and policies on the command line, against a fake gateway.
@Suite struct PolicyCommandTests {
    @Test func listsSayWhatThereIs() async throws {
        let desk = try await Desk()
        let checks = try await desk.gatehouse("posture", "check", "list")
        #expect(checks.status == 0 && checks.out.contains("Device Infected is equal to no, by s1"), "\(checks)")
        let behaviours = try await desk.gatehouse("behaviour", "list")
        #expect(behaviours.out.contains("the device passes windows"), "\(behaviours)")
        let policies = try await desk.gatehouse("policy", "list")
        #expect(policies.out.contains("group Finance") && policies.out.contains("default"), "\(policies)")
        #expect(try await desk.gatehouse("policy", "show", "Finance").out.contains("healthy: the device passes windows"))
        #expect(try await desk.gatehouse("policy", "show", "nothing").status == 1)
    }

    @Test(arguments: [
        ["posture", "check", "add", "c", "--os", "macos", "--require", "s1:infected=no", "--require", "s1:risk=<=medium"],
        ["posture", "check", "edit", "windows", "--fail-if-missing", "no"],
        ["posture", "check", "add", "c", "--os", "windows-server", "--require", "s1:os=windows-server|Windows 11|>=10.0"],
        ["behaviour", "add", "b", "--posture", "windows", "--trigger", "fails"],
        ["behaviour", "add", "b", "--network", "10.1.0.0/16,10.2.0.0/16", "--not"],
        ["behaviour", "add", "b", "--time", "mon-fri,sun 08:00-18:00", "--zone", "Europe/Berlin"],
        ["behaviour", "add", "b", "--time", "22:00-06:00"], ["behaviour", "add", "b", "--new-device"],
        ["behaviour", "add", "b", "--risk-user", "Eve@Example.org", "--risk-group", "Leavers"],
        ["policy", "add", "p", "--group", "Finance", "--when", "healthy", "--allow-only", "main"],
        ["policy", "add", "p", "--deny-and-notify", "--place", "1"], ["policy", "edit", "Finance", "--deny", "--everyone"],
        ["policy", "move", "Finance", "--to", "1"], ["policy", "default", "--deny"], ["policy", "remove", "Finance"],
    ])
    func editsReachTheGateway(_ words: [String]) async throws {
        let desk = try await Desk()
        let output = try await Command.run(["--socket-directory", desk.directory.path] + words)
        #expect(output.status == 0, "\(output)")
    }

    @Test(arguments: [
        (["posture", "check", "add", "c", "--os", "beos", "--require", "s1:infected=no"], "must be one of windows"),
        (["posture", "check", "add", "c", "--os", "windows", "--require", "infected=no"], "SOURCE:ATTRIBUTE=VALUE"),
        (["posture", "check", "add", "c", "--os", "windows", "--require", "s1:happy=no"], "is no attribute"),
        (["posture", "check", "add", "c", "--os", "windows", "--require", "s1:infected=perhaps"], "only yes or no"),
        (["posture", "check", "add", "c", "--os", "windows"], "--require"),
        (["behaviour", "add", "b"], "Name just one of"), (["behaviour", "add", "b", "--posture", "windows"], "go together"),
        (["behaviour", "add", "b", "--time", "mon-xyz 08:00-18:00"], "no day"),
        (["behaviour", "add", "b", "--time", "08:00-25:00"], "not hours"),
        (["behaviour", "add", "b", "--new-device", "--network", "10.0.0.0/8"], "Name just one of"),
        (["policy", "add", "p"], "Say what happens"), (["policy", "add", "p", "--allow", "--deny"], "exclude each other"),
        (["posture", "set", "--least-match", "session"], "must be mac"),
        (["policy", "test", "--user", "a@b", "--address", "nowhere"], "must be an IP address"),
    ])
    func wrongWordsAreUsageAndSayWhatIsPermitted(_ words: [String], _ hint: String) async throws {
        let output = try await Command.run(words)
        #expect(output.status == 2 && output.error.contains(hint), "\(output)")
    }

    @Test func aFileIsWhatWasExported() async throws {
        let desk = try await Desk()
        let yaml = try await desk.gatehouse("policy", "export").out
        #expect(yaml.contains("failsIfMissing: true"), "\(yaml)")
        let path = try desk.file(yaml)
        #expect(try await desk.gatehouse("policy", "apply", path).out == "Nothing differs.\n")
        let edited = try desk.file(yaml.replacingOccurrences(of: "Finance", with: "Sales"))
        let applied = try await desk.gatehouse("policy", "apply", edited, "--yes")
        #expect(applied.out.contains("policy-removed Finance") && applied.out.contains("Applied."), "\(applied)")
        #expect(try await desk.gatehouse("policy", "apply", edited).status == 2)
        #expect(try await desk.gatehouse("policy", "simulate", edited, "--days", "3").out.contains("in the last 3 days"))
        let json = try desk.file(try await desk.gatehouse("policy", "export", "--json").out)
        #expect(try await desk.gatehouse("policy", "apply", json).out == "Nothing differs.\n")
        let broken = try desk.file(yaml.replacingOccurrences(of: "infected", with: "ill"))
        let refused = try await desk.gatehouse("policy", "apply", broken)
        #expect(refused.status == 2 && refused.error.contains("checks.[0].requirements.[0].attribute"), "\(refused)")
    }

    @Test func answersAreSaidInWords() async throws {
        let desk = try await Desk()
        let test = try await desk.gatehouse("policy", "test", "--user", "Ann@Example.org", "--address", "10.1.0.10")
        #expect(test.out.contains("ann@example.org at 10.1.0.10 would be refused"), "\(test)")
        let posture = try await desk.gatehouse("posture", "explain", "--address", "10.1.0.10")
        #expect(posture.out.contains("no device found") && posture.out.contains("gatehouse epp add"), "\(posture)")
    }
}
