import Base
import Cryptography
import Testing
import TestCertificates

@testable import IKE

/// AUTH payloads of peers that sign in other ways than we do, and of those that cheat.
struct SignatureTests {
    private static var octets: [any ByteSource] { [Array("what is signed".utf8)] }

    private func check(
        _ certificate: TestCertificate, method: UInt8, _ data: [UInt8], allowsSHA1: Bool = false,
        received: [Payloads.CertificateData]? = nil
    ) throws -> SignatureScheme? {
        var credential = try Organisation.credential([Organisation.certificate(.a)])
        credential.allowsSHA1 = allowsSHA1
        let certificates = try received ?? [.init(encoding: 4, data: Organisation.read(certificate).der)]
        return try PeerProof.check(
            Payloads.Authentication(method: method, data: data), .fqdn("b.example.org"), certificates, Self.octets,
            Credentials(credential, localID: nil), at: Organisation.time
        ).scheme
    }

    private func key(_ certificate: TestCertificate) throws -> PrivateKey {
        try PrivateKey(Secret(Array(certificate.key.pem.utf8)))
    }

    @Test(arguments: HashAlgorithm.allCases)
    func aClassicRSASignatureNamesItsHashItself(_ hash: HashAlgorithm) throws {
        let certificate = Organisation.certificate(.b, .rsa2048)
        let data = try key(certificate).sign(.pkcs1(hash), Self.octets)
        if hash == .sha1 {
            #expect(throws: ProofFault.sha1) { try check(certificate, method: 1, data) }
            #expect(try check(certificate, method: 1, data, allowsSHA1: true) == .pkcs1(.sha1))
        } else {
            #expect(try check(certificate, method: 1, data) == .pkcs1(hash))
        }
    }

