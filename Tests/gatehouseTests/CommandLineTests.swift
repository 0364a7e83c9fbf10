import Foundation
import Logging
import Portal
import PortalFake
import Testing
import Tunnels

/// The built command against a portal with a fake gateway behind it.
struct Desk {
    let gateway = FakeGateway()
    let directory = ScratchDirectory()
    let portal: Portal

    init() async throws {
        portal = try await Portal.start(
            PortalConfiguration(runtimeDirectory: directory.path), api: gateway,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func gatehouse(_ words: String..., input: String = "") async throws -> Output {
        try await Command.run(["--socket-directory", directory.path] + words, input: input)
    }

    func file(_ text: String) throws -> String {
        let path = directory.path + "/file"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }
}

struct Output: Sendable {
    var status: Int32
    var out: String
    var error: String
}

/// The `gatehouse` executable that was built beside these tests.
final class Command: Sendable {
    private let process: Process
    private let output = Pipe()

    static var path: String {
        // The tests run inside the package's test bundle; the executables lie in the same folder.
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (own as NSString).deletingLastPathComponent + "/gatehouse"
    }

    static func run(_ words: [String], input: String = "", environment: [String: String] = [:]) async throws -> Output {
        let process = Process()
        let (out, error, standardInput) = (Pipe(), Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = words
        process.environment = ["PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"].merging(environment) { $1 }
        process.standardOutput = out
        process.standardError = error
        process.standardInput = standardInput
        try process.run()
        standardInput.fileHandleForWriting.write(Data(input.utf8))
        try standardInput.fileHandleForWriting.close()
        async let outText = text(of: out)
        async let errorText = text(of: error)
        let texts = await (outText, errorText)
        await onThread { process.waitUntilExit() }
        return Output(status: process.terminationStatus, out: texts.0, error: texts.1)
    }

    private static func text(of pipe: Pipe) async -> String {
        let handle = pipe.fileHandleForReading
        return await onThread { String(decoding: handle.readDataToEndOfFile(), as: UTF8.self) }
    }

    /// Blocking work on a thread of its own, never on one that the server under test needs.
    static func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: body()) }
        }
    }

    /// A command that goes on until it is ended.
    init(_ words: [String]) throws {
        process = Process()
        process.executableURL = URL(fileURLWithPath: Self.path)
        process.arguments = words
        process.environment = ["SWIFT_BACKTRACE": "enable=no"]
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    /// Reads until the text so far holds `part`.
    func wait(for part: String) async -> String {
        let handle = output.fileHandleForReading
        return await Self.onThread {
            var text = ""
            while !text.contains(part) {
                let data = handle.availableData
                if data.isEmpty { break }
                text += String(decoding: data, as: UTF8.self)
            }
            return text
        }
    }

    func stopReading() { try? output.fileHandleForReading.close() }

    func interrupt() async -> Int32 {
        process.interrupt()
        return await end()
    }

    func end() async -> Int32 {
        let process = process
        await Self.onThread { process.waitUntilExit() }
        return process.terminationStatus
    }
}

@Suite struct CommandLineTests {
    @Test func statusIsATableInAPipeWithoutColour() async throws {
        let desk = try await Desk()
        desk.gateway.with {
            $0.status.tunnels = [.example(1), .example(2, state: .offline, lastError: "the peer does not answer")]
        }
        let output = try await desk.gatehouse("status")
        #expect(output.status == 0)
        #expect(output.out.hasPrefix("1 of 2 tunnels online, 1 offline\n"))
        #expect(output.out.contains("* vpn-0a1b-1  online"))
        #expect(output.out.contains("    error: the peer does not answer\n"))
        #expect(!output.out.contains("\u{1b}"))
        #expect(output.error.isEmpty)
        await desk.portal.stop()
    }

