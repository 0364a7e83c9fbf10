public import Base
public import Cryptography
public import HTTP
import JSONText

/// A token that opens an API, for as long as its issuer says. In memory only.
public struct AccessToken: Hashable, Sendable {
    public var value: Secret
    /// On the monotonic clock, from before the token was asked for.
    public var expiresAt: Tick
    /// From here on a new one is asked for while this one still serves.
    public var renewAt: Tick

    /// For an answer that does not say.
    static let usualLife = Tick.Span.seconds(300)
    /// Longer than any that is given out; a longer one is asked for anew by then.
    static let longestLife = Tick.Span.seconds(24 * 3600)
    /// Renewed when less than this is left, or a tenth of its life when that is less.
    static let margin = Tick.Span.seconds(300)

    public init(_ value: Secret, life: Tick.Span, askedAt: Tick) {
        self.value = value
        expiresAt = askedAt + life
        renewAt = expiresAt - min(Self.margin, Tick.Span(nanoseconds: life.nanoseconds / 10))
    }

    /// Reads the answer of a token endpoint (RFC 6749 §5.1).
    ///
    /// - Parameters:
    ///   - askedAt: when the request was made.
    ///   - wall: the time of day when the answer came, for a clock that is wrong.
    /// - Throws: ``OAuthRefusal``.
    public init(_ response: HTTPResponse, grant: OAuthGrant, askedAt: Tick, wall: WallTime) throws(OAuthRefusal) {
        func refused(_ reason: OAuthRefusal.Reason, _ detail: String) -> OAuthRefusal {
            var refusal = OAuthRefusal(
                connection: grant.connection, host: grant.endpoint.authority, reason: reason, detail: detail)
            refusal.status = response.status
            if let theirs = response["date"].flatMap(HTTPDate.parse) {
                let (difference, isAbsurd) = theirs.nanoseconds.subtractingReportingOverflow(wall.nanoseconds)
                let seconds = difference / 1_000_000_000
                if !isAbsurd, abs(seconds) > 60 { refusal.clockDifferenceSeconds = Int(seconds) }
            }
            return refusal
        }
        let tree = String(validating: response.body, as: UTF8.self).flatMap { try? JSONTree.parse($0) }
        guard response.status == 200 else {
            // A proxy in between may turn the answer into HTML: then the status is all there is.
            guard let error = tree?["error"]?.string, error.utf8.count <= 100,
                error.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
            else { throw refused(.unreadable, "it answered with status \(response.status) and no reason") }
            throw refused(.refused(error), Self.sentence(tree?["error_description"]?.string) ?? "")
        }
        guard let tree, tree.isObject else { throw refused(.unreadable, "its answer is not a JSON object") }
        guard let value = tree["access_token"]?.string, !value.isEmpty,
            value.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw refused(.unreadable, "its answer has no access token") }
        guard tree["token_type"]?.string?.lowercased() ?? "bearer" == "bearer" else {
            throw refused(.unreadable, "it gave a token of a kind that is not known")
        }
        var life = Self.usualLife
        if let seconds = tree["expires_in"]?.scalar.flatMap(Double.init), seconds > 0 {
            life = min(Self.longestLife, Tick.Span(nanoseconds: Int64(min(seconds, 1e6) * 1e9)))
        }
        self.init(Secret(Array(value.utf8)), life: life, askedAt: askedAt)
    }

    /// The first sentence of a provider's words, without what only its support can use.
    private static func sentence(_ text: String?) -> String? {
        guard let text else { return nil }
        let line = text.prefix { !$0.isNewline }.prefix(200)
        let end = line.firstRange(of: " Trace ID:")?.lowerBound ?? line.endIndex
        let clean = line[..<end].filter { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }
        return clean.isEmpty ? nil : String(clean)
    }
}

/// Why there is no access token, in words for the administrator. Holds no secret.
public struct OAuthRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        /// An error code of the token endpoint (RFC 6749 §5.2).
        case refused(String)
        /// An answer that is none of a token endpoint: another try may help.
        case unreadable
        /// Our own key does not sign.
        case key
    }

    public var connection: String
    public var host: String
    public var reason: Reason
    /// One clause, which may be empty.
    public var detail: String
    public var status: Int?
    /// Seconds that the other side's clock is ahead of ours, where that is more than a minute.
    public var clockDifferenceSeconds: Int?

    public init(connection: String, host: String, reason: Reason, detail: String) {
        self.connection = connection
        self.host = host
        self.reason = reason
        self.detail = detail
    }

    /// Whether it stays so until somebody changes the configuration.
    public var isFinal: Bool {
        switch reason {
        case .refused(let code):
            ["invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope", "invalid_request",
                "access_denied", "unsupported_grant_type", "use_dpop_nonce", "invalid_dpop_proof"].contains(code)
        case .unreadable: false
        case .key: true
        }
    }

    public var description: String {
        var text: String
        switch reason {
        case .refused(let code):
            text = "\(host) gave no access token to '\(connection)' (\(status.map { "\($0), " } ?? "")\(code))"
            let advice = clockDifferenceSeconds == nil ? Self.advice(code) : nil
            text += (detail.isEmpty ? "." : ": \(detail)" + (detail.hasSuffix(".") ? "" : "."))
                + (advice.map { " " + $0 } ?? "")
        case .unreadable, .key: text = "\(host) gave no access token to '\(connection)': \(detail)."
        }
        if let seconds = clockDifferenceSeconds {
            text += " Its clock is \(abs(seconds)) s \(seconds > 0 ? "ahead of" : "behind") ours: set this gateway's clock."
        }
        return text
    }

    private static func advice(_ code: String) -> String? {
        switch code {
        case "invalid_client": "Client ID or secret are wrong, or the secret has expired: make a new one and give it to us."
        case "invalid_grant": "The key is not, or no longer, that of this account, or the account may not do this."
        case "unauthorized_client": "Allow this client the permissions in the vendor's console, by an administrator there."
        case "invalid_scope", "access_denied": "Grant this client the permissions that it asks for."
        case "use_dpop_nonce", "invalid_dpop_proof":
            "Turn off 'Require DPoP' for this application in the vendor's console."
        default: nil
        }
    }
}
