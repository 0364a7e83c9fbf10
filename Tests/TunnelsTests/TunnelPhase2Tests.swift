import Base
import Cryptography
import FoundationEssentials
import IKE
import Testing
import Tunnels

@Suite struct TunnelPhase2Tests {
    private func phase2(_ name: String?, _ local: String = "10.1.0.0/16", _ remote: String = "10.2.0.0/16") -> Phase2 {
        Phase2(
            name: name, encryption: [.aes256gcm16], integrity: [], pfsGroups: [.ecp384], lifetimeSeconds: 3600,
            localSelectors: [IPPrefix(local)!], remoteSelectors: [IPPrefix(remote)!])
    }

    private func tunnel(_ first: Phase2, _ further: Phase2...) -> Tunnel {
        Tunnel(
            name: "a-1",
            phase1: Phase1(
                localAddress: nil, remoteAddress: .v4(0xCB00_7101), authentication: .psk(Secret(Array("key".utf8))),
                encryption: [.aes256gcm16], integrity: [.sha256], dhGroups: [.ecp384], lifetimeSeconds: 28_800,
                dpd: .init(delaySeconds: 10, timeoutSeconds: 30, action: .restart)),
            phase2: first, furtherPhase2: further, inside: nil, bgp: nil)
    }

    private func encoded(_ tunnel: Tunnel) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        encoder.userInfo[Secret.revealSecrets] = true
        return String(decoding: try encoder.encode(tunnel), as: UTF8.self)
    }

    private func decoded(_ text: String) throws -> Tunnel {
        try JSONDecoder().decode(Tunnel.self, from: Data(text.utf8))
    }

    @Test func onePhase2IsStoredAsAnObjectAndSeveralAsAList() throws {
        let one = tunnel(phase2(nil))
        #expect(try encoded(one).contains(#""phase2":{"#))
        #expect(try !encoded(one).contains(#""furtherPhase2""#))
        #expect(try decoded(encoded(one)) == one)
        let two = tunnel(phase2("a"), phase2("b", "10.3.0.0/16"))
        #expect(try encoded(two).contains(#""phase2":[{"#))
        #expect(try decoded(encoded(two)) == two)
    }

    @Test func aTunnelAsItWasStoredBeforePhase2HadNamesIsRead() throws {
        let stored = """
            {"name":"vpn-1-1","phase1":{"ikeVersion":2,"remoteAddress":"203.0.113.1","psk":"6b6579",
            "encryption":["aes128"],"integrity":["sha1"],"dhGroups":[2],"lifetimeSeconds":28800,"forceUDPEncapsulation":false,
            "dpd":{"delaySeconds":10,"timeoutSeconds":30,"action":"restart"}},
            "phase2":{"encryption":["aes128"],"integrity":["sha1"],"pfsGroups":[2],"lifetimeSeconds":3600,
            "localSelectors":["0.0.0.0/0"],"remoteSelectors":["0.0.0.0/0"],"esn":false,"replayWindow":1024}}
            """
        let tunnel = try decoded(stored)
        #expect(tunnel.phase2.name == nil)
        #expect(tunnel.phase2.lifetimeSeconds == 3600)
        #expect(tunnel.furtherPhase2.isEmpty)
        #expect(throws: DecodingError.self) {
            try decoded(stored.replacing(/"phase2":\{[^}]*\}/, with: #""phase2":[]"#))
        }
    }

    @Test func phase2OfOneTunnelHaveNamesAndSelectorsOfTheirOwn() {
        #expect(tunnel(phase2(nil)).phase2Fault == nil)
        #expect(
            tunnel(phase2("a"), phase2(nil, "10.3.0.0/16")).phase2Fault
                == "has several phase 2, and number 2 has no name")
        #expect(tunnel(phase2("a"), phase2("a", "10.3.0.0/16")).phase2Fault == "has two phase 2 called a")
        #expect(
            tunnel(phase2("a"), phase2("b", "10.3.0.0/16"), phase2("c")).phase2Fault
                == "has two phase 2 with the same selectors, a and c")
    }

    @Test func theDifferenceOfTwoDefinitionsGoesByThePhase2sName() {
        func connector(_ tunnel: Tunnel) -> Connector {
            Connector(
                id: "a", name: "a", source: .init(format: "manual"), localNetworks: [.all(.ipv4)],
                remoteNetworks: [.all(.ipv4)], tunnels: [tunnel])
        }
        var other = phase2("b", "10.3.0.0/16")
        let old = tunnel(phase2("a"), other, phase2("c", "10.4.0.0/16"))
        other.lifetimeSeconds = 1800
        let new = tunnel(phase2("a"), phase2("d", "10.5.0.0/16"), other)
        #expect(
            ConnectorDifference(from: connector(old), to: connector(new)).changes == [
                "a-1: phase 2 c goes", "a-1: phase 2 d is new", "a-1: phase 2 b: phase 2 lifetime 3600 → 1800",
            ])
        let swapped = tunnel(old.allPhase2[1], old.allPhase2[0], old.allPhase2[2])
        #expect(
            ConnectorDifference(from: connector(old), to: connector(swapped)).changes == [
                "a-1: the order of the phase 2"
            ])
    }
}
