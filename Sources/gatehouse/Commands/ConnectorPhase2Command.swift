import ArgumentParser
import Base
import Tunnels

extension ConnectorCommand {
    /// `gatehouse connector phase2`.
    struct Phase2Verbs: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "phase2", abstract: "Changes the phase 2 of a connector.",
            subcommands: [Edit.self, Add.self, Remove.self])

        /// What a verb names: a connector, and one of its tunnels where not all are meant.
        struct Subject: ParsableArguments {
            @Argument(help: "The connector's ID.")
            var id: String
            @Option(help: "The tunnel to change; without it, every tunnel of the connector.")
            var tunnel: String?
        }

        struct Add: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Adds a phase 2: a further child SA on the same IKE SA.",
                discussion: "What is not said is as in the tunnel's first phase 2.")
            @OptionGroup var subject: Subject
            @Argument(help: "What to call it.")
            var name: String
            @OptionGroup(title: "Networks") var networks: NetworkOptions
            @OptionGroup(title: "Phase 2") var esp: ESPOptions
            @OptionGroup var change: ChangeOptions
            @OptionGroup var shared: SharedOptions

            func validate() throws {
                if networks.isEmpty { throw ValidationError("Say which networks it joins.") }
            }

            func run() async throws {
                var connector = try await shared.client.connector(subject.id)
                try connector.addPhase2(name, in: connector.places(of: subject.tunnel)) { phase2 in
                    if !networks.local.isEmpty { phase2.localSelectors = networks.local }
                    if !networks.remote.isEmpty { phase2.remoteSelectors = networks.remote }
                    try esp.apply(to: &phase2)
                }
                try await ConnectorChange(connector: connector, isReplacing: true, options: change, shared: shared)
                    .run()
            }
        }

        struct Remove: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Takes a phase 2 away.")
            @OptionGroup var subject: Subject
            @Argument(help: "The phase 2.")
            var name: String
            @OptionGroup var change: ChangeOptions
            @OptionGroup var shared: SharedOptions

            func run() async throws {
                var connector = try await shared.client.connector(subject.id)
                try connector.removePhase2(name, in: connector.places(of: subject.tunnel))
                try await ConnectorChange(connector: connector, isReplacing: true, options: change, shared: shared)
                    .run()
            }
        }

        struct Edit: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Changes a phase 2: its networks, algorithms, PFS or lifetime.",
                discussion: """
                    The connector's networks follow those of its phase 2. A lifetime takes hold without a break.
                    """)
            @OptionGroup var subject: Subject
            @Argument(help: "The phase 2; may be left out where a tunnel has one.")
            var name: String?
            @Option(help: "What to call it from now on.")
            var rename: String?
            @OptionGroup(title: "Networks") var networks: NetworkOptions
            @OptionGroup(title: "Phase 2") var esp: ESPOptions
            @OptionGroup var change: ChangeOptions
            @OptionGroup var shared: SharedOptions

            func validate() throws {
                if rename == nil, networks.isEmpty, esp.isEmpty {
                    throw ValidationError("Say what to change; --help lists the options.")
                }
            }

            func run() async throws {
                var connector = try await shared.client.connector(subject.id)
                try connector.editPhase2(name, in: connector.places(of: subject.tunnel)) { phase2 in
                    if let rename { phase2.name = rename }
                    if !networks.local.isEmpty { phase2.localSelectors = networks.local }
                    if !networks.remote.isEmpty { phase2.remoteSelectors = networks.remote }
                    try esp.apply(to: &phase2)
                }
                try await ConnectorChange(connector: connector, isReplacing: true, options: change, shared: shared)
                    .run()
            }
        }
    }
}
