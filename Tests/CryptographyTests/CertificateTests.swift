import Base
import Testing
import TestCertificates

@testable import Cryptography

/// Certificates that the tests share; RSA keys take their time.
enum Fixtures {
    static let rootKey = TestKey(.p256)
    static let root = TestCertificate(.authority("Root"), key: rootKey)
    static let intermediate = TestCertificate(.authority("Intermediate"), key: TestKey(.p256), issuer: root)
    static let rsa = TestKey(.rsa2048)
    static let now = WallTime(nanoseconds: Int64(TestCertificate.time) * 1_000_000_000)

    static func certificate(_ certificate: TestCertificate) throws -> Certificate {
        try #require(try Certificate.list(Array(certificate.pem.utf8)).first)
    }

    static func trust(
        _ authorities: [TestCertificate] = [root], lists: [String] = [], _ policy: RevocationPolicy = .relaxed
    ) throws -> CertificateTrust {
        try CertificateTrust(
            authorities: authorities.map(certificate),
            revocationLists: lists.flatMap { try RevocationList.list(Array($0.utf8)) }, policy: policy)
    }
}

struct CertificateTests {
    @Test func aCertificateSaysWhoItIsFor() throws {
        var terms = TestCertificate.Terms(
            "gateway", names: "DNS:gateway.example.org,email:ops@example.org,IP:192.0.2.1,IP:2001:db8::1,URI:https://x/")
        terms.keyUsage = "digitalSignature"
        let certificate = try Fixtures.certificate(
            TestCertificate(terms, key: TestKey(.p384), issuer: Fixtures.root))
        #expect(certificate.subject.description == "C=CH, O=Gatehouse, CN=gateway")
        #expect(certificate.issuer.description == "C=CH, O=Gatehouse, CN=Root")
        #expect(
            certificate.alternativeNames == [
                .dns("gateway.example.org"), .email("ops@example.org"), .address(try #require(IPAddress("192.0.2.1"))),
                .address(try #require(IPAddress("2001:db8::1"))),
            ])
        #expect(certificate.key.kind == .p384)
        #expect(!certificate.isAuthority)
        #expect(certificate.keyHash.count == 20)
        #expect(certificate.notAfter.seconds - certificate.notBefore.seconds == 366 * 86_400)
        #expect(!certificate.serialNumber.isEmpty)
        let again = try #require(try Certificate.list(Array(certificate.pem.utf8)).first)
        #expect(again == certificate && again.pem == certificate.pem)
    }

    @Test func whatIsNoCertificateIsSaidToBeNone() throws {
        let der = try Fixtures.certificate(Fixtures.root).der
        #expect(throws: CertificateFault.self) { try Certificate(der: []) }
        #expect(throws: CertificateFault.self) { try Certificate(der: der + [0]) }
        #expect(throws: CertificateFault.self) { try Certificate(der: [UInt8](repeating: 0x30, count: 20_000)) }
        #expect(throws: CertificateFault.self) { try Certificate.list(Array("no PEM here".utf8)) }
        for length in stride(from: 0, to: der.count, by: 7) {
            #expect(throws: CertificateFault.self) { try Certificate(der: der.prefix(length)) }
        }
        #expect(throws: CertificateFault.unsupportedKey("ED25519")) {
            try Certificate.list(Array(TestCertificate(.init("x"), key: TestKey(.ed25519)).pem.utf8))
        }
    }

    // MARK: - Chains

    private func fault(
        _ end: TestCertificate, with intermediates: [TestCertificate] = [], _ trust: CertificateTrust,
        at time: WallTime = Fixtures.now
    ) throws -> String? {
        let end = try Fixtures.certificate(end)
        let others = try intermediates.map(Fixtures.certificate)
        do throws(CertificateFault) {
            _ = try trust.verify(end, intermediates: others, at: time)
            return nil
        } catch {
            return error.description
        }
    }

