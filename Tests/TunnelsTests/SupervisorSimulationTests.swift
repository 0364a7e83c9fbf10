import Base
import Cryptography
import IKE
import Testing
@testable import Tunnels

/// Random lives of a gateway with seeds that replay exactly, and what must hold at any size.
@Suite struct SupervisorSimulationTests {
    /// One random step in the life of peers, administrators and the host.
    private func disturb(_ world: inout SupervisorWorld, _ random: inout SeededRandom, _ connectors: [Connector]) {
        func pick<Item>(_ items: [Item]) -> Item? {
            items.isEmpty ? nil : items[Int(random.uniform(below: UInt64(items.count)))]
        }
        let tunnels = connectors.flatMap(\.tunnels)
        guard let tunnel = pick(tunnels), let address = tunnel.phase1.remoteAddress else { return }
        switch random.uniform(below: 16) {
        case 0, 1: world.peers[address]?.isAlive = false
        case 2, 3, 4: world.peers[address] = .init()
        case 5: world.peers[address]?.answersProbes = false
        case 6:
            world.peers[address]?.refusal = pick([
                Failure(.authenticationFailed, "The peer refused our pre-shared key."),
                Failure(.selectorsUnacceptable, "The peer refused the networks."),
            ])
        case 7, 8: world.peerDeletes(tunnel.name)
        case 9: world.receive(.rekey(tunnel.name, pick(SupervisorInput.Phase.allCases) ?? .both))
        case 10: world.receive(.restart(pick([tunnel.name, connectors[0].id]) ?? tunnel.name))
        case 11:
            guard let interface = pick(world.links.keys.sorted()) else { return }
            world.links[interface] = nil
            world.installed = world.installed.filter { $0.value != interface }
            world.receive(.linkFailed(interface: interface, reason: "someone deleted it"))
        case 12:
            // The child is gone, and the event with it.
            let owners = world.connections.keys.sorted().filter { world.connections[$0]?.sa?.child != nil }
            guard let id = pick(owners), let child = world.connections[id]?.sa?.child else { return }
            world.connections[id]?.sa?.child = nil
            world.installed[child] = nil
            world.receive(.childRemoved(spiIn: child))
        case 13:
            // An attempt is lost without an outcome.
            if let id = pick(world.connections.keys.sorted()), world.connections[id]?.attempt != nil {
                world.connections[id]?.attempt = nil
            }
        default:
            var wanted = world.wanted
            guard !wanted.isEmpty, let index = pick(Array(wanted.indices)) else { return world.want(connectors) }
            switch random.uniform(below: 6) {
            case 0: wanted[index].isEnabled.toggle()
            case 1: wanted[index].initiation = wanted[index].initiation == .initiate ? .respond : .initiate
            case 2: wanted.remove(at: index)
            case 3:
                for place in wanted[index].tunnels.indices {
                    wanted[index].tunnels[place].phase1.authentication = .psk(Secret(random.bytes(8)))
                }
            case 4: wanted[index].tunnels.reverse()
            default: wanted = connectors
            }
            world.want(wanted)
        }
    }

    /// 30 lives of 100 disturbances each. The world checks its invariants after every turn.
    @Test(arguments: 0..<30)
    func whateverHappensTheInvariantsHoldAndHealingBringsAllOnline(_ seed: UInt8) {
        var random = SeededRandom(seed: [seed])
        var world = SupervisorWorld(seed: seed)
        let connectors = [
            awsLike("a"), awsLike("b", tunnels: 3, number: 1),
            awsLike("c", tunnels: 1, number: 2, remote: "10.0.0.0/24"),
        ]
        world.want(connectors)
        for _ in 0..<100 {
            disturb(&world, &random, connectors)
            world.run(until: world.now + Tick.Span(nanoseconds: Int64(random.uniform(below: 40_000_000_000))))
        }
        for address in world.peers.keys { world.peers[address] = .init() }
        world.brokenLinks = []
        world.want(connectors)
        let healed = world.now
        let names = connectors.flatMap(\.tunnels).map(\.name)
        while !names.allSatisfy({ world.state($0) == .online }), (world.now - healed).seconds < 300 { world.run(1) }
        // An attempt at a dead peer (30 s) or without an outcome (70 s), then the longest pause (75 s).
        #expect((world.now - healed).seconds <= 150, "healed only after \((world.now - healed).seconds) s")
        #expect(names.allSatisfy { world.state($0) == .online })
        world.run(700)
        #expect(Set(world.active) == ["a-1", "b-1", "c-1"])
        #expect(world.connections.count == names.count && world.links.count == names.count)
        #expect(world.installed.count == names.count)
        world.receive(.shutDown)
        world.run(4)
        #expect(world.isFinished && world.installed.isEmpty)
    }

