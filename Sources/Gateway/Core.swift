import Base
import Host
import IKE
import Logging
import Tunnels

/// The one owner of the IKE engine and the supervisor.
///
/// Everything that happens comes through ``inbox`` and is handled in order by ``run()``; nothing else changes the
/// engines, so no two things ever interleave. Effects are carried out here, and their results go back in as inputs.
actor Core {
    enum Message: Sendable {
        case datagram([UInt8], Path)
        case dataPath(DataPathEvent)
        case probeAnswered(tunnel: String, roundTrip: Tick.Span)
        case timer
        case call(@Sendable (isolated Core) async -> Void)
        case connectors([Connector])
        case stop
    }

    /// What the core works with; made by ``Gateway``.
    struct Machine: Sendable {
        var clock: SystemClock
        var dataPath: any DataPath
        var sockets: IOLoop
        var routes: RouteTable
        var prober: Prober
    }

    nonisolated let inbox = Inbox<Message>()
    private let machine: Machine
    private let log: EventLog
    private let logger: Logger
    var engine: Engine
    var supervisor: Supervisor
    private var work = WorkQueue()
    private var alarm = Alarm()
    private var isFinished = false
    private var trafficPoll = TrafficPoll()

    init(machine: Machine, engine: Engine, supervisor: Supervisor, log: EventLog, logger: Logger) {
        self.machine = machine
        self.engine = engine
        self.supervisor = supervisor
        self.log = log
        self.logger = logger
    }

    var now: Tick { machine.clock.now }

    /// Handles messages until the supervisor has brought everything down after `.stop`.
    func run() async {
        while !isFinished, let batch = await inbox.next() {
            for message in batch {
                await handle(message)
                await carryOutWork()
            }
            setAlarm()
        }
        alarm.cancel()
        inbox.close()
    }

    private func handle(_ message: Message) async {
        let now = now
        switch message {
        case .datagram(let bytes, let path):
            work.add(engine.receive(.datagram(bytes, path), now: now))
        case .dataPath(let event):
            handle(event, now: now)
        case .probeAnswered(let tunnel, let roundTrip):
            work.add(supervisor.receive(.probeAnswered(tunnel: tunnel, roundTrip: roundTrip), now: now))
        case .timer:
            alarm.hasRung()
            if trafficPoll.isDue(now) { await reportTraffic(now: now) }
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
        case .connectors(let connectors):
            work.add(supervisor.receive(.connectors(connectors), now: now))
        case .stop:
            work.add(supervisor.receive(.shutDown, now: now))
        }
    }

    private func handle(_ event: DataPathEvent, now: Tick) {
        switch event {
        case .peerMoved(let spiIn, let path):
            work.add(engine.receive(.peerMoved(spiIn: spiIn, path), now: now))
        case .exhausted(let spiIn):
            work.add(engine.receive(.childExhausted(spiIn: spiIn), now: now))
        case .unknownSPI(let spi, let peer):
            logger.debug("ESP with unknown SPI \(String(spi, radix: 16)) from \(peer)")
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
            machine.sockets.send(bytes, path)
        case .installChild(let child, let outbound):
            // The supervisor knows the interface; it answers with `.installChild` of its own.
            work.add(supervisor.receive(.installChild(child, outbound: outbound), now: now))
        case .useOutbound(let spiIn):
            await machine.dataPath.useOutbound(spiIn: spiIn)
        case .removeChild(let spiIn):
            await machine.dataPath.remove(spiIn: spiIn)
            trafficPoll.forget(spiIn)
            work.add(supervisor.receive(.childRemoved(spiIn: spiIn), now: now))
        case .moveChild(let spiIn, let path):
            await machine.dataPath.move(spiIn: spiIn, to: path)
        case .event(let event):
            logger.debug("ike: \(event)")
            work.add(supervisor.receive(.ike(event), now: now))
        }
    }

    private func carryOut(_ effect: SupervisorEffect) async {
        switch effect {
        case .ike(let input):
            work.add(engine.receive(input, now: now))
        case .openLink(let link):
            do {
                try await machine.dataPath.openTunnel(link)
                work.add(supervisor.receive(.linkOpened(interface: link.interface), now: now))
            } catch {
                work.add(supervisor.receive(.linkFailed(interface: link.interface, reason: "\(error)"), now: now))
            }
        case .closeLink(let interface):
            await machine.dataPath.closeTunnel(interface: interface)
        case .installChild(let child, let interface, let outbound):
            do {
                try await machine.dataPath.install(child, interface: interface, outbound: outbound)
                trafficPoll.watch(child.spiIn)
                work.add(engine.receive(.childInstalled(spiIn: child.spiIn), now: now))
            } catch {
                work.add(engine.receive(.childFailed(spiIn: child.spiIn, reason: "\(error)"), now: now))
            }
        case .setRoutes(let routes):
            do {
                try machine.routes.reconcile(routes)
            } catch {
                log.add(.error, kind: "route-failed", message: "\(error)")
                logger.error("routes: \(error)")
            }
        case .probe(let tunnel, let interface, let from, let to):
            machine.prober.probe(tunnel: tunnel, interface: interface, from: from, to: to)
        case .event(let level, let kind, let connector, let tunnel, let message):
            log.add(level, kind: kind, connector: connector, tunnel: tunnel, message: message)
            logger.log(level: level.loggerLevel, "\(message)", metadata: tunnel.map { ["tunnel": "\($0)"] })
        case .finished:
            isFinished = true
        }
    }

    // MARK: - Time

    /// Packets that came in prove that the peer lives, which spares a liveness check.
    private func reportTraffic(now: Tick) async {
        for spiIn in trafficPoll.watched {
            guard let counters = await machine.dataPath.counters(spiIn: spiIn), let last = counters.lastInbound,
                trafficPoll.isNews(spiIn, last)
            else { continue }
            work.add(engine.receive(.inboundTraffic(spiIn: spiIn, at: last), now: now))
        }
        trafficPoll.next = now + TrafficPoll.interval
    }

    private func setAlarm() {
        var deadline = Deadline.earlier(engine.deadline, supervisor.deadline)
        if !trafficPoll.watched.isEmpty {
            deadline = Deadline.earlier(deadline, Deadline(trafficPoll.next, "read traffic counters"))
        }
        guard let deadline else { return }
        alarm.set(deadline.tick, now: now) { [inbox] in inbox.put(.timer) }
    }
}
