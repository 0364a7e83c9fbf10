public import Base
public import Cryptography
internal import XML

/// A request to an identity provider to sign somebody in (SAML core §3.4), on its way through the browser.
public struct AuthnRequest: Hashable, Sendable {
    /// How the browser carries it.
    public enum Carrier: Hashable, Sendable {
        /// The address to go to (SAML bindings §3.4).
        case redirect(String)
        /// A form to post to an address (SAML bindings §3.5): names and values.
        case form(action: String, fields: [String: String])
    }

    public var id: String
    public var relayState: String
    public var carrier: Carrier

    /// Asks `provider`, with an answer to `acsURL`.
    ///
    /// - Parameters:
    ///   - entropy: 32 random bytes, half for the ID, half for the RelayState.
    public init(
        to provider: IdentityProvider, acsURL: String, entropy: [UInt8], now: WallTime
    ) throws(CryptographyError) {
        id = "_" + entropy.prefix(16).hexadecimal
        relayState = entropy.dropFirst(16).prefix(16).hexadecimal
        let text = """
            <samlp:AuthnRequest xmlns:samlp="\(Names.protocolMessages)" xmlns:saml="\(Names.assertion)" ID="\(id)" \
            Version="2.0" IssueInstant="\(Self.instant(now))" Destination="\(provider.serviceURL.xmlEscaped)" \
            AssertionConsumerServiceURL="\(acsURL.xmlEscaped)" ProtocolBinding="\(Names.postBinding)">\
            <saml:Issuer>\(provider.entityID.xmlEscaped)</saml:Issuer>\
            <samlp:NameIDPolicy Format="\(Names.unspecifiedFormat)" AllowCreate="true"/></samlp:AuthnRequest>
            """
        carrier = try MessageCarrier.send(
            text, id: id, as: "SAMLRequest", relayState: relayState, to: provider.serviceURL,
            binding: provider.serviceBinding, signedBy: provider.signsRequests ? provider.key : nil)
    }

    /// Without a fraction: some providers refuse one.
    static func instant(_ time: WallTime) -> String { time.rfc3339.prefix(19) + "Z" }
}

/// Puts messages of ours on their way.
enum MessageCarrier {
    static func send(
        _ text: String, id: String, as field: String, relayState: String?, to url: String,
        binding: IdentityProvider.Binding, signedBy key: Secret?
    ) throws(CryptographyError) -> AuthnRequest.Carrier {
        let key = try key.map { (key) throws(CryptographyError) in try RSAPrivateKey(key) }
        switch binding {
        case .post:
            let message = try key.map { (key) throws(CryptographyError) in try signed(text, id, key) } ?? text
            var fields = [field: Array(message.utf8).base64]
            fields["RelayState"] = relayState
            return .form(action: url, fields: fields)
        case .redirect:
            var query = field + "=" + FormEncoding.escape(Deflate.store(Array(text.utf8)).base64)
            if let relayState { query += "&RelayState=" + FormEncoding.escape(relayState) }
            if let key {
                // The signature is over these very bytes (SAML bindings §3.4.4.1).
                query += "&SigAlg=" + FormEncoding.escape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
                query += "&Signature=" + FormEncoding.escape(try key.signPKCS1(Array(query.utf8), hash: .sha256).base64)
            }
            return .redirect(url + (url.contains("?") ? "&" : "?") + query)
        }
    }

    /// The message with an enveloped signature behind its Issuer, where the schema wants it.
    static func signed(_ text: String, _ id: String, _ key: RSAPrivateKey) throws(CryptographyError) -> String {
        let broken = CryptographyError.openSSL(operation: "sign a message", reason: "it has no canonical form")
        guard let root = (try? XMLTree(Array(text.utf8)))?.root, let bytes = try? root.canonical(),
            let place = text.firstRange(of: "</saml:Issuer>")?.upperBound
        else { throw broken }
        let info = """
            <ds:SignedInfo xmlns:ds="\(Names.signature)"><ds:CanonicalizationMethod \
            Algorithm="\(Names.exclusiveCanonicalization)"></ds:CanonicalizationMethod><ds:SignatureMethod \
            Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod><ds:Reference \
            URI="#\(id)"><ds:Transforms><ds:Transform Algorithm="\(Names.envelopedSignature)"></ds:Transform>\
            <ds:Transform Algorithm="\(Names.exclusiveCanonicalization)"></ds:Transform></ds:Transforms>\
            <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>\
            \(Hash.digest(.sha256, [bytes]).base64)</ds:DigestValue></ds:Reference></ds:SignedInfo>
            """
        guard let canonical = try? XMLTree(Array(info.utf8)).root.canonical() else { throw broken }
        let value = try key.signPKCS1(canonical, hash: .sha256)
        return text[..<place] + "<ds:Signature xmlns:ds=\"\(Names.signature)\">"
            + String(decoding: canonical, as: UTF8.self)
            + "<ds:SignatureValue>\(value.base64)</ds:SignatureValue></ds:Signature>" + text[place...]
    }
}
