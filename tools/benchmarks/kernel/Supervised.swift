import Base
import Cryptography
import Host
import IKE
import JSONText
import Tunnels

/// The supervisor of many tunnels that are online, without a kernel: what one event costs, and a status answer.
extension BenchKernel {
    static func connector(_ number: Int) -> Connector {
        let remote = IPAddress.v4(0xCB00_0000 + UInt32(number) + 2)
        let tunnel = Tunnel(
            name: "tunnel-\(number)",
            phase1: Phase1(
                localAddress: .v4(0xC633_6402), remoteAddress: remote,
                authentication: .psk(Secret(Array("a key of many letters".utf8))), encryption: [.aes256gcm16],
                integrity: [.sha384], dhGroups: [.ecp384], lifetimeSeconds: 28_800,
                dpd: .init(delaySeconds: 10, timeoutSeconds: 30, action: .restart)),
            phase2: Phase2(
                encryption: [.aes256gcm16], integrity: [], pfsGroups: [.ecp384], lifetimeSeconds: 3600,
                localSelectors: [.all(.ipv4)], remoteSelectors: [.all(.ipv4)]),
            inside: nil, bgp: nil)
        return Connector(
            id: "connector-\(number)", name: "connector-\(number)", isEnabled: true, initiation: .respond,
            source: .init(format: "manual"), localNetworks: [network(0xAC10_0000, 12)],
            remoteNetworks: [network(number)], tunnels: [tunnel])
    }

    static func network(_ number: Int) -> IPPrefix { network(0x0A00_0000 + UInt32(number) << 8, 24) }

    private static func network(_ address: UInt32, _ length: Int) -> IPPrefix {
        IPPrefix(.v4(address), length: length) ?? .all(.ipv4)
    }

    private static func summary(_ number: Int) -> IKESummary {
        let path = child(number).path
        return IKESummary(
            initiatorSPI: UInt64(number) + 1, responderSPI: UInt64(number) + 1_000_000, isInitiator: false,
            suite: IKESuite(encryption: .aes256gcm16, integrity: nil, prf: .sha384, group: .ecp384),
            localID: .ipv4(path.local.address), remoteID: .ipv4(path.remote.address), path: path, isBehindNAT: false,
            isPeerBehindNAT: false, establishedAt: clock.now, rekeyAt: clock.now + .seconds(28_000))
    }

    static func supervised(_ count: Int) throws {
        var supervisor = Supervisor(seed: SystemRandom.seed(), now: clock.now)
        var connections: [Int: ConnectionID] = [:]
        func take(_ effects: [SupervisorEffect], of number: Int) {
            for case .ike(.configure(let id, _)) in effects { connections[number] = id }
        }
        figure(
            "supervisor_connectors", count,
            time { _ = supervisor.receive(.connectors((0..<count).map(connector)), now: clock.now) })
        for number in 0..<count {
            take(supervisor.receive(.linkOpened(interface: "gh\(number)"), now: clock.now), of: number)
            guard let id = connections[number] else { fatalError("tunnel \(number) has no connection") }
            var sa = child(number)
            sa.connection = id
            _ = supervisor.receive(
                .ike(Event(.ikeEstablished(summary(number)), connection: id, ikeSA: sa.ikeSA)), now: clock.now)
            _ = supervisor.receive(.installChild(sa, outbound: true), now: clock.now)
            _ = supervisor.receive(
                .ike(Event(.childEstablished(spiIn: sa.spiIn), connection: id, ikeSA: sa.ikeSA)), now: clock.now)
        }
        guard let id = connections[count / 2] else { return }
        let closed = Failure(.deletedByPeer, "The peer has deleted it.")
        let lost = child(count / 2)
        let event = Event(.childClosed(spiIn: lost.spiIn, closed), connection: id, ikeSA: lost.ikeSA)
        figure("supervisor_one_loss", count, time { _ = supervisor.receive(.ike(event), now: clock.now) })
        var online = 0
        var bytes = 0
        let answer = try time {
            let tunnels = supervisor.status(now: clock.now, wall: { clock.wallTime(of: $0) })
            online = tunnels.count { $0.state == .online }
            bytes = try JSON.line(tunnels).utf8.count
        }
        guard online >= count - 1 else { fatalError("\(online) of \(count) tunnels are online") }
        figure("status_answer", count, answer)
        print("figure kernel_\(count)_status_size \(bytes / 1024) KiB")
    }
}