    @Test func sameSeedGivesTheSameLife() {
        func life() -> [String] {
            var random = SeededRandom(seed: [9])
            var world = SupervisorWorld(seed: 9)
            world.want([awsLike("a"), awsLike("b", number: 1)])
            for _ in 0..<100 {
                disturb(&world, &random, [awsLike("a"), awsLike("b", number: 1)])
                world.run(10)
            }
            return world.events.map { "\($0.tick.nanoseconds) \($0.message)" }
        }
        let first = life()
        #expect(first.count > 50 && first == life())
    }

    /// Whatever the rhythm of its failures, one tunnel does not move the traffic more than a few times in an hour.
    @Test(arguments: [7, 20, 33, 45, 61, 90, 130, 200])
    func noFlappingUnderAPeriodicallyFailingTunnel(_ period: Int) {
        var world = SupervisorWorld()
        world.want([awsLike()])
        world.run(10)
        for _ in 0..<3600 / period {
            world.peerDeletes("vpn-1")
            world.run(period)
        }
        #expect(world.count("failover") + world.count("failback") <= 10)
    }

    // MARK: - Size

    private func many(_ count: Int, initiation: Connector.Initiation = .initiate) -> [Connector] {
        (0..<count).map { awsLike("c\($0)", tunnels: 2, number: $0, initiation: initiation) }
    }

    /// A supervisor with every link open and, where it initiates, every attempt begun.
    private func opened(_ connectors: [Connector]) -> Supervisor {
        var supervisor = Supervisor(seed: [1], now: .zero)
        for effect in supervisor.receive(.connectors(connectors), now: .zero) {
            guard case .openLink(let link) = effect else { continue }
            _ = supervisor.receive(.linkOpened(interface: link.interface), now: .zero)
        }
        return supervisor
    }

    @Test func tenThousandWaitingTunnelsNeedNoWaking() {
        let supervisor = opened(many(5000, initiation: .respond))
        #expect(supervisor.keepers.count == 10_000 && supervisor.deadline == nil)
    }

    @Test func costOfAnEventDoesNotGrowWithTheNumberOfTunnels() {
        var costs: [Int] = []
        for size in [5, 50, 500, 5000] {
            var supervisor = opened(many(size))
            let connection = supervisor.keepers[3]?.connection
            let before = supervisor.tunnelsVisited
            let failure = Event(.failed(Failure(.temporaryFailure, "Busy.")), connection: connection)
            _ = supervisor.receive(.ike(failure), now: .zero)
            let deadline = supervisor.deadline
            _ = supervisor.wake(now: deadline?.tick ?? .zero)
            costs.append(supervisor.tunnelsVisited - before)
        }
        #expect(Set(costs).count == 1 && costs[0] <= 8, "\(costs)")
    }

    @Test func changeOfOneConnectorAmongThousandsVisitsOnlyItsTunnels() {
        var connectors = many(5000)
        var supervisor = opened(connectors)
        let before = supervisor.tunnelsVisited
        connectors[2500].isEnabled = false
        let effects = supervisor.receive(.connectors(connectors), now: .zero)
        #expect(supervisor.tunnelsVisited - before <= 8)
        let closed = effects.compactMap { if case .closeLink(let interface) = $0 { interface } else { nil } }
        #expect(closed == ["gh5000", "gh5001"])
    }
}
