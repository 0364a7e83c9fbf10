import ArgumentParser
import Base
import Cryptography
import Identity
import Portal

/// `gatehouse idp check-response`: why a recorded SAML response is accepted or refused.
struct IdPCheckResponseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-response", abstract: "Says why a recorded SAML response is accepted or refused.",
        discussion: """
            FILE holds what the browser posted to /user/external/saml: the XML, or the SAMLResponse field as the \
            developer tools show it. It is judged by the very code that judges sign-ins, offline: no daemon is needed, \
            and nothing is stored, so that a response may be checked again and again. Without --in-response-to it must \
            be one that the provider began. Exit code 0: accepted, 1: refused.
            """)

    @Argument(help: "The response; - reads standard input.", completion: .file())
    var file: String
    @Option(
        help: ArgumentHelp(
            "A configured provider: the daemon is asked for its settings, and other options change them.",
            valueName: "name"))
    var idp: String?
    @Option(help: ArgumentHelp("The provider's entity ID (its Issuer).", valueName: "id"))
    var issuer: String?
    @Option(
        help: ArgumentHelp(
            "A file with the provider's certificate, as PEM, base64 or hexadecimal; may be repeated.", valueName: "file"),
        completion: .file())
    var certificate: [String] = []
    @Option(help: ArgumentHelp("Our entity ID (default: the issuer); may be repeated.", valueName: "id"))
    var audience: [String] = []
    @Option(help: ArgumentHelp("The URL that the response was posted to.", valueName: "url"))
    var acs: String?
    @Option(
        help: ArgumentHelp("A file with the private key for encrypted assertions; may be repeated.", valueName: "file"),
        completion: .file())
    var spKey: [String] = []
    @Option(help: ArgumentHelp("The ID of the request that it must answer.", valueName: "id"))
    var inResponseTo: String?
    @Option(
        help: ArgumentHelp("What must be signed: response, assertion, both or any (the default).", valueName: "part"),
        transform: IdPInput.requirement)
    var requireSigned: SignatureRequirement?
    @Flag(name: .customLong("allow-sha1"), help: "Accept SHA-1, which can be forged.")
    var allowSHA1 = false
    @Option(help: ArgumentHelp("By how much the clocks may differ (default: 60).", valueName: "seconds"))
    var clockSkew: Int?
    @Option(
        help: ArgumentHelp("The time of the sign-in, as 2026-11-24T09:30:00Z (default: now).", valueName: "time"),
        transform: OptionValue.moment)
    var at: WallTime?
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let trust = try await trust()
        let bytes: [UInt8]
        do {
            bytes = try InputFile.read(file)
        } catch let failure as CommandFailure {
            throw CommandFailure(failure.message, isUsage: true)
        }
        let expectation = inResponseTo.map { SAMLExpectation.answer(to: $0) } ?? .unsolicited
        do throws(SAMLRefusal) {
            let response = try ResponseVerifier.verify(
                try MessageText.document(bytes), trust: trust, expecting: expectation, now: at ?? Terminal.now)
            Terminal.say(shared.json ? ResponseVerdict.json(response) : ResponseVerdict.text(response))
        } catch {
            Terminal.say(shared.json ? ResponseVerdict.json(error) : ResponseVerdict.text(error))
            throw ExitCode.failure
        }
    }

    private func trust() async throws -> SAMLTrust {
        if let idp { return try await configured(idp) }
        guard let issuer, !certificate.isEmpty, let acs else {
            throw CommandFailure("--idp, or --issuer, --certificate and --acs are needed", isUsage: true)
        }
        let skew = clockSkew ?? 60
        guard (0...3600).contains(skew) else {
            throw CommandFailure("--clock-skew takes 0 to 3600 seconds", isUsage: true)
        }
        return SAMLTrust(
            provider: issuer, issuer: issuer, certificates: try certificate.flatMap(IdPInput.certificates),
            audiences: audience.isEmpty ? [issuer] : audience, acsURL: acs,
            decryptionKeys: try spKey.map(IdPInput.privateKey), requirement: requireSigned ?? .any,
            allowsSHA1: allowSHA1, clockSkewSeconds: skew)
    }

    /// What the daemon would judge by. Its key stays with it: an encrypted assertion needs --sp-key.
    private func configured(_ name: String) async throws -> SAMLTrust {
        let all = try await shared.client.identityProviders()
        let provider = try all.find(name)
        guard let acsURL = acs ?? all.acsURL else {
            throw CommandFailure("the daemon does not say where the sign-in pages are: give --acs", isUsage: true)
        }
        var trust = provider.trust(acsURL: acsURL)
        if let issuer { trust.issuer = issuer }
        if !certificate.isEmpty { trust.certificates = try certificate.flatMap(IdPInput.certificates) }
        if !audience.isEmpty { trust.audiences = audience }
        trust.decryptionKeys = try spKey.map(IdPInput.privateKey)
        if let requireSigned { trust.requirement = requireSigned }
        if allowSHA1 { trust.allowsSHA1 = true }
        if let clockSkew { trust.clockSkewSeconds = clockSkew }
        return trust
    }
}
