import ArgumentParser
import FoundationEssentials
import JSONText
import Portal
import Tunnels

/// `gatehouse events`.
struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Shows what happened, the newest last.",
        discussion: "With --json each event is one line.")

    @Flag(name: .shortAndLong, help: "Go on with new events as they happen, until Ctrl-C.")
    var follow = false
    @Option(name: .shortAndLong, help: "How many past events to show.")
    var limit = 50
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (0...100_000).contains(limit) else { throw ValidationError("--limit must be from 0 to 100000.") }
    }

    func run() async throws {
        let client = shared.client
        // At least one is asked for, since its number is where following goes on.
        let recent = try await client.value(
            [GatewayEvent].self, .status, ["v1", "events", "recent"], query: [("limit", String(max(1, limit)))])
        for event in recent.suffix(limit) { try show(event) }
        guard follow else { return }
        var last = recent.last?.number ?? 0
        var isConnected = true
        while true {
            do {
                try await client.events(after: last) { event in
                    isConnected = true
                    guard let event = try? JSONDecoder().decode(GatewayEvent.self, from: Data(event.data.utf8)) else {
                        return true
                    }
                    last = event.number
                    try show(event)
                    return true
                }
            } catch let failure as CommandFailure {
                if isConnected { Terminal.complain("gatehouse: \(failure.message) Waiting for it.") }
                isConnected = false
            }
            // The stream ended: the daemon stopped, or we were too slow. What was missed is sent again.
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func show(_ event: GatewayEvent) throws {
        Terminal.say(shared.json ? try JSON.line(event) : line(event, style: Terminal.style))
    }
}

/// `gatehouse audit`.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Shows who changed what, the newest first.")

    @Option(name: .shortAndLong, help: "How many entries to show.")
    var limit = 50
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit must be from 1 to 100000.") }
    }

    func run() async throws {
        let records = try await shared.client.value(
            [AuditRecord].self, .control, ["v1", "audit"], query: [("limit", String(limit))])
        if shared.json { return Terminal.say(try JSON(encoding: records).text(isPretty: true)) }
        Terminal.say(listing(records, width: Terminal.size?.columns, style: Terminal.style))
    }
}

/// `gatehouse reload`.
struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Has the daemon read the stored connectors and settings again.")

    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let body = try await shared.client.ask(.control, ["v1", "reload"], method: .post, body: [])
        Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Reloaded.")
    }
}
