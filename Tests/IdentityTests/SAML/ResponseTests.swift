import Base
import Cryptography
import Testing

@testable import Identity

/// Shapes that no recording has, made by a provider of our own.
@Suite struct ResponseTests {
    typealias Parts = TestProvider.Parts

    private func refusal(_ sign: SignedParts? = .both, _ change: (inout Parts) -> Void) throws -> SAMLRefusal.Reason? {
        var parts = Parts()
        change(&parts)
        return TestProvider.refusal(try parts.document(sign: sign))
    }

    @Test func ourOwnResponsesAreAccepted() throws {
        for sign in [SignedParts.response, .assertion, .both] {
            let response = try TestProvider.verdict(try Parts().document(sign: sign)).get()
            #expect(response.signed == sign && response.assertionID == "_a1")
            #expect(response.subject.email == "alice@corp.example" && response.subject.firstName == "Alice")
        }
        #expect(try TestProvider.refusal(Parts().document(sign: nil)) == .unsigned)
    }

    @Test(arguments: [HashAlgorithm.sha256, .sha384, .sha512])
    func everySHA2IsAccepted(_ hash: HashAlgorithm) throws {
        let options = TestProvider.SigningOptions(hash: hash, digestHash: hash)
        #expect(try TestProvider.refusal(Parts().document(sign: .both, options)) == nil)
    }

    @Test func sha1IsRefusedInEitherPlace() throws {
        for options in [TestProvider.SigningOptions(hash: .sha1), .init(digestHash: .sha1)] {
            let document = try Parts().document(sign: .both, options)
            #expect(TestProvider.refusal(document) == .algorithm)
            var trust = TestProvider.trust()
            trust.allowsSHA1 = true
            #expect(TestProvider.refusal(document, trust) == nil)
        }
    }

    @Test func namespacesOfThePrefixListAreSigned() throws {
        var parts = Parts()
        parts.namespaces += " xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:i=\"\(Names.schemaInstance)\""
        parts.attributes =
            "<a:AttributeStatement><a:Attribute Name=\"lastname\"><a:AttributeValue i:type=\"xs:string\">L"
            + "</a:AttributeValue></a:Attribute></a:AttributeStatement>"
        let document = try parts.document(sign: .both, .init(prefixList: "xs"))
        let text = String(decoding: document, as: UTF8.self)
        #expect(try TestProvider.verdict(document).get().subject.lastName == "L")
        let changed = try text.replacing(once: "http://www.w3.org/2001/XMLSchema\"", with: "urn:other\"")
        #expect(TestProvider.refusal(Array(changed.utf8)) == .digest)
        // And those that are listed for SignedInfo, which only the Response declares.
        let listed = try parts.document(sign: .assertion, .init(signedInfoPrefixList: "i #default xs"))
        #expect(try TestProvider.verdict(listed).get().subject.lastName == "L")
        let other = try String(decoding: listed, as: UTF8.self)
            .replacing(once: "http://www.w3.org/2001/XMLSchema\"", with: "urn:other\"")
        #expect(TestProvider.refusal(Array(other.utf8)) == .signature)
    }

    @Test func textIsReadWhole() throws {
        var parts = Parts()
        parts.nameID = "<a:NameID>\n  <![CDATA[ali]]>ce<!-- x -->@corp.example&#x2E;net\n</a:NameID>"
        for sign in [SignedParts.response, .assertion, .both] {
            let subject = try TestProvider.verdict(parts.document(sign: sign)).get().subject
            #expect(subject.nameID == "alice@corp.example.net")
        }
    }

