import Base
import Cryptography
import IKE
import Testing

@testable import Tunnels

/// Tunnels with several phase 2, from the supervisor to the engine and back.
@Suite struct SupervisorSeveralPhase2Tests {
    private func world() -> EngineWorld {
        EngineWorld(seed: 3) { connector in
            for index in connector.tunnels.indices {
                var first = connector.tunnels[index].phase2
                first.name = "office"
                first.localSelectors = [IPPrefix("10.1.0.0/16")!]
                first.remoteSelectors = [IPPrefix("10.2.0.0/16")!]
                var second = first
                second.name = "plant"
                second.remoteSelectors = [IPPrefix("10.3.0.0/16")!]
                connector.tunnels[index].phase2 = first
                connector.tunnels[index].furtherPhase2 = [second]
            }
        }
    }

    private func status(_ world: EngineWorld, _ tunnel: String = "vpn-1") -> TunnelStatus? {
        world.sites[0].supervisor.status(of: tunnel, now: world.now, wall: { _ in WallTime(nanoseconds: 0) })
    }

    private func names(_ world: EngineWorld) -> [String] {
        status(world)?.children.compactMap(\.name).sorted() ?? []
    }

    @Test func allAreUpBeforeTheTunnelIsOnline() throws {
        var world = world()
        #expect(world.wait(10) { status($0)?.state == .online } != nil)
        #expect(names(world) == ["office", "plant"])
        // And stay so through rekeys of both phases.
        world.run(30_000)
        #expect(status(world)?.state == .online)
        #expect(names(world) == ["office", "plant"])
        #expect(!world.sites[0].events.contains { $0.kind == "tunnel-offline" })
    }

    @Test func oneThatIsRefusedDegradesTheTunnelAndIsAskedForAgain() throws {
        var world = world()
        var other = world.wanted[1]
        other[0].tunnels[0].furtherPhase2[0].encryption = [.aes256gcm16]
        world.receive(1, .connectors(other))
        #expect(world.wait(20) { status($0)?.state == .degraded } != nil)
        world.run(120)
        #expect(names(world) == ["office"])
        let explanation = world.sites[0].supervisor.explain(tunnel: "vpn-1").joined(separator: "\n")
        #expect(explanation.contains("phase 2 plant of vpn-1 is not up"), "\(explanation)")
        #expect(status(world)?.lastError?.isEmpty == false)
        // The traffic goes by the tunnel that is whole.
        #expect(status(world, "vpn-2")?.isActive == true)
        #expect(!world.sites[0].events.contains { $0.kind == "tunnel-offline" && $0.tunnel == "vpn-1" })
        world.receive(1, .connectors(world.wanted[1]))
        #expect(world.wait(120) { status($0)?.state == .online } != nil)
        #expect(names(world) == ["office", "plant"])
        #expect(status(world)?.lastError == nil)
    }

    @Test func otherLifetimesOfAnyPhase2TouchNoSA() throws {
        var world = world()
        #expect(world.wait(10) { status($0)?.state == .online } != nil)
        let before = status(world)?.children.map(\.spiIn)
        var changed = world.wanted[0]
        changed[0].tunnels[0].furtherPhase2[0].lifetimeSeconds = 1800
        changed[0].tunnels[0].furtherPhase2[0].lifetimeBytes = 1_000_000_000
        world.receive(0, .connectors(changed))
        world.run(5)
        #expect(status(world)?.children.map(\.spiIn) == before)
        // Other networks need another SA.
        changed[0].tunnels[0].furtherPhase2[0].remoteSelectors = [IPPrefix("10.4.0.0/16")!]
        #expect(!changed[0].tunnels[0].keepsSAs(of: world.wanted[0][0].tunnels[0]))
    }
}
