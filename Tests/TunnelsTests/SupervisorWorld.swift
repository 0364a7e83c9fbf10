import Base
import Cryptography
import IKE
import Testing
@testable import Tunnels

/// A gateway in virtual time around a supervisor: a scripted IKE side, a data path, routes and probes.
struct SupervisorWorld {
    /// How the other end of a tunnel behaves, by its outside address.
    struct Peer {
        var isAlive = true
        /// Answers the handshake with this instead of an SA.
        var refusal: Failure?
        /// Answers echo requests at its inside address.
        var answersProbes = true
    }

    struct SA {
        var id: UInt64
        var child: UInt32?
    }

    /// What the IKE engine knows of a connection.
    struct Connection {
        var terms: ConnectionConfiguration
        var sa: SA?
        /// Number of the attempt under way.
        var attempt: Int?
    }

    enum Happening {
        case input(SupervisorInput)
        case attemptEnds(ConnectionID, Int)
        case checkLiveness(ConnectionID, UInt64, silentFor: Int)
        case closed(ConnectionID, UInt64)
        case script(String, @Sendable (inout SupervisorWorld) -> Void)
    }

    var now = Tick.zero
    var supervisor: Supervisor
    var peers: [IPAddress: Peer] = [:]
    var connections: [ConnectionID: Connection] = [:]
    var agenda: [(tick: Tick, order: Int, what: Happening)] = []
    private var nextOrder = 0
    private var nextNumber: UInt64 = 1

    // What the effects have made of the host.
    var links: [String: TunnelLink] = [:]
    var brokenLinks: Set<String> = []
    var installed: [UInt32: String] = [:]
    var childSuites: [UInt32: ChildSA] = [:]
    /// By connector.
    private var routesOf: [String: [TunnelRoute]] = [:]
    var routes: [TunnelRoute] { routesOf.sorted { $0.key < $1.key }.flatMap(\.value) }
    var routeChanges = 0
    var probes = 0
    var initiations: [(tick: Tick, tunnel: String)] = []
    var touchedConnections: Set<ConnectionID> = []
    var events: [(tick: Tick, kind: String, tunnel: String?, message: String)] = []
    var isFinished = false
    var wanted: [Connector] = []
    var childSuite = ESPSuite(encryption: .aes256gcm16, integrity: nil, group: nil, esn: false)
    var isNATPort = false
    /// The engine adds a child to an IKE SA that has lost its own.
    var addsChildren = true
    /// Checks every invariant after every turn; off where thousands of tunnels make that slow.
    var isChecking = true

    init(_ configuration: SupervisorConfiguration = SupervisorConfiguration(), seed: UInt8 = 1) {
        supervisor = Supervisor(configuration: configuration, seed: [seed], now: .zero)
    }

    // MARK: - Time

    mutating func at(_ tick: Tick, _ what: Happening) {
        nextOrder += 1
        agenda.append((tick, nextOrder, what))
    }

    mutating func after(_ seconds: Int, _ label: String, _ body: @escaping @Sendable (inout SupervisorWorld) -> Void) {
        at(now + .seconds(seconds), .script(label, body))
    }

    private func earliest() -> Int? {
        agenda.indices.min {
            (agenda[$0].tick.nanoseconds, agenda[$0].order) < (agenda[$1].tick.nanoseconds, agenda[$1].order)
        }
    }

    /// Lets everything happen until `seconds` have passed.
    mutating func run(_ seconds: Int) { run(until: now + .seconds(seconds)) }

    mutating func run(until end: Tick) {
        var turns = 0
        while true {
            turns += 1
            guard turns < 1_000_000 else {
                Issue.record("time stands still at \(now): \(supervisor.deadline?.description ?? "no deadline")")
                return
            }
            let next = earliest()
            let deadline = supervisor.deadline
            if let next, agenda[next].tick <= end, deadline.map({ agenda[next].tick <= $0.tick }) ?? true {
                let (tick, _, what) = agenda.remove(at: next)
                now = max(now, tick)
                happen(what)
            } else if let deadline, deadline.tick <= end {
                hold(!deadline.reason.isEmpty, "a deadline without a reason")
                now = max(now, deadline.tick)
                carryOut(supervisor.wake(now: now))
                if let again = supervisor.deadline { hold(again.tick > now, "\(again) was not served") }
            } else {
                break
            }
        }
        now = end
    }