    @Test func signaturesAreLookedForInOneFormOnly() throws {
        let document = String(decoding: try Parts().document(sign: .assertion), as: UTF8.self)
        func verdict(_ target: String, _ replacement: String) throws -> SAMLRefusal.Reason? {
            TestProvider.refusal(Array(try document.replacing(once: target, with: replacement).utf8))
        }
        #expect(try verdict("URI=\"#_a1\"", "URI=\"\"") == .structure)
        #expect(try verdict("URI=\"#_a1\"", "URI=\"#_r1\"") == .structure)
        #expect(try verdict("URI=\"#_a1\"", "URI=\"#xpointer(id('_a1'))\"") == .structure)
        #expect(try verdict("</ds:SignedInfo>", "</ds:SignedInfo><ds:Object/>") == .structure)
        #expect(try verdict("</ds:Reference>", "</ds:Reference><ds:Reference/>") == .structure)
        #expect(try verdict("xml-exc-c14n#\"></ds:CanonicalizationMethod>", "xml-exc-c14n#WithComments\"></ds:CanonicalizationMethod>") == .algorithm)
        #expect(try verdict("<ds:DigestValue>", "<ds:DigestValue>A") == .digest)
        #expect(try verdict("<ds:SignatureValue>", "<ds:SignatureValue>\n") == nil)
        #expect(try verdict("#rsa-sha256\">", "#rsa-sha256\"><x/>") == .algorithm)
        // The reference must fit even when it was signed so.
        let elsewhere = try Parts().document(sign: .assertion, .init(reference: "#_r1"))
        #expect(TestProvider.refusal(elsewhere) == .structure)
    }

    @Test func everyChangeOfASignedByteIsSeen() throws {
        let document = try Parts().document(sign: .both)
        let text = String(decoding: document, as: UTF8.self)
        for (target, replacement) in [
            ("alice@", "mallo@"), ("2026-11-24T10:05:00Z\"><a:Aud", "2026-11-24T11:05:00Z\"><a:Aud"),
            (">Alice<", ">Alise<"), ("SessionIndex=\"s1\"", "SessionIndex=\"s2\""),
        ] {
            #expect(TestProvider.refusal(Array(try text.replacing(once: target, with: replacement).utf8)) == .digest)
        }
    }

    @Test func wrappingIsRefusedWhereverTheOriginalHides() throws {
        let signed = String(decoding: try Parts().document(sign: .assertion), as: UTF8.self)
        let begin = try #require(signed.firstRange(of: "<a:Assertion"))
        let end = try #require(signed.firstRange(of: "</a:Assertion>"))
        let original = String(signed[begin.lowerBound..<end.upperBound])
        var evil = Parts()
        evil.nameID = "<a:NameID>admin@corp.example</a:NameID>"
        let forged = evil.assertion.replacing("_a1", with: "_evil")
        let places = [
            forged + original, original + forged, forged + "<p:Extensions>\(original)</p:Extensions>",
            "<x xmlns=\"urn:x\">\(original)</x>" + forged,
            forged.replacing("</a:Assertion>", with: "<a:Advice>\(original)</a:Advice></a:Assertion>"),
            forged.replacing("</a:Assertion>", with: "<x xmlns=\"\(Names.signature)\">\(original)</x></a:Assertion>"),
            "<a:EncryptedAssertion>\(original)</a:EncryptedAssertion>" + forged,
        ]
        for content in places {
            let document = Array(Parts().response(content).utf8)
            #expect(TestProvider.refusal(document) == .structure)
        }
        let inResponse = Parts().response("<p:Response ID=\"_x\">\(original)</p:Response>")
        #expect(TestProvider.refusal(Array(inResponse.utf8)) == .structure)
        let twice = try signed.replacing(once: "Version=\"2.0\"", with: "Version=\"2.0\" Id=\"_a1\"")
        #expect(TestProvider.refusal(Array(twice.utf8)) == .structure)
    }

    @Test func unsignedStatusCannotTurnRefusalIntoSuccess() throws {
        let failed =
            "<p:Status><p:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"><p:StatusCode "
            + "Value=\"urn:oasis:names:tc:SAML:2.0:status:RequestDenied\"/></p:StatusCode><p:StatusMessage>AADSTS50105 no"
            + "</p:StatusMessage></p:Status>"
        var parts = Parts()
        parts.status = failed
        for content in ["", parts.assertion] {
            guard case .failure(let refusal) = TestProvider.verdict(Array(parts.response(content).utf8)) else {
                Issue.record("accepted")
                continue
            }
            #expect(refusal.reason == .status)
            #expect(refusal.detail.contains("'RequestDenied'") && refusal.detail.contains("AADSTS50105"))
        }
    }

