public import Base
public import Cryptography
public import IKE

/// Turns connectors into tunnels that come online and stay online.
///
/// It opens each enabled tunnel's interface, has the IKE engine bring the tunnel up, and brings it up again whenever
/// it fails, for as long as the connector is enabled. It probes the peer's inside address, chooses which of a
/// connector's tunnels carries the traffic, and gives the connector's routes for that. While no tunnel of a
/// connector is up, an unreachable route keeps packets for its remote networks from leaving in the clear.
///
/// It does no I/O and reads no clock: inputs and time go in, effects come out, to be carried out in order.
public struct Supervisor: Sendable {
    struct ConnectorState: Sendable {
        var connector: Connector
        /// Keys of the tunnels, in order of preference.
        var tunnels: [Int] = []
        /// The tunnel that carries the traffic.
        var active: Int?
        var routes: [TunnelRoute] = []
    }

    public let configuration: SupervisorConfiguration
    var desk: Desk
    var keepers: [Int: TunnelKeeper] = [:]
    var connectors: [String: ConnectorState] = [:]
    /// The connectors' IDs as they were given.
    var order: [String] = []
    var keysByName: [String: Int] = [:]
    var keysByInterface: [String: Int] = [:]
    /// Enabled connectors that claim a remote network, the first to come first.
    var claims: [IPPrefix: [String]] = [:]
    var interfaces = InterfaceNumbers()
    /// Numbers that wait for the tunnel which had them in an earlier run.
    var keptNumbers: [String: Int] = [:]
    /// Tunnels of an earlier process that wait for their definitions, by name.
    var resumed: [String: ResumedTunnel] = [:]
    private var nextKey = 0

    private var touched: [String] = []
    private var touchedSet: Set<String> = []
    /// Connectors whose routes have changed in this turn.
    var staleRoutes: Set<String> = []
    /// Tunnels whose deletion the peer has yet to acknowledge; nil unless shutting down.
    var leaving: Set<Int>?
    private(set) var isFinished = false
    /// Tunnels looked at so far: what the cost of a turn is measured by.
    var tunnelsVisited = 0

    /// A supervisor of no tunnels. The seed makes its jitter unpredictable to others and repeatable in tests.
    public init(configuration: SupervisorConfiguration = SupervisorConfiguration(), seed: [UInt8], now: Tick) {
        self.init(configuration: configuration, random: SeededRandom(seed: seed), now: now)
    }

    public init(configuration: SupervisorConfiguration, random: SeededRandom, now: Tick) {
        self.configuration = configuration
        desk = Desk(configuration: configuration, random: random, now: now)
        for (tunnel, interface) in configuration.keptInterfaces {
            guard let number = number(of: interface), interfaces.reserve(number) else { continue }
            keptNumbers[tunnel] = number
        }
    }

    /// N of `ghN`.
    func number(of interface: String) -> Int? {
        guard interface.hasPrefix(configuration.interfacePrefix) else { return nil }
        return Int(interface.dropFirst(configuration.interfacePrefix.count)).flatMap { (0..<65_535).contains($0) ? $0 : nil }
    }

    // MARK: - Turns

