import Access
import ArgumentParser
import Base
import JSONText
import Portal
import Yams

extension PolicyCommand {
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says what would become of a sign-in, and why; changes nothing.")
        @Option(help: ArgumentHelp("Who.", valueName: "e-mail"))
        var user: String
        @Option(help: "The address on the local network.", transform: OptionValue.address)
        var address: IPAddress
        @Option(
            help: ArgumentHelp("Another time of the day and week; the device is as it is now.", valueName: "time"),
            transform: OptionValue.moment)
        var at: WallTime?
        @Option(help: ArgumentHelp("The identity provider.", valueName: "ID"))
        var idp: String?
        @Option(help: ArgumentHelp("A group, in the place of the user's; may be repeated.", valueName: "group"))
        var group: [String] = []
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let question = PolicyQuestion(
                user: user, address: address, provider: idp, groups: group.isEmpty ? nil : group, at: at)
            let answer = try await shared.client.value(
                PolicyAnswer.self, .control, ["v1", "policies", "test"], method: .post,
                body: Array(try JSON(encoding: question).text().utf8))
            if shared.json { return Terminal.say(try JSON(encoding: answer).text(isPretty: true)) }
            Terminal.say(text(of: answer, for: question))
        }
    }

    struct Simulate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says what edited policies would have made of the last days' sign-ins, before they are put in force.",
            discussion: "The file is one of 'gatehouse policy export', edited.")
        @Argument(help: "The file; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @Option(help: "How many days back, from 1 to 90.")
        var days = 7
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let order = SimulationOrder(set: try PolicyFile.read(file), days: days)
            let result = try await shared.client.value(
                PolicySimulation.self, .control, ["v1", "policies", "simulate"], method: .post,
                body: Array(try JSON(encoding: order).text().utf8))
            if shared.json { return Terminal.say(try JSON(encoding: result).text(isPretty: true)) }
            Terminal.say(text(of: result, days: days))
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes posture checks, behaviours and policies as YAML, for 'gatehouse policy simulate' and 'apply'.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let set = try await shared.policies().set
            let json = try JSON(encoding: set).text(isPretty: true)
            Terminal.say(shared.json ? json : try PolicyFile.text(set))
        }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts a file of policies in force: shows what it changes, asks, then all or nothing.")
        @Argument(help: "The file; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @Flag(help: "Show what would change and change nothing.")
        var dryRun = false
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let edit = PolicyEdit.replaceAll(set: try PolicyFile.read(file))
            let preview = try await shared.send(PolicyOrder(edits: [edit]), isDryRun: true)
            if dryRun || preview.changes.isEmpty || !shared.json {
                if shared.json { return Terminal.say(try JSON(encoding: preview).text(isPretty: true)) }
                Terminal.say(
                    preview.changes.isEmpty
                        ? "Nothing differs." : preview.changes.map(\.printable).joined(separator: "\n"))
                warn(preview)
                if dryRun || preview.changes.isEmpty { return }
            }
            try confirmation.ask("Apply?", reason: "the file changes the policies", canAsk: !shared.json && file != "-")
            let book = try await shared.send(PolicyOrder(edits: [edit], against: preview.version))
            Terminal.say(shared.json ? try JSON(encoding: book).text(isPretty: true) : "Applied.")
        }
    }
}

/// Posture checks, behaviours and policies in a file: YAML, of which JSON is a part.
enum PolicyFile {
    static func text(_ set: PolicySet) throws -> String { try YAMLEncoder().encode(set) }

    static func read(_ path: String) throws -> PolicySet {
        let bytes = try InputFile.read(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path) is not UTF-8 text", isUsage: true)
        }
        do {
            return try YAMLDecoder().decode(PolicySet.self, from: text)
        } catch let error as DecodingError {
            throw CommandFailure("\(path): \(words(error))", isUsage: true)
        } catch {
            throw CommandFailure("\(path): \(error)", isUsage: true)
        }
    }

    private static func words(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\(place(context.codingPath)): \(context.debugDescription)"
        @unknown default: "\(error)"
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        path.isEmpty ? "the file" : path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
}
