import ArgumentParser
import JSONText
import Portal
import Tunnels

/// `gatehouse connector`.
struct ConnectorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connector",
        abstract: "Lists and changes connectors: the definitions of tunnels to one peer site.",
        subcommands: [
            List.self, Show.self, Add.self, Edit.self, Phase2Verbs.self, Templates.self, Enable.self, Disable.self,
            Remove.self, Rekey.self, Restart.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the connectors.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let connectors = try await shared.client.connectors([Connector].self, ["v1", "connectors"])
            if shared.json {
                let list = connectors.map { ConnectorFile.json($0, showSecrets: false) }
                return Terminal.say(JSON.array(list).text(isPretty: true))
            }
            Terminal.say(listing(connectors, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one connector, in the form that 'connector add' reads.")
        @Argument(help: "The connector's ID.")
        var id: String
        @Flag(help: "Show the pre-shared keys too; the audit trail notes it.")
        var showSecrets = false
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let query = showSecrets ? [("show-secrets", "1")] : []
            let connector = try await shared.client.connectors(Connector.self, ["v1", "connectors", id], query: query)
            let json = ConnectorFile.json(connector, showSecrets: showSecrets)
            Terminal.say(shared.json ? json.text(isPretty: true) : YAMLText.text(of: json))
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Brings a connector's tunnels up.")
        @Argument(help: "The connector's ID.")
        var id: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await setEnabled(id, true, shared) }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes a connector's tunnels down and keeps them down.")
        @Argument(help: "The connector's ID.")
        var id: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await setEnabled(id, false, shared) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes a connector and its keys.")
        @Argument(help: "The connector's ID.")
        var id: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            // One that there is not is refused before anybody is asked.
            _ = try await shared.client.ask(.control, ["v1", "connectors", id])
            try confirmation.ask(
                "Remove connector \(id) and its keys? This cannot be undone.",
                reason: "removing \(id) cannot be undone")
            let body = try await shared.client.ask(.control, ["v1", "connectors", id], method: .delete)
            Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Removed connector \(id).")
        }
    }

    struct Rekey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes fresh keys now, without a break in the traffic.")
        @Argument(help: "The connector's ID, or the name of one tunnel.")
        var id: String
        @Option(help: "What gets fresh keys: ike (phase 1), child (phase 2) or both.")
        var phase = Phase.both
        @OptionGroup var shared: SharedOptions

        enum Phase: String, ExpressibleByArgument, CaseIterable { case ike, child, both }

        func run() async throws {
            try await act("rekey", id, query: [("phase", phase.rawValue)], shared) { "Rekeying \($0)." }
        }
    }

    struct Restart: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Takes tunnels down and brings them up anew.")
        @Argument(help: "The connector's ID, or the name of one tunnel.")
        var id: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await act("restart", id, shared) { "Restarting \($0)." } }
    }
}

private func setEnabled(_ id: String, _ isEnabled: Bool, _ shared: SharedOptions) async throws {
    let body = try await shared.client.ask(
        .control, ["v1", "connectors", id], method: .patch, body: Array(#"{"isEnabled":\#(isEnabled)}"#.utf8))
    Terminal.say(
        shared.json
            ? String(decoding: body, as: UTF8.self) : "\(isEnabled ? "Enabled" : "Disabled") connector \(id).")
}

private func act(
    _ verb: String, _ id: String, query: [(String, String)] = [], _ shared: SharedOptions,
    _ sentence: (String) -> String
) async throws {
    struct Answer: Codable { var tunnels: [String] }
    let answer = try await shared.client.value(
        Answer.self, .control, ["v1", "connectors", id, verb], method: .post, query: query, body: [])
    Terminal.say(
        shared.json
            ? try JSON(encoding: answer).text(isPretty: true) : sentence(answer.tunnels.joined(separator: ", ")))
}