    @Test func conditionsAreHeld() throws {
        let restriction = { (audience: String) in
            "<a:AudienceRestriction><a:Audience>\(audience)</a:Audience></a:AudienceRestriction>"
        }
        let ours = restriction(TestProvider.issuer)
        let conditions = { (content: String) in "<a:Conditions>\(content)</a:Conditions>" }
        #expect(try refusal { $0.conditions = conditions(ours) } == nil)
        #expect(try refusal { $0.conditions = conditions(ours + "<a:OneTimeUse/><a:ProxyRestriction Count=\"0\"/>") } == nil)
        #expect(try refusal { $0.conditions = conditions(ours + restriction("urn:other")) } == .audience)
        let several = "<a:AudienceRestriction><a:Audience>urn:o</a:Audience><a:Audience>\n \(TestProvider.issuer) </a:Audience></a:AudienceRestriction>"
        #expect(try refusal { $0.conditions = conditions(several) } == nil)
        #expect(try refusal { $0.conditions = conditions("") } == .audience)
        #expect(try refusal { $0.conditions = "" } == .audience)
        #expect(try refusal { $0.conditions = conditions(ours + "<a:Condition/>") } == .condition)
        #expect(try refusal { $0.conditions = conditions(ours + "<x:OneTimeUse xmlns:x=\"urn:x\"/>") } == .condition)
        #expect(try refusal { $0.conditions = $0.conditions + $0.conditions } == .audience)
        for (time, expected) in [
            ("2026-11-24T10:00:00", nil), ("2026-11-24T12:00:30.1234567+02:00", nil),
            ("2026-11-24T10:01:01Z", SAMLRefusal.Reason.notYetValid), ("yesterday", .condition),
        ] {
            #expect(try refusal { $0.conditions = "<a:Conditions NotBefore=\"\(time)\">\(ours)</a:Conditions>" } == expected)
        }
    }

    @Test func theClockSkewIsTheOneThatIsSet() throws {
        let document = try Parts().document()
        let end = try #require(WallTime(rfc3339: "2026-11-24T10:05:00Z"))
        var trust = TestProvider.trust()
        #expect(TestProvider.refusal(document, trust, at: end + .seconds(59)) == nil)
        #expect(TestProvider.refusal(document, trust, at: end + .seconds(60)) == .expired)
        trust.clockSkewSeconds = 0
        #expect(TestProvider.refusal(document, trust, at: end + .seconds(-1)) == nil)
        #expect(TestProvider.refusal(document, trust, at: end) == .expired)
    }

    @Test func confirmationsAreHeld() throws {
        #expect(try refusal { $0.confirmation = "" } == .subjectConfirmation)
        let holder = "<a:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:holder-of-key\"/>"
        #expect(try refusal { $0.confirmation = holder } == .subjectConfirmation)
        #expect(try refusal { $0.confirmation = holder + Parts.bearer() } == nil)
        #expect(try refusal { $0.confirmation = Parts.bearer(recipient: "https://evil.example/") } == .recipient)
        #expect(try refusal { $0.confirmation = Parts.bearer(recipient: "https://evil.example/") + Parts.bearer() } == nil)
        #expect(try refusal { $0.confirmation = Parts.bearer("NotBefore=\"2026-11-24T09:00:00Z\"") } == .subjectConfirmation)
        #expect(try refusal { $0.confirmation = Parts.bearer("InResponseTo=\"_q\"") } == .inResponseTo)
        #expect(try refusal { $0.confirmation = Parts.bearer("Address=\"192.0.2.1\"") } == nil)
        #expect(try refusal { $0.responseAttributes += " InResponseTo=\"_q\"" } == .inResponseTo)
        var parts = Parts()
        parts.confirmation = Parts.bearer("InResponseTo=\"_q\"")
        let answer = try parts.document()
        #expect(TestProvider.refusal(answer, expecting: .answer(to: "_q")) == nil)
        #expect(TestProvider.refusal(answer, expecting: .answer(to: "_z")) == .inResponseTo)
        #expect(TestProvider.refusal(try Parts().document(), expecting: .answer(to: "_q")) == .inResponseTo)
    }

