import Base
import Cryptography
import Foundation
import Testing

@testable import Identity

/// xmlsec1, another implementation, says the same of signatures and of encrypted assertions.
@Suite struct OracleTests {
    private func temporary(_ bytes: [UInt8]) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/gatehouse-oracle-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).xml"
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }

    /// Whether xmlsec1 finds the first signature at `parent` good under the one certificate.
    private func xmlsecAccepts(_ path: String, _ certificate: String, _ parent: String) throws -> Bool {
        let id = "--id-attr:ID"
        let outcome = try Command.outcome([
            "xmlsec1", "--verify", "--enabled-key-data", "rsa", "--pubkey-cert-pem", certificate, id,
            "\(Names.protocolMessages):Response", id, "\(Names.assertion):Assertion", "--node-xpath",
            "//*[local-name()='\(parent)']/*[local-name()='Signature']", path,
        ])
        return outcome.status == 0
    }

    @Test(arguments: Sample.accepted)
    func acceptsWhatWeAccept(_ sample: Sample) throws {
        let path = Sample.url(sample.file).path
        let certificate = Sample.url(sample.certificate).path
        let signed = try sample.verdict().get().signed
        if signed != .assertion { #expect(try xmlsecAccepts(path, certificate, "Response")) }
        if signed != .response, sample.sp_key == nil { #expect(try xmlsecAccepts(path, certificate, "Assertion")) }
    }

    @Test func refusesWhatIsTamperedWith() throws {
        for file in ["attack-tampered-nameid.xml", "attack-other-key-in-keyinfo.xml"] {
            let sample = try Sample.named(file)
            let path = Sample.url(file).path
            #expect(try !xmlsecAccepts(path, Sample.url(sample.certificate).path, "Assertion"))
        }
    }

    @Test func acceptsWhatOurOwnProviderSigns() throws {
        let path = try temporary(try TestProvider.Parts().document(sign: .both))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try xmlsecAccepts(path, TestProvider.idp.certificateFile, "Response"))
        #expect(try xmlsecAccepts(path, TestProvider.idp.certificateFile, "Assertion"))
    }

    /// Prefixes of a PrefixList that only the Response declares, for the Assertion and for SignedInfo.
    @Test func agreesOnPrefixesThatAreDeclaredAroundWhatIsSigned() throws {
        var parts = TestProvider.Parts()
        parts.namespaces += " xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:i=\"\(Names.schemaInstance)\""
        parts.attributes =
            "<a:AttributeStatement><a:Attribute Name=\"lastname\"><a:AttributeValue i:type=\"xs:string\">L"
            + "</a:AttributeValue></a:Attribute></a:AttributeStatement>"
        let options = TestProvider.SigningOptions(prefixList: "xs p #default", signedInfoPrefixList: "i xs")
        let document = try parts.document(sign: .both, options)
        #expect(TestProvider.refusal(document) == nil)
        let path = try temporary(document)
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try xmlsecAccepts(path, TestProvider.idp.certificateFile, "Response"))
        #expect(try xmlsecAccepts(path, TestProvider.idp.certificateFile, "Assertion"))
    }

    /// Mutations: what we accept, xmlsec1 accepts as well. It may accept more, since it does not look at structure.
    @Test func agreesOnMutations() throws {
        let sample = try Sample.named("lab-assertion-signed-only.xml")
        let document = try sample.document
        var random = SplitMix(seed: 11)
        var accepted = 0
        for _ in 0..<400 {
            let mutated = random.mutate(document)
            guard case .success = try sample.verdict(mutated) else { continue }
            accepted += 1
            guard accepted <= 20 else { break }
            let path = try temporary(mutated)
            defer { try? FileManager.default.removeItem(atPath: path) }
            #expect(try xmlsecAccepts(path, Sample.url(sample.certificate).path, "Assertion"))
        }
        #expect(accepted > 0)
    }

    @Test(arguments: [
        ("aes128-cbc", "http://www.w3.org/2001/04/xmlenc#aes128-cbc", "aes-128", "rsa-oaep-mgf1p"),
        ("aes256-cbc", "http://www.w3.org/2001/04/xmlenc#aes256-cbc", "aes-256", "rsa-oaep-mgf1p"),
        ("aes128-gcm", "http://www.w3.org/2009/xmlenc11#aes128-gcm", "aes-128", "rsa-oaep-mgf1p"),
        ("aes256-gcm", "http://www.w3.org/2009/xmlenc11#aes256-gcm", "aes-256", "rsa-oaep-mgf1p"),
        ("rsa-1_5", "http://www.w3.org/2001/04/xmlenc#aes256-cbc", "aes-256", "rsa-1_5"),
    ])
    func weDecryptWhatXmlsecEncrypts(_ name: String, _ cipher: String, _ session: String, _ transport: String) throws {
        let encrypt = { (assertion: String) throws -> String in
            // Alone, the assertion declares what the response declared for it.
            let alone = try assertion.replacing(once: "<a:Assertion", with: "<a:Assertion xmlns:a=\"\(Names.assertion)\"")
            let plain = try temporary(Array(alone.utf8))
            let template = try temporary(Array("""
                <xenc:EncryptedData xmlns:xenc="\(Names.encryption)" Type="\(Names.encryption)Element">\
                <xenc:EncryptionMethod Algorithm="\(cipher)"/><ds:KeyInfo xmlns:ds="\(Names.signature)">\
                <xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="\(Names.encryption)\(transport)"/>\
                <xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>\
                <xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>
                """.utf8))
            defer { for path in [plain, template] { try? FileManager.default.removeItem(atPath: path) } }
            let output = plain + ".out"
            defer { try? FileManager.default.removeItem(atPath: output) }
            try Command.run([
                "xmlsec1", "--encrypt", "--pubkey-cert-pem", TestProvider.sp.certificateFile, "--session-key", session,
                "--xml-data", plain, "--output", output, template,
            ])
            var data = try String(contentsOfFile: output, encoding: .utf8)
            if data.hasPrefix("<?xml"), let end = data.firstRange(of: "?>") { data.removeSubrange(..<end.upperBound) }
            return "<a:EncryptedAssertion>" + data + "</a:EncryptedAssertion>"
        }
        for sign in [SignedParts.assertion, .response, .both] {
            let document = try TestProvider.Parts().document(sign: sign, encrypt: encrypt)
            if name == "rsa-1_5" {
                #expect(TestProvider.refusal(document) == .algorithm)
                continue
            }
            let response = try TestProvider.verdict(document).get()
            #expect(response.signed == sign && response.subject.nameID == "alice@corp.example")
            // Another byte of ciphertext: nothing but one refusal.
            guard sign == .assertion else { continue }
            let text = String(decoding: document, as: UTF8.self)
            let place = try #require(text.ranges(of: "CipherValue>").dropFirst(2).first)
            let changed = text[..<place.upperBound] + (text[place.upperBound] == "A" ? "B" : "A")
                + text[text.index(after: place.upperBound)...]
            let reason = TestProvider.refusal(Array(changed.utf8))
            #expect(reason == .decryption || reason == .digest)
        }
        if name != "rsa-1_5" {
            let unsigned = try TestProvider.Parts().document(sign: nil, encrypt: encrypt)
            #expect(TestProvider.refusal(unsigned) == .unsigned)
        }
    }
}
