import Access
import Base
import Portal

/// `gatehouse posture check list`.
func listing(_ checks: [PostureCheck], width: Int?, style: Style) -> String {
    guard !checks.isEmpty else { return "No posture checks yet: 'gatehouse posture check add' makes one.\n" }
    var table = Table(columns: [
        Table.Column(title: "CHECK"), Table.Column(title: "FOR"), Table.Column(title: "IF MISSING", rank: 0),
        Table.Column(title: "REQUIRES", rank: 1),
    ])
    table.rows = checks.map { check in
        [
            Table.Cell(check.name.printable), Table.Cell(check.system.label),
            Table.Cell(check.failsIfMissing ? "fails" : "passed over"),
            Table.Cell(check.requirements.map(\.words).joined(separator: "; ").printable),
        ]
    }
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}

/// `gatehouse posture check show`.
func text(of check: PostureCheck) -> String {
    ([
        "\(check.name.printable), for \(check.system.label)",
        check.failsIfMissing
            ? "  fails if any attribute value is missing" : "  passes over attribute values that are missing",
    ] + check.requirements.map { "  \($0.words.printable)" }).joined(separator: "\n") + "\n"
}

/// `gatehouse behaviour list`.
func listing(_ behaviours: [Behaviour], width: Int?, style: Style) -> String {
    guard !behaviours.isEmpty else { return "No behaviours yet: 'gatehouse behaviour add' makes one.\n" }
    var table = Table(columns: [
        Table.Column(title: "BEHAVIOUR"), Table.Column(title: "TYPE", rank: 0), Table.Column(title: "HOLDS IF", rank: 1),
    ])
    table.rows = behaviours.map { behaviour in
        [
            Table.Cell(behaviour.name.printable), Table.Cell(behaviour.trigger.type),
            Table.Cell(behaviour.words.printable),
        ]
    }
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}

/// `gatehouse policy list`.
func listing(_ set: PolicySet, width: Int?, style: Style) -> String {
    var table = Table(columns: [
        Table.Column(title: "#", isRight: true), Table.Column(title: "POLICY"), Table.Column(title: "FOR", rank: 2),
        Table.Column(title: "SITES", rank: 0), Table.Column(title: "WHEN", rank: 1), Table.Column(title: "THEN"),
    ])
    table.rows = set.policies.enumerated().map { index, policy in
        [
            Table.Cell("\(index + 1)"), Table.Cell(policy.name.printable, policy.isEnabled ? nil : .dim),
            Table.Cell(policy.audience.words.printable), Table.Cell(policy.sites.description.printable),
            Table.Cell(policy.behaviours.isEmpty ? "always" : policy.behaviours.joined(separator: ", ").printable),
            Table.Cell(
                (policy.isEnabled ? "" : "(off) ") + policy.action.words.printable, policy.action.isDenial ? .red : .green),
        ]
    }
    table.rows.append([
        Table.Cell(""), Table.Cell("default"), Table.Cell("everyone else"), Table.Cell("all"), Table.Cell("always"),
        Table.Cell(set.defaultAction.words.printable, set.defaultAction.isDenial ? .red : .green),
    ])
    let (head, rows) = table.lines(width: width, style: style)
    return ([head] + rows).joined(separator: "\n") + "\n"
}

/// `gatehouse policy show`.
func text(of policy: SignInPolicy, in set: PolicySet) -> String {
    var rows: [(title: String, value: String?)] = [
        ("policy", policy.name), ("enabled", policy.isEnabled ? "yes" : "no"), ("for", policy.audience.words),
        ("sites", policy.sites.description),
    ]
    if policy.behaviours.isEmpty { rows.append(("when", "always")) }
    for name in policy.behaviours {
        let words = set.behaviours.first { $0.name == name }?.words ?? "which does not exist"
        rows.append(("when", "\(name): \(words)"))
    }
    rows.append(("then", policy.action.words))
    return fields(rows)
}

/// `gatehouse posture explain`.
func text(of report: PostureReport) -> String {
    var lines = [
        "\(report.address)" + (report.user.map { ", signed in: \($0)" } ?? "")
            + (report.device.map { ", device: \($0)" } ?? ", no device found")
    ]
    lines.append("  MAC address    \(report.macWords)")
    if let name = report.leaseHostName { lines.append("  host name      \(name), by the DHCP server's lease") }
    lines.append("  system         \(report.system?.label ?? "not known")")
    if report.sources.isEmpty {
        lines.append("No endpoint protection platform is connected: 'gatehouse epp add' connects one.")
    }
    for source in report.sources {
        lines.append("")
        let found = source.match.map { level in
            "\(source.hostName ?? source.endpoint ?? "a device") \(level.words) (\(level.confidence))"
        }
        lines.append("\(source.name) (\(source.vendor)): \(found ?? "no device found")")
        lines += source.steps.map { "  looked         \($0)" }
        if let problem = source.problem { lines.append("  problem        \(problem)") }
        lines.append("  inventory      \(source.completedAt.map { "as of \(Words.time($0))" } ?? "never complete yet")")
        if let endpoint = source.endpoint { lines.append("  ID             \(endpoint)") }
        for attribute in source.attributes { lines.append("  " + line(attribute)) }
    }
    for check in report.checks {
        lines.append("")
        lines += checkLines(check)
    }
    return lines.map(\.printable).joined(separator: "\n") + "\n"
}

