import Base
import Cryptography
import Foundation
import Identity
import Synchronization
import Testing

@testable import Portal

/// The sign-in pages, request by request.
@Suite struct SignInSiteTests {
    private let gateway = FakeSignIn()
    private let site: SignInSite
    private let now = Shared(Tick.zero)

    final class Shared<Value: Sendable>: Sendable {
        private let value: Mutex<Value>
        init(_ value: Value) { self.value = Mutex(value) }
        var current: Value {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    init() throws {
        let random = Mutex(SeededRandom(seed: [UInt8](repeating: 7, count: 32)))
        let now = now
        site = SignInSite(
            address: try #require(SiteAddress("https://gate.example.com")), api: gateway,
            random: { count in random.withLock { $0.bytes(count) } },
            wall: { WallTime(rfc3339: "2026-11-29T12:00:00Z")! }, tick: { now.current })
    }

    private func ask(
        _ path: String, _ method: String = "GET", form: [String: String]? = nil, cookies: [String: String] = [:],
        host: String? = "gate.example.com", from address: String = "10.1.0.10", body: String? = nil
    ) async -> WebAnswer {
        let halves = path.split(separator: "?", maxSplits: 1).map(String.init)
        let text = body ?? (form ?? [:]).map { "\($0)=\(FormEncoding.escape($1))" }.joined(separator: "&")
        return await site.answer(
            WebRequest(
                method: method, path: halves[0], query: halves.count > 1 ? halves[1] : "", host: host, cookies: cookies,
                isForm: form != nil || body != nil, body: Array(text.utf8), address: IPAddress(address)!))
    }

    /// Name and value of the cookie that an answer sets, and its attributes.
    private func cookie(_ answer: WebAnswer) throws -> (name: String, value: String, attributes: Set<String>) {
        let parts = try #require(answer.cookies.first).components(separatedBy: "; ")
        let halves = parts[0].split(separator: "=", maxSplits: 1).map(String.init)
        return (halves[0], halves[1], Set(parts.dropFirst()))
    }

    // MARK: - Pages

    @Test func theFirstPageListsTheProviders() async {
        gateway.with { $0.choices = [] }
        #expect(await ask("/").body.contains("Sign-in is not set up yet"))
        gateway.with { $0.choices = [SignInChoice(id: "okta", title: "Okta <1>")] }
        let one = await ask("/")
        #expect(one.status == 200 && one.body.contains(#"href="/user/sign-in/okta">Sign in with Okta &lt;1&gt;</a>"#))
        #expect(await ask("/").body.contains("your first sign-in must start there"))
        gateway.with { $0.choices[0].mustBeginThere = false }
        #expect(await !ask("/").body.contains("First time here?"))
        gateway.with { $0.choices.append(SignInChoice(id: "entra", title: "Entra ID")) }
        let two = await ask("/")
        #expect(two.body.contains(#"href="/user/sign-in/okta">Okta"#))
        #expect(two.body.contains(#"href="/user/sign-in/entra">Entra ID</a>"#))
    }

    @Test func whoIsInSeesWhatIsReached() async {
        gateway.with { $0.standing = .ada }
        let body = await ask("/").body
        #expect(body.contains("You are connected, Ada &lt;b&gt;Lovelace&lt;/b&gt;"))
        #expect(body.contains("Production &amp; more") && body.contains("10.2.0.0/16, 10.3.0.0/16"))
        #expect(body.contains("6 hours<span") && body.contains("18:00 UTC") && body.contains("ada@example.org"))
    }

    /// One language, one heading, a title, no script, and nothing that comes from elsewhere.
    @Test func everyPageIsPlainAndWhole() async {
        gateway.with { $0.standing = .ada }
        let connected = await ask("/").body
        gateway.with { $0.standing = nil }
        var bodies = [connected, await ask("/").body, await ask("/user/signed-out").body, await ask("/nowhere").body]
        let kinds: [SignInProblem.Kind] = [
            .unknownUser(provider: "Okta"), .disabled, .noAddress, .nothingAllowed, .stale, .refusedByProvider,
            .notAcceptable, .signOutNotAcceptable, .noSuchProvider, .unavailable,
        ]
        for kind in kinds {
            gateway.with { $0.problem = SignInProblem(kind, reference: "K7Q4-9M2X") }
            let body = await ask("/user/sign-in/okta", from: "10.1.1.\(bodies.count)").body
            #expect(body.contains("<strong>K7Q4-9M2X</strong>"))
            bodies.append(body)
        }
        for body in bodies {
            #expect(body.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">"))
            #expect(body.components(separatedBy: "<h1>").count == 2)
            #expect(body.contains("<title>") && body.contains("name=\"viewport\"") && body.contains("<main"))
            #expect(!body.contains("<script") && !body.contains("style=") && !body.contains("src="))
        }
    }

    @Test func everyAnswerHasStrictHeaders() async {
        for path in ["/", "/style.css", "/nowhere", "/captive-portal/api", "/user/external/saml"] {
            let fields = Dictionary(await ask(path).fields(isSecure: true)) { first, _ in first }
            let policy = fields["Content-Security-Policy"] ?? ""
            #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "\(path)")
            #expect(!policy.contains("unsafe") && !policy.contains("*"))
            #expect(fields["Strict-Transport-Security"] != nil && fields["X-Content-Type-Options"] == "nosniff")
            #expect(fields["Referrer-Policy"] == "no-referrer" && fields["X-Frame-Options"] == "DENY")
            #expect(fields["Cache-Control"] == (path == "/style.css" ? "public, max-age=3600" : "no-store"))
        }
        #expect(!(await ask("/").fields(isSecure: false).contains { $0.0 == "Strict-Transport-Security" }))
    }

    // MARK: - Sign-in

    @Test func aSignInBeginsAtTheProviderBoundToTheBrowser() async throws {
        let answer = await ask("/user/sign-in/okta")
        #expect(answer.status == 303 && answer.location == "https://idp.example/sso?SAMLRequest=x")
        let (name, value, attributes) = try cookie(answer)
        // It must come back with the provider's post from another site, and with nothing but https.
        #expect(name == "__Host-gatehouse-request" && value.utf8.count == 64)
        #expect(attributes == ["Path=/", "Max-Age=900", "Secure", "HttpOnly", "SameSite=None"])
        // A second window of the browser keeps the secret, another browser has its own; a short one is not taken.
        _ = await ask("/user/sign-in/okta", cookies: [name: value])
        _ = await ask("/user/sign-in/okta", cookies: [name: "short"])
        let browsers = gateway.with { $0.browsers }
        #expect(browsers[0] == value && browsers[1] == value && browsers[2] != value && browsers[2].utf8.count == 64)
        #expect(gateway.with { $0.beganAt } == [IPAddress](repeating: IPAddress("10.1.0.10")!, count: 3))
    }

    @Test func aProviderThatWantsAFormGetsOne() async throws {
        gateway.with {
            $0.choices[0].formOrigin = "https://idp.example"
            $0.carrier = .form(action: "https://idp.example/sso?a=1&b=2", fields: ["SAMLRequest": "\"><script>"])
        }
        let answer = await ask("/user/sign-in/okta")
        #expect(answer.body.contains(#"action="https://idp.example/sso?a=1&amp;b=2""#))
        #expect(answer.body.contains(#"value="&quot;&gt;&lt;script&gt;""#))
        let policy = answer.fields(isSecure: true).first { $0.0 == "Content-Security-Policy" }?.1
        #expect(policy?.contains("form-action 'self' https://idp.example;") == true)
    }

    @Test func anAnswerOfTheProviderIsTakenWithItsCookie() async throws {
        let answer = await ask(
            "/user/external/saml", "POST", form: ["SAMLResponse": "PHg+/w==", "RelayState": "abc"],
            cookies: ["__Host-gatehouse-request": "secret"])
        #expect(answer.status == 303 && answer.location == "/")
        #expect(
            gateway.with { $0.finished } == [
                FakeSignIn.Finished(
                    message: "PHg+/w==", relayState: "abc", browser: "secret", address: IPAddress("10.1.0.10")!)
            ])
    }

