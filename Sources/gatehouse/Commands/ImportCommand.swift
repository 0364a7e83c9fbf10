import ArgumentParser
import Base
import JSONText
import Portal
import Tunnels

/// `gatehouse import`.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Makes a connector from a file that a vendor gives out.",
        subcommands: [ImportAWSCommand.self])
}

/// `gatehouse import aws-vpn`.
struct ImportAWSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aws-vpn", abstract: "Reads an AWS Site-to-Site VPN file, shows the plan and stores it.",
        discussion: """
            The file may be the JSON of 'aws ec2 describe-vpn-connections', the CustomerGatewayConfiguration XML, or a \
            text that the AWS console downloads for a device: Generic, strongSwan, Libreswan, VyOS, Cisco, Juniper, \
            Fortinet, Palo Alto and others; what it is shows in its content. JSON says most. No AWS file names the \
            networks of your VPC: --remote-network does. With --dry-run nothing is sent to the daemon.
            """)

    @Argument(help: "The file; - reads standard input.", completion: .file())
    var file: String
    @Option(help: ArgumentHelp("A network on our side that may use the tunnels; may be repeated.", valueName: "cidr"))
    var localNetwork: [String] = []
    @Option(help: ArgumentHelp("A network behind AWS, such as the VPC's; may be repeated.", valueName: "cidr"))
    var remoteNetwork: [String] = []
    @Option(
        help: ArgumentHelp(
            "The address of this host that the tunnels start from: behind a NAT, its private one.", valueName: "ip"))
    var localAddress: String?
    @Option(help: "What to call the connector (default: its Name tag or connection ID).")
    var name: String?
    @Option(help: ArgumentHelp("Which connection of a file that holds several.", valueName: "vpn-id"))
    var connection: String?
    @Flag(help: "Show the plan and change nothing.")
    var dryRun = false
    @Flag(help: "Apply the changes to a connector that was imported before, without being asked.")
    var replace = false
    @Flag(help: "Show the pre-shared keys in the plan.")
    var showSecrets = false
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        _ = try options()
    }

    private func options() throws -> ImportOptions {
        func prefixes(_ texts: [String], _ option: String) throws -> [IPPrefix] {
            try texts.flatMap { $0.split(separator: ",") }.map { text in
                guard let prefix = IPPrefix(String(text)) else {
                    throw ValidationError("\(option): '\(text)' is no network such as 10.0.0.0/16.")
                }
                return prefix
            }
        }
        var options = ImportOptions(
            localNetworks: try prefixes(localNetwork, "--local-network"),
            remoteNetworks: try prefixes(remoteNetwork, "--remote-network"), name: name, connection: connection,
            now: Terminal.now)
        if let localAddress {
            guard let address = IPAddress(localAddress) else {
                throw ValidationError("--local-address: '\(localAddress)' is no IP address.")
            }
            options.localAddress = address
        }
        return options
    }

    func run() async throws {
        var options = try options()
        let bytes = try InputFile.read(file)
        var plan = try Self.plan(bytes, options, file)
        if dryRun {
            Terminal.say(shared.json ? plan.json(showSecrets: showSecrets) : plan.table(showSecrets: showSecrets))
            return
        }
        if plan.remoteNetworks.isEmpty {
            guard Terminal.canAsk, file != "-" else {
                throw CommandFailure(
                    "no AWS file names the networks of the VPC: give them with --remote-network, such as "
                        + "--remote-network 10.0.0.0/16", isUsage: true)
            }
            if !shared.json { Terminal.say(plan.table(showSecrets: showSecrets)) }
            options.remoteNetworks = try Self.askForRemoteNetworks()
            plan = try Self.plan(bytes, options, file)
        }
        if !shared.json { Terminal.say(plan.table(showSecrets: showSecrets)) }
        let preview = try await send(bytes, query(options) + [("dry-run", "1")])
        if preview.isKnown, try !confirms(preview) { return }
        let result = try await send(bytes, query(options) + (preview.isKnown ? [("replace", "1")] : []))
        if shared.json {
            Terminal.say(try JSON(encoding: result).text(isPretty: true))
        } else {
            Terminal.say(
                "\nStored connector \(result.connector) with \(Words.count(result.tunnels.count, "tunnel")). "
                    + "'gatehouse status --watch' shows how they come online.")
        }
    }

    private static func plan(_ bytes: [UInt8], _ options: ImportOptions, _ file: String) throws -> ImportPlan {
        do {
            return try AWSImport.read(bytes, options: options)
        } catch {
            throw CommandFailure("\(file == "-" ? "standard input" : file): \(error.description)")
        }
    }

    private func query(_ options: ImportOptions) -> [(String, String)] {
        var query = options.localNetworks.map { ("local-network", $0.description) }
        query += options.remoteNetworks.map { ("remote-network", $0.description) }
        if let address = options.localAddress { query.append(("local-address", address.description)) }
        if let name { query.append(("name", name)) }
        if let connection { query.append(("connection", connection)) }
        return query
    }

    private func send(_ file: [UInt8], _ query: [(String, String)]) async throws -> ImportResult {
        try await shared.client.value(
            ImportResult.self, .control, ["v1", "import", "aws-vpn"], method: .post, query: query, body: file)
    }

    /// Shows what a file changes in the connector that it made before; true when that is wanted.
    private func confirms(_ preview: ImportResult) throws -> Bool {
        guard !preview.changes.isEmpty else {
            Terminal.say(
                shared.json
                    ? try JSON(encoding: preview).text(isPretty: true)
                    : "\nConnector \(preview.connector) is stored already, and nothing has changed.")
            return false
        }
        if !shared.json {
            Terminal.say("\nChanges in connector \(preview.connector):")
            for change in preview.changes { Terminal.say("  - \(change)") }
        }
        if replace { return true }
        guard !shared.json, Terminal.canAsk, file != "-" else {
            throw CommandFailure(
                "connector \(preview.connector) exists, and the file changes \(Words.count(preview.changes.count, "thing")) "
                    + "in it: add --replace to apply that")
        }
        try Confirmation.agree("Apply? One tunnel is replaced at a time, while the other carries the traffic.")
        return true
    }

    private static func askForRemoteNetworks() throws -> [IPPrefix] {
        while true {
            let question = "Networks behind AWS, such as the VPC's 10.0.0.0/16 (several with commas): "
            guard let answer = Terminal.ask(question) else {
                throw CommandFailure("nothing was imported: the networks behind AWS are not known (--remote-network)")
            }
            let words = answer.split { $0 == "," || $0 == " " || $0 == "\t" }.map(String.init)
            guard !words.isEmpty else { continue }
            let prefixes = words.map(IPPrefix.init)
            if let bad = zip(words, prefixes).first(where: { $0.1 == nil }) {
                Terminal.complain("'\(bad.0)' is no network such as 10.0.0.0/16.")
                continue
            }
            return prefixes.compactMap { $0 }
        }
    }
}