    mutating func receive(_ input: SupervisorInput) { carryOut(supervisor.receive(input, now: now)) }

    mutating func want(_ connectors: [Connector]) {
        wanted = connectors
        for tunnel in connectors.flatMap(\.tunnels) {
            if let address = tunnel.phase1.remoteAddress, peers[address] == nil { peers[address] = Peer() }
        }
        receive(.connectors(connectors))
    }

    // MARK: - Effects

    private mutating func carryOut(_ effects: [SupervisorEffect]) {
        var waiting = effects[...]
        while let effect = waiting.popFirst() {
            switch effect {
            case .ike(let input): engine(input)
            case .openLink(let link):
                let isOpen = !brokenLinks.contains(link.interface)
                if isOpen { links[link.interface] = link }
                at(
                    now,
                    .input(
                        isOpen
                            ? .linkOpened(interface: link.interface)
                            : .linkFailed(interface: link.interface, reason: "no such device")))
            case .closeLink(let interface):
                links[interface] = nil
                installed = installed.filter { $0.value != interface }
            case .installChild(let child, let interface, _):
                hold(links[interface] != nil, "a child for \(interface), which is not open")
                installed[child.spiIn] = interface
                childSuites[child.spiIn] = child
                let replaced = child.replaces
                at(
                    now,
                    .input(
                        .ike(
                            Event(
                                replaced.map { .childRekeyed(spiIn: child.spiIn, previous: $0) }
                                    ?? .childEstablished(spiIn: child.spiIn), connection: child.connection,
                                ikeSA: child.ikeSA))))
                if let replaced { removeChild(replaced, at: now + .seconds(1)) }
            case .setRoutes(let changes):
                routesOf.merge(changes) { _, new in new }
                routeChanges += 1
            case .probe(let tunnel, let interface, _, let to):
                probes += 1
                let hasChild = installed.values.contains(interface)
                guard hasChild, let peer = peer(of: tunnel), peer.isAlive, peer.answersProbes, !to.isUnspecified else {
                    break
                }
                at(now + .milliseconds(12), .input(.probeAnswered(tunnel: tunnel, roundTrip: .milliseconds(12))))
            case .event(_, let kind, _, let tunnel, let message):
                events.append((now, kind, tunnel, message))
                hold(!message.isEmpty, "an event without words")
            case .finished:
                isFinished = true
            }
        }
        if isChecking { check() }
    }

    private func peer(of tunnel: String) -> Peer? {
        wanted.flatMap(\.tunnels).first { $0.name == tunnel }?.phase1.remoteAddress.flatMap { peers[$0] }
    }

    private func peer(_ id: ConnectionID) -> Peer? { connections[id]?.terms.remoteAddress.flatMap { peers[$0] } }

    // MARK: - The IKE side