    /// The provider's RelayState is a stranger's word.
    @Test(arguments: [
        ("/help", "/help"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil.example", "/"),
        ("/a//b", "/"), ("/%2fevil", "/"), ("javascript:alert(1)", "/"), ("", "/"), ("/a\r\nSet-Cookie: x", "/"),
    ])
    func noRelayStateLeadsAway(_ relayState: String, _ location: String) async {
        let answer = await ask("/user/external/saml", "POST", form: ["SAMLResponse": "x", "RelayState": relayState])
        #expect(answer.location == location)
    }

    @Test func aDamagedAnswerIsRefused() async {
        for body in ["", "SAMLResponse=", "SAMLResponse=a&SAMLResponse=b", "SAMLResponse=%zz", "RelayState=x"] {
            #expect(await ask("/user/external/saml", "POST", body: body).status == 400, "\(body)")
        }
        let other = await site.answer(
            WebRequest(
                method: "POST", path: "/user/external/saml", query: "", host: "gate.example.com", cookies: [:],
                isForm: false, body: Array("SAMLResponse=x".utf8), address: IPAddress("10.1.0.11")!))
        #expect(other.status == 400 && gateway.with { $0.finished }.isEmpty)
        #expect(await ask("/user/external/saml").status == 405)
    }

    @Test func aRefusalIsAPageWithAReference() async {
        gateway.with { $0.problem = SignInProblem(.unknownUser(provider: "Okta"), reference: "K7Q4-9M2X") }
        let answer = await ask("/user/external/saml", "POST", form: ["SAMLResponse": "x"])
        #expect(answer.status == 403 && answer.body.contains("Your first visit starts elsewhere"))
        gateway.with { $0.problem = SignInProblem(.unavailable, reference: "K7Q4-9M2X") }
        #expect(await ask("/user/external/saml", "POST", form: ["SAMLResponse": "x"]).status == 503)
    }

    // MARK: - Signing out

    @Test func onlyOurOwnPageSignsOut() async throws {
        gateway.with { $0.standing = .ada }
        let page = await ask("/")
        let (name, visitor, attributes) = try cookie(page)
        #expect(name == "__Host-gatehouse" && attributes == ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"])
        let token = try #require(page.body.firstMatch(of: #/name="token" value="([0-9a-f]{64})"/#)?.1)
        for (cookies, form) in [
            ([:], ["token": String(token)]), ([name: visitor], [:]), ([name: visitor], ["token": "0"]),
            ([name: String(visitor.reversed())], ["token": String(token)]),
        ] {
            #expect(await ask("/user/sign-out", "POST", form: form, cookies: cookies).status == 403)
        }
        #expect(gateway.with { $0.signedOut }.isEmpty)
        let done = await ask("/user/sign-out", "POST", form: ["token": String(token)], cookies: [name: visitor])
        #expect(done.status == 303 && done.location == "/user/signed-out")
        #expect(gateway.with { $0.signedOut } == [IPAddress("10.1.0.10")!])
        gateway.with { $0.logoutLocation = "https://idp.example/slo?SAMLRequest=x" }
        let there = await ask("/user/sign-out", "POST", form: ["token": String(token)], cookies: [name: visitor])
        #expect(there.location == "https://idp.example/slo?SAMLRequest=x")
        // A browser follows only where the page's own policy lets its forms go.
        let policy = page.fields(isSecure: true).first { $0.0 == "Content-Security-Policy" }?.1
        #expect(policy?.contains("form-action 'self' https://idp.example;") == true)
    }

    @Test func aLogoutOfTheProviderIsPassedOnAsItStands() async {
        gateway.with { $0.logoutLocation = "https://idp.example/slo?SAMLResponse=y" }
        let answer = await ask("/user/external/saml/logout?SAMLRequest=a%2Bb&SigAlg=c")
        #expect(answer.status == 303 && answer.location == "https://idp.example/slo?SAMLResponse=y")
        #expect(gateway.with { $0.logoutQueries } == ["SAMLRequest=a%2Bb&SigAlg=c"])
        gateway.with { $0.logoutLocation = nil }
        #expect(await ask("/user/external/saml/logout?SAMLResponse=y").body.contains("You are signed out"))
        gateway.with { $0.problem = SignInProblem(.notAcceptable, reference: "K7Q4-9M2X") }
        #expect(await ask("/user/external/saml/logout?SAMLRequest=y").status == 403)
    }

    // MARK: - OpenID Connect

    @Test func aCodeIsTakenWithItsCookie() async {
        let cookies = ["__Host-gatehouse-request": String(repeating: "b", count: 64)]
        let answer = await ask("/user/external?code=C%2F1&state=s", cookies: cookies)
        #expect(answer.status == 303 && answer.location == "/")
        let taken = gateway.with { $0.finished }
        #expect(taken.map(\.message) == ["code=C%2F1&state=s"] && taken.first?.browser?.count == 64)
        #expect(await ask("/user/external", "POST", form: ["code": "x"]).status == 404)
        gateway.with { $0.problem = SignInProblem(.stale, reference: "K7Q4-9M2X") }
        let refused = await ask("/user/external?code=C&state=%3Cscript%3E", cookies: cookies)
        #expect(refused.status >= 400 && refused.body.contains("K7Q4-9M2X") && !refused.body.contains("<script>"))
    }

    @Test func aProviderEndsASessionByItself() async {
        let answer = await ask("/user/external/oidc/logout", "POST", form: ["logout_token": "a.b.c"])
        #expect(answer.status == 200 && answer.fields(isSecure: true).contains { $0 == ("Cache-Control", "no-store") })
        #expect(gateway.with { $0.logoutQueries } == ["a.b.c"])
        #expect(await ask("/user/external/oidc/logout", "POST", form: ["token": "a.b.c"]).status == 400)
        #expect(await ask("/user/external/oidc/logout", "POST", body: "logout_token=a&logout_token=b").status == 400)
        #expect(await ask("/user/external/oidc/logout").status == 404)
        gateway.with { $0.problem = SignInProblem(.notAcceptable, reference: "K7Q4-9M2X") }
        #expect(await ask("/user/external/oidc/logout", "POST", form: ["logout_token": "a.b.c"]).status == 400)
    }

    /// Hundreds of people whose sessions end at once come from one address.
    @Test func logoutsOfAProviderAreNotHeldToThePaceOfPeople() async {
        for _ in 0..<100 {
            #expect(await ask("/user/external/oidc/logout", "POST", form: ["logout_token": "x"]).status == 200)
        }
    }

    // MARK: - Around it

    @Test func whoComesByAnotherNameIsLedToTheOne() async {
        let answer = await ask("/user/sign-in/okta", host: "10.1.0.1")
        #expect(answer.status == 307 && answer.location == "https://gate.example.com/user/sign-in/okta")
        #expect(await ask("/", host: nil).status == 307)
        #expect(await ask("/user/external/saml", "POST", form: ["SAMLResponse": "x"], host: "evil.example").status == 421)
        #expect(gateway.with { $0.finished }.isEmpty)
        #expect(await ask("/", host: "GATE.example.com").status == 200)
    }

    @Test func theCaptivePortalAPISaysHowItIs() async throws {
        let out = await ask("/captive-portal/api", host: "10.1.0.1")
        #expect(out.contentType == "application/captive+json")
        let members = try #require(try JSONSerialization.jsonObject(with: Data(out.body.utf8)) as? [String: Any])
        #expect(members["captive"] as? Bool == true && members["user-portal-url"] as? String == "https://gate.example.com/")
        gateway.with { $0.standing = .ada }
        let inside = await ask("/captive-portal/api")
        let more = try #require(try JSONSerialization.jsonObject(with: Data(inside.body.utf8)) as? [String: Any])
        #expect(more["captive"] as? Bool == false && more["seconds-remaining"] as? Int == 6 * 3600)
    }

    @Test func metadataIsThereForThoseThatExist() async {
        gateway.with { $0.metadata["okta"] = "<md/>" }
        let answer = await ask("/user/external/saml/metadata/okta")
        #expect(answer.status == 200 && answer.contentType == "application/samlmetadata+xml" && answer.body == "<md/>")
        #expect(await ask("/user/external/saml/metadata/other").status == 404)
    }

    @Test func otherMethodsAreRefused() async {
        for method in ["PUT", "DELETE", "OPTIONS", "TRACE"] { #expect(await ask("/", method).status == 405) }
        #expect(await ask("/", "HEAD").status == 200)
        #expect(await ask("/user/sign-in/okta", "POST", form: [:]).status == 404)
    }

    @Test func anAddressThatComesTooOftenWaits() async {
        for _ in 0..<20 { #expect(await ask("/user/sign-in/okta").status == 303) }
        #expect(await ask("/user/sign-in/okta").status == 429)
        // Pages are still there, and other addresses are not concerned.
        #expect(await ask("/").status == 200)
        #expect(await ask("/user/sign-in/okta", from: "10.1.0.11").status == 303)
        now.current = Tick.zero + .seconds(3)
        #expect(await ask("/user/sign-in/okta").status == 303)
        #expect(await ask("/user/sign-in/okta").status == 429)
    }

    /// Whoever has one address of a /64 may have them all, and an office has no more than one.
    @Test func addressesOfOneNetworkHaveAMultipleTogether() async {
        for host in 1...320 { #expect(await ask("/user/sign-in/okta", from: "2001:db8:1:2::\(host)").status == 303) }
        #expect(await ask("/user/sign-in/okta", from: "2001:db8:1:2:a:b:c:d").status == 429)
        #expect(await ask("/user/sign-in/okta", from: "2001:db8:1:3::1").status == 303)
    }
}
