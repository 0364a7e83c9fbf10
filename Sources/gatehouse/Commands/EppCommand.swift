import ArgumentParser
import JSONText
import NIOCore
import Portal
import Vendors

/// `gatehouse epp`: endpoint protection platforms.
struct EppCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "epp", abstract: "Endpoint protection platforms, and what they say of devices.",
        subcommands: [
            List.self, Show.self, Add.self, Edit.self, Remove.self, Test.self, Sync.self, Endpoints.self,
            EndpointDetail.self, ProfileText.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the connections and how they are.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let all = try await shared.client.endpointSources()
            if shared.json { return Terminal.say(try JSON(encoding: all).text(isPretty: true)) }
            Terminal.say(EppText.list(all, now: Terminal.now, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one connection: its calls, the last error, the end of its key.")
        @Argument(help: "The connection's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try show(try await shared.client.endpointSource(name), shared) }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a connection to an endpoint protection platform.",
            discussion: """
                The key is asked for, unless an option says where it comes from. 'custom' is any other platform with an \
                ordinary REST API: --profile names a file that says how it is asked and what its fields mean.
                """)
        @Argument(help: "The platform: \(EndpointProfile.names.joined(separator: ", ")), or custom.")
        var platform: String
        @Argument(help: "A short name for the connection; the platform's, where none is said.")
        var name: String?
        @OptionGroup var options: EndpointSourceOptions
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            let isCustom = platform == EndpointConnection.custom
            guard isCustom || EndpointProfile.named(platform) != nil else {
                throw ValidationError(
                    "'\(platform)' is none of \(EndpointProfile.names.joined(separator: ", ")), custom.")
            }
            guard isCustom == (options.profile != nil) else {
                throw ValidationError("--profile goes with 'custom', and 'custom' with --profile.")
            }
        }

        func run() async throws {
            var connection = EndpointConnection(id: name ?? platform, kind: platform)
            try options.apply(to: &connection, asks: options.keyFile == nil && options.keyEnv == nil)
            let status = try await shared.client.save(connection, replacing: false)
            if !shared.json {
                Terminal.say("Added. 'gatehouse epp test \(status.connection.id)' asks what it may say.\n")
            }
            try show(status, shared)
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Changes a connection: what is not said stays.")
        @Argument(help: "The connection's name.")
        var name: String
        @OptionGroup var options: EndpointSourceOptions
        @Flag(name: .customLong("enable"), help: "Ask the platform again.")
        var isEnabling = false
        @Flag(name: .customLong("disable"), help: "Ask it no more: what it said is missing then.")
        var isDisabling = false
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            if isEnabling, isDisabling { throw ValidationError("--enable and --disable exclude each other.") }
        }

        func run() async throws {
            let known = try await shared.client.endpointSource(name)
            let before = known.connection
            var connection = before
            try options.apply(to: &connection, asks: false)
            if isEnabling { connection.isEnabled = true }
            if isDisabling { connection.isEnabled = false }
            guard connection != before else { return try shared.sayUnchanged(known) }
            let status = try await shared.client.save(connection, replacing: true)
            if !shared.json { Terminal.say("Changed.\n") }
            try show(status, shared)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a connection and what was had from it. Checks that need it find its attributes missing.")
        @Argument(help: "The connection's name.")
        var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            _ = try await shared.client.endpointSource(name)
            try confirmation.ask(
                "Remove '\(name)' and all that is known from it?", reason: "removing '\(name)' cannot be undone")
            let body = try await shared.client.ask(.control, ["v1", "endpoint-sources", name], method: .delete)
            Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Removed '\(name)'.")
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks the platform, call by call, what it says and permits.",
            discussion: "Changes nothing. Exits with 1 when a call fails.")
        @Argument(help: "The connection's name.")
        var name: String
        @Flag(help: "Show one record of each call as the platform sends it.")
        var record = false
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            var client = shared.client
            client.patience = .seconds(180)
            let result = try await client.value(
                EndpointSourceTest.self, .control, ["v1", "endpoint-sources", name, "test"], method: .post,
                query: record ? [("records", "1")] : [])
            if shared.json {
                Terminal.say(try JSON(encoding: result).text(isPretty: true))
            } else {
                Terminal.say(report(result.findings, width: Terminal.size?.columns, style: Terminal.style))
                for (call, text) in result.records.sorted(by: { $0.key < $1.key }) {
                    Terminal.say("\n\(call):\n\(text)")
                }
            }
            if !result.isGood { throw ExitCode.failure }
        }
    }

    struct Sync: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks the platform for everything anew, and waits for it.")
        @Argument(help: "The connection's name.")
        var name: String
        @Flag(help: "Believe a listing that has lost many endpoints.")
        var acceptLoss = false
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            var client = shared.client
            client.patience = .minutes(15)
            let status = try await client.value(
                EndpointSourceStatus.self, .control, ["v1", "endpoint-sources", name, "sync"], method: .post,
                query: acceptLoss ? [("accept-loss", "1")] : [])
            try show(status, shared)
            if status.state != .ok { throw ExitCode.failure }
        }
    }

    struct Endpoints: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists endpoints as they were last had.")
        @Argument(help: "Only those with this in their name, ID or user, or with this MAC or address.")
        var search: String?
        @Option(help: ArgumentHelp("Only those of one connection.", valueName: "name"))
        var source: String?
        @Option(help: "How many at most.")
        var limit = 1000
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let listing = try await shared.client.endpoints(search, source: source, limit: limit)
            if shared.json { return Terminal.say(try JSON(encoding: listing).text(isPretty: true)) }
            Terminal.say(
                EppText.list(listing, now: Terminal.now, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct EndpointDetail: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "endpoint", abstract: "Shows an endpoint: each attribute, since when, and the platform's own word.")
        @Argument(help: "Its name, ID, MAC or address.")
        var search: String
        @Option(help: ArgumentHelp("Of one connection alone.", valueName: "name"))
        var source: String?
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let found = try await shared.client.endpoints(search, source: source, limit: 1000).endpoints
            let word = search.lowercased()
            let exact = found.filter { $0.hostName?.lowercased() == word || $0.id.lowercased() == word }
            let chosen = exact.isEmpty ? found : exact
            guard !chosen.isEmpty else { throw CommandFailure("there is no endpoint with '\(search)' in its names") }
            if shared.json { return Terminal.say(try JSON(encoding: chosen).text(isPretty: true)) }
            Terminal.say(
                chosen.prefix(20).map { EppText.details($0, now: Terminal.now, style: Terminal.style) }
                    .joined(separator: "\n"))
            if chosen.count > 20 { Terminal.say("… and \(chosen.count - 20) more.") }
        }
    }

    struct ProfileText: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "profile", abstract: "Writes the profile of a platform, to make one for another.")
        @Argument(help: "\(EndpointProfile.names.joined(separator: ", ")).")
        var platform: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            guard let text = EndpointProfile.text(of: platform) else {
                throw CommandFailure(
                    "'\(platform)' is none of \(EndpointProfile.names.joined(separator: ", "))", isUsage: true)
            }
            Terminal.say(shared.json ? JSON.string(text).text() : text)
        }
    }
}

