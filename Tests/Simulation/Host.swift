import Base
import IKE
import Tunnels

/// One host: the engine, the supervisor and what they have made of the machine.
final class Host {
    let index: Int
    let name: String
    /// Its address; the gateway's changes in some lives.
    var address: IPAddress
    /// The one that its engine was last told.
    var knownAddress: IPAddress
    /// Connections as they were configured, whose own address the routes choose.
    var openConnections: [ConnectionID: ConnectionConfiguration] = [:]
    var engine: Engine
    var supervisor: Supervisor
    /// How far the host's clock is ahead of the world's.
    var clockLead = Tick.Span.zero
    var isUp = true
    /// How often it has been started: what is planned for an earlier life does not touch a later one.
    var starts = 0
    /// When it was started last, by the world's clock.
    var startedAt: Tick
    var frozenUntil: Tick?
    /// What came in while it was frozen.
    var socketBuffer: [Packet] = []

    var dataPath = DataPath()
    var links: [String: TunnelLink] = [:]
    /// By connector.
    var routesOf: [String: [TunnelRoute]] = [:]
    var routes: [TunnelRoute] { routesOf.sorted { $0.key < $1.key }.flatMap(\.value) }
    var ledger = Ledger()
    /// Tunnels that have been up in this life.
    var everUp: Set<Int> = []
    /// SAs by which a peer has just called for the first time in its life: nothing of its earlier lives may stay.
    var firstCalls: [(spi: UInt64, peerStartedAt: Tick)] = []
    /// Children that the data path lost with their interface, which the engine does not know yet.
    var orphans: Set<UInt32> = []
    var refusesNextInstall = false
    var isStopping = false
    var isFinished = false
    /// When the data path's counters are read next, by the host's clock.
    var trafficPollAt = Tick.zero
    /// When it wants to be woken next, by the world's clock, and why.
    var nextWake: Deadline?
    /// Wakings in a row without time passing.
    var wakings = (tick: Tick.zero, count: 0)
    /// Since when a tunnel that is said to be up has had nothing to send on.
    var emptySince: [Int: Tick] = [:]
    var outstandingProbes: [String: (number: UInt64, sentAt: Tick)] = [:]

    init(_ index: Int, _ address: IPAddress, seed: [UInt8], now: Tick) {
        self.index = index
        name = Scenario.names[index]
        self.address = address
        knownAddress = address
        startedAt = now
        engine = Engine(configuration: EngineConfiguration(), seed: seed + [0], now: now)
        supervisor = Supervisor(seed: seed + [1], now: now)
    }

    /// Forgets everything, as a crash does.
    ///
    /// - Parameters:
    ///   - now: by the host's clock.
    ///   - startedAt: the same moment by the world's.
    func start(seed: [UInt8], now: Tick, startedAt: Tick) {
        self.startedAt = startedAt
        engine = Engine(configuration: EngineConfiguration(), seed: seed + [0], now: now)
        supervisor = Supervisor(seed: seed + [1], now: now)
        knownAddress = address
        openConnections = [:]
        starts += 1
        isUp = true
        frozenUntil = nil
        socketBuffer = []
        dataPath = DataPath()
        links = [:]
        routesOf = [:]
        ledger = Ledger()
        everUp = []
        firstCalls = []
        orphans = []
        refusesNextInstall = false
        isStopping = false
        isFinished = false
        trafficPollAt = now
        outstandingProbes = [:]
        emptySince = [:]
    }

    func crash() {
        isUp = false
        starts += 1
        nextWake = nil
        socketBuffer = []
        frozenUntil = nil
    }

    /// The tunnel's number; nil for an interface that is not there.
    func tunnel(of interface: String) -> Int? {
        guard let name = links[interface]?.tunnel else { return nil }
        return (0...1).first { Scenario.tunnelName($0) == name }
    }

    func interface(of tunnel: Int) -> String? {
        links.values.first { $0.tunnel == Scenario.tunnelName(tunnel) }?.interface
    }

    func status(_ tunnel: Int, now: Tick) -> TunnelStatus? {
        supervisor.status(
            of: Scenario.tunnelName(tunnel), now: now, wall: { WallTime(nanoseconds: $0.nanoseconds) })
    }
}

/// What the engine has begun and not yet ended, by its own words; see ``IKE/Engine``.
struct Ledger {
    /// An IKE SA that is up, or being deleted.
    struct SA {
        var connection: ConnectionID?
        /// When it was established or rekeyed, by the world's clock.
        var since: Tick
    }

    private(set) var attempts: Set<UInt64> = []
    private(set) var sas: [UInt64: SA] = [:]
    private(set) var children: Set<UInt32> = []

    var isEmpty: Bool { attempts.isEmpty && sas.isEmpty && children.isEmpty }

    /// Books an event; what is wrong with it, if anything is.
    mutating func note(_ event: Event, now: Tick) -> String? {
        guard let spi = event.ikeSA?.spi else { return nil }
        switch event.kind {
        case .connecting: attempts.insert(spi)
        case .ikeEstablished:
            attempts.remove(spi)
            if !add(spi, event, now) { return "the engine says twice that an IKE SA is established" }
        case .ikeRekeyed(_, let previous):
            if sas.removeValue(forKey: previous.spi) == nil {
                return "the engine has rekeyed an IKE SA that it never established"
            }
            if !add(spi, event, now) { return "the engine has rekeyed to an IKE SA that was established before" }
        case .ikeClosed:
            if sas.removeValue(forKey: spi) == nil { return "the engine closes an IKE SA that is not established" }
        case .failed: attempts.remove(spi)
        case .childEstablished(let spiIn), .childRekeyed(let spiIn, _):
            if !children.contains(spiIn) { return "the engine speaks of a child that is not installed" }
        case .childClosed, .answered, .retransmitted, .peerMoved, .moved, .notice: break
        }
        return nil
    }

    private mutating func add(_ spi: UInt64, _ event: Event, _ now: Tick) -> Bool {
        sas.updateValue(SA(connection: event.connection, since: now), forKey: spi) == nil
    }

    mutating func installed(_ spiIn: UInt32) -> Bool { children.insert(spiIn).inserted }

    mutating func removed(_ spiIn: UInt32) -> Bool { children.remove(spiIn) != nil }

    var summary: String { "\(attempts.count) attempts, \(sas.count) IKE SAs, \(children.count) children" }
}
