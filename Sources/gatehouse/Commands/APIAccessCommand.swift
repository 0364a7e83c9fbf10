import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse api-access`.
struct APIAccessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "api-access", abstract: "What programs on the customer's side sign in to this gateway with.",
        discussion: "A directory agent signs in with one, and brings what 'gatehouse directory add agent' has named it for.",
        subcommands: [List.self, Add.self, Log.self, Remove.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the API accesses.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let all = try await shared.client.value([APIAccessStatus].self, .control, ["v1", "api-accesses"])
            if shared.json { return Terminal.say(try JSON(encoding: all).text(isPretty: true)) }
            guard !all.isEmpty else { return Terminal.say("There are none. 'gatehouse api-access add' makes one.") }
            let columns = [
                Table.Column(title: "NAME"), Table.Column(title: "TITLE", rank: 1), Table.Column(title: "TYPE"),
                Table.Column(title: "CLIENT ID"), Table.Column(title: "LAST USED"),
            ]
            let rows = all.map { access in
                [
                    Table.Cell(access.id, .bold), Table.Cell(access.title.printable), Table.Cell(access.type),
                    Table.Cell(access.clientID), Table.Cell(access.lastUsedAt.map(Words.time) ?? "never"),
                ]
            }
            let lines = Table(columns: columns, rows: rows).lines(width: Terminal.size?.columns, style: Terminal.style)
            Terminal.say(([lines.head] + lines.rows).joined(separator: "\n"))
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes an API access and shows its secret, this once: it is stored as a hash.")
        @Argument(help: "A short name for it: letters, digits, '-', '_' and '.'.")
        var name: String
        @Option(help: ArgumentHelp("What it is for.", valueName: "text"))
        var title: String?
        @Option(help: ArgumentHelp("active-directory or custom.", valueName: "type"))
        var type = "active-directory"
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let order = APIAccessOrder(id: name, title: title ?? name, type: type)
            let grant = try await shared.client.value(
                APIAccessGrant.self, .control, ["v1", "api-accesses"], method: .post,
                body: Array(try JSON(encoding: order).text().utf8))
            if shared.json { return Terminal.say(try JSON(encoding: grant).text(isPretty: true)) }
            Terminal.say(
                """
                Made. The secret is shown this once:

                  gateway        \(grant.gateway ?? "none yet: the boot file needs portal.address")
                  client ID      \(grant.access.clientID)
                  client secret  \(grant.clientSecret)
                """)
        }
    }

    struct Log: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows what an API access was used for, newest last.")
        @Argument(help: "Its name.")
        var name: String
        @Option(help: ArgumentHelp("How many lines.", valueName: "number"))
        var limit = 100
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let lines = try await shared.client.value(
                [APIAccessLine].self, .control, ["v1", "api-accesses", name, "log"], query: [("limit", String(limit))])
            if shared.json { return Terminal.say(try JSON(encoding: lines).text(isPretty: true)) }
            guard !lines.isEmpty else { return Terminal.say("It was never used.") }
            for line in lines.reversed() {
                let type = line.type + String(repeating: " ", count: max(1, 16 - line.type.count))
                Terminal.say("\(Words.time(line.time))  \(type)\(line.details.printable)")
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes an API access: its agent is signed out.")
        @Argument(help: "Its name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let body = try await shared.client.ask(.control, ["v1", "api-accesses", name], method: .delete)
            Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Removed '\(name)'.")
        }
    }
}
