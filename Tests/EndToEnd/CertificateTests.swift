internal import Foundation
internal import TestCertificates
internal import Testing

/// A small organisation with certificates for both ends, valid now.
struct Organisation: Sendable {
    let root: TestCertificate
    let intermediate: TestCertificate
    let gateway: TestCertificate
    let endpoint: TestCertificate
    let kind: TestKey.Kind

    static let gatewayName = "gateway.example.org"
    static let endpointName = "endpoint.example.org"

    /// - Parameters:
    ///   - usesIntermediate: both certificates come from the intermediate CA.
    ///   - days: how long ours is still valid.
    init(_ kind: TestKey.Kind, usesIntermediate: Bool = false, days: Int = 90) {
        let now = Int(Date().timeIntervalSince1970)
        func valid(_ terms: TestCertificate.Terms, days: Int) -> TestCertificate.Terms {
            var terms = terms
            (terms.notBefore, terms.notAfter) = (now - 3600, now + days * 86_400)
            return terms
        }
        self.kind = kind
        root = TestCertificate(valid(.authority("Lab Root"), days: 3650), key: TestKey(.p384))
        intermediate = TestCertificate(
            valid(.authority("Lab Branch CA"), days: 365), key: TestKey(.p256), issuer: root)
        let issuer = usesIntermediate ? intermediate : root
        gateway = TestCertificate(
            valid(.init("gateway", names: "DNS:" + Self.gatewayName), days: days), key: TestKey(kind), issuer: issuer)
        endpoint = TestCertificate(
            valid(.init("endpoint", names: "DNS:" + Self.endpointName), days: 90), key: TestKey(kind), issuer: issuer)
    }

    static let gatewaySubject = "C=CH, O=Gatehouse, CN=gateway"
    static let endpointSubject = "C=CH, O=Gatehouse, CN=endpoint"

    /// A CRL of the root that is current now.
    func revocationList(_ revoked: [TestCertificate]) -> String {
        root.revocationList(revoked, nextUpdate: Int(Date().timeIntervalSince1970) + 86_400)
    }

    /// strongSwan as the endpoint. It knows the root, and sends the intermediate.
    func strongSwan(_ topology: Topology, _ suite: CipherSuite = .gcm, usesIntermediate: Bool = false)
        -> StrongSwanConnection
    {
        var connection = Pair.endpoint(topology, suite)
        connection.localID = Self.endpointName
        connection.remoteID = Self.gatewayName
        connection.certificate = StrongSwanCertificate(
            certificate: endpoint.pem, key: endpoint.key.traditionalPEM,
            kind: kind == .rsa2048 ? "rsa" : "ecdsa", authorities: [root.pem],
            intermediates: usesIntermediate ? [intermediate.pem] : [])
        return connection
    }

    /// Our connector as a file, with the certificates beside it.
    func connector(
        _ lab: Lab, _ suite: CipherSuite = .gcm, usesIntermediate: Bool = false, lists: [String] = [],
        _ more: [String] = []
    ) throws -> ConnectorFile {
        var connector = Pair.connector(lab.topology, suite)
        connector.inside = nil
        connector.localID = Self.gatewayName
        connector.remoteID = Self.endpointName
        _ = try lab.write(gateway.pem + (usesIntermediate ? intermediate.pem : ""), to: "us.pem")
        _ = try lab.write(gateway.key.pem, to: "us.key")
        _ = try lab.write(root.pem, to: "ca.pem")
        for (index, list) in lists.enumerated() { _ = try lab.write(list, to: "crl-\(index).pem") }
        let files = lists.indices.map { "crl-\($0).pem" }.joined(separator: ", ")
        connector.authentication =
            [
                "certificate:", "  certificateFile: us.pem", "  privateKeyFile: us.key", "  authorityFiles: [ca.pem]",
                "  revocationListFiles: [\(files)]",
            ] + more
        return connector
    }
}

