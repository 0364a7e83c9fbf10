/// Whose an e-mail address is at a provider: the account that signed in with it first. A mailbox may change hands, and
/// whoever administers a tenant writes the addresses in it; an account stays who it is.
public struct AccountBinding: Hashable, Sendable {
    /// The provider's issuer as it is configured: one for all its tenants.
    public var issuer: String
    /// As ``VerifiedIDToken/account`` names it.
    public var account: String

    public init(issuer: String, account: String) {
        self.issuer = issuer
        self.account = account
    }

    /// A subject of a tenant, as one account among those of several tenants.
    static func account(_ subject: String, inTenant tenant: String) -> String { tenant.lowercased() + "/" + subject }
}

extension OpenIDProvider {
    /// The account here to which an address belongs; nil for none yet.
    ///
    /// - Parameters:
    ///   - bindings: all that are kept of the address, the oldest first.
    ///   - issuersOfOthers: those of the other providers that are configured.
    public func account(in bindings: [AccountBinding], issuersOfOthers: Set<String>) -> String? {
        if let own = bindings.first(where: { $0.issuer == issuer }) { return own.account }
        guard isTemplate else { return nil }
        // Earlier versions kept an address once for each tenant, under the tenant's issuer and by the subject alone. The
        // first of these is whose it is, unless it came by a provider for that one tenant.
        let party = relyingParty
        for binding in bindings where !issuersOfOthers.contains(binding.issuer) {
            if let tenant = party.tenant(of: binding.issuer) {
                return AccountBinding.account(binding.account, inTenant: tenant)
            }
        }
        return nil
    }
}
