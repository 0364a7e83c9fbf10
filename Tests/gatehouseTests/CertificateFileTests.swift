import Base
import Cryptography
import FoundationEssentials
import IKE
import JSONText
import Portal
import PortalFake
import Testing
import TestCertificates
import Tunnels

@testable import gatehouse

/// Certificates and post-quantum keys in a connector's file, a site file and the difference between two definitions.
@Suite struct CertificateFileTests {
    private let root = TestCertificate(.authority("Root"), key: TestKey(.p256))
    private let own: TestCertificate
    private let intermediate: TestCertificate

    init() {
        intermediate = TestCertificate(.authority("Branch CA"), key: TestKey(.p256), issuer: root)
        own = TestCertificate(.init("us", names: "DNS:us.example.org"), key: TestKey(.p384), issuer: intermediate)
    }

    private func indented(_ pem: String) -> String {
        pem.split(separator: "\n").map { "            " + $0 }.joined(separator: "\n")
    }

    /// The certificate stands behind its issuer, as people write it too.
    private func text(_ more: String = "", key: String? = nil, id: String = "us.example.org") -> String {
        """
        id: branch
        localNetworks: [10.1.0.0/16]
        remoteNetworks: [10.2.0.0/16]
        tunnels:
          - phase1:
              remoteAddress: 203.0.113.1
              localID: \(id)
              remoteID: "C=CH, O=Peer, CN=them"
              certificate:
                certificates: |
        \(indented(intermediate.pem + own.pem))
                privateKey: |
        \(indented(key ?? own.key.traditionalPEM))
                authorities: |
        \(indented(root.pem))
                revocationLists: |
        \(indented(root.revocationList([])))
                revocation: strict
                rsaPadding: pss
                allowSHA1: true
              ppk: {identity: lab, key: "a post-quantum secret", isRequired: false}
        \(more)
        """
    }

    private func read(_ text: String) throws -> Connector { try ConnectorFile.read(Array(text.utf8), file: "f.yaml") }