private func show(_ status: EndpointSourceStatus, _ shared: SharedOptions) throws {
    if shared.json { return Terminal.say(try JSON(encoding: status).text(isPretty: true)) }
    Terminal.say(EppText.details(status, now: Terminal.now, style: Terminal.style))
}

extension GatewayClient {
    func endpointSources() async throws -> [EndpointSourceStatus] {
        try await value([EndpointSourceStatus].self, .control, ["v1", "endpoint-sources"])
    }

    func endpointSource(_ name: String) async throws -> EndpointSourceStatus {
        guard let status = try await endpointSources().first(where: { $0.connection.id == name }) else {
            throw CommandFailure(
                "there is no connection '\(name)' to an endpoint protection platform; 'gatehouse epp list' lists them")
        }
        return status
    }

    func save(_ connection: EndpointConnection, replacing: Bool) async throws -> EndpointSourceStatus {
        let body = try JSON(encoding: connection, revealsSecrets: true).text()
        return try await value(
            EndpointSourceStatus.self, .control, ["v1", "endpoint-sources"], method: .post,
            query: replacing ? [("replace", "1")] : [], body: Array(body.utf8))
    }

    func endpoints(_ search: String?, source: String?, limit: Int) async throws -> EndpointListing {
        try await value(
            EndpointListing.self, .control, ["v1", "endpoints"],
            query: [("limit", String(limit))] + (search.map { [("search", $0)] } ?? [])
                + (source.map { [("source", $0)] } ?? []))
    }
}
