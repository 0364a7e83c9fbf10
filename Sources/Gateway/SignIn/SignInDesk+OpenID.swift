import Access
import Base
import Cryptography
import Host
import HTTP
import Identity
import JSONText
import Portal
import Store
import Tunnels

/// Sign-ins with OpenID providers: the browser brings a code, and we ask the provider what it is worth.
extension SignInDesk {
    /// Those that are switched on.
    func openIDProviders() -> [OpenIDProvider] {
        ((try? store.openIDProviders().providers) ?? []).filter(\.isEnabled)
    }

    func beginSignIn(
        _ provider: OpenIDProvider, browser: String, at visitor: IPAddress, reference: String
    ) async throws(SignInProblem) -> AuthnRequest.Carrier {
        do {
            let configuration = try await documents.configuration(of: provider)
            let request = AuthorizationRequest(
                to: provider, configuration, redirectURI: address.redirectURI, browser: browser,
                entropy: random(AuthorizationRequest.entropyLength), now: clock.now)
            logins.add(request, at: visitor, now: clock.now)
            return .redirect(request.url.description)
        } catch {
            log.add(
                .error, kind: "sign-in-failed",
                message: "A sign-in with \(provider.id) cannot begin (\(reference)): \(error)")
            throw SignInProblem(.unavailable, reference: reference)
        }
    }

    func finishSignIn(query: String, browser: String?, address: IPAddress) async throws(SignInProblem) {
        let reference = Reference.text(random(8))
        let judged: Judgement
        do {
            judged = try await judge(query, browser)
        } catch {
            refuseSignIn("\(error)", at: address, reference: reference)
            throw SignInProblem(Self.problem(error), reference: reference)
        }
        let provider = judged.provider
        var person = judged.person
        do {
            // An account keeps the address that is bound to it, also one that would have to be verified by now.
            if let former = person.attributes["email"]?.first.map(User.key), former != person.email.map(User.key),
                try account(of: former, at: provider) == judged.account
            {
                person.email = former
            }
            let email = User.key(person.email ?? person.nameID)
            if let known = try account(of: email, at: provider), known != judged.account {
                refuseSignIn(
                    "\(email) is another account at \(provider.id) than the one that signed in with this address before. "
                        + "If that is right, remove the user and add it anew", at: address, reference: reference)
                throw SignInProblem(.notAcceptable, reference: reference)
            }
            try await admit(
                person, at: address, mayCreateUser: provider.createsUsers, sites: provider.sites, title: provider.title,
                reference: reference)
            try store.keep(subject: judged.account, of: email, issuer: provider.issuer)
        } catch let problem as SignInProblem {
            throw problem
        } catch {
            throw failure(to: person, at: address, reference, error)
        }
    }

    /// Somebody whom a provider vouches for.
    private struct Judgement {
        var provider: OpenIDProvider
        var person: VerifiedSubject
        /// The person's account at the provider.
        var account: String
    }

    /// The account at a provider to which an address belongs; nil for none yet.
    private func account(of email: String, at provider: OpenIDProvider) throws(StoreError) -> String? {
        let others = try store.openIDProviders().providers.filter { $0.id != provider.id }.map(\.issuer)
        return provider.account(in: try store.bindings(of: email), issuersOfOthers: Set(others))
    }

    /// From the answer in the browser to a person: the code is turned into tokens, and these are proved.
    private func judge(_ query: String, _ browser: String?) async throws -> Judgement {
        let answer = try AuthorizationAnswer(query: query, browser: browser, logins: &logins, now: clock.now)
        let login = answer.login
        guard let provider = openIDProviders().first(where: { $0.id == login.provider }),
            provider.issuer == login.configuration.issuer
        else {
            throw OpenIDRefusal(.state, "The provider of that sign-in was changed or switched off meanwhile.")
        }
        let request = try TokenRequest.make(
            for: answer, provider, entropy: random(TokenRequest.entropyLength), now: clock.wall)
        let tokens = try TokenResponse(try await web.send(request))
        let keys = try await documents.keys(of: provider, login.configuration, for: tokens.idToken)
        let token = try provider.relyingParty.verify(
            tokens.idToken, keys: keys, nonce: login.nonce,
            accessToken: tokens.accessToken.map { String(decoding: $0.exposedBytes, as: UTF8.self) }, now: clock.wall)
        guard token.lacksPersonalClaims, let accessToken = tokens.accessToken,
            let question = UserInfo.request(provider, login.configuration, accessToken: accessToken)
        else { return Judgement(provider: provider, person: try token.person(), account: token.account) }
        let more: JSONTree
        do {
            more = try UserInfo.read(try await web.send(question))
        } catch {
            // Names are a kindness; without an address the next line says what is missing.
            log.add(.warning, kind: "sign-in-warning", message: "Sign-in with \(provider.id): \(error)")
            return Judgement(provider: provider, person: try token.person(), account: token.account)
        }
        return Judgement(provider: provider, person: try token.person(userInfo: more), account: token.account)
    }

    private static func problem(_ error: any Error) -> SignInProblem.Kind {
        switch error {
        case let refusal as OpenIDRefusal:
            switch refusal.code {
            case .state: .stale
            case .denied: .refusedByProvider
            case .discovery, .configuration: .unavailable
            case .answer, .discoveryIssuer, .mixUp, .token, .userInfo: .notAcceptable
            }
        case let refusal as TokenRefusal:
            switch refusal.code {
            case .emailMissing, .emailUnverified: .noAddress
            case .expired: .stale
            default: .notAcceptable
            }
        case is HTTPFailure: .unavailable
        default: .notAcceptable
        }
    }

    // MARK: - Out again

    func receiveLogout(token: String) async -> Bool {
        let reference = Reference.text(random(8))
        var fault: any Error = TokenRefusal(.issuerMismatch, "No provider that is configured here sent the token.")
        guard let issuer = RelyingParty.issuer(claimedBy: token) else {
            record("log-out-refused", subject: "log-out", "\(reference), \(fault)")
            return false
        }
        for provider in openIDProviders() where provider.relyingParty.mayIssue(as: issuer) {
            do {
                let configuration = try await documents.configuration(of: provider)
                let keys = try await documents.keys(of: provider, configuration, for: token)
                let party = provider.relyingParty
                let logout = try party.verifyLogout(token, keys: keys, now: clock.wall)
                guard usedLogouts.use(logout, clockSkew: party.clockSkew, now: clock.wall) else {
                    throw TokenRefusal(.expired, "The log-out token was used before.")
                }
                _ = try await gatekeeper.carryOut(
                    .end(
                        .provider(provider.id, nameID: logout.subject, sessionIndex: logout.sessionID),
                        .signedOutAtProvider, actor: provider.id))
                return true
            } catch {
                fault = error
            }
        }
        record("log-out-refused", subject: "log-out", "\(reference), \(fault)")
        return false
    }

    /// Where the provider's own session ends; nil where that is not wanted or not offered.
    func endSession(of session: Session) async -> String? {
        guard let provider = openIDProviders().first(where: { $0.id == session.provider }), provider.endsProviderSession,
            let configuration = try? await documents.configuration(of: provider)
        else { return nil }
        return EndSession.url(
            provider, configuration, returningTo: address.origin + "/user/signed-out", email: session.user)
    }
}