    private func end(
        _ issuer: TestCertificate = Fixtures.root, _ change: (inout TestCertificate.Terms) -> Void = { _ in },
        key: TestKey = TestKey(.p256)
    ) -> TestCertificate {
        var terms = TestCertificate.Terms("peer", names: "DNS:peer.example.org")
        change(&terms)
        return TestCertificate(terms, key: key, issuer: issuer)
    }

    @Test func aChainLeadsToATrustedCA() throws {
        let trust = try Fixtures.trust()
        let peer = try Fixtures.certificate(end(Fixtures.intermediate))
        let middle = try Fixtures.certificate(Fixtures.intermediate)
        let chain = try trust.verify(peer, intermediates: [middle], at: Fixtures.now)
        #expect(chain.certificates == [peer, middle, try Fixtures.certificate(Fixtures.root)])
        // An intermediate that is trusted is enough, and what the peer sends beside it does not matter.
        let partial = try Fixtures.trust([Fixtures.intermediate])
        #expect(try partial.verify(peer, intermediates: [], at: Fixtures.now).certificates == [peer, middle])
        for usage in ["serverAuth", "1.3.6.1.5.5.7.3.17", "codeSigning,clientAuth"] {
            #expect(try fault(end(Fixtures.root) { $0.extendedKeyUsage = usage }, trust) == nil)
        }
        #expect(try fault(end(Fixtures.root) { $0.keyUsage = "nonRepudiation" }, trust) == nil)
    }

