import ArgumentParser
import Base
import JSONText
import NIOCore
import Portal
import Tunnels

/// `gatehouse status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows every tunnel at a glance.",
        discussion: """
            '*' marks the tunnel that carries its connector's traffic. With --watch the picture follows every change \
            until Ctrl-C; in a pipe it writes one line for each change.
            """)

    @Argument(help: "Show only this tunnel, or this connector's tunnels.")
    var tunnel: String?
    @Flag(help: "Follow changes until Ctrl-C.")
    var watch = false
    @Flag(help: "Exit with 1 unless every enabled tunnel is online or degraded: for monitoring.")
    var check = false
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if watch, check { throw ValidationError("--watch and --check do not go together.") }
    }

    func run() async throws {
        let client = shared.client
        if watch {
            try await Watch(client: client, subject: tunnel, isJSON: shared.json).run()
            return
        }
        let status = try await Self.status(client, tunnel)
        if shared.json {
            Terminal.say(try JSON(encoding: status).text(isPretty: true))
        } else {
            let text = StatusText(
                status: status, now: Terminal.now, width: Terminal.size?.columns, style: Terminal.style)
            Terminal.say(text.text)
        }
        let isUp = status.tunnels.allSatisfy { $0.state == .disabled || $0.state.carriesTraffic }
        if check, !isUp { throw ExitCode.failure }
    }

    /// The daemon's answer, with only the tunnels that were asked for.
    static func status(_ client: GatewayClient, _ subject: String?) async throws -> GatewayStatus {
        var status = try await client.value(GatewayStatus.self, .status, ["v1", "status"])
        if let subject {
            status.tunnels.removeAll { $0.tunnel != subject && $0.connector != subject }
            guard !status.tunnels.isEmpty else {
                throw CommandFailure(
                    "there is no tunnel or connector '\(subject)'; 'gatehouse status' shows those that exist")
            }
        }
        return status
    }
}

/// `gatehouse status --watch`: asks again at every event, and each second for what no event tells.
struct Watch: Sendable {
    let client: GatewayClient
    let subject: String?
    let isJSON: Bool

    func run() async throws {
        // The first answer decides whether there is anything to watch: later, a daemon that restarts is waited for.
        var last: Result<GatewayStatus, CommandFailure> = .success(try await StatusCommand.status(client, subject))
        let (signals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let client = client
        let follower = Task {
            while !Task.isCancelled {
                try? await client.events(after: nil) { _ in
                    signal.yield()
                    return true
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
        let ticker = Task {
            while (try? await Task.sleep(for: .seconds(1))) != nil { signal.yield() }
        }
        defer {
            follower.cancel()
            ticker.cancel()
        }
        let isLive = Terminal.isOutputTerminal && !isJSON
        var picture = Picture()
        var changes = Changes()
        func show() throws {
            switch last {
            case .success(let status) where isLive:
                picture.draw(status, error: nil)
            case .success(let status):
                for tunnel in changes.take(status) {
                    Terminal.say(isJSON ? try JSON.line(tunnel) : StatusText.line(tunnel, at: Terminal.now))
                }
            case .failure(let failure):
                if isLive {
                    picture.draw(nil, error: failure.message)
                } else if changes.lose() {
                    Terminal.complain("gatehouse: \(failure.message) Waiting for it.")
                }
            }
        }
        try show()
        for await _ in signals {
            do {
                last = .success(try await StatusCommand.status(client, subject))
            } catch let failure as CommandFailure {
                last = .failure(failure)
            } catch {
                last = .failure(CommandFailure("gatehoused does not answer."))
            }
            try show()
        }
    }
}

/// The picture on the terminal, drawn over the one before. No alternate screen: the last one stays.
private struct Picture {
    private var height = 0

    mutating func draw(_ status: GatewayStatus?, error: String?) {
        let size = Terminal.size ?? (80, 24)
        let style = Terminal.style
        var lines: [String] = []
        if let status {
            lines = StatusText(status: status, now: Terminal.now, width: size.columns, style: style).lines
        }
        if let error { lines = error.printable.wrapped(indent: 0, width: size.columns).map { style.paint($0, .red) } }
        // What does not fit would scroll, and could not be drawn over.
        let room = size.rows - 1
        if lines.count > room { lines = lines.prefix(max(0, room - 1)) + ["… \(lines.count - room + 1) more lines"] }
        let up = height > 0 ? "\u{1b}[\(height)A\r" : ""
        // Each line clears what was behind it; then everything below.
        Terminal.draw(up + lines.map { "\($0)\u{1b}[K\n" }.joined() + "\u{1b}[J")
        height = lines.count
    }
}

/// What has changed since the last look, by the parts that a person would call a change.
struct Changes {
    private struct Look: Hashable {
        var state: TunnelStatus.State
        var isActive: Bool
        var remoteAddress: String?
        var lastError: String?
    }

    private var looks: [String: Look] = [:]
    private var isLost = false

    /// The tunnels that differ from the last look, in their order.
    mutating func take(_ status: GatewayStatus) -> [TunnelStatus] {
        isLost = false
        return status.tunnels.filter { tunnel in
            let look = Look(
                state: tunnel.state, isActive: tunnel.isActive, remoteAddress: tunnel.remoteAddress,
                lastError: tunnel.lastError)
            return looks.updateValue(look, forKey: tunnel.tunnel) != look
        }
    }

    /// True the first time that the daemon does not answer.
    mutating func lose() -> Bool {
        defer { isLost = true }
        return !isLost
    }
}

/// `gatehouse explain`.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "explain", abstract: "Says why tunnels are as they are.")

    @Argument(help: "A tunnel's name, or a connector's ID for all its tunnels.")
    var subject: String
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let path = ["v1", "connectors", subject, "explain"]
        let explanations = try await shared.client.value([Explanation].self, .control, path)
        if shared.json { return Terminal.say(try JSON(encoding: explanations).text(isPretty: true)) }
        let width = Terminal.size?.columns
        let blocks = explanations.map { explanation in
            // The sentence usually names the tunnel; where it does not, we do.
            let isNamed = explanation.summary.contains(explanation.subject)
            let head = (isNamed ? "" : explanation.subject + ": ") + explanation.summary
            var lines = head.printable.wrapped(indent: 0, width: width)
            for reason in explanation.reasons { lines += "- \(reason)".printable.wrapped(indent: 2, width: width) }
            return lines.joined(separator: "\n")
        }
        Terminal.say(blocks.joined(separator: "\n\n"))
    }
}