    @Test func destinationAndIssuersAreHeld() throws {
        #expect(try refusal(.both) { $0.responseAttributes = "" } == .destination)
        #expect(try refusal(.assertion) { $0.responseAttributes = "" } == nil)
        #expect(try refusal(.assertion) { $0.responseAttributes = "Destination=\"https://gw.example/\"" } == .destination)
        #expect(try refusal { $0.responseIssuer = "" } == nil)
        #expect(try refusal { $0.responseIssuer = "<a:Issuer>urn:x</a:Issuer>" } == .issuer)
        #expect(try refusal { $0.assertionIssuer = "<a:Issuer>urn:x</a:Issuer>" } == .issuer)
        #expect(try refusal { $0.assertionIssuer = "<a:Issuer Format=\"\(Names.emailFormat)\">\(TestProvider.issuer)</a:Issuer>" } == .issuer)
        #expect(try refusal { $0.assertionIssuer = "<a:Issuer>\n\(TestProvider.issuer)\n</a:Issuer>" } == nil)
    }

    @Test func namesAndStatementsAreHeld() throws {
        for format in ["persistent", "transient", "kerberos"] {
            let name = "<a:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:\(format)\">x@y.example</a:NameID>"
            #expect(try refusal { $0.nameID = name } == .nameID)
        }
        let old = "<a:NameID Format=\"urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified\">x@y.example</a:NameID>"
        #expect(try refusal { $0.nameID = old } == nil)
        #expect(try refusal { $0.nameID = "" } == .nameID)
        #expect(try refusal { $0.nameID = "<a:NameID> </a:NameID>" } == .nameID)
        #expect(try refusal { $0.nameID = "<a:NameID>a<b/>@x.example</a:NameID>" } == .nameID)
        #expect(try refusal { $0.nameID = $0.nameID + $0.nameID } == .nameID)
        #expect(try refusal { $0.nameID = "<a:EncryptedID/>" } == .nameID)
        #expect(try refusal { $0.statement = "" } == .authnStatement)
        #expect(try refusal { $0.statement = "<a:AuthnStatement SessionNotOnOrAfter=\"2026-11-24T08:00:00Z\"/>" } == .expired)
    }

    @Test func attributesKeepTheirValues() throws {
        var parts = Parts()
        parts.attributes = """
            <a:AttributeStatement><a:Attribute Name="Groups"><a:AttributeValue>net</a:AttributeValue>\
            <a:AttributeValue>ops</a:AttributeValue><a:AttributeValue>net</a:AttributeValue></a:Attribute>\
            <a:Attribute Name="empty"/><a:Attribute Name="MAIL"><a:AttributeValue><b>a</b>@x.example</a:AttributeValue>\
            <a:AttributeValue xmlns:i="\(Names.schemaInstance)" i:nil="true"/></a:Attribute></a:AttributeStatement>\
            <a:AttributeStatement><a:Attribute Name="sn"><a:AttributeValue> L </a:AttributeValue></a:Attribute>\
            </a:AttributeStatement>
            """
        parts.nameID = "<a:NameID>bob_corp.example#EXT#@tenant.onmicrosoft.com</a:NameID>"
        let subject = try TestProvider.verdict(parts.document()).get().subject
        #expect(subject.groups == ["net", "ops"] && subject.email == "a@x.example" && subject.lastName == "L")
        #expect(subject.attributes == ["Groups": ["net", "ops", "net"], "empty": [], "MAIL": ["a@x.example"], "sn": [" L "]])
    }

    @Test(arguments: [
        ("a@b", true), ("alice@corp.example", true), ("müller@bücher.example", true), ("o'neil+x@corp.example", true),
        ("alice", false), ("a@b@c", false), ("a b@c.example", false), ("@c.example", false), ("a@", false),
        ("a@-c.example", false), ("a@c..example", false), ("a\u{202E}@c.example", false), ("a,b@c.example", false),
    ])
    func addressesAreToldFromNames(_ text: String, _ isAddress: Bool) {
        #expect(EmailAddress.isPlausible(text) == isAddress)
    }
}
