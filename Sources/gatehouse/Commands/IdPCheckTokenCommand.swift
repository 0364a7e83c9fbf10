import ArgumentParser
import Base
import Identity
import JSONText
import Portal

/// `gatehouse idp check-token`: one recorded ID token through the very path of a sign-in, without a daemon.
struct IdPCheckTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-token", abstract: "Says whether an ID token would be accepted, and why not.",
        discussion: """
            Takes the token as the provider's token endpoint returned it, and the provider's key set (the document at \
            its jwks_uri). Nothing is asked of the network and nothing is stored. Exit code 0: accepted; 1: refused.
            """)

    @Argument(help: "The file with the token; - reads standard input.", completion: .file())
    var file: String
    @Option(help: ArgumentHelp("The issuer, as the discovery document writes it.", valueName: "url"))
    var issuer: String
    @Option(help: "The file with the provider's key set.", completion: .file())
    var jwks: String
    @Option(name: .customLong("client-id"), help: "The client ID of this application.")
    var clientID: String
    @Option(help: "The nonce of the sign-in; without it the token's is not compared.")
    var nonce: String?
    @Option(help: ArgumentHelp("The file with the access token that came along, for at_hash.", valueName: "file"))
    var accessToken: String?
    @Option(help: ArgumentHelp("An Entra tenant that may sign in; may be repeated.", valueName: "guid"))
    var tenant: [String] = []
    @Option(help: ArgumentHelp("A Google Workspace domain that may sign in; may be repeated.", valueName: "domain"))
    var hostedDomain: [String] = []
    @Option(
        help: ArgumentHelp("The time of day, as 2026-11-23T23:20:00Z or in seconds (default: now).", valueName: "time"),
        transform: OptionValue.moment)
    var at: WallTime?
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let token = try Self.word(file)
        let accessToken = try accessToken.map(Self.word)
        let published = String(decoding: try InputFile.read(jwks), as: UTF8.self)
        let party = RelyingParty(name: "check-token", provider: provider, issuer: issuer, clientID: clientID)
        var claims: RelyingParty.SignedClaims?
        do throws(TokenRefusal) {
            let signed = try party.signedClaims(token, keys: try await JSONWebKeySet(published))
            claims = signed
            let proved = try party.check(signed, nonce: nonce, accessToken: accessToken, now: at ?? Terminal.now)
            let person = try proved.person()
            tell(nil, "The token is good: \(person.email ?? person.nameID) would be signed in.", claims)
        } catch {
            tell(error.code.rawValue, error.detail, claims)
            throw ExitCode.failure
        }
    }

    private var provider: RelyingParty.Provider {
        switch RelyingParty.Provider.of(issuer: issuer) {
        case .entra: .entra(tenants: Set(tenant.map { $0.lowercased() }))
        case .google:
            .google(hostedDomains: hostedDomain.isEmpty ? nil : Set(hostedDomain.map { $0.lowercased() }))
        case let other: other
        }
    }

    /// The only word of a file: editors and shells end it with a line break.
    private static func word(_ file: String) throws -> String {
        let bytes = try InputFile.read(file)
        let blanks: Set<UInt8> = [9, 10, 13, 32]
        let word = bytes.drop { blanks.contains($0) }
        let end = word.lastIndex { !blanks.contains($0) }.map { $0 + 1 } ?? word.startIndex
        return String(decoding: word[..<end], as: UTF8.self)
    }

    /// In the form of ``ResponseVerdict``; no reason where it is accepted.
    private func tell(_ reason: String?, _ detail: String, _ claims: RelyingParty.SignedClaims?) {
        let tree = claims.map { JSON($0.tree) } ?? .object([])
        if shared.json {
            Terminal.say(
                JSON.object([
                    .init("verdict", .string(reason == nil ? "accept" : "reject")),
                    .init("reason", reason.map(JSON.string) ?? .null), .init("detail", .string(detail)),
                    .init("claims", tree),
                ]).text(isPretty: true))
            return
        }
        Terminal.say(reason.map { "refused (\($0))\n  " + detail.printable } ?? "accepted: " + detail.printable)
        guard claims != nil else { return }
        Terminal.say("\nThe provider's key signed these claims:\n" + tree.text(isPretty: true))
    }
}
