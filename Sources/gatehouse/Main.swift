import ArgumentParser
import Base
import Glibc
import JSONText

/// The command line of Gatehouse: thin, it speaks to the daemon's sockets.
@main struct Gatehouse: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatehouse",
        abstract: "Brings IPsec tunnels online and shows how they are.",
        discussion: """
            Every verb takes --json and --socket-directory. Exit codes: 0 done, 1 failed, 2 wrong usage. Completions \
            for the shell: gatehouse --generate-completion-script bash|zsh|fish.
            """,
        version: gatehouseVersion,
        subcommands: [
            ImportCommand.self, StatusCommand.self, ExplainCommand.self, EventsCommand.self, ConnectorCommand.self,
            GateCommand.self, SessionCommand.self, UserCommand.self, IdPCommand.self, DirectoryCommand.self,
            APIAccessCommand.self, EppCommand.self, PostureCommand.self, BehaviourCommand.self, PolicyCommand.self,
            ExportCommand.self,
            ApplyCommand.self, DoctorCommand.self, AuditCommand.self, ReloadCommand.self,
        ])

    @OptionGroup var shared: SharedOptions

    static func main() async {
        // The write that fails tells us, with its reason (Terminal).
        signal(SIGPIPE, SIG_IGN)
        let arguments = SharedOptions.moved(Array(CommandLine.arguments.dropFirst()))
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Terminal.complain("gatehouse: " + failure.message)
            Glibc.exit(failure.isUsage ? 2 : 1)
        } catch {
            let code = exitCode(for: error)
            let message = fullMessage(for: error)
            if code == .success {
                if !message.isEmpty { Terminal.say(message) }
                Glibc.exit(0)
            }
            if !message.isEmpty { Terminal.complain(message) }
            Glibc.exit(code == .validationFailure ? 2 : code.rawValue)
        }
    }
}

/// Why a command did not do what it should: one sentence, and what to do.
struct CommandFailure: Error, Hashable {
    var message: String
    /// True when the words of the command are wrong, which has an exit code of its own.
    var isUsage = false
    /// True when nothing answers at the daemon's socket.
    var isDaemonAbsent = false

    init(_ message: String, isUsage: Bool = false, isDaemonAbsent: Bool = false) {
        self.message = message
        self.isUsage = isUsage
        self.isDaemonAbsent = isDaemonAbsent
    }
}

/// Options of every verb; they may stand before the verb too.
struct SharedOptions: ParsableArguments {
    @Flag(help: "Answer in JSON, for programs.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Where the daemon's sockets are (default: GATEHOUSE_RUNTIME_DIRECTORY, else /run/gatehouse).",
            valueName: "dir"),
        completion: .directory)
    var socketDirectory: String?

    var client: GatewayClient {
        let environment = getenv("GATEHOUSE_RUNTIME_DIRECTORY").map { String(cString: $0) }
        return GatewayClient(directory: socketDirectory ?? environment ?? "/run/gatehouse")
    }

    /// What an edit says that changes nothing: in JSON, the thing as it is.
    func sayUnchanged(_ thing: some Encodable) throws {
        Terminal.say(json ? try JSON(encoding: thing).text(isPretty: true) : "Nothing has changed.")
    }

    /// The arguments with the shared options that stand before the verb put behind it, where the verb reads them.
    static func moved(_ arguments: [String]) -> [String] {
        var rest = arguments[...]
        var moved: [String] = []
        while let word = rest.first {
            if word == "--json" || word.hasPrefix("--socket-directory=") {
                moved.append(rest.removeFirst())
            } else if word == "--socket-directory", rest.count > 1 {
                moved += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else {
                break
            }
        }
        // What follows "--" are values, whatever they look like.
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return rest[..<end] + moved + rest[end...]
    }
}
