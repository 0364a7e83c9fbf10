import Base
import Cryptography
import HTTP
import JSONText
import Testing

@testable import Identity

@Suite struct TokenRequestTests {
    private func answer(_ lab: LabProvider) throws -> AuthorizationAnswer {
        var logins = PendingLogins()
        let request = AuthorizationRequest(
            to: lab.provider, lab.configuration, redirectURI: "https://gate/user/external", browser: "B",
            entropy: (0..<96).map { UInt8($0) }, now: .zero)
        logins.add(request, now: .zero)
        return try AuthorizationAnswer(
            query: "code=C%2F1&state=\(request.state)", browser: "B", logins: &logins, now: .zero)
    }

    private func form(_ request: HTTPRequest) throws -> [String: String] {
        let text = String(decoding: try #require(request.body).exposedBytes, as: UTF8.self)
        return Dictionary(try #require(FormEncoding.decode(text)).map { ($0.name, $0.value) }) { $1 }
    }

    private func request(_ change: (inout OpenIDProvider) -> Void) throws -> HTTPRequest {
        let lab = try LabProvider()
        var provider = lab.provider
        change(&provider)
        return try TokenRequest.make(
            for: answer(lab), provider, entropy: [UInt8](repeating: 1, count: 16), now: LabProvider.now)
    }

    @Test func basicAuthenticationIsFormEncodedFirst() throws {
        let request = try request { _ in }
        #expect(request.method == .post && request.url.description == "https://op.lab.example/token")
        #expect(request.retries == .none && request.limits.redirects == 0 && request.addresses == .anywhere)
        let login = Array("gate%20house:s3cret%2B%2F%C3%BC".utf8).base64
        #expect(request.authorization == Secret(Array("Basic \(login)".utf8)))
        let form = try form(request)
        #expect(form["grant_type"] == "authorization_code" && form["code"] == "C/1" && form["code_verifier"]?.count == 43)
        #expect(form["redirect_uri"] == "https://gate/user/external" && form["client_secret"] == nil)
    }

    @Test func theSecretMayStandInTheForm() throws {
        let request = try request { $0.authentication = .post }
        #expect(request.authorization == nil)
        let form = try form(request)
        #expect(form["client_id"] == "gate house" && form["client_secret"] == "s3cret+/ü")
    }

    /// Our proof, held against our own public key set by the code that judges providers.
    @Test func aKeyProvesUs() async throws {
        let lab = try LabProvider()
        let pkcs8 = try lab.key.pkcs8
        var provider = lab.provider
        provider.authentication = .privateKey
        provider.secret = nil
        provider.key = pkcs8
        provider.certificate = lab.certificate
        #expect(provider.faults.isEmpty)
        let request = try request { $0 = provider }
        let form = try form(request)
        #expect(request.authorization == nil && form["client_secret"] == nil)
        #expect(form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        let keys = try await JSONWebKeySet(try #require(provider.publicKeySet).text())
        let jws = try CompactJWS(try #require(form["client_assertion"]))
        #expect(jws.header["x5t"]?.string?.count == 27)
        let claims = try RelyingParty.signedClaims(jws, keys: keys).tree
        #expect(claims["iss"]?.string == "gate house" && claims["sub"]?.string == "gate house")
        #expect(claims["aud"]?.string == "https://op.lab.example/token" && claims["jti"]?.string?.isEmpty == false)
        #expect(claims["iat"]?.scalar == "1795475970" && claims["exp"]?.scalar == "1795476270")
    }

    @Test func whatIsMissingIsSaid() {
        for authentication in OpenIDProvider.ClientAuthentication.allCases {
            let error = #expect(throws: OpenIDRefusal.self) {
                try request { ($0.secret, $0.authentication) = (nil, authentication) }
            }
            #expect(error?.code == .configuration)
        }
    }
}

@Suite struct TokenResponseTests {
    private func read(_ status: Int, _ body: String) throws(OpenIDRefusal) -> TokenResponse {
        try TokenResponse(HTTPResponse(status: status, body: Array(body.utf8)))
    }

    @Test func tokensAreRead() throws {
        let response = try read(
            200, #"{"id_token": "a.b.c", "access_token": "at", "token_type": "bearer", "expires_in": "3600"}"#)
        #expect(response.idToken == "a.b.c" && response.accessToken == Secret(Array("at".utf8)))
        #expect(try read(200, #"{"id_token": "a.b.c", "token_type": "Bearer"}"#).accessToken == nil)
    }

    @Test(arguments: [
        (200, #"{"access_token": "at", "token_type": "Bearer"}"#), (200, "<html>"), (200, ""), (200, "[]"), (200, "{\"id_token\":\"\"}"),
        (200, #"{"id_token": "a", "token_type": "mac"}"#), (302, ""), (400, #"{"error":"invalid_grant"}"#),
        (403, #"{"error":"invalid_code"}"#), (401, #"{"error":"invalid_client"}"#), (500, "oops"), (204, ""),
    ]) func otherAnswersAreRefused(_ status: Int, _ body: String) {
        let error = #expect(throws: OpenIDRefusal.self) { try read(status, body) }
        #expect(error?.code == .token)
    }

    @Test func aRefusalSaysWhatToDo() {
        let error = #expect(throws: OpenIDRefusal.self) { try read(401, #"{"error":"invalid_client"}"#) }
        #expect(error?.detail.contains("gatehouse idp edit") == true)
    }

    private func userInfo(_ status: Int, _ type: String, _ body: String) throws(OpenIDRefusal) -> JSONTree {
        try UserInfo.read(
            HTTPResponse(status: status, headers: [.init("Content-Type", type)], body: Array(body.utf8)))
    }

    @Test func userInfoIsRead() throws {
        #expect(try userInfo(200, "application/json;charset=utf-8", #"{"sub":"x"}"#)["sub"]?.string == "x")
        for (status, type, body) in [
            (200, "text/html", "{}"), (401, "application/json", "{}"), (200, "application/json", "[]"),
            (200, "application/jwt", "a.b.c"),
        ] {
            #expect(throws: OpenIDRefusal.self) { try userInfo(status, type, body) }
        }
    }

    @Test func userInfoIsAskedWithTheToken() throws {
        let lab = try LabProvider()
        let request = try #require(
            UserInfo.request(lab.provider, lab.configuration, accessToken: Secret(Array("at".utf8))))
        #expect(request.authorization == Secret(Array("Bearer at".utf8)) && request.url.path == "/me")
        var silent = lab.configuration
        silent.userInfoEndpoint = nil
        #expect(UserInfo.request(lab.provider, silent, accessToken: Secret([])) == nil)
    }

    /// The answer's `sub` must be the token's (OpenID Connect Core 1.0 §5.3.2).
    @Test func userInfoOfAnotherPersonIsRefused() async throws {
        let lab = try LabProvider()
        let keys = try await JSONWebKeySet(lab.keySet)
        let token = try lab.token([
            "iss": .string(LabProvider.issuer), "aud": .string("gate house"), "sub": .string("u-1"),
            "exp": LabProvider.time(300), "iat": LabProvider.time(), "nonce": .string("n"),
        ])
        let verified = try lab.provider.relyingParty.verify(token, keys: keys, nonce: "n", now: LabProvider.now)
        #expect(verified.lacksPersonalClaims)
        let own = try JSONTree.parse(#"{"sub":"u-1","email":"ada@corp.example","given_name":"Ada"}"#)
        let person = try verified.person(userInfo: own)
        #expect(person.email == "ada@corp.example" && person.firstName == "Ada" && person.nameID == "u-1")
        let other = try JSONTree.parse(#"{"sub":"u-2","email":"eve@corp.example"}"#)
        let error = #expect(throws: TokenRefusal.self) { try verified.person(userInfo: other) }
        #expect(error?.code == .userInfoMismatch)
        #expect(throws: TokenRefusal.self) { try verified.person(userInfo: try JSONTree.parse("{}")) }
    }
}

@Suite struct LogoutTokenTests {
    private static let event = JSON.object([.init("http://schemas.openid.net/event/backchannel-logout", .object([]))])

    private static let claims: [String: JSON] = [
        "iss": .string(LabProvider.issuer), "aud": .string("gate house"), "sub": .string("u-1"), "sid": .string("s-1"),
        "iat": LabProvider.time(), "exp": LabProvider.time(120), "jti": .string("j-1"), "events": event,
    ]

    private func verify(
        _ changes: [String: JSON?] = [:], header: [String: JSON] = ["typ": .string("logout+jwt")], forged: Bool = false
    ) async throws -> Result<VerifiedLogout, TokenRefusal> {
        let lab = try LabProvider()
        var claims = Self.claims
        for (name, value) in changes { claims[name] = value }
        let token = try lab.token(claims, header: header, signedBy: forged ? RSAPrivateKey.generate() : nil)
        let keys = try await JSONWebKeySet(lab.keySet)
        do throws(TokenRefusal) {
            return .success(try lab.provider.relyingParty.verifyLogout(token, keys: keys, now: LabProvider.now))
        } catch {
            return .failure(error)
        }
    }

    @Test func aLogoutIsProved() async throws {
        let logout = try await verify().get()
        #expect(logout.provider == "lab" && logout.subject == "u-1" && logout.sessionID == "s-1" && logout.tokenID == "j-1")
        #expect(try await verify(["sid": nil]).get().sessionID == nil)
        #expect(try await verify(["sub": nil]).get().subject == nil)
        #expect(try await verify(header: [:]).get().subject == "u-1")
    }

    struct Attack: Sendable {
        var changes: [String: JSON?]
        var code: TokenRefusal.Code
    }

    @Test(arguments: [
        Attack(changes: ["iss": .string("https://evil.example")], code: .issuerMismatch),
        Attack(changes: ["aud": .string("another")], code: .audienceMismatch),
        Attack(changes: ["exp": LabProvider.time(-61)], code: .expired),
        Attack(changes: ["exp": nil], code: .claimInvalid),
        Attack(changes: ["iat": nil], code: .claimInvalid),
        Attack(changes: ["iat": LabProvider.time(300)], code: .issuedInFuture),
        Attack(changes: ["iat": LabProvider.time(-800), "exp": LabProvider.time(90_000)], code: .expired),
        Attack(changes: ["sub": nil, "sid": nil], code: .claimInvalid),
        Attack(changes: ["sub": .number("7")], code: .claimInvalid),
        Attack(changes: ["events": nil], code: .wrongType),
        Attack(changes: ["events": .string("http://schemas.openid.net/event/backchannel-logout")], code: .wrongType),
        Attack(
            changes: ["events": .object([.init("http://schemas.openid.net/event/backchannel-logout", .string("x"))])],
            code: .wrongType),
        Attack(changes: ["nonce": .string("n")], code: .wrongType),
        Attack(changes: ["nonce": .null], code: .wrongType),
        Attack(changes: ["jti": nil], code: .claimInvalid),
    ]) func otherTokensAreRefused(_ attack: Attack) async throws {
        guard case .failure(let error) = try await verify(attack.changes) else {
            Issue.record("the token was accepted")
            return
        }
        #expect(error.code == attack.code, "\(error)")
    }

    @Test func signatureAndTypeCount() async throws {
        guard case .failure(let forged) = try await verify(forged: true) else {
            Issue.record("a forged token was accepted")
            return
        }
        #expect(forged.code == .signatureInvalid)
        guard case .failure(let typed) = try await verify(header: ["typ": .string("at+jwt")]) else {
            Issue.record("an access token was accepted")
            return
        }
        #expect(typed.code == .wrongType)
        guard case .failure(let none) = try await verify(header: ["alg": .string("none")]) else {
            Issue.record("an unsigned token was accepted")
            return
        }
        #expect(none.code == .algorithmNotAllowed)
    }

    /// An ID token is no log-out token, nor the other way round.
    @Test func kindsAreNotMixedUp() async throws {
        let lab = try LabProvider()
        let keys = try await JSONWebKeySet(lab.keySet)
        let token = try lab.token(Self.claims, header: ["typ": .string("logout+jwt")])
        #expect(throws: TokenRefusal.self) {
            try lab.provider.relyingParty.verify(token, keys: keys, nonce: nil, now: LabProvider.now)
        }
        let untyped = try lab.token(Self.claims)
        #expect(throws: TokenRefusal.self) {
            try lab.provider.relyingParty.verify(untyped, keys: keys, nonce: "n", now: LabProvider.now)
        }
    }

    @Test func aTokenIsUsedOnce() async throws {
        let logout = try await verify().get()
        var used = UsedLogoutTokens()
        let first = used.use(logout, clockSkew: .seconds(60), now: LabProvider.now)
        let second = used.use(logout, clockSkew: .seconds(60), now: LabProvider.now)
        #expect(first && !second)
    }

    @Test func theProvidersOwnSessionEnds() throws {
        let lab = try LabProvider()
        let url = try #require(
            EndSession.url(lab.provider, lab.configuration, returningTo: "https://gate/", email: "a@b.c"))
        #expect(
            url == "https://op.lab.example/end?client_id=gate%20house&post_logout_redirect_uri=https%3A%2F%2Fgate%2F"
                + "&logout_hint=a%40b.c")
        var okta = lab.provider
        okta.kind = .okta
        #expect(EndSession.url(okta, lab.configuration, returningTo: "https://gate/", email: nil) == nil)
    }
}

@Suite struct DocumentCacheTests {
    private let start = Tick(nanoseconds: 1_000_000_000_000)

    private enum Seen: Equatable { case use(String), fetch(String?), wait }

    private func plan(
        _ cache: inout DocumentCache<String>, _ now: Tick, source: String = "s", suffices: Bool = true
    ) -> Seen {
        switch cache.plan("p", source: source, now: now, suffices: { _ in suffices }) {
        case .use(let document): .use(document)
        case .fetch(let old): .fetch(old)
        case .wait: .wait
        }
    }

    private func filled(maxAge: Int?) -> DocumentCache<String> {
        var cache = DocumentCache<String>()
        cache.store("d", "p", source: "s", maxAge: maxAge, now: start)
        return cache
    }

    @Test func aDocumentIsKeptAsLongAsItMay() {
        var empty = DocumentCache<String>()
        #expect(plan(&empty, start) == .fetch(nil))
        var cache = filled(maxAge: 600)
        #expect(plan(&cache, start + .seconds(599)) == .use("d"))
        #expect(plan(&cache, start + .seconds(600)) == .fetch("d"))
        #expect(plan(&cache, start + .seconds(600 + 24 * 3600)) == .fetch(nil), "beyond the grace it is worth nothing")
        #expect(plan(&cache, start, source: "elsewhere") == .fetch(nil))
    }

    @Test func lifetimesAreBounded() {
        var (never, ever, unsaid) = (filled(maxAge: 0), filled(maxAge: .max), filled(maxAge: nil))
        #expect(plan(&never, start + .seconds(299)) == .use("d"))
        #expect(plan(&ever, start + .seconds(24 * 3600)) == .fetch("d"))
        #expect(plan(&unsaid, start + .seconds(3599)) == .use("d"))
    }

    /// A rotated key is had at once; an attacker who makes up key names causes one refetch in five minutes.
    @Test func unknownKeysRefetchNowAndThen() {
        var cache = filled(maxAge: 86_400)
        let later = start + .seconds(10)
        #expect(plan(&cache, later, suffices: false) == .fetch("d"))
        cache.store("e", "p", source: "s", maxAge: 86_400, now: later)
        #expect(plan(&cache, later + .seconds(299), suffices: false) == .use("e"))
        #expect(plan(&cache, later + .seconds(300), suffices: false) == .fetch("e"))
    }

    @Test func anOutageLeavesTheOldDocument() {
        var cache = filled(maxAge: 600)
        let late = start + .seconds(700)
        cache.fail("p", source: "s", now: late)
        #expect(plan(&cache, late + .seconds(9)) == .use("d"))
        #expect(plan(&cache, late + .seconds(10)) == .fetch("d"))
        var empty = DocumentCache<String>()
        empty.fail("p", source: "s", now: start)
        #expect(plan(&empty, start + .seconds(9)) == .wait)
        #expect(plan(&empty, start + .seconds(10)) == .fetch(nil))
        cache.remove("p")
        #expect(plan(&cache, late) == .fetch(nil))
    }

    @Test func aSetKnowsItsKeys() async throws {
        let lab = try LabProvider()
        let keys = try await JSONWebKeySet(lab.keySet)
        #expect(keys.mayHaveKey(of: try lab.token([:])))
        #expect(!keys.mayHaveKey(of: try lab.token([:], header: ["kid": .string("new")])))
        #expect(keys.mayHaveKey(of: try lab.token([:], header: ["kid": .string("new"), "alg": .string("HS256")])))
        #expect(keys.mayHaveKey(of: "rubbish"))
    }
}