    /// Takes in what has happened and says what to do about it.
    public mutating func receive(_ input: SupervisorInput, now: Tick) -> [SupervisorEffect] {
        guard !isFinished else { return refusals(of: input) }
        begin(now)
        switch input {
        case .connectors(let wanted):
            if leaving == nil { apply(wanted) }
        case .resume(let tunnels):
            resume(tunnels)
        case .ike(let event):
            receive(event)
        case .installChild(let child, let outbound):
            if leaving == nil, let key = desk.owners[child.connection] {
                visit(key) { $0.install(child, outbound: outbound, &$1) }
            } else {
                desk.effects += refusals(of: input)
            }
        case .childRemoved(let spiIn):
            if let key = desk.childOwners[spiIn] { visit(key) { $0.childRemoved(spiIn, &$1) } }
        case .linkOpened(let interface):
            if leaving == nil, let key = keysByInterface[interface] { visit(key) { $0.linkOpened(&$1) } }
        case .linkFailed(let interface, let reason):
            if leaving == nil, let key = keysByInterface[interface] { visit(key) { $0.linkFailed(reason, &$1) } }
        case .probeAnswered(let tunnel, let roundTrip):
            if let key = keysByName[tunnel] { visit(key) { $0.probeAnswered(roundTrip, &$1) } }
        case .rekey(let subject, let phase):
            if leaving == nil { for key in keys(of: subject) { rekey(key, phase) } }
        case .restart(let subject):
            if leaving == nil { for key in keys(of: subject) { visit(key) { $0.restart(&$1) } } }
        case .shutDown:
            if leaving == nil { shutDown() }
        }
        return end()
    }

    /// Does what is due.
    public mutating func wake(now: Tick) -> [SupervisorEffect] {
        guard !isFinished else { return [] }
        begin(now)
        while let timer = desk.timers.popDue(now) {
            switch timer {
            case .tunnel(let key, let timer): visit(key) { $0.rang(timer, &$1) }
            case .holdTime(let connector): touch(connector)
            case .shutDown: finish()
            }
            // Now, since what one timer changes may decide what the next one does.
            settleTouched()
        }
        return end()
    }

    /// When to call ``wake(now:)`` next, and why.
    public var deadline: Deadline? {
        guard !isFinished, let (timer, tick) = desk.timers.first else { return nil }
        return Deadline(tick, reason(of: timer))
    }

    /// The names of the tunnels that a subject means: a tunnel's name or a connector's ID.
    public func tunnels(of subject: String) -> [String] { keys(of: subject).compactMap { keepers[$0]?.name } }

    /// The tunnel that a connection of the engine stands for.
    public func tunnel(of connection: ConnectionID) -> String? {
        desk.owners[connection].flatMap { keepers[$0]?.name }
    }

    /// The tunnels that have a connection, for a successor of this process.
    public var handedOver: [(tunnel: String, interface: String, connection: ConnectionID)] {
        order.flatMap { connectors[$0]?.tunnels ?? [] }.compactMap { key in
            guard let keeper = keepers[key], let interface = keeper.interface, let connection = keeper.connection else {
                return nil
            }
            return (keeper.name, interface, connection)
        }
    }

    /// The name of the tunnel that a child belongs to, by the child's inbound SPI.
    public func tunnel(ofChild spiIn: UInt32) -> String? {
        desk.childOwners[spiIn].flatMap { keepers[$0]?.name }
    }

    private mutating func begin(_ now: Tick) {
        desk.now = now
    }

    private mutating func end() -> [SupervisorEffect] {
        settleTouched()
        var effects = desk.effects
        desk.effects = []
        if !staleRoutes.isEmpty {
            let changes = staleRoutes.map { ($0, connectors[$0]?.routes ?? []) }
            staleRoutes = []
            // First: traffic leaves a tunnel before the tunnel goes, and nothing slow comes before a failover.
            if !isFinished { effects.insert(.setRoutes(Dictionary(uniqueKeysWithValues: changes)), at: 0) }
        }
        return effects
    }

    /// Lets a tunnel handle something; whatever that changed is settled at the end of the turn.
    mutating func visit(_ key: Int, _ body: (inout TunnelKeeper, inout Desk) -> Void) {
        guard let connector = keepers[key]?.connector else { return }
        tunnelsVisited += 1
        if keepers[key]?.turn(&desk, body) == true { touch(connector) }
    }

    /// Has the connector's active tunnel and routes chosen anew before the turn ends.
    mutating func touch(_ connector: String) {
        if touchedSet.insert(connector).inserted { touched.append(connector) }
    }

