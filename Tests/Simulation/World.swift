import Base
import IKE
import Tunnels

/// The hosts, the network between them and virtual time. Nothing sleeps; a seed gives the same life every time.
final class World {
    enum Happening {
        case arrival(host: Int, Packet)
        /// The second half of a disturbance, for a host that is still in the same life.
        case later(Transition)
        case start(host: Int, life: Int)
        case thaw(host: Int, life: Int)
        case traffic(host: Int, tunnel: Int)
    }

    enum Work {
        case engine(IKE.Effect)
        case supervisor(SupervisorEffect)
    }

    let scenario: Scenario
    var dice: Dice
    static let beginning = Tick.zero + .seconds(1000)
    var now = World.beginning
    var hosts: [Host] = []
    var wanted: [Connector]
    var weather: [Weather]
    var nat = NAT()
    /// Every address that the gateway has had on the outside, where there is no NAT.
    var gatewayAddresses: Set<IPAddress> = [Scenario.gatewayAddress]
    var agenda = Agenda<Happening>()
    var reference: Reference
    /// Datagrams that an attacker has seen arrive.
    var captured: [Packet] = []
    var story: Story
    /// What went wrong first; nothing happens after it.
    private(set) var failure: String?
    /// Pause between packets; nil stops the traffic.
    var trafficPause: Tick.Span?
    /// Set while the network is fair and nothing may fail.
    var isExam = false
    /// Set when all hosts are being stopped for good.
    var isEnding = false

    static let attacker = Endpoint(.v4(0xC000_0242), 4500)  // 192.0.2.66

    init(_ scenario: Scenario, story: Story) {
        self.scenario = scenario
        self.story = story
        dice = Dice(scenario.seed &* 2 &+ 3)
        wanted = scenario.connectors
        weather = Array(repeating: Weather(mtu: scenario.width.pathMTU), count: scenario.endpoints)
        reference = Reference(scenario)
        trafficPause = scenario.trafficPause
        hosts = (0..<scenario.hostCount).map { Host($0, scenario.address($0), seed: dice.bytes(8), now: now) }
        for host in hosts { configure(host) }
        for tunnel in scenario.tunnels {
            agenda.add(.traffic(host: 0, tunnel: tunnel), at: now + .milliseconds(7))
            agenda.add(.traffic(host: tunnel + 1, tunnel: tunnel), at: now + .milliseconds(11))
        }
    }

    /// The host reads its definition.
    func configure(_ host: Host) {
        reference.setEnabled(host.index, wanted[host.index].isEnabled)
        receive(host, .connectors([wanted[host.index]]))
    }

    /// The host's own time.
    func clock(_ host: Host) -> Tick { now + host.clockLead }

    /// The life has failed: the first reason counts.
    func fail(_ reason: @autoclosure () -> String) {
        guard failure == nil else { return }
        let reason = reason()
        failure = reason
        story.tell(now, "FAILURE: \(reason)")
    }

    // MARK: - Time

    /// Lets time pass, with everything that happens in it.
    func run(_ span: Tick.Span) {
        let end = now + span
        while failure == nil {
            var next = agenda.first
            var sleeper: Host?
            for host in hosts where host.isUp && host.frozenUntil == nil {
                if let wake = host.nextWake, wake.tick < next ?? .init(nanoseconds: .max) {
                    next = wake.tick
                    sleeper = host
                }
            }
            guard let next, next <= end else {
                now = max(now, end)
                return
            }
            now = max(now, next)
            if let sleeper { wake(sleeper) } else if let item = agenda.removeFirst() { handle(item) }
        }
    }

    private func handle(_ item: Happening) {
        switch item {
        case .arrival(let index, let packet): arrive(hosts[index], packet)
        case .later(let transition): apply(transition)
        case .start(let index, let life): if hosts[index].starts == life { start(hosts[index]) }
        case .thaw(let index, let life): if hosts[index].starts == life { thaw(hosts[index]) }
        case .traffic(let host, let tunnel):
            agenda.add(item, at: now + (trafficPause ?? .seconds(1)))
            if trafficPause != nil { sendData(hosts[host], tunnel) }
        }
    }

