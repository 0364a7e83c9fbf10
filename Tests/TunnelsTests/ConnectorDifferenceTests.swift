import Base
import Cryptography
import IKE
import Testing
import Tunnels

@Suite struct ConnectorDifferenceTests {
    private func connector(_ change: (inout Connector) -> Void = { _ in }) -> Connector {
        func tunnel(_ number: Int, _ remote: UInt32) -> Tunnel {
            Tunnel(
                name: "vpn-a-\(number)",
                phase1: Phase1(
                    localAddress: .v4(0xC633_6407), remoteAddress: .v4(remote), authentication: .psk(Secret(Array("first.key".utf8))),
                    encryption: [.aes128], integrity: [.sha1], dhGroups: [.modp1024], lifetimeSeconds: 28_800,
                    dpd: .init(delaySeconds: 10, timeoutSeconds: 30, action: .restart)),
                phase2: Phase2(
                    encryption: [.aes128], integrity: [.sha1], pfsGroups: [.modp1024], lifetimeSeconds: 3600,
                    localSelectors: [.all(.ipv4)], remoteSelectors: [.all(.ipv4)]),
                inside: nil, bgp: nil)
        }
        var connector = Connector(
            id: "vpn-a", name: "vpn-a", source: .init(format: "aws-json"), localNetworks: [.all(.ipv4)],
            remoteNetworks: [.all(.ipv4)], tunnels: [tunnel(1, 0xCB00_7101), tunnel(2, 0xCB00_7102)])
        change(&connector)
        return connector
    }

    private func changes(_ change: (inout Connector) -> Void) -> [String] {
        ConnectorDifference(from: connector(), to: connector(change)).changes
    }

    @Test func theSameIsNoDifference() {
        #expect(ConnectorDifference(from: connector(), to: connector()).isEmpty)
        #expect(changes { $0.isEnabled = false }.isEmpty, "whether it is in use is no part of the definition")
    }

    @Test func aChangedKeyIsNamedAndNeverShown() {
        let changes = changes { $0.tunnels[1].phase1.authentication = .psk(Secret(Array("second.key".utf8))) }
        #expect(changes == ["vpn-a-2: another pre-shared key"])
    }

    @Test func everyTermSaysBeforeAndAfter() {
        let changes = changes {
            $0.remoteNetworks = []
            $0.tunnels[0].phase1.encryption = [.aes256gcm16, .aes128]
            $0.tunnels[0].phase2.lifetimeSeconds = 1800
        }
        #expect(
            changes == [
                "remote networks 0.0.0.0/0 → none", "vpn-a-1: phase 1 encryption aes128 → aes256gcm16, aes128",
                "vpn-a-1: phase 2 lifetime 3600 → 1800",
            ])
    }

    @Test func tunnelsAreMatchedByTheirPeer() {
        #expect(changes { $0.tunnels[1].phase1.remoteAddress = .v4(0xCB00_7109) } == [
            "vpn-a-2: goes, with peer 203.0.113.2", "vpn-a-2: is new, with peer 203.0.113.9",
        ])
        let swapped = changes { $0.tunnels.swapAt(0, 1) }
        #expect(swapped == ["the tunnels' order of preference"])
    }
}
