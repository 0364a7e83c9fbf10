public import Base
public import Cryptography
internal import XML

/// Tells a provider that somebody has signed out here (SAML core §3.7.1), on its way through the browser.
public enum LogoutRequest {
    /// Where the browser should go; nil when the provider offers no log-out.
    public static func location(
        for provider: IdentityProvider, nameID: String, sessionIndex: String?, entropy: [UInt8], now: WallTime
    ) throws(CryptographyError) -> String? {
        guard let url = provider.logoutURL else { return nil }
        let id = "_" + entropy.prefix(16).hexadecimal
        let index = sessionIndex.map { "<samlp:SessionIndex>\($0.xmlEscaped)</samlp:SessionIndex>" } ?? ""
        let text = """
            <samlp:LogoutRequest xmlns:samlp="\(Names.protocolMessages)" xmlns:saml="\(Names.assertion)" ID="\(id)" \
            Version="2.0" IssueInstant="\(AuthnRequest.instant(now))" Destination="\(url.xmlEscaped)">\
            <saml:Issuer>\(provider.entityID.xmlEscaped)</saml:Issuer><saml:NameID \
            Format="\(Names.unspecifiedFormat)">\(nameID.xmlEscaped)</saml:NameID>\(index)</samlp:LogoutRequest>
            """
        let carrier = try MessageCarrier.send(
            text, id: id, as: "SAMLRequest", relayState: nil, to: url, binding: .redirect, signedBy: provider.key)
        guard case .redirect(let location) = carrier else { return nil }
        return location
    }
}