    func wake(_ host: Host) {
        host.wakings = host.wakings.tick == now ? (now, host.wakings.count + 1) : (now, 1)
        guard host.wakings.count < 200 else {
            return fail("\(host.name) wants to be woken without end: \(host.nextWake?.reason ?? "for no reason")")
        }
        if let deadline = host.engine.deadline, deadline.tick <= clock(host) {
            carryOut(host, host.engine.wake(now: clock(host)))
        }
        if let deadline = host.supervisor.deadline, deadline.tick <= clock(host) {
            carryOut(host, host.supervisor.wake(now: clock(host)))
        }
        if host.trafficPollAt <= clock(host) { pollTraffic(host) }
        setAlarm(host)
    }

    /// Tells the engine which children have brought something, as the daemon does every two seconds.
    private func pollTraffic(_ host: Host) {
        host.trafficPollAt = clock(host) + .seconds(2)
        for spiIn in host.dataPath.children.keys.sorted() {
            guard let child = host.dataPath.children[spiIn], let last = child.lastInbound, last != child.toldInbound
            else { continue }
            child.toldInbound = last
            carryOut(host, host.engine.receive(.inboundTraffic(spiIn: spiIn, at: last), now: clock(host)))
        }
    }

    func setAlarm(_ host: Host) {
        for deadline in [host.engine.deadline, host.supervisor.deadline] {
            if let deadline, deadline.reason.isEmpty { fail("\(host.name) has a deadline without a reason") }
        }
        var deadline = Deadline.earlier(host.engine.deadline, host.supervisor.deadline)
        if !host.dataPath.children.isEmpty {
            deadline = Deadline.earlier(deadline, Deadline(host.trafficPollAt, "read traffic counters"))
        }
        host.nextWake = deadline.map { Deadline($0.tick - host.clockLead, $0.reason) }
    }

    func receive(_ host: Host, _ input: SupervisorInput) {
        carryOut(host, host.supervisor.receive(input, now: clock(host)))
    }

    func receive(_ host: Host, _ input: IKE.Input) {
        carryOut(host, host.engine.receive(input, now: clock(host)))
    }

    /// E1 has cores to spare, which do the arithmetic of handshakes before the engine has the datagram.
    func receive(_ host: Host, datagram bytes: [UInt8], _ path: Path) {
        guard host.name == "E1", let job = host.engine.sharedSecretJob(bytes, path) else {
            return receive(host, IKE.Input.datagram(bytes, path))
        }
        carryOut(host, host.engine.receive(datagram: bytes, path, with: job.run(), now: clock(host)))
    }

    // MARK: - Effects

    private func carryOut(_ host: Host, _ effects: [IKE.Effect]) { carryOut(host, effects.map { .engine($0) }) }

    private func carryOut(_ host: Host, _ effects: [SupervisorEffect]) {
        carryOut(host, effects.map { .supervisor($0) })
    }

    private func carryOut(_ host: Host, _ effects: [Work]) {
        var work = effects
        var next = 0
        while next < work.count, failure == nil {
            let item = work[next]
            next += 1
            switch item {
            case .engine(let effect): work += carryOut(host, effect)
            case .supervisor(let effect): work += carryOut(host, effect)
            }
        }
        checkRoutes(host)
        checkFirstCalls(host)
        setAlarm(host)
    }

