import Base
import JSONText
import Testing

@testable import Identity

/// Several tenants at one provider: what an administrator of one of them can write does not make his people another's.
@Suite struct TenantTests {
    private static let a = "1a1b1c1d-2222-3333-4444-5555555555af"
    private static let b = "99999999-8888-7777-6666-555555555555"

    private func provider(_ change: (inout OpenIDProvider) -> Void = { _ in }) throws -> OpenIDProvider {
        var provider = try LabProvider().provider
        provider.kind = .entra
        provider.issuer = LabProvider.issuer + "/{tenantid}/v2.0"
        provider.tenants = [Self.a, Self.b]
        change(&provider)
        return provider
    }

    private func verified(
        _ tenant: String, _ changes: [String: JSON], at provider: OpenIDProvider
    ) async throws -> VerifiedIDToken {
        let lab = try LabProvider()
        var claims: [String: JSON] = [
            "iss": .string(provider.isTemplate ? LabProvider.issuer + "/\(tenant)/v2.0" : provider.issuer),
            "aud": .string(provider.clientID), "sub": .string("s-1"), "tid": .string(tenant), "exp": LabProvider.time(300),
            "iat": LabProvider.time(), "nonce": .string("n"),
        ]
        claims.merge(changes) { $1 }
        let keys = try await JSONWebKeySet(lab.keySet)
        return try provider.relyingParty.verify(try lab.token(claims), keys: keys, nonce: "n", now: LabProvider.now)
    }

    /// The address that counts, or why none does.
    private func address(
        _ changes: [String: JSON], at provider: OpenIDProvider, userInfo: String? = nil
    ) async throws -> Result<String?, TokenRefusal> {
        let token = try await verified(Self.b, changes, at: provider)
        let more = try userInfo.map { try JSONTree.parse($0) }
        do throws(TokenRefusal) {
            return .success(try token.person(userInfo: more).email)
        } catch {
            return .failure(error)
        }
    }

    private static let written: [String: JSON] = [
        "email": .string("ceo@a.example"), "preferred_username": .string("mallory@b.example"),
    ]

    @Test func anAddressThatAnAdministratorWroteIsNotTaken() async throws {
        let provider = try provider()
        #expect(try await address(Self.written, at: provider).get() == "mallory@b.example")
        let told = #"{"sub": "s-1", "email": "ceo@a.example"}"#
        let name: [String: JSON] = ["preferred_username": .string("mallory@b.example")]
        #expect(try await address(name, at: provider, userInfo: told).get() == "mallory@b.example")
        for name in ["", "mallory"] {
            let result = try await address(
                ["email": .string("ceo@a.example"), "preferred_username": .string(name)], at: provider)
            guard case .failure(let refusal) = result else {
                Issue.record("\(result)")
                continue
            }
            #expect(refusal.code == .emailUnverified && refusal.detail.contains("xms_edov"), "\(refusal)")
        }
    }

    @Test(arguments: [JSON.bool(true), .string("true"), .string("1"), .number("1")])
    func anAddressOfTheTenantsOwnDomainIsTaken(_ word: JSON) async throws {
        let claims = Self.written.merging(["xms_edov": word]) { $1 }
        #expect(try await address(claims, at: provider()).get() == "ceo@a.example")
    }

    @Test(arguments: [JSON.bool(false), .string("false"), .string("0"), .number("0"), .number("2"), .null, .array([])])
    func anotherWordOfTheDomainIsNone(_ word: JSON) async throws {
        let claims = Self.written.merging(["xms_edov": word]) { $1 }
        #expect(try await address(claims, at: provider()).get() == "mallory@b.example")
    }

    @Test func whatTheTokenSaysOfTheAddressGoesFirst() async throws {
        let provider = try provider()
        let good = Self.written.merging(["email_verified": .bool(true)]) { $1 }
        #expect(try await address(good, at: provider).get() == "ceo@a.example")
        for word in [JSON.bool(false), .string("perhaps")] {
            let claims = Self.written.merging(["email_verified": word, "xms_edov": .bool(true)]) { $1 }
            guard case .failure(let refusal) = try await address(claims, at: provider) else {
                Issue.record("\(word) was taken for a yes")
                continue
            }
            #expect(refusal.code == .emailUnverified)
        }
    }

    /// Where the company owns the directory, nobody else can write into it.
    @Test(arguments: [OpenIDProvider.Kind.entra, .okta, .oidc]) func oneTenantVouchesForItsAddresses(
        _ kind: OpenIDProvider.Kind
    ) async throws {
        let provider = try provider {
            $0.kind = kind
            $0.issuer = LabProvider.issuer
        }
        #expect(try await address(Self.written, at: provider).get() == "ceo@a.example")
    }

    // MARK: - Whose an address is

    @Test func theSameAddressFromAnotherTenantIsAnotherAccount() async throws {
        let provider = try provider()
        let claims: [String: JSON] = ["preferred_username": .string("ceo@a.example")]
        let first = try await verified(Self.a.uppercased(), claims, at: provider)
        let second = try await verified(Self.b, claims, at: provider)
        // Subjects are the tenants' own, and may be the same.
        #expect(first.subject == second.subject && first.account == Self.a + "/s-1" && second.account == Self.b + "/s-1")
        #expect(try first.person().nameID == "s-1", "log-outs go by the subject")
        let kept = [AccountBinding(issuer: provider.issuer, account: first.account)]
        #expect(provider.account(in: kept, issuersOfOthers: []) == first.account)
        #expect(provider.account(in: [], issuersOfOthers: []) == nil)
        let single = try self.provider { $0.issuer = LabProvider.issuer }
        #expect(try await verified(Self.a, claims, at: single).account == "s-1")
    }

