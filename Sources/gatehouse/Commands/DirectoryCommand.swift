import ArgumentParser
import Base
import Identity
import JSONText
import NIOCore
import Portal

/// `gatehouse directory`.
struct DirectoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "directory", abstract: "The company directories that users are kept in step with.",
        discussion: """
            People of the chosen groups come by themselves, and are disabled when they leave: their sessions end at once. \
            'preview' shows who would come and go before anything is stored.
            """,
        subcommands: [
            List.self, DirectoryAddCommand.self, DirectoryEditCommand.self, Groups.self, Preview.self, Sync.self, Status.self,
            Remove.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the directories.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let all = try await shared.client.directories()
            if shared.json { return Terminal.say(try JSON(encoding: all).text(isPretty: true)) }
            Terminal.say(
                DirectoryText.list(all, now: Terminal.now, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows how a directory stands: the last synchronisation, counts, errors and the ends of secrets.")
        @Argument(help: "The directory's name; all where there is none.")
        var name: String?
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let all = try await shared.client.directories()
            let some = try name.map { name in
                guard let one = all.first(where: { $0.directory.id == name }) else { throw unknownDirectory(name, all) }
                return [one]
            } ?? all
            if shared.json {
                let json = name == nil ? try JSON(encoding: some) : try JSON(encoding: some[0])
                return Terminal.say(json.text(isPretty: true))
            }
            guard !some.isEmpty else { return Terminal.say("There are no directories. 'gatehouse directory add' adds one.") }
            Terminal.say(
                some.map { DirectoryText.details($0, now: Terminal.now, style: Terminal.style) }.joined(separator: "\n"))
        }
    }

    struct Groups: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the groups that a directory has at this moment, to choose from.")
        @Argument(help: "The directory's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            var client = shared.client
            client.patience = .minutes(5)
            let groups = try await client.value(
                [Directory.ChosenGroup].self, .control, ["v1", "directories", name, "groups"])
            if shared.json { return Terminal.say(try JSON(encoding: groups).text(isPretty: true)) }
            let chosen = try await shared.client.directories().first { $0.directory.id == name }?.directory
            Terminal.say(DirectoryText.groups(groups, of: chosen, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct Preview: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads a directory and shows who would come and go. Stores nothing.")
        @Argument(help: "The directory's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            _ = try await shared.client.carryOut("preview", name)
            let preview = try await shared.client.value(
                DirectoryPreview.self, .control, ["v1", "directories", name, "preview"])
            if shared.json { return Terminal.say(try JSON(encoding: preview).text(isPretty: true)) }
            Terminal.say(DirectoryText.preview(preview, name))
        }
    }

    struct Sync: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Synchronises a directory now, beside its interval.",
            discussion: "Exit code 1 when it could not be read, or when it asks: then nobody was changed.")
        @Argument(help: "The directory's name.")
        var name: String
        @Flag(help: "Read everything, whatever was read before.")
        var full = false
        @Flag(help: "Agree to disable more users than go unasked; with an agent, at its next delivery.")
        var confirm = false
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let query = (full ? [("full", "1")] : []) + (confirm ? [("confirm", "1")] : [])
            let status = try await shared.client.carryOut("sync", name, query)
            if shared.json {
                Terminal.say(try JSON(encoding: status).text(isPretty: true))
            } else if status.directory.kind == .agent {
                Terminal.say("Agreed: the agent's next delivery does it, if nobody else would leave.")
            } else if status.question == nil {
                Terminal.say(DirectoryText.outcome(status))
            }
            if let question = status.question {
                if !shared.json { Terminal.complain("gatehouse: nobody was changed: " + question.printable) }
                throw ExitCode.failure
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a directory. Users whom no other directory has are disabled, and their sessions end.")
        @Argument(help: "The directory's name.")
        var name: String
        @Flag(help: "Leave its users as they are.")
        var keepUsers = false
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let all = try await shared.client.directories()
            guard let users = all.first(where: { $0.directory.id == name })?.users else { throw unknownDirectory(name, all) }
            let what = keepUsers ? "stay as they are" : "are disabled, unless another directory has them"
            try confirmation.ask(
                "Remove '\(name)'? Its users (\(users)) \(what).", reason: "removing '\(name)' cannot be undone")
            var client = shared.client
            client.patience = .minutes(5)
            let body = try await client.ask(
                .control, ["v1", "directories", name], method: .delete, query: keepUsers ? [("keep-users", "1")] : [])
            Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Removed '\(name)'.")
        }
    }
}

func unknownDirectory(_ name: String, _ all: [DirectoryStatus]) -> CommandFailure {
    let known = all.map(\.directory.id).joined(separator: ", ")
    return CommandFailure("there is no directory '\(name)'" + (known.isEmpty ? "" : "; there are \(known)"))
}

extension GatewayClient {
    func directories() async throws -> [DirectoryStatus] {
        try await value([DirectoryStatus].self, .control, ["v1", "directories"])
    }

    func save(_ directory: Directory, replacing: Bool) async throws -> DirectoryStatus {
        var patient = self
        // Groups are looked up by their names at the other side.
        patient.patience = .minutes(5)
        let body = try JSON(encoding: directory, revealsSecrets: true).text()
        return try await patient.value(
            DirectoryStatus.self, .control, ["v1", "directories"], method: .post,
            query: replacing ? [("replace", "1")] : [], body: Array(body.utf8))
    }

    /// Has something done with a directory and waits until it is over.
    ///
    /// - Throws: ``CommandFailure`` with the reason when it could not be done.
    func carryOut(_ verb: String, _ name: String, _ query: [(String, String)] = []) async throws -> DirectoryStatus {
        let begun = try await value(
            DirectoryStatus.self, .control, ["v1", "directories", name, verb], method: .post, query: query)
        while true {
            let status = try await value(DirectoryStatus.self, .control, ["v1", "directories", name])
            if status.done >= begun.asked {
                if let refusal = status.lastRefusal { throw CommandFailure(refusal) }
                return status
            }
            // It may take an hour, which no request should: so it is asked after.
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
