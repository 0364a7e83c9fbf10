import Access
import Base
import Dispatch
import Host
import Identity
import Portal
import Store
import Tunnels

/// Joins the sign-in pages, the identity providers and the gatekeeper: what a provider says is verified here, and only
/// then is anyone admitted.
///
/// Holds what is under way and no more: requests that were sent, and assertions that were used, which the store keeps
/// across restarts.
actor SignInDesk: SignInAPI {
    let address: SiteAddress
    let gatekeeper: Gatekeeper
    let store: Store
    let log: EventLog
    let clock: SystemClock
    let web: HTTPClient
    let documents: OpenIDDocuments
    let random: @Sendable (Int) -> [UInt8]
    private let agents: AgentDesk?
    /// Sign-ins with OpenID providers that were begun.
    var logins = PendingLogins()
    var usedLogouts = UsedLogoutTokens()
    private var pending = PendingRequests()
    private var used: ReplayCache
    private var records = AuditBudget()
    private let messages = MessageReader()
    /// Responses that are being read and proved, or wait for that.
    private var underWay = 0

    /// How many may be under way. Each holds up to a megabyte. Where they come from people, each takes a millisecond or
    /// two, and hardly ever does one wait for another.
    private static let underWayLimit = 64

    init(
        address: SiteAddress, gatekeeper: Gatekeeper, store: Store, log: EventLog, clock: SystemClock, web: HTTPClient,
        agents: AgentDesk? = nil, random: @escaping @Sendable (Int) -> [UInt8]
    ) throws(StoreError) {
        self.address = address
        self.agents = agents
        self.gatekeeper = gatekeeper
        self.store = store
        self.log = log
        self.clock = clock
        self.random = random
        self.web = web
        documents = OpenIDDocuments(web: web, clock: clock)
        used = ReplayCache(try store.usedAssertions(now: clock.wall))
    }

    nonisolated func agentRequest(_ request: AgentRequest) async -> AgentAnswer {
        await agents?.answer(request) ?? AgentAnswer(status: 404, body: #"{"error":"not_found"}"#)
    }

    // MARK: - Sign-in

    func signInChoices() -> [SignInChoice] {
        providers().map { provider in
            SignInChoice(
                id: provider.id, title: provider.title,
                formOrigin: provider.serviceBinding == .post ? Self.origin(of: provider.serviceURL) : nil,
                mustBeginThere: !provider.createsUsersOnRequest)
        }
            + openIDProviders().map { SignInChoice(id: $0.id, title: $0.title, mustBeginThere: !$0.createsUsers) }
    }

    func beginSignIn(
        provider id: String, browser: String, address visitor: IPAddress
    ) async throws(SignInProblem) -> AuthnRequest.Carrier {
        let reference = Reference.text(random(8))
        if let provider = openIDProviders().first(where: { $0.id == id }) {
            return try await beginSignIn(provider, browser: browser, at: visitor, reference: reference)
        }
        guard let provider = providers().first(where: { $0.id == id }) else {
            throw SignInProblem(.noSuchProvider, reference: reference)
        }
        do {
            let request = try AuthnRequest(
                to: provider, acsURL: address.acsURL, entropy: random(32), now: clock.wall)
            pending.add(request, to: provider.id, from: browser, at: visitor, now: clock.now)
            return request.carrier
        } catch {
            log.add(
                .error, kind: "sign-in-failed",
                message: "A request to \(provider.id) cannot be made (\(reference)): \(error)")
            throw SignInProblem(.unavailable, reference: reference)
        }
    }

    func finishSignIn(
        message: [UInt8], relayState: String?, browser: String?, address: IPAddress
    ) async throws(SignInProblem) {
        let reference = Reference.text(random(8))
        let visit = Visit(browser: browser, relayState: relayState)
        guard underWay < Self.underWayLimit else {
            refuseSignIn("busy: \(underWay) responses were waiting to be verified", at: address, reference: reference)
            throw SignInProblem(.unavailable, reference: reference)
        }
        let judged: Judged
        do throws(SAMLRefusal) {
            underWay += 1
            defer { underWay -= 1 }
            judged = try await judge(message, visit)
        } catch {
            refuseSignIn("\(error)", at: address, reference: reference)
            throw SignInProblem(Self.kind(of: error), reference: reference)
        }
        let provider = judged.provider
        try await admit(
            judged.response.subject, at: address, mayCreateUser: provider.createsUsersOnRequest, sites: provider.sites,
            title: provider.title, reference: reference)
    }

    /// Admits whom a provider vouched for. What the person is told of a refusal is thrown; the audit trail has the rest.
    ///
    /// - Parameter title: what people call the provider.
    func admit(
        _ person: VerifiedSubject, at address: IPAddress, mayCreateUser: Bool, sites: [String]?, title: String,
        reference: String
    ) async throws(SignInProblem) {
        do {
            _ = try await gatekeeper.admit(
                person, at: address, mayCreateUser: mayCreateUser, sites: sites.map { .only(Set($0)) } ?? .all,
                reference: reference)
        } catch let refusal as AdmissionRefusal {
            throw SignInProblem(Self.kind(of: refusal, title: title), reference: reference)
        } catch {
            throw failure(to: person, at: address, reference, error)
        }
    }

    /// Our own fault, told of.
    func failure(
        to person: VerifiedSubject, at address: IPAddress, _ reference: String, _ error: any Error
    ) -> SignInProblem {
        log.add(
            .error, kind: "sign-in-failed",
            message: "\(person.nameID) could not be admitted at \(address) (\(reference)): \(error)")
        return SignInProblem(.unavailable, reference: reference)
    }

    /// What came with an answer.
    private struct Visit: Sendable {
        var browser: String?
        var relayState: String?
    }

    /// A message as far as it can be read before anything of it is believed.
    private struct Opened: Sendable {
        var document: [UInt8]
        var envelope: ResponseVerifier.Envelope
    }

    private struct Judged: Sendable {
        var response: VerifiedResponse
        var provider: IdentityProvider
    }

    /// Verifies a response, and keeps that its assertion is used.
    private func judge(_ message: [UInt8], _ visit: Visit) async throws(SAMLRefusal) -> Judged {
        let opened = try await messages.run { () throws(SAMLRefusal) -> Opened in
            let document = try MessageText.document(message)
            return Opened(document: document, envelope: try ResponseVerifier.envelope(of: document))
        }
        let envelope = opened.envelope
        let candidates = providers().filter { $0.issuer == envelope.issuer }
        guard !candidates.isEmpty else {
            throw SAMLRefusal(
                .issuer, "The response is from '\(envelope.issuer ?? "nobody")', which is no identity provider that is "
                    + "configured and switched on here.")
        }
        // Two of a provider's applications may be configured here, with keys of their own.
        var fault: SAMLRefusal?
        for provider in candidates {
            do throws(SAMLRefusal) {
                let expecting = try expectation(of: envelope, provider, visit)
                let trust = provider.trust(acsURL: address.acsURL)
                let response = try await messages.run { [clock] () throws(SAMLRefusal) -> VerifiedResponse in
                    try ResponseVerifier.verify(opened.document, trust: trust, expecting: expecting, now: clock.wall)
                }
                try finish(response, provider, expecting, visit)
                return Judged(response: response, provider: provider)
            } catch {
                fault = error
            }
        }
        throw fault ?? SAMLRefusal(.issuer, "No identity provider fits.")
    }

    private func expectation(
        of envelope: ResponseVerifier.Envelope, _ provider: IdentityProvider, _ visit: Visit
    ) throws(SAMLRefusal) -> SAMLExpectation {
        guard let id = envelope.inResponseTo else {
            guard provider.acceptsUnsolicited else {
                throw SAMLRefusal(
                    .inResponseTo, "'\(provider.id)' is set to accept answers only, and this sign-in was begun at the "
                        + "provider.")
            }
            return .unsolicited
        }
        guard isOpen(id, provider, visit) else {
            throw SAMLRefusal(
                .inResponseTo, "The response answers a request that is not open: it took too long, was answered before, "
                    + "or another browser sent it.")
        }
        return .answer(to: id)
    }

    /// Whether the request of that ID went to the provider through this browser, and waits for an answer.
    private func isOpen(_ id: String, _ provider: IdentityProvider, _ visit: Visit) -> Bool {
        pending.find(id, provider: provider.id, relayState: visit.relayState, browser: visit.browser, now: clock.now)
            != nil
    }

    /// The last looks, and what must be kept before anyone is let in. Nothing else comes in between.
    private func finish(
        _ response: VerifiedResponse, _ provider: IdentityProvider, _ expecting: SAMLExpectation, _ visit: Visit
    ) throws(SAMLRefusal) {
        if case .answer(let id) = expecting {
            // Verification took a moment, in which the same answer may have come twice.
            guard isOpen(id, provider, visit) else {
                throw SAMLRefusal(.replay, "The request was answered a moment ago.")
            }
            pending.finish(id)
        }
        let entry = try used.use(response, clockSkewSeconds: provider.clockSkewSeconds, now: clock.wall)
        do {
            try store.keep(entry, now: clock.wall)
        } catch {
            log.add(.error, kind: "store-failed", message: "A used assertion cannot be kept, so nobody is let in: \(error)")
            throw SAMLRefusal(.replay, "It cannot be kept that the assertion is used: \(error)")
        }
        for warning in response.warnings {
            log.add(.warning, kind: "sign-in-warning", message: "Sign-in with \(provider.id): \(warning)")
        }
    }

    // MARK: - Who is in, and out again

    func standing(at address: IPAddress) async -> Standing? {
        guard let presence = await gatekeeper.presence(at: address) else { return nil }
        let (session, user) = (presence.session, presence.user)
        let name = [user?.firstName, user?.lastName].compactMap(\.self).filter { !$0.isEmpty }.joined(separator: " ")
        var logoutOrigin = provider(of: session)?.logoutURL.flatMap(Self.origin)
        if logoutOrigin == nil { logoutOrigin = await endSession(of: session).flatMap(Self.origin) }
        return Standing(
            name: name.isEmpty ? nil : name, email: session.user,
            sites: presence.sites.map { Standing.Site(name: $0.name, networks: $0.networks.map(\.description)) },
            expiresAt: session.expiresAt, logoutOrigin: logoutOrigin)
    }

    func signOut(at address: IPAddress) async -> String? {
        do {
            guard let session = try await gatekeeper.signOut(at: address) else { return nil }
            guard let provider = provider(of: session), let nameID = session.nameID else {
                return await endSession(of: session)
            }
            return try LogoutRequest.location(
                for: provider, nameID: nameID, sessionIndex: session.sessionIndex, entropy: random(16), now: clock.wall)
        } catch {
            log.add(.error, kind: "sign-out-failed", message: "The sign-out at \(address) is incomplete: \(error)")
            return nil
        }
    }

    func receiveLogout(query: String) async throws(SignInProblem) -> String? {
        let reference = Reference.text(random(8))
        do {
            let message = try LogoutMessage(query: query)
            guard case .request(let id, let nameID, let indexes) = message.content else { return nil }
            let provider = try verified(message)
            let which: [String?] = indexes.isEmpty ? [nil] : indexes
            for index in which {
                _ = try await gatekeeper.carryOut(
                    .end(
                        .provider(provider.id, nameID: nameID, sessionIndex: index), .signedOutAtProvider,
                        actor: provider.id))
            }
            return try LogoutResponse.location(
                for: provider, answering: id, relayState: message.relayState, entropy: random(16), now: clock.wall)
        } catch let refusal as SAMLRefusal {
            record("log-out-refused", subject: "log-out", "\(reference), \(refusal)")
            throw SignInProblem(.signOutNotAcceptable, reference: reference)
        } catch {
            log.add(.error, kind: "sign-out-failed", message: "A log-out is incomplete (\(reference)): \(error)")
            throw SignInProblem(.unavailable, reference: reference)
        }
    }

    /// The provider that a log-out message is from, when it proves that.
    private func verified(_ message: LogoutMessage) throws(SAMLRefusal) -> IdentityProvider {
        var fault = SAMLRefusal(
            .issuer, "The log-out message is from '\(message.issuer ?? "nobody")', which is no identity provider here.")
        for provider in providers() where provider.issuer == message.issuer {
            do throws(SAMLRefusal) {
                try message.verify(for: provider, logoutURL: address.logoutURL, now: clock.wall)
                return provider
            } catch {
                fault = error
            }
        }
        throw fault
    }

    func metadata(provider id: String) -> String? {
        providers().first { $0.id == id }.map {
            ServiceProviderMetadata.document(for: $0, acsURL: address.acsURL, logoutURL: address.logoutURL)
        }
    }

    // MARK: - Parts

    /// Those that are switched on, in the administrator's order. One that is broken is told of where it is listed.
    private func providers() -> [IdentityProvider] {
        ((try? store.identityProviders().providers) ?? []).filter(\.isEnabled)
    }

    private func provider(of session: Session) -> IdentityProvider? {
        session.provider.flatMap { id in providers().first { $0.id == id } }
    }

    func refuseSignIn(_ reason: String, at address: IPAddress, reference: String) {
        record("sign-in-refused", subject: "\(address)", "\(reference), \(reason)")
        log.add(
            .info, kind: "sign-in-refused",
            message: "A sign-in at \(address) was refused (\(reference)), \(reason)")
    }

    /// A line in the audit trail, which strangers must not be able to fill the disk with.
    func record(_ action: String, subject: String, _ detail: String) {
        guard let left = records.take(now: clock.now) else { return }
        let more = left > 0 ? " (\(left) refusals before it are not recorded: too many came at once)" : ""
        do {
            try store.record(action, subject: subject, by: Change(actor: "gatehoused", reason: detail + more))
        } catch {
            log.add(.error, kind: "store-failed", message: "The audit trail cannot be written: \(error)")
        }
    }

    private static func kind(of refusal: SAMLRefusal) -> SignInProblem.Kind {
        switch refusal.reason {
        case .inResponseTo, .replay, .expired: .stale
        case .status: .refusedByProvider
        default: .notAcceptable
        }
    }

    private static func kind(of refusal: AdmissionRefusal, title: String) -> SignInProblem.Kind {
        switch refusal {
        case .noEmail: .noAddress
        case .unknownUser, .noSuchUser: .unknownUser(provider: title)
        case .userDisabled: .disabled
        case .nothingAllowed: .nothingAllowed
        case .policy(_, let refusal): .againstPolicy(refusal.advice)
        case .providerSessionOver: .stale
        case .unusableAddress: .notAcceptable
        }
    }

    /// Scheme, host and port of an address.
    static func origin(of url: String) -> String? {
        guard let scheme = url.firstRange(of: "://") else { return nil }
        let host = url[scheme.upperBound...].prefix { !"/?#".contains($0) }
        return host.isEmpty ? nil : String(url[..<scheme.upperBound] + host)
    }
}

/// Where messages of strangers are read and proved: one at a time, and on no thread of Swift's pool.
///
/// The pool has a thread for each core, two on the smallest gateways, and all else that the gateway does runs there. A
/// message that was made to cost much must not take one of them, and several must not take all cores.
private struct MessageReader: Sendable {
    private let queue = DispatchQueue(label: "gatehouse.sign-in")

    /// Does `work` after all that was given before.
    func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws(SAMLRefusal) -> Value
    ) async throws(SAMLRefusal) -> Value {
        let result: Result<Value, SAMLRefusal> = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Result(catching: work)) }
        }
        return try result.get()
    }
}

/// How many refusals are recorded one by one: a burst, and then so many an hour.
private struct AuditBudget {
    private static let burst = 1000.0
    private static let perSecond = 1000.0 / 3600
    private var left = Self.burst
    private var at: Tick?
    private var held = 0

    /// Nil when one more is too many, else how many were held back since the last one.
    mutating func take(now: Tick) -> Int? {
        if let at { left = min(Self.burst, left + max(0, (now - at).seconds) * Self.perSecond) }
        at = now
        guard left >= 1 else {
            held += 1
            return nil
        }
        left -= 1
        defer { held = 0 }
        return held
    }
}
