public import Base
public import Cryptography
import XML

/// Writes responses as an identity provider does, for tests and benchmarks: Response and Assertion both signed,
/// RSA-SHA256, as the browser posts them.
public struct ResponseWriter: Sendable {
    public var key: RSAPrivateKey
    public var issuer: String
    public var acs: String
    /// When the provider believes it is.
    public var now: WallTime
    /// The entity that it is for; nil for the issuer.
    public var audience: String?

    public init(key: RSAPrivateKey, issuer: String, acs: String, now: WallTime) {
        self.key = key
        self.issuer = issuer
        self.acs = acs
        self.now = now
    }

    private static let assertionNames = "urn:oasis:names:tc:SAML:2.0:assertion"
    private static let protocolNames = "urn:oasis:names:tc:SAML:2.0:protocol"
    private static let canonicalization = "http://www.w3.org/2001/10/xml-exc-c14n#"

    /// The response for a person.
    ///
    /// - Parameters:
    ///   - number: goes into the IDs: two responses of one number are the same assertion.
    ///   - request: the ID of the request that it answers; nil when nothing was asked.
    public func response(_ number: Int, email: String, answering request: String? = nil) throws -> String {
        let issued = instant(0)
        let end = instant(12 * 3600)
        let answer = request.map { " InResponseTo=\"\($0)\"" } ?? ""
        let attributes = [("firstname", "Person"), ("lastname", "Number \(number)"), ("groups", "staff")].map {
            "<saml:Attribute Name=\"\($0)\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:basic\">"
                + "<saml:AttributeValue>\($1)</saml:AttributeValue></saml:Attribute>"
        }.joined()
        let text = """
            <samlp:Response xmlns:samlp="\(Self.protocolNames)" xmlns:saml="\(Self.assertionNames)" ID="_r\(number)" \
            Version="2.0" IssueInstant="\(issued)" Destination="\(acs)"\(answer)><saml:Issuer>\(issuer)</saml:Issuer>\
            <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>\
            <saml:Assertion ID="_a\(number)" Version="2.0" IssueInstant="\(issued)"><saml:Issuer>\(issuer)</saml:Issuer>\
            <saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">\(email)\
            </saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">\
            <saml:SubjectConfirmationData Recipient="\(acs)" NotOnOrAfter="\(end)"\(answer)/></saml:SubjectConfirmation>\
            </saml:Subject><saml:Conditions NotBefore="\(issued)" NotOnOrAfter="\(end)"><saml:AudienceRestriction>\
            <saml:Audience>\(audience ?? issuer)</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
            <saml:AuthnStatement AuthnInstant="\(issued)" SessionIndex="_s\(number)"><saml:AuthnContext>\
            <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport\
            </saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>\(attributes)\
            </saml:AttributeStatement></saml:Assertion></samlp:Response>
            """
        return Array(try signed(try signed(text, "_a\(number)"), "_r\(number)").utf8).base64
    }

    private func instant(_ seconds: Int64) -> String {
        WallTime(nanoseconds: now.nanoseconds + seconds * 1_000_000_000).rfc3339.prefix(19) + "Z"
    }

    /// With an enveloped signature behind the Issuer of the element of that ID.
    private func signed(_ document: String, _ id: String) throws -> String {
        var found: XMLNode?
        try XMLTree(Array(document.utf8)).root.walk { if $0.attribute("ID") == id { found = $0 } }
        let digest = Hash.digest(.sha256, [try found!.canonical()]).base64
        let signatureNames = "http://www.w3.org/2000/09/xmldsig#"
        let info = """
            <ds:SignedInfo xmlns:ds="\(signatureNames)"><ds:CanonicalizationMethod Algorithm="\(Self.canonicalization)">\
            </ds:CanonicalizationMethod><ds:SignatureMethod \
            Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod><ds:Reference \
            URI="#\(id)"><ds:Transforms><ds:Transform Algorithm="\(signatureNames)enveloped-signature"></ds:Transform>\
            <ds:Transform Algorithm="\(Self.canonicalization)"></ds:Transform></ds:Transforms><ds:DigestMethod \
            Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>\(digest)\
            </ds:DigestValue></ds:Reference></ds:SignedInfo>
            """
        let value = try key.signPKCS1(try XMLTree(Array(info.utf8)).root.canonical(), hash: .sha256)
        let signature =
            "<ds:Signature xmlns:ds=\"\(signatureNames)\">\(info)<ds:SignatureValue>\(value.base64)</ds:SignatureValue>"
            + "</ds:Signature>"
        let element = document.firstRange(of: "ID=\"\(id)\"")!.upperBound
        let place = document[element...].firstRange(of: "</saml:Issuer>")!.upperBound
        return document[..<place] + signature + document[place...]
    }
}