    private mutating func engine(_ input: IKE.Input) {
        switch input {
        case .configure(let id, let terms):
            touchedConnections.insert(id)
            connections[id, default: Connection(terms: terms)].terms = terms
        case .remove(let id):
            touchedConnections.insert(id)
            if let child = connections[id]?.sa?.child { removeChild(child, at: now) }
            connections[id] = nil
        case .initiate(let id):
            touchedConnections.insert(id)
            guard let connection = connections[id], connection.attempt == nil else { return }
            if let sa = connection.sa {
                if sa.child == nil, addsChildren { install(id, sa.id, replaces: nil) }
                return
            }
            initiations.append((now, connection.terms.name))
            let number = newNumber()
            connections[id]?.attempt = Int(number)
            let isQuick = peer(id)?.isAlive == true
            at(now + (isQuick ? .milliseconds(40) : connection.terms.connectTimeout), .attemptEnds(id, Int(number)))
        case .terminate(let id):
            touchedConnections.insert(id)
            connections[id]?.attempt = nil
            guard let sa = connections[id]?.sa else { return }
            connections[id]?.sa = nil
            let failure = Failure(.requested, "Closed on request.")
            if let child = sa.child {
                removeChild(child, at: now)
                event(.childClosed(spiIn: child, failure), id, sa.id)
            }
            let isQuick = peer(id)?.isAlive == true
            at(now + (isQuick ? .milliseconds(20) : .seconds(5)), .closed(id, sa.id))
        case .rekeyChild(let id):
            guard let sa = connections[id]?.sa, let child = sa.child else { return }
            install(id, sa.id, replaces: child)
        case .rekeyIKE(let id):
            guard let sa = connections[id]?.sa else { return }
            let new = newNumber()
            connections[id]?.sa?.id = new
            event(.ikeRekeyed(summary(id, new), previous: IKESAID(sa.id)), id, new)
            at(now + .seconds(2), .checkLiveness(id, new, silentFor: 0))
        case .childFailed(let spiIn, let reason):
            for (id, connection) in connections where connection.sa?.child == spiIn {
                connections[id]?.sa = nil
                event(.failed(Failure(.dataPathRefused, reason)), id, connection.sa?.id ?? 0)
                at(now + .milliseconds(20), .closed(id, connection.sa?.id ?? 0))
            }
        default: break
        }
    }

    private mutating func newNumber() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    func summary(_ id: ConnectionID, _ sa: UInt64) -> IKESummary {
        IKESummary(
            initiatorSPI: sa, responderSPI: sa + 1_000_000, isInitiator: true,
            suite: IKESuite(encryption: .aes256gcm16, integrity: nil, prf: .sha256, group: .ecp256),
            localID: .fqdn("us"), remoteID: .fqdn("them"), path: path(id), isBehindNAT: false, isPeerBehindNAT: false,
            establishedAt: now, rekeyAt: now + .seconds(28_000))
    }

    private func path(_ id: ConnectionID) -> Path {
        let remote = connections[id]?.terms.remoteAddress ?? .v4(1)
        return Path(local: Endpoint(.v4(2), 500), remote: Endpoint(remote, 500), isNATPort: isNATPort)
    }

    private mutating func install(_ id: ConnectionID, _ sa: UInt64, replaces: UInt32?) {
        let spi = UInt32(truncatingIfNeeded: newNumber())
        connections[id]?.sa?.child = spi
        let none = Secret([])
        let child = ChildSA(
            connection: id, ikeSA: IKESAID(sa), spiIn: spi, spiOut: spi + 1, suite: childSuite, encryptionKeyIn: none,
            encryptionKeyOut: none, integrityKeyIn: none, integrityKeyOut: none,
            localSelectors: connections[id]?.terms.localSelectors ?? [],
            remoteSelectors: connections[id]?.terms.remoteSelectors ?? [], path: path(id), replayWindow: 64,
            rekeyAt: now + .seconds(3000), expiresAt: now + .seconds(3600), replaces: replaces)
        at(now, .input(.installChild(child, outbound: true)))
    }

    mutating func event(_ kind: Event.Kind, _ id: ConnectionID, _ sa: UInt64) {
        at(now, .input(.ike(Event(kind, connection: id, ikeSA: IKESAID(sa)))))
    }

    private mutating func removeChild(_ spi: UInt32, at tick: Tick) {
        if tick == now { installed[spi] = nil }
        at(tick, .script("remove child") { $0.installed[spi] = nil })
        at(tick, .input(.childRemoved(spiIn: spi)))
    }

