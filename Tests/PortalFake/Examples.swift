public import Base
import Cryptography
import Glibc
import IKE
public import Tunnels

/// A runtime directory that is there for one test.
public final class ScratchDirectory: Sendable {
    public let path: String

    public init() {
        var template = Array("/tmp/gatehouse-test-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
    }

    deinit {
        for name in ["status.sock", "control.sock", "gatehoused.lock", "file"] { unlink(path + "/" + name) }
        rmdir(path)
    }
}

extension TunnelStatus {
    /// A tunnel of `vpn-0a1b` that has been online since the example moment.
    public static func example(
        _ number: Int, state: State = .online, isActive: Bool? = nil, since: WallTime = .example(0),
        weaknesses: [String] = [], lastError: String? = nil
    ) -> TunnelStatus {
        let isUp = state == .online || state == .degraded
        let child = Child(
            spiIn: "c0000001", spiOut: "d0000001", proposal: "aes128gcm16", bytesIn: 1_234_567, bytesOut: 7_654,
            packetsIn: 1000, packetsOut: 50, localNetworks: ["0.0.0.0/0"], remoteNetworks: ["10.0.0.0/16"],
            rekeyAt: .example(3000))
        let ike = IKE(
            initiatorSPI: "0011223344556677", responderSPI: "8899aabbccddeeff",
            proposal: "aes128gcm16-prfsha256-ecp256", localID: "198.51.100.7", remoteID: "203.0.113.\(number)",
            establishedAt: .example(0), rekeyAt: .example(28_000))
        return TunnelStatus(
            connector: "vpn-0a1b", tunnel: "vpn-0a1b-\(number)", state: state,
            isActive: isActive ?? (isUp && number == 1), localAddress: "198.51.100.7",
            remoteAddress: "203.0.113.\(number)", since: since, dataPath: "userspace", interface: "gh\(number - 1)",
            ike: isUp ? ike : nil, children: isUp ? [child] : [],
            dpd: DPD(
                lastSeen: isUp ? .example(100) : nil, roundTripMilliseconds: isUp ? 1.25 : nil, retransmits: 0),
            probe: isUp
                ? Probe(address: "169.254.10.1", lastAnswer: .example(100), roundTripMilliseconds: 2.5, lost: 0) : nil,
            weaknesses: weaknesses, lastError: lastError)
    }
}

extension Connector {
    /// One connector with one tunnel whose secret is `correct horse`.
    public static func example(id: String = "vpn-0a1b", isEnabled: Bool = true) -> Connector {
        Connector(
            id: id, name: "Head office", isEnabled: isEnabled, source: Source(format: "aws-xml", connectionID: id),
            localNetworks: [.example("192.168.0.0/24")], remoteNetworks: [.example("10.0.0.0/16")],
            tunnels: [
                Tunnel(
                    name: id + "-1",
                    phase1: Phase1(
                        localAddress: nil, remoteAddress: IPAddress("203.0.113.1"),
                        authentication: .psk(Secret(Array("correct horse".utf8))), encryption: [.aes128], integrity: [.sha1],
                        dhGroups: [.modp1024], lifetimeSeconds: 28_800,
                        dpd: Phase1.DPD(delaySeconds: 10, timeoutSeconds: 30, action: .restart)),
                    phase2: Phase2(
                        encryption: [.aes128gcm16], integrity: [], pfsGroups: [.ecp256], lifetimeSeconds: 3600,
                        localSelectors: [.all(.ipv4)], remoteSelectors: [.all(.ipv4)]),
                    inside: Tunnel.Inside(
                        localAddress: .example("169.254.10.2/30"), remoteAddress: .example("169.254.10.1/30")),
                    bgp: nil)
            ])
    }
}

extension IPPrefix {
    fileprivate static func example(_ text: String) -> IPPrefix { IPPrefix(text) ?? .all(.ipv4) }
}
