import ArgumentParser
import Base
import Identity
import JSONText
import Portal

/// `gatehouse directory add`.
struct DirectoryAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Adds a directory.",
        discussion: """
            The secret is asked for on the terminal unless an option says where it comes from. Without --group nobody comes: \
            'gatehouse directory groups' lists what there is, 'gatehouse directory edit --group' chooses.
            """,
        subcommands: [
            AddOktaDirectory.self, AddEntraDirectory.self, AddGoogleDirectory.self, AddActiveDirectory.self,
            AddAgentDirectory.self,
        ])
}

/// `gatehouse directory add okta`.
struct AddOktaDirectory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "okta", abstract: "Adds Okta, with an API token, or with a service app's key.",
        discussion: """
            The token of an administrator with the role Read-only Administrator; or, with --client-id, a service app with the \
            scopes okta.users.read and okta.groups.read and that role, whose private key in PEM is the secret.
            """)
    @Argument(help: "A short name for it.")
    var name = "okta"
    @Option(help: ArgumentHelp("The organisation's domain, such as acme.okta.com.", valueName: "domain"))
    var domain: String
    @Option(name: .customLong("client-id"), help: "The client ID of a service app.")
    var clientID: String?
    @Option(name: .customLong("key-id"), help: ArgumentHelp("What Okta calls the service app's key.", valueName: "id"))
    var keyID: String?
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        var directory = Directory(id: name, kind: .okta)
        directory.host = domain
        directory.clientID = clientID
        directory.keyID = keyID
        try options.apply(to: &directory, noun: clientID == nil ? "API token" : "private key", asks: true)
        try await add(directory, shared)
    }
}

/// `gatehouse directory add entra`.
struct AddEntraDirectory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "entra", abstract: "Adds Microsoft Entra ID, through Microsoft Graph.",
        discussion: """
            The application needs the application permissions User.Read.All and Group.Read.All with an administrator's \
            consent; with Application.Read.All the end of its secret is read too.
            """)
    @Argument(help: "A short name for it.")
    var name = "entra"
    @Option(help: ArgumentHelp("The tenant: its GUID or a domain name.", valueName: "tenant"))
    var tenant: String
    @Option(name: .customLong("client-id"), help: "The application's ID.")
    var clientID: String
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        var directory = Directory(id: name, kind: .entra)
        directory.tenant = tenant
        directory.clientID = clientID
        try options.apply(to: &directory, noun: "client secret", asks: true)
        try await add(directory, shared)
    }
}

/// `gatehouse directory add google`.
struct AddGoogleDirectory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "google", abstract: "Adds Google Workspace, with a service account's key file.",
        discussion: """
            The service account needs the admin roles Groups Reader and User Management Admin; or, with --as, domain-wide \
            delegation of the two read-only scopes for users and groups.
            """)
    @Argument(help: "A short name for it.")
    var name = "google"
    @Option(help: ArgumentHelp("The customer ID, such as C01234567.", valueName: "id"))
    var customer: String
    @Option(
        help: ArgumentHelp("The service account's key file, of 10 KB at most.", valueName: "file"), completion: .file())
    var keyFile: String?
    @Option(help: ArgumentHelp("An administrator in whose name to ask, with domain-wide delegation.", valueName: "e-mail"))
    var `as`: String?
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        var directory = Directory(id: name, kind: .google)
        directory.customer = customer
        directory.subject = self.as
        var options = options
        if let keyFile { options.secretFile = keyFile }
        try options.apply(to: &directory, noun: "key file", asks: true, isFile: true)
        try await add(directory, shared)
    }
}

/// `gatehouse directory add active-directory`.
struct AddActiveDirectory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "active-directory", abstract: "Adds Active Directory, asked over LDAPS by this gateway.",
        discussion: "An ordinary domain user is enough, and should be used: never an administrator.")
    @Argument(help: "A short name for it.")
    var name = "ad"
    @Option(
        help: ArgumentHelp(
            "The domain controller, by the name in its certificate, with a port if it is not 636.", valueName: "host"))
    var host: String
    @Option(help: ArgumentHelp("Who signs in there: svc@corp.example, CORP\\svc or a DN.", valueName: "name"))
    var user: String
    @Option(
        name: .customLong("base-dn"),
        help: ArgumentHelp("Where searches begin; the domain unless said.", valueName: "dn"))
    var baseDN: String?
    @Option(
        name: .customLong("ca"),
        help: ArgumentHelp("A file with the CA's certificate in PEM, where the system does not know it.", valueName: "file"),
        completion: .file())
    var authority: String?
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        var directory = Directory(id: name, kind: .activeDirectory)
        directory.host = host
        directory.bindName = user
        directory.baseDN = baseDN
        directory.authority = try authority.map(authorityText)
        try options.apply(to: &directory, noun: "password", asks: true)
        try await add(directory, shared)
    }
}

