public import Base
public import JSONText

/// An ID token whose signature and claims have been proved. Only ``RelyingParty/verify(_:keys:nonce:accessToken:now:)``
/// makes one.
public struct VerifiedIDToken: Sendable {
    public let relyingParty: RelyingParty
    /// `iss`, as the token has it.
    public let issuer: String
    /// `sub`: the provider's name for the person. With the issuer it is unique for ever; an e-mail address is not.
    public let subject: String
    /// When the token ends (`exp`).
    public let expires: WallTime
    /// Every claim.
    public let claims: JSONTree

    init(relyingParty: RelyingParty, issuer: String, subject: String, expires: WallTime, claims: JSONTree) {
        self.relyingParty = relyingParty
        self.issuer = issuer
        self.subject = subject
        self.expires = expires
        self.claims = claims
    }

    /// The person, with what the user-info endpoint added where the token says less.
    ///
    /// - Parameter userInfo: the answer's claims, if it was asked (OpenID Connect Core 1.0 §5.3); they count only when
    ///   their `sub` is the token's.
    /// - Throws: ``TokenRefusal`` where the answer is about somebody else, or there is no e-mail address that this
    ///   provider vouches for: the address is the account's key.
    public func person(userInfo: JSONTree? = nil) throws(TokenRefusal) -> VerifiedSubject {
        if let userInfo {
            guard userInfo["sub"]?.string == subject else {
                throw TokenRefusal(.userInfoMismatch, "The user-info answer is about another person than the ID token.")
            }
        }
        let sources = [claims] + (userInfo.map { [$0] } ?? [])
        func text(_ name: String) -> String? {
            for source in sources {
                if let text = source[name]?.string, !text.isEmpty { return text }
            }
            return nil
        }
        let email = try address(sources)
        return VerifiedSubject(
            provider: relyingParty.name, nameID: subject, email: email, firstName: text("given_name"),
            lastName: text("family_name"), groups: Self.texts(sources, "groups"), attributes: attributes,
            sessionIndex: claims["sid"]?.string, sessionNotOnOrAfter: nil,
            authenticatedAt: claims["auth_time"].flatMap(Self.time), isIdPInitiated: false)
    }

    /// The account at the provider, whatever its address: ``subject``, and where one provider stands for several tenants,
    /// the tenant before it. Each tenant gives its names alone.
    public var account: String {
        guard relyingParty.isTemplate, let tenant = claims["tid"]?.string else { return subject }
        return AccountBinding.account(subject, inTenant: tenant)
    }

    /// Whether the user-info endpoint should be asked before ``person(userInfo:)``.
    public var lacksPersonalClaims: Bool {
        ["email", "given_name", "family_name"].contains { claims[$0]?.string?.isEmpty ?? true }
    }

    private func address(_ sources: [JSONTree]) throws(TokenRefusal) -> String {
        var unverified: String?
        for source in sources {
            guard let email = source["email"]?.string, !email.isEmpty else { continue }
            guard Self.isAddress(email) else {
                throw TokenRefusal(.emailMissing, "The e-mail address \(shown(email)) is none.")
            }
            switch source["email_verified"]?.bool {
            case true?: return email
            case false?:
                throw TokenRefusal(
                    .emailUnverified, "The provider has not verified the e-mail address \(shown(email)).")
            case nil:
                if source["email_verified"] == nil {
                    if vouchesUnasked || isOneOfSeveralTenants && Self.isOfVerifiedDomain(source) { return email }
                    if isOneOfSeveralTenants {
                        unverified = unverified ?? email
                        continue
                    }
                }
                throw TokenRefusal(
                    .emailUnverified, "The provider does not say that it has verified \(shown(email)).")
            }
        }
        // A tenant's own directory gives its people their sign-in names, which have the form of an address. Their domain is
        // one that Entra has seen the tenant prove.
        if case .entra = relyingParty.provider, let name = claims["preferred_username"]?.string, Self.isAddress(name) {
            return name
        }
        if let unverified {
            throw TokenRefusal(
                .emailUnverified,
                "Nobody has verified \(shown(unverified)), and a tenant's administrator can write any address: add the "
                    + "optional claim xms_edov to this application's ID token.")
        }
        throw TokenRefusal(
            .emailMissing,
            "The provider gives no e-mail address: allow the scope 'email' for this application, and give the user one.")
    }

    /// Whether an address counts that comes without `email_verified`. Google always says; and of several tenants at Entra
    /// each could write the others' addresses. One tenant, an Okta organisation or a provider of one's own is the company's
    /// own directory.
    private var vouchesUnasked: Bool {
        switch relyingParty.provider {
        case .google: false
        case .entra: !relyingParty.isTemplate
        case .okta, .generic: true
        }
    }

    private var isOneOfSeveralTenants: Bool {
        if case .entra = relyingParty.provider { return relyingParty.isTemplate }
        return false
    }

    /// Entra's word that the address is in a domain that the tenant has proved, or that its mailbox was: the claim
    /// `xms_edov`, which it writes as a truth, a text or a number.
    private static func isOfVerifiedDomain(_ source: JSONTree) -> Bool {
        guard let claim = source["xms_edov"] else { return false }
        return claim.bool ?? (claim.scalar == "1")
    }

    private static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && !parts[1].isEmpty && text.utf8.count <= 320
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f && !$0.properties.isWhitespace }
    }

    /// The claims that are texts, numbers, truths or lists of these, as texts.
    private var attributes: [String: [String]] {
        guard case .object(let members) = claims.value else { return [:] }
        var attributes: [String: [String]] = [:]
        for (name, member) in members {
            let items = member.array ?? [member]
            let texts = items.compactMap { item in item.scalar ?? item.bool.map { $0 ? "true" : "false" } }
            if texts.count == items.count { attributes[name] = texts }
        }
        return attributes
    }

    private static func texts(_ sources: [JSONTree], _ name: String) -> [String] {
        for source in sources {
            guard let member = source[name] else { continue }
            var seen: Set<String> = []
            return (member.array ?? [member]).compactMap(\.string).filter { seen.insert($0).inserted }
        }
        return []
    }

    /// A NumericDate (RFC 7519 §2): seconds since the Unix epoch, perhaps with a fraction. Nil for anything else, and
    /// for what lies outside the calendar that we know.
    static func time(_ tree: JSONTree) -> WallTime? {
        guard case .number(let digits) = tree.value, digits.utf8.count <= 40, let seconds = Double(digits),
            seconds.isFinite, abs(seconds) < 9_000_000_000
        else { return nil }
        return WallTime(nanoseconds: Int64(seconds * 1_000_000_000))
    }
}
