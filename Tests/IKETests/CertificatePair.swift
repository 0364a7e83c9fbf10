import Base
import Cryptography
import Testing
import TestCertificates

@testable import IKE

/// Certificates of a small organisation, made once: RSA keys take their time.
enum Organisation {
    static let root = TestCertificate(.authority("Root"), key: TestKey(.p256))
    static let intermediate = TestCertificate(.authority("Branch CA"), key: TestKey(.p384), issuer: root)
    static let time = WallTime(nanoseconds: Int64(TestCertificate.time) * 1_000_000_000)

    static let rsaKeys = [TestKey(.rsa2048), TestKey(.rsa2048)]
    static let pssKeys = [TestKey(.rsaPSS2048), TestKey(.rsaPSS2048)]

    static func key(_ kind: TestKey.Kind, _ side: Pair.Side) -> TestKey {
        let place = side == .a ? 0 : 1
        switch kind {
        case .rsa2048: return rsaKeys[place]
        case .rsaPSS2048: return pssKeys[place]
        default: return TestKey(kind)
        }
    }

    static func name(_ side: Pair.Side) -> String { side == .a ? "a" : "b" }
    static func subject(_ side: Pair.Side) -> String { "C=CH, O=Gatehouse, CN=\(name(side))" }

    /// A certificate of one end, with its name, an e-mail address and its address in it.
    static func certificate(
        _ side: Pair.Side, _ kind: TestKey.Kind = .p256, issuer: TestCertificate = root, key: TestKey? = nil,
        _ change: (inout TestCertificate.Terms) -> Void = { _ in }
    ) -> TestCertificate {
        let name = name(side)
        let address = side == .a ? Pair.addressA : Pair.addressB
        var terms = TestCertificate.Terms(
            name, names: "DNS:\(name).example.org,email:ops@\(name).example.org,IP:\(address)")
        change(&terms)
        return TestCertificate(terms, key: key ?? Self.key(kind, side), issuer: issuer)
    }

    static func credential(
        _ chain: [TestCertificate], trusting authorities: [TestCertificate] = [root], lists: [String] = []
    ) throws -> CertificateCredential {
        CertificateCredential(
            certificates: try chain.map(read), privateKey: Secret(Array(chain[0].key.pem.utf8)),
            authorities: try authorities.map(read),
            revocationLists: try lists.flatMap { try RevocationList.list(Array($0.utf8)) })
    }

    static func read(_ certificate: TestCertificate) throws -> Certificate {
        try #require(try Certificate.list(Array(certificate.pem.utf8)).first)
    }
}

extension Pair {
    /// A configuration of one side with a certificate, whose identities are the subjects.
    static func configuration(
        _ side: Side, _ credential: CertificateCredential, _ change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> ConnectionConfiguration {
        var configuration = configuration(side)
        configuration.authentication = .certificate(credential)
        configuration.remoteID = IKEIdentity(Organisation.subject(side == .a ? .b : .a))
        change(&configuration)
        return configuration
    }

    /// Both sides with certificates and a clock.
    static func certified(
        a: CertificateCredential, b: CertificateCredential,
        changeA: (inout ConnectionConfiguration) -> Void = { _ in },
        changeB: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> Pair {
        var pair = Pair(a: configuration(.a, a, changeA), b: configuration(.b, b, changeB))
        pair.give(.a, .wallClock(Organisation.time))
        pair.give(.b, .wallClock(Organisation.time))
        return pair
    }

    func summary(_ side: Side) -> IKESummary? {
        self[side].events.compactMap { if case .ikeEstablished(let summary) = $0 { summary } else { nil } }.last
    }

    /// No SA came up on either side, and the reasons hold these words.
    func expectRefused(
        _ side: Side, _ words: String, _ sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(a.children.isEmpty && b.children.isEmpty, sourceLocation: sourceLocation)
        let reasons = failures(side) + closed(side)
        #expect(
            reasons.contains { $0.reason == .authenticationFailed && $0.explanation.contains(words) },
            "\(reasons.map(\.explanation))", sourceLocation: sourceLocation)
    }
}