    @Test func eachDefectHasItsOwnReason() throws {
        let trust = try Fixtures.trust()
        let stranger = TestCertificate(.authority("Root"), key: TestKey(.p256))
        #expect(try fault(end(stranger), trust)?.contains("the issuer 'C=CH, O=Gatehouse, CN=Root'") == true)
        #expect(
            try fault(end(Fixtures.intermediate), trust)?.contains(
                "the issuer 'C=CH, O=Gatehouse, CN=Intermediate' of 'C=CH, O=Gatehouse, CN=peer' is not known") == true)
        let alone = TestCertificate(.init("alone"), key: TestKey(.p256))
        #expect(try fault(alone, trust) == "'C=CH, O=Gatehouse, CN=alone' signs itself and is no configured CA")
        let peer = end()
        let later = WallTime(nanoseconds: Fixtures.now.nanoseconds + 400 * 86_400_000_000_000)
        let earlier = WallTime(nanoseconds: Fixtures.now.nanoseconds - 2 * 86_400_000_000_000)
        #expect(try fault(peer, trust, at: later)?.contains("expired on 2027-11-24") == true)
        #expect(try fault(peer, trust, at: earlier)?.contains("is valid from 2026-11-23T12:00:00.000Z on only") == true)
        let old = end(Fixtures.root) { $0.notAfter = TestCertificate.time - 60 }
        #expect(try fault(old, trust)?.contains("expired on 2026-11-24") == true)
        let noCA = TestCertificate(.init("no CA"), key: TestKey(.p256), issuer: Fixtures.root)
        #expect(try fault(end(noCA), with: [noCA], trust)?.contains("'C=CH, O=Gatehouse, CN=no CA' has issued") == true)
        var unconstrained = TestCertificate.Terms.authority("loose")
        unconstrained.lacksConstraints = true
        let loose = TestCertificate(unconstrained, key: TestKey(.p256), issuer: Fixtures.root)
        #expect(try fault(end(loose), with: [loose], trust)?.contains("CN=loose' has issued") == true)
        var unsigned = TestCertificate.Terms.authority("mute")
        unsigned.keyUsage = "cRLSign"
        let mute = TestCertificate(unsigned, key: TestKey(.p256), issuer: Fixtures.root)
        #expect(try fault(end(mute), with: [mute], trust) != nil)
        var short = TestCertificate.Terms.authority("short")
        short.pathLength = 0
        let top = TestCertificate(short, key: TestKey(.p256), issuer: Fixtures.root)
        let below = TestCertificate(.authority("below"), key: TestKey(.p256), issuer: top)
        #expect(try fault(end(below), with: [below, top], trust)?.contains("path length") == true)
        #expect(try fault(end(Fixtures.root) { $0.keyUsage = "keyEncipherment" }, trust)?.contains("key usage") == true)
        #expect(
            try fault(end(Fixtures.root) { $0.extendedKeyUsage = "codeSigning" }, trust)?.contains(
                "has nothing for IPsec") == true)
        #expect(try fault(end(Fixtures.root) { $0.hash = "sha1" }, trust)?.contains("weak hash") == true)
        #expect(try fault(end(key: TestKey(.rsa1024)), trust)?.contains("is too weak") == true)
        #expect(
            try fault(end(Fixtures.root) { $0.unknownExtension = true }, trust)?.contains("critical extension") == true)
        let forged = try #require(try Certificate.list(Array(peer.forgedPEM.utf8)).first)
        #expect(throws: CertificateFault.badSignature(subject: "C=CH, O=Gatehouse, CN=peer")) {
            try trust.verify(forged, intermediates: [], at: Fixtures.now)
        }
        #expect(throws: CertificateFault.noAuthority(subject: "C=CH, O=Gatehouse, CN=peer")) {
            try Fixtures.trust([peer])
        }
    }

    // MARK: - Revocation

    @Test func aRevokedCertificateIsRefused() throws {
        let (good, bad) = (end(), end())
        let list = Fixtures.root.revocationList([bad])
        for policy in RevocationPolicy.allCases {
            let trust = try Fixtures.trust(lists: [list], policy)
            #expect(try fault(good, trust) == nil)
            #expect(try fault(bad, trust) == "'C=CH, O=Gatehouse, CN=peer' was revoked")
        }
        // An intermediate may be revoked as well.
        let below = end(Fixtures.intermediate)
        let trust = try Fixtures.trust(lists: [Fixtures.root.revocationList([Fixtures.intermediate])])
        #expect(
            try fault(below, with: [Fixtures.intermediate], trust)
                == "'C=CH, O=Gatehouse, CN=Intermediate' was revoked")
    }

    @Test func thePolicySaysWhatAnOldOrMissingListMeans() throws {
        let (good, bad) = (end(), end())
        let old = Fixtures.root.revocationList([bad], nextUpdate: TestCertificate.time - 60)
        let relaxed = try Fixtures.trust(lists: [old])
        #expect(try fault(good, relaxed) == nil)
        #expect(try fault(bad, relaxed)?.contains("was revoked") == true)
        let chain = try relaxed.verify(try Fixtures.certificate(good), intermediates: [], at: Fixtures.now)
        #expect(chain.stale == ["C=CH, O=Gatehouse, CN=peer"])
        #expect(try fault(good, Fixtures.trust(lists: [old], .strict))?.contains("past its next update") == true)
        // A list of the root says nothing of what the intermediate has issued.
        let below = end(Fixtures.intermediate)
        let lists = [Fixtures.root.revocationList([])]
        #expect(try fault(below, with: [Fixtures.intermediate], Fixtures.trust(lists: lists)) == nil)
        #expect(
            try fault(below, with: [Fixtures.intermediate], Fixtures.trust(lists: lists, .strict))?.contains(
                "no CRL speaks of 'C=CH, O=Gatehouse, CN=peer'") == true)
        let both = lists + [Fixtures.intermediate.revocationList([])]
        #expect(try fault(below, with: [Fixtures.intermediate], Fixtures.trust(lists: both, .strict)) == nil)
    }

    @Test func aListThatItsIssuerDidNotSignIsRefused() throws {
        let trust = try Fixtures.trust(lists: [Fixtures.root.revocationList([], signer: TestKey(.p256))])
        #expect(try fault(end(), trust)?.contains("the CRL that speaks of") == true)
    }

    // MARK: - Names

    @Test(arguments: [
        "C=CH, O=Gatehouse, CN=gateway", "CN=a\\, b\\+c\\=d", "O=Zürich AG, CN=x", "DC=org, DC=example, CN=x",
        "CN=a+OU=b", "CN=x, emailAddress=ops@example.org",
    ])
    func aNameIsReadAsItIsWritten(_ text: String) throws {
        let name = try #require(DistinguishedName(text))
        let again = try #require(DistinguishedName(name.description))
        #expect(again == name)
        #expect(DistinguishedName(der: name.der) == name)
    }

    @Test func namesThatMeanTheSameMatch() throws {
        let name = try #require(DistinguishedName("C=CH, O=Gate  House, CN=Peer"))
        for other in ["c=ch, o=gate house, cn=peer", "/C=CH/O=Gate House/CN=PEER", " C = CH ,O=Gate House , CN=Peer"] {
            #expect(try #require(DistinguishedName(other)).matches(name), "\(other)")
        }
        for other in ["C=CH, CN=Peer, O=Gate House", "C=CH, O=Gate House", "C=CH, O=Gate House, CN=Peer, CN=Peer"] {
            #expect(!(try #require(DistinguishedName(other)).matches(name)), "\(other)")
        }
        for bad in ["", "CN", "CN=", "=x", "CN=x,", "NOSUCHTHING=x", "CN=x\\", "asn1dn:#30", "asn1dn:#zz"] {
            #expect(DistinguishedName(bad) == nil, "\(bad)")
        }
    }

    // MARK: - Keys

    @Test func aKeyIsReadInEveryForm() throws {
        for kind in [TestKey.Kind.p256, .p384, .p521] {
            let key = TestKey(kind)
            let forms = try [key.pem, key.traditionalPEM].map { try PrivateKey(Secret(Array($0.utf8))).pkcs8 }
            #expect(forms[0] == forms[1])
            #expect(try PrivateKey(forms[0]).pkcs8 == forms[0])
            #expect(PEM.text("PRIVATE KEY", forms[0]) == key.pem)
        }
        let rsa = try PrivateKey(Secret(Array(Fixtures.rsa.traditionalPEM.utf8)))
        #expect(rsa.kind == .rsa(bits: 2048, isPSSOnly: false))
        #expect("\(rsa)" == "RSA 2048 key (hidden)")
        // openssl ecparam writes the curve in front of the key, and people keep both in one file.
        let mixed = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + TestKey(.p256).traditionalPEM
        #expect(try PrivateKey(Secret(Array(mixed.utf8))).kind == .p256)
    }

    @Test func aKeyThatCannotBeUsedIsRefusedWithItsReason() throws {
        let key = TestKey(.p256)
        for text in [key.encryptedPEM, key.encryptedTraditionalPEM] {
            #expect(throws: CertificateFault.encryptedKey) { try PrivateKey(Secret(Array(text.utf8))) }
        }
        #expect(throws: CertificateFault.weakKey(subject: "RSA 1024")) {
            try PrivateKey(Secret(Array(TestKey(.rsa1024).pem.utf8)))
        }
        #expect(throws: CertificateFault.unsupportedKey("ED25519")) {
            try PrivateKey(Secret(Array(TestKey(.ed25519).pem.utf8)))
        }
        for text in ["", "nothing", key.pem.replacing("PRIVATE", with: "PUBLIC"), key.pem + TestKey(.p384).pem] {
            #expect(throws: CertificateFault.self) { try PrivateKey(Secret(Array(text.utf8))) }
        }
        let certificate = try Fixtures.certificate(Fixtures.root)
        #expect(throws: CertificateFault.keyMismatch(subject: "C=CH, O=Gatehouse, CN=Root")) {
            try certificate.require(PrivateKey(Secret(Array(key.pem.utf8))))
        }
        try certificate.require(PrivateKey(Secret(Array(Fixtures.rootKey.pem.utf8))))
    }

    // MARK: - Signatures

    @Test func everySchemeSignsAndVerifies() throws {
        let parts: [any ByteSource] = [Array("a message".utf8), Secret([1, 2, 3])]
        let keys = [Fixtures.rsa, TestKey(.rsaPSS2048), TestKey(.p256), TestKey(.p384), TestKey(.p521)]
        for key in keys {
            let secret = try PrivateKey(Secret(Array(key.pem.utf8)))
            let certificate = try Fixtures.certificate(TestCertificate(.init("x"), key: key))
            for hash in HashAlgorithm.allCases {
                for scheme in [SignatureScheme.pkcs1(hash), .pss(hash), .ecdsa(hash)] {
                    guard secret.kind.permits(scheme) else {
                        #expect(throws: CryptographyError.self) { try secret.sign(scheme, parts) }
                        continue
                    }
                    let signature = try secret.sign(scheme, parts)
                    #expect(certificate.key.verify(signature, scheme, parts))
                    #expect(!certificate.key.verify(signature, scheme, [parts[0]]))
                    #expect(!certificate.key.verify(signature.dropLast() + [0], scheme, parts) || signature.last == 0)
                    let another = HashAlgorithm.allCases.first { $0 != hash } ?? .sha1
                    let wrong: SignatureScheme =
                        switch scheme {
                        case .pkcs1: .pkcs1(another)
                        case .pss: .pss(another)
                        case .ecdsa: .ecdsa(another)
                        }
                    #expect(!certificate.key.verify(signature, wrong, parts))
                    if case .ecdsa = scheme {
                        let plain = try #require(secret.kind.plainECDSA(signature))
                        #expect(plain.count == 2 * (secret.kind.ecdsaLength ?? 0))
                        #expect(secret.kind.derECDSA(plain) == signature)
                    }
                }
            }
        }
    }

    /// The examples of RFC 7427 appendix A, as they stand there.
    @Test(arguments: [
        ("300d06092a864886f70d0101050500", SignatureScheme.pkcs1(.sha1)),
        ("300d06092a864886f70d01010b0500", .pkcs1(.sha256)),
        ("300d06092a864886f70d01010c0500", .pkcs1(.sha384)),
        ("300d06092a864886f70d01010d0500", .pkcs1(.sha512)),
        ("300906072a8648ce3d0401", .ecdsa(.sha1)),
        ("300a06082a8648ce3d040302", .ecdsa(.sha256)),
        ("300a06082a8648ce3d040303", .ecdsa(.sha384)),
        ("300a06082a8648ce3d040304", .ecdsa(.sha512)),
    ])
    func algorithmIdentifiersAreThoseOfTheRFC(_ hexadecimal: String, _ scheme: SignatureScheme) throws {
        let bytes = try #require([UInt8](hexadecimal: hexadecimal))
        #expect(scheme.algorithmIdentifier == bytes)
        #expect(SignatureScheme(algorithmIdentifier: bytes[...]) == scheme)
    }

    @Test func theIdentifierOfPSSNamesItsParameters() throws {
        // RFC 7427 appendix A.4.3, which writes the trailer field out.
        let example = try #require(
            [UInt8](
                hexadecimal: """
                    3046 06092a864886f70d01010a 3039 a00f 300d0609608648016503040201 0500 a11c 301a 06092a864886f70d010108
                    300d0609608648016503040201 0500 a203020120 a303020101
                    """))
        #expect(SignatureScheme(algorithmIdentifier: example[...]) == .pss(.sha256))
        for hash in [HashAlgorithm.sha256, .sha384, .sha512] {
            let bytes = SignatureScheme.pss(hash).algorithmIdentifier
            #expect(SignatureScheme(algorithmIdentifier: bytes[...]) == .pss(hash))
            for index in bytes.indices {
                var changed = bytes
                changed[index] ^= 1
                #expect(SignatureScheme(algorithmIdentifier: changed[...]) != .pss(hash), "byte \(index)")
                #expect(SignatureScheme(algorithmIdentifier: bytes[..<index]) == nil)
            }
        }
        // Defaults, which mean SHA-1 (RFC 7427 appendix A.4.1 and A.4.2).
        for text in ["300b06092a864886f70d01010a", "300d06092a864886f70d01010a3000"] {
            let bytes = try #require([UInt8](hexadecimal: text))
            #expect(SignatureScheme(algorithmIdentifier: bytes[...]) == nil)
        }
    }
}
