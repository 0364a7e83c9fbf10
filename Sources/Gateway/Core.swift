import Base
import Cryptography
import Host
import IKE
import Logging
import Portal
import Tunnels

/// The one owner of the IKE engine and the supervisor.
///
/// Everything that happens comes through ``inbox`` and is handled in order by ``run()``; nothing else changes the
/// engines, so no two things ever interleave. Effects are carried out here, and their results go back in as inputs.
actor Core {
    enum Message: Sendable {
        case datagram([UInt8], Path)
        /// Arithmetic that was done beside the engine.
        case prepared(HandshakeHelp.Result)
        case keyPair(DHKeyPair)
        case dataPath(DataPathEvent)
        case timer
        case call(@Sendable (isolated Core) async -> Void)
        case supervise(SupervisorInput)
        /// The stored connectors may have changed. They are read here, so that of two changes the later one counts.
        case readConnectors
        /// A successor takes over: end, and leave everything as it is.
        case handOver
        /// Someone changed links, addresses or routes, perhaps we ourselves.
        case kernelChanged
    }

    /// What the core works with; made by ``Gateway``.
    struct Machine: Sendable {
        var clock: SystemClock
        var dataPath: any DataPath
        var loop: IOLoop
        var upkeep: Upkeep
        var prober: Prober
        var cores: SpareCores
        var connectors: @Sendable () throws -> [Connector]
        /// Keeps the state for the next process.
        var keep: @Sendable (Handover) throws -> Void
    }

    nonisolated let inbox: Inbox<Message>
    let machine: Machine
    private let log: EventLog
    private let journal: Journal
    private(set) var engine: Engine
    private(set) var supervisor: Supervisor
    private var work = WorkQueue()
    private var help: HandshakeHelp
    private var alarm = Alarm()
    private var isFinished = false
    /// What is in the kernel stays there for the next process.
    private(set) var isHandedOver = false
    private var trafficPoll = TrafficPoll()
    private var sources = SourceAddresses()
    /// The routes that should be, by connector; nil until the first connectors are in force.
    private var routes: [String: [TunnelRoute]]?
    /// This host's addresses; nil when they may have changed since they were read.
    private var addresses: [IPAddress]?
    /// Those of an earlier run that are still in use.
    private var heldRoutes: HeldRoutes
    /// What an earlier run left and nobody wants has been removed.
    private var isSettled = false
    private var links: [String: TunnelLink] = [:]
    /// When the kernel is compared with what should be there.
    private var upkeepAt: Tick?
    /// The same for what the data path has in it; nil until it has settled.
    private var inspectAt: Tick?
    /// Nanoseconds from the engine's clock to the calendar, as the engine was told.
    private var toldOffset: Int64?
    private var expiries = ExpiryWatch()
    private var strangers = RateLimit(interval: .seconds(60))
    private(set) var meters = Meters()
    /// The counters of every child that is installed, as they were last read.
    private(set) var childCounters: [UInt32: ChildCounters] = [:]
    /// The last packet of each child that the engine has been told of.
    private var reportedInbound: [UInt32: Tick] = [:]
    /// The tunnel of each interface.
    private(set) var tunnels: [String: String] = [:]
    private(set) var routeProblem: String?
    private(set) var dataPathProblem: String?
    private var sendFailures = RateLimit(interval: .seconds(10))

    init(
        inbox: Inbox<Message>, machine: Machine, engine: Engine, supervisor: Supervisor, heldRoutes: HeldRoutes,
        log: EventLog, journal: Journal
    ) {
        self.heldRoutes = heldRoutes
        help = HandshakeHelp(machine.cores)
        self.inbox = inbox
        self.machine = machine
        self.engine = engine
        self.supervisor = supervisor
        self.log = log
        self.journal = journal
    }

    private var logger: Logger { journal.logger }

    var now: Tick { machine.clock.now }

    /// Handles messages until the supervisor has brought everything down after `.shutDown`.
    func run() async {
        while !isFinished, let batch = await inbox.next() {
            tellTime()
            help.begin(batch.count)
            for (number, message) in batch.enumerated() {
                // What was handed over is no longer ours to change; questions are still answered.
                if isHandedOver { guard case .call = message else { continue } }
                await handle(message)
                await carryOutWork()
                // The other cores need not wait for the end of a long batch.
                if number % 8 == 7 { handOut() }
            }
            handOut()
            setAlarm()
        }
        alarm.cancel()
        inbox.close()
        // Some have asked meanwhile, and whoever stops us may have to wait for them.
        while let rest = await inbox.next() {
            for case .call(let body) in rest { await body(self) }
        }
    }

    /// Gives the spare cores what has come up for them.
    private func handOut() {
        help.handOut(
            &engine, prepared: { [inbox] in inbox.put(.prepared($0)) }, made: { [inbox] in inbox.put(.keyPair($0)) })
    }

    /// The engine judges certificates by the calendar, which may be set at any time.
    private func tellTime() {
        let (now, wall) = (now, machine.clock.wall)
        let offset = wall.nanoseconds &- now.nanoseconds
        if let told = toldOffset, (told &- offset).magnitude < 1_000_000_000 { return }
        toldOffset = offset
        work.add(engine.receive(.wallClock(wall), now: now))
    }

    private func handle(_ message: Message) async {
        let now = now
        switch message {
        case .datagram(let bytes, let path):
            if !help.take(bytes, path, engine) { work.add(engine.receive(.datagram(bytes, path), now: now)) }
        case .prepared(let result):
            for (bytes, path) in help.finish(result.ikeSA) {
                work.add(engine.receive(datagram: bytes, path, with: result.secret, now: now))
            }
        case .keyPair(let pair):
            engine.stock(pair)
        case .dataPath(let event):
            handle(event, now: now)
        case .timer:
            alarm.hasRung()
            if trafficPoll.next <= now { await reportTraffic(now: now) }
            if let upkeepAt, upkeepAt <= now {
                mend(now: now)
                followAddresses(now: now)
            }
            if let inspectAt, inspectAt <= now { await inspect(now: now) }
            if let deadline = engine.deadline, deadline.tick <= now {
                logger.trace("engine wakes: \(deadline.reason)")
                work.add(engine.wake(now: now))
            }
            if let deadline = supervisor.deadline, deadline.tick <= now {
                logger.trace("supervisor wakes: \(deadline.reason)")
                work.add(supervisor.wake(now: now))
            }
        case .call(let body):
            await body(self)
        case .supervise(let input):
            work.add(supervisor.receive(input, now: now))
        case .readConnectors:
            await readConnectors(now: now)
        case .handOver:
            handOver()
        case .kernelChanged:
            addresses = nil
            // Changes come in bursts.
            upkeepAt = min(upkeepAt ?? .init(nanoseconds: .max), now + .milliseconds(100))
        }
    }

    /// Nothing is under way between two messages: this is the engine's last state.
    private func handOver() {
        let tunnels = supervisor.handedOver.map {
            Handover.Tunnel(name: $0.tunnel, interface: $0.interface, connection: $0.connection)
        }
        do {
            try machine.keep(Handover(boot: Handover.thisBoot, tunnels: tunnels, engine: engine.snapshot()))
            isHandedOver = true
            isFinished = true
        } catch {
            log.add(
                .error, kind: "handover-failed",
                message: "The state cannot be kept for the next process: \(error). The tunnels are closed instead.")
            inbox.put(.supervise(.shutDown))
        }
    }

    /// Takes over what an earlier process left: children that the data path has kept, and their tunnels.
    func resume(_ tunnels: [ResumedTunnel]) {
        for tunnel in tunnels {
            for (child, _) in tunnel.children {
                childCounters[child.spiIn] = ChildCounters()
                meters.installed(child, tunnel: tunnel.tunnel)
            }
        }
        work.add(supervisor.receive(.resume(tunnels), now: now))
    }

    private func readConnectors(now: Tick) async {
        do {
            let connectors = try machine.connectors()
            work.add(supervisor.receive(.connectors(connectors), now: now))
            expiries.connectors = connectors
            tellOfExpiries()
        } catch {
            log.add(.error, kind: "store-failed", message: "The stored connectors cannot be read: \(error)")
        }
        // Routes that a crash left behind: those that are still wanted are never taken away in between.
        await carryOutWork()
        guard routes == nil || !isSettled else { return }
        if routes == nil { await carryOut(SupervisorEffect.setRoutes([:])) }
        isSettled = true
        await machine.dataPath.settle()
        inspectAt = now + Self.upkeepInterval
    }

    private func handle(_ event: DataPathEvent, now: Tick) {
        switch event {
        case .peerMoved(let spiIn, let path):
            work.add(engine.receive(.peerMoved(spiIn: spiIn, path), now: now))
        case .exhausted(let spiIn):
            work.add(engine.receive(.childExhausted(spiIn: spiIn), now: now))
        case .spent(let spiIn):
            work.add(engine.receive(.childSpent(spiIn: spiIn), now: now))
        case .unknownSPI(let spi, let peer):
            logger.debug("ESP with unknown SPI \(String(spi, radix: 16)) from \(peer)")
        case .childLost(let spiIn, let reason):
            guard childCounters[spiIn] != nil else { return }
            log.add(
                .warning, kind: "child-lost", tunnel: supervisor.tunnel(ofChild: spiIn),
                message: "A phase 2 has gone from the kernel (\(reason)): new keys are being negotiated.")
            work.add(engine.receive(.childExhausted(spiIn: spiIn), now: now))
        case .mended(let interface, let what):
            if links[interface] != nil { prepare(interface) }
            tellMended(what, tunnel: tunnels[interface])
            upkeepAt = now
        case .troubled(let what):
            log.add(
                .error, kind: "data-path", message: what.prefix(1).uppercased() + what.dropFirst() + ".")
        case .tunnelLost(let interface, let reason):
            work.add(supervisor.receive(.linkFailed(interface: interface, reason: reason), now: now))
        }
    }

    // MARK: - Effects

    private func carryOutWork() async {
        while let item = work.next() {
            switch item {
            case .engine(let effect): await carryOut(effect)
            case .supervisor(let effect): await carryOut(effect)
            }
        }
    }

    private func carryOut(_ effect: Effect) async {
        switch effect {
        case .send(let bytes, let path):
            send(bytes, path)
        case .installChild(let child, let outbound):
            // The supervisor knows the interface; it answers with `.installChild` of its own.
            work.add(supervisor.receive(.installChild(child, outbound: outbound), now: now))
        case .useOutbound(let spiIn):
            await machine.dataPath.useOutbound(spiIn: spiIn)
        case .removeChild(let spiIn):
            await readCounters(of: spiIn)
            await machine.dataPath.remove(spiIn: spiIn)
            meters.removed(spiIn)
            childCounters[spiIn] = nil
            reportedInbound[spiIn] = nil
            work.add(supervisor.receive(.childRemoved(spiIn: spiIn), now: now))
        case .moveChild(let spiIn, let path):
            await machine.dataPath.move(spiIn: spiIn, to: path)
        case .event(let event):
            logger.debug("ike: \(event)")
            meters.count(event)
            if case .notice(let text) = event.kind, event.connection == nil {
                // Anyone can cause these, so they may not crowd out what matters.
                tellOfStranger(text)
                return
            }
            work.add(supervisor.receive(.ike(event), now: now))
        }
    }

    private func carryOut(_ effect: SupervisorEffect) async {
        switch effect {
        case .ike(let input):
            let inputs = sources.fill(input) { machine.loop.sockets.localAddress(towards: $0) }
            for input in inputs { work.add(engine.receive(input, now: now)) }
        case .openLink(let link):
            do {
                try await machine.dataPath.openTunnel(link)
                tunnels[link.interface] = link.tunnel
                links[link.interface] = link
                addresses = nil
                prepare(link.interface)
                work.add(supervisor.receive(.linkOpened(interface: link.interface), now: now))
            } catch {
                work.add(supervisor.receive(.linkFailed(interface: link.interface, reason: "\(error)"), now: now))
            }
        case .closeLink(let interface):
            heldRoutes.drop(interface)
            await machine.dataPath.closeTunnel(interface: interface)
            machine.prober.forget(interface: interface)
            tunnels[interface] = nil
            links[interface] = nil
        case .installChild(let child, let interface, let outbound):
            do {
                try await machine.dataPath.install(child, interface: interface, outbound: outbound)
                childCounters[child.spiIn] = ChildCounters()
                meters.installed(child, tunnel: tunnels[interface] ?? interface)
                work.add(engine.receive(.childInstalled(spiIn: child.spiIn), now: now))
            } catch {
                work.add(engine.receive(.childFailed(spiIn: child.spiIn, reason: "\(error)"), now: now))
            }
        case .setRoutes(let changes):
            setRoutes(changes)
            upkeepAt = min(upkeepAt ?? now + Self.upkeepInterval, heldRoutes.deadline ?? .init(nanoseconds: .max))
        case .probe(let tunnel, let interface, let from, let to):
            if let failure = machine.prober.probe(tunnel: tunnel, interface: interface, from: from, to: to) {
                logger.debug("\(failure)")
            }
        case .event(let level, let kind, let connector, let tunnel, let message):
            log.add(level, kind: kind, connector: connector, tunnel: tunnel, message: message)
        case .finished:
            isFinished = true
        }
    }

    // MARK: - Upkeep

    /// Changes the routes of some connectors. What the others have is looked at only when something is not as it was left.
    private func setRoutes(_ changes: [String: [TunnelRoute]]) {
        let before = changes.keys.flatMap { routes?[$0] ?? [] }
        let mustCompareAll = routes == nil || heldRoutes.deadline != nil || routeProblem != nil
        routes = (routes ?? [:]).merging(changes) { _, new in new }.filter { !$0.value.isEmpty }
        if !mustCompareAll {
            let wanted = changes.values.flatMap { $0 }
            let change = try? machine.upkeep.change(from: before, to: wanted, addresses: hostAddresses())
            if change != nil { return }
        }
        do {
            _ = try machine.upkeep.apply(wantedRoutes(), addresses: hostAddresses())
            routeProblem = nil
        } catch {
            tellOfRoutes("\(error)")
        }
    }

    /// All routes that should be now.
    private func wantedRoutes() -> [TunnelRoute] {
        let all = (routes ?? [:]).sorted { $0.key < $1.key }.flatMap(\.value)
        return heldRoutes.joined(with: all, now: now)
    }

    private func hostAddresses() -> [IPAddress] {
        if let addresses { return addresses }
        let present = try? machine.upkeep.netlink.addresses().map(\.address.address)
        addresses = present
        return present ?? []
    }

    /// A net under the watcher, whose messages the kernel may drop.
    private static let upkeepInterval = Tick.Span.seconds(30)

    private func mend(now: Tick) {
        upkeepAt = now + Self.upkeepInterval
        tellOfExpiries()
        addresses = nil
        guard routes != nil else { return }
        let report = machine.upkeep.mend(
            links: Array(links.values), routes: wantedRoutes(), addresses: hostAddresses())
        for sentence in report.mended { tellMended(sentence, tunnel: nil) }
        if let problem = report.problem { tellOfRoutes(problem) } else { routeProblem = nil }
    }

    /// Looks at all that the data path has in the kernel. What it puts right, it tells of itself.
    private func inspect(now: Tick) async {
        inspectAt = now + Self.upkeepInterval
        do {
            try await machine.dataPath.inspect()
            dataPathProblem = nil
        } catch {
            let problem = "The tunnels cannot be compared with what the kernel has of them: \(error)."
            if problem != dataPathProblem { log.add(.error, kind: "data-path", message: problem) }
            dataPathProblem = problem
        }
    }

    /// The host may have another address towards a peer: its tunnels go along.
    private func followAddresses(now: Tick) {
        let present = Set(hostAddresses())
        guard !present.isEmpty else { return }
        let inputs = sources.follow(isPresent: present.contains) { machine.loop.sockets.localAddress(towards: $0) }
        for input in inputs { work.add(engine.receive(input, now: now)) }
    }

    private func tellMended(_ what: String, tunnel: String?) {
        log.add(.warning, kind: "mended", tunnel: tunnel, message: what.prefix(1).uppercased() + what.dropFirst() + ".")
    }

    private func tellOfRoutes(_ reason: String) {
        let problem = "The routes into the tunnels are not as they should be: \(reason)."
        if problem != routeProblem { log.add(.error, kind: "route-failed", message: problem) }
        routeProblem = problem
    }

    private func tellOfExpiries() {
        for (connector, tunnel, warning) in expiries.due(at: machine.clock.wall) {
            log.add(.warning, kind: "certificate-expiry", connector: connector, tunnel: tunnel, message: warning)
        }
    }

    private func tellOfStranger(_ text: String) {
        guard let held = strangers.admit(now) else { return logger.debug("\(text)") }
        log.add(.info, kind: "stranger", message: held > 0 ? "\(text) (\(held) more were not shown)" : text)
    }

    /// A setting that cannot be made is told and not fatal: most hosts have it right.
    private func prepare(_ interface: String) {
        do {
            try Sysctl.prepareTunnel(interface)
        } catch {
            logger.warning("\(error)")
        }
    }

    /// The kernel refuses to send where there is no route or no address yet: the timers of IKE try again.
    private func send(_ bytes: [UInt8], _ path: Path) {
        do {
            try machine.loop.sockets.send(bytes, path)
        } catch {
            guard let held = sendFailures.admit(now) else { return }
            logger.warning("\(error)\(held > 0 ? " (and \(held) like it)" : "")")
        }
    }

    // MARK: - Counters and time

    /// Reads the counters of every child that is installed.
    func readCounters() async {
        for (spiIn, counters) in await machine.dataPath.counters() { take(counters, of: spiIn) }
    }

    private func readCounters(of spiIn: UInt32) async {
        if let counters = await machine.dataPath.counters(spiIn: spiIn) { take(counters, of: spiIn) }
    }

    private func take(_ counters: ChildCounters, of spiIn: UInt32) {
        guard childCounters[spiIn] != nil else { return }
        childCounters[spiIn] = counters
        meters.read(spiIn, counters)
    }

    /// Packets that came in prove that the peer lives, which spares a liveness check.
    private func reportTraffic(now: Tick) async {
        await readCounters()
        for (spiIn, counters) in childCounters {
            guard let last = counters.lastInbound, last != reportedInbound[spiIn] else { continue }
            reportedInbound[spiIn] = last
            work.add(engine.receive(.inboundTraffic(spiIn: spiIn, at: last), now: now))
        }
        trafficPoll.wasRead(now)
    }

    private func setAlarm() {
        var deadline = Deadline.earlier(engine.deadline, supervisor.deadline)
        if !childCounters.isEmpty {
            deadline = Deadline.earlier(deadline, Deadline(trafficPoll.next, "read traffic counters"))
        }
        if let upkeepAt { deadline = Deadline.earlier(deadline, Deadline(upkeepAt, "compare the kernel with our plan")) }
        if let inspectAt { deadline = Deadline.earlier(deadline, Deadline(inspectAt, "compare the tunnels with the kernel")) }
        guard let deadline else { return }
        alarm.set(deadline.tick, now: now) { [inbox] in inbox.put(.timer) }
    }
}
