import Base
import Cryptography
import IKE
import Testing
@testable import Tunnels

/// A gateway and two endpoints, each with a real engine and a supervisor, on a network that loses and delays.
struct EngineWorld {
    /// One host: engine, supervisor and what they have made of it.
    struct Site {
        let address: IPAddress
        var engine: Engine
        var supervisor: Supervisor
        var isAlive = true
        var links: [String: TunnelLink] = [:]
        /// Children in the data path, by inbound SPI.
        var children: [UInt32: ChildSA] = [:]
        var interfaces: [UInt32: String] = [:]
        /// By connector.
        var routesOf: [String: [TunnelRoute]] = [:]
        var routes: [TunnelRoute] { routesOf.sorted { $0.key < $1.key }.flatMap(\.value) }
        var events: [(kind: String, tunnel: String?, message: String)] = []
        var isFinished = false

        init(_ address: IPAddress, seed: UInt8, now: Tick) {
            self.address = address
            engine = Engine(configuration: EngineConfiguration(), seed: [seed], now: now)
            supervisor = Supervisor(seed: [seed, 1], now: now)
        }
    }

    enum Work {
        case engine(IKE.Effect)
        case supervisor(SupervisorEffect)
    }

    enum Arrival {
        case datagram([UInt8], Path)
        case probe(tunnel: String, roundTrip: Tick.Span)
    }

    var now = Tick.zero
    var sites: [Site] = []
    var wanted: [[Connector]] = []
    var inFlight: [(tick: Tick, order: Int, site: Int, what: Arrival)] = []
    private var order = 0
    var random: SeededRandom
    var lossPercent: UInt64 = 0
    /// The instants at which no route of the gateway's led into a tunnel.
    var isDark = true

    static let addresses = ["198.51.100.1", "203.0.113.1", "203.0.113.2"].map { IPAddress($0)! }

    /// The gateway is site 0; sites 1 and 2 answer for `vpn-1` and `vpn-2`.
    init(seed: UInt8, lossPercent: UInt64 = 0, change: (inout Connector) -> Void = { _ in }) {
        random = SeededRandom(seed: [seed, 7])
        self.lossPercent = lossPercent
        var connector = awsLike()
        for index in connector.tunnels.indices {
            connector.tunnels[index].phase1.encryption = [.aes128gcm16]
            connector.tunnels[index].phase1.integrity = [.sha256]
            connector.tunnels[index].phase1.dhGroups = [.curve25519]
            connector.tunnels[index].phase2.encryption = [.aes128gcm16]
            connector.tunnels[index].phase2.integrity = []
            connector.tunnels[index].phase2.pfsGroups = [.curve25519]
        }
        change(&connector)
        wanted = [[connector]] + connector.tunnels.map { [Self.mirror(connector, $0)] }
        for (index, address) in Self.addresses.enumerated() {
            sites.append(Site(address, seed: seed &* 3 &+ UInt8(index), now: now))
            receive(index, .connectors(wanted[index]))
        }
    }

    /// The other end's view of a tunnel: it waits to be called.
    private static func mirror(_ connector: Connector, _ tunnel: Tunnel) -> Connector {
        var mirrored = connector
        mirrored.initiation = .respond
        swap(&mirrored.localNetworks, &mirrored.remoteNetworks)
        var other = tunnel
        other.phase1.localAddress = tunnel.phase1.remoteAddress
        other.phase1.remoteAddress = tunnel.phase1.localAddress
        swap(&other.phase2.localSelectors, &other.phase2.remoteSelectors)
        for index in other.furtherPhase2.indices {
            let phase2 = tunnel.furtherPhase2[index]
            other.furtherPhase2[index].localSelectors = phase2.remoteSelectors
            other.furtherPhase2[index].remoteSelectors = phase2.localSelectors
        }
        if let inside = tunnel.inside {
            other.inside?.localAddress = inside.remoteAddress
            other.inside?.remoteAddress = inside.localAddress
        }
        mirrored.tunnels = [other]
        return mirrored
    }

    // MARK: - Time