/// Certificates and post-quantum keys between our daemon and strongSwan.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct CertificateTests {
    /// A kind of key, who begins, and what else there is to it.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var kind: TestKey.Kind
        var weInitiate: Bool
        /// What the status says of both signatures.
        var scheme: String
        var usesIntermediate = false
        /// Both sides are called by the subjects of their certificates.
        var usesSubjects = false
        var usesPSS = false
        /// strongSwan without RFC 7427.
        var isClassic = false

        static let all = [
            Case(testDescription: "RSA, we begin", kind: .rsa2048, weInitiate: true, scheme: "rsa-sha256"),
            Case(testDescription: "RSA, they begin", kind: .rsa2048, weInitiate: false, scheme: "rsa-sha256"),
            Case(testDescription: "P-256, we begin", kind: .p256, weInitiate: true, scheme: "ecdsa-sha256"),
            Case(testDescription: "P-256, they begin", kind: .p256, weInitiate: false, scheme: "ecdsa-sha256"),
            Case(
                testDescription: "P-384 with an intermediate CA, we begin", kind: .p384, weInitiate: true,
                scheme: "ecdsa-sha384", usesIntermediate: true),
            Case(
                testDescription: "P-384 with an intermediate CA, they begin", kind: .p384, weInitiate: false,
                scheme: "ecdsa-sha384", usesIntermediate: true),
            Case(
                testDescription: "RSA-PSS, we begin", kind: .rsa2048, weInitiate: true, scheme: "rsa-pss-sha256",
                usesPSS: true),
            Case(
                testDescription: "RSA-PSS, they begin", kind: .rsa2048, weInitiate: false, scheme: "rsa-pss-sha256",
                usesPSS: true),
            Case(
                testDescription: "subjects as identities, we begin", kind: .p256, weInitiate: true,
                scheme: "ecdsa-sha256", usesSubjects: true),
            Case(
                testDescription: "subjects as identities, they begin", kind: .p256, weInitiate: false,
                scheme: "ecdsa-sha256", usesSubjects: true),
            Case(
                testDescription: "classic ECDSA, we begin", kind: .p384, weInitiate: true, scheme: "ecdsa-sha384",
                isClassic: true),
            Case(
                testDescription: "classic ECDSA, they begin", kind: .p256, weInitiate: false, scheme: "ecdsa-sha256",
                isClassic: true),
            Case(
                testDescription: "classic RSA, we begin", kind: .rsa2048, weInitiate: true, scheme: "rsa-sha1",
                isClassic: true),
        ]
    }

    @Test(arguments: Case.all)
    func certificatesProveBothSides(_ terms: Case) async throws {
        try await Lab.with { lab in
            let organisation = Organisation(terms.kind, usesIntermediate: terms.usesIntermediate)
            var theirs = organisation.strongSwan(lab.topology, usesIntermediate: terms.usesIntermediate)
            var more: [String] = []
            if terms.usesPSS {
                theirs.certificate?.scheme = "rsa/pss-sha256"
                // As responder we follow the peer.
                if terms.weInitiate { more.append("  rsaPadding: pss") }
            }
            if terms.isClassic {
                theirs.announcesSignatureHashes = false
                if terms.kind == .rsa2048 { more.append("  allowSHA1: true") }
            }
            if terms.usesSubjects {
                theirs.localID = Organisation.endpointSubject
                theirs.remoteID = Organisation.gatewaySubject
            }
            let peer = try await StrongSwan(lab, on: .aws1, [theirs])
            let gateway = try await Gatehoused(lab)
            var ours = try organisation.connector(lab, usesIntermediate: terms.usesIntermediate, more)
            if terms.usesSubjects { (ours.localID, ours.remoteID) = (nil, Organisation.endpointSubject) }
            if !terms.weInitiate { ours.initiation = "respond" }
            try await gateway.add(ours)
            if !terms.weInitiate {
                try await eventually("the connector is in force") {
                    try await peer.attempt("customer").status == 0
                }
            }
            let tunnel = try await gateway.waitForOnline()
            let authentication = try #require(tunnel.ike?.authentication)
            #expect(authentication.local == terms.scheme)
            #expect(authentication.remote == terms.scheme)
            #expect(authentication.peerCertificate?.subject == Organisation.endpointSubject)
            #expect(!authentication.ppk)
            #expect(tunnel.weaknesses == (terms.scheme.hasSuffix("sha1") ? ["sha1 signature"] : []))
            #expect(tunnel.warnings == nil)
            try await lab.waitForPing()
            // A rekey keeps what was proven.
            try await peer.rekeyIKE("customer")
            let after = try await gateway.waitFor("lab-1", "rekeyed") {
                $0.ike != nil && $0.ike?.initiatorSPI != tunnel.ike?.initiatorSPI
            }
            #expect(after.ike?.authentication == authentication)
            try await lab.waitForPing()
        }
    }

    /// Why a certificate is refused, by whom, and a word of what the status says.
    enum Refusal: String, CaseIterable, Sendable {
        case revokedPeer, revokedOurs, unknownCA, expired

        var words: String {
            switch self {
            case .revokedPeer: "'C=CH, O=Gatehouse, CN=endpoint' was revoked"
            case .revokedOurs: "it does not trust our certificate"
            case .unknownCA: "is no configured CA"
            case .expired: "expired on"
            }
        }
    }

    @Test(arguments: Refusal.allCases)
    func aBadCertificateIsRefusedAndTheStatusSaysWhy(_ refusal: Refusal) async throws {
        try await Lab.with { lab in
            let organisation = Organisation(.p256)
            var theirs = organisation.strongSwan(lab.topology)
            var lists: [String] = []
            switch refusal {
            case .revokedPeer: lists = [organisation.revocationList([organisation.endpoint])]
            case .revokedOurs:
                theirs.certificate?.revocationLists = [organisation.revocationList([organisation.gateway])]
            case .unknownCA:
                // The peer trusts us and shows a certificate of someone else.
                let other = Organisation(.p256)
                theirs.certificate?.certificate = other.endpoint.pem
                theirs.certificate?.key = other.endpoint.key.traditionalPEM
                theirs.certificate?.intermediates = [other.root.pem]
            case .expired:
                var terms = TestCertificate.Terms("endpoint", names: "DNS:" + Organisation.endpointName)
                let now = Int(Date().timeIntervalSince1970)
                (terms.notBefore, terms.notAfter) = (now - 7200, now - 3600)
                let old = TestCertificate(terms, key: TestKey(.p256), issuer: organisation.root)
                theirs.certificate?.certificate = old.pem
                theirs.certificate?.key = old.key.traditionalPEM
            }
            let peer = try await StrongSwan(lab, on: .aws1, [theirs])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(organisation.connector(lab, lists: lists))
            let tunnel = try await gateway.waitFor("lab-1", "refused") { $0.lastError?.contains(refusal.words) == true }
            #expect(tunnel.state != "online")
            #expect(try await !peer.hasOnePair())
        }
    }

    @Test func aCRLThatComesLaterEndsTheTunnel() async throws {
        try await Lab.with { lab in
            let organisation = Organisation(.p256)
            _ = try await StrongSwan(lab, on: .aws1, [organisation.strongSwan(lab.topology)])
            let gateway = try await Gatehoused(lab)
            try await gateway.add(organisation.connector(lab, lists: [organisation.revocationList([])]))
            let before = try await gateway.waitForOnline()
            let renewed = try lab.write(organisation.revocationList([]), to: "renewed.pem")
            let change = try await gateway.mustCLI(["connector", "edit", "lab", "--crl-file", renewed, "--yes"])
            #expect(change.contains("No tunnel goes down by that."))
            #expect(try await gateway.tunnel().ike == before.ike)
            let revoking = try lab.write(organisation.revocationList([organisation.endpoint]), to: "revoking.pem")
            try await gateway.mustCLI(["connector", "edit", "lab", "--crl-file", revoking, "--yes"])
            let after = try await gateway.waitFor("lab-1", "refused") { $0.state != "online" && $0.lastError != nil }
            #expect(after.lastError?.contains("was revoked") == true)
        }
    }

    /// The command line alone: add, warn of the end, export with the key sealed, apply elsewhere.
    @Test func aConnectorWithACertificateIsMadeExportedAndApplied() async throws {
        try await Lab.with { lab in
            let organisation = Organisation(.rsa2048, days: 7)
            _ = try await StrongSwan(lab, on: .aws1, [organisation.strongSwan(lab.topology, .common)])
            let gateway = try await Gatehoused(lab)
            let encrypted = try lab.write(organisation.gateway.key.encryptedPEM, to: "encrypted.key")
            func words(_ key: String) throws -> [String] {
                [
                    "connector", "add", "lab", "--remote-address", lab.topology.endpoints[0], "--local-network",
                    Topology.localNetwork, "--remote-network", Topology.remoteNetwork, "--selectors", "any",
                    "--local-id", Organisation.gatewayName, "--remote-id", Organisation.endpointName,
                    "--ike-groups", "14", "--pfs", "14",
                    "--certificate-file", try lab.write(organisation.gateway.pem, to: "us.pem"), "--key-file", key,
                    "--ca-file", try lab.write(organisation.root.pem, to: "ca.pem"),
                ]
            }
            let refused = try await gateway.cli(words(encrypted))
            #expect(refused.status != 0 && refused.text.contains("encrypted with a passphrase"))
            let other = try await gateway.cli(words(lab.write(TestKey(.p256).pem, to: "other.key")))
            #expect(other.status != 0 && other.text.contains("does not belong to the certificate"))
            try await gateway.mustCLI(words(lab.write(organisation.gateway.key.traditionalPEM, to: "us.key")))
            let tunnel = try await gateway.waitForOnline()
            #expect(tunnel.warnings?.count == 1)
            #expect(tunnel.warnings?.first?.contains("Our certificate 'C=CH, O=Gatehouse, CN=gateway' expires in 6") == true)
            let status = try await gateway.mustCLI(["status"])
            #expect(status.contains("auth rsa-sha256, peer certificate 'C=CH, O=Gatehouse, CN=endpoint' until"))
            #expect(status.contains("expires in 6 days"))
            #expect(try await gateway.mustCLI(["events"]).contains("expires in 6 days"))
            let shown = try await gateway.mustCLI(["connector", "show", "lab"])
            #expect(shown.contains("privateKey: \"(hidden)\"") && !shown.contains("PRIVATE KEY"))
            let passphrase = try lab.write("a passphrase of some length\n", to: "passphrase")
            let sealed = try await gateway.mustCLI(["export", "--seal", "--passphrase-file", passphrase])
            #expect(!sealed.contains("PRIVATE KEY") && sealed.contains("BEGIN CERTIFICATE"))
            _ = await gateway.stop()
            let second = try await Gatehoused(lab, name: "second")
            try await second.mustCLI([
                "apply", lab.write(sealed, to: "site.yaml"), "--yes", "--passphrase-file", passphrase,
            ])
            try await second.waitForOnline()
            try await lab.waitForPing()
        }
    }

    /// Who begins, and whether the key is a must.
    struct PPKCase: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var weInitiate: Bool
        var isRequired: Bool
        var withCertificates: Bool
        /// What strongSwan calls the key that it has; nil for none.
        var theirs: String?
        var isUsed: Bool

        static let all = [
            PPKCase(
                testDescription: "required, we begin", weInitiate: true, isRequired: true, withCertificates: false,
                theirs: "lab-ppk", isUsed: true),
            PPKCase(
                testDescription: "required, they begin", weInitiate: false, isRequired: true, withCertificates: false,
                theirs: "lab-ppk", isUsed: true),
            PPKCase(
                testDescription: "with certificates, we begin", weInitiate: true, isRequired: false,
                withCertificates: true, theirs: "lab-ppk", isUsed: true),
            PPKCase(
                testDescription: "with certificates, they begin", weInitiate: false, isRequired: false,
                withCertificates: true, theirs: "lab-ppk", isUsed: true),
            PPKCase(
                testDescription: "optional and theirs is none, we begin", weInitiate: true, isRequired: false,
                withCertificates: false, theirs: nil, isUsed: false),
            PPKCase(
                testDescription: "optional and theirs is another, they begin", weInitiate: false, isRequired: false,
                withCertificates: true, theirs: "other-ppk", isUsed: false),
        ]
    }

    private static let ppk = "aPostQuantumSecretOfMoreThan32Bytes_0123456789"

    @Test(arguments: PPKCase.all)
    func aPostQuantumKeyIsMixedIn(_ terms: PPKCase) async throws {
        try await Lab.with { lab in
            let organisation = Organisation(.p256)
            var theirs =
                terms.withCertificates ? organisation.strongSwan(lab.topology) : Pair.endpoint(lab.topology, .gcm)
            theirs.ppk = terms.theirs.map {
                StrongSwanPPK(identity: $0, key: Self.ppk, isRequired: terms.isRequired)
            }
            let peer = try await StrongSwan(lab, on: .aws1, [theirs])
            let gateway = try await Gatehoused(lab)
            var ours = terms.withCertificates ? try organisation.connector(lab) : Pair.connector(lab.topology, .gcm)
            ours.inside = nil
            ours.authentication =
                (ours.authentication ?? ["psk: \"\(Pair.psk)\""])
                + ["ppk: {identity: lab-ppk, key: \"\(Self.ppk)\", isRequired: \(terms.isRequired)}"]
            if !terms.weInitiate { ours.initiation = "respond" }
            try await gateway.add(ours)
            if !terms.weInitiate {
                try await eventually("the connector is in force") {
                    try await peer.attempt("customer").status == 0
                }
            }
            let tunnel = try await gateway.waitForOnline()
            #expect(tunnel.ike?.authentication?.ppk == terms.isUsed)
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
            // The successors' keys come from it, too.
            try await gateway.rekeyIKE("lab")
            let rekeyed = try await gateway.waitFor("lab-1", "rekeyed") {
                $0.ike != nil && $0.ike?.initiatorSPI != tunnel.ike?.initiatorSPI
            }
            try await peer.rekeyChild("customer")
            try await gateway.waitFor("lab-1", "rekeyed") {
                $0.children.count == 1 && $0.children[0].spiIn != rekeyed.children.first?.spiIn
            }
            try await lab.waitForPing()
            #expect(try await lab.ping().lost == 0)
        }
    }

    @Test(arguments: [true, false])
    func aPeerWithoutARequiredPostQuantumKeyIsRefused(_ weInitiate: Bool) async throws {
        try await Lab.with { lab in
            let peer = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(lab)
            var ours = Pair.connector(lab.topology, .gcm)
            ours.authentication = [
                "psk: \"\(Pair.psk)\"", "ppk: {identity: lab-ppk, key: \"\(Self.ppk)\", isRequired: true}",
            ]
            if !weInitiate { ours.initiation = "respond" }
            try await gateway.add(ours)
            if !weInitiate {
                try await eventually("we have refused it") {
                    _ = try await peer.attempt("customer")
                    return try await gateway.tunnel().lastError != nil
                }
            }
            let tunnel = try await gateway.waitFor("lab-1", "refused") { $0.lastError != nil }
            let words = "does not use the post-quantum pre-shared key 'lab-ppk'"
            #expect(tunnel.lastError?.contains(words) == true, "\(tunnel.lastError ?? "no error")")
            #expect(tunnel.state != "online")
        }
    }
}
