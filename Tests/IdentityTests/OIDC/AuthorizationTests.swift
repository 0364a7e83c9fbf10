import Base
import Cryptography
import HTTP
import JSONText
import Testing

@testable import Identity

/// The recorded answers at our redirect URI, each with its verdict.
@Suite struct CallbackCaseTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var query: String
        var isGood: Bool
        var browser: String?
        var age: Int
        var precede: String?
        var testDescription: String { name }
    }

    static let cases: [Case] = {
        let list = (try? oidcSample("callback-cases.json"))?["callbacks"]?.array ?? []
        return list.compactMap { entry in
            guard let name = entry["name"]?.string, let query = entry["callback"]?.string else { return nil }
            var browser: String? = "B1"
            if case .object(let members) = entry.value, let said = members["browser"] { browser = said.string }
            return Case(
                name: name, query: query, isGood: entry["expect"]?.string == "exchange", browser: browser,
                age: entry["age_s"]?.scalar.flatMap(Int.init) ?? 30, precede: entry["precede"]?.string)
        }
    }()

    private static let start = Tick(nanoseconds: 1_000_000_000)

    /// The file's sign-in, which waits under the state `s-AAA`.
    private func pending() throws -> PendingLogins {
        let lab = try LabProvider()
        var request = AuthorizationRequest(
            to: lab.provider, lab.configuration, redirectURI: "https://gate/user/external", browser: "B1",
            entropy: [UInt8](repeating: 7, count: 96), now: Self.start)
        request.state = "s-AAA"
        var logins = PendingLogins()
        logins.add(request, now: Self.start)
        return logins
    }

    private func answer(_ item: Case, _ logins: inout PendingLogins) throws(OpenIDRefusal) -> AuthorizationAnswer {
        try AuthorizationAnswer(
            query: item.query, browser: item.browser, logins: &logins, now: Self.start + .seconds(item.age))
    }

    @Test func everyCaseIsThere() {
        #expect(Self.cases.count == 23)
        #expect(Self.cases.filter(\.isGood).count == 3)
    }

    @Test(arguments: cases) func verdictIsTheCases(_ item: Case) throws {
        var logins = try pending()
        if let name = item.precede {
            _ = try? answer(try #require(Self.cases.first { $0.name == name }), &logins)
        }
        do throws(OpenIDRefusal) {
            let answer = try answer(item, &logins)
            #expect(item.isGood)
            #expect(answer.code == Secret(Array("C1".utf8)) && answer.login.provider == "lab")
        } catch {
            #expect(!item.isGood, "\(error)")
            #expect(!error.detail.contains("<") && !error.detail.contains("C1") && error.detail.utf8.count < 400)
        }
        // Every answer with a known state, from its browser, uses the sign-in up.
        let isForeign = item.browser != "B1" || ["error-wrong-state", "state-unknown", "state-missing", "state-empty"]
            .contains(item.name) || item.query.isEmpty || item.query.utf8.count > 16 * 1024
        #expect(logins.count == (isForeign ? 1 : 0))
    }

    @Test(arguments: [
        ("iss-mismatch", OpenIDRefusal.Code.mixUp), ("state-missing", .answer), ("state-other-browser", .state),
        ("state-expired", .state), ("duplicate-code", .answer), ("error-access-denied", .denied),
        ("code-and-error", .answer), ("implicit-answer", .answer), ("oversized", .answer),
    ]) func refusalNamesItsReason(_ name: String, _ code: OpenIDRefusal.Code) throws {
        var logins = try pending()
        let item = try #require(Self.cases.first { $0.name == name })
        let error = #expect(throws: OpenIDRefusal.self) { try answer(item, &logins) }
        #expect(error?.code == code)
    }

    /// RFC 9207 §2.4: who always names the issuer and does not is somebody else.
    @Test func aPromisedIssuerMustCome() throws {
        let lab = try LabProvider()
        var configuration = lab.configuration
        configuration.answersNameIssuer = true
        var logins = PendingLogins()
        let request = AuthorizationRequest(
            to: lab.provider, configuration, redirectURI: "https://gate/user/external", browser: "B1",
            entropy: [UInt8](repeating: 7, count: 96), now: Self.start)
        logins.add(request, now: Self.start)
        let error = #expect(throws: OpenIDRefusal.self) {
            try AuthorizationAnswer(
                query: "code=C1&state=\(request.state)", browser: "B1", logins: &logins, now: Self.start)
        }
        #expect(error?.code == .mixUp)
    }

    @Test func oldSignInsGoFirst() throws {
        let lab = try LabProvider()
        var logins = PendingLogins()
        var request = AuthorizationRequest(
            to: lab.provider, lab.configuration, redirectURI: "https://gate/user/external", browser: "B1",
            entropy: [UInt8](repeating: 7, count: 96), now: Self.start)
        for index in 0..<(PendingLogins.limit + 50) {
            request.state = "s\(index)"
            logins.add(request, now: Self.start)
        }
        #expect(logins.count == PendingLogins.limit)
        let (first, later) = (
            logins.take("s0", browser: "B1", now: Self.start), logins.take("s100", browser: "B1", now: Self.start)
        )
        #expect(first == nil && later != nil)
        request.state = "late"
        logins.add(request, now: Self.start + .seconds(601))
        #expect(logins.count == 1)
    }
}

@Suite struct AuthorizationRequestTests {
    private func parameters(_ provider: OpenIDProvider) throws -> [String: String] {
        let request = AuthorizationRequest(
            to: provider, try LabProvider().configuration, redirectURI: "https://gate/user/external", browser: "B",
            entropy: (0..<96).map { UInt8($0) }, now: .zero)
        #expect(request.url.description.hasPrefix("https://op.lab.example/authorize?x=1&"))
        let pairs = try #require(FormEncoding.decode(request.url.query ?? ""))
        let parameters = Dictionary(pairs.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(parameters.count == pairs.count)
        #expect(parameters["state"] == request.state && parameters["nonce"] == request.login.nonce)
        return parameters
    }

    @Test func theRequestIsComplete() throws {
        let parameters = try parameters(try LabProvider().provider)
        #expect(parameters["response_type"] == "code" && parameters["client_id"] == "gate house")
        #expect(parameters["redirect_uri"] == "https://gate/user/external" && parameters["x"] == "1")
        #expect(parameters["scope"] == "openid email profile" && parameters["code_challenge_method"] == "S256")
        #expect(parameters["hd"] == nil && parameters["response_mode"] == nil)
        #expect(Set([parameters["state"], parameters["nonce"], parameters["code_challenge"]]).count == 3)
    }

    /// The vector of RFC 7636 appendix B.
    @Test func theChallengeIsTheStandards() throws {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        let bytes = try #require(Base64URL.decode(verifier.utf8))
        let request = AuthorizationRequest(
            to: try LabProvider().provider, try LabProvider().configuration, redirectURI: "r", browser: "B",
            entropy: [UInt8](repeating: 0, count: 64) + bytes, now: .zero)
        #expect(request.login.verifier == Secret(Array(verifier.utf8)))
        #expect(request.url.description.contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"))
    }

    @Test func googleGetsItsHint() throws {
        var provider = try LabProvider().provider
        provider.kind = .google
        provider.hostedDomains = ["corp.example"]
        #expect(try parameters(provider)["hd"] == "corp.example")
    }
}