    /// The SA of a connection ends, for whatever reason.
    mutating func close(_ id: ConnectionID, _ failure: Failure) {
        guard let sa = connections[id]?.sa else { return }
        connections[id]?.sa = nil
        if let child = sa.child {
            removeChild(child, at: now)
            event(.childClosed(spiIn: child, failure), id, sa.id)
        }
        event(.ikeClosed(failure), id, sa.id)
    }

    /// The peer of a tunnel deletes its SA.
    mutating func peerDeletes(_ tunnel: String) {
        for id in connections.keys where connections[id]?.terms.name == tunnel {
            close(id, Failure(.deletedByPeer, "The peer deleted the IKE SA."))
        }
    }

    private mutating func happen(_ what: Happening) {
        switch what {
        case .input(let input):
            // The data path's answer to a link that was taken away since is no news.
            if case .linkOpened(let name) = input, links[name] == nil { return }
            receive(input)
        case .script(_, let body):
            body(&self)
            if isChecking { check() }
        case .closed(let id, let sa):
            event(.ikeClosed(Failure(.requested, "Closed on request.")), id, sa)
        case .attemptEnds(let id, let number):
            guard connections[id]?.attempt == number, let peer = peer(id) else { return }
            connections[id]?.attempt = nil
            let sa = newNumber()
            if !peer.isAlive {
                event(.failed(Failure(.silence, "No answer; is the address right and UDP 500 open?")), id, sa)
            } else if let refusal = peer.refusal {
                event(.failed(refusal), id, sa)
            } else {
                connections[id]?.sa = SA(id: sa)
                event(.ikeEstablished(summary(id, sa)), id, sa)
                install(id, sa, replaces: nil)
                at(now + .seconds(2), .checkLiveness(id, sa, silentFor: 0))
            }
        case .checkLiveness(let id, let sa, let silent):
            guard let connection = connections[id], connection.sa?.id == sa else { return }
            if peer(id)?.isAlive == true {
                event(.answered(roundTrip: .milliseconds(11), retransmits: silent), id, sa)
                at(now + .seconds(4), .checkLiveness(id, sa, silentFor: 0))
            } else if silent >= 7 {
                close(id, Failure(.silence, "The peer has not answered for 28 seconds."))
            } else {
                if silent > 0 { event(.retransmitted(exchange: "INFORMATIONAL", attempt: silent), id, sa) }
                at(now + .seconds(4), .checkLiveness(id, sa, silentFor: silent + 1))
            }
        }
    }

    // MARK: - What must always hold

    /// As `#expect`, and cheap enough for every turn.
    private func hold(_ condition: Bool, _ words: @autoclosure () -> String) {
        if !condition { Issue.record("at \(now.nanoseconds): \(words())") }
    }

    func check() {
        guard !isFinished else { return hold(routes.isEmpty && links.isEmpty, "something is left") }
        checkRoutes()
        for id in supervisor.order {
            guard let state = supervisor.connectors[id] else { continue }
            let mine = state.tunnels.compactMap { supervisor.keepers[$0] }
            let activeRoutes = routes.filter { route in
                route.metric % 1000 == 100 && mine.contains { $0.interface == route.interface }
            }
            hold(Set(activeRoutes.map(\.interface)).count <= 1, "\(id) has several active tunnels")
            if supervisor.leaving == nil {
                let isActiveUp = state.active.map { supervisor.keepers[$0]?.isUp == true } ?? true
                hold(isActiveUp, "\(id) uses a tunnel that is down")
                hold(state.active != nil || !mine.contains { $0.isUp }, "\(id) has a tunnel up and uses none")
            }
            for network in state.connector.remoteNetworks where state.connector.isEnabled {
                hold(routes.contains { $0.destination == network && $0.isUnreachable }, "\(network) may leak")
            }
            for tunnel in mine { check(tunnel, state.connector) }
        }
    }

    private func checkRoutes() {
        var keys: Set<TunnelRoute> = []
        let isSettled = !agenda.contains { $0.tick <= now }
        let carrying = Set(installed.values)
        for route in routes {
            let key = TunnelRoute(destination: route.destination, interface: "", metric: route.metric)
            hold(keys.insert(key).inserted, "\(route) is ambiguous")
            hold(route.isUnreachable || !isSettled || carrying.contains(route.interface), "\(route) leads nowhere")
        }
    }