private func line(_ attribute: PostureReport.Attribute) -> String {
    let label = attribute.attribute.label
    let title = label + String(repeating: " ", count: max(1, 41 - label.count))
    var text = words(attribute.outcome, age: attribute.age)
    if let raw = attribute.raw { text += ", in its words '\(raw)'" }
    if let note = attribute.note { text += " (\(note))" }
    return title + text
}

private func words(_ outcome: PostureOutcome, age: Int?) -> String {
    switch outcome {
    case .value(let value, _): "\(value)" + (age.map { ", \(Words.duration(.seconds($0))) ago" } ?? "")
    case .unknown(let missing): "unknown: \(missing.words)"
    case .notSupported: "not supported"
    }
}

private func checkLines(_ check: PostureCheck.Explanation) -> [String] {
    let verdict = switch check.verdict {
    case .passes: "passes"
    case .fails: "FAILS"
    case .unknown: "neither passes nor fails: every value is missing"
    case .notApplicable: "is for another operating system"
    }
    guard check.verdict != .notApplicable else { return ["Check \(check.check) \(verdict)"] }
    return ["Check \(check.check) \(verdict)"]
        + check.lines.map { line in
            let mark = switch line.isMet {
            case true: "yes    "
            case false: "NO     "
            case nil: "missing"
            }
            return "  \(mark)  \(line.requirement): \(words(line.outcome, age: nil))"
        }
}

/// `gatehouse policy test`.
func text(of answer: PolicyAnswer, for question: PolicyQuestion) -> String {
    var lines = [
        "\(User.key(question.user)) at \(question.address) "
            + (answer.isAllowed
                ? "would be let in to \(answer.sites.joined(separator: ", "))" : "would be refused")
            + (question.at.map { ", at \(Words.time($0))" } ?? "") + ".",
        "  why            \(answer.reason)",
    ]
    if answer.isAllowed, !answer.denied.isEmpty {
        lines.append("  not            \(answer.denied.joined(separator: ", "))")
    }
    if answer.notifies { lines.append("  notifies       yes") }
    if let until = answer.until { lines.append("  decided again  \(Words.time(until)), or when a fact changes") }
    for advice in answer.advice { lines.append("  is told        \(advice)") }
    lines.append("")
    for (index, step) in answer.trace.steps.enumerated() {
        let name = step.policy.map { "\(index + 1). \($0)" } ?? "default"
        lines.append("\(step.isMatch ? "->" : "  ") \(name): \(step.words)")
        for state in step.behaviours {
            lines.append("       \(state.holds ? "holds" : "does not hold"): \(state.name), if \(state.words)")
        }
    }
    for check in answer.trace.checks {
        lines.append("")
        lines += checkLines(check)
    }
    lines.append("")
    return lines.map(\.printable).joined(separator: "\n") + "\n" + text(of: answer.device)
}

/// `gatehouse policy simulate`.
func text(of simulation: PolicySimulation, days: Int) -> String {
    var lines = simulation.changes
    if simulation.changes.isEmpty { lines.append("The file says what is in force already.") }
    lines.append(
        "Of \(Words.count(simulation.signIns, "sign-in")) in the last \(Words.count(days, "day")), "
            + "\(simulation.users.values.reduce(0, +)) of \(Words.count(simulation.users.count, "user")) would end otherwise: "
            + "\(simulation.refused) refused, \(simulation.admitted) let in that are refused now.")
    if simulation.unreadable > 0 {
        lines.append("\(Words.count(simulation.unreadable, "sign-in")) could not be read and are left out.")
    }
    for (user, count) in simulation.users.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
        lines.append("  \(user): \(Words.count(count, "sign-in"))")
    }
    for one in simulation.cases {
        func sites(_ sites: [String]) -> String { sites.isEmpty ? "nothing" : sites.joined(separator: ", ") }
        lines.append(
            "\(Words.time(one.time))  \(one.user) at \(one.address)\(one.device.map { " on \($0)" } ?? ""): "
                + "\(sites(one.before)) -> \(sites(one.after))" + (one.refusal.map { ": \($0)" } ?? ""))
    }
    return lines.map(\.printable).joined(separator: "\n") + "\n"
}
