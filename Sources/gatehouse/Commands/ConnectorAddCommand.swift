import ArgumentParser
import Base
import Cryptography
import IKE
import Tunnels

extension ConnectorCommand {
    /// `gatehouse connector add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a connector by hand, from options or from a file.",
            usage: """
                gatehouse connector add NAME --remote-address IP --local-network CIDR --remote-network CIDR [options]
                gatehouse connector add --file FILE [--replace]
                """,
            discussion: """
                A pre-shared key is asked for on the terminal, or comes with --psk-file, --psk-env or --generate-psk; \
                it is never an argument, which every user of the host could read. Terms that are not given come from \
                --template, or from 'modern': 'gatehouse connector templates NAME' shows each.

                Lists have commas in between, best first. Ciphers: aes128, aes192, aes256, aes128gcm16, aes192gcm16, \
                aes256gcm16, chacha20poly1305. Hashes: sha1, sha256, sha384, sha512. Groups: 14 (modp2048), \
                15 (modp3072), 16 (modp4096), 19 (ecp256), 20 (ecp384), 21 (ecp521), 31 (curve25519) and others.

                The file:

                \(ConnectorFile.manual)
                """)

        @Argument(help: "What to call the connector; a path, or -, is read as --file.")
        var name: String?
        @Option(
            help: ArgumentHelp("The whole definition, in YAML or JSON; - reads standard input.", valueName: "file"),
            completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String?
        @Option(help: "The connector's ID (default: the name in lower case).")
        var id: String?
        @Option(help: "A kind of peer whose terms to start from (default: modern); 'connector templates' lists them.")
        var template: String?
        @Option(
            help: ArgumentHelp("The peer's address; once more for a second tunnel to take over.", valueName: "ip"),
            transform: OptionValue.address)
        var remoteAddress: [IPAddress] = []
        @OptionGroup(title: "Key") var key: KeyOptions
        @OptionGroup(title: "Certificates and PPK") var certificates: CertificateOptions
        @OptionGroup(title: "Networks") var networks: NetworkOptions
        @OptionGroup(title: "Phase 1") var ike: IKEOptions
        @Option(help: "What to call phase 2 (default: the ID).")
        var phase2Name: String?
        @Option(
            help: ArgumentHelp(
                "What phase 2 negotiates: networks, or any for everything to everything (default: the template's, "
                    + "else networks; in a file, everything).", valueName: "which"),
            transform: { text in
                guard let value = ConnectorTemplate.Selectors(rawValue: text) else {
                    throw ValidationError("must be networks or any.")
                }
                return value
            })
        var selectors: ConnectorTemplate.Selectors?
        @OptionGroup(title: "Phase 2") var esp: ESPOptions
        @Flag(help: "Replace the connector that has the same ID.")
        var replace = false
        @OptionGroup var change: ChangeOptions
        @OptionGroup var shared: SharedOptions

        private var path: String? { file ?? name.flatMap { Self.isPath($0) ? $0 : nil } }

        /// A name has no slash and does not end as our files do.
        private static func isPath(_ word: String) -> Bool {
            word == "-" || word.contains("/") || [".yaml", ".yml", ".json"].contains { word.hasSuffix($0) }
        }

        func validate() throws {
            if !key.isEmpty, certificates.namesCertificates {
                throw ValidationError("A pre-shared key and a certificate exclude each other.")
            }
            guard path != nil else {
                guard name != nil else { throw ValidationError("Give a NAME, or a file with --file.") }
                return
            }
            let areOptionsEmpty =
                (file == nil || name == nil) && id == nil && template == nil && remoteAddress.isEmpty && key.isEmpty && certificates.isEmpty
                && networks.isEmpty && ike.isEmpty && phase2Name == nil && selectors == nil && esp.isEmpty
            guard areOptionsEmpty else {
                throw ValidationError(
                    "A file holds the whole definition: it goes with --replace, --yes and --dry-run only. "
                        + "'gatehouse connector edit' changes what is stored.")
            }
        }

        func run() async throws {
            if let path {
                let connector = try ConnectorFile.read(
                    try InputFile.read(path), file: path == "-" ? "standard input" : path)
                return try await ConnectorChange(
                    connector: connector, isReplacing: replace, isAgreed: replace, options: change, shared: shared
                ).run()
            }
            let terms = try template.map(NamedTerms.named)?.terms ?? ConnectorTemplate.modern
            // All that can be wrong is said before a person is asked for the key.
            var connector = try definition(terms)
            try ConnectorChange.check(connector)
            var generatedKey: String?
            if !certificates.namesCertificates {
                let isPlanOnly = change.dryRun && (key.isEmpty || key.generatePsk)
                let read = isPlanOnly ? KeyOptions.Key(secret: Self.stand) : try key.read() ?? askForKey()
                for index in connector.tunnels.indices {
                    connector.tunnels[index].phase1.authentication = .psk(read.secret)
                }
                generatedKey = read.generated
            }
            try await ConnectorChange(
                connector: connector, isReplacing: replace, generatedKey: generatedKey,
                notes: terms.notes + sendingNotes(connector), options: change, shared: shared
            ).run()
        }

        /// Stands for the key in a plan that is not stored; it never leaves the plan.
        private static let stand = Secret([0])

        private func askForKey() throws -> KeyOptions.Key {
            guard Terminal.canAsk else {
                throw CommandFailure(
                    "there is no pre-shared key: give it with --psk-file FILE (- is standard input), --psk-env "
                        + "VARIABLE or --generate-psk; or a certificate with --certificate-file, --key-file and "
                        + "--ca-file", isUsage: true)
            }
            return KeyOptions.Key(secret: try KeyOptions.ask())
        }

        /// The definition that the options make, without its key.
        func definition(_ terms: ConnectorTemplate.Terms) throws -> Connector {
            let name = name ?? ""
            let id = id ?? Self.id(for: name)
            guard ConnectorFile.isID(id) else {
                throw CommandFailure(
                    "--id: '\(id.printable)' must be at most 64 characters of a to z, 0 to 9, '-', '.' and '_'",
                    isUsage: true)
            }
            guard !networks.local.isEmpty else {
                throw Self.missing("--local-network", "our side, such as 10.1.0.0/16")
            }
            guard !networks.remote.isEmpty else {
                throw Self.missing("--remote-network", "the peer's side, such as 10.2.0.0/16")
            }
            let initiation = ike.initiation ?? .initiate
            guard !remoteAddress.isEmpty || initiation == .respond else {
                throw CommandFailure(
                    "--remote-address is missing: who initiates must know where the peer is; with --initiation respond "
                        + "a peer at any address is answered", isUsage: true)
            }
            guard Set(remoteAddress).count == remoteAddress.count else {
                throw CommandFailure("--remote-address: one address is there twice", isUsage: true)
            }
            let families = Set((networks.local + networks.remote).map(\.family))
            let everything = IPAddress.Family.allCases.filter(families.contains).map(IPPrefix.all)
            let isAny = (selectors ?? terms.selectors) == .any
            var phase2 = terms.phase2(
                name: phase2Name ?? id, local: isAny ? everything : networks.local,
                remote: isAny ? everything : networks.remote)
            try esp.apply(to: &phase2)
            let peers = remoteAddress.isEmpty ? [nil] : remoteAddress.map(Optional.some)
            let tunnels = try peers.enumerated().map { index, peer in
                var phase1 = Phase1(
                    localAddress: nil, remoteAddress: peer, authentication: .psk(Secret([])),
                    encryption: terms.phase1.encryption, integrity: terms.phase1.integrity, dhGroups: terms.phase1.dhGroups,
                    lifetimeSeconds: terms.phase1.lifetimeSeconds, dpd: terms.phase1.dpd,
                    rekeyMarginSeconds: terms.phase1.rekeyMarginSeconds, isMobile: terms.phase1.mobike ?? true)
                if initiation == .respond { phase1.dpd.action = .clear }
                try ike.apply(to: &phase1, send: LocalInterface.address)
                try certificates.apply(to: &phase1)
                return Tunnel(name: "\(id)-\(index + 1)", phase1: phase1, phase2: phase2, inside: nil, bgp: nil)
            }
            return Connector(
                id: id, name: name, initiation: initiation, source: Connector.Source(format: "manual"),
                localNetworks: networks.local, remoteNetworks: networks.remote, tunnels: tunnels)
        }

        private func sendingNotes(_ connector: Connector) -> [String] {
            guard let interface = ike.interface, interface != "any", IPAddress(interface) == nil,
                let address = connector.tunnels.first?.phase1.bindAddress
            else { return [] }
            return ["The tunnel is sent from \(address), the address that \(interface) has now."]
        }

        /// `Branch Office` becomes `branch-office`.
        static func id(for name: String) -> String {
            var id = ""
            for scalar in name.lowercased().unicodeScalars {
                if scalar.isASCII, ConnectorFile.isID(String(scalar)) {
                    id.unicodeScalars.append(scalar)
                } else if !id.isEmpty, id.last != "-" {
                    id += "-"
                }
            }
            while id.last == "-" { id.removeLast() }
            return id
        }

        private static func missing(_ option: String, _ what: String) -> CommandFailure {
            CommandFailure("\(option) is missing: the networks of \(what)", isUsage: true)
        }
    }
}
