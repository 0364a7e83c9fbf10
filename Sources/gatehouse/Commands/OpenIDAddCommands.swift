import ArgumentParser
import Identity
import JSONText
import Portal
import Tunnels

/// `gatehouse idp add`.
struct IdPAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Adds an identity provider that people can sign in with.",
        discussion: """
            With OpenID Connect: okta, entra, google, or oidc for any other. With SAML 2.0: saml, or just a name and its \
            options.
            """,
        subcommands: [
            IdPAddSAMLCommand.self, AddOkta.self, AddEntra.self, AddGoogle.self, AddOpenID.self,
        ], defaultSubcommand: IdPAddSAMLCommand.self)
}

/// `gatehouse idp add okta`.
struct AddOkta: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "okta", abstract: "Adds Okta (OpenID Connect).",
        discussion: "The client secret is asked for, unless an option says where it comes from or a key is used instead.")
    @Argument(help: "A short name for it.")
    var name = "okta"
    @Option(help: ArgumentHelp("The organisation's domain, such as acme.okta.com.", valueName: "domain"))
    var domain: String
    @Option(
        help: ArgumentHelp(
            "A custom authorization server, such as default; without it the organisation's own.", valueName: "name"))
    var authorizationServer: String?
    @OptionGroup var options: OpenIDOptions
    @OptionGroup var placement: OpenIDPlacement
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let issuer = OpenIDProvider.oktaIssuer(domain: domain, authorizationServer: authorizationServer)
        try await OpenIDAddition(kind: .okta, name: name, issuer: issuer, options, placement, shared).run()
    }
}

/// `gatehouse idp add entra`.
struct AddEntra: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "entra", abstract: "Adds Microsoft Entra ID (OpenID Connect).",
        discussion: """
            A tenant's domain name is replaced by its GUID, which the provider is asked for. With 'organizations' and \
            --allowed-tenant several tenants can sign in.
            """)
    @Argument(help: "A short name for it.")
    var name = "entra"
    @Option(help: ArgumentHelp("The tenant: its GUID, a domain name, or organizations.", valueName: "tenant"))
    var tenant: String
    @Option(help: ArgumentHelp("The issuer, where it is not login.microsoftonline.com's.", valueName: "url"))
    var issuer: String?
    @OptionGroup var options: OpenIDOptions
    @OptionGroup var placement: OpenIDPlacement
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        var addition = OpenIDAddition(
            kind: .entra, name: name, issuer: issuer ?? OpenIDProvider.entraIssuer(tenant: tenant), options, placement,
            shared)
        let isOne = !["organizations", "common"].contains(tenant.lowercased())
        addition.resolvesIssuer = isOne && !OpenIDProvider.isTenantID(tenant)
        try await addition.run()
    }
}

/// `gatehouse idp add google`.
struct AddGoogle: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "google", abstract: "Adds Google Workspace (OpenID Connect).",
        discussion: "Name the Workspace domains with --hosted-domain: without one, every Google account could sign in.")
    @Argument(help: "A short name for it.")
    var name = "google"
    @Option(help: ArgumentHelp("The issuer, where it is not accounts.google.com.", valueName: "url"))
    var issuer: String?
    @OptionGroup var options: OpenIDOptions
    @OptionGroup var placement: OpenIDPlacement
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        try await OpenIDAddition(
            kind: .google, name: name, issuer: issuer ?? OpenIDProvider.googleIssuer, options, placement, shared
        ).run()
    }
}

/// `gatehouse idp add oidc`.
struct AddOpenID: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "oidc", abstract: "Adds any other provider that keeps to OpenID Connect.")
    @Argument(help: "A short name for it: letters, digits, '-', '_' and '.'.")
    var name: String
    @Option(
        help: ArgumentHelp("The issuer, as its discovery document writes it, to the last slash.", valueName: "url"))
    var issuer: String
    @OptionGroup var options: OpenIDOptions
    @OptionGroup var placement: OpenIDPlacement
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        try await OpenIDAddition(kind: .oidc, name: name, issuer: issuer, options, placement, shared).run()
    }
}