    mutating func run(_ seconds: Int) {
        let end = now + .seconds(seconds)
        var turns = 0
        while turns < 500_000 {
            turns += 1
            let arrival = inFlight.indices.min { a, b in
                inFlight[a].tick == inFlight[b].tick
                    ? inFlight[a].order < inFlight[b].order : inFlight[a].tick < inFlight[b].tick
            }
            var next: (tick: Tick, site: Int?)?
            if let arrival { next = (inFlight[arrival].tick, nil) }
            for index in sites.indices where sites[index].isAlive {
                let deadline = Deadline.earlier(sites[index].engine.deadline, sites[index].supervisor.deadline)
                if let deadline, deadline.tick < next?.tick ?? end + .seconds(1) { next = (deadline.tick, index) }
            }
            guard let next, next.tick <= end else {
                now = end
                return
            }
            now = max(now, next.tick)
            if let site = next.site {
                wake(site)
            } else if let arrival {
                let (_, _, site, what) = inFlight.remove(at: arrival)
                guard sites[site].isAlive else { continue }
                switch what {
                case .datagram(let bytes, let path):
                    carryOut(site, sites[site].engine.receive(.datagram(bytes, path), now: now))
                case .probe(let tunnel, let trip): receive(site, .probeAnswered(tunnel: tunnel, roundTrip: trip))
                }
            }
        }
        Issue.record("time stands still at \(now.nanoseconds)")
    }

    /// Runs until it holds; the seconds that took, or nil when `limit` was not enough.
    mutating func wait(_ limit: Int, until condition: (EngineWorld) -> Bool) -> Int? {
        for second in 0..<limit {
            if condition(self) { return second }
            run(1)
        }
        return condition(self) ? limit : nil
    }

    private mutating func wake(_ site: Int) {
        if let deadline = sites[site].engine.deadline, deadline.tick <= now {
            carryOut(site, sites[site].engine.wake(now: now))
        }
        if let deadline = sites[site].supervisor.deadline, deadline.tick <= now {
            carryOut(site, sites[site].supervisor.wake(now: now))
        }
    }

    mutating func receive(_ site: Int, _ input: SupervisorInput) {
        carryOut(site, sites[site].supervisor.receive(input, now: now))
    }

    /// The host stops in mid-sentence and forgets everything.
    mutating func kill(_ site: Int) { sites[site].isAlive = false }

    mutating func revive(_ site: Int, seed: UInt8) {
        sites[site] = Site(sites[site].address, seed: seed, now: now)
        receive(site, .connectors(wanted[site]))
    }

    // MARK: - Effects

    private mutating func carryOut(_ site: Int, _ effects: [IKE.Effect]) {
        carryOut(site, effects.map { Work.engine($0) })
    }

    private mutating func carryOut(_ site: Int, _ effects: [SupervisorEffect]) {
        carryOut(site, effects.map { Work.supervisor($0) })
    }

    private mutating func carryOut(_ site: Int, _ effects: [Work]) {
        var work = effects
        var next = 0
        func add(_ effects: [IKE.Effect]) { work += effects.map { .engine($0) } }
        func add(_ effects: [SupervisorEffect]) { work += effects.map { .supervisor($0) } }
        while next < work.count {
            let item = work[next]
            next += 1
            switch item {
            case .engine(.send(let bytes, let path)): send(site, bytes, path)
            case .engine(.installChild(let child, let outbound)):
                add(sites[site].supervisor.receive(.installChild(child, outbound: outbound), now: now))
            case .engine(.removeChild(let spiIn)):
                sites[site].children[spiIn] = nil
                sites[site].interfaces[spiIn] = nil
                add(sites[site].supervisor.receive(.childRemoved(spiIn: spiIn), now: now))
            case .engine(.event(let event)): add(sites[site].supervisor.receive(.ike(event), now: now))
            case .engine(.useOutbound), .engine(.moveChild): break
            case .supervisor(.ike(let input)): add(sites[site].engine.receive(input, now: now))
            case .supervisor(.openLink(let link)):
                sites[site].links[link.interface] = link
                add(sites[site].supervisor.receive(.linkOpened(interface: link.interface), now: now))
            case .supervisor(.closeLink(let interface)):
                sites[site].links[interface] = nil
                for (spi, name) in sites[site].interfaces where name == interface {
                    sites[site].children[spi] = nil
                    sites[site].interfaces[spi] = nil
                }
            case .supervisor(.installChild(let child, let interface, _)):
                sites[site].children[child.spiIn] = child
                sites[site].interfaces[child.spiIn] = interface
                add(sites[site].engine.receive(.childInstalled(spiIn: child.spiIn), now: now))
            case .supervisor(.setRoutes(let changes)):
                sites[site].routesOf.merge(changes) { _, new in new }
            case .supervisor(.probe(let tunnel, let interface, _, _)): probe(site, tunnel, interface)
            case .supervisor(.event(_, let kind, _, let tunnel, let message)):
                sites[site].events.append((kind, tunnel, message))
            case .supervisor(.finished): sites[site].isFinished = true
            }
        }
        check(site)
    }

