import Base
import Cryptography
import HTTP
@testable import Identity
import JSONText

/// What reaches an OpenID relying party from outside: the first byte says by which door.
func fuzzOpenIDInput(_ bytes: [UInt8]) {
    var input = InputReader(bytes)
    let door = input.byte() % 6
    let rest = input.remainder()
    switch door {
    case 0: fuzzAnswer(String(decoding: rest, as: UTF8.self))
    case 1:
        do throws(OpenIDRefusal) {
            let configuration = try OpenIDConfiguration(rest, issuer: issuer)
            precondition(configuration.issuer == issuer, "another issuer's document is accepted")
        } catch {
            require(error)
        }
    case 2: fuzzTokens(rest)
    case 3: fuzzToken(String(decoding: rest, as: UTF8.self))
    case 4: fuzzURL(String(decoding: rest, as: UTF8.self))
    default: fuzzHeaders(String(decoding: rest, as: UTF8.self))
    }
}

/// A query at the redirect URI, for a sign-in that waits under the state `s` in the browser `b`.
private func fuzzAnswer(_ query: String) {
    var logins = PendingLogins()
    logins.add(waiting, now: .zero)
    do throws(OpenIDRefusal) {
        let answer = try AuthorizationAnswer(query: query, browser: "b", logins: &logins, now: .zero)
        precondition(query.contains("s") && answer.code.count > 0, "an answer without a state or a code")
        precondition(logins.count == 0, "an answer that can be given again")
    } catch {
        require(error)
    }
    var others = PendingLogins()
    others.add(waiting, now: .zero)
    precondition(
        (try? AuthorizationAnswer(query: query, browser: "c", logins: &others, now: .zero)) == nil && others.count == 1,
        "another browser's answer is accepted, or ends the sign-in")
}

/// The bodies of the token and the user-info endpoint.
private func fuzzTokens(_ body: [UInt8]) {
    for status in [200, 400] {
        let response = HTTPResponse(status: status, headers: [.init("Content-Type", "application/json")], body: body)
        do throws(OpenIDRefusal) {
            let tokens = try TokenResponse(response)
            precondition(!tokens.idToken.isEmpty, "no ID token is accepted as one")
        } catch {
            require(error)
        }
        do throws(OpenIDRefusal) { _ = try UserInfo.read(response) } catch { require(error) }
        precondition((TokenResponse.error(in: response)?.utf8.count ?? 0) <= 100, "an error that no one can read")
    }
}

/// A token, taken apart before its signature is looked at.
private func fuzzToken(_ token: String) {
    do throws(TokenRefusal) {
        let jws = try CompactJWS(token)
        precondition(jws.header.isObject, "a header that is no object")
    } catch {
        precondition(!error.detail.isEmpty && error.detail.utf8.count < 8192, "a refusal that no one can read")
    }
    if let claimed = RelyingParty.issuer(claimedBy: token) {
        let party = RelyingParty(name: "x", provider: .generic, issuer: issuer, clientID: "c")
        precondition(party.mayIssue(as: claimed) == (claimed == issuer), "another issuer's token is held against our keys")
    }
}

/// A URL from a document or a redirect: what is read reads again as itself, and never names a user or another scheme.
private func fuzzURL(_ text: String) {
    for url in [WebURL(text), WebURL("https://a.example/b/c?d")?.resolving(text)].compactMap(\.self) {
        precondition(WebURL(url.description) == url, "a URL that reads otherwise when it is written")
        precondition(url.description.hasPrefix("https://") && !url.authority.contains("@"), "a URL that misleads")
    }
    guard let pairs = FormEncoding.decode(text) else { return }
    let again = FormEncoding.decode(FormEncoding.encode(pairs.map { ($0.name, $0.value) }))
    precondition(again?.map(\.value) == pairs.map(\.value), "a form that reads otherwise when it is written")
}

/// Headers of an answer.
private func fuzzHeaders(_ text: String) {
    let response = HTTPResponse(
        status: 429,
        headers: ["Retry-After", "Cache-Control", "Date", "Content-Type", "Location"].map { .init($0, text) })
    if let pause = RetryAfter.pause(response, wall: WallTime(nanoseconds: 0)) {
        precondition(pause >= .zero && pause <= RetryAfter.limit, "a pause without an end")
    }
    precondition((response.maxAge ?? 0) >= 0, "an age below zero")
    _ = response.contentType
}

private func require(_ refusal: OpenIDRefusal) {
    precondition(!refusal.detail.isEmpty && refusal.detail.utf8.count < 8192, "a refusal that no one can read")
}

private let issuer = "https://op.lab.example"

private let waiting: AuthorizationRequest = {
    guard let configuration = try? OpenIDConfiguration(Array(document.utf8), issuer: issuer) else {
        preconditionFailure("the document of this target cannot be read")
    }
    var request = AuthorizationRequest(
        to: OpenIDProvider(id: "lab", kind: .oidc, issuer: issuer, clientID: "c"), configuration,
        redirectURI: "https://gw.lab.example/user/external", browser: "b",
        entropy: [UInt8](repeating: 7, count: AuthorizationRequest.entropyLength), now: .zero)
    request.state = "s"
    return request
}()

private let document = """
    {"issuer": "https://op.lab.example", "authorization_endpoint": "https://op.lab.example/a", "token_endpoint": \
    "https://op.lab.example/t", "jwks_uri": "https://keys.lab.example/k", "userinfo_endpoint": null, \
    "response_types_supported": ["code"], "authorization_response_iss_parameter_supported": false}
    """

func openIDInputSeeds() -> [[UInt8]] {
    let texts = [
        "\u{0}code=C%2F1&state=s&iss=https%3A%2F%2Fop.lab.example&session_state=x", "\u{0}error=access_denied&state=s",
        "\u{1}" + document,
        "\u{2}{\"id_token\": \"a.b.c\", \"access_token\": \"t\", \"token_type\": \"Bearer\", \"expires_in\": \"60\"}",
        "\u{2}{\"error\": \"invalid_grant\", \"error_description\": \"x\"}",
        "\u{3}eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL29wLmxhYi5leGFtcGxlIn0.c2ln",
        "\u{4}https://[2001:db8::1]:8443/a/b?c=d%20e+f", "\u{4}//b.example/x#y", "\u{5}Sun, 06 Nov 1994 08:49:37 GMT",
        "\u{5}public, max-age=600", "\u{5}1.5",
    ]
    return texts.map { Array($0.utf8) }
}
