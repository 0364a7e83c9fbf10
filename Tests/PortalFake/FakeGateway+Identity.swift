public import Identity
public import Portal

extension FakeGateway {
    public func identityProviders() async throws -> IdentityProviders {
        try note("identity providers")
        return IdentityProviders(providers: [], address: SiteAddress("https://gate.example"), warnings: [])
    }

    public func saveIdentityProvider(
        _ provider: IdentityProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders {
        try note("\(replacing ? "replace" : "add") identity provider \(provider.id)", caller)
        var provider = provider
        provider.key = nil
        return IdentityProviders(providers: [provider], address: SiteAddress("https://gate.example"), warnings: [])
    }

    public func saveOpenIDProvider(
        _ provider: OpenIDProvider, replacing: Bool, caller: Caller
    ) async throws -> IdentityProviders {
        try note("\(replacing ? "replace" : "add") OpenID provider \(provider.id)", caller)
        var provider = provider
        provider.secret = nil
        return IdentityProviders(
            providers: [], openID: [provider], address: SiteAddress("https://gate.example"), warnings: [])
    }

    public func examineOpenIDProvider(_ provider: OpenIDProvider) async throws -> OpenIDExamination {
        try note("examine OpenID provider \(provider.id)")
        return OpenIDExamination(issuer: provider.issuer)
    }

    public func removeIdentityProvider(id: String, caller: Caller) async throws {
        try note("remove identity provider \(id)", caller)
    }
}
