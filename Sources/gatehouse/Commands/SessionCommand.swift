import Access
import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse session`.
struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Who is signed in, since when and why.",
        subcommands: [List.self, Show.self, Admit.self, Revoke.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the sessions.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let sessions = try await shared.client.value([SessionStatus].self, .status, ["v1", "sessions"])
            if shared.json { return Terminal.say(try JSON(encoding: sessions).text(isPretty: true)) }
            Terminal.say(listing(sessions, now: Terminal.now, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows one session with all that is known of it.")
        @Argument(help: "The session's number.")
        var id: Int64
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let session = try await shared.client.value(
                SessionStatus.self, .status, ["v1", "sessions", String(id)])
            if shared.json { return Terminal.say(try JSON(encoding: session).text(isPretty: true)) }
            Terminal.say(text(of: session, now: Terminal.now))
        }
    }

    struct Admit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Admits an address by hand; the audit trail notes who did it.")
        @Argument(help: "The address on the local network.", transform: OptionValue.address)
        var address: IPAddress
        @Option(help: ArgumentHelp("Whose it is.", valueName: "e-mail"))
        var user: String?
        @Option(
            name: .customLong("for"),
            help: ArgumentHelp("How long: 8h, 30m, 7d or seconds, up to 31 days.", valueName: "time"),
            transform: OptionValue.sessionTime)
        var duration: Int?
        @Option(help: ArgumentHelp("A connector that it may reach; may be repeated (default: all).", valueName: "ID"))
        var site: [String] = []
        @Option(help: "Why, for the audit trail.")
        var reason: String?
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let admission = ManualAdmission(
                address: address, user: user, sites: site.isEmpty ? .all : .only(Swift.Set(site)),
                seconds: duration, note: reason)
            let session = try await shared.client.value(
                SessionStatus.self, .control, ["v1", "sessions"], method: .post,
                body: Array(try JSON(encoding: admission).text().utf8))
            if shared.json { return Terminal.say(try JSON(encoding: session).text(isPretty: true)) }
            Terminal.say(
                "Session \(session.id): \(session.address) reaches \(session.sites.joined(separator: ", ")) until "
                    + "\(Words.time(session.expiresAt)).")
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends sessions at once, with the connections under way.")
        @Argument(help: "The session's number.")
        var id: Int64?
        @Option(help: ArgumentHelp("All sessions of a user.", valueName: "e-mail"))
        var user: String?
        @Option(help: ArgumentHelp("The session of an address.", valueName: "IP"), transform: OptionValue.address)
        var address: IPAddress?
        @Flag(help: "Every session.")
        var all = false
        @Option(help: "Why, for the audit trail.")
        var reason: String?
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            guard [id != nil, user != nil, address != nil, all].count(where: \.self) == 1 else {
                throw ValidationError("Name one: a session's number, --user, --address or --all.")
            }
        }

        func run() async throws {
            let order = RevocationOrder(
                id: id, user: user, address: address, all: all ? true : nil, reason: reason)
            let ended = try await shared.client.value(
                [SessionStatus].self, .control, ["v1", "sessions", "revoke"], method: .post,
                body: Array(try JSON(encoding: order).text().utf8))
            if shared.json { return Terminal.say(try JSON(encoding: ended).text(isPretty: true)) }
            guard !ended.isEmpty else { return Terminal.say("Nobody was in.") }
            for session in ended {
                Terminal.say("Ended session \(session.id) of \(session.user ?? "\(session.address)") at \(session.address).")
            }
        }
    }
}