    private mutating func fly(_ site: Int, _ span: Tick.Span, _ what: Arrival) {
        order += 1
        inFlight.append((now + span, order, site, what))
    }

    private mutating func send(_ from: Int, _ bytes: [UInt8], _ path: Path) {
        guard let to = sites.firstIndex(where: { $0.address == path.remote.address }) else { return }
        let source = path.local.address.isUnspecified ? sites[from].address : path.local.address
        let arrived = Path(
            local: path.remote, remote: Endpoint(source, path.local.port), isNATPort: path.isNATPort)
        guard random.uniform(below: 100) >= lossPercent else { return }
        fly(to, .milliseconds(10 + Int(random.uniform(below: 20))), .datagram(bytes, arrived))
        if lossPercent > 0, random.uniform(below: 100) < 5 { fly(to, .milliseconds(50), .datagram(bytes, arrived)) }
    }

    /// An echo crosses if both data paths hold the same pair of SAs.
    private mutating func probe(_ from: Int, _ tunnel: String, _ interface: String) {
        guard random.uniform(below: 100) >= lossPercent else { return }
        let mine = sites[from].children.values.filter { sites[from].interfaces[$0.spiIn] == interface }
        let crosses = sites.indices.contains { other in
            other != from && sites[other].isAlive
                && mine.contains { child in
                    sites[other].children[child.spiOut].map {
                        $0.spiOut == child.spiIn && $0.encryptionKeyIn == child.encryptionKeyOut
                    } ?? false
                }
        }
        if crosses { fly(from, .milliseconds(30), .probe(tunnel: tunnel, roundTrip: .milliseconds(30))) }
    }

    private mutating func check(_ site: Int) {
        let host = sites[site]
        isDark = !sites[0].routes.contains { !$0.isUnreachable }
        let carrying = Set(host.interfaces.values)
        for route in host.routes where !route.isUnreachable && !carrying.contains(route.interface) {
            Issue.record("at \(now.nanoseconds): \(route) leads nowhere")
        }
        for tunnel in host.supervisor.keepers.values where tunnel.isUp {
            for spiIn in tunnel.children.spis where host.children[spiIn] == nil {
                Issue.record("at \(now.nanoseconds): \(tunnel.name) counts on a child that is gone")
            }
        }
    }

    // MARK: - Reading

    func state(_ tunnel: String, site: Int = 0) -> TunnelStatus.State? { status(tunnel, site: site)?.state }

    func status(_ tunnel: String, site: Int = 0) -> TunnelStatus? {
        sites[site].supervisor.status(of: tunnel, now: now, wall: { WallTime(nanoseconds: $0.nanoseconds) })
    }

    var active: [String] {
        sites[0].supervisor.status(now: now, wall: { WallTime(nanoseconds: $0.nanoseconds) }).filter(\.isActive)
            .map(\.tunnel)
    }

    var areBothOnline: Bool { state("vpn-1") == .online && state("vpn-2") == .online }
    func count(_ kind: String) -> Int { sites[0].events.count { $0.kind == kind } }
}