    private func complaint(_ text: String) -> String {
        do {
            _ = try read(text)
            return "read without complaint"
        } catch {
            return (error as? CommandFailure)?.message ?? "\(error)"
        }
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let connector = try read(text())
        let phase1 = connector.tunnels[0].phase1
        let credential = try #require(phase1.authentication.credential)
        #expect(credential.certificates.map(\.subject.description) == [
            "C=CH, O=Gatehouse, CN=us", "C=CH, O=Gatehouse, CN=Branch CA",
        ])
        #expect(credential.revocation == .strict && credential.rsaPadding == .pss && credential.allowsSHA1)
        #expect(credential.revocationLists.count == 1)
        #expect(phase1.remoteID?.description == "C=CH, O=Peer, CN=them")
        #expect(phase1.ppk == PostquantumKey(
            identity: "lab", key: Secret(Array("a post-quantum secret".utf8)), isRequired: false))
        let shown = YAMLText.text(of: ConnectorFile.json(connector, showSecrets: true))
        #expect(try read(shown) == connector)
        let hidden = YAMLText.text(of: ConnectorFile.json(connector, showSecrets: false))
        #expect(!hidden.contains("PRIVATE KEY") && !hidden.contains("quantum secret"))
        #expect(hidden.contains("certificates: |"))
        let edited = try ConnectorFile.read(Array(hidden.utf8), file: "f.yaml", keepsHidden: true)
        #expect(edited.tunnels[0].phase1[.privateKey]?.count == 0)
        #expect(try edited.keepingKeys(of: connector) == connector)
        #expect(throws: Connector.KeyMissing.self) {
            try edited.keepingKeys(of: nil)
        }
        let wire = try JSON.line(connector, revealsSecrets: true)
        #expect(try JSONDecoder().decode(Connector.self, from: Data(wire.utf8)) == connector)
    }

    @Test func filesAreLookedForBesideTheDefinition() throws {
        let folder = "/tmp/gatehouse-certificates-\(UInt64(bitPattern: Int64(root.pem.hashValue)))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, content) in [("us.pem", own.pem), ("us.key", own.key.pem), ("ca.pem", root.pem)] {
            try Data(content.utf8).write(to: URL(filePath: folder + "/" + name))
        }
        let short = """
            id: branch
            localNetworks: [10.1.0.0/16]
            remoteNetworks: [10.2.0.0/16]
            tunnels:
              - phase1:
                  remoteAddress: 203.0.113.1
                  certificate: {certificateFile: us.pem, privateKeyFile: us.key, authorityFiles: [ca.pem]}
            """
        let connector = try ConnectorFile.read(Array(short.utf8), file: folder + "/branch.yaml")
        #expect(connector.tunnels[0].phase1.authentication.credential?.certificates.count == 1)
        let missing = short.replacing("us.key", with: "no.key")
        #expect(throws: CommandFailure.self) {
            try ConnectorFile.read(Array(missing.utf8), file: folder + "/branch.yaml")
        }
    }

    @Test func faultsAreNamed() {
        #expect(complaint(text(key: own.key.encryptedPEM)).contains("encrypted with a passphrase"))
        #expect(complaint(text(key: TestKey(.p256).pem)).contains("does not belong to the certificate"))
        #expect(complaint(text(id: "them.example.org")).contains("does not name 'them.example.org'"))
        let both = text().replacing("      certificate:\n", with: "      psk: x\n      certificate:\n")
        #expect(complaint(both).contains("one of them is enough"))
        #expect(complaint(text().replacing("authorities: |", with: "x: |")).contains("unknown key 'x'"))
        #expect(complaint(text().replacing("BEGIN CERTIFICATE", with: "BEGIN NOTHING")).contains("no certificate"))
        for message in [complaint(text(key: TestKey(.p256).pem)), complaint(text(id: "x.example.org"))] {
            #expect(!message.contains("PRIVATE KEY"))
        }
    }

    @Test func aSiteFileSealsEveryKindOfKey() throws {
        let connector = try read(text())
        let passphrase = Secret(Array("a passphrase of words".utf8))
        let salt = [UInt8](repeating: 7, count: SealingKey.saltLength)
        let key = try SealingKey(passphrase: passphrase, salt: salt)
        let site = Site(connectors: [connector, .example(id: "other")])
        let sealed = try SiteFile.text(site, .sealed(key, salt: salt) { [UInt8](repeating: 1, count: $0) })
        #expect(!sealed.contains("PRIVATE KEY") && !sealed.contains("quantum secret") && !sealed.contains("(hidden)"))
        let order = try SiteFile.read(Array(sealed.utf8), file: "site.yaml") { passphrase }
        #expect(order.connectors == site.connectors)
        let clear = try SiteFile.read(Array(SiteFile.text(site, .clear).utf8), file: "site.yaml") { passphrase }
        #expect(clear.connectors == site.connectors)
    }

    @Test func aRenewedCertificateTakesNoTunnelDown() throws {
        let old = try read(text())
        let renewed = TestCertificate(
            .init("us", names: "DNS:us.example.org"), key: TestKey(.p256), issuer: intermediate)
        var new = old
        guard var credential = new.tunnels[0].phase1.authentication.credential else { return }
        credential.certificates = try Certificate.list(Array(renewed.pem.utf8))
        credential.privateKey = try PrivateKey(Secret(Array(renewed.key.pem.utf8))).pkcs8
        credential.revocationLists = []
        new.tunnels[0].phase1.authentication = .certificate(credential)
        let difference = ConnectorDifference(from: old, to: new)
        #expect(difference.restarts.isEmpty)
        #expect(difference.changes.contains { $0.hasPrefix("branch-1: certificate 'C=CH, O=Gatehouse, CN=us'") })
        #expect(difference.changes.contains("branch-1: another private key"))
        #expect(difference.changes.contains { $0.hasPrefix("branch-1: CRLs 'C=CH, O=Gatehouse, CN=Root' of") })
        new.tunnels[0].phase1.ppk = nil
        #expect(ConnectorDifference(from: old, to: new).restarts == ["branch-1"])
    }

    @Test func anEndIsToldOfInTime() throws {
        let tunnel = try read(text()).tunnels[0]
        let end = Int64(TestCertificate.time + 365 * 86_400)
        func warnings(daysBefore days: Int64) -> [String] {
            tunnel.certificateWarnings(at: WallTime(nanoseconds: (end - days * 86_400 - 60) * 1_000_000_000)).map(\.text)
        }
        #expect(!warnings(daysBefore: 31).contains { $0.contains("expires") })
        #expect(warnings(daysBefore: 31) == [
            "The CRL of 'C=CH, O=Gatehouse, CN=Root' is past its next update of 2026-12-24."
        ])
        let soon = warnings(daysBefore: 7)
        #expect(soon.contains("Our certificate 'C=CH, O=Gatehouse, CN=us' expires in 7 days, on 2027-11-24."))
        #expect(soon.contains("The CA 'C=CH, O=Gatehouse, CN=Root' expires in 7 days, on 2027-11-24."))
        #expect(warnings(daysBefore: -1).contains("Our certificate 'C=CH, O=Gatehouse, CN=us' expired on 2027-11-24."))
    }
}
