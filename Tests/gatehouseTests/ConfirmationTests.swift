import Foundation
import Portal
import PortalFake
import Testing
import Tunnels

/// What is asked before something goes, and what an answer, or nobody to ask, comes to.
@Suite struct ConfirmationTests {
    /// The command on a terminal of its own, where somebody types this line. What it says stands in `out`.
    private func onTerminal(_ desk: Desk, _ words: [String], types line: String) async throws -> Output {
        let process = Process()
        let (typed, said) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/script")
        let command = [Command.path, "--socket-directory", desk.directory.path] + words
        process.arguments = ["--quiet", "--return", "--command", command.joined(separator: " "), "/dev/null"]
        process.environment = ["PATH": "/usr/bin:/bin", "TERM": "dumb", "SWIFT_BACKTRACE": "enable=no"]
        process.standardInput = typed
        process.standardOutput = said
        process.standardError = FileHandle.nullDevice
        try process.run()
        typed.fileHandleForWriting.write(Data((line + "\n").utf8))
        let text = await Command.onThread {
            let data = said.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return String(decoding: data, as: UTF8.self)
        }
        try typed.fileHandleForWriting.close()
        return Output(status: process.terminationStatus, out: text, error: "")
    }

    @Test(arguments: [["gate", "disable"], ["connector", "remove", "vpn-0a1b"]])
    func aNoIsAFailureThatChangesNothing(_ words: [String]) async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let no = try await onTerminal(desk, words, types: "n")
        #expect(no.status == 1 && no.out.contains("[y/N]") && no.out.contains("Nothing was changed."), "\(no)")
        #expect(desk.gateway.with { $0.calls.filter { $0 != "connectors" } } == [])
        #expect(try await onTerminal(desk, words, types: "y").status == 0)
        #expect(desk.gateway.with { $0.calls.filter { $0 != "connectors" } }.count == 1)
        await desk.portal.stop()
    }

    @Test(arguments: [["gate", "disable"], ["connector", "remove", "vpn-0a1b"]])
    func whereNobodyCanBeAskedItIsWrongUsage(_ words: [String]) async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let unasked = try await Command.run(["--socket-directory", desk.directory.path] + words)
        #expect(unasked.status == 2 && unasked.error.contains("add --yes"), "\(unasked)")
        #expect(desk.gateway.with { $0.calls.filter { $0 != "connectors" } } == [])
        for form in ["-y", "--yes"] {
            #expect(try await Command.run(["--socket-directory", desk.directory.path] + words + [form]).status == 0)
        }
        await desk.portal.stop()
    }

    @Test(arguments: [
        (["connector", "remove"], "there is no connector 'nothing'"),
        (["idp", "remove"], "there is no identity provider 'nothing'"),
        (["directory", "remove"], "there is no directory 'nothing'"),
        (["epp", "remove"], "there is no connection 'nothing'"),
    ])
    func whatThereIsNotIsRefusedBeforeAnybodyIsAsked(_ verb: [String], _ refusal: String) async throws {
        let desk = try await Desk()
        for words in [[], ["--yes"], ["-y", "--json"]] {
            let output = try await Command.run(
                ["--socket-directory", desk.directory.path] + verb + ["nothing"] + words)
            #expect(output.status == 1 && output.error.contains(refusal), "\(output)")
            #expect(output.out.isEmpty)
        }
        #expect(desk.gateway.with { $0.calls.filter { $0.hasPrefix("remove") } } == [])
        await desk.portal.stop()
    }

    @Test func whatIsRemovedIsAnsweredInJSON() async throws {
        let desk = try await Desk()
        #expect(try await desk.gatehouse("api-access", "remove", "hq").out == "Removed 'hq'.\n")
        let output = try await desk.gatehouse("api-access", "remove", "hq", "--json")
        #expect(output.out.filter { !$0.isWhitespace } == #"{"done":true}"#)
        await desk.portal.stop()
    }

    @Test func anEditorThatChangesNothingIsAnsweredInJSON() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let output = try await Command.run(
            ["--socket-directory", desk.directory.path, "connector", "edit", "vpn-0a1b", "--json"],
            environment: ["EDITOR": "true"])
        #expect(output.out.contains("\"isStored\": false") && output.out.contains("\"changes\": []"), "\(output)")
        #expect(output.out.contains("\"id\": \"vpn-0a1b\"") && !output.out.contains("correct horse"))
        await desk.portal.stop()
    }
}
