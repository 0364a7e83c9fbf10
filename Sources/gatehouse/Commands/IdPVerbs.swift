import ArgumentParser
import Base
import Cryptography
import Identity
import JSONText
import Portal

/// `gatehouse idp list`.
struct IdPListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the identity providers.")
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let all = try await shared.client.identityProviders()
        if shared.json { return Terminal.say(try JSON(encoding: all).text(isPretty: true)) }
        Terminal.say(IdPText.list(all, width: Terminal.size?.columns, style: Terminal.style))
    }
}

/// `gatehouse idp show`.
struct IdPShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one identity provider, and what to type into its console.")
    @Argument(help: "The provider's name.")
    var name: String
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let all = try await shared.client.identityProviders()
        if let provider = all.openID.first(where: { $0.id == name }) {
            if shared.json { return Terminal.say(try JSON(encoding: provider).text(isPretty: true)) }
            return Terminal.say(IdPText.details(provider, all))
        }
        let provider = try all.find(name)
        if shared.json { return Terminal.say(try JSON(encoding: provider).text(isPretty: true)) }
        Terminal.say(IdPText.details(provider, all))
    }
}

/// `gatehouse idp add saml`, and `add` with a name alone.
struct IdPAddSAMLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "saml", abstract: "Adds a provider that speaks SAML 2.0.",
        discussion: """
            By its metadata, or by hand with --identifier, --service-url and --certificate. The answer says what to type \
            into the provider's console. The first sign-in of each person must begin at the provider, which creates \
            them here.
            """)
    @Argument(help: "A short name for it: letters, digits, '-', '_' and '.'.")
    var name: String
    @OptionGroup var options: IdPOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let read = try await options.read()
        guard options.issuer != nil || read.metadata != nil, options.serviceURL != nil || read.metadata != nil,
            !read.certificates.isEmpty || read.metadata != nil
        else {
            throw CommandFailure(
                "give --metadata, or all of --identifier, --service-url and --certificate", isUsage: true)
        }
        var provider = IdentityProvider(id: name, issuer: "", serviceURL: "", certificates: [])
        try options.apply(read, to: &provider)
        let all = try await shared.client.save(provider, replacing: false)
        if shared.json { return Terminal.say(try JSON(encoding: all.find(name)).text(isPretty: true)) }
        Terminal.say("Added.\n\n" + IdPText.details(try all.find(name), all))
    }
}

/// `gatehouse idp edit`.
struct IdPEditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit", abstract: "Changes an identity provider: what is not said stays.")
    @Argument(help: "The provider's name.")
    var name: String
    @OptionGroup var options: IdPOptions
    @Flag(help: "Keep the certificates that are there beside the new ones, for a roll-over.")
    var keepCertificates = false
    @OptionGroup(title: "OpenID Connect") var openID: OpenIDOptions
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let known = try await shared.client.identityProviders()
        if let provider = known.openID.first(where: { $0.id == name }) { return try await edit(provider) }
        guard openID.isEmpty else {
            throw CommandFailure("'\(name)' speaks SAML; those are options of OpenID Connect", isUsage: true)
        }
        let read = try await options.read()
        let before = try known.find(name)
        var provider = before
        try options.apply(read, to: &provider)
        if keepCertificates {
            provider.certificates += before.certificates.filter { !provider.certificates.contains($0) }
        }
        guard provider != before else { return try shared.sayUnchanged(before) }
        let all = try await shared.client.save(provider, replacing: true)
        if shared.json { return Terminal.say(try JSON(encoding: all.find(name)).text(isPretty: true)) }
        Terminal.say("Changed.\n\n" + IdPText.details(try all.find(name), all))
    }

    private func edit(_ before: OpenIDProvider) async throws {
        guard options.isSharedOnly, !keepCertificates else {
            throw CommandFailure("'\(name)' speaks OpenID Connect; those are options of SAML", isUsage: true)
        }
        var provider = before
        try openID.apply(to: &provider, asks: false)
        options.applyShared(to: &provider)
        guard provider != before || provider.secret != nil else { return try shared.sayUnchanged(before) }
        let all = try await shared.client.save(provider, replacing: true)
        let stored = try all.findOpenID(name)
        if shared.json { return Terminal.say(try JSON(encoding: stored).text(isPretty: true)) }
        Terminal.say("Changed.\n\n" + IdPText.details(stored, all))
    }
}

/// `gatehouse idp remove`.
struct IdPRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes an identity provider, and ends the sessions that came by it.")
    @Argument(help: "The provider's name.")
    var name: String
    @OptionGroup var confirmation: Confirmation
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let all = try await shared.client.identityProviders()
        guard all.providers.contains(where: { $0.id == name }) || all.openID.contains(where: { $0.id == name }) else {
            throw all.unknown(name)
        }
        try confirmation.ask(
            "Remove '\(name)'? Nobody can sign in with it any more, and who came by it is out.",
            reason: "removing '\(name)' cannot be undone")
        let body = try await shared.client.ask(.control, ["v1", "identity-providers", name], method: .delete)
        Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Removed '\(name)'.")
    }
}

/// `gatehouse idp metadata`.
struct IdPMetadataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metadata", abstract: "Writes our SAML metadata for an identity provider, to upload there.")
    @Argument(help: "The provider's name.")
    var name: String
    @Option(
        help: ArgumentHelp("How browsers reach this gateway, such as https://gate.example.com.", valueName: "url"))
    var url: String?
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let address = try url.map { text in
            guard let address = SiteAddress(text) else {
                throw CommandFailure("--url: '\(text)' is no address such as https://gate.example.com", isUsage: true)
            }
            return address
        }
        let all = try await shared.client.identityProviders()
        let provider = try all.find(name)
        guard let acsURL = address?.acsURL ?? all.acsURL, let logoutURL = address?.logoutURL ?? all.logoutURL else {
            throw CommandFailure("say how browsers reach this gateway: --url https://gate.example.com", isUsage: true)
        }
        Terminal.say(ServiceProviderMetadata.document(for: provider, acsURL: acsURL, logoutURL: logoutURL))
    }
}

extension GatewayClient {
    func identityProviders() async throws -> IdentityProviders {
        try await value(IdentityProviders.self, .control, ["v1", "identity-providers"])
    }

    func save(_ provider: IdentityProvider, replacing: Bool) async throws -> IdentityProviders {
        let body = try JSON(encoding: provider, revealsSecrets: true).text()
        return try await value(
            IdentityProviders.self, .control, ["v1", "identity-providers"], method: .post,
            query: replacing ? [("replace", "1")] : [], body: Array(body.utf8))
    }
}

extension IdentityProviders {
    func find(_ name: String) throws -> IdentityProvider {
        guard let provider = providers.first(where: { $0.id == name }) else { throw unknown(name) }
        return provider
    }
}