    private func carryOut(_ host: Host, _ effect: IKE.Effect) -> [Work] {
        switch effect {
        case .send(let bytes, let path):
            transmit(host, bytes, path, isESP: false)
        case .installChild(let child, let outbound):
            if !host.ledger.installed(child.spiIn) { fail("\(host.name) is to install a child twice") }
            let effects = host.supervisor.receive(.installChild(child, outbound: outbound), now: clock(host))
            return effects.map { .supervisor($0) }
        case .useOutbound(let spiIn):
            checkKnown(host, spiIn, "send on")
            host.dataPath.use(spiIn)
            story.tell(now, "\(host.name) sends on child \(spiIn.hexadecimal)")
        case .removeChild(let spiIn):
            checkKnown(host, spiIn, "remove")
            _ = host.ledger.removed(spiIn)
            host.orphans.remove(spiIn)
            host.dataPath.remove(spiIn)
            story.tell(now, "\(host.name) removes child \(spiIn.hexadecimal)")
            return host.supervisor.receive(.childRemoved(spiIn: spiIn), now: clock(host)).map { .supervisor($0) }
        case .moveChild(let spiIn, let path):
            checkKnown(host, spiIn, "move")
            checkPath(host, path)
            host.dataPath.children[spiIn]?.path = path
            host.dataPath.children[spiIn]?.reported = nil
        case .event(let event):
            story.tell(now, event, host)
            if let error = host.ledger.note(event, now: now) { fail("\(host.name): \(error)") }
            checkEvent(host, event)
            if case .notice = event.kind, event.connection == nil { break }
            return host.supervisor.receive(.ike(event), now: clock(host)).map { .supervisor($0) }
        }
        return []
    }

    private func carryOut(_ host: Host, _ effect: SupervisorEffect) -> [Work] {
        var result: [IKE.Effect] = []
        switch effect {
        case .ike(let input):
            if case .childFailed(let spiIn, _) = input { _ = host.ledger.removed(spiIn) }
            result = host.engine.receive(asGiven(input, to: host), now: clock(host))
        case .openLink(let link):
            host.links[link.interface] = link
            host.dataPath.open(link.interface)
            return host.supervisor.receive(.linkOpened(interface: link.interface), now: clock(host))
                .map { .supervisor($0) }
        case .closeLink(let interface):
            host.links[interface] = nil
            host.orphans.formUnion(host.dataPath.close(interface))
        case .installChild(let child, let interface, let outbound):
            result = host.engine.receive(install(host, child, interface, outbound), now: clock(host))
        case .setRoutes(let changes): host.routesOf.merge(changes) { _, new in new }
        case .probe(let tunnel, let interface, let from, let to): probe(host, tunnel, interface, from, to)
        case .event(let level, let kind, _, _, let message):
            story.tell(now, "\(host.name) logs \(kind): \(message)")
            if isExam, level != .info { fail("on a fair network \(host.name) logs \(kind): \(message)") }
        case .finished:
            host.isFinished = true
            // The daemon has ended. At the end of all, its engine is watched until it is empty.
            if !isEnding { host.isUp = false }
        }
        return result.map { .engine($0) }
    }

    private func install(_ host: Host, _ child: ChildSA, _ interface: String, _ outbound: Bool) -> IKE.Input {
        if host.refusesNextInstall {
            host.refusesNextInstall = false
            _ = host.ledger.removed(child.spiIn)
            return .childFailed(spiIn: child.spiIn, reason: "no room")
        }
        guard host.dataPath.hasInterface(interface), let installed = try? DataPath.Child(child, interface: interface)
        else {
            _ = host.ledger.removed(child.spiIn)
            return .childFailed(spiIn: child.spiIn, reason: "there is no interface \(interface)")
        }
        story.tell(
            now, "\(host.name) installs child \(child.spiIn.hexadecimal), out \(child.spiOut.hexadecimal)"
                + (child.replaces.map { ", for \($0.hexadecimal)" } ?? "") + (outbound ? "" : ", inbound only"))
        host.dataPath.install(installed)
        if outbound { host.dataPath.use(child.spiIn) }
        checkPath(host, child.path)
        checkAgreement(host, installed)
        return .childInstalled(spiIn: child.spiIn)
    }
}
