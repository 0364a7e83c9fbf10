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

/// Answers a provider that ended somebody's session (SAML core §3.7.2), on its way through the browser.
public enum LogoutResponse {
    /// Where the browser should go; nil when the provider offers no log-out.
    ///
    /// - Parameters:
    ///   - request: the ID of the provider's request.
    ///   - entropy: 16 random bytes for the ID.
    public static func location(
        for provider: IdentityProvider, answering request: String, relayState: String?, entropy: [UInt8], now: WallTime
    ) throws(CryptographyError) -> String? {
        guard let url = provider.logoutURL else { return nil }
        let id = "_" + entropy.prefix(16).hexadecimal
        let text = """
            <samlp:LogoutResponse xmlns:samlp="\(Names.protocolMessages)" xmlns:saml="\(Names.assertion)" ID="\(id)" \
            Version="2.0" IssueInstant="\(AuthnRequest.instant(now))" Destination="\(url.xmlEscaped)" \
            InResponseTo="\(request.xmlEscaped)"><saml:Issuer>\(provider.entityID.xmlEscaped)</saml:Issuer>\
            <samlp:Status><samlp:StatusCode Value="\(Names.success)"/></samlp:Status></samlp:LogoutResponse>
            """
        let carrier = try MessageCarrier.send(
            text, id: id, as: "SAMLResponse", relayState: relayState, to: url, binding: .redirect,
            signedBy: provider.key)
        guard case .redirect(let location) = carrier else { return nil }
        return location
    }
}
