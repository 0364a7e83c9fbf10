import Base
import Cryptography
import Foundation
import Identity
import Testing

@testable import Store

@Suite struct OpenIDProviderStoreTests {
    private func provider(_ id: String, clientID: String = "client") -> OpenIDProvider {
        var provider = OpenIDProfile.provider(
            id: id, kind: .okta, issuer: "https://acme.okta.com", clientID: clientID)
        provider.secret = Secret(Array("unmistakable-secret".utf8))
        return provider
    }

    private let change = Change(actor: "test")

    @Test func providersOfBothKindsShareTheirNames() throws {
        let store = try TemporaryFolder().store()
        try store.save(provider("okta"), replacing: false, by: change)
        #expect(try store.openIDProviders().providers == [provider("okta")])
        #expect(try store.identityProviders().providers.isEmpty)
        #expect(throws: StoreError.providerExists("okta")) {
            try store.save(provider("okta"), replacing: false, by: change)
        }
        let saml = IdentityProvider(id: "okta", issuer: "i", serviceURL: "https://x", certificates: [])
        #expect(throws: StoreError.providerExists("okta")) { try store.save(saml, replacing: false, by: change) }
        #expect(throws: StoreError.providerUnknown("okta")) { try store.save(saml, replacing: true, by: change) }
        #expect(throws: StoreError.providerUnknown("entra")) {
            try store.save(provider("entra", clientID: "other"), replacing: true, by: change)
        }
        var changed = provider("okta")
        changed.title = "Sign in here"
        changed.secret = Secret(Array("another".utf8))
        try store.save(changed, replacing: true, by: change)
        #expect(try store.openIDProviders().providers == [changed])
        try store.removeIdentityProvider("okta", by: change)
        #expect(try store.openIDProviders().providers.isEmpty)
        #expect(
            try store.audit(limit: 10).map(\.action) == [
                "identity-provider-removed", "identity-provider-changed", "identity-provider-added",
            ])
    }

    @Test func anApplicationServesOneProvider() throws {
        let store = try TemporaryFolder().store()
        try store.save(provider("a"), replacing: false, by: change)
        #expect(throws: StoreError.clientTaken(issuer: "https://acme.okta.com", clientID: "client", by: "a")) {
            try store.save(provider("b"), replacing: false, by: change)
        }
        try store.save(provider("b", clientID: "other"), replacing: false, by: change)
        #expect(try store.openIDProviders().providers.map(\.id) == ["a", "b"])
    }

    @Test func theClientSecretIsSealed() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.save(provider("okta"), replacing: false, by: change)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + name))
            #expect(bytes.range(of: Data("unmistakable".utf8)) == nil, "\(name)")
            #expect(bytes.range(of: Data(Array("unmistakable".utf8).hexadecimal.utf8)) == nil, "\(name)")
        }
        try store.close()
        let other = try folder.store(key: 2)
        #expect(try other.openIDProviders().broken.count == 1, "it opened with another machine key")
        try other.close()
    }

    @Test func theFirstSubjectOfAnAddressStays() throws {
        let store = try TemporaryFolder().store()
        #expect(try store.bindings(of: "ada@corp.example").isEmpty)
        try store.keep(subject: "u-1", of: "ada@corp.example", issuer: "i")
        try store.keep(subject: "u-2", of: "ada@corp.example", issuer: "i")
        #expect(try store.bindings(of: "ada@corp.example") == [AccountBinding(issuer: "i", account: "u-1")])
        try store.write([(.userRemoved("ada@corp.example", detail: nil), "test")])
        #expect(try store.bindings(of: "ada@corp.example").isEmpty)
    }
}
