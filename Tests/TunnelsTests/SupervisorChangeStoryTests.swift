import Base
import Cryptography
import IKE
import Testing
@testable import Tunnels

/// Stories of definitions that change while tunnels are up.
extension SupervisorStoryTests {
    @Test func changeOfOneConnectorTouchesNoOther() {
        var world = SupervisorWorld()
        world.want([awsLike("a"), awsLike("b", number: 1)])
        world.run(10)
        world.touchedConnections = []
        let before = world.status("b-1")
        var changed = awsLike("a")
        for index in changed.tunnels.indices { changed.tunnels[index].phase1.authentication = .psk(Secret(Array("another".utf8))) }
        world.want([changed, awsLike("b", number: 1)])
        let names = Set(world.touchedConnections.compactMap { world.connections[$0]?.terms.name })
        #expect(names.isSubset(of: ["a-1", "a-2"]))
        world.run(30)
        #expect(world.status("b-1")?.ike == before?.ike && world.status("b-1")?.since == before?.since)
        #expect(world.state("a-1") == .online && world.state("a-2") == .online)
        let keys = world.connections.values.filter { $0.terms.name.hasPrefix("a") }.map(\.terms.authentication)
        #expect(keys == Array(repeating: .psk(Secret(Array("another".utf8))), count: 2))
    }

    @Test func changedTunnelsAreReplacedOneAtATime() {
        var world = online()
        var changed = awsLike()
        for index in changed.tunnels.indices { changed.tunnels[index].phase1.authentication = .psk(Secret(Array("another".utf8))) }
        world.routeChanges = 0
        world.want([changed])
        #expect(world.state("vpn-1") == .online && world.state("vpn-2") != .online)
        for _ in 0..<200 {
            world.run(until: world.now + .milliseconds(10))
            #expect(!world.active.isEmpty, "no tunnel carries the traffic")
        }
        #expect(world.state("vpn-1") == .online && world.state("vpn-2") == .online)
        #expect(world.connections.count == 2)
        #expect(world.connections.values.allSatisfy { $0.terms.authentication == .psk(Secret(Array("another".utf8))) })
    }

    @Test func newLifetimesAndNetworksKeepTheSAs() {
        var world = online()
        let before = world.status("vpn-1")?.ike
        var changed = awsLike()
        changed.remoteNetworks = [IPPrefix("10.77.0.0/16")!]
        changed.tunnels[0].phase1.lifetimeSeconds = 3600
        world.want([changed])
        #expect(world.status("vpn-1")?.ike == before && world.state("vpn-1") == .online)
        #expect(world.routes.map(\.destination).allSatisfy { $0 == IPPrefix("10.77.0.0/16")! })
        #expect(world.connections.values.contains { $0.terms.ikeLifetime == .seconds(3600) })
    }

    @Test func disabledConnectorGoesInOrderAndComesBack() {
        var world = online()
        world.want([awsLike(isEnabled: false)])
        #expect(world.state("vpn-1") == .disabled && world.routes.isEmpty && world.links.isEmpty)
        #expect(world.connections.isEmpty && world.supervisor.deadline == nil)
        #expect(world.count("no-tunnel") == 0)
        world.run(3600)
        #expect(world.state("vpn-1") == .disabled)
        world.want([awsLike()])
        world.run(5)
        #expect(world.state("vpn-1") == .online && world.active == ["vpn-1"])
    }

    @Test func interfaceNumbersAreReusedLowestFirst() {
        var world = SupervisorWorld()
        world.want([awsLike("a"), awsLike("b", number: 1), awsLike("c", number: 2)])
        world.want([awsLike("b", number: 1)])
        world.want([awsLike("b", number: 1), awsLike("d", tunnels: 3, number: 3)])
        #expect(world.status("b-1")?.interface == "gh2")
        #expect(["d-1", "d-2", "d-3"].map { world.status($0)?.interface } == ["gh0", "gh1", "gh4"])
    }

    @Test func restartDeletesAndComesBack() {
        var world = online()
        let before = world.status("vpn-1")?.ike
        world.receive(.restart("vpn"))
        #expect(world.state("vpn-1") == .connecting && world.routes.allSatisfy { $0.isUnreachable })
        world.run(10)
        #expect(world.state("vpn-1") == .online && world.status("vpn-1")?.ike != before)
        #expect(world.active == ["vpn-1"])
    }

    @Test func rekeyReachesTheTunnelsThatAreMeant() {
        var world = online()
        let before = (world.status("vpn-1"), world.status("vpn-2"))
        world.receive(.rekey("vpn-1", .both))
        world.run(5)
        #expect(world.status("vpn-1")?.ike?.initiatorSPI != before.0?.ike?.initiatorSPI)
        #expect(world.status("vpn-1")?.children.map(\.spiIn) != before.0?.children.map(\.spiIn))
        #expect(world.status("vpn-1")?.children.count == 1 && world.state("vpn-1") == .online)
        #expect(world.status("vpn-2")?.children == before.1?.children)
        #expect(world.count("ike-rekeyed") == 1 && world.count("child-rekeyed") == 1)
        #expect(world.supervisor.tunnels(of: "vpn") == ["vpn-1", "vpn-2"])
        #expect(world.supervisor.tunnels(of: "nobody").isEmpty)
    }

    @Test func failedRekeyIsSaidAndForgottenWhenTheNextSucceeds() {
        var world = online()
        let id = world.connections.first { $0.value.terms.name == "vpn-1" }!.key
        let failure = Failure(.invalidKeyExchange, "The peer wants another PFS group.")
        world.receive(.ike(Event(.failed(failure), connection: id)))
        #expect(world.state("vpn-1") == .online && world.status("vpn-1")?.lastError?.contains("PFS") == true)
        world.receive(.rekey("vpn-1", .child))
        world.run(5)
        #expect(world.status("vpn-1")?.lastError == nil)
    }

    @Test func shutDownDeletesEverythingAndEndsInTime() {
        var world = online()
        world.receive(.shutDown)
        #expect(!world.isFinished && world.routes.allSatisfy { $0.isUnreachable })
        world.run(1)
        #expect(world.isFinished && world.links.isEmpty && world.routes.isEmpty && world.installed.isEmpty)
        #expect(world.supervisor.deadline == nil)

        var deaf = online()
        deaf.peers[first]?.isAlive = false
        deaf.receive(.shutDown)
        deaf.run(2)
        #expect(!deaf.isFinished)
        deaf.run(2)
        #expect(deaf.isFinished && deaf.links.isEmpty)

        var idle = SupervisorWorld()
        idle.receive(.shutDown)
        #expect(idle.isFinished)
    }

    @Test func childOfATunnelThatIsGoneIsRefused() {
        var world = online()
        let child = world.childSuites.values.first!
        world.want([])
        for effect in world.supervisor.receive(.installChild(child, outbound: true), now: world.now) {
            guard case .ike(.childFailed(let spi, _)) = effect else { continue }
            #expect(spi == child.spiIn)
            return
        }
        Issue.record("nobody answered the engine")
    }

    @Test func explanationSaysWhatComesNext() {
        var world = SupervisorWorld()
        world.peers[first] = .init(isAlive: false)
        world.want([awsLike()])
        world.run(31)
        let lines = world.supervisor.explain(tunnel: "vpn-1", now: world.now)
        #expect(lines.contains { $0.contains("No answer") } && lines.contains { $0.hasPrefix("In ") })
        #expect(world.supervisor.explain(tunnel: "vpn-2").contains { $0.contains("carries the traffic") })
        #expect(world.supervisor.explain(tunnel: "nobody").isEmpty)
    }
}
