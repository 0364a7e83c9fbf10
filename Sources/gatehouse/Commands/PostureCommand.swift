import Access
import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse posture`.
struct PostureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "posture", abstract: "What devices must be like, and what is known of them.",
        subcommands: [Check.self, Explain.self, Set.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Posture checks: what a device with one operating system must be like.",
            subcommands: [List.self, Show.self, Add.self, Edit.self, Remove.self])
    }

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows which device is at an address, what each source says of it, and what the checks make of that.")
        @Option(help: "The address on the local network.", transform: OptionValue.address)
        var address: IPAddress
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let report = try await shared.client.value(
                PostureReport.self, .control, ["v1", "posture", address.description])
            if shared.json { return Terminal.say(try JSON(encoding: report).text(isPretty: true)) }
            Terminal.say(text(of: report))
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes how devices are recognised; sessions follow at once.")
        @Option(
            help: ArgumentHelp(
                "How sure it must be which device it is: mac, address, host-name or user.", valueName: "level"),
            transform: OptionValue.word)
        var leastMatch: MatchLevel?
        @Option(
            help: ArgumentHelp("Where the DHCP server keeps its leases, or none.", valueName: "file|none"),
            completion: .file())
        var leaseFile: String?
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            if leastMatch == nil, leaseFile == nil { throw ValidationError("Name what to change.") }
            if leastMatch == .session { throw ValidationError("--least-match must be mac, address, host-name or user.") }
        }

        func run() async throws {
            var change = GateChange()
            change.leastMatch = leastMatch
            change.leaseFile = leaseFile.map { $0 == "none" ? "" : $0 }
            let status = try await shared.client.value(
                GateStatus.self, .control, ["v1", "gate"], method: .patch,
                body: Array(try JSON(encoding: change).text().utf8))
            if shared.json { return Terminal.say(try JSON(encoding: status).text(isPretty: true)) }
            Terminal.say("Devices count that are found \(status.leastMatch.words) or more surely.")
            Terminal.say("Leases: \(status.leaseFile ?? "none are read")")
        }
    }
}

extension PostureCommand.Check {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the posture checks.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let book = try await shared.policies()
            if shared.json { return Terminal.say(try JSON(encoding: book.set.checks).text(isPretty: true)) }
            Terminal.say(listing(book.set.checks, width: Terminal.size?.columns, style: Terminal.style))
            warn(book)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows one posture check.")
        @Argument(help: "The check's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let check = try await shared.policies().set.checks.named(name, \.name, "posture check")
            if shared.json { return Terminal.say(try JSON(encoding: check).text(isPretty: true)) }
            Terminal.say(text(of: check))
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a posture check.",
            discussion: """
                A requirement is SOURCE:ATTRIBUTE=VALUE (is equal to) or SOURCE:ATTRIBUTE=VALUE|VALUE (is any of). SOURCE \
                is a connection of 'gatehouse epp list'. ATTRIBUTE is one of \
                \(PostureAttribute.allCases.map(\.rawValue).joined(separator: ", ")). VALUE is yes or no; for os a family, \
                words that the name begins with, or '>=' and a version; for risk a number, a level, or '<=' and one.

                  gatehouse posture check add windows --os windows --require s1:infected=no --require s1:avAgentOutdated=no
                """)
        @Argument(help: "A name for it.")
        var name: String
        @Option(name: .customLong("os"), help: "The operating system.", transform: OptionValue.system)
        var system: OperatingSystem.Family
        @Option(help: "What it must be like; may be repeated.", transform: OptionValue.requirement)
        var require: [PostureCheck.Requirement]
        @Option(help: "Whether a device fails of which any value is missing: yes (default) or no.", transform: OptionValue.yesOrNo)
        var failIfMissing = true
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let check = PostureCheck(name: name, system: system, requirements: require, failsIfMissing: failIfMissing)
            try await shared.edit(.saveCheck(check: check, isReplacing: false))
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes a posture check; sessions follow at once. What is not named stays.")
        @Argument(help: "The check's name.")
        var name: String
        @Option(name: .customLong("os"), help: "The operating system.", transform: OptionValue.system)
        var system: OperatingSystem.Family?
        @Option(help: "What it must be like, in the place of what stands there; may be repeated.", transform: OptionValue.requirement)
        var require: [PostureCheck.Requirement] = []
        @Option(help: "Whether a device fails of which any value is missing: yes or no.", transform: OptionValue.yesOrNo)
        var failIfMissing: Bool?
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let book = try await shared.policies()
            var check = try book.set.checks.named(name, \.name, "posture check")
            if let system { check.system = system }
            if !require.isEmpty { check.requirements = require }
            if let failIfMissing { check.failsIfMissing = failIfMissing }
            try await shared.edit(.saveCheck(check: check, isReplacing: true), against: book.version)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes a posture check that no behaviour uses.")
        @Argument(help: "The check's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await shared.edit(.removeCheck(name: name)) }
    }
}
