import Base
import Cryptography
import Foundation
import Testing
import TestCertificates

@testable import IKE

/// Two engines that prove themselves by certificates (RFC 7427, RFC 7296 §3.6, RFC 4945).
struct CertificateAuthenticationTests {
    @Test(
        arguments: [
            (TestKey.Kind.p256, "ecdsa-sha256"), (.p384, "ecdsa-sha384"), (.p521, "ecdsa-sha512"),
            (.rsa2048, "rsa-sha256"), (.rsaPSS2048, "rsa-pss-sha256"),
        ])
    func everyKindOfKeyProvesItsOwner(_ kind: TestKey.Kind, _ scheme: String) throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a, kind)]),
            b: try Organisation.credential([Organisation.certificate(.b, kind)]))
        pair.connect()
        pair.expectConnected()
        pair.expectOnlyOne()
        let summary = try #require(pair.summary(.a))
        #expect(summary.authentication.local == scheme && summary.authentication.remote == scheme)
        #expect(summary.authentication.peerCertificate?.subject == Organisation.subject(.b))
        #expect(summary.remoteID.description == Organisation.subject(.b))
        #expect(summary.localID.description == Organisation.subject(.a))
        #expect(pair.summary(.b)?.authentication.peerCertificate?.subject == Organisation.subject(.a))
    }

    @Test func bothSidesMayHaveKeysOfDifferentKinds() throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a, .rsa2048)]),
            b: try Organisation.credential([Organisation.certificate(.b, .p384)]))
        pair.connect()
        pair.expectConnected()
        #expect(pair.summary(.a)?.authentication.local == "rsa-sha256")
        #expect(pair.summary(.a)?.authentication.remote == "ecdsa-sha384")
    }

    @Test func anRSAKeySignsByPSSWhereItIsAskedToAndTheResponderFollows() throws {
        var a = try Organisation.credential([Organisation.certificate(.a, .rsa2048)])
        a.rsaPadding = .pss
        var pair = Pair.certified(a: a, b: try Organisation.credential([Organisation.certificate(.b, .rsa2048)]))
        pair.connect()
        pair.expectConnected()
        #expect(pair.summary(.a)?.authentication.local == "rsa-pss-sha256")
        #expect(pair.summary(.a)?.authentication.remote == "rsa-pss-sha256")
    }

    @Test(arguments: ["b.example.org", "B.Example.ORG", "ops@b.example.org", "203.0.113.1", "c=ch, o=GateHouse, cn=B"])
    func anIdentityStandsInTheCertificate(_ identity: String) throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]),
            b: try Organisation.credential([Organisation.certificate(.b)]),
            changeA: { $0.remoteID = IKEIdentity(identity) }, changeB: { $0.localID = IKEIdentity(identity) })
        pair.connect()
        pair.expectConnected()
    }

    @Test func intermediatesGoOutAndOneThatIsTrustedIsEnough() throws {
        let chain = [Organisation.certificate(.b, issuer: Organisation.intermediate), Organisation.intermediate]
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]),
            b: try Organisation.credential(chain + [Organisation.root]))
        pair.connect()
        pair.expectConnected()
        // The root stays at home: it signs itself, and the peer trusts it or does not.
        #expect(try Credentials(Organisation.credential(chain + [Organisation.root]), localID: nil).sent.count == 2)
        var partial = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)], trusting: [Organisation.intermediate]),
            b: try Organisation.credential([chain[0]]))
        partial.connect()
        partial.expectConnected()
    }

    @Test func largeCertificatesTravelInFragments() throws {
        let chain = [Organisation.certificate(.b, .rsa2048, issuer: Organisation.intermediate), Organisation.intermediate]
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a, .rsa2048)]),
            b: try Organisation.credential(chain), changeA: { $0.fragmentSize = 576 },
            changeB: { $0.fragmentSize = 576 })
        pair.connect()
        pair.expectConnected()
        #expect((pair.a.sent + pair.b.sent).allSatisfy { $0.0.count <= 576 })
    }

    @Test func rekeysKeepWhatWasProven() throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]),
            b: try Organisation.credential([Organisation.certificate(.b)]))
        pair.connect()
        for side in [Pair.Side.a, .b] {
            pair.give(side, .rekeyIKE(Pair.id))
            pair.drive(.seconds(2))
            pair.give(side, .rekeyChild(Pair.id))
            pair.drive(.seconds(10))
            pair.expectConnected()
        }
        let last = pair.a.events.compactMap { if case .ikeRekeyed(let summary, _) = $0 { summary } else { nil } }.last
        #expect(last?.authentication.peerCertificate?.subject == Organisation.subject(.b))
    }

    // MARK: - Refusals, each with its own reason

    /// B shows `chain`; A trusts the root and says why it refuses, to both sides.
    private func expectRefusal(
        _ chain: [TestCertificate], _ words: String, lists: [String] = [],
        changeA: (inout ConnectionConfiguration) -> Void = { _ in },
        changeB: (inout ConnectionConfiguration) -> Void = { _ in },
        _ sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for initiator in [Pair.Side.a, .b] {
            var pair = Pair.certified(
                a: try Organisation.credential([Organisation.certificate(.a)], lists: lists),
                b: try Organisation.credential(chain), changeA: changeA, changeB: changeB)
            pair.give(initiator, .initiate(Pair.id))
            pair.drive(.seconds(5))
            pair.expectRefused(.a, words, sourceLocation)
            // The other side hears AUTHENTICATION_FAILED, whoever began.
            pair.expectRefused(.b, "our authentication", sourceLocation)
            #expect(pair.a.engine.ikeSACount == 0 || initiator == .b, sourceLocation: sourceLocation)
        }
    }

    @Test func aChainThatDoesNotHoldIsRefused() throws {
        let stranger = TestCertificate(.authority("Root"), key: TestKey(.p256))
        try expectRefusal([Organisation.certificate(.b, issuer: stranger)], "is no configured CA, or an intermediate")
        try expectRefusal(
            [Organisation.certificate(.b, issuer: Organisation.intermediate)],
            "the issuer 'C=CH, O=Gatehouse, CN=Branch CA'")
        try expectRefusal(
            [Organisation.certificate(.b) { $0.notAfter = TestCertificate.time - 60 }], "expired on 2026-11-24")
        try expectRefusal(
            [Organisation.certificate(.b) { $0.notBefore = TestCertificate.time + 3600 }], "is valid from 2026-11-24T13")
        try expectRefusal([Organisation.certificate(.b) { $0.hash = "sha1" }], "weak hash")
        try expectRefusal([Organisation.certificate(.b) { $0.keyUsage = "keyAgreement" }], "key usage")
        try expectRefusal([Organisation.certificate(.b) { $0.extendedKeyUsage = "codeSigning" }], "for IPsec")
    }

    @Test func aRevokedCertificateIsRefused() throws {
        let certificate = Organisation.certificate(.b)
        try expectRefusal(
            [certificate], "'C=CH, O=Gatehouse, CN=b' was revoked",
            lists: [Organisation.root.revocationList([certificate])])
    }

    @Test func anIdentityThatTheCertificateDoesNotNameIsRefused() throws {
        // B's own configuration would not have it; so it is B's certificate that lacks the name it claims.
        let bare = Organisation.certificate(.b) { $0.names = "DNS:c.example.org" }
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]), b: try Organisation.credential([bare]),
            changeA: { $0.remoteID = .fqdn("b.example.org") }, changeB: { $0.localID = .fqdn("b.example.org") })
        pair.connect()
        pair.expectRefused(.b, "does not name 'b.example.org'; it names 'c.example.org'")
        // Whoever claims it anyway is found out by the other side.
        let credentials = try Credentials(Organisation.credential([Organisation.certificate(.a)]), localID: nil)
        let peer = try PrivateKey(Secret(Array(bare.key.pem.utf8)))
        let octets: [any ByteSource] = [[1, 2, 3] as [UInt8]]
        let data = try AuthData.signed(peer, .ecdsa(.sha256), octets)
        let received = [Payloads.CertificateData(encoding: 4, data: try Organisation.read(bare).der)]
        #expect(
            throws: ProofFault.certificate(
                .wrongIdentity("b.example.org", subject: Organisation.subject(.b), names: ["c.example.org"]))
        ) {
            try PeerProof.check(
                Payloads.Authentication(method: 14, data: data), .fqdn("b.example.org"), received, octets, credentials,
                at: Organisation.time)
        }
        #expect(
            try PeerProof.check(
                Payloads.Authentication(method: 14, data: data), .fqdn("c.example.org"), received, octets, credentials,
                at: Organisation.time
            ).scheme == .ecdsa(.sha256))
    }

    @Test func anotherIdentityThanExpectedIsRefused() throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]),
            b: try Organisation.credential([Organisation.certificate(.b)]),
            changeA: { $0.remoteID = .fqdn("c.example.org") })
        pair.give(.b, .initiate(Pair.id))
        pair.drive(.seconds(5))
        pair.expectRefused(.a, "calls itself 'C=CH, O=Gatehouse, CN=b', but 'to-b' expects 'c.example.org'")
        pair.expectRefused(.b, "refused our authentication")
    }

    @Test func whoSharesAKeyIsToldThatACertificateIsWanted() throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]),
            b: try Organisation.credential([Organisation.certificate(.b)]),
            changeA: { $0.remoteID = nil }, changeB: { $0.authentication = .psk(Secret([1, 2, 3])) })
        pair.give(.b, .configure(Pair.id, {
            var configuration = Pair.configuration(.b)
            configuration.remoteID = IKEIdentity(Organisation.subject(.a))
            return configuration
        }()))
        pair.connect()
        pair.expectRefused(.b, "does not authenticate with a pre-shared key")
        pair.give(.b, .initiate(Pair.id))
        pair.drive(.seconds(3))
        pair.expectRefused(.a, "authenticates with a pre-shared key, and we expect a certificate")
    }

    // MARK: - What cannot work is said before anything is sent

    @Test func aCredentialThatCannotWorkSaysWhy() throws {
        let own = Organisation.certificate(.a)
        func fault(_ identity: IKEIdentity? = nil, _ change: (inout CertificateCredential) -> Void) throws -> String? {
            var credential = try Organisation.credential([own])
            change(&credential)
            do throws(CertificateFault) {
                try credential.check(localID: identity)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(try fault { _ in } == nil)
        #expect(try fault { $0.certificates = [] }?.contains("we have none of our own") == true)
        #expect(try fault { $0.authorities = [] }?.contains("there is none to verify") == true)
        #expect(try fault { $0.authorities = $0.certificates }?.contains("is no CA") == true)
        #expect(try fault { $0.privateKey = Secret(Array(TestKey(.p256).pem.utf8)) }?.contains("does not belong") == true)
        #expect(try fault { $0.privateKey = Secret(Array(own.key.encryptedPEM.utf8)) }?.contains("passphrase") == true)
        #expect(try fault(.fqdn("c.example.org")) { _ in }?.contains("does not name 'c.example.org'") == true)
        #expect(try fault(.fqdn("a.example.org")) { _ in } == nil)
        var pair = Pair.certified(
            a: try Organisation.credential([own]), b: try Organisation.credential([Organisation.certificate(.b)]),
            changeA: { $0.localID = .fqdn("c.example.org") })
        pair.connect()
        pair.expectRefused(.a, "'to-b' cannot authenticate: the certificate")
    }

    @Test func withoutATimeOfDayNoCertificateIsBelieved() throws {
        var pair = Pair(
            a: Pair.configuration(.a, try Organisation.credential([Organisation.certificate(.a)])),
            b: Pair.configuration(.b, try Organisation.credential([Organisation.certificate(.b)])))
        pair.connect()
        pair.expectRefused(.b, "time of day is not known")
    }

    // MARK: - What changes later

    @Test func aPeerThatIsRevokedLaterLosesItsTunnel() throws {
        let certificate = Organisation.certificate(.b)
        let own = Organisation.certificate(.a)
        var pair = Pair.certified(
            a: try Organisation.credential([own]), b: try Organisation.credential([certificate]))
        pair.connect()
        pair.expectConnected()
        // A list that says nothing of the peer changes nothing.
        let clean = try Organisation.credential([own], lists: [Organisation.root.revocationList([])])
        pair.give(.a, .configure(Pair.id, Pair.configuration(.a, clean)))
        pair.drive(.seconds(2))
        pair.expectConnected()
        let revoking = try Organisation.credential([own], lists: [Organisation.root.revocationList([certificate])])
        pair.give(.a, .configure(Pair.id, Pair.configuration(.a, revoking)))
        pair.drive(.seconds(2))
        pair.expectRefused(.a, "holds no longer: 'C=CH, O=Gatehouse, CN=b' was revoked")
    }

    @Test func anExpiredPeerIsFoundOutAtTheNextRekey() throws {
        let soon = Organisation.certificate(.b) { $0.notAfter = TestCertificate.time + 600 }
        for initiator in [Pair.Side.a, .b] {
            var pair = Pair.certified(
                a: try Organisation.credential([Organisation.certificate(.a)]),
                b: try Organisation.credential([soon]))
            pair.connect()
            pair.expectConnected()
            pair.give(.a, .wallClock(WallTime(nanoseconds: Organisation.time.nanoseconds + 3_600_000_000_000)))
            pair.give(initiator, .rekeyIKE(Pair.id))
            pair.drive(.seconds(5))
            pair.expectRefused(.a, "holds no longer: 'C=CH, O=Gatehouse, CN=b' expired")
        }
    }

    @Test func aRestartForgetsNothingOfIt() throws {
        var pair = Pair.certified(
            a: try Organisation.credential([Organisation.certificate(.a)]),
            b: try Organisation.credential([Organisation.certificate(.b)]))
        pair.connect()
        let encoder = JSONEncoder()
        encoder.userInfo[Secret.revealSecrets] = true
        let saved = try encoder.encode(pair.a.engine.snapshot())
        let snapshot = try JSONDecoder().decode(EngineSnapshot.self, from: saved)
        #expect(!String(decoding: saved, as: UTF8.self).contains("PRIVATE KEY"))
        pair.a.engine = Engine(
            restoring: snapshot, configuration: EngineConfiguration(), seed: [7], now: pair.now)
        pair.give(.a, .wallClock(Organisation.time))
        pair.wake(.a)
        pair.drive(.seconds(5))
        pair.expectConnected()
        pair.give(.a, .rekeyIKE(Pair.id))
        pair.drive(.seconds(5))
        let last = pair.a.events.compactMap { if case .ikeRekeyed(let summary, _) = $0 { summary } else { nil } }.last
        #expect(last?.authentication.peerCertificate?.subject == Organisation.subject(.b))
    }
}

/// AUTH payloads as a peer would make them.
enum AuthData {
    static func signed(
        _ key: PrivateKey, _ scheme: SignatureScheme, _ octets: [any ByteSource]
    ) throws -> [UInt8] {
        let algorithm = scheme.algorithmIdentifier
        return [UInt8(algorithm.count)] + algorithm + (try key.sign(scheme, octets))
    }
}
