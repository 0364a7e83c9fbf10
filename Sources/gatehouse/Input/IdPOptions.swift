import ArgumentParser
import Base
import Cryptography
import Identity

/// What `gatehouse idp add` and `edit` take.
struct IdPOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The vendor whose names and habits apply: \(IdentityProfile.known.joined(separator: ", ")).",
            valueName: "vendor"))
    var profile: String?
    @Option(
        help: ArgumentHelp(
            "The provider's metadata, a file or an https address: Identifier, URLs and certificates come from it.",
            valueName: "file-or-url"))
    var metadata: String?
    @Option(
        name: [.customLong("identifier"), .customLong("issuer")],
        help: ArgumentHelp("The provider's entity ID: Identifier or Issuer in its console.", valueName: "id"))
    var issuer: String?
    @Option(help: ArgumentHelp("Where people sign in: Service URL, SSO URL or Login URL.", valueName: "url"))
    var serviceURL: String?
    @Option(
        help: ArgumentHelp(
            "A file with the provider's certificate, as PEM, base64 or hexadecimal; may be repeated for a roll-over.",
            valueName: "file"), completion: .file())
    var certificate: [String] = []
    @Option(
        help: ArgumentHelp("Our entity ID, where it is not the Identifier; '' for the Identifier.", valueName: "id"))
    var audience: String?
    @Option(help: ArgumentHelp("What the sign-in page calls it.", valueName: "text"))
    var title: String?
    @Option(
        help: ArgumentHelp("How requests go there: redirect or post.", valueName: "binding"),
        transform: IdPInput.binding)
    var binding: IdentityProvider.Binding?
    @Option(help: ArgumentHelp("Where single log-out goes; '' for none.", valueName: "url"))
    var logoutURL: String?
    @Option(
        help: ArgumentHelp("What must be signed: response, assertion, both or any.", valueName: "part"),
        transform: IdPInput.requirement)
    var requireSigned: SignatureRequirement?
    @Option(
        help: ArgumentHelp("A file with our private key, for encrypted assertions and signed requests.", valueName: "file"),
        completion: .file())
    var spKey: String?
    @Flag(help: "Make such a key, with a certificate to give to the provider.")
    var generateKey = false
    @Flag(help: "Forget our key.")
    var withoutKey = false
    @Flag(inversion: .prefixedNo, help: "Sign requests with our key.")
    var signRequests: Bool?
    @Flag(name: .customLong("allow-sha1"), inversion: .prefixedNo, help: "Accept SHA-1, which can be forged.")
    var allowSHA1: Bool?
    @Flag(
        name: .customLong("idp-initiated"), inversion: .prefixedNo, help: "Accept sign-ins that the provider begins.")
    var idpInitiated: Bool?
    @Flag(inversion: .prefixedNo, help: "Let sign-ins that begin here create users, too.")
    var createUsers: Bool?
    @Flag(inversion: .prefixedEnableDisable, help: "Whether people can sign in with it.")
    var provider: Bool?
    @Option(help: ArgumentHelp("By how much the clocks may differ.", valueName: "seconds"))
    var clockSkew: Int?
    @Option(
        name: .customLong("site"),
        help: ArgumentHelp(
            "A connector that its users may reach; may be repeated; 'all' for every one.", valueName: "connector"))
    var sites: [String] = []

    /// What the files and addresses say; read once.
    struct Read {
        var metadata: ProviderMetadata?
        var certificates: [PinnedCertificate]
        var key: RSAPrivateKey?
    }

    func read() async throws -> Read {
        if let profile, IdentityProfile.named(profile) == nil {
            throw CommandFailure(
                "--profile: there is no '\(profile)'; there are \(IdentityProfile.known.joined(separator: ", "))",
                isUsage: true)
        }
        guard [spKey != nil, generateKey, withoutKey].count(where: { $0 }) <= 1 else {
            throw CommandFailure("--sp-key, --generate-key and --without-key exclude each other", isUsage: true)
        }
        var described: ProviderMetadata?
        if let metadata { described = try await IdPInput.metadata(metadata) }
        return Read(
            metadata: described,
            certificates: try certificate.flatMap(IdPInput.certificates), key: try spKey.map(IdPInput.privateKey))
    }

    /// Puts what was said into a definition.
    func apply(_ read: Read, to provider: inout IdentityProvider) throws {
        if let profile { IdentityProfile.named(profile)?.apply(to: &provider, name: profile) }
        if let metadata = read.metadata {
            provider.issuer = metadata.entityID
            provider.serviceURL = metadata.serviceURL
            provider.serviceBinding = metadata.serviceBinding
            provider.logoutURL = metadata.logoutURL
            provider.certificates = metadata.certificates
        }
        if let issuer { provider.issuer = issuer }
        if let serviceURL { provider.serviceURL = serviceURL }
        if let binding { provider.serviceBinding = binding }
        if !read.certificates.isEmpty { provider.certificates = read.certificates }
        if let audience { provider.audience = audience.isEmpty ? nil : audience }
        if let title { provider.title = title }
        if let logoutURL { provider.logoutURL = logoutURL.isEmpty ? nil : logoutURL }
        if let requireSigned { provider.requirement = requireSigned }
        if let allowSHA1 { provider.allowsSHA1 = allowSHA1 }
        if let idpInitiated { provider.acceptsUnsolicited = idpInitiated }
        if let createUsers { provider.createsUsersOnRequest = createUsers }
        if let isEnabled = self.provider { provider.isEnabled = isEnabled }
        if let clockSkew { provider.clockSkewSeconds = clockSkew }
        if !sites.isEmpty { provider.sites = sites == ["all"] ? nil : sites }
        if withoutKey {
            (provider.key, provider.certificate) = (nil, nil)
            if signRequests == nil { provider.signsRequests = false }
        } else if let key = try read.key ?? (generateKey ? RSAPrivateKey.generate() : nil) {
            var generator = SystemRandomNumberGenerator()
            let serial = (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) }
            provider.key = try key.pkcs8
            provider.certificate = try key.selfSigned(
                for: ["gatehouse-\(provider.id)"], serial: serial, from: Terminal.now, days: 3650)
        }
        if read.metadata?.wantsSignedRequests == true, signRequests == nil, provider.certificate != nil {
            provider.signsRequests = true
        }
        if let signRequests { provider.signsRequests = signRequests }
    }

    /// Whether only what providers of every kind have was said.
    var isSharedOnly: Bool {
        profile == nil && metadata == nil && serviceURL == nil && certificate.isEmpty && audience == nil && binding == nil
            && logoutURL == nil && requireSigned == nil && spKey == nil && !generateKey && !withoutKey && signRequests == nil
            && allowSHA1 == nil && idpInitiated == nil && clockSkew == nil
    }

    func applyShared(to provider: inout OpenIDProvider) {
        if let issuer { provider.issuer = issuer }
        if let title { provider.title = title }
        if let createUsers { provider.createsUsers = createUsers }
        if let isEnabled = self.provider { provider.isEnabled = isEnabled }
        if !sites.isEmpty { provider.sites = sites == ["all"] ? nil : sites }
    }
}