/// Stores a new OpenID provider and says what to do at its console.
private struct OpenIDAddition {
    var kind: OpenIDProvider.Kind
    var name: String
    var issuer: String
    var options: OpenIDOptions
    var placement: OpenIDPlacement
    var shared: SharedOptions
    /// Whether the issuer has a domain name in the place of the tenant's GUID.
    var resolvesIssuer = false

    init(
        kind: OpenIDProvider.Kind, name: String, issuer: String, _ options: OpenIDOptions, _ placement: OpenIDPlacement,
        _ shared: SharedOptions
    ) {
        self.kind = kind
        self.name = name
        self.issuer = issuer
        self.options = options
        self.placement = placement
        self.shared = shared
    }

    func run() async throws {
        guard let clientID = options.clientID else {
            throw CommandFailure("--client-id is needed: the provider's console shows it", isUsage: true)
        }
        var provider = OpenIDProfile.provider(id: name, kind: kind, issuer: issuer, clientID: clientID)
        try options.apply(to: &provider, asks: true)
        placement.apply(to: &provider)
        if resolvesIssuer {
            let examination = try await shared.client.examine(provider)
            guard let found = examination.issuer, found != issuer else {
                let reason = examination.findings.first { $0.state == .failed }?.detail
                throw CommandFailure(
                    "the tenant's GUID could not be found" + (reason.map { ": \($0)" } ?? "") + "; give the GUID itself")
            }
            if !shared.json { Terminal.say("The tenant's issuer is \(found.printable).") }
            provider.issuer = found
        }
        let all = try await shared.client.save(provider, replacing: false)
        let stored = try all.findOpenID(name)
        if shared.json { return Terminal.say(try JSON(encoding: stored).text(isPretty: true)) }
        Terminal.say("Added. 'gatehouse idp test \(name)' asks the provider.\n\n" + IdPText.details(stored, all))
    }
}

/// `gatehouse idp test`.
struct IdPTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Asks an OpenID provider what it publishes, and says what is right and wrong.",
        discussion: """
            Reads the discovery document and the keys, and presents a code that nobody gave out: a provider that knows \
            this gateway refuses the code, not us. Nothing is stored. Exit code 1 when something is wrong.
            """)
    @Argument(help: "The provider's name.")
    var name: String
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let all = try await shared.client.identityProviders()
        guard !all.providers.contains(where: { $0.id == name }) else {
            throw CommandFailure(
                "'\(name)' speaks SAML, which can only be tried with a sign-in; 'gatehouse idp check-response' judges one")
        }
        let examination = try await shared.client.examine(try all.findOpenID(name))
        if shared.json {
            Terminal.say(try JSON(encoding: examination).text(isPretty: true))
        } else {
            Terminal.say(report(examination.findings, width: Terminal.size?.columns, style: Terminal.style))
        }
        guard examination.isGood else { throw ExitCode.failure }
    }
}

extension GatewayClient {
    func save(_ provider: OpenIDProvider, replacing: Bool) async throws -> IdentityProviders {
        let body = try JSON(encoding: provider, revealsSecrets: true).text()
        return try await value(
            IdentityProviders.self, .control, ["v1", "openid-providers"], method: .post,
            query: replacing ? [("replace", "1")] : [], body: Array(body.utf8))
    }

    func examine(_ provider: OpenIDProvider) async throws -> OpenIDExamination {
        let body = try JSON(encoding: provider, revealsSecrets: true).text()
        return try await value(
            OpenIDExamination.self, .control, ["v1", "openid-providers", "examine"], method: .post, body: Array(body.utf8))
    }
}

extension IdentityProviders {
    func findOpenID(_ name: String) throws -> OpenIDProvider {
        guard let provider = openID.first(where: { $0.id == name }) else { throw unknown(name) }
        return provider
    }

    func unknown(_ name: String) -> CommandFailure {
        let known = (providers.map(\.id) + openID.map(\.id)).joined(separator: ", ")
        return CommandFailure(
            "there is no identity provider '\(name)'" + (known.isEmpty ? "" : "; there are \(known)"))
    }
}
