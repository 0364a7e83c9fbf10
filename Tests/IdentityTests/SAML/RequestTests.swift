import Base
import Cryptography
import Foundation
import Testing
import XML

@testable import Identity

/// What we send: requests, and our metadata.
@Suite struct RequestTests {
    static func provider(_ change: (inout IdentityProvider) -> Void = { _ in }) -> IdentityProvider {
        var provider = IdentityProvider(
            id: "okta", issuer: TestProvider.issuer, serviceURL: "https://idp.example/sso?app=1&x=<y>",
            certificates: [TestProvider.idp.certificate])
        provider.logoutURL = "https://idp.example/slo"
        change(&provider)
        return provider
    }

    static func signing(_ provider: inout IdentityProvider) {
        provider.key = try? TestProvider.sp.key.pkcs8
        provider.certificate = TestProvider.sp.certificate
        provider.signsRequests = true
    }

    private func request(to provider: IdentityProvider) throws -> AuthnRequest {
        try AuthnRequest(
            to: provider, acsURL: TestProvider.acs, entropy: Array(0..<32), now: TestProvider.now)
    }

    private func location(_ carrier: AuthnRequest.Carrier) throws -> String {
        guard case .redirect(let location) = carrier else { throw Command.Failure(description: "no redirect") }
        return location
    }

    /// The fields of an address's query, and the XML that one of them holds.
    private func message(_ location: String, _ field: String) throws -> (root: XMLNode, fields: [String: String]) {
        let query = try #require(location.firstIndex(of: "?").map { location[location.index(after: $0)...] })
        let fields = try #require(FormEncoding.fields(Array(query.utf8))).mapValues { String(decoding: $0, as: UTF8.self) }
        let text = try #require(fields[field])
        let packed = try #require([UInt8](base64: text.utf8))
        return (try XMLTree(try Deflate.inflate(packed, limit: 1 << 16)).root, fields)
    }

    @Test func aRequestSaysWhoAsksAndWhereTheAnswerGoes() throws {
        let request = try request(to: Self.provider { $0.audience = "https://gw.example/sp" })
        let location = try location(request.carrier)
        #expect(location.hasPrefix("https://idp.example/sso?app=1&x=<y>&SAMLRequest="))
        let (root, fields) = try message(location, "SAMLRequest")
        #expect(root.matches("AuthnRequest", Names.protocolMessages))
        #expect(root.attribute("ID") == request.id && request.id == "_000102030405060708090a0b0c0d0e0f")
        #expect(root.attribute("IssueInstant") == "2026-11-24T10:00:00Z")
        #expect(root.attribute("Destination") == "https://idp.example/sso?app=1&x=<y>")
        #expect(root.attribute("AssertionConsumerServiceURL") == TestProvider.acs)
        #expect(root.attribute("ProtocolBinding") == Names.postBinding)
        #expect(root.children("Issuer", Names.assertion).first?.text == "https://gw.example/sp")
        #expect(fields["RelayState"] == request.relayState && request.relayState == "101112131415161718191a1b1c1d1e1f")
        #expect(fields["Signature"] == nil)
    }

    @Test func aSignedRedirectIsSignedOverItsQuery() throws {
        let location = try location(try request(to: Self.provider(Self.signing)).carrier)
        let begin = try #require(location.firstRange(of: "SAMLRequest=")).lowerBound
        let end = try #require(location.firstRange(of: "&Signature=")).lowerBound
        let (_, fields) = try message(location, "SAMLRequest")
        let text = try #require(fields["Signature"])
        let signature = try #require([UInt8](base64: text.utf8))
        #expect(fields["SigAlg"] == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
        #expect(
            TestProvider.sp.certificate.publicKey.verifiesPKCS1(
                signature, of: Array(location[begin..<end].utf8), hash: .sha256))
    }

    @Test func aPostedRequestIsSignedSoThatOthersAccept() throws {
        let request = try request(
            to: Self.provider {
                Self.signing(&$0)
                $0.serviceBinding = .post
            })
        guard case .form(let action, let fields) = request.carrier else {
            Issue.record("no form")
            return
        }
        #expect(action == "https://idp.example/sso?app=1&x=<y>" && fields["RelayState"] == request.relayState)
        let text = try #require(fields["SAMLRequest"])
        let document = try #require([UInt8](base64: text.utf8))
        let path = FileManager.default.temporaryDirectory.path + "/gatehouse-request-\(getpid()).xml"
        try Data(document).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Command.run([
            "xmlsec1", "--verify", "--enabled-key-data", "rsa", "--pubkey-cert-pem", TestProvider.sp.certificateFile,
            "--id-attr:ID", "\(Names.protocolMessages):AuthnRequest", path,
        ])
        // Behind the Issuer, where the schema has it.
        let children = try XMLTree(document).root.children.map(\.name)
        #expect(children == ["Issuer", "Signature", "NameIDPolicy"])
    }

    @Test func ourMetadataSaysWhatAProviderMustKnow() throws {
        let text = ServiceProviderMetadata.document(
            for: Self.provider(Self.signing), acsURL: TestProvider.acs, logoutURL: "https://gw.example/slo")
        let root = try XMLTree(Array(text.utf8)).root
        #expect(root.attribute("entityID") == TestProvider.issuer)
        let role = try #require(root.children("SPSSODescriptor", Names.metadata).first)
        #expect(role.attribute("AuthnRequestsSigned") == "true" && role.attribute("WantAssertionsSigned") == "true")
        // In the order of the schema (SAML metadata §2.4.1, §2.4.4).
        #expect(
            role.children.map(\.name) == [
                "KeyDescriptor", "KeyDescriptor", "SingleLogoutService", "NameIDFormat", "NameIDFormat",
                "AssertionConsumerService",
            ])
        let service = try #require(role.children("AssertionConsumerService", Names.metadata).first)
        #expect(service.attribute("Location") == TestProvider.acs && service.attribute("Binding") == Names.postBinding)
        var certificates: [String] = []
        role.walk { if $0.matches("X509Certificate", Names.signature) { certificates.append($0.text) } }
        #expect(certificates == [String](repeating: TestProvider.sp.certificate.der.base64, count: 2))

        let plain = ServiceProviderMetadata.document(
            for: Self.provider { $0.logoutURL = nil }, acsURL: TestProvider.acs, logoutURL: "https://gw.example/slo")
        let names = try XMLTree(Array(plain.utf8)).root.children.flatMap { $0.children.map(\.name) }
        #expect(names == ["NameIDFormat", "NameIDFormat", "AssertionConsumerService"])
    }
}
