import Base
import Foundation
import HTTP
import Testing

@testable import Identity

@Suite struct OpenIDConfigurationTests {
    private func recorded(_ name: String) throws -> [UInt8] {
        let url = try #require(Bundle.module.url(forResource: "Samples/oidc/" + name, withExtension: nil))
        return Array(try Data(contentsOf: url))
    }

    @Test(arguments: [
        ("discovery-entra-common.json", "https://login.microsoftonline.com/{tenantid}/v2.0"),
        ("discovery-google.json", "https://accounts.google.com"),
    ]) func recordedDocumentsAreRead(_ name: String, _ issuer: String) throws {
        let bytes = try recorded(name)
        let published = try #require(try OpenIDConfiguration.issuer(of: bytes))
        let configuration = try OpenIDConfiguration(bytes, issuer: published)
        #expect(configuration.userInfoEndpoint != nil && configuration.clientAuthentications.contains("client_secret_post"))
        // Google's recording has the older form of its issuer.
        #expect(published == issuer || "https://" + published == issuer)
    }

    @Test func oktasCustomServerIsRead() throws {
        let bytes = try recorded("discovery-okta-custom-as.json")
        let issuer = try #require(try OpenIDConfiguration.issuer(of: bytes))
        #expect(issuer.contains("/oauth2/"))
        let configuration = try OpenIDConfiguration(bytes, issuer: issuer)
        #expect(configuration.endSessionEndpoint != nil && !configuration.answersNameIssuer)
        #expect(throws: OpenIDRefusal.self) { try OpenIDConfiguration(bytes, issuer: issuer + "/") }
    }

    /// It was recorded from a server without TLS.
    @Test func endpointsWithoutTLSAreRefused() throws {
        let bytes = try recorded("discovery-glewlwyd.json")
        let issuer = try #require(try OpenIDConfiguration.issuer(of: bytes))
        let error = #expect(throws: OpenIDRefusal.self) { try OpenIDConfiguration(bytes, issuer: issuer) }
        #expect(error?.code == .discovery)
    }

    private func refusal(_ changes: [String: String?], issuer: String = LabProvider.issuer) -> OpenIDRefusal.Code? {
        do throws(OpenIDRefusal) {
            _ = try OpenIDConfiguration(Array(LabProvider.discovery(changes).utf8), issuer: issuer)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func theIssuerIsComparedByteByByte() {
        #expect(refusal([:]) == nil)
        for other in ["https://op.lab.example/", "https://OP.lab.example", "https://op.lab.example.evil", "op.lab.example"] {
            #expect(refusal(["issuer": "\"\(other)\""]) == .discoveryIssuer, "\(other)")
        }
        #expect(refusal(["issuer": nil]) == .discovery)
        #expect(refusal(["issuer": "17"]) == .discovery)
    }

    @Test(arguments: ["authorization_endpoint", "token_endpoint", "jwks_uri"])
    func whatIsNeededMustBeThere(_ name: String) {
        for value in [nil, "null", "3", "\"\"", "\"http://op.lab.example/\"", "\"https://u@op.lab.example/\""] {
            #expect(refusal([name: value]) == .discovery, "\(value ?? "nothing")")
        }
    }

    @Test func whatIsOptionalMayBeMissingButNotWrong() {
        #expect(refusal(["userinfo_endpoint": nil, "end_session_endpoint": nil]) == nil)
        #expect(refusal(["userinfo_endpoint": "\"http://x/\""]) == .discovery)
        #expect(refusal(["end_session_endpoint": "\"javascript:x\""]) == .discovery)
        #expect(refusal(["response_types_supported": "[\"id_token\"]"]) == .discovery)
    }

    @Test(arguments: ["", "{", "[]", "<html>", "{\"issuer\": \"a\", \"issuer\": \"b\"}", "null"])
    func otherTextsAreRefused(_ text: String) {
        let error = #expect(throws: OpenIDRefusal.self) {
            try OpenIDConfiguration(Array(text.utf8), issuer: LabProvider.issuer)
        }
        #expect(error?.code == .discovery)
    }

    @Test func theDocumentIsWhereTheStandardSays() {
        func place(_ issuer: String) -> String? {
            OpenIDProvider(id: "x", kind: .oidc, issuer: issuer, clientID: "c").discoveryURL?.description
        }
        #expect(place("https://a.example") == "https://a.example/.well-known/openid-configuration")
        #expect(place("https://a.example/x/") == "https://a.example/x/.well-known/openid-configuration")
        #expect(
            place("https://login.microsoftonline.com/{tenantid}/v2.0")
                == "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration")
        #expect(place("http://a.example") == nil)
    }
}

@Suite struct OpenIDProviderTests {
    @Test func aProviderIsComplete() throws {
        #expect(try LabProvider().provider.faults.isEmpty)
    }

    private func faults(_ kind: OpenIDProvider.Kind, _ change: (inout OpenIDProvider) -> Void) throws -> Int {
        var provider = try LabProvider().provider
        provider.kind = kind
        change(&provider)
        return provider.faults.count
    }

    @Test func whatCannotBeIsNamed() throws {
        #expect(try faults(.oidc) { $0.secret = nil } == 1)
        #expect(try faults(.oidc) { $0.authentication = .privateKey } == 1)
        #expect(try faults(.oidc) { $0.issuer = "http://op.lab.example" } == 1)
        #expect(try faults(.oidc) { $0.issuer = "https://op.lab.example/{tenantid}" } == 1)
        #expect(try faults(.oidc) { $0.clientID = "" } == 1)
        #expect(try faults(.oidc) { $0.scopes = ["a b"] } == 1)
        #expect(try faults(.google) { _ in } == 1, "without a domain, every Google account could sign in")
        #expect(try faults(.google) { $0.hostedDomains = ["Corp.example"] } == 1)
        #expect(try faults(.google) { $0.hostedDomains = ["corp.example"] } == 0)
        let template = "https://login.microsoftonline.com/{tenantid}/v2.0"
        #expect(try faults(.entra) { $0.issuer = template } == 1, "no tenant must mean nobody")
        let tenant = "5c4a1b1e-3a52-4d4b-9a3e-2f0d6d2f9a10"
        #expect(try faults(.entra) { ($0.issuer, $0.tenants) = (template, [tenant]) } == 0)
        #expect(try faults(.entra) { ($0.issuer, $0.tenants) = (template, ["contoso.example"]) } == 1)
    }

    @Test func onlyTheIssuersHostMayBePrivate() throws {
        let lab = try LabProvider()
        #expect(lab.provider.addresses(for: lab.configuration.tokenEndpoint) == .anywhere)
        #expect(lab.provider.addresses(for: lab.configuration.keySetURL) == .publicOnly)
        #expect(lab.provider.addresses(for: WebURL("https://op.lab.example:8443/")!) == .publicOnly)
    }

    @Test func secretsDoNotPrint() throws {
        #expect(!"\(try LabProvider().provider)".contains("s3cret"))
    }
}
