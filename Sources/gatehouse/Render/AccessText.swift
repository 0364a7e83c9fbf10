import Access
import Base
import Portal

/// `gatehouse gate status`.
func text(of gate: GateStatus, style: Style) -> String {
    var lines: [String] = []
    if let problem = gate.problem {
        lines.append(style.paint("The gate has a problem: \(problem)".printable, .red))
    } else if gate.isEnabled {
        lines.append(style.paint("The gate is closed", .green) + " to everyone who is not signed in.")
    } else {
        lines.append(style.paint("The gate is off", .yellow) + ": everyone crosses. `gatehouse gate enable` closes it.")
    }
    func row(_ title: String, _ value: String) {
        lines.append("  " + title + String(repeating: " ", count: 16 - title.count) + value)
    }
    row("sign-in pages", gate.portal ?? "none (portal.address in the boot file)")
    if let problem = gate.portalProblem { lines.append("  " + style.paint(problem.printable, .red)) }
    row("sessions", "\(gate.sessions)")
    if gate.isEnabled {
        row("refused", "\(Words.count(Int(clamping: gate.packetsRefused), "packet")) from here, "
            + "\(gate.packetsDiscarded) from remote networks")
    }
    row("session limit", Words.duration(.seconds(gate.sessionSeconds)))
    row("idle limit", gate.idleSeconds.map { Words.duration(.seconds($0)) } ?? "off")
    row("sites", gate.sites.description)
    row("exempt", gate.exempt.isEmpty ? "none" : gate.exempt.map(\.description).joined(separator: ", "))
    row("interfaces", gate.interfaces.isEmpty ? "any" : gate.interfaces.joined(separator: ", "))
    row("inbound", gate.inbound == .replies ? "replies only" : "new connections too")
    row("web redirect", gate.redirectPort.map { "to port \($0)" } ?? "off")
    return lines.joined(separator: "\n") + "\n"
}

/// `gatehouse session list`.
func listing(_ sessions: [SessionStatus], now: WallTime, width: Int?, style: Style) -> String {
    guard !sessions.isEmpty else { return "Nobody is signed in.\n" }
    var table = Table(columns: [
        Table.Column(title: "ID", isRight: true), Table.Column(title: "USER"), Table.Column(title: "ADDRESS"),
        Table.Column(title: "SINCE", rank: 6), Table.Column(title: "LEFT", rank: 5),
        Table.Column(title: "OUT", isRight: true, rank: 3), Table.Column(title: "IN", isRight: true, rank: 4),
        Table.Column(title: "SITES", rank: 2), Table.Column(title: "MAC", rank: 0), Table.Column(title: "WHY", rank: 1),
    ])
    table.rows = sessions.map { session in
        [
            Table.Cell("\(session.id)"), Table.Cell(session.user?.printable ?? "-"), Table.Cell("\(session.address)"),
            Table.Cell(Words.duration(from: session.since, to: now)),
            Table.Cell(Words.duration(from: now, to: session.expiresAt)), Table.Cell(Words.bytes(session.bytesOut)),
            Table.Cell(Words.bytes(session.bytesIn)),
            Table.Cell(session.sites.isEmpty ? "none" : session.sites.joined(separator: ", ").printable),
            Table.Cell(session.mac?.description ?? "-"), Table.Cell(session.reason.printable),
        ]
    }
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}

/// `gatehouse session show`.
func text(of session: SessionStatus, now: WallTime) -> String {
    let name = [session.firstName, session.lastName].compactMap(\.self).joined(separator: " ")
    return fields([
        ("session", "\(session.id)"), ("user", session.user), ("name", name.isEmpty ? nil : name),
        ("address", "\(session.address)"), ("mac", session.mac?.description ?? "not known"),
        ("device", session.device), ("provider", session.provider),
        ("sites", session.sites.isEmpty ? "none" : session.sites.joined(separator: ", ")),
        ("since", "\(Words.time(session.since)), \(Words.duration(from: session.since, to: now))"),
        ("expires", "\(Words.time(session.expiresAt)), in \(Words.duration(from: now, to: session.expiresAt))"),
        ("idle limit", session.idleLimitSeconds.map { Words.duration(.seconds($0)) } ?? "off"),
        ("out", "\(Words.bytes(session.bytesOut)), \(session.packetsOut) packets"),
        ("in", "\(Words.bytes(session.bytesIn)), \(session.packetsIn) packets"), ("why", session.reason),
    ])
}

/// `gatehouse user list`.
func listing(_ users: [UserStatus], width: Int?, style: Style) -> String {
    guard !users.isEmpty else {
        return "No users yet: a first sign-in at the identity provider or 'gatehouse user add' makes one.\n"
    }
    var table = Table(columns: [
        Table.Column(title: "USER"), Table.Column(title: "NAME", rank: 3), Table.Column(title: "ENABLED"),
        Table.Column(title: "SITES", rank: 4), Table.Column(title: "GROUPS", rank: 1),
        Table.Column(title: "SOURCE", rank: 0), Table.Column(title: "LAST SIGN-IN", rank: 2),
        Table.Column(title: "SESSIONS", isRight: true, rank: 5),
    ])
    table.rows = users.map { user in
        [
            Table.Cell(user.email.printable),
            Table.Cell([user.firstName, user.lastName].compactMap(\.self).joined(separator: " ").printable),
            Table.Cell(user.isEnabled ? "yes" : "no", user.isEnabled ? .green : .dim),
            Table.Cell((user.sites?.description ?? "as set (\(user.reaches.joined(separator: ",")))").printable),
            Table.Cell(user.groups.joined(separator: ", ").printable), Table.Cell(user.source.printable),
            Table.Cell(user.lastSignInAt.map(Words.time) ?? "never"), Table.Cell("\(user.sessions.count)"),
        ]
    }
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}

/// `gatehouse user show`.
func text(of user: UserStatus) -> String {
    let name = [user.firstName, user.lastName].compactMap(\.self).joined(separator: " ")
    return fields([
        ("user", user.email), ("name", name.isEmpty ? nil : name), ("enabled", user.isEnabled ? "yes" : "no"),
        ("source", user.source),
        (
            "directories",
            user.origins.isEmpty
                ? nil : user.origins.map { $0.directory + ($0.isActive ? "" : " (left)") }.joined(separator: ", ")
        ), ("groups", user.groups.isEmpty ? nil : user.groups.joined(separator: ", ")),
        ("tags", user.tags.isEmpty ? nil : user.tags.joined(separator: ", ")),
        ("sites", user.sites?.description ?? "as the setting for everyone says"),
        ("reaches", user.reaches.isEmpty ? "nothing" : user.reaches.joined(separator: ", ")),
        ("since", Words.time(user.createdAt)), ("last sign-in", user.lastSignInAt.map(Words.time) ?? "never"),
        ("sessions", user.sessions.isEmpty ? "none" : user.sessions.map(String.init).joined(separator: ", ")),
    ])
}

/// Titles and values in two columns; what has no value is left out.
func fields(_ rows: [(title: String, value: String?)]) -> String {
    rows.compactMap { row in
        row.value.map { row.title + String(repeating: " ", count: 14 - row.title.count) + $0.printable }
    }.joined(separator: "\n") + "\n"
}
