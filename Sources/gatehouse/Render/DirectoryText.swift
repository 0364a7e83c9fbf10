import Access
import Base
import Identity
import Portal

/// How directories are shown.
enum DirectoryText {
    static func list(_ all: [DirectoryStatus], now: WallTime, width: Int?, style: Style) -> String {
        guard !all.isEmpty else { return "There are no directories. 'gatehouse directory add' adds one." }
        let columns = [
            Table.Column(title: "NAME"), Table.Column(title: "KIND", rank: 1), Table.Column(title: "STATE"),
            Table.Column(title: "USERS", isRight: true), Table.Column(title: "LAST SYNCHRONISATION"),
            Table.Column(title: "GROUPS", rank: 0),
        ]
        let rows = all.map { status in
            let (word, colour) = state(status)
            return [
                Table.Cell(status.directory.id, .bold), Table.Cell(status.directory.kind.rawValue),
                Table.Cell(word, colour), Table.Cell("\(status.users)"),
                Table.Cell(status.lastSyncAt.map { Words.duration(from: $0, to: now) + " ago" } ?? "never"),
                Table.Cell(groups(status.directory, atMost: 20).printable),
            ]
        }
        let lines = Table(columns: columns, rows: rows).lines(width: width, style: style)
        return ([lines.head] + lines.rows).joined(separator: "\n")
    }

    private static func state(_ status: DirectoryStatus) -> (String, Style.Colour) {
        if !status.directory.isEnabled { return ("off", .dim) }
        if status.question != nil { return ("asks", .red) }
        if status.lastError != nil { return ("failing", .red) }
        if status.isBusy { return ("reading", .yellow) }
        return status.lastSyncAt == nil ? ("waiting", .yellow) : ("in step", .green)
    }

    static func details(_ status: DirectoryStatus, now: WallTime, style: Style) -> String {
        let directory = status.directory
        var lines: [String] = []
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  " + name + String(repeating: " ", count: max(1, 22 - name.count)) + value.printable)
        }
        func time(_ time: WallTime) -> String { "\(Words.time(time)), \(Words.duration(from: time, to: now)) ago" }
        let (word, colour) = state(status)
        lines.append("\(directory.title.printable) (\(directory.id)), \(style.paint(word, colour))")
        line("kind", directory.kind.rawValue)
        line(directory.kind == .okta ? "domain" : "host", directory.host)
        line("tenant", directory.tenant)
        line("customer", directory.customer)
        line("in the name of", directory.subject)
        line("client ID", directory.clientID)
        line("signs in as", directory.bindName)
        line("base DN", directory.baseDN)
        line("API access", directory.apiAccess)
        line("API", directory.apiURL)
        line("tokens from", directory.loginURL)
        line("groups", groups(directory, atMost: 20))
        line("team", directory.team)
        line("sites of new users", directory.sites?.joined(separator: ", ") ?? "as the setting for everyone says")
        if directory.kind != .agent { line("interval", Words.duration(.seconds(directory.intervalSeconds))) }
        line("asks beyond", "\(directory.removalLimitPercent) % of its users")
        line("secret until", status.secretEndsAt?.day ?? "not known")
        line("last synchronisation", status.lastSyncAt.map(time) ?? "never")
        if status.lastSyncAt != nil {
            line("last whole reading", status.lastFullAt.map(time))
            line(
                "that brought",
                "\(status.added) added, \(status.changed) changed, \(status.disabled) disabled, "
                    + "\(Words.count(status.requests, "request"))")
            line("holds", "\(Words.count(status.people, "person", "people")) in \(Words.count(status.groups, "group"))")
            line("users here", "\(status.users)")
        }
        line("next", status.nextAt.map { $0 <= now ? "now" : "in " + Words.duration(from: now, to: $0) })
        if let error = status.lastError {
            line("last attempt", status.lastAttemptAt.map(time))
            lines.append(style.paint("! " + error.printable, .red))
        }
        if let question = status.question { lines.append(style.paint("! " + question.printable, .red)) }
        for warning in status.warnings { lines.append(style.paint("! ", .yellow) + warning.printable) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The chosen groups in a line; there may be a thousand.
    private static func groups(_ directory: Directory, atMost most: Int) -> String {
        let names = directory.groups.prefix(most).map(\.name).joined(separator: ", ")
        let more = directory.groups.count - most
        return more > 0 ? names + " and \(more) more" : names
    }

    static func groups(_ groups: [Directory.ChosenGroup], of directory: Directory?, width: Int?, style: Style) -> String {
        guard !groups.isEmpty else { return "The directory shows no groups. May the account read them?" }
        let chosen = Set((directory?.groups ?? []).map(\.id))
        let columns = [
            Table.Column(title: "GROUP"), Table.Column(title: "ID"), Table.Column(title: "CHOSEN"),
            Table.Column(title: "NOTE", rank: 0),
        ]
        let rows = groups.map { group in
            [
                Table.Cell(group.name.printable, .bold), Table.Cell(group.id.printable),
                Table.Cell(chosen.contains(group.id) ? "yes" : "", .green),
                Table.Cell(directory?.tag(group.name) == nil ? "too long a name for a tag" : "", .yellow),
            ]
        }
        let lines = Table(columns: columns, rows: rows).lines(width: width, style: style)
        return ([lines.head] + lines.rows).joined(separator: "\n")
    }

    /// Lines of people that are shown; the rest is counted.
    private static let shown = 40

    static func preview(_ preview: DirectoryPreview, _ name: String) -> String {
        var lines = [
            "A synchronisation of '\(name)' would add \(preview.added), change \(preview.changed), enable "
                + "\(preview.enabled) and disable \(preview.disabled) of \(preview.users) users."
        ]
        for item in preview.items.prefix(shown) {
            let sign =
                switch item.kind {
                case .add: "+"
                case .change: "~"
                case .enable: "^"
                case .disable: "-"
                case .leave: "<"
                }
            lines.append("  \(sign) \(item.email.printable): \(item.detail.printable)")
        }
        let all = preview.added + preview.changed + preview.enabled + preview.disabled + preview.left
        if all > shown { lines.append("  and \(all - shown) more; --json has \(min(all, DirectoryPreview.itemLimit))") }
        for warning in preview.warnings { lines.append("! " + warning.printable) }
        if let question = preview.question { lines.append("! " + question.printable) }
        lines.append("Nothing was stored.")
        return lines.joined(separator: "\n")
    }

    static func outcome(_ status: DirectoryStatus) -> String {
        let counts = "\(status.added) added, \(status.changed) changed, \(status.disabled) disabled"
        return (["Synchronised: \(counts). \(Words.count(status.users, "user")) from '\(status.directory.id)'."]
            + status.warnings.map { "! " + $0.printable }).joined(separator: "\n")
    }
}
