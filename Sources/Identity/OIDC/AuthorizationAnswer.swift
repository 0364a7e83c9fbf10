public import Base
public import Cryptography
import HTTP

/// What a provider had the browser bring to our redirect URI (OpenID Connect Core 1.0 §3.1.2.5): a code, and the
/// sign-in that it answers.
public struct AuthorizationAnswer: Sendable {
    /// Bytes of a query that are read, and of a code.
    static let queryLimit = 16 * 1024
    static let codeLimit = 4096

    /// Good for one token request.
    public var code: Secret
    public var login: PendingLogin

    /// Reads the query, and uses up the sign-in that it answers, whatever comes of it.
    ///
    /// - Parameters:
    ///   - query: as it stood in the request, without the question mark.
    ///   - browser: the secret of the browser's cookie, if it sent one.
    /// - Throws: ``OpenIDRefusal``; what the provider says of its reasons is not repeated but for its code.
    public init(
        query: String, browser: String?, logins: inout PendingLogins, now: Tick
    ) throws(OpenIDRefusal) {
        guard query.utf8.count <= Self.queryLimit else {
            throw OpenIDRefusal(.answer, "The answer is longer than \(Self.queryLimit) bytes.")
        }
        guard let pairs = FormEncoding.decode(query) else {
            throw OpenIDRefusal(.answer, "The answer's query is damaged.")
        }
        let states = pairs.filter { $0.name == "state" }.map(\.value)
        // Before anything else: an answer that is refused has had its chance too.
        let login = states.compactMap { logins.take($0, browser: browser, now: now) }.first
        var values: [String: String] = [:]
        for pair in pairs {
            // RFC 6749 §3.1: no parameter stands twice.
            guard values.updateValue(pair.value, forKey: pair.name) == nil else {
                throw OpenIDRefusal(.answer, "The answer says \(pair.name.quoted) twice.")
            }
        }
        guard let state = values["state"], !state.isEmpty else {
            throw OpenIDRefusal(.answer, "The answer names no state: it belongs to no sign-in.")
        }
        guard let login else {
            throw OpenIDRefusal(
                .state, "No sign-in of this browser waits for that answer: it is too late, a repetition, or another's.")
        }
        if let issuer = values["iss"] {
            guard issuer == login.configuration.issuer else {
                throw OpenIDRefusal(
                    .mixUp, "The answer is from \(issuer.quoted); asked was \(login.configuration.issuer.quoted).")
            }
        } else if login.configuration.answersNameIssuer {
            throw OpenIDRefusal(.mixUp, "The answer does not name its issuer, which this provider always does.")
        }
        if let error = values["error"] {
            guard values["code"] == nil else {
                throw OpenIDRefusal(.answer, "The answer holds a code and an error.")
            }
            throw OpenIDRefusal(.denied, "The provider refused: \(Self.meaning(error)).")
        }
        guard let code = values["code"], !code.isEmpty else {
            throw OpenIDRefusal(.answer, "The answer holds no code.")
        }
        guard code.utf8.count <= Self.codeLimit else {
            throw OpenIDRefusal(.answer, "The code is longer than \(Self.codeLimit) bytes.")
        }
        self.code = Secret(Array(code.utf8))
        self.login = login
    }

    /// An answer with a code that no provider gave: to see whether the token endpoint refuses the code or us.
    public static func probe(
        _ provider: OpenIDProvider, _ configuration: OpenIDConfiguration, redirectURI: String, entropy: [UInt8]
    ) -> AuthorizationAnswer {
        let request = AuthorizationRequest(
            to: provider, configuration, redirectURI: redirectURI, browser: "", entropy: entropy, now: .zero)
        return AuthorizationAnswer(code: Secret(Array(request.state.utf8)), login: request.login)
    }

    private init(code: Secret, login: PendingLogin) {
        self.code = code
        self.login = login
    }

    /// What the standard errors mean to an administrator (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6).
    private static func meaning(_ error: String) -> String {
        let meaning =
            switch error {
            case "access_denied": "the person declined, or is not assigned to this application"
            case "unauthorized_client": "this client may not use the authorization code flow"
            case "invalid_scope": "a scope is not allowed for this application"
            case "invalid_request": "it does not like our request; is the redirect URI registered?"
            case "login_required", "interaction_required", "consent_required": "it could not ask the person"
            case "server_error", "temporarily_unavailable": "it has trouble of its own; try again"
            default: ""
            }
        return error.quoted + (meaning.isEmpty ? "" : " (\(meaning))")
    }
}