/// `gatehouse directory add agent`.
struct AddAgentDirectory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Adds a directory that gatehouse-directory-agent brings from where it is.",
        discussion: """
            'gatehouse api-access add' makes what the agent signs in with. The groups are named as the agent brings them; one \
            that it has not brought yet is taken up when it comes.
            """)
    @Argument(help: "A short name for it.")
    var name: String
    @Option(help: ArgumentHelp("The API access that the agent signs in with.", valueName: "name"))
    var access: String
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        var directory = Directory(id: name, kind: .agent)
        directory.apiAccess = access
        try options.apply(to: &directory, noun: "secret", asks: false)
        try await add(directory, shared)
    }
}

private func authorityText(_ path: String) throws -> String {
    _ = try IdPInput.certificates(path)
    return String(decoding: try InputFile.read(path), as: UTF8.self)
}

private func add(_ directory: Directory, _ shared: SharedOptions) async throws {
    let status = try await shared.client.save(directory, replacing: false)
    if shared.json { return Terminal.say(try JSON(encoding: status).text(isPretty: true)) }
    let name = directory.id
    let next =
        status.directory.groups.isEmpty && directory.kind != .agent
        ? "'gatehouse directory groups \(name)' lists its groups, 'gatehouse directory edit \(name) --group NAME' chooses."
        : "'gatehouse directory status \(name)' says how it stands."
    Terminal.say("Added. \(next)\n\n" + DirectoryText.details(status, now: Terminal.now, style: Terminal.style))
}

/// `gatehouse directory edit`.
struct DirectoryEditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit", abstract: "Changes a directory: what is not said stays.")
    @Argument(help: "The directory's name.")
    var name: String
    @Flag(inversion: .prefixedEnableDisable, help: "Whether it is synchronised.")
    var sync: Bool?
    @Option(help: ArgumentHelp("The domain (Okta) or domain controller (Active Directory).", valueName: "host"))
    var host: String?
    @Option(help: "The tenant (Entra).")
    var tenant: String?
    @Option(help: "The customer ID (Google).")
    var customer: String?
    @Option(name: .customLong("client-id"), help: "The client ID (Entra, Okta).")
    var clientID: String?
    @Option(help: ArgumentHelp("Who signs in (Active Directory).", valueName: "name"))
    var user: String?
    @Option(name: .customLong("base-dn"), help: ArgumentHelp("Where searches begin (Active Directory).", valueName: "dn"))
    var baseDN: String?
    @Option(
        name: .customLong("ca"), help: ArgumentHelp("The CA's certificate (Active Directory).", valueName: "file"),
        completion: .file())
    var authority: String?
    @OptionGroup var options: DirectoryOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let all = try await shared.client.directories()
        guard let known = all.first(where: { $0.directory.id == name }) else { throw unknownDirectory(name, all) }
        let before = known.directory
        var directory = before
        if let sync { directory.isEnabled = sync }
        if let host { directory.host = host }
        if let tenant { directory.tenant = tenant }
        if let customer { directory.customer = customer }
        if let clientID { directory.clientID = clientID.isEmpty ? nil : clientID }
        if let user { directory.bindName = user }
        if let baseDN { directory.baseDN = baseDN.isEmpty ? nil : baseDN }
        if let authority { directory.authority = try authorityText(authority) }
        let isFile = before.kind == .google
        try options.apply(to: &directory, noun: "secret", asks: false, isFile: isFile)
        guard directory != before else { return try shared.sayUnchanged(known) }
        let status = try await shared.client.save(directory, replacing: true)
        if shared.json { return Terminal.say(try JSON(encoding: status).text(isPretty: true)) }
        Terminal.say("Changed.\n\n" + DirectoryText.details(status, now: Terminal.now, style: Terminal.style))
    }
}
