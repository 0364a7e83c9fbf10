import ArgumentParser
import Base
import Cryptography
import Foundation
import Identity
import Ldap
import Vendors

/// Reads Active Directory where the gateway cannot reach it, and brings what is in it to the gateway.
@main struct DirectoryAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatehouse-directory-agent",
        abstract: "Brings the users and groups of an Active Directory to a gateway that cannot reach it.",
        discussion: """
            The administrator of the gateway makes an API access (gatehouse api-access add) and a directory for it (gatehouse \
            directory add agent). The agent needs an ordinary domain user, and outgoing connections to the domain controller \
            and to the gateway.
            """,
        version: gatehouseVersion)

    @Option(help: ArgumentHelp("The gateway's sign-in pages, such as https://gate.example.com.", valueName: "url"))
    var gateway: String
    @Option(name: .customLong("client-id"), help: "The client ID of the API access.")
    var clientID: String
    @Option(help: ArgumentHelp("A file with its client secret.", valueName: "file"), completion: .file())
    var secretFile: String
    @Option(
        name: .customLong("gateway-ca"),
        help: ArgumentHelp("A file with the CA of the gateway's certificate, where the system does not know it.", valueName: "file"),
        completion: .file())
    var gatewayAuthority: String?
    @Option(help: ArgumentHelp("The domain controller, with a port if it is not 636.", valueName: "host"))
    var host: String
    @Option(help: ArgumentHelp("Who signs in there: svc@corp.example.", valueName: "name"))
    var user: String
    @Option(help: ArgumentHelp("A file with the password.", valueName: "file"), completion: .file())
    var passwordFile: String
    @Option(name: .customLong("base-dn"), help: ArgumentHelp("Where searches begin; the domain unless said.", valueName: "dn"))
    var baseDN: String?
    @Option(
        name: .customLong("ca"), help: ArgumentHelp("A file with the domain controller's CA.", valueName: "file"),
        completion: .file())
    var authority: String?
    @Option(help: ArgumentHelp("Seconds between looks at the directory.", valueName: "seconds"))
    var interval = 300
    @Option(help: ArgumentHelp("A file for the log, beside standard output.", valueName: "file"), completion: .file())
    var log: String?
    @Flag(help: "Bring everything once, and end.")
    var once = false

    func validate() throws {
        guard (10...86_400).contains(interval) else { throw ValidationError("--interval is from 10 seconds to a day.") }
        guard GatewayLink.address(gateway) != nil else {
            throw ValidationError("--gateway: '\(gateway)' is no address such as https://gate.example.com.")
        }
    }

    func run() async throws {
        let journal = try AgentJournal(file: log)
        do {
            let courier = try courier(journal)
            try await courier.run(once: once, interval: interval)
        } catch {
            journal.write("failed", "\(error)")
            throw ExitCode.failure
        }
    }

    private func courier(_ journal: AgentJournal) throws -> AgentCourier {
        let port = host.split(separator: ":").count == 2 ? UInt16(host.split(separator: ":")[1]) : nil
        var settings = LDAPClient.Settings(
            host: port == nil ? host : String(host.split(separator: ":")[0]), port: port ?? 636, bindName: user,
            password: try secret(passwordFile))
        settings.authorityFile = authority
        var directory = Directory(id: "agent", kind: .activeDirectory)
        directory.baseDN = baseDN
        return AgentCourier(
            settings: settings, directory: directory,
            link: try GatewayLink(
                gateway, clientID: clientID, secret: try secret(secretFile), authorityFile: gatewayAuthority),
            journal: journal)
    }

    /// One line of a file, whose end is not part of it.
    private func secret(_ path: String) throws -> Secret {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw AgentFailure("The file \(path) cannot be read.")
        }
        var bytes = [UInt8](data)
        while let last = bytes.last, last == 10 || last == 13 { bytes.removeLast() }
        guard !bytes.isEmpty else { throw AgentFailure("The file \(path) is empty.") }
        return Secret(bytes)
    }
}

/// Why the agent could not do what it should, in words for a person.
struct AgentFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