@Suite struct SupervisorWithEngineTests {
    @Test(arguments: [0, 10, 25] as [UInt64])
    func bothTunnelsComeOnlineWithARealPeer(_ loss: UInt64) throws {
        for seed in 1...5 as ClosedRange<UInt8> {
            var world = EngineWorld(seed: seed, lossPercent: loss)
            #expect(world.wait(120) { $0.areBothOnline } != nil, "seed \(seed)")
            #expect(world.state("vpn-1", site: 1) == .online || loss > 0)
            if loss == 0 {
                world.run(10)
                #expect(world.active == ["vpn-1"] && world.status("vpn-1")?.probe?.lastAnswer != nil)
                #expect(world.sites[0].children.count == 2)
            }
        }
    }

    @Test func deadEndpointIsLeftWithinTheDPDTimeAndTakenBack() throws {
        for seed in 1...5 as ClosedRange<UInt8> {
            var world = EngineWorld(seed: seed)
            world.run(120)
            #expect(world.active == ["vpn-1"])
            world.kill(1)
            let moved = try #require(world.wait(40) { $0.active == ["vpn-2"] }, "seed \(seed)")
            #expect(moved <= 31)
            #expect(world.wait(35) { $0.state("vpn-1") != .online && $0.state("vpn-1") != .degraded } != nil)
            #expect(!world.isDark)
            world.run(200)
            #expect(world.status("vpn-1")?.lastError?.contains("203.0.113.1") == true)
            world.revive(1, seed: seed + 100)
            let back = try #require(world.wait(110) { $0.state("vpn-1") == .online }, "seed \(seed)")
            #expect(back <= 106)
            #expect(world.wait(40) { $0.active == ["vpn-1"] } != nil)
            #expect(world.count("failover") == 1 && world.count("failback") == 1)
        }
    }

    @Test func endpointThatRestartsIsFoundAgain() throws {
        var world = EngineWorld(seed: 4)
        world.run(100)
        world.kill(1)
        world.run(1)
        world.revive(1, seed: 77)
        // It has forgotten us and does not call: our DPD finds out.
        #expect(world.wait(60) { $0.state("vpn-1", site: 1) == .online && $0.areBothOnline } != nil)
        #expect(world.sites[1].children.count == 1)
    }

    @Test func endpointThatDeletesIsCalledAtOnce() throws {
        var world = EngineWorld(seed: 5)
        world.run(100)
        let before = world.status("vpn-1")?.ike
        world.receive(1, .restart("vpn-1"))
        #expect(world.wait(3) { $0.areBothOnline && $0.status("vpn-1")?.ike != before } != nil)
        #expect(world.count("failover") == 1)
    }

    @Test func rekeysFromBothSidesNeverDarkenTheTunnels() throws {
        for seed in 1...3 as ClosedRange<UInt8> {
            var world = EngineWorld(seed: seed)
            world.run(20)
            let offline = world.count("tunnel-offline")
            for round in 0..<30 {
                world.receive(round % 2, .rekey("vpn-1", .both))
                if round % 3 == 0 { world.receive((round + 1) % 2, .rekey("vpn-1", .child)) }
                world.run(Int(world.random.uniform(below: 4)))
            }
            world.run(60)
            #expect(world.areBothOnline && world.count("tunnel-offline") == offline, "seed \(seed)")
            #expect(world.status("vpn-1")?.children.count == 1)
            #expect(world.sites[1].children.count == 1 && world.sites[0].children.count == 2)
            #expect(world.count("child-rekeyed") >= 12 && world.count("ike-rekeyed") >= 10)
        }
    }

    /// A day of usual lifetimes: rekeys come and go, with a little loss, and the tunnels stay.
    @Test func aDayWithLossKeepsTheTunnelsOnline() throws {
        var world = EngineWorld(seed: 8, lossPercent: 5)
        world.run(86_400)
        #expect(world.areBothOnline)
        #expect(world.count("child-rekeyed") >= 2 * 25 && world.count("ike-rekeyed") >= 2 * 3)
        #expect(world.count("tunnel-offline") == 0)
        #expect(world.sites[0].children.count == 2)
    }