    private mutating func settleTouched() {
        // Settling may touch again, when a changed definition finds its moment.
        while !touched.isEmpty {
            let batch = touched
            touched = []
            touchedSet = []
            for connector in batch { settle(connector) }
        }
    }

    func keys(of subject: String) -> [Int] {
        if let state = connectors[subject] { return state.tunnels }
        return keysByName[subject].map { [$0] } ?? []
    }

    mutating func newKey() -> Int {
        defer { nextKey += 1 }
        return nextKey
    }

    // MARK: - Inputs

    private mutating func receive(_ event: IKE.Event) {
        guard let connection = event.connection else {
            if case .notice(let text) = event.kind {
                desk.log(.warning, "notice", connector: nil, text)
            } else if case .failed(let failure) = event.kind {
                desk.log(.warning, "peer-refused", connector: nil, failure.explanation)
            }
            return
        }
        guard let key = desk.owners[connection] else { return }
        visit(key) { $0.handle(event.kind, ikeSA: event.ikeSA, &$1) }
        if leaving != nil, keepers[key]?.phase1.isEmpty == true {
            leaving?.remove(key)
            if leaving?.isEmpty == true { finish() }
        }
    }

    /// A child that nobody wants any more must not leave the engine waiting.
    private func refusals(of input: SupervisorInput) -> [SupervisorEffect] {
        guard case .installChild(let child, _) = input else { return [] }
        return [.ike(.childFailed(spiIn: child.spiIn, reason: "its tunnel has been taken down"))]
    }

    private mutating func rekey(_ key: Int, _ phase: SupervisorInput.Phase) {
        tunnelsVisited += 1
        guard let keeper = keepers[key], keeper.isUp, let connection = keeper.connection else { return }
        if phase != .child { desk.effects.append(.ike(.rekeyIKE(connection))) }
        if phase != .ike { desk.effects.append(.ike(.rekeyChild(connection))) }
    }

    // MARK: - Shutting down

    private mutating func shutDown() {
        var leaving: Set<Int> = []
        desk.timers = DeadlineQueue()
        for id in order {
            for key in connectors[id]?.tunnels ?? [] {
                guard let connection = keepers[key]?.connection else { continue }
                if keepers[key]?.phase1.isEmpty == false { leaving.insert(key) }
                desk.effects.append(.ike(.terminate(connection)))
                visit(key) { $0.leave(&$1) }
            }
        }
        self.leaving = leaving
        if leaving.isEmpty {
            finish()
        } else {
            desk.timers.set(.shutDown, desk.now + configuration.shutDownTimeout)
        }
    }

    private mutating func finish() {
        guard !isFinished else { return }
        settleTouched()
        for id in order {
            for key in connectors[id]?.tunnels ?? [] {
                if let interface = keepers[key]?.interface { desk.effects.append(.closeLink(interface: interface)) }
            }
        }
        desk.effects += [.setRoutes(Dictionary(uniqueKeysWithValues: order.map { ($0, []) })), .finished]
        desk.timers = DeadlineQueue()
        isFinished = true
    }
}

/// Hands out the lowest number that is free.
struct InterfaceNumbers: Sendable {
    private var next = 0
    /// Descending.
    private var free: [Int] = []

    mutating func take() -> Int {
        if let number = free.popLast() { return number }
        defer { next += 1 }
        return next
    }

    /// Takes one number out; false when it is taken.
    mutating func reserve(_ number: Int) -> Bool {
        if let place = free.firstIndex(of: number) {
            free.remove(at: place)
            return true
        }
        guard number >= next else { return false }
        free.insert(contentsOf: (next..<number).reversed(), at: 0)
        next = number + 1
        return true
    }

    mutating func give(_ number: Int) {
        var low = 0
        var high = free.count
        while low < high {
            let middle = (low + high) / 2
            if free[middle] > number { low = middle + 1 } else { high = middle }
        }
        free.insert(number, at: low)
    }
}
