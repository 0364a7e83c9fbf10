import Access
import Base
import Host
import HTTP
import Identity
import Portal
import Store
import Tunnels

extension OutgoingHostCounters {
    init(_ report: HostLedger.Report) {
        let tally = report.tally
        self.init(
            host: report.host, calls: tally.calls, retries: tally.retries, answers: tally.answers,
            failures: tally.failures, withheld: tally.withheld, bytes: tally.bytes, seconds: tally.time.seconds,
            isOpen: report.circuit == .closed)
    }
}

extension GatewayControl {
    func identityProviders() async throws -> IdentityProviders {
        let stored = try refusing { () throws(StoreError) in try store.identityProviders() }
        let now = store.wall()
        let openID = try refusing { () throws(StoreError) in try store.openIDProviders() }
        let warnings = (stored.broken + openID.broken).map(\.description)
            + stored.providers.flatMap { $0.warnings(now: now) } + openID.providers.flatMap { $0.warnings(now: now) }
        let providers = stored.providers.map { provider in
            var provider = provider
            provider.key = nil
            return provider
        }
        return IdentityProviders(
            providers: providers, openID: openID.providers.map(Self.withoutSecrets), address: webPages?.pages.address,
            warnings: warnings + signInWarnings)
    }

    /// What keeps anyone from signing in.
    private var signInWarnings: [String] {
        guard let webPages else {
            return ["The boot file has no portal.address, so there are no sign-in pages and nobody can sign in."]
        }
        return webPages.problem.map { [$0] } ?? []
    }

    func saveIdentityProvider(
        _ provider: IdentityProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders {
        var provider = provider
        let stored = try refusing { () throws(StoreError) in try store.identityProviders().providers }
            .first { $0.id == provider.id }
        if provider.key == nil, let certificate = provider.certificate, certificate == stored?.certificate {
            provider.key = stored?.key
        }
        let faults = provider.faults
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        let complete = provider
        let change = Change(actor: caller.description, reason: complete.allowsSHA1 ? "SHA-1 is allowed" : nil)
        try refusing { () throws(StoreError) in try store.save(complete, replacing: replacing, by: change) }
        log.add(
            .info, kind: replacing ? "identity-provider-changed" : "identity-provider-added",
            message: "\(caller) \(replacing ? "changed" : "added") the identity provider \(complete.id).")
        if complete.allowsSHA1 {
            log.add(
                .warning, kind: "sha1-allowed",
                message: "The identity provider \(complete.id) may sign with SHA-1, which can be forged.")
        }
        let ended = try await endSessions(
            ofProvider: complete.id, replacing ? complete.narrowing(of: stored) : nil, caller)
        return try await answer(ended)
    }

    func saveOpenIDProvider(
        _ provider: OpenIDProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders {
        let stored = try storedOpenIDProvider(provider.id)
        let complete = Self.completed(provider, from: stored)
        let faults = complete.faults
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        let change = Change(actor: caller.description, reason: nil)
        try refusing { () throws(StoreError) in try store.save(complete, replacing: replacing, by: change) }
        log.add(
            .info, kind: replacing ? "identity-provider-changed" : "identity-provider-added",
            message: "\(caller) \(replacing ? "changed" : "added") the identity provider \(complete.id).")
        let ended = try await endSessions(
            ofProvider: complete.id, replacing ? complete.narrowing(of: stored) : nil, caller)
        return try await answer(ended)
    }

    func examineOpenIDProvider(_ provider: OpenIDProvider) async throws -> OpenIDExamination {
        let examiner = OpenIDExaminer(
            web: web, clock: SystemClock(), redirectURI: webPages?.pages.address.redirectURI, random: SystemRandom.bytes)
        return await examiner.examine(Self.completed(provider, from: try storedOpenIDProvider(provider.id)))
    }

    private func storedOpenIDProvider(_ id: String) throws -> OpenIDProvider? {
        try refusing { () throws(StoreError) in try store.openIDProviders().providers }.first { $0.id == id }
    }

    /// With the secret and the key that are stored, where it comes without.
    private static func completed(_ provider: OpenIDProvider, from stored: OpenIDProvider?) -> OpenIDProvider {
        var provider = provider
        if provider.secret == nil { provider.secret = stored?.secret }
        if provider.key == nil, let certificate = provider.certificate, certificate == stored?.certificate {
            provider.key = stored?.key
        }
        return provider
    }

    private static func withoutSecrets(_ provider: OpenIDProvider) -> OpenIDProvider {
        var provider = provider
        provider.secret = nil
        provider.key = nil
        return provider
    }

    func removeIdentityProvider(id: String, caller: Caller) async throws {
        try refusing { () throws(StoreError) in
            try store.removeIdentityProvider(id, by: Change(actor: caller.description))
        }
        log.add(.info, kind: "identity-provider-removed", message: "\(caller) removed the identity provider \(id).")
        _ = try await endSessions(ofProvider: id, "the identity provider was removed", caller)
    }

    // MARK: - Sessions of a provider that admits less

    /// Ends the sessions that came by a provider. A session does not hold by which tenant or domain it came, so all end
    /// where some must; who may still come signs in again.
    ///
    /// - Parameter why: as a clause; nil when none end.
    /// - Returns: how many ended, as a sentence; nil when none did.
    private func endSessions(ofProvider id: String, _ why: String?, _ caller: Caller) async throws -> String? {
        guard let why else { return nil }
        let actor = caller.description
        let closed = try await order(
            .end(.provider(id, nameID: nil, sessionIndex: nil), .revoked(by: actor, reason: why), actor: actor)
        ).closed
        guard !closed.isEmpty else { return nil }
        let count = closed.count == 1 ? "One session" : "\(closed.count) sessions"
        let sentence = "\(count) that came by \(id) \(closed.count == 1 ? "has" : "have") ended: \(why)."
        log.add(.info, kind: "identity-provider-sessions-ended", message: sentence)
        return sentence
    }

    /// All providers, with what else there is to say.
    private func answer(_ sentence: String?) async throws -> IdentityProviders {
        var all = try await identityProviders()
        if let sentence { all.warnings.append(sentence) }
        return all
    }
}
