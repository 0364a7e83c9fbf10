public import Base
import Cryptography
public import JSONText

extension RelyingParty {
    /// Proves an ID token: form, algorithm, key, signature, and then each claim (OpenID Connect Core 1.0 §3.1.3.7).
    ///
    /// - Parameters:
    ///   - token: the compact form, as the token endpoint returned it.
    ///   - keys: what this provider publishes, never what the token points to.
    ///   - nonce: what was sent with the authorization request; nil where none was.
    ///   - accessToken: the one that came with it, for `at_hash`.
    ///   - now: the time of day.
    /// - Throws: ``TokenRefusal`` with the first check that fails.
    public func verify(
        _ token: String, keys: JSONWebKeySet, nonce: String?, accessToken: String? = nil, now: WallTime
    ) throws(TokenRefusal) -> VerifiedIDToken {
        let claims = try signedClaims(token, keys: keys)
        return try check(claims, nonce: nonce, accessToken: accessToken, now: now)
    }

    /// The claims of a token whose signature has been proved and nothing else: for showing, before
    /// ``check(_:nonce:accessToken:now:)`` says what is wrong with them.
    public func signedClaims(_ token: String, keys: JSONWebKeySet) throws(TokenRefusal) -> SignedClaims {
        let jws = try CompactJWS(token)
        if let type = jws.type?.lowercased(), type != "jwt", type != "application/jwt" {
            throw TokenRefusal(.wrongType, "This is no ID token: its type is \(shown(jws.type ?? "")).")
        }
        return try Self.signedClaims(jws, keys: keys)
    }

    /// Proves the signature over `jws` and reads its claims.
    static func signedClaims(_ jws: CompactJWS, keys: JSONWebKeySet) throws(TokenRefusal) -> SignedClaims {
        guard Self.algorithms.contains(jws.algorithm) else {
            throw TokenRefusal(
                .algorithmNotAllowed, "The token's algorithm \(shown(jws.algorithm)) is never accepted.")
        }
        let key = try keys.key(for: jws)
        guard key.verifies(jws.signature, over: jws.signed) else {
            throw TokenRefusal(
                .signatureInvalid, "The signature does not fit the provider's key"
                    + (key.id.map { " " + shown($0) } ?? "") + ": the token was changed or somebody else signed it.")
        }
        return SignedClaims(tree: try CompactJWS.object(jws.payload, "payload"), keyIssuer: key.issuer)
    }

