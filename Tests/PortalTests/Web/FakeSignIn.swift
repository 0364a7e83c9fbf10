import Base
import Identity
import Synchronization

@testable import Portal

/// A gateway that says what a test wants it to say, and remembers what it was asked.
final class FakeSignIn: SignInAPI {
    struct State {
        var choices: [SignInChoice] = [SignInChoice(id: "okta", title: "Okta")]
        var carrier = AuthnRequest.Carrier.redirect("https://idp.example/sso?SAMLRequest=x")
        var problem: SignInProblem?
        var standing: Standing?
        var logoutLocation: String?
        var metadata: [String: String] = [:]

        var browsers: [String] = []
        var beganAt: [IPAddress] = []
        var finished: [Finished] = []
        var signedOut: [IPAddress] = []
        var logoutQueries: [String] = []
    }

    struct Finished: Equatable {
        var message: String
        var relayState: String?
        var browser: String?
        var address: IPAddress
    }

    private let state = Mutex(State())

    func with<Value: Sendable>(_ body: (inout sending State) -> sending Value) -> Value { state.withLock { body(&$0) } }

    private func refuse() throws(SignInProblem) {
        if let problem = state.withLock({ $0.problem }) { throw problem }
    }

    func signInChoices() async -> [SignInChoice] { with { $0.choices } }

    func beginSignIn(
        provider: String, browser: String, address: IPAddress
    ) async throws(SignInProblem) -> AuthnRequest.Carrier {
        try refuse()
        return with {
            $0.browsers.append(browser)
            $0.beganAt.append(address)
            return $0.carrier
        }
    }

    func finishSignIn(
        message: [UInt8], relayState: String?, browser: String?, address: IPAddress
    ) async throws(SignInProblem) {
        try refuse()
        with {
            $0.finished.append(
                Finished(
                    message: String(decoding: message, as: UTF8.self), relayState: relayState, browser: browser,
                    address: address))
        }
    }

    func standing(at address: IPAddress) async -> Standing? { with { $0.standing } }

    func signOut(at address: IPAddress) async -> String? {
        with {
            $0.signedOut.append(address)
            return $0.logoutLocation
        }
    }

    func receiveLogout(query: String) async throws(SignInProblem) -> String? {
        try refuse()
        return with {
            $0.logoutQueries.append(query)
            return $0.logoutLocation
        }
    }

    func finishSignIn(query: String, browser: String?, address: IPAddress) async throws(SignInProblem) {
        try refuse()
        with { $0.finished.append(Finished(message: query, relayState: nil, browser: browser, address: address)) }
    }

    func receiveLogout(token: String) async -> Bool {
        with {
            $0.logoutQueries.append(token)
            return $0.problem == nil
        }
    }

    func metadata(provider: String) async -> String? { with { $0.metadata[provider] } }
}

extension Standing {
    static let ada = Standing(
        name: "Ada <b>Lovelace</b>", email: "ada@example.org",
        sites: [Site(name: "Production & more", networks: ["10.2.0.0/16", "10.3.0.0/16"])],
        expiresAt: WallTime(rfc3339: "2026-11-29T18:00:00Z")!, logoutOrigin: "https://idp.example")
}
