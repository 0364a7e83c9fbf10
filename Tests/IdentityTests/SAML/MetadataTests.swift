import Base
import Cryptography
import Testing

@testable import Identity

/// Metadata may be far larger than a message.
@Suite struct MetadataTests {
    private static let certificate = TestProvider.idp.certificate.der.base64

    private func provider(_ id: String, _ certificate: String = Self.certificate, _ more: String = "") -> String {
        """
        <EntityDescriptor entityID="\(id)">\(more)<IDPSSODescriptor \
        protocolSupportEnumeration="\(Names.protocolMessages)"><KeyDescriptor use="signing"><KeyInfo \
        xmlns="\(Names.signature)"><X509Data><X509Certificate>\(certificate)</X509Certificate></X509Data></KeyInfo>\
        </KeyDescriptor><SingleLogoutService Binding="\(Names.redirectBinding)" Location="https://idp.example/slo"/>\
        <SingleSignOnService Binding="\(Names.redirectBinding)" Location="https://idp.example/sso"/>\
        <SingleSignOnService Binding="\(Names.postBinding)" Location="https://idp.example/sso"/></IDPSSODescriptor>\
        </EntityDescriptor>
        """
    }

    @Test func aProviderIsFoundInAFederation() throws {
        // More elements than a message may have.
        let others = (0..<3000).map { provider("https://idp.example/\($0)", "AAAA") }.joined()
        let all = others + provider("urn:ours")
        let document = "<EntitiesDescriptor xmlns=\"\(Names.metadata)\">\(all)</EntitiesDescriptor>"
        let metadata = try ProviderMetadata(Array(document.utf8), entityID: "urn:ours")
        #expect(metadata.serviceURL == "https://idp.example/sso" && metadata.serviceBinding == .redirect)
        #expect(metadata.logoutURL == "https://idp.example/slo")
        #expect(metadata.certificates == [TestProvider.idp.certificate])
    }

    /// As Entra describes itself, and more: roles of WS-Federation with every claim, each with its own declaration.
    @Test func rolesWithManyClaimsAreRead() throws {
        let claims = (0..<2000).map { number in
            """
            <auth:ClaimType xmlns:auth="http://docs.oasis-open.org/wsfed/authorization/200706" \
            Uri="http://schemas.example/claims/\(number)"><auth:DisplayName>\(number)</auth:DisplayName>\
            <auth:Description>What it says</auth:Description></auth:ClaimType>
            """
        }.joined()
        let roles = (0..<4).map { _ in
            """
            <RoleDescriptor xmlns:xsi="\(Names.schemaInstance)" \
            xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType">\
            <fed:ClaimTypesOffered>\(claims)</fed:ClaimTypesOffered></RoleDescriptor>
            """
        }.joined()
        let entity = provider("https://sts.example/", Self.certificate, roles)
        let document = try entity.replacing(
            once: "<EntityDescriptor", with: "<EntityDescriptor xmlns=\"\(Names.metadata)\"")
        #expect(try ProviderMetadata(Array(document.utf8)).entityID == "https://sts.example/")
    }
}
