import ArgumentParser
import Base
import Cryptography
import IKE
import Tunnels

extension ConnectorCommand {
    /// `gatehouse connector edit`.
    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes a connector: by options, or in your editor when there is none.",
            discussion: """
                What would change is shown first, with the tunnels that must come up anew for it; others are not \
                touched. Without options the definition is opened in $VISUAL, $EDITOR or vi. Pre-shared keys are \
                hidden there, and one that stays hidden is kept. A definition with a fault can be edited again, and \
                is never stored. Phase 2 is changed by 'gatehouse connector phase2'.
                """)

        @Argument(help: "The connector's ID.")
        var id: String
        @Option(help: "What to call it.")
        var name: String?
        @Option(help: "The tunnel to change; without it, every tunnel of the connector.")
        var tunnel: String?
        @Option(help: ArgumentHelp("The peer's address.", valueName: "ip"), transform: OptionValue.address)
        var remoteAddress: IPAddress?
        @OptionGroup(title: "Key") var key: KeyOptions
        @OptionGroup(title: "Certificates and PPK") var certificates: CertificateOptions
        @OptionGroup(title: "Networks") var networks: NetworkOptions
        @OptionGroup(title: "Phase 1") var ike: IKEOptions
        @Flag(help: "Show the pre-shared keys in the editor; the audit trail notes it.")
        var showSecrets = false
        @OptionGroup var change: ChangeOptions
        @OptionGroup var shared: SharedOptions

        private var hasOptions: Bool {
            !(name == nil && remoteAddress == nil && key.isEmpty && certificates.isEmpty && networks.isEmpty
                && ike.isEmpty)
        }

        func validate() throws {
            if !key.isEmpty, certificates.namesCertificates {
                throw ValidationError("A pre-shared key and a certificate exclude each other.")
            }
            if tunnel != nil, !hasOptions {
                throw ValidationError("--tunnel says which tunnel the other options are for, and there is none.")
            }
            if showSecrets, hasOptions { throw ValidationError("--show-secrets is for the editor, without options.") }
        }

        func run() async throws {
            let stored = try await shared.client.connector(id, showsSecrets: showSecrets)
            guard hasOptions else { return try await editInEditor(stored) }
            let (changed, generated) = try changed(stored)
            try await ConnectorChange(
                connector: changed, isReplacing: true, generatedKey: generated, options: change, shared: shared
            ).run()
        }

        private func changed(_ stored: Connector) throws -> (Connector, generatedKey: String?) {
            var connector = stored
            let places = try connector.places(of: tunnel)
            if remoteAddress != nil || ike.localAddress != nil, places.count > 1 {
                throw CommandFailure(
                    "\(id) has \(places.count) tunnels: name the one whose address changes with --tunnel, one of "
                        + connector.tunnels.map(\.name).joined(separator: ", "), isUsage: true)
            }
            if let name { connector.name = name }
            connector.setNetworks(local: networks.local, remote: networks.remote)
            if let initiation = ike.initiation {
                guard tunnel == nil else {
                    throw CommandFailure("--initiation is of the whole connector: leave --tunnel out", isUsage: true)
                }
                connector.initiation = initiation
            }
            let key = try key.read()
            for index in places {
                if let remoteAddress { connector.tunnels[index].phase1.remoteAddress = remoteAddress }
                try ike.apply(to: &connector.tunnels[index].phase1, send: LocalInterface.address)
                try certificates.apply(to: &connector.tunnels[index].phase1)
                if let key { connector.tunnels[index].phase1.authentication = .psk(key.secret) }
            }
            return (connector, key?.generated)
        }

        /// As long as the definition has a fault and a person wants to, the editor comes back with what was written.
        private func editInEditor(_ stored: Connector) async throws {
            let original = YAMLText.text(of: ConnectorFile.json(stored, showSecrets: showSecrets))
            var text = original
            while true {
                text = try Editor.edit(text, name: "\(id).yaml")
                guard text != original else {
                    return ConnectorChange(connector: stored, isReplacing: true, options: change, shared: shared)
                        .sayUnchanged()
                }
                do {
                    let connector = try ConnectorFile.read(
                        Array(text.utf8), file: "the edited definition", keepsHidden: true)
                    guard connector.id == id else {
                        throw CommandFailure(
                            "the edited definition: the id is '\(connector.id)' and was '\(id)'; it cannot change, "
                                + "since events and the audit trail go by it. 'connector add' makes a new one")
                    }
                    return try await ConnectorChange(
                        connector: connector, isReplacing: true, options: change, shared: shared
                    ).run()
                } catch let failure as CommandFailure where Terminal.canAsk && !failure.isDaemonAbsent {
                    Terminal.complain("gatehouse: \(failure.message)")
                    guard Terminal.confirms("Edit again?") else {
                        throw CommandFailure("connector \(id) is as it was")
                    }
                } catch let failure as CommandFailure {
                    throw CommandFailure("\(failure.message); connector \(id) is as it was", isUsage: failure.isUsage)
                }
            }
        }
    }
}
