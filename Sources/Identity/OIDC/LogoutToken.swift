public import Base
import HTTP
import JSONText

/// A provider's word that a session has ended (OpenID Connect Back-Channel Logout 1.0), proved. Only
/// ``RelyingParty/verifyLogout(_:keys:now:)`` makes one.
public struct VerifiedLogout: Hashable, Sendable {
    /// The identifier of the provider's configuration here.
    public let provider: String
    public let issuer: String
    /// Whose sessions end; nil where only one session is named.
    public let subject: String?
    /// The provider's session that ended; nil where all of the subject's did.
    public let sessionID: String?
    /// Names this token: it is used once.
    public let tokenID: String
    /// Until then the token could be used again.
    public let expires: WallTime

    init(
        provider: String, issuer: String, subject: String?, sessionID: String?, tokenID: String, expires: WallTime
    ) {
        self.provider = provider
        self.issuer = issuer
        self.subject = subject
        self.sessionID = sessionID
        self.tokenID = tokenID
        self.expires = expires
    }
}

extension RelyingParty {
    /// The issuer that a token claims, unproved: only to choose whose keys to hold it against.
    public static func issuer(claimedBy token: String) -> String? {
        guard let jws = try? CompactJWS(token), let claims = try? CompactJWS.object(jws.payload, "payload") else {
            return nil
        }
        return claims["iss"]?.string
    }

    /// Whether the issuer of a token can be this provider's, before anything is proved.
    public func mayIssue(as issuer: String) -> Bool {
        let parts = self.issuer.split(separator: Self.tenantTemplate, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return issuer == self.issuer }
        return issuer.hasPrefix(parts[0]) && issuer.hasSuffix(parts[1])
    }

    /// What stands in `events` of a log-out token (OpenID Connect Back-Channel Logout 1.0 §2.4).
    static let logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
    /// How old a log-out token may be, besides the clocks' difference: its `exp` may be far away.
    static let logoutAge = Tick.Span.seconds(10 * 60)

    /// Proves a log-out token in the order of OpenID Connect Back-Channel Logout 1.0 §2.6.
    ///
    /// - Throws: ``TokenRefusal`` with the first check that fails. That it was not used before is the caller's to check.
    public func verifyLogout(
        _ token: String, keys: JSONWebKeySet, now: WallTime
    ) throws(TokenRefusal) -> VerifiedLogout {
        let jws = try CompactJWS(token)
        if let type = jws.type?.lowercased(), !["logout+jwt", "application/logout+jwt", "jwt"].contains(type) {
            throw TokenRefusal(.wrongType, "This is no log-out token: its type is \(shown(jws.type ?? "")).")
        }
        let claims = try Self.signedClaims(jws, keys: keys)
        let tree = claims.tree
        let issuer = try checkIssuer(tree, keyIssuer: claims.keyIssuer)
        try checkAudience(tree)
        let expires = try checkTimes(tree, now: now)
        if let issued = tree["iat"].flatMap(VerifiedIDToken.time) {
            guard issued + clockSkew + Self.logoutAge > now else {
                throw TokenRefusal(.expired, "The log-out token was issued at \(issued.rfc3339), too long ago.")
            }
        }
        let subject = try tree["sub"].map { (_) throws(TokenRefusal) in try Self.text(tree, "sub") }
        let sessionID = try tree["sid"].map { (_) throws(TokenRefusal) in try Self.text(tree, "sid") }
        guard subject != nil || sessionID != nil else {
            throw TokenRefusal(.claimInvalid, "The log-out token names neither a person (sub) nor a session (sid).")
        }
        guard tree["events"]?[Self.logoutEvent]?.isObject == true else {
            throw TokenRefusal(.wrongType, "This is no log-out token: its events do not say so.")
        }
        // An ID token must never pass for this, nor this for one.
        if case .object(let members) = tree.value, members["nonce"] != nil {
            throw TokenRefusal(.wrongType, "A log-out token never holds a nonce.")
        }
        let tokenID = try Self.text(tree, "jti")
        guard tokenID.utf8.count <= 255 else {
            throw TokenRefusal(.claimInvalid, "The claim 'jti' is longer than 255 bytes.")
        }
        return VerifiedLogout(
            provider: name, issuer: issuer, subject: subject, sessionID: sessionID, tokenID: tokenID, expires: expires)
    }
}

/// Log-out tokens that were used, for as long as they could be used again.
public struct UsedLogoutTokens: Sendable {
    /// Tokens kept; beyond that the oldest must still be refused, so new ones are.
    static let limit = 10_000

    private struct Key: Hashable {
        var issuer: String
        var tokenID: String
    }

    private var entries: [Key: WallTime] = [:]

    public init() {}

    /// Whether the token may be used: once.
    public mutating func use(_ logout: VerifiedLogout, clockSkew: Tick.Span, now: WallTime) -> Bool {
        if entries.count >= Self.limit { entries = entries.filter { $0.value > now } }
        let key = Key(issuer: logout.issuer, tokenID: logout.tokenID)
        guard entries.count < Self.limit, entries[key] == nil else { return false }
        entries[key] = logout.expires + clockSkew + .seconds(1)
        return true
    }
}

/// Where a browser goes to end the provider's own session (OpenID Connect RP-Initiated Logout 1.0 §2).
public enum EndSession {
    /// Nil where the provider offers none, or wants the ID token for it, which is not kept (Okta).
    public static func url(
        _ provider: OpenIDProvider, _ configuration: OpenIDConfiguration, returningTo address: String, email: String?
    ) -> String? {
        guard let endpoint = configuration.endSessionEndpoint, provider.kind != .okta else { return nil }
        var parameters = [("client_id", provider.clientID), ("post_logout_redirect_uri", address)]
        if let email { parameters.append(("logout_hint", email)) }
        return endpoint.adding(parameters).description
    }
}
