import Base
import Portal
import Tunnels

/// One event as a line.
func line(_ event: GatewayEvent, style: Style) -> String {
    let colour: Style.Colour? =
        switch event.level {
        case .info: nil
        case .warning: .yellow
        case .error: .red
        }
    let level = event.level.rawValue + String(repeating: " ", count: 7 - event.level.rawValue.count)
    // The sentence usually names the tunnel; where it does not, we do.
    let subject = event.tunnel ?? event.connector
    let prefix = subject.flatMap { event.message.contains($0) ? nil : $0 + ": " } ?? ""
    return style.paint(Words.time(event.time), .dim) + "  " + style.paint(level, colour) + "  "
        + (prefix + event.message).printable
}

/// `gatehouse connector list`.
func listing(_ connectors: [Connector], width: Int?, style: Style) -> String {
    guard !connectors.isEmpty else {
        return "No connectors yet: 'gatehouse import aws-vpn FILE' or 'gatehouse connector add' makes one.\n"
    }
    var table = Table(columns: [
        Table.Column(title: "CONNECTOR"), Table.Column(title: "NAME", rank: 3), Table.Column(title: "ENABLED"),
        Table.Column(title: "ROLE", rank: 2), Table.Column(title: "TUNNELS", isRight: true, rank: 4),
        Table.Column(title: "LOCAL", rank: 5), Table.Column(title: "REMOTE", rank: 6),
        Table.Column(title: "SOURCE", rank: 1),
    ])
    func networks(_ prefixes: [IPPrefix]) -> String {
        guard let first = prefixes.first else { return "-" }
        return prefixes.count > 2
            ? "\(first) and \(prefixes.count - 1) more" : prefixes.map(\.description).joined(separator: ", ")
    }
    table.rows = connectors.map { connector in
        [
            Table.Cell(connector.id.printable), Table.Cell(connector.name.printable),
            Table.Cell(connector.isEnabled ? "yes" : "no", connector.isEnabled ? .green : .dim),
            Table.Cell(connector.initiation == .initiate ? "initiator" : "responder"),
            Table.Cell("\(connector.tunnels.count)"), Table.Cell(networks(connector.localNetworks)),
            Table.Cell(networks(connector.remoteNetworks)), Table.Cell(connector.source.format.printable),
        ]
    }
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}

/// `gatehouse doctor`.
func report(_ findings: [Finding], width: Int?, style: Style) -> String {
    var lines: [String] = []
    for finding in findings {
        let (mark, colour): (String, Style.Colour) =
            switch finding.state {
            case .ok: ("ok     ", .green)
            case .warning: ("warning", .yellow)
            case .failed: ("failed ", .red)
            }
        let text = "\(finding.title): \(finding.detail)".printable.wrapped(indent: 9, width: width)
        lines.append(style.paint(mark, colour) + "  " + (text.first?.dropFirst(9) ?? ""))
        lines += text.dropFirst()
        if let remedy = finding.remedy { lines += "-> \(remedy)".printable.wrapped(indent: 9, width: width) }
    }
    let failed = findings.count { $0.state == .failed }
    let warnings = findings.count { $0.state == .warning }
    lines.append("")
    lines.append(
        failed == 0 && warnings == 0
            ? style.paint("\(Words.count(findings.count, "check")), all is well", .green)
            : "\(Words.count(findings.count, "check")), \(failed) failed, \(Words.count(warnings, "warning"))")
    return lines.joined(separator: "\n") + "\n"
}

/// `gatehouse audit`, newest first.
func listing(_ records: [AuditRecord], width: Int?, style: Style) -> String {
    guard !records.isEmpty else { return "Nothing has been changed yet.\n" }
    var table = Table(columns: [
        Table.Column(title: "TIME"), Table.Column(title: "WHO", rank: 2), Table.Column(title: "ACTION"),
        Table.Column(title: "SUBJECT", rank: 3), Table.Column(title: "DETAIL", rank: 1),
    ])
    table.rows = records.map { record in
        [
            Table.Cell(Words.time(record.time)), Table.Cell(record.actor.printable),
            Table.Cell(record.action.printable), Table.Cell(record.subject.printable),
            Table.Cell(record.detail?.printable ?? ""),
        ]
    }
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}
