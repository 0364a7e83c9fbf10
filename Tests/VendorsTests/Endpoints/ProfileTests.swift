import Access
import Base
import HTTP
import JSONText
import Testing

@testable import Vendors

@Suite struct ProfileTests {
    @Test(arguments: EndpointProfile.names) func aBuiltInProfileIsWhole(_ name: String) throws {
        let profile = try #require(EndpointProfile.named(name))
        #expect(!profile.title.isEmpty && !profile.notes.isEmpty && !profile.keyAdvice.isEmpty)
        #expect(EndpointConnection.example(name).faults(profile).isEmpty)
        #expect(profile.supports(infers: false).contains(.agentInstalled))
    }

    @Test func whatTheVendorsCanSay() throws {
        func supports(_ name: String, infers: Bool = false) -> Set<PostureAttribute> {
            EndpointProfile.named(name)?.supports(infers: infers) ?? []
        }
        #expect(supports("sentinelone") == [.avAgentOutdated, .infected, .diskEncrypted, .agentInstalled, .os])
        #expect(supports("gravityzone") == Set(PostureAttribute.allCases))
        #expect(
            supports("defender") == Set(PostureAttribute.allCases).subtracting([
                .avSignatureUpdateDisabled, .avAgentUpdateDisabled,
            ]))
        #expect(supports("defender", infers: true) == Set(PostureAttribute.allCases))
    }

    @Test(arguments: [
        ("title: A\nurl: {hots: []}", "line 2: 'hots' is not known here"),
        ("title: A\nauthorization: x\ncalls: {a: {path: /a, items: x, every: 60}}\nendpoint: {id: i}\nattributes: {virus: {flag: x}}",
            "line 5: 'virus' is no attribute"),
        ("title: A\nauthorization: x\ncalls: {a: {path: /a, items: x, every: 5}}", "line 3: 'every' is from 10 seconds"),
        ("title: A\nauthorization: x\ncalls: {a: {path: /a, items: x, every: 60}}\nendpoint: {id: i}\nattributes:\n  os: {flag: x}",
            "line 6: 'flag' gives no value that os can have"),
        ("title: A\nauthorization: x\ncalls: {a: {path: /a, items: x, every: 60}, b: {path: /b, items: x, every: 60}}",
            "'b' needs a 'key'"),
        ("title: [", "line"), ("", "empty"), ("a: 1\na: 2", "YAML"), ("- a", "a mapping was expected"),
        ("title: A\nauthorization: x\ncalls: {a: {path: /a, items: x, every: 60}}\nendpoint: {id: i}\nattributes:\n  infected: {cases: [{when: {x: {between: 3}}, then: true}]}",
            "line 6: 'between' is no test"),
    ])
    func aFaultIsSaidWithItsLine(_ text: String, _ words: String) {
        do {
            _ = try EndpointProfile(text)
            Issue.record("it was read")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
        }
    }

    /// Another platform, by a file alone.
    @Test func aFifthPlatformTakesAFileAndNoCode() throws {
        var connection = EndpointConnection.example(EndpointConnection.custom)
        connection.profileText = try file("Profiles/acorn.yaml")
        let profile = try connection.profile()
        #expect(connection.faults(profile).isEmpty)
        let now = WallTime.at("2026-01-15T10:00:00Z")
        var mirror = EndpointMirror(connection, profile)
        var run = try CallRun(connection, profile, call: "machines", .all, entropy: [1], now: now)
        #expect(
            run.request?.url.description
                == "https://console.acorn.example/rest/v3/organisations/oak/machines?offset=0&count=2")
        func machine(_ serial: Int, _ more: String) -> String {
            #"{"serial":\#(serial),"names":{"short":"m\#(serial)"},"heartbeat":"2026-01-15T09:59:00Z",\#(more)}"#
        }
        let pages = [
            [
                machine(1, #""agent":{"state":"running","version":"2.10","rules":"2026-01-14T00:00:00Z"},"disk":{"clear":"False"},"#
                    + #""system":"Ubuntu 24.04","danger":"17%","cards":["02-00-00-00-00-01"],"ip4":"10.1.0.7""#),
                machine(2, #""agent":{"state":"running","version":"2.9","rules":"2026-01-10T00:00:00Z"},"disk":{"clear":true},"#
                    + #""system":"Windows Server 2022","dangerWord":"Severe","ip6":"2001:db8::7""#),
            ], [machine(3, #""retired":true"#)],
        ]
        var listing = EndpointMirror.Listing(mirror, now: now)
        for page in pages {
            let text = #"{"total":3,"machines":[\#(page.joined(separator: ","))]}"#
            listing.take(try run.receive(HTTPResponse(status: 200, body: Array(text.utf8))), mirror)
        }
        #expect(run.request == nil && run.total == 3 && !run.isAtomic)
        _ = mirror.take(listing, isComplete: true, now: now)
        let findings = #"{"findings":[{"machine":{"serial":2},"closed":false,"kind":"worm","title":"Oak worm"}]}"#
        var second = try CallRun(connection, profile, call: "findings", .all, entropy: [1], now: now)
        _ = mirror.take(
            try second.receive(HTTPResponse(status: 200, body: Array(findings.utf8))), of: "findings", now: now)

        let source = PostureSource(
            name: "test", vendor: "custom", supports: profile.supports(infers: false), completedAt: mirror.completedAt,
            maximumAges: profile.maximumAges)
        func words(_ id: String) throws -> [String] {
            let record = try #require(mirror.record(id))
            return PostureAttribute.allCases.map { attribute in
                switch record.outcome(attribute, of: source, now: now).outcome {
                case .value(let value, _): "\(value)"
                case .unknown(let missing): "(\(missing.rawValue))"
                case .notSupported: "-"
                }
            }
        }
        #expect(mirror.count == 2)
        #expect(try words("1") == ["no", "no", "-", "-", "no", "-", "yes", "yes", "Ubuntu 24.04", "17"])
        #expect(try words("2") == ["yes", "yes", "-", "-", "yes", "-", "no", "yes", "Windows Server 2022", "high"])
        #expect(mirror.record("2")?.facts[.infected]?.raw == "\"Oak worm\"")
        #expect(mirror.record("1")?.macs == [try #require(MACAddress("02:00:00:00:00:01"))])
        #expect(mirror.record("2")?.addresses == [try #require(IPAddress("2001:db8::7"))])
        // Its own maximum age.
        #expect(
            mirror.record("1")?.outcome(.agentInstalled, of: source, now: now + .seconds(3540)).outcome == .unknown(.stale))
    }
}
