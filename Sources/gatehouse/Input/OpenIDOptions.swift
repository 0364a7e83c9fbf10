import ArgumentParser
import Base
import Cryptography
import Glibc
import Identity

/// What `gatehouse idp add okta|entra|google|oidc` and `edit` take of an OpenID provider.
struct OpenIDOptions: ParsableArguments {
    @Option(name: .customLong("client-id"), help: "The client ID that the provider's console shows.")
    var clientID: String?
    @Option(
        help: ArgumentHelp("Read the client secret from a file; - is standard input.", valueName: "file"),
        completion: .file())
    var secretFile: String?
    @Option(help: ArgumentHelp("Read the client secret from an environment variable.", valueName: "variable"))
    var secretEnv: String?
    @Flag(help: "Ask for the client secret on the terminal, without echo.")
    var askSecret = false
    @Option(
        help: ArgumentHelp(
            "How this gateway proves itself: client_secret_basic, client_secret_post or private_key_jwt.",
            valueName: "way"),
        transform: { word in
            guard let way = OpenIDProvider.ClientAuthentication(rawValue: word) else {
                let all = OpenIDProvider.ClientAuthentication.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("'\(word)' is none of \(all).")
            }
            return way
        })
    var authentication: OpenIDProvider.ClientAuthentication?
    @Option(
        help: ArgumentHelp("A file with our private key, for private_key_jwt.", valueName: "file"), completion: .file())
    var clientKey: String?
    @Flag(help: "Make such a key; 'idp show' has its public half for the provider.")
    var generateClientKey = false
    @Option(name: .customLong("key-id"), help: "What the provider calls our key, if it names it itself.")
    var keyID: String?
    @Option(help: ArgumentHelp("A scope to ask for instead of email and profile; may be repeated.", valueName: "word"))
    var scope: [String] = []
    @Option(
        help: ArgumentHelp(
            "A tenant that may sign in where several may; its GUID; may be repeated.", valueName: "guid"))
    var allowedTenant: [String] = []
    @Option(help: ArgumentHelp("A Google Workspace domain that may sign in; may be repeated.", valueName: "domain"))
    var hostedDomain: [String] = []
    @Option(
        help: ArgumentHelp("The day on which the client secret ends, such as 2027-05-31; '' for unknown.", valueName: "day"))
    var secretExpires: String?
    @Flag(inversion: .prefixedNo, help: "Whether a sign-out here ends the provider's own session too.")
    var providerLogout: Bool?

    func validate() throws {
        guard [secretFile != nil, secretEnv != nil, askSecret].count(where: { $0 }) <= 1 else {
            throw ValidationError("--secret-file, --secret-env and --ask-secret exclude each other.")
        }
        guard clientKey == nil || !generateClientKey else {
            throw ValidationError("--client-key and --generate-client-key exclude each other.")
        }
    }

    var isEmpty: Bool {
        clientID == nil && secretFile == nil && secretEnv == nil && !askSecret && authentication == nil && clientKey == nil
            && !generateClientKey && keyID == nil && scope.isEmpty && allowedTenant.isEmpty && hostedDomain.isEmpty
            && providerLogout == nil && secretExpires == nil
    }

    private var hasKey: Bool { clientKey != nil || generateClientKey }

    /// Puts what was said into a definition.
    ///
    /// - Parameter asks: whether a secret that is needed and was not given is asked for.
    func apply(to provider: inout OpenIDProvider, asks: Bool) throws {
        if let clientID { provider.clientID = clientID }
        if hasKey { provider.authentication = .privateKey }
        if let authentication { provider.authentication = authentication }
        if let keyID { provider.keyID = keyID.isEmpty ? nil : keyID }
        if !scope.isEmpty { provider.scopes = scope }
        if !allowedTenant.isEmpty { provider.tenants = allowedTenant.map { $0.lowercased() } }
        if !hostedDomain.isEmpty { provider.hostedDomains = hostedDomain.map { $0.lowercased() } }
        if let providerLogout { provider.endsProviderSession = providerLogout }
        if let secretExpires { provider.secretEndsAt = try OptionValue.day(secretExpires, "--secret-expires") }
        if hasKey {
            let key = try clientKey.map(IdPInput.privateKey) ?? RSAPrivateKey.generate()
            var generator = SystemRandomNumberGenerator()
            let serial = (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) }
            provider.key = try key.pkcs8
            provider.certificate = try key.selfSigned(
                for: ["gatehouse-\(provider.id)"], serial: serial, from: Terminal.now, days: 3650)
        }
        if let secret = try secret(asks: asks && provider.authentication != .privateKey) { provider.secret = secret }
    }

    private func secret(asks: Bool) throws -> Secret? {
        let noun = "client secret"
        if let secretFile {
            return try KeyOptions.secret(InputFile.read(secretFile), from: "--secret-file \(secretFile)", noun)
        }
        if let secretEnv {
            guard let value = getenv(secretEnv) else {
                throw CommandFailure("--secret-env: there is no environment variable \(secretEnv)", isUsage: true)
            }
            return try KeyOptions.secret(Array(String(cString: value).utf8), from: "--secret-env \(secretEnv)", noun)
        }
        guard asks || askSecret else { return nil }
        return try KeyOptions.secret(
            Terminal.askSecret("Client secret: ", noun: noun, ways: "--secret-file or --secret-env"), from: "the terminal",
            noun)
    }
}

/// What `add` takes of an OpenID provider beside, and `edit` of any.
struct OpenIDPlacement: ParsableArguments {
    @Option(help: ArgumentHelp("What the sign-in page calls it.", valueName: "text"))
    var title: String?
    @Flag(inversion: .prefixedNo, help: "Let a first sign-in create the user.")
    var createUsers: Bool?
    @Option(
        name: .customLong("site"),
        help: ArgumentHelp(
            "A connector that its users may reach; may be repeated; 'all' for every one.", valueName: "connector"))
    var sites: [String] = []

    func apply(to provider: inout OpenIDProvider) {
        if let title { provider.title = title }
        if let createUsers { provider.createsUsers = createUsers }
        if !sites.isEmpty { provider.sites = sites == ["all"] ? nil : sites }
    }
}
