import Base
import Portal
import Tunnels

/// `gatehouse status`, as text.
struct StatusText {
    var status: GatewayStatus
    var now: WallTime
    /// Columns of the terminal; nil in a pipe, where nothing is left out.
    var width: Int?
    var style = Style(isColoured: false)

    /// The whole picture: a summary, then the tunnels of each connector.
    var text: String { lines.joined(separator: "\n") + "\n" }

    var lines: [String] {
        var lines = summary
        guard !status.tunnels.isEmpty else { return lines }
        var table = Table(columns: [
            Table.Column(title: "  TUNNEL"), Table.Column(title: "STATE"), Table.Column(title: "SINCE", rank: 4),
            Table.Column(title: "REMOTE", rank: 5), Table.Column(title: "IN", isRight: true, rank: 2),
            Table.Column(title: "OUT", isRight: true, rank: 3), Table.Column(title: "DPD RTT", isRight: true, rank: 1),
        ])
        table.rows = status.tunnels.map(row)
        let (head, rows) = table.lines(width: width, style: style)
        lines += ["", head]
        var connector: String?
        for (tunnel, row) in zip(status.tunnels, rows) {
            if tunnel.connector != connector, isGrouped {
                lines.append(style.paint(tunnel.connector.printable.cut(to: width ?? .max), .bold))
            }
            connector = tunnel.connector
            lines.append(row)
            lines += details(tunnel)
        }
        return lines
    }

    /// A line with the connector's name helps where the tunnels' names do not say it.
    private var isGrouped: Bool {
        !status.tunnels.allSatisfy { $0.tunnel.hasPrefix($0.connector + "-") } || connectors.count > 1
    }

    private var connectors: Set<String> { Set(status.tunnels.map(\.connector)) }

    private var summary: [String] {
        let enabled = status.tunnels.filter { $0.state != .disabled }
        let up = enabled.count { $0.state == .online }
        var parts: [String] = []
        if status.tunnels.isEmpty {
            parts.append("no tunnels yet: 'gatehouse import aws-vpn FILE' makes some")
        } else {
            let colour: Style.Colour = up == enabled.count ? .green : up == 0 ? .red : .yellow
            parts.append(style.paint("\(up) of \(Words.count(enabled.count, "tunnel")) online", colour))
            for state in [TunnelStatus.State.degraded, .connecting, .offline, .disabled] {
                let count = status.tunnels.count { $0.state == state }
                if count > 0 { parts.append("\(count) \(state.rawValue)") }
            }
        }
        let daemon =
            "gatehoused \(status.version), up \(Words.duration(from: status.startedAt, to: now)), "
            + "\(status.dataPath) data path"
        return [parts.joined(separator: ", "), style.paint(daemon.cut(to: width ?? .max), .dim)]
            + (status.services ?? []).flatMap { service in
                "\(service.kind) \(service.name): \(service.detail)".printable.wrapped(indent: 0, width: width)
                    .map { style.paint($0, service.isWell ? .dim : .yellow) }
            }
    }

    private func row(_ tunnel: TunnelStatus) -> [Table.Cell] {
        let isUp = tunnel.state.carriesTraffic || !tunnel.children.isEmpty
        let bytesIn = tunnel.children.reduce(UInt64(0)) { $0 &+ $1.bytesIn }
        let bytesOut = tunnel.children.reduce(UInt64(0)) { $0 &+ $1.bytesOut }
        return [
            Table.Cell((tunnel.isActive ? "* " : "  ") + tunnel.tunnel.printable),
            Table.Cell(tunnel.state.rawValue, tunnel.state.colour),
            Table.Cell(Words.duration(from: tunnel.since, to: now)),
            Table.Cell(tunnel.remoteAddress?.printable ?? "-"),
            Table.Cell(isUp ? Words.bytes(bytesIn) : "-"),
            Table.Cell(isUp ? Words.bytes(bytesOut) : "-"),
            Table.Cell(tunnel.dpd.roundTripMilliseconds.map(Words.milliseconds) ?? "-"),
        ]
    }

    /// What stands below a tunnel's row: suites, weak algorithms, the last error.
    private func details(_ tunnel: TunnelStatus) -> [String] {
        var lines: [String] = []
        func add(_ text: String, _ colour: Style.Colour?) {
            lines += text.printable.wrapped(indent: 4, width: width).map { line in
                // Blanks stay unpainted, so that the text can be copied.
                let indent = line.prefix { $0 == " " }
                return indent + style.paint(String(line.dropFirst(indent.count)), colour)
            }
        }
        if let ike = tunnel.ike {
            let suites = tunnel.children.map(\.proposal).reduce(into: [String]()) {
                if !$0.contains($1) { $0.append($1) }
            }
            add("ike \(ike.proposal)" + (suites.isEmpty ? "" : ", esp " + suites.joined(separator: " and ")), .dim)
        }
        if let authentication = tunnel.ike?.authentication, authentication.local != "psk" || authentication.ppk {
            add(Self.words(authentication), .dim)
        }
        if !tunnel.weaknesses.isEmpty { add("weak: \(tunnel.weaknesses.joined(separator: ", "))", .yellow) }
        for warning in tunnel.warnings ?? [] { add(warning, .yellow) }
        if let probe = tunnel.probe, probe.lost > 0, tunnel.state.carriesTraffic {
            add("\(probe.address) inside has not answered \(Words.count(probe.lost, "probe"))", .yellow)
        }
        if let error = tunnel.lastError {
            add("\(tunnel.state == .online ? "last error" : "error"): \(error)", tunnel.state == .online ? .dim : .red)
        }
        return lines
    }

    private static func words(_ authentication: TunnelStatus.Authentication) -> String {
        var words = "auth " + authentication.local
        if authentication.remote != authentication.local { words += ", the peer's \(authentication.remote)" }
        if authentication.ppk { words += ", with a post-quantum key" }
        if let certificate = authentication.peerCertificate {
            words += ", peer certificate '\(certificate.subject)' until \(certificate.notAfter.day)"
        }
        return words
    }

    /// One line for one change, for `--watch` in a pipe.
    static func line(_ tunnel: TunnelStatus, at time: WallTime) -> String {
        [
            Words.time(time), tunnel.tunnel.printable, tunnel.state.rawValue, tunnel.isActive ? "active" : "standby",
            tunnel.remoteAddress?.printable ?? "-", tunnel.lastError.map { "(\($0.printable))" },
        ].compactMap { $0 }.joined(separator: "  ")
    }
}
