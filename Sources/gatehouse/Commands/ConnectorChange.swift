import ArgumentParser
import JSONText
import Portal
import Tunnels

/// The options of every command that changes a definition.
struct ChangeOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false
    @Flag(help: "Show what would change, and change nothing.")
    var dryRun = false
}

/// A new definition on its way to the daemon: shown first, stored when that is wanted.
struct ConnectorChange {
    var connector: Connector
    /// Whether a stored connector may be replaced.
    var isReplacing: Bool
    /// True when being asked to replace is yes enough.
    var isAgreed = false
    /// A key that was made here, to be shown once.
    var generatedKey: String?
    /// What the administrator must know beside the definition.
    var notes: [String] = []
    var options: ChangeOptions
    var shared: SharedOptions

    /// What `--json` answers.
    private func answer(_ preview: ConnectorPreview, isStored: Bool) -> JSON {
        .object([
            JSON.Member("connector", ConnectorFile.json(connector, showSecrets: false)),
            JSON.Member("isKnown", .bool(preview.isKnown)),
            JSON.Member("changes", .array(preview.changes.map(JSON.string))),
            JSON.Member("restarts", .array(preview.restarts.map(JSON.string))),
            JSON.Member("notes", .array(notes.map(JSON.string))),
            JSON.Member("isStored", .bool(isStored)),
            JSON.Member("generatedPSK", isStored ? generatedKey.map(JSON.string) ?? .null : .null),
        ])
    }

    func run() async throws {
        try Self.check(connector)
        let body = Array(try JSON.line(connector, revealsSecrets: true).utf8)
        let preview: ConnectorPreview
        do {
            preview = try await shared.client.value(
                ConnectorPreview.self, .control, ["v1", "connectors"], method: .post, query: [("dry-run", "1")],
                body: body)
        } catch let failure as CommandFailure where failure.isDaemonAbsent && options.dryRun && !isReplacing {
            preview = ConnectorPreview(isKnown: false, changes: [], restarts: [])
        }
        if preview.isKnown, !isReplacing {
            throw CommandFailure(
                "there is a connector \(connector.id) already: 'gatehouse connector edit \(connector.id)' changes it, "
                    + "--replace puts this one in its place")
        }
        if preview.isKnown, preview.changes.isEmpty {
            return say(preview, isStored: false, "Connector \(connector.id) is as it was: nothing has changed.")
        }
        if !shared.json { show(preview) }
        if options.dryRun { return say(preview, isStored: false, "Nothing was stored (--dry-run).") }
        try agree(preview)
        _ = try await shared.client.ask(
            .control, ["v1", "connectors"], method: .post, query: preview.isKnown ? [("replace", "1")] : [],
            body: body)
        say(
            preview, isStored: true,
            "Stored connector \(connector.id) with \(Words.count(connector.tunnels.count, "tunnel")).")
    }

    /// What is said where the editor brought nothing new.
    func sayUnchanged() {
        say(ConnectorPreview(isKnown: true, changes: [], restarts: []), isStored: false, "Nothing was changed.")
    }

    /// The whole of a new definition, or what changes in a known one, and what that does to tunnels that are up.
    private func show(_ preview: ConnectorPreview) {
        var lines: [String] = []
        if preview.isKnown {
            lines.append("Changes in connector \(connector.id):")
            lines += preview.changes.map { "  - \($0.printable)" }
            lines.append(
                preview.restarts.isEmpty
                    ? "No tunnel goes down by that."
                    : "Down and up anew, one at a time: \(preview.restarts.joined(separator: ", ")).")
        } else if isTerminalDialogue || options.dryRun {
            lines.append(YAMLText.text(of: ConnectorFile.json(connector, showSecrets: false)))
        }
        lines += notes.flatMap { "note: \($0)".wrapped(indent: 0, width: Terminal.size?.columns) }
        if !lines.isEmpty { Terminal.say(lines.joined(separator: "\n")) }
    }

    private func say(_ preview: ConnectorPreview, isStored: Bool, _ text: String) {
        if shared.json { return Terminal.say(answer(preview, isStored: isStored).text(isPretty: true)) }
        if let generatedKey, isStored {
            Terminal.say("The pre-shared key, shown this once: \(generatedKey)")
        }
        Terminal.say(text)
    }

    private var isTerminalDialogue: Bool { !shared.json && Terminal.canAsk && !options.yes }

    /// Asks whether to go on. What is new destroys nothing, so that without a terminal it is stored unasked.
    private func agree(_ preview: ConnectorPreview) throws {
        if options.yes || isAgreed { return }
        guard isTerminalDialogue else {
            guard preview.isKnown else { return }
            throw CommandFailure(
                "this changes \(Words.count(preview.changes.count, "thing")) in connector \(connector.id), and there "
                    + "is no one to ask: add --yes to apply it, or --dry-run to look at it", isUsage: true)
        }
        try Confirmation.agree(preview.isKnown ? "Apply?" : "Store it?")
    }

    /// The rules of a definition are those of the file: what `show` would print must be readable again.
    static func check(_ connector: Connector) throws {
        let text = ConnectorFile.json(connector, showSecrets: false).text()
        do {
            _ = try ConnectorFile.read(Array(text.utf8), file: connector.id, keepsHidden: true)
        } catch let failure as CommandFailure {
            throw CommandFailure(failure.message.replacing("\(connector.id): line 1: ", with: ""), isUsage: true)
        }
    }
}

extension GatewayClient {
    /// A stored connector, its keys read as empty ones unless `showsSecrets`.
    func connector(_ id: String, showsSecrets: Bool = false) async throws -> Connector {
        try await connectors(
            Connector.self, ["v1", "connectors", id], query: showsSecrets ? [("show-secrets", "1")] : [])
    }
}
