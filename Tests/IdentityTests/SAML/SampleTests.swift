import Base
import Cryptography
import Testing

@testable import Identity

/// Recorded responses of real providers, and attacks, with the verdicts of their manifest.
@Suite struct SampleTests {
    @Test func allAreThere() { #expect(Sample.all.count == 32 && Sample.accepted.count == 10) }

    @Test(arguments: Sample.all)
    func getsItsVerdict(_ sample: Sample) throws {
        switch try sample.verdict() {
        case .success(let response):
            #expect(sample.expect != "reject")
            #expect(response.subject.nameID == sample.name_id)
            #expect(response.subject.attributes == sample.attributes)
            #expect(response.signed == ["R": .response, "A": .assertion, "RA": .both][sample.signed])
            #expect(response.subject.isIdPInitiated == (sample.in_response_to == nil))
        case .failure(let refusal):
            #expect(sample.expect != "accept", "\(refusal)")
            #expect(refusal.reason.rawValue == sample.reason)
        }
    }

    @Test func aCommentDoesNotCutANameShort() throws {
        let sample = try Sample.named("attack-nameid-comment.xml")
        #expect(try sample.verdict().get().subject.nameID == "admin@corp.example.evil.example")
    }

    @Test(arguments: Sample.accepted)
    func isRefusedWithAnyOtherParameter(_ sample: Sample) throws {
        var trust = try sample.trust()
        trust.audiences = ["urn:another"]
        #expect(try sample.refusal(trust: trust) == .audience)
        trust = try sample.trust()
        trust.acsURL += "/"
        #expect(try sample.refusal(trust: trust) == .recipient)
        trust = try sample.trust()
        trust.issuer += "x"
        #expect(try sample.refusal(trust: trust) == .issuer)
        trust = try sample.trust()
        trust.certificates = [TestProvider.idp.certificate]
        #expect(try sample.refusal(trust: trust) == .signature)
        #expect(try sample.refusal(expecting: .answer(to: "_other")) == .inResponseTo)
        if sample.in_response_to != nil { #expect(try sample.refusal(expecting: .unsolicited) == .inResponseTo) }
    }

    @Test(arguments: Sample.accepted)
    func isRefusedAtAnyOtherTime(_ sample: Sample) throws {
        let time = try sample.time
        #expect(try sample.refusal(at: time + .seconds(-3600)) == .notYetValid)
        let isLong = sample.file.hasPrefix("entra")
        #expect(try sample.refusal(at: time + .seconds(isLong ? 7200 : 600)) == .expired)
    }

    @Test(arguments: Sample.accepted)
    func needsWhatIsRequiredToBeSigned(_ sample: Sample) throws {
        let signed = try #require(sample.signed)
        var trust = try sample.trust()
        for (requirement, isMet) in [
            (SignatureRequirement.response, signed.contains("R")), (.assertion, signed.contains("A")),
            (.both, signed == "RA"), (.any, true),
        ] {
            trust.requirement = requirement
            #expect(try sample.refusal(trust: trust) == (isMet ? nil : .unsigned))
        }
    }

    @Test(arguments: Sample.accepted)
    func isAcceptedAsBase64AndAsAFormField(_ sample: Sample) throws {
        let document = try sample.document
        let base64 = document.base64
        let wrapped = stride(from: 0, to: base64.count, by: 76).map { base64.dropFirst($0).prefix(76) + "\r\n" }.joined()
        let field = "SAMLResponse=" + base64.replacing("+", with: "%2B").replacing("=", with: "%3d") + "&RelayState=x"
        for text in [base64, wrapped, field] {
            #expect(try MessageText.document(Array(text.utf8)) == document)
        }
        #expect(try MessageText.document(document) == document)
    }

    @Test func severalCertificatesServeARollOver() throws {
        let sample = try Sample.named("lab-both-signed.xml")
        var trust = try sample.trust()
        trust.certificates = [TestProvider.idp.certificate] + trust.certificates
        #expect(try sample.refusal(trust: trust) == nil)
    }

    @Test func sha1IsAcceptedWhereAllowedAndSaysSo() throws {
        let sample = try Sample.named("lab-sha1.xml")
        var trust = try sample.trust()
        trust.allowsSHA1 = true
        let response = try sample.verdict(trust: trust).get()
        #expect(response.warnings.contains { $0.contains("SHA-1") })
    }

    @Test func anEncryptedAssertionNeedsItsKey() throws {
        for file in ["okta-encrypted-both-signed.xml", "lab-encrypted-both-signed.xml"] {
            let sample = try Sample.named(file)
            var trust = try sample.trust()
            trust.decryptionKeys = []
            #expect(try sample.refusal(trust: trust) == .decryption)
            trust.decryptionKeys = [TestProvider.sp.key]
            #expect(try sample.refusal(trust: trust) == .decryption)
            trust.decryptionKeys += try sample.trust().decryptionKeys
            #expect(try sample.refusal(trust: trust) == nil)
        }
    }

    @Test func claimsBecomeNames() throws {
        let adfs = try Sample.named("adfs-assertion-signed.xml").verdict().get().subject
        #expect(adfs.firstName == "paul" && adfs.lastName == "fraley" && adfs.email == "paul@spstest2.com")
        let google = try Sample.named("google-response-signed.xml").verdict().get().subject
        #expect(google.firstName == "Ross" && google.lastName == "Kinder")
        let okta = try Sample.named("okta-both-signed.xml").verdict().get()
        #expect(okta.subject.email == nil && okta.warnings.contains { $0.contains("e-mail") })
        let lab = try Sample.named("lab-both-signed-sp-initiated.xml").verdict().get().subject
        #expect(lab.lastName == "O'Neil & Sons" && lab.sessionIndex != nil)
        #expect(lab.sessionNotOnOrAfter == WallTime(rfc3339: "2026-11-24T07:06:56Z"))
    }

    @Test func theIssuerIsFoundBeforeVerification() throws {
        for sample in Sample.accepted {
            #expect(try ResponseVerifier.envelope(of: sample.document).issuer == sample.issuer)
        }
    }
}

/// Certificates as people paste them.
@Suite struct CertificateTextTests {
    @Test(arguments: [
        "base64-der-one-line", "base64-der-wrapped", "hex-lower", "hex-upper-colons-wrapped", "pem-crlf-indented-bom",
        "pem-one-line", "pem-with-text-header", "pem",
    ])
    func isRead(_ name: String) throws {
        let read = try CertificateText.read(Sample.bytes("certificate-forms/ok-\(name).txt"))
        let expected = try CertificateText.read(Sample.bytes("lab-idp.crt.pem"))
        #expect(read == expected && read.count == 1)
        #expect(read[0].fingerprint == expected[0].fingerprint)
        #expect(try CertificateText.read(read[0].der) == expected)
        #expect(try CertificateText.read(Array(read[0].pem.utf8)) == expected)
    }

    @Test(arguments: [
        ("empty", "empty"), ("hex-odd-length", "odd number"), ("private-key", "private key"),
        ("public-key-only", "public key"), ("trailing-garbage-der", "behind"), ("truncated", ""),
    ])
    func isRefused(_ name: String, _ word: String) throws {
        let bytes = try Sample.bytes("certificate-forms/bad-\(name).txt")
        let fault = #expect(throws: CertificateText.Fault.self) { try CertificateText.read(bytes) }
        #expect(fault?.description.contains(word) == true || word.isEmpty)
    }

    @Test func bothOfTwoAreKept() throws {
        let read = try CertificateText.read(Sample.bytes("certificate-forms/two-certificates-pem.txt"))
        #expect(read.count == 2 && read[0] != read[1])
        #expect(read[0].subject == "/CN=lab-idp")
        #expect(read[0].notAfter == WallTime(rfc3339: "2036-11-20T23:06:53Z"))
    }

    @Test func anythingElseIsRefusedWithWords() {
        for text in ["-----BEGIN", "-----BEGIN X-----", "MIID", "30", "3082", "zzz", "\u{0}", "0x3082"] {
            let fault = #expect(throws: CertificateText.Fault.self) { try CertificateText.read(Array(text.utf8)) }
            #expect(fault?.description.isEmpty == false)
        }
    }
}
