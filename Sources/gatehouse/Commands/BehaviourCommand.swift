import Access
import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse behaviour`.
struct BehaviourCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "behaviour", abstract: "What a sign-in can be like, for policies to name.",
        subcommands: [List.self, Show.self, Add.self, Edit.self, Remove.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the behaviours.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let book = try await shared.policies()
            if shared.json { return Terminal.say(try JSON(encoding: book.set.behaviours).text(isPretty: true)) }
            Terminal.say(listing(book.set.behaviours, width: Terminal.size?.columns, style: Terminal.style))
            warn(book)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows one behaviour.")
        @Argument(help: "The behaviour's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let set = try await shared.policies().set
            let behaviour = try set.behaviours.named(name, \.name, "behaviour")
            if shared.json { return Terminal.say(try JSON(encoding: behaviour).text(isPretty: true)) }
            let users = set.policies.filter { $0.behaviours.contains(name) }.map(\.name)
            Terminal.say(
                "\(behaviour.name.printable)\n  type      \(behaviour.trigger.type)\n  holds if  \(behaviour.words.printable)"
                    + "\n  used by   \(users.isEmpty ? "no policy" : users.joined(separator: ", ").printable)")
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a behaviour.",
            discussion: """
                  gatehouse behaviour add healthy --posture windows --posture macos --trigger passes
                  gatehouse behaviour add office --network 10.1.0.0/16
                  gatehouse behaviour add hours --time 'mon-fri 08:00-18:00' --zone Europe/Berlin
                  gatehouse behaviour add strange-device --new-device
                  gatehouse behaviour add watched --risk-user eve@example.org --risk-group Leavers
                """)
        @Argument(help: "A name for it.")
        var name: String
        @OptionGroup var trigger: TriggerOptions
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            try await shared.edit(
                .saveBehaviour(behaviour: Behaviour(name: name, trigger: trigger.value()), isReplacing: false))
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts another trigger in the place of a behaviour's; sessions follow at once.")
        @Argument(help: "The behaviour's name.")
        var name: String
        @OptionGroup var trigger: TriggerOptions
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            try await shared.edit(
                .saveBehaviour(behaviour: Behaviour(name: name, trigger: trigger.value()), isReplacing: true))
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes a behaviour that no policy uses.")
        @Argument(help: "The behaviour's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await shared.edit(.removeBehaviour(name: name)) }
    }
}

/// One trigger: just one type of it.
struct TriggerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A posture check, one for each operating system; may be repeated.", valueName: "check"))
    var posture: [String] = []
    @Option(help: "For --posture: passes or fails.", transform: OptionValue.word)
    var trigger: Behaviour.PostureTrigger?
    @Option(
        help: ArgumentHelp("Networks that the address is in, with commas; may be repeated.", valueName: "CIDR"),
        transform: OptionValue.networks)
    var network: [[IPPrefix]] = []
    @Option(
        help: ArgumentHelp("Days and hours, such as 'mon-fri 08:00-18:00' or '22:00-06:00'.", valueName: "window"))
    var time: String?
    @Option(help: ArgumentHelp("For --time: a name such as Europe/Berlin (default: UTC).", valueName: "name"))
    var zone: String?
    @Flag(help: "The user has not signed in from the device before.")
    var newDevice = false
    @Option(help: ArgumentHelp("A user of a risk list; may be repeated.", valueName: "e-mail"))
    var riskUser: [String] = []
    @Option(
        help: ArgumentHelp(
            "A team, or a group that the identity provider sends, of a risk list; groups chosen in a directory are tags, "
                + "which it does not know; may be repeated.", valueName: "group"))
    var riskGroup: [String] = []
    @Flag(name: .customLong("not"), help: "Holds just when a network, time or new device does not.")
    var isNot = false

    func validate() throws {
        let types = [
            !posture.isEmpty, !network.isEmpty, time != nil, newDevice, !(riskUser.isEmpty && riskGroup.isEmpty),
        ]
        guard types.count(where: \.self) == 1 else {
            throw ValidationError("Name just one of --posture, --network, --time, --new-device and --risk-user/--risk-group.")
        }
        if (trigger != nil) != !posture.isEmpty { throw ValidationError("--posture and --trigger go together.") }
        if zone != nil, time == nil { throw ValidationError("--zone is for --time.") }
        if isNot, !posture.isEmpty || !riskUser.isEmpty || !riskGroup.isEmpty {
            throw ValidationError("--not is for --network, --time and --new-device.")
        }
        if time != nil { _ = try value() }
    }

    func value() throws -> Behaviour.Trigger {
        if let trigger, !posture.isEmpty { return .posture(checks: posture, trigger: trigger) }
        if !network.isEmpty { return .network(networks: network.flatMap(\.self), isInside: !isNot) }
        if let time { return .time(window: try OptionValue.window(time, zone: zone ?? "UTC"), isInside: !isNot) }
        if newDevice { return .newDevice(isNew: !isNot) }
        return .risk(users: riskUser.map(User.key), groups: riskGroup)
    }
}
