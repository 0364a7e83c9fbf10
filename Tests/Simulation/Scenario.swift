import Base
import Cryptography
import IKE
import Tunnels

/// Who there is and on what terms: everything about a life that does not change.
///
/// Host 0 is the gateway; hosts 1 and 2 are endpoints with one tunnel each, as AWS has them.
struct Scenario {
    enum Initiators: String { case gateway, endpoints, both }

    let seed: UInt64
    var endpoints = 1
    var initiators = Initiators.gateway
    /// The gateway sits behind a translator.
    var hasNAT = false
    var connectors: [Connector] = []
    var width: Width
    /// Pause between two packets of each tunnel in each direction; nil for silence but for probes.
    var trafficPause: Tick.Span?

    var hostCount: Int { endpoints + 1 }
    /// Tunnel `n` joins the gateway and host `n + 1`.
    var tunnels: Range<Int> { 0..<endpoints }

    static let names = ["G", "E1", "E2"]
    static let gatewayAddress = IPAddress.v4(0xC633_6401)  // 198.51.100.1
    static let insideAddress = IPAddress.v4(0x0A00_0002)  // 10.0.0.2
    /// Lives whose seed leaves this rest when divided by five have no ``Width``.
    static let plainRest = 3 as UInt64
    static func endpointAddress(_ tunnel: Int) -> IPAddress { .v4(0xCB00_7101 + UInt32(tunnel)) }
    static func tunnelName(_ tunnel: Int) -> String { "vpn-\(tunnel + 1)" }

    func address(_ host: Int) -> IPAddress {
        if host > 0 { return Self.endpointAddress(host - 1) }
        return hasNAT ? Self.insideAddress : Self.gatewayAddress
    }

    /// The networks behind the gateway and behind the endpoints.
    static let gatewayNetwork = IPPrefix(.v4(0x0A01_0000), length: 16) ?? .all(.ipv4)
    static let remoteNetwork = IPPrefix(.v4(0x0A02_0000), length: 16) ?? .all(.ipv4)

    static func insideAddress(_ host: Int, _ tunnel: Int) -> IPAddress {
        .v4(0xA9FE_0600 + UInt32(tunnel * 4) + (host == 0 ? 2 : 1))
    }

    init(seed: UInt64) {
        self.seed = seed
        width = Width(hostCount: 2)
        var dice = Dice(seed &* 2 &+ 1)
        endpoints = dice.chance(40) ? 2 : 1
        hasNAT = dice.chance(45)
        if !hasNAT, dice.chance(45) { initiators = dice.chance(70) ? .both : .endpoints }
        trafficPause = [nil, .milliseconds(300), .seconds(1), .seconds(4)][dice.below(4)]
        width = Width(hostCount: endpoints + 1)
        if isWide {
            var dice = wideDice
            width = Width(&dice, hostCount: endpoints + 1, mayMove: initiators == .gateway)
        }

        let isNarrow = dice.chance(35)
        let isAEAD = dice.chance(70)
        let phase1 = Phase1(
            localAddress: Self.gatewayAddress, bindAddress: hasNAT ? Self.insideAddress : nil, remoteAddress: nil,
            authentication: .psk(Self.psk(0)), encryption: [isAEAD ? .aes128gcm16 : .aes128], integrity: [.sha256],
            dhGroups: [.curve25519], lifetimeSeconds: dice.pick([600, 900, 1800, 28_800]),
            dpd: dice.pick([
                .init(delaySeconds: 10, timeoutSeconds: 30, action: .restart),
                .init(delaySeconds: 5, timeoutSeconds: 15, action: .restart),
                .init(delaySeconds: 3, timeoutSeconds: 20, action: .restart),
            ]),
            forceUDPEncapsulation: dice.chance(15))
        let phase2 = Phase2(
            encryption: [isAEAD ? .aes128gcm16 : .aes128], integrity: isAEAD ? [] : [.sha256],
            pfsGroups: dice.chance(60) ? [.curve25519] : [], lifetimeSeconds: dice.pick([120, 180, 360, 3600]),
            localSelectors: [isNarrow ? Self.gatewayNetwork : .all(.ipv4)],
            remoteSelectors: [isNarrow ? Self.remoteNetwork : .all(.ipv4)], esn: dice.chance(25),
            replayWindow: dice.pick([64, 1024]))
        let tunnels = (0..<endpoints).map { index in
            var terms = phase1
            terms.remoteAddress = Self.endpointAddress(index)
            return Tunnel(
                name: Self.tunnelName(index), phase1: terms, phase2: phase2,
                inside: Tunnel.Inside(
                    localAddress: IPPrefix(Self.insideAddress(0, index), length: 30) ?? .all(.ipv4),
                    remoteAddress: IPPrefix(Self.insideAddress(1, index), length: 30) ?? .all(.ipv4)),
                bgp: nil)
        }
        let gateway = Connector(
            id: "vpn", name: "vpn", initiation: initiators == .endpoints ? .respond : .initiate,
            source: .init(format: "manual"), localNetworks: [Self.gatewayNetwork],
            remoteNetworks: [Self.remoteNetwork], tunnels: tunnels)
        connectors = [gateway] + tunnels.map { Self.mirror(gateway, $0, initiates: initiators != .gateway) }
        guard isWide else { return }
        for host in connectors.indices {
            for place in connectors[host].tunnels.indices { width.widen(&connectors[host].tunnels[place], of: host) }
        }
    }

    var isWide: Bool { seed % 5 != Self.plainRest }
    /// A stream of its own, so that what is drawn for the width changes nothing else.
    var wideDice: Dice { Dice(~seed) }

    /// The other end's view of a tunnel.
    private static func mirror(_ connector: Connector, _ tunnel: Tunnel, initiates: Bool) -> Connector {
        var mirrored = connector
        mirrored.initiation = initiates ? .initiate : .respond
        swap(&mirrored.localNetworks, &mirrored.remoteNetworks)
        var other = tunnel
        other.phase1.localAddress = tunnel.phase1.remoteAddress
        other.phase1.remoteAddress = tunnel.phase1.localAddress
        other.phase1.bindAddress = nil
        swap(&other.phase2.localSelectors, &other.phase2.remoteSelectors)
        if let inside = tunnel.inside {
            other.inside?.localAddress = inside.remoteAddress
            other.inside?.remoteAddress = inside.localAddress
        }
        mirrored.tunnels = [other]
        return mirrored
    }

    /// The pre-shared key of a generation.
    static func psk(_ generation: Int) -> Secret { Secret(Array("shared key number \(generation)".utf8)) }

    var summary: String {
        let terms = connectors[0].tunnels[0]
        let traffic = trafficPause.map { "a packet every \($0.seconds) s" } ?? "no traffic but probes"
        return """
            \(endpoints) tunnel\(endpoints > 1 ? "s" : ""), called by \
            \(initiators == .both ? "both sides" : initiators.rawValue)\
            \(hasNAT ? ", the gateway behind a NAT" : ""), ike \(terms.phase1.encryption[0].rawValue) \
            \(terms.phase1.lifetimeSeconds) s, esp \(terms.phase2.lifetimeSeconds) s\
            \(terms.phase2.pfsGroups.isEmpty ? "" : " with PFS")\(terms.phase2.esn ? " with ESN" : ""), \
            DPD \(terms.phase1.dpd.delaySeconds)/\(terms.phase1.dpd.timeoutSeconds) s, \
            \(terms.phase2.localSelectors[0].length == 0 ? "everything" : "two networks") selected, \(traffic)\(isWide ? ", " + width.summary : "")
            """
    }
}