    /// What earlier versions kept: the tenant's issuer, and the subject alone.
    @Test func whatWasKeptForEachTenantStillHolds() throws {
        let provider = try provider()
        func issuer(_ tenant: String) -> String { LabProvider.issuer + "/\(tenant)/v2.0" }
        let kept = [
            AccountBinding(issuer: "https://acme.okta.com", account: "00u1"),
            AccountBinding(issuer: LabProvider.issuer + "/no-tenant/v2.0", account: "x"),
            AccountBinding(issuer: issuer(Self.a), account: "s-1"), AccountBinding(issuer: issuer(Self.b), account: "s-2"),
        ]
        #expect(provider.account(in: kept, issuersOfOthers: []) == Self.a + "/s-1", "the oldest is whose it is")
        // What came by a provider for one tenant is that provider's.
        #expect(provider.account(in: kept, issuersOfOthers: [issuer(Self.a)]) == Self.b + "/s-2")
        #expect(provider.account(in: kept, issuersOfOthers: [issuer(Self.a), issuer(Self.b)]) == nil)
        let now = kept + [AccountBinding(issuer: provider.issuer, account: Self.b + "/s-2")]
        #expect(provider.account(in: now, issuersOfOthers: []) == Self.b + "/s-2")
        let single = try self.provider { $0.issuer = issuer(Self.b) }
        #expect(single.account(in: kept, issuersOfOthers: [provider.issuer]) == "s-2")
        let okta = try self.provider { ($0.kind, $0.issuer) = (.okta, "https://acme.okta.com") }
        #expect(okta.account(in: kept, issuersOfOthers: []) == "00u1")
    }
}

/// What is taken away from a provider ends what came by it.
@Suite struct NarrowingTests {
    private func narrowing(
        _ kind: OpenIDProvider.Kind, _ issuer: String = "https://op.example", _ change: (inout OpenIDProvider) -> Void
    ) -> String? {
        var earlier = OpenIDProvider(id: "op", kind: kind, issuer: issuer, clientID: "c")
        (earlier.tenants, earlier.hostedDomains, earlier.sites) = (["t1", "t2"], ["a.example", "b.example"], ["x", "y"])
        var later = earlier
        change(&later)
        return later.narrowing(of: earlier)
    }

    @Test func whatIsTakenAwayIsSaid() {
        #expect(narrowing(.okta) { $0.isEnabled = false } != nil)
        #expect(narrowing(.okta) { $0.issuer = "https://other.example" } != nil)
        #expect(narrowing(.oidc) { $0.kind = .okta } != nil)
        #expect(narrowing(.entra, "https://e/{tenantid}/v2.0") { $0.tenants = ["t2", "t3"] } != nil)
        #expect(narrowing(.google) { $0.hostedDomains = ["a.example"] } != nil)
        #expect(narrowing(.okta) { $0.sites = ["x"] } != nil && narrowing(.okta) { $0.sites = [] } != nil)
        let provider = OpenIDProvider(id: "op", kind: .okta, issuer: "https://op.example", clientID: "c")
        #expect(provider.narrowing(of: nil) != nil)
        var narrow = provider
        narrow.sites = ["x"]
        #expect(narrow.narrowing(of: provider) != nil && provider.narrowing(of: narrow) == nil)
    }

    @Test func whatIsGivenOrSaidOtherwiseIsNot() {
        #expect(narrowing(.okta) { $0.title = "Acme" } == nil)
        #expect(narrowing(.okta) { ($0.clientID, $0.scopes, $0.createsUsers) = ("d", [], true) } == nil)
        #expect(narrowing(.entra, "https://e/{tenantid}/v2.0") { $0.tenants = ["t3", "t2", "t1"] } == nil)
        // Tenants and domains that are not looked at.
        #expect(narrowing(.entra) { $0.tenants = [] } == nil && narrowing(.okta) { $0.hostedDomains = [] } == nil)
        #expect(narrowing(.google) { $0.hostedDomains.append("c.example") } == nil)
        #expect(narrowing(.okta) { $0.sites = nil } == nil && narrowing(.okta) { $0.sites = ["y", "x", "z"] } == nil)
    }

    @Test func theSameHoldsOfSAML() {
        let provider = IdentityProvider(id: "corp", issuer: "urn:corp", serviceURL: "https://idp.example/sso", certificates: [])
        func narrowing(_ change: (inout IdentityProvider) -> Void) -> String? {
            var later = provider
            change(&later)
            return later.narrowing(of: provider)
        }
        #expect(narrowing { $0.isEnabled = false } != nil && narrowing { $0.issuer = "urn:other" } != nil)
        #expect(narrowing { $0.sites = ["x"] } != nil && provider.narrowing(of: nil) != nil)
        #expect(narrowing { $0.title = "Corp" } == nil && narrowing { $0.serviceURL = "https://idp.example/other" } == nil)
    }
}
