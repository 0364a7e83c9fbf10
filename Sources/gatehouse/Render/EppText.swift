import Access
import Base
import Portal
import Vendors

/// How endpoint protection platforms and endpoints are shown.
enum EppText {
    static func list(_ all: [EndpointSourceStatus], now: WallTime, width: Int?, style: Style) -> String {
        guard !all.isEmpty else {
            return "There are no connections to endpoint protection platforms. 'gatehouse epp add --help' says how to add one."
        }
        var table = Table(columns: [
            Table.Column(title: "NAME"), Table.Column(title: "PLATFORM", rank: 1), Table.Column(title: "STATE"),
            Table.Column(title: "ENDPOINTS", isRight: true), Table.Column(title: "AS OF", rank: 2),
            Table.Column(title: "KEY ENDS", rank: 0),
        ])
        table.rows = all.map { status in
            [
                Table.Cell(status.connection.id.printable, .bold), Table.Cell(status.title.printable),
                Table.Cell(status.state.rawValue, status.state.colour), Table.Cell("\(status.endpoints)"),
                Table.Cell(age(status.completedAt, now)), Table.Cell(status.keyEndsAt?.day ?? "-"),
            ]
        }
        let (head, rows) = table.lines(width: width, style: style)
        let words = all.flatMap { status in [status.lastError].compactMap(\.self) + status.warnings }
        return ([head] + rows + (words.isEmpty ? [] : [""])
            + words.map { style.paint($0.printable, .yellow) }).joined(separator: "\n")
    }

    static func details(_ status: EndpointSourceStatus, now: WallTime, style: Style) -> String {
        let connection = status.connection
        var lines = ["\(status.title.printable) (\(connection.id)), " + style.paint(status.state.rawValue, status.state.colour)
            + (status.since.map { ", since \(Words.time($0))" } ?? "")]
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  " + name + String(repeating: " ", count: max(1, 18 - name.count)) + value.printable)
        }
        line("URL", connection.url.map { $0 + (connection.allowsAnyHost ? " (any host)" : "") })
        for (name, value) in connection.values.sorted(by: { $0.key < $1.key }) { line(name, value) }
        line("key ends", status.keyEndsAt.map { $0.day })
        line("endpoints", "\(status.endpoints), \(age(status.completedAt, now))")
        if let from = status.lostFrom, let to = status.lostTo { line("not believed", "a listing with \(to) in the place of \(from)") }
        for call in status.calls {
            line(
                "call", "\(call.name): every \(call.everySeconds) s, \(age(call.answeredAt, now))"
                    + (call.lastError.map { "; \($0)" } ?? ""))
        }
        line("refresh", connection.refreshSeconds.map { "\($0) s" })
        line("holds for", "\(connection.staleSeconds) s without an answer")
        line("looked up", "at a sign-in, when older than \(connection.lookUpSeconds) s")
        line("circuit", status.circuit == "closed" ? nil : status.circuit)
        line("says", status.attributes.map(\.label).joined(separator: ", "))
        let unsaid = PostureAttribute.allCases.filter { !status.attributes.contains($0) }.map(\.label)
        line("cannot say", unsaid.joined(separator: ", "))
        if let error = status.lastError { lines.append("  " + style.paint(error.printable, .red)) }
        for warning in status.warnings { lines.append("  " + style.paint(warning.printable, .yellow)) }
        for note in status.notes { lines.append("  - " + note.printable) }
        return lines.joined(separator: "\n")
    }

    static func list(_ listing: EndpointListing, now: WallTime, width: Int?, style: Style) -> String {
        guard !listing.endpoints.isEmpty else { return "There are no such endpoints." }
        var table = Table(columns: [
            Table.Column(title: "NAME"), Table.Column(title: "SOURCE", rank: 3), Table.Column(title: "SYSTEM", rank: 2),
            Table.Column(title: "ADDRESS", rank: 1), Table.Column(title: "SEEN", rank: 4), Table.Column(title: "FINDINGS"),
        ])
        table.rows = listing.endpoints.map { endpoint in
            let bad = endpoint.attributes.filter { $0.isGood == false }.map(\.attribute.label)
            let missing = endpoint.attributes.count { $0.missing != nil && $0.missing != "notSupported" }
            let findings = bad + (missing > 0 ? ["\(missing) missing"] : [])
            return [
                Table.Cell((endpoint.hostName ?? endpoint.id).printable, .bold), Table.Cell(endpoint.source.printable),
                Table.Cell(endpoint.attributes.first { $0.attribute == .os }?.value?.printable ?? "-"),
                Table.Cell(endpoint.addresses.first?.description ?? "-"), Table.Cell(age(endpoint.seenAt, now)),
                Table.Cell(
                    findings.isEmpty ? "none" : findings.joined(separator: ", "),
                    !bad.isEmpty ? .red : missing > 0 ? .yellow : .green),
            ]
        }
        let (head, rows) = table.lines(width: width, style: style)
        let more = listing.total - listing.endpoints.count
        return ([head] + rows + (more > 0 ? ["… and \(more) more: --limit"] : [])).joined(separator: "\n")
    }

    static func details(_ endpoint: EndpointStatus, now: WallTime, style: Style) -> String {
        var lines = [style.paint((endpoint.hostName ?? endpoint.id).printable, .bold) + " (\(endpoint.source)/\(endpoint.id.printable))"]
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  " + name + String(repeating: " ", count: max(1, 18 - name.count)) + value.printable)
        }
        line("MAC", endpoint.macs.map(\.description).joined(separator: ", "))
        line("address", endpoint.addresses.map(\.description).joined(separator: ", "))
        line("last user", endpoint.lastUser)
        line("seen", age(endpoint.seenAt, now))
        line("asked", age(endpoint.fetchedAt, now))
        var table = Table(columns: [
            Table.Column(title: "  ATTRIBUTE"), Table.Column(title: "VALUE"), Table.Column(title: "SINCE"),
            Table.Column(title: "THEIR WORD"), Table.Column(title: "REMARK"),
        ])
        table.rows = endpoint.attributes.map { attribute in
            let missing = attribute.missing.map { word in
                PostureOutcome.Missing(rawValue: word).map { "missing: \($0.words)" } ?? "not supported"
            }
            let colour: Style.Colour? =
                attribute.missing == "notSupported"
                ? .dim : missing != nil ? .yellow : attribute.isGood.map { $0 ? .green : .red }
            return [
                Table.Cell("  " + attribute.attribute.label), Table.Cell(attribute.value?.printable ?? missing ?? "-", colour),
                Table.Cell(attribute.observedAt.map { age($0, now) } ?? ""), Table.Cell(attribute.raw?.printable ?? ""),
                Table.Cell(attribute.note?.printable ?? ""),
            ]
        }
        let (head, rows) = table.lines(width: nil, style: style)
        return (lines + [head] + rows).joined(separator: "\n") + "\n"
    }

    private static func age(_ time: WallTime?, _ now: WallTime) -> String {
        time.map { Words.duration(from: $0, to: now) + " ago" } ?? "never yet"
    }
}

extension EndpointSourceStatus.State {
    fileprivate var colour: Style.Colour {
        switch self {
        case .ok: .green
        case .starting, .disabled: .dim
        case .failing: .yellow
        case .needsAttention: .red
        }
    }
}
