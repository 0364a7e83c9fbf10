import Base
import Cryptography
import IKE
import JSONText
import Portal
import PortalFake
import Testing
import Tunnels

@testable import gatehouse

@Suite struct ConnectorFileTests {
    private static let smallest = """
        id: branch
        localNetworks: [10.1.0.0/16]
        remoteNetworks: [10.2.0.0/16]
        tunnels:
          - phase1:
              remoteAddress: 203.0.113.1
              psk: "correct horse: battery"
        """

    private func read(_ text: String) throws -> Connector { try ConnectorFile.read(Array(text.utf8), file: "f.yaml") }

    private func complaint(_ text: String) -> String {
        do {
            _ = try read(text)
            return "read without complaint"
        } catch {
            return (error as? CommandFailure)?.message ?? "\(error)"
        }
    }

    @Test func theSmallestFileHasSensibleDefaults() throws {
        let connector = try read(Self.smallest)
        #expect(connector.name == "branch")
        #expect(connector.isEnabled)
        #expect(connector.initiation == .initiate)
        #expect(connector.source.format == "manual")
        #expect(connector.tunnels.map(\.name) == ["branch-1"])
        let phase1 = connector.tunnels[0].phase1
        #expect(phase1.psk == Secret(Array("correct horse: battery".utf8)))
        #expect(phase1.encryption == [.aes256gcm16, .aes256])
        #expect(phase1.integrity == [.sha384, .sha256])
        #expect(phase1.dhGroups == [.ecp256, .ecp384, .curve25519, .modp2048])
        #expect(phase1.dpd == Phase1.DPD(delaySeconds: 10, timeoutSeconds: 30, action: .restart))
        let phase2 = connector.tunnels[0].phase2
        #expect(phase2.localSelectors == [.all(.ipv4)])
        #expect(phase2.integrity == [.sha256])
        #expect(phase2.replayWindow == 1024)
        #expect(connector.tunnels[0].inside == nil)
    }

    @Test func everythingCanBeSaid() throws {
        let connector = try read(
            """
            id: site-b
            name: Site B
            isEnabled: false
            initiation: respond
            localNetworks: [10.1.0.0/16, "2001:db8:1::/48"]
            remoteNetworks: 10.2.0.0/16
            tunnels:
              - name: first
                phase1:
                  localAddress: 198.51.100.7
                  bindAddress: 10.0.0.7
                  localID: gw@example.org
                  remoteID: vpn.example.org
                  pskHexadecimal: 00ff10
                  encryption: aes128
                  integrity: [sha1]
                  dhGroups: [2, modp2048]
                  lifetimeSeconds: 28800
                  dpd: {delaySeconds: 5, timeoutSeconds: 20, action: none}
                  forceUDPEncapsulation: yes
                phase2:
                  encryption: [aes128gcm16]
                  integrity: []
                  pfsGroups: []
                  lifetimeSeconds: 3600
                  rekeyMarginSeconds: 600
                  localSelectors: ["10.1.0.0/16"]
                  esn: true
                  replayWindow: 64
                inside: {localAddress: 169.254.10.2/30, remoteAddress: 169.254.10.1/30, mtu: 1400}
                bgp: {localASN: 65000, remoteASN: 64512, neighbor: 169.254.10.1}
              - phase1: {psk: 12345678, remoteAddress: "2001:db8::1"}
            """)
        #expect(!connector.isEnabled)
        #expect(connector.initiation == .respond)
        #expect(connector.localNetworks.count == 2)
        #expect(connector.tunnels.map(\.name) == ["first", "site-b-2"])
        let first = connector.tunnels[0]
        #expect(first.phase1.remoteAddress == nil)
        #expect(first.phase1.localID == .email("gw@example.org"))
        #expect(first.phase1.psk?.exposedBytes == [0, 255, 16])
        #expect(first.phase1.dhGroups == [.modp1024, .modp2048])
        #expect(first.phase1.dpd.action == .none)
        #expect(first.phase1.forceUDPEncapsulation)
        #expect(first.phase2.integrity == [])
        #expect(first.phase2.pfsGroups == [])
        #expect(first.phase2.rekeyMarginSeconds == 600)
        #expect(first.phase2.remoteSelectors == [.all(.ipv4), .all(.ipv6)])
        #expect(first.inside?.mtu == 1400)
        #expect(first.bgp?.remoteASN == 64_512)
        // A key of digits is a text all the same, and a responder clears.
        #expect(connector.tunnels[1].phase1.psk == Secret(Array("12345678".utf8)))
        #expect(connector.tunnels[1].phase1.dpd.action == .clear)
    }