    /// Signatures that are understood at all. Those with a shared key are not: a client's secret is no proof of who
    /// the provider is, and a public key is no secret.
    static let algorithms: Set<String> = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]

    /// Claims that the provider's key signed.
    public struct SignedClaims: Sendable {
        public let tree: JSONTree
        /// The one issuer that the key may sign for.
        let keyIssuer: String?
    }

    /// Compares every claim with what this provider's configuration and the sign-in under way demand.
    public func check(
        _ claims: SignedClaims, nonce: String?, accessToken: String?, now: WallTime
    ) throws(TokenRefusal) -> VerifiedIDToken {
        let tree = claims.tree
        let issuer = try checkIssuer(tree, keyIssuer: claims.keyIssuer)
        try checkAudience(tree)
        let expires = try checkTimes(tree, now: now)
        try checkNonce(tree, nonce)
        try checkAccessToken(tree, accessToken)
        let subject = try Self.text(tree, "sub")
        guard subject.utf8.count <= 255 else {
            throw TokenRefusal(.claimInvalid, "The claim 'sub' is longer than 255 bytes.")
        }
        try checkHostedDomain(tree)
        return VerifiedIDToken(
            relyingParty: self, issuer: issuer, subject: subject, expires: expires, claims: tree)
    }

    // MARK: - One claim each

    func checkIssuer(_ tree: JSONTree, keyIssuer: String?) throws(TokenRefusal) -> String {
        let issuer = try Self.text(tree, "iss")
        var expected = [self.issuer]
        switch provider {
        case .google where self.issuer == Self.googleIssuer:
            // Google's older form, which it still documents.
            expected.append("accounts.google.com")
        case .entra(let tenants) where self.issuer.contains(Self.tenantTemplate):
            let tenant = try Self.text(tree, "tid")
            guard Self.isTenant(tenant) else {
                throw TokenRefusal(.tenantNotAllowed, "The tenant \(shown(tenant)) is no GUID.")
            }
            expected = [Self.filled(self.issuer, tenant)]
            guard issuer == expected[0] else { break }
            guard tenants.contains(tenant.lowercased()) else {
                throw TokenRefusal(
                    .tenantNotAllowed, "The tenant \(tenant) is not one of those that may sign in"
                        + (tenants.isEmpty ? ": none is configured." : "."))
            }
        default: break
        }
        guard expected.contains(issuer) else {
            throw TokenRefusal(
                .issuerMismatch, "The issuer is \(shown(issuer)); expected was \(shown(expected[0])).")
        }
        if let keyIssuer {
            let own = keyIssuer.contains(Self.tenantTemplate)
                ? (tree["tid"]?.string).map { Self.filled(keyIssuer, $0) } : keyIssuer
            guard own == issuer else {
                throw TokenRefusal(.issuerMismatch, "The key that signed the token is another issuer's.")
            }
        }
        return issuer
    }

    private static func filled(_ template: String, _ tenant: String) -> String {
        let parts = template.split(separator: tenantTemplate, omittingEmptySubsequences: false)
        return parts.joined(separator: tenant)
    }

    static func isTenant(_ text: String) -> Bool {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        return groups.map(\.utf8.count) == [8, 4, 4, 4, 12] && text.allSatisfy { $0 == "-" || $0.isASCII && $0.isHexDigit }
    }

    func checkAudience(_ tree: JSONTree) throws(TokenRefusal) {
        var audiences: [String] = []
        switch tree["aud"]?.value {
        case .string(let audience)?: audiences = [audience]
        case .array(let items)?:
            for item in items {
                guard let audience = item.string else {
                    throw TokenRefusal(.claimInvalid, "The claim 'aud' holds something that is no text.")
                }
                audiences.append(audience)
            }
        case nil: throw TokenRefusal(.claimInvalid, "The claim 'aud' is missing.")
        default: throw TokenRefusal(.claimInvalid, "The claim 'aud' is neither a text nor a list.")
        }
        guard audiences.contains(clientID) else {
            let others = audiences.prefix(3).map(shown).joined(separator: ", ")
            throw TokenRefusal(
                .audienceMismatch, "The token is for \(others.isEmpty ? "nobody" : others), not for \(shown(clientID)).")
        }
        if let party = tree["azp"] {
            guard let party = party.string else {
                throw TokenRefusal(.claimInvalid, "The claim 'azp' is not a text.")
            }
            guard party == clientID else {
                throw TokenRefusal(
                    .authorizedPartyMismatch, "The token was issued to \(shown(party)), not to \(shown(clientID)).")
            }
        } else if audiences.count > 1 {
            throw TokenRefusal(
                .authorizedPartyMismatch, "The token is for several audiences and does not say to whom it was issued.")
        }
    }

    func checkTimes(_ tree: JSONTree, now: WallTime) throws(TokenRefusal) -> WallTime {
        func time(_ name: String) throws(TokenRefusal) -> WallTime {
            guard let claim = tree[name] else {
                throw TokenRefusal(.claimInvalid, "The claim '\(name)' is missing.")
            }
            guard let time = VerifiedIDToken.time(claim) else {
                throw TokenRefusal(.claimInvalid, "The claim '\(name)' is not a time in seconds.")
            }
            return time
        }
        let expires = try time("exp")
        guard expires + clockSkew > now else {
            throw TokenRefusal(.expired, "The token ended at \(expires.rfc3339).")
        }
        let issued = try time("iat")
        guard issued <= now + clockSkew else {
            throw TokenRefusal(
                .issuedInFuture, "The token was issued at \(issued.rfc3339), in the future: compare the clocks.")
        }
        if tree["nbf"] != nil {
            let begins = try time("nbf")
            guard begins <= now + clockSkew else {
                throw TokenRefusal(.notYetValid, "The token is valid from \(begins.rfc3339) on.")
            }
        }
        return expires
    }

    private func checkNonce(_ tree: JSONTree, _ nonce: String?) throws(TokenRefusal) {
        guard let nonce else { return }
        guard tree["nonce"]?.string == nonce else {
            throw TokenRefusal(
                .nonceMismatch,
                tree["nonce"] == nil ? "The token has no nonce; one was sent." : "The nonce is another sign-in's.")
        }
    }

    /// OpenID Connect Core 1.0 §3.1.3.6: the left half of the hash that the signature's algorithm has.
    private func checkAccessToken(_ tree: JSONTree, _ accessToken: String?) throws(TokenRefusal) {
        guard let accessToken, let claim = tree["at_hash"] else { return }
        // The width tells the hash: each of ours has another.
        let expected = [HashAlgorithm.sha256, .sha384, .sha512].map { algorithm in
            let hash = Hash.digest(algorithm, [Array(accessToken.utf8)])
            return Base64URL.encode(hash.prefix(hash.count / 2))
        }
        guard let hash = claim.string, expected.contains(hash) else {
            throw TokenRefusal(.accessTokenMismatch, "The access token is not the one that belongs to the ID token.")
        }
    }

    private func checkHostedDomain(_ tree: JSONTree) throws(TokenRefusal) {
        guard case .google(let domains) = provider else { return }
        guard let domain = tree["hd"]?.string, !domain.isEmpty else {
            throw TokenRefusal(
                .hostedDomainMismatch, "This is a private Google account: the token names no Workspace domain (hd).")
        }
        guard let domains else { return }
        guard domains.contains(domain.lowercased()) else {
            throw TokenRefusal(.hostedDomainMismatch, "The Workspace domain \(shown(domain)) may not sign in here.")
        }
    }

    static func text(_ tree: JSONTree, _ name: String) throws(TokenRefusal) -> String {
        guard let claim = tree[name] else { throw TokenRefusal(.claimInvalid, "The claim '\(name)' is missing.") }
        guard let text = claim.string else { throw TokenRefusal(.claimInvalid, "The claim '\(name)' is not a text.") }
        guard !text.isEmpty else { throw TokenRefusal(.claimInvalid, "The claim '\(name)' is empty.") }
        return text
    }
}