    @Test(arguments: [(TestKey.Kind.p256, UInt8(9)), (.p384, 10), (.p521, 11)])
    func aClassicECDSASignatureIsTwoNumbers(_ kind: TestKey.Kind, _ method: UInt8) throws {
        let certificate = Organisation.certificate(.b, kind)
        let key = try key(certificate)
        let der = try key.sign(.ecdsa(key.kind.hash), Self.octets)
        let plain = try #require(key.kind.plainECDSA(der))
        #expect(try check(certificate, method: method, plain) == .ecdsa(key.kind.hash))
        #expect(throws: ProofFault.wrongSignature) { try check(certificate, method: method, der) }
        #expect(throws: ProofFault.otherKey("ECDSA of another curve", key.kind.description)) {
            try check(certificate, method: method == 9 ? 10 : 9, plain)
        }
    }

    @Test func aDigitalSignatureIsCheckedInAllItsParts() throws {
        let certificate = Organisation.certificate(.b, .rsa2048)
        let key = try key(certificate)
        for scheme in [SignatureScheme.pkcs1(.sha256), .pkcs1(.sha512), .pss(.sha256), .pss(.sha384)] {
            let data = try AuthData.signed(key, scheme, Self.octets)
            #expect(try check(certificate, method: 14, data) == scheme)
            for index in stride(from: 0, to: data.count, by: 5) {
                var changed = data
                changed[index] ^= 0x40
                #expect(throws: ProofFault.self, "byte \(index)") { try check(certificate, method: 14, changed) }
                #expect(throws: ProofFault.self) { try check(certificate, method: 14, Array(data[..<index])) }
            }
        }
        let sha1 = try AuthData.signed(key, .pkcs1(.sha1), Self.octets)
        #expect(throws: ProofFault.sha1) { try check(certificate, method: 14, sha1) }
        let elsewhere = try AuthData.signed(key, .pkcs1(.sha256), [Array("something else".utf8)])
        #expect(throws: ProofFault.wrongSignature) { try check(certificate, method: 14, elsewhere) }
        let curve = Organisation.certificate(.b)
        #expect(throws: ProofFault.otherKey("rsa-sha256", "ECDSA P-256")) {
            try check(curve, method: 14, AuthData.signed(key, .pkcs1(.sha256), Self.octets))
        }
        let another = try self.key(Organisation.certificate(.a))
        #expect(throws: ProofFault.wrongSignature) {
            try check(curve, method: 14, AuthData.signed(another, .ecdsa(.sha256), Self.octets))
        }
        #expect(throws: ProofFault.unknownMethod(3)) { try check(certificate, method: 3, [1]) }
        #expect(throws: ProofFault.unknownAlgorithm) { try check(certificate, method: 14, [2, 0x30, 0, 1]) }
        #expect(throws: ProofFault.malformed) { try check(certificate, method: 14, [200, 1, 2]) }
    }

    @Test func whatIsNoCertificateProvesNothing() throws {
        let certificate = Organisation.certificate(.b)
        let data = try AuthData.signed(key(certificate), .ecdsa(.sha256), Self.octets)
        let der = try Organisation.read(certificate).der
        #expect(throws: ProofFault.noCertificate) { try check(certificate, method: 14, data, received: []) }
        for encoding in [UInt8(12), 13] {
            #expect(throws: ProofFault.hashAndURL) {
                try check(
                    certificate, method: 14, data, received: [.init(encoding: encoding, data: der)])
            }
        }
        // CRLs and the like are passed over.
        #expect(throws: ProofFault.noCertificate) {
            try check(certificate, method: 14, data, received: [.init(encoding: 7, data: [1])])
        }
        #expect(throws: ProofFault.self) {
            try check(certificate, method: 14, data, received: [.init(encoding: 4, data: der.dropLast())])
        }
        #expect(
            try check(
                certificate, method: 14, data,
                received: [.init(encoding: 4, data: der), .init(encoding: 4, data: [1, 2, 3])]) == .ecdsa(.sha256))
    }

    // MARK: - How we sign

    @Test func weSignWithWhatThePeerAnnounces() throws {
        func scheme(
            _ kind: TestKey.Kind, _ hashes: [HashAlgorithm], following theirs: SignatureScheme? = nil,
            _ change: (inout CertificateCredential) -> Void = { _ in }
        ) throws -> String {
            var credential = try Organisation.credential([Organisation.certificate(.a, kind)])
            change(&credential)
            let credentials = try Credentials(credential, localID: nil)
            return credentials.scheme(hashes: hashes, following: theirs).map { "\($0.method) \($0.scheme)" } ?? "none"
        }
        #expect(try scheme(.p256, [.sha256, .sha384, .sha512]) == "14 ecdsa-sha256")
        #expect(try scheme(.p384, [.sha256, .sha512]) == "14 ecdsa-sha256")
        #expect(try scheme(.p384, [.sha384]) == "14 ecdsa-sha384")
        #expect(try scheme(.p256, [.sha1]) == "none")
        #expect(try scheme(.rsa2048, [.sha1, .sha512]) == "14 rsa-sha512")
        #expect(try scheme(.rsa2048, [.sha1]) { $0.allowsSHA1 = true } == "14 rsa-sha1")
        #expect(try scheme(.rsa2048, [.sha256], following: .pss(.sha512)) == "14 rsa-pss-sha256")
        #expect(try scheme(.rsaPSS2048, [.sha256]) == "14 rsa-pss-sha256")
        // Without an announcement the methods of RFC 7296 and RFC 4754 are left.
        #expect(try scheme(.p256, []) == "9 ecdsa-sha256")
        #expect(try scheme(.p384, []) == "10 ecdsa-sha384")
        #expect(try scheme(.p521, []) == "11 ecdsa-sha512")
        #expect(try scheme(.rsa2048, []) == "1 rsa-sha256")
        #expect(try scheme(.rsa2048, []) { $0.allowsSHA1 = true } == "1 rsa-sha1")
        #expect(try scheme(.rsa2048, [], following: .pkcs1(.sha512)) == "1 rsa-sha512")
        #expect(try scheme(.rsaPSS2048, []) == "none")
    }
}