    @Test func faultsNameTheirLineAndKey() {
        func with(_ from: String, _ to: String) -> String { complaint(Self.smallest.replacing(from, with: to)) }
        #expect(
            with("id: branch", "id: Branch 1").hasPrefix("f.yaml: line 1: id must be at most 64 characters of a to z"))
        #expect(with("id: branch\n", "") == "f.yaml: line 1: the connector needs id")
        #expect(
            with("10.1.0.0/16", "10.1.0.0/33")
                == "f.yaml: line 2: localNetworks[0] is '10.1.0.0/33', which is no network such as 10.0.0.0/16")
        #expect(with("[10.2.0.0/16]", "[]") == "f.yaml: line 3: remoteNetworks must name at least one network")
        #expect(
            with("remoteAddress: 203.0.113.1", "remoteAdress: 203.0.113.1").contains(
                "line 6: unknown key 'remoteAdress'; known here are remoteAddress, "))
        #expect(
            with("      remoteAddress: 203.0.113.1\n", "").contains("line 5: tunnels[0].phase1 needs remoteAddress"))
        #expect(
            with("remoteAddress: 203.0.113.1", "remoteAddress: 203.0.113.1\n      lifetime: 5").contains(
                "line 7: unknown key 'lifetime'; known here are"))
        #expect(
            with("remoteAddress: 203.0.113.1", "remoteAddress: 203.0.113.1\n      dhGroups: [1]").contains(
                "line 7: tunnels[0].phase1.dhGroups[0] is '1' and must be one of 2 (modp1024), "))
        #expect(
            with("remoteAddress: 203.0.113.1", "remoteAddress: 203.0.113.1\n      encryption: [des]").contains(
                "tunnels[0].phase1.encryption[0] is 'des' and must be one of aes128, "))
        #expect(
            with("remoteAddress: 203.0.113.1", "remoteAddress: 203.0.113.1\n      lifetimeSeconds: soon").contains(
                "tunnels[0].phase1.lifetimeSeconds must be a whole number from 60 to 604800"))
        #expect(
            with("remoteAddress: 203.0.113.1", "remoteAddress: 203.0.113.1\n      ikeVersion: 1").contains(
                "speaks IKEv2 only"))
        #expect(
            with("\"correct horse: battery\"", "(hidden)").contains(
                "line 7: tunnels[0].phase1.psk is hidden: write the key itself"))
        #expect(with("      psk: \"correct horse: battery\"", "").contains("needs psk"))
    }

    @Test func aCipherWithoutIntegrityOfItsOwnNeedsOne() {
        let text = Self.smallest + "\n    phase2: {encryption: [aes128], integrity: []}"
        #expect(
            complaint(text).contains("tunnels[0].phase2 needs integrity, such as [sha256]: aes128 has none of its own"))
    }

    @Test(arguments: [
        "", "[", "- a\n- b\n", "just words", "id: [\n  psk: \"correct horse", "{\"id\": \"a\", \"id\": \"b\"}",
        "\t\tid: x",
        "id: &a [*a]", "? [x]\n: y",
    ])
    func nonsenseIsRefusedInWordsAndWithoutTheKey(text: String) {
        let message = complaint(text)
        #expect(message.hasPrefix("f.yaml"))
        #expect(!message.contains("horse"))
    }

    @Test func aDamagedFileIsReadOrRefusedInWords() {
        var random = SplitMix(state: 3)
        let original = Array(Self.smallest.utf8)
        for _ in 0..<2000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch UInt8.random(in: 0...2, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 9...126, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert(Array("[]{}:,-#&*!|>'\"\n \t".utf8).randomElement(using: &random) ?? 0, at: at)
                }
            }
            do {
                _ = try ConnectorFile.read(bytes, file: "f")
            } catch {
                #expect((error as? CommandFailure)?.message.hasPrefix("f") == true, "\(error)")
            }
        }
    }

    @Test func bytesThatAreNoTextAreRefused() {
        #expect(throws: CommandFailure.self) { try ConnectorFile.read([0xff, 0xfe, 0x00], file: "f") }
    }

    @Test func whatIsShownCanBeReadBack() throws {
        var connector = Connector.example()
        connector.name = "Yes: \"quoted\" # not a comment"
        connector.tunnels[0].phase1.authentication = .psk(Secret([0, 1, 2, 255]))
        connector.tunnels[0].phase1.localID = .keyID([1, 2])
        connector.tunnels[0].bgp = Tunnel.BGP(
            localASN: 65_000, remoteASN: .max, neighbor: .v4(0x0a00_0001), holdTimeSeconds: 30)
        let json = ConnectorFile.json(connector, showSecrets: true)
        #expect(try read(json.text(isPretty: true)) == connector)
        #expect(try read(YAMLText.text(of: json)) == connector)
        #expect(!YAMLText.text(of: ConnectorFile.json(connector, showSecrets: false)).contains("000102ff"))
    }

    @Test func severalPhase2HaveNamesAndLimitsOfTheirOwn() throws {
        let text = Self.smallest + """

                phase2:
                  - {name: a, localSelectors: 10.1.0.0/16, lifetimeBytes: 50G}
                  - {name: b, localSelectors: 10.3.0.0/16, lifetimePackets: 2000}
            """
        let tunnel = try #require(try read(text).tunnels.first)
        #expect(tunnel.allPhase2.map(\.name) == ["a", "b"])
        #expect(tunnel.allPhase2.map(\.lifetimeBytes) == [50_000_000_000, nil])
        #expect(tunnel.allPhase2.map(\.lifetimePackets) == [nil, 2000])
        #expect(
            complaint(text.replacing("name: b", with: "name: a")).contains("tunnels[0] has two phase 2 called a"))
        #expect(complaint(text.replacing("50G", with: "50X")).contains("must be 1000000 or more, such as"))
        #expect(complaint(text.replacing("2000", with: "999")).contains("must be 1000 or more, such as"))
    }

    @Test func mobikeIsOnAndChildlessOffUnlessTheFileSaysOtherwise() throws {
        let usual = try #require(try read(Self.smallest).tunnels.first?.phase1)
        #expect(usual.isMobile && !usual.prefersChildless)
        let text = Self.smallest + "\n      mobike: no\n      childless: yes"
        let other = try #require(try read(text).tunnels.first?.phase1)
        #expect(!other.isMobile && other.prefersChildless)
    }

    @Test func theHelpsExampleIsTrue() throws {
        let lines = ConnectorFile.manual.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.hasPrefix("  id: ") })
        let example = lines[start...].prefix { !$0.isEmpty }.joined(separator: "\n")
        #expect(try read(example).tunnels.count == 1)
        #expect(lines.allSatisfy { $0.count <= 78 })
    }
}
