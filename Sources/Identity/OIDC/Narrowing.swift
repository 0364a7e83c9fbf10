extension OpenIDProvider {
    /// Why somebody whom an earlier definition let in might be let in by this one no more, as a clause; nil when nothing
    /// was taken away.
    ///
    /// - Parameter earlier: nil where it cannot be read.
    public func narrowing(of earlier: OpenIDProvider?) -> String? {
        if !isEnabled { return "the identity provider was switched off" }
        guard let earlier else { return unreadable }
        if issuer != earlier.issuer || kind != earlier.kind { return "the identity provider has another issuer" }
        if isTemplate, !Set(earlier.tenants).isSubset(of: tenants) {
            return "fewer tenants may sign in with the identity provider"
        }
        if kind == .google, !Set(earlier.hostedDomains).isSubset(of: hostedDomains) {
            return "fewer domains may sign in with the identity provider"
        }
        return isFewer(sites, than: earlier.sites) ? "the identity provider's users may reach fewer sites" : nil
    }
}

extension IdentityProvider {
    /// Why somebody whom an earlier definition let in might be let in by this one no more, as a clause; nil when nothing
    /// was taken away. Certificates come and go with every roll-over and say nothing of that.
    ///
    /// - Parameter earlier: nil where it cannot be read.
    public func narrowing(of earlier: IdentityProvider?) -> String? {
        if !isEnabled { return "the identity provider was switched off" }
        guard let earlier else { return unreadable }
        if issuer != earlier.issuer { return "the identity provider has another Identifier" }
        return isFewer(sites, than: earlier.sites) ? "the identity provider's users may reach fewer sites" : nil
    }
}

private let unreadable = "what the identity provider was before cannot be read"

/// Whether connectors are missing that were there before; nil stands for all.
private func isFewer(_ sites: [String]?, than earlier: [String]?) -> Bool {
    guard let sites else { return false }
    guard let earlier else { return true }
    return !Set(earlier).isSubset(of: sites)
}