    @Test func statusInJSONKeepsTheOrder() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.status.tunnels = [.example(1), .example(2)] }
        let before = try await desk.gatehouse("--json", "status", "vpn-0a1b-2")
        let after = try await desk.gatehouse("status", "vpn-0a1b-2", "--json")
        #expect(before.status == 0)
        #expect(before.out.hasPrefix("{\n  \"version\": \"1.0\",\n  \"startedAt\": \"2026-11-24T12:00:00.000Z\",\n"))
        #expect(before.out.contains("vpn-0a1b-2"))
        #expect(!before.out.contains("vpn-0a1b-1"))
        #expect(before.out == after.out)
        await desk.portal.stop()
    }

    @Test func checkFailsUnlessEveryEnabledTunnelIsOnline() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.status.tunnels = [.example(1), .example(2, state: .disabled)] }
        #expect(try await desk.gatehouse("status", "--check").status == 0)
        desk.gateway.with { $0.status.tunnels.append(.example(3, state: .connecting)) }
        let down = try await desk.gatehouse("status", "--check")
        #expect(down.status == 1)
        #expect(down.out.hasPrefix("1 of 2 tunnels online"))
        #expect(try await desk.gatehouse("status").status == 0)
        await desk.portal.stop()
    }

    @Test func statusOfAnUnknownTunnelFails() async throws {
        let desk = try await Desk()
        let output = try await desk.gatehouse("status", "nothing")
        #expect(output.status == 1)
        #expect(output.error.contains("there is no tunnel or connector 'nothing'"))
        await desk.portal.stop()
    }

    @Test func watchInAPipeWritesALineForEachChange() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.status.tunnels = [.example(1), .example(2)] }
        let command = try Command(["--socket-directory", desk.directory.path, "status", "--watch"])
        let first = await command.wait(for: "vpn-0a1b-2")
        #expect(first.contains("vpn-0a1b-1  online  active  203.0.113.1"))
        #expect(first.contains("vpn-0a1b-2  online  standby  203.0.113.2"))
        await desk.gateway.waitForFollowers(1)
        desk.gateway.with {
            $0.status.tunnels = [.example(1, state: .offline, lastError: "dead"), .example(2, isActive: true)]
        }
        desk.gateway.emit("failover", message: "traffic moved")
        let second = await command.wait(for: "vpn-0a1b-2  online  active")
        #expect(second.contains("vpn-0a1b-1  offline  standby  203.0.113.1  (dead)"))
        _ = await command.interrupt()
        await desk.portal.stop()
    }

    @Test func eventsAreListedAndFollowed() async throws {
        let desk = try await Desk()
        for kind in ["one", "two", "three"] { desk.gateway.emit(kind, tunnel: "vpn-1", message: "event \(kind)") }
        let listed = try await desk.gatehouse("events", "--limit", "2")
        #expect(
            listed.out
                == "2026-11-24 12:00:01Z  info     vpn-1: event two\n2026-11-24 12:00:02Z  info     vpn-1: event three\n"
        )
        let json = try await desk.gatehouse("events", "--limit", "1", "--json")
        #expect(json.out.hasPrefix(#"{"number":3,"time":"2026-11-24T12:00:02.000Z","level":"info","kind":"three","#))
        let command = try Command(["--socket-directory", desk.directory.path, "events", "--follow", "--limit", "1"])
        let old = await command.wait(for: "event three")
        #expect(!old.contains("event two"))
        desk.gateway.emit("four", message: "event four")
        #expect(await command.wait(for: "event four").contains("event four"))
        _ = await command.interrupt()
        await desk.portal.stop()
    }

    @Test func aReaderThatHasSeenEnoughEndsTheCommand() async throws {
        let desk = try await Desk()
        desk.gateway.emit("one", message: "event one")
        let command = try Command(["--socket-directory", desk.directory.path, "events", "--follow"])
        _ = await command.wait(for: "event one")
        await desk.gateway.waitForFollowers(1)
        command.stopReading()
        // More than a pipe holds, so that the writer learns of it whoever else has the pipe open for a moment.
        desk.gateway.emit("two", message: String(repeating: "x", count: 200_000))
        #expect(await command.end() == 0)
        await desk.portal.stop()
    }

    @Test func withoutADaemonTheMessageSaysHowToStartIt() async throws {
        let output = try await Command.run(
            ["status"], environment: ["GATEHOUSE_RUNTIME_DIRECTORY": "/nonexistent/gatehouse"])
        #expect(output.status == 1)
        #expect(output.out.isEmpty)
        #expect(
            output.error
                == "gatehouse: gatehoused is not running: nothing answers at /nonexistent/gatehouse/status.sock. Start it "
                + "with 'systemctl start gatehoused', or name the place of its sockets with --socket-directory.\n")
    }

    @Test(arguments: [
        ["nonsense"], ["status", "--nonsense"], ["import", "aws-vpn"], ["events", "--limit", "-1"],
        ["import", "aws-vpn", "x", "--remote-network", "10.0.0.0/99"], ["connector", "rekey", "x", "--phase", "three"],
        ["import", "aws-vpn", "x", "--local-address", "here"], ["status", "--watch", "--check"],
    ])
    func wrongUsageHasACodeOfItsOwn(words: [String]) async throws {
        let output = try await Command.run(words)
        #expect(output.status == 2)
        #expect(output.out.isEmpty)
        #expect(!output.error.isEmpty)
    }

    @Test func helpAndVersionGoToStandardOutput() async throws {
        let help = try await Command.run(["status", "--help"])
        #expect(help.status == 0)
        #expect(help.out.contains("--watch"))
        let version = try await Command.run(["--version"])
        #expect(version.out == "0.1.0\n")
        let completion = try await Command.run(["--generate-completion-script", "bash"])
        #expect(completion.status == 0)
        #expect(completion.out.contains("socket-directory"))
    }

    @Test func connectorsAreListedShownAndChanged() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example(), .example(id: "branch", isEnabled: false)] }
        let list = try await desk.gatehouse("connector", "list")
        #expect(
            list.out.contains(
                "vpn-0a1b   Head office  yes      initiator        1  192.168.0.0/24  10.0.0.0/16  aws-xml"))
        #expect(list.out.contains("branch     Head office  no "))
        let json = try await desk.gatehouse("connector", "list", "--json")
        #expect(json.out.contains("\"psk\": \"(hidden)\""))
        let hidden = try await desk.gatehouse("connector", "show", "vpn-0a1b")
        #expect(hidden.out.contains("psk: \"(hidden)\"\n"))
        let shown = try await desk.gatehouse("connector", "show", "vpn-0a1b", "--show-secrets")
        #expect(shown.out.contains("psk: \"correct horse\"\n"))
        #expect(try await desk.gatehouse("connector", "disable", "vpn-0a1b").out == "Disabled connector vpn-0a1b.\n")
        #expect(try await desk.gatehouse("connector", "enable", "vpn-0a1b").status == 0)
        #expect(
            try await desk.gatehouse("connector", "rekey", "vpn-0a1b", "--phase", "child").out
                == "Rekeying vpn-0a1b-1, vpn-0a1b-2.\n")
        #expect(try await desk.gatehouse("connector", "restart", "vpn-0a1b-1").status == 0)
        #expect(try await desk.gatehouse("connector", "remove", "vpn-0a1b", "--yes").status == 0)
        let unsure = try await desk.gatehouse("connector", "remove", "vpn-0a1b")
        #expect(unsure.status == 2)
        #expect(unsure.error.contains("--yes"))
        #expect(
            desk.gateway.with { $0.calls.filter { $0 != "connectors" } } == [
                "reveal vpn-0a1b", "disable vpn-0a1b", "enable vpn-0a1b", "rekey vpn-0a1b child", "restart vpn-0a1b-1",
                "remove vpn-0a1b",
            ])
        await desk.portal.stop()
    }

    @Test func theDaemonsRefusalIsPassedOn() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.failure = APIError.notFound("there is no connector 'x'") }
        let output = try await desk.gatehouse("connector", "enable", "x")
        #expect(output.status == 1)
        #expect(output.error == "gatehouse: there is no connector 'x'\n")
        await desk.portal.stop()
    }

    @Test func aConnectorThatIsShownCanBeAddedAgain() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        for form in [[], ["--json"]] {
            let shown = try await Command.run(
                ["--socket-directory", desk.directory.path, "connector", "show", "vpn-0a1b", "--show-secrets"] + form)
            let same = try await desk.gatehouse("connector", "add", "-", "--replace", input: shown.out)
            #expect(same.out == "Connector vpn-0a1b is as it was: nothing has changed.\n")
            let added = try await desk.gatehouse(
                "connector", "add", "-", "--replace", input: shown.out.replacing("Head office", with: "Main office"))
            #expect(added.status == 0, "\(added.error)")
            #expect(added.out.hasSuffix("Stored connector vpn-0a1b with 1 tunnel.\n"))
        }
        var renamed = Connector.example()
        renamed.name = "Main office"
        #expect(desk.gateway.with { $0.addedConnectors } == [renamed, renamed])
        #expect(desk.gateway.with { $0.calls.last } == "add vpn-0a1b replacing")
        await desk.portal.stop()
    }

    @Test func aConnectorFileWithAFaultIsNotSent() async throws {
        let desk = try await Desk()
        let path = try desk.file("id: x\nlocalNetworks: [10.0.0.0/8]\nremoteNetworks: [here]\ntunnels: []\n")
        let output = try await desk.gatehouse("connector", "add", path)
        #expect(output.status == 1)
        #expect(output.error.contains("\(path): line 3: remoteNetworks[0] is 'here', which is no network"))
        #expect(desk.gateway.with { $0.calls } == [])
        await desk.portal.stop()
    }

    @Test func auditDoctorExplainAndReloadSpeakToTheDaemon() async throws {
        let desk = try await Desk()
        desk.gateway.with {
            $0.audit = [
                AuditRecord(
                    number: 7, time: .example(5), actor: "root (uid 0)", action: "connector-added", subject: "vpn-1",
                    detail: nil)
            ]
            $0.findings = [
                Finding(id: "a", title: "TUN device", state: .ok, detail: "there", remedy: nil),
                Finding(id: "b", title: "Clock", state: .warning, detail: "wrong", remedy: "set it"),
            ]
            $0.explanations = [
                Explanation(subject: "vpn-1-1", summary: "it is up", reasons: ["the peer answered"]),
                Explanation(subject: "vpn-1-2", summary: "vpn-1-2 is offline.", reasons: []),
            ]
        }
        let audit = try await desk.gatehouse("audit", "--limit", "5")
        #expect(audit.out.contains("2026-11-24 12:00:05Z  root (uid 0)  connector-added  vpn-1\n"))
        let doctor = try await desk.gatehouse("doctor")
        #expect(doctor.status == 0)
        #expect(
            doctor.out
                == "ok       TUN device: there\nwarning  Clock: wrong\n         -> set it\n\n2 checks, 0 failed, 1 warning\n"
        )
        desk.gateway.with { $0.findings[1].state = .failed }
        #expect(try await desk.gatehouse("doctor").status == 1)
        #expect(
            try await desk.gatehouse("explain", "vpn-1").out
                == "vpn-1-1: it is up\n  - the peer answered\n\nvpn-1-2 is offline.\n")
        #expect(try await desk.gatehouse("reload").out == "Reloaded.\n")
        #expect(desk.gateway.with { $0.calls } == ["audit 5", "doctor", "doctor", "explain vpn-1", "reload"])
        await desk.portal.stop()
    }
}