    private func check(_ tunnel: TunnelKeeper, _ connector: Connector) {
        guard connector.isEnabled else {
            hold(tunnel.state == .disabled && tunnel.interface == nil, "\(tunnel.name) should be disabled")
            return
        }
        let saysUp = tunnel.state == .online || tunnel.state == .degraded
        hold(tunnel.isUp == saysUp, "\(tunnel.name) is not \(tunnel.state)")
        guard tunnel.initiation == .initiate, !tunnel.isUp, !tunnel.isCleared, supervisor.leaving == nil,
            tunnel.link != .opening
        else { return }
        let hasDeadline = [TunnelTimer.attempt, .link, .loss].contains {
            supervisor.desk.timers.tick(of: .tunnel(tunnel.key, $0)) != nil
        }
        hold(hasDeadline, "\(tunnel.name) is \(tunnel.state) and forgotten")
    }

    // MARK: - Reading

    func status(_ tunnel: String) -> TunnelStatus? {
        supervisor.status(of: tunnel, now: now, wall: { WallTime(nanoseconds: $0.nanoseconds) })
    }

    func state(_ tunnel: String) -> TunnelStatus.State? { status(tunnel)?.state }

    var active: [String] {
        supervisor.status(now: now, wall: { WallTime(nanoseconds: $0.nanoseconds) }).filter(\.isActive).map(\.tunnel)
    }

    func count(_ kind: String, _ tunnel: String? = nil) -> Int {
        events.count { $0.kind == kind && (tunnel == nil || $0.tunnel == tunnel) }
    }

    func messages(_ kind: String) -> [String] { events.filter { $0.kind == kind }.map(\.message) }
}

/// A connector with AWS's terms: tunnels `ID-1`, `ID-2` … to 203.0.113.x.
func awsLike(
    _ id: String = "vpn", tunnels: Int = 2, number: Int = 0, isEnabled: Bool = true,
    initiation: Connector.Initiation = .initiate, remote: String? = nil, action: Phase1.DPD.Action = .restart
) -> Connector {
    let tunnels = (0..<tunnels).map { index in
        let host = IPAddress.v4(0xCB00_7100 + UInt32(number * 4 + index + 1))
        let inside = UInt32(0xA9FE_0600) + UInt32(number * 16 + index * 4)
        return Tunnel(
            name: "\(id)-\(index + 1)",
            phase1: Phase1(
                localAddress: .v4(0xC633_6401), remoteAddress: host, authentication: .psk(Secret(Array("secret".utf8))),
                encryption: [.aes256gcm16, .aes128], integrity: [.sha384, .sha1], dhGroups: [.ecp384, .modp1024],
                lifetimeSeconds: 28_800, dpd: .init(delaySeconds: 10, timeoutSeconds: 30, action: action)),
            phase2: Phase2(
                encryption: [.aes256gcm16, .aes128], integrity: [.sha1], pfsGroups: [.ecp384], lifetimeSeconds: 3600,
                localSelectors: [.all(.ipv4)], remoteSelectors: [.all(.ipv4)]),
            inside: Tunnel.Inside(
                localAddress: IPPrefix(.v4(inside + 2), length: 30)!,
                remoteAddress: IPPrefix(.v4(inside + 1), length: 30)!, mtu: 1436, mss: 1379),
            bgp: nil)
    }
    let network = remote.flatMap { IPPrefix($0) } ?? IPPrefix(.v4(0x0A00_0000 + UInt32(number) << 8), length: 24)!
    return Connector(
        id: id, name: id, isEnabled: isEnabled, initiation: initiation, source: .init(format: "manual"),
        localNetworks: [IPPrefix("192.168.0.0/16")!], remoteNetworks: [network], tunnels: tunnels)
}