    @Test func wrongKeyIsNamedAndMended() throws {
        var world = EngineWorld(seed: 9)
        world.run(10)
        var changed = world.wanted[0]
        changed[0].tunnels[1].phase1.authentication = .psk(Secret(Array("another".utf8)))
        world.receive(0, .connectors(changed))
        let isNamed = world.wait(60) {
            $0.status("vpn-2")?.lastError?.lowercased().contains("pre-shared key") == true
        }
        #expect(isNamed != nil)
        #expect(world.state("vpn-2") != .online && world.active == ["vpn-1"])
        world.receive(0, .connectors(world.wanted[0]))
        #expect(world.wait(80) { $0.areBothOnline } != nil)
        #expect(world.status("vpn-2")?.lastError == nil)
    }

    @Test func wrongNetworksAreNamedAndMended() throws {
        var world = EngineWorld(seed: 10) { $0.tunnels[1].phase2.remoteSelectors = [IPPrefix("10.0.0.0/24")!] }
        var changed = world.wanted[0]
        changed[0].tunnels[1].phase2.remoteSelectors = [IPPrefix("10.99.0.0/24")!]
        world.receive(0, .connectors(changed))
        #expect(world.wait(60) { $0.status("vpn-2")?.lastError != nil } != nil)
        world.run(60)
        #expect(world.state("vpn-2") != .online)
        world.receive(0, .connectors(world.wanted[0]))
        #expect(world.wait(80) { $0.areBothOnline } != nil)
    }

    @Test func stoppingTellsThePeersAndLeavesNothing() throws {
        var world = EngineWorld(seed: 11)
        world.run(20)
        world.receive(0, .shutDown)
        #expect(world.wait(4) { $0.sites[0].isFinished } != nil)
        #expect(world.sites[0].links.isEmpty && world.sites[0].children.isEmpty && world.sites[0].routes.isEmpty)
        world.run(1)
        #expect(world.sites[1].children.isEmpty && world.state("vpn-1", site: 1) == .offline)
    }

    @Test func bothSidesCallingEachOtherEndsWithOnePair() throws {
        for seed in 1...5 as ClosedRange<UInt8> {
            var world = EngineWorld(seed: seed)
            var calling = world.wanted[1]
            calling[0].initiation = .initiate
            world.wanted[1] = calling
            world.receive(1, .connectors(calling))
            world.run(60)
            #expect(world.areBothOnline && world.state("vpn-1", site: 1) == .online, "seed \(seed)")
            #expect(world.sites[1].children.count == 1 && world.sites[0].children.count == 2, "seed \(seed)")
            #expect(world.sites[1].engine.ikeSACount == 1, "seed \(seed)")
        }
    }

    /// Partitions, restarts, deletes and rekeys at random under loss; then the network heals.
    @Test(arguments: 1...12 as ClosedRange<UInt8>)
    func afterTheNetworkHealsTheTunnelsAreOnline(_ seed: UInt8) throws {
        var world = EngineWorld(seed: seed, lossPercent: 10)
        for _ in 0..<40 {
            let site = 1 + Int(world.random.uniform(below: 2))
            let tunnel = "vpn-\(site)"
            switch world.random.uniform(below: 7) {
            case 0: world.lossPercent = 100
            case 1, 2: world.lossPercent = 10
            case 3: world.kill(site)
            case 4: world.revive(site, seed: UInt8(truncatingIfNeeded: world.random.nextUInt32()))
            case 5: world.receive(Int(world.random.uniform(below: 2)) * site, .restart(tunnel))
            default: world.receive(Int(world.random.uniform(below: 2)) * site, .rekey(tunnel, .both))
            }
            world.run(Int(world.random.uniform(below: 40)))
        }
        world.lossPercent = 0
        for site in 1...2 where !world.sites[site].isAlive { world.revive(site, seed: seed &+ 50) }
        #expect(world.wait(150) { $0.areBothOnline } != nil)
        world.run(1300)
        #expect(world.active == ["vpn-1"] && world.areBothOnline)
        #expect(world.sites[0].children.count == 2)
        #expect(world.sites[1].children.count == 1 && world.sites[2].children.count == 1)
        #expect(world.sites[0].engine.ikeSACount == 2)
    }
}
