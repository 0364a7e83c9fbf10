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
        return try await identityProviders()
    }

    func saveOpenIDProvider(
        _ provider: OpenIDProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders {
        let complete = try completed(provider)
        let faults = complete.faults
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        let change = Change(actor: caller.description, reason: nil)
        try refusing { () throws(StoreError) in try store.save(complete, replacing: replacing, by: change) }
        log.add(
            .info, kind: replacing ? "identity-provider-changed" : "identity-provider-added",
            message: "\(caller) \(replacing ? "changed" : "added") the identity provider \(complete.id).")
        return try await identityProviders()
    }

    func examineOpenIDProvider(_ provider: OpenIDProvider) async throws -> OpenIDExamination {
        let examiner = OpenIDExaminer(
            web: web, clock: SystemClock(), redirectURI: webPages?.pages.address.redirectURI, random: SystemRandom.bytes)
        return await examiner.examine(try completed(provider))
    }

    /// With the secret and the key that are stored, where it comes without.
    private func completed(_ provider: OpenIDProvider) throws -> OpenIDProvider {
        var provider = provider
        let stored = try refusing { () throws(StoreError) in try store.openIDProviders().providers }
            .first { $0.id == provider.id }
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
    }
}
