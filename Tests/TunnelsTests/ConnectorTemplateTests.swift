import Base
import Cryptography
import IKE
import Testing

@testable import Tunnels

/// What each template proposes, word by word: a change here is a change of what the peer is offered.
@Suite struct ConnectorTemplateTests {
    /// Both phases in the field's shorthand, then lifetimes and DPD in seconds.
    private static let golden = [
        "aws": """
            any
            aes256gcm16+aes128gcm16+aes256+aes128-sha384+sha512+sha256-ecp384+ecp521+ecp256+modp4096+modp3072+modp2048
            aes256gcm16+aes128gcm16+aes256+aes128-sha384+sha512+sha256-ecp384+ecp521+ecp256+modp4096+modp3072+modp2048
            28800-800 3600-600 10/30
            """,
        "azure": """
            any
            aes256+aes128-sha256-modp1024
            aes256gcm16+aes256+aes128-sha256-
            28800-800 27000-1200 15/45
            """,
        "fortigate": """
            networks
            aes256gcm16+aes256-sha384+sha256-modp2048+ecp384
            aes256gcm16+aes256-sha256-modp2048+ecp384
            86400-800 43200-600 20/60
            """,
        "google-cloud": """
            any
            aes256gcm16-sha512-modp4096
            aes256gcm16--modp4096
            36000-800 10800-600 10/30
            """,
        "strongswan": """
            networks
            aes256gcm16+aes256-sha256+sha384+sha512-curve25519+ecp256+ecp384+modp2048
            aes256gcm16+aes256-sha256+sha384+sha512-
            14400-1800 3600-600 10/30
            """,
    ]

    @Test func eachTemplateProposesWhatItsVendorTakes() throws {
        let all = try ConnectorTemplate.all()
        #expect(all.map(\.name) == ["aws", "azure", "fortigate", "google-cloud", "strongswan"])
        for template in all {
            let (terms, p1, p2) = (template.terms, template.terms.phase1, template.terms.phase2)
            func list(_ words: [String]) -> String { words.joined(separator: "+") }
            func suite(_ a: [EncryptionAlgorithm], _ b: [IntegrityAlgorithm], _ c: [DHGroup]) -> String {
                [list(a.map(\.rawValue)), list(b.map(\.rawValue)), list(c.map(\.name))].joined(separator: "-")
            }
            let margins = (p1.rekeyMarginSeconds ?? 0, p2.rekeyMarginSeconds ?? 0)
            let text = """
                \(terms.selectors.rawValue)
                \(suite(p1.encryption, p1.integrity, p1.dhGroups))
                \(suite(p2.encryption, p2.integrity, p2.pfsGroups))
                \(p1.lifetimeSeconds)-\(margins.0) \(p2.lifetimeSeconds)-\(margins.1) \
                \(p1.dpd.delaySeconds)/\(p1.dpd.timeoutSeconds)
                """
            #expect(text == Self.golden[template.name], "\(template.name)")
            #expect(!terms.summary.isEmpty && !template.title.isEmpty)
        }
    }

    @Test func theAWSTemplateStaysWithinWhatAWSPermits() throws {
        let permitted = try VendorProfile.aws().permitted
        let terms = try #require(try ConnectorTemplate.all().first { $0.name == "aws" }).terms
        #expect(Set(terms.phase1.encryption).isSubset(of: permitted.encryption.map(\.name)))
        #expect(Set(terms.phase2.integrity).isSubset(of: permitted.integrity.map(\.name)))
        #expect(Set(terms.phase1.dhGroups).isSubset(of: permitted.phase1Groups))
        #expect(Set(terms.phase2.pfsGroups).isSubset(of: permitted.phase2Groups))
        #expect(permitted.phase1LifetimeSeconds.contains(terms.phase1.lifetimeSeconds))
        #expect(permitted.phase2LifetimeSeconds.contains(terms.phase2.lifetimeSeconds))
    }

    @Test func aTemplateThatContradictsItselfIsRefused() throws {
        let sound = """
            vendor: x
            title: X
            template:
              summary: s
              selectors: any
              phase1: {encryption: [aes256], integrity: [sha256], dhGroups: [14], lifetimeSeconds: 3600,
                dpd: {delaySeconds: 10, timeoutSeconds: 30, action: restart}}
              phase2: {encryption: [aes256], integrity: [sha256], pfsGroups: [], lifetimeSeconds: 3600}
              notes: []
            """
        _ = try ConnectorTemplate(yaml: sound)
        for (part, fault) in [
            ("integrity: [sha256], pfs", "integrity: [], pfs"), ("dhGroups: [14]", "dhGroups: []"),
            ("timeoutSeconds: 30", "timeoutSeconds: 3"),
            ("[aes256], integrity: [sha256], dh", "[], integrity: [sha256], dh"),
        ] {
            #expect(throws: VendorProfile.Invalid.self) {
                try ConnectorTemplate(yaml: sound.replacing(part, with: fault))
            }
        }
    }
}

/// Keys that a definition leaves empty.
@Suite struct ConnectorKeysTests {
    private func connector(_ key: String, name: String = "a-1", peer: String = "203.0.113.1") throws -> Connector {
        let terms = ConnectorTemplate.modern
        return Connector(
            id: "a", name: "a", source: Connector.Source(format: "manual"), localNetworks: [], remoteNetworks: [],
            tunnels: [
                Tunnel(
                    name: name,
                    phase1: Phase1(
                        localAddress: nil, remoteAddress: IPAddress(peer),
                        authentication: .psk(Secret(Array(key.utf8))),
                        encryption: terms.phase1.encryption, integrity: terms.phase1.integrity,
                        dhGroups: terms.phase1.dhGroups, lifetimeSeconds: 28_800, dpd: terms.phase1.dpd),
                    phase2: terms.phase2(name: "a", local: [.all(.ipv4)], remote: [.all(.ipv4)]), inside: nil, bgp: nil)
            ])
    }

    @Test func anEmptyKeyKeepsTheStoredOneOfTheSameTunnelOrPeer() throws {
        let stored = try connector("kept")
        #expect(try connector("").keepingKeys(of: stored) == stored)
        #expect(try connector("", name: "b").keepingKeys(of: stored).tunnels[0].phase1 == stored.tunnels[0].phase1)
        let moved = try connector("", peer: "203.0.113.2").keepingKeys(of: stored)
        #expect(moved.tunnels[0].phase1.psk == stored.tunnels[0].phase1.psk)
        #expect(try connector("new").keepingKeys(of: stored) == connector("new"))
    }

    @Test func aTunnelWithoutAnyKeyIsRefusedByName() throws {
        let keyless = try connector("")
        #expect(throws: Connector.KeyMissing(tunnel: "a-1", place: .psk)) { try keyless.keepingKeys(of: nil) }
        let stranger = try connector("", name: "b", peer: "203.0.113.2")
        #expect(throws: Connector.KeyMissing(tunnel: "b", place: .psk)) { try stranger.keepingKeys(of: connector("kept")) }
    }

    @Test func onlyATunnelWhoseSAsCannotLiveOnRestarts() throws {
        let old = try connector("k")
        var new = old
        new.tunnels[0].phase2.lifetimeSeconds = 1800
        new.tunnels[0].phase1.dpd.delaySeconds = 5
        #expect(ConnectorDifference(from: old, to: new).restarts == [])
        new.tunnels[0].phase2.pfsGroups = []
        #expect(ConnectorDifference(from: old, to: new).restarts == ["a-1"])
        new.tunnels[0].name = "b"
        #expect(ConnectorDifference(from: old, to: new).restarts == [])
    }
}
