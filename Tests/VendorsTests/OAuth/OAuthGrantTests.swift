import Base
import Cryptography
import HTTP
import Identity
import JSONText
import TestCertificates
import Testing

@testable import Vendors

@Suite struct OAuthGrantTests {
    static let wall = WallTime(rfc3339: "2026-01-15T10:00:00Z")!
    static let endpoint = WebURL("https://login.example/t/oauth2/v2.0/token")!

    static func grant(_ proof: OAuthGrant.Proof) -> OAuthGrant {
        OAuthGrant(
            connection: "defender", endpoint: endpoint, clientID: "client", proof: proof, scopes: ["a/.default", "b"])
    }

    /// The form of a request.
    static func form(_ request: HTTPRequest) throws -> [String: String] {
        let body = String(decoding: try #require(request.body).exposedBytes, as: UTF8.self)
        return Dictionary(
            try #require(FormEncoding.decode(body)).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    @Test func aSecretGoesIntoTheForm() throws {
        let grant = Self.grant(.secret(Secret(Array("s3cret+/&".utf8))))
        let request = try grant.request(entropy: [1, 2, 3], now: Self.wall)
        #expect(request.method == .post && request.url == Self.endpoint && request.authorization == nil)
        #expect(
            try Self.form(request) == [
                "grant_type": "client_credentials", "client_id": "client", "client_secret": "s3cret+/&",
                "scope": "a/.default b",
            ])
        #expect(!request.description.contains("s3cret") && !"\(grant)".contains("s3cret"))
    }

    /// The claims of a signed assertion whose signature is that of `key`.
    private func claims(_ text: String, header: inout JSONTree?, key: TestKey) throws -> JSONTree {
        let parts = text.split(separator: ".").map { Base64URL.decode(Array($0.utf8)) ?? [] }
        try #require(parts.count == 3)
        let signed = text.split(separator: ".")[0...1].joined(separator: ".")
        let certificate = TestCertificate(.init("client"), key: key)
        let publicKey = try #require(CertificateText.read(Array(certificate.pem.utf8)).first).publicKey
        #expect(publicKey.verifiesPKCS1(parts[2], of: Array(signed.utf8), hash: .sha256))
        header = try JSONTree.parse(String(decoding: parts[0], as: UTF8.self))
        return try JSONTree.parse(String(decoding: parts[1], as: UTF8.self))
    }

    @Test func aKeySignsAProofOfTheClient() throws {
        let key = TestKey(.rsa2048)
        let grant = Self.grant(.privateKey(.init(Secret(Array(key.pem.utf8)), id: "k1", thumbprint: "x5")))
        let form = try Self.form(try grant.request(entropy: [1, 2, 3], now: Self.wall))
        #expect(form["grant_type"] == "client_credentials" && form["scope"] == "a/.default b")
        #expect(form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        var header: JSONTree?
        let claims = try claims(try #require(form["client_assertion"]), header: &header, key: key)
        #expect(header?["alg"]?.string == "RS256" && header?["kid"]?.string == "k1" && header?["x5t"]?.string == "x5")
        #expect(claims["iss"]?.string == "client" && claims["sub"]?.string == "client")
        #expect(claims["aud"]?.string == Self.endpoint.description && claims["jti"]?.string == "AQID")
        let now = Self.wall.nanoseconds / 1_000_000_000
        #expect(claims["iat"]?.scalar == "\(now - 30)" && claims["exp"]?.scalar == "\(now + 270)")
    }

    @Test func aServiceAccountActsAsAUser() throws {
        let key = TestKey(.rsa2048)
        let grant = Self.grant(.bearer(.init(Secret(Array(key.pem.utf8)), id: "k2"), subject: "admin@corp.example"))
        let form = try Self.form(try grant.request(entropy: [9], now: Self.wall))
        #expect(form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer" && form["scope"] == nil)
        #expect(form["client_id"] == nil)
        var header: JSONTree?
        let claims = try claims(try #require(form["assertion"]), header: &header, key: key)
        #expect(claims["sub"]?.string == "admin@corp.example" && claims["scope"]?.string == "a/.default b")
    }

    @Test func aKeyThatIsNoneIsSaid() {
        let grant = Self.grant(.privateKey(.init(Secret(Array("no key".utf8)))))
        #expect(throws: OAuthRefusal.self) { try grant.request(entropy: [1], now: Self.wall) }
    }
}

@Suite struct AccessTokenTests {
    private let grant = OAuthGrantTests.grant(.secret(Secret([1])))
    private let asked = Tick(nanoseconds: 5_000_000_000)

    private func read(_ status: Int, _ body: String, date: String? = nil) throws -> AccessToken {
        let headers = date.map { [HTTPResponse.Header("Date", $0)] } ?? []
        return try AccessToken(
            HTTPResponse(status: status, headers: headers, body: Array(body.utf8)), grant: grant, askedAt: asked,
            wall: OAuthGrantTests.wall)
    }

    @Test(arguments: [
        (#"{"token_type":"Bearer","expires_in":3599,"access_token":"abc"}"#, 3599, 300),
        (#"{"token_type":"bearer","expires_in":"600","access_token":"abc"}"#, 600, 60),
        (#"{"access_token":"abc"}"#, 300, 30),
        // No number is too large, and what is no number says nothing.
        (#"{"expires_in":1e300,"access_token":"abc"}"#, 86_400, 300),
        (#"{"expires_in":"inf","access_token":"abc"}"#, 86_400, 300),
        (#"{"expires_in":"nan","access_token":"abc"}"#, 300, 30),
        (#"{"expires_in":-9223372036854775808,"access_token":"abc"}"#, 300, 30),
    ])
    func livesAsLongAsItIsSaid(_ body: String, _ life: Int, _ margin: Int) throws {
        let token = try read(200, body)
        #expect(token.value.exposedBytes == Array("abc".utf8))
        #expect(token.expiresAt == asked + .seconds(life) && token.renewAt == asked + .seconds(life - margin))
    }

    @Test func aRefusalSaysWhatToDo() throws {
        do {
            _ = try read(
                401,
                """
                {"error":"invalid_client","error_description":"AADSTS7000222: The keys are expired. Trace ID: 1 Corr"}
                """)
            Issue.record("a token from a refusal")
        } catch let refusal as OAuthRefusal {
            #expect(refusal.isFinal && refusal.clockDifferenceSeconds == nil)
            #expect(
                refusal.description == "login.example gave no access token to 'defender' (401, invalid_client): "
                    + "AADSTS7000222: The keys are expired. Client ID or secret are wrong, or the secret has expired: make a "
                    + "new one and give it to us.")
        }
    }

    @Test func aWrongClockIsSeen() throws {
        do {
            _ = try read(400, #"{"error":"invalid_grant"}"#, date: "Thu, 15 Jan 2026 10:05:00 GMT")
            Issue.record("a token from a refusal")
        } catch let refusal as OAuthRefusal {
            #expect(refusal.clockDifferenceSeconds == 300)
            #expect(refusal.description.contains("300 s ahead of ours"))
        }
    }

    /// From before any computer had a clock: such a header is none.
    @Test(arguments: ["Fri, 01 Jan 1700 00:00:00 GMT", "Tue, 21 Sep 1677 00:12:44 GMT", "Wed, 31 Dec 1969 23:59:59 GMT"])
    func aClockOfAnotherCenturyIsNoClock(_ date: String) throws {
        #expect(HTTPDate.parse(date) == nil)
        do {
            _ = try read(400, #"{"error":"invalid_grant"}"#, date: date)
            Issue.record("a token from a refusal")
        } catch let refusal as OAuthRefusal {
            #expect(refusal.clockDifferenceSeconds == nil)
        }
        // Ours counts in the place of theirs.
        let headers = [HTTPResponse.Header("Retry-After", "Thu, 15 Jan 2026 10:00:30 GMT"), .init("Date", date)]
        #expect(RetryAfter.pause(HTTPResponse(status: 429, headers: headers), wall: OAuthGrantTests.wall) == .seconds(30))
    }

    @Test func theLastMomentThatADateCanSayIsAClock() throws {
        do {
            _ = try read(400, #"{"error":"invalid_grant"}"#, date: "Fri, 11 Apr 2262 23:47:16 GMT")
            Issue.record("a token from a refusal")
        } catch let refusal as OAuthRefusal {
            let wall = OAuthGrantTests.wall.nanoseconds / 1_000_000_000
            #expect(refusal.clockDifferenceSeconds == Int(9_223_372_036 - wall))
        }
    }

    @Test(arguments: [
        (502, "<html>Bad Gateway</html>"), (200, "<html>sign in</html>"), (200, "[]"), (200, "{}"),
        (200, #"{"access_token":"a b"}"#), (200, #"{"access_token":"a","token_type":"DPoP"}"#), (500, #"{"error":""}"#),
    ])
    func whatIsNoAnswerMayBeTriedAgain(_ status: Int, _ body: String) throws {
        do {
            _ = try read(status, body)
            Issue.record("a token from \(body)")
        } catch let refusal as OAuthRefusal {
            #expect(refusal.isFinal == (body == #"{"error":""}"# ? refusal.isFinal : false))
            #expect(!refusal.description.contains("<html>"))
        }
    }
}

@Suite struct TokenCacheTests {
    private let grant = OAuthGrantTests.grant(.secret(Secret([1])))
    private func at(_ seconds: Int) -> Tick { Tick.zero + .seconds(seconds) }
    private func token(_ name: String, at seconds: Int) -> AccessToken {
        AccessToken(Secret(Array(name.utf8)), life: .seconds(3600), askedAt: at(seconds))
    }
    private let final = {
        OAuthRefusal(connection: "defender", host: "login.example", reason: .refused("invalid_client"), detail: "")
    }()

    @Test func oneFetchesAndTheOthersWait() {
        var cache = TokenCache()
        #expect(cache.plan(grant, now: at(0)) == .fetch)
        #expect(cache.plan(grant, now: at(1)) == .wait)
        let first = token("a", at: 0)
        cache.store(first, for: grant)
        #expect(cache.plan(grant, now: at(2)) == .use(first))
        #expect(cache.plan(grant, now: at(3299)) == .use(first))
    }

    @Test func isRenewedWhileItLives() {
        var cache = TokenCache()
        let old = token("a", at: 0)
        cache.store(old, for: grant)
        #expect(cache.plan(grant, now: at(3301)) == .fetch)
        // Meanwhile nobody waits.
        #expect(cache.plan(grant, now: at(3302)) == .use(old))
        #expect(cache.fail(nil, for: grant, now: at(3303)) == old)
        #expect(cache.plan(grant, now: at(3304)) == .use(old))
        #expect(cache.plan(grant, now: at(3309)) == .fetch)
        #expect(cache.fail(final, for: grant, now: at(3601)) == nil)
        #expect(cache.plan(grant, now: at(3602)) == .refused(final))
    }

    @Test func aFinalRefusalRestsForAnHourOrUntilAChange() {
        var cache = TokenCache()
        #expect(cache.plan(grant, now: at(0)) == .fetch)
        #expect(cache.fail(final, for: grant, now: at(1)) == nil)
        #expect(cache.plan(grant, now: at(3600)) == .refused(final))
        #expect(cache.plan(grant, now: at(3601)) == .fetch)
        _ = cache.fail(final, for: grant, now: at(3602))
        cache.forget(connection: "defender")
        #expect(cache.plan(grant, now: at(3603)) == .fetch)
        // Another secret is another grant.
        #expect(cache.plan(OAuthGrantTests.grant(.secret(Secret([2]))), now: at(3604)) == .fetch)
    }

    @Test func onlyTheRefusedTokenIsDropped() {
        var cache = TokenCache()
        let (old, new) = (token("a", at: 0), token("b", at: 10))
        cache.store(new, for: grant)
        cache.drop(old.value, for: grant)
        #expect(cache.plan(grant, now: at(11)) == .use(new))
        cache.drop(new.value, for: grant)
        #expect(cache.plan(grant, now: at(12)) == .fetch)
    }
}
