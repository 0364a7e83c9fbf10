import Access
import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse gate`.
struct GateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gate",
        abstract: "The gate before the tunnels: who is not signed in does not cross.",
        subcommands: [Status.self, Enable.self, Disable.self, Set.self, Exempt.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows how the gate is, and its settings.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            show(try await shared.client.value(GateStatus.self, .status, ["v1", "gate"]), shared)
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Closes the gate: from now on only who is signed in, or exempt, crosses.")
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await change(shared) { $0.isEnabled = true } }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Takes the gate away: everyone crosses.")
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            try confirmation.ask(
                "Everyone on the local networks will cross without signing in. Take the gate away?",
                reason: "without the gate everyone crosses")
            try await change(shared) { $0.isEnabled = false }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes the gate's settings; those of sessions hold for the sessions to come.")
        @Option(
            help: ArgumentHelp(
                "How long a session lasts at most: 12h, 90m, 7d or seconds, up to 31 days.", valueName: "time"),
            transform: OptionValue.sessionTime)
        var sessionLimit: Int?
        @Option(
            help: ArgumentHelp(
                "How long a session lasts without a packet, up to 31 days, or off.", valueName: "time|off"),
            transform: OptionValue.idleLimit)
        var idleLimit: Int?
        @Option(
            help: ArgumentHelp(
                "What users reach for whom nothing else is set: all, none, or IDs with commas.", valueName: "sites"),
            transform: OptionValue.sites)
        var sites: SiteChoice?
        @Option(
            help: ArgumentHelp(
                "The interfaces by which signed-in people come, with commas, or any.", valueName: "names|any"))
        var interfaces: String?
        @Option(
            help: "What the remote networks may begin towards who is signed in: replies or all.",
            transform: OptionValue.inbound)
        var inbound: GatePlan.Inbound?
        @Option(
            help: ArgumentHelp(
                "The port of ours that web traffic of others is led to, or off.", valueName: "port|off"))
        var redirectPort: String?
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            if let redirectPort, redirectPort != "off", UInt16(redirectPort) ?? 0 == 0 {
                throw ValidationError("--redirect-port must be a port from 1 to 65535, or off.")
            }
        }

        func run() async throws {
            try await change(shared) { change in
                change.sessionSeconds = sessionLimit
                change.idleSeconds = idleLimit
                change.sites = sites
                change.interfaces = interfaces.map { text in
                    text == "any" ? [] : text.split(separator: ",").map(String.init)
                }
                change.inbound = inbound
                change.redirectPort = redirectPort.map { UInt16($0) ?? 0 }
            }
        }
    }

    /// `gatehouse gate exempt`.
    struct Exempt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Addresses that cross without a sign-in, such as servers and printers.",
            subcommands: [Add.self, List.self, Remove.self])

        struct Add: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Lets addresses or networks cross.")
            @Argument(
                help: "Addresses or networks, such as 10.1.0.5 or 10.1.9.0/24.", transform: OptionValue.network)
            var addresses: [IPPrefix]
            @OptionGroup var shared: SharedOptions

            func run() async throws { try await change(shared) { $0.addExempt = addresses } }
        }

        struct List: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Lists them.")
            @OptionGroup var shared: SharedOptions

            func run() async throws {
                let gate = try await shared.client.value(GateStatus.self, .status, ["v1", "gate"])
                if shared.json { return Terminal.say(try JSON(encoding: gate.exempt).text(isPretty: true)) }
                Terminal.say(
                    gate.exempt.isEmpty
                        ? "No address is exempt." : gate.exempt.map(\.description).joined(separator: "\n"))
            }
        }

        struct Remove: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Has them sign in like everyone.")
            @Argument(help: "As the list shows them.", transform: OptionValue.network)
            var addresses: [IPPrefix]
            @OptionGroup var shared: SharedOptions

            func run() async throws { try await change(shared) { $0.removeExempt = addresses } }
        }
    }
}

private func change(_ shared: SharedOptions, _ body: (inout GateChange) -> Void) async throws {
    var change = GateChange()
    body(&change)
    let bytes = Array(try JSON(encoding: change).text().utf8)
    show(
        try await shared.client.value(GateStatus.self, .control, ["v1", "gate"], method: .patch, body: bytes), shared)
}

private func show(_ gate: GateStatus, _ shared: SharedOptions) {
    if shared.json, let json = try? JSON(encoding: gate) { return Terminal.say(json.text(isPretty: true)) }
    Terminal.say(text(of: gate, style: Terminal.style))
}
