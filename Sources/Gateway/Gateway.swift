import Access
import Base
import Cryptography
import Host
import IKE
public import Logging
import Portal
import Store
import Synchronization
import Tunnels

/// The gateway: joins the engines, the host and the sockets, and runs until it is told to stop.
///
/// Shutting down is orderly: tunnels are deleted at the peers, then interfaces, routes and sockets are removed.
public final class Gateway: Sendable {
    private let boot: BootConfiguration
    private let core: Core
    private let gatekeeper: Gatekeeper
    private let neighbours: KernelWatcher
    private let posture: PostureUpkeep
    private let control: GatewayControl
    /// Nil when the boot file asks for none.
    private let webPages: WebPages?
    private let web: HTTPClient
    private let directories: DirectoryDesk
    private let endpoints: EndpointKeeper
    private let store: Store
    private let stateLock: FolderLock
    private let watcher: KernelWatcher
    private let log: EventLog
    private let journal: Journal
    private let manager = ServiceManager()
    private let isStopping = Atomic(false)

    /// Opens the store and the outside sockets.
    ///
    /// - Throws: an error whose description says what this host lacks or which file is at fault.
    /// - Parameter turnsGateOff: stores that there is no gate, before anything else.
    public init(boot: BootConfiguration, logger: Logger, turnsGateOff: Bool = false) async throws {
        for complaint in ProcessHardening.apply() { logger.notice("\(complaint)") }
        let clock = SystemClock()
        self.boot = boot
        let journal = Journal(logger)
        self.journal = journal
        log = EventLog(journal: journal) { clock.wall }
        try Folder.make(boot.stateDirectory, mode: 0o700)
        try Folder.make(boot.runtimeDirectory, mode: 0o755)
        stateLock = try FolderLock(boot.stateDirectory)
        let key = try MachineKey.load(path: boot.machineKeyPath, random: SystemRandom.bytes)
        store = try Store(path: boot.databasePath, key: key, random: SystemRandom.bytes, wall: { clock.wall })
        if turnsGateOff { try store.set("gate.enabled", to: nil, by: Change(actor: "gatehoused --gate-off")) }

        let usesKernel = try Self.usesKernel(boot.dataPath, logger)
        let inbox = Inbox<Core.Message>()
        var sockets = SocketConfiguration()
        if !boot.listen.isEmpty { sockets.addresses = boot.listen }
        sockets.ikePort = boot.ikePort
        sockets.natPort = boot.natPort
        if usesKernel { sockets = sockets.forKernelESP }
        let outside = try OutsideSockets(sockets, kept: manager.kept)
        // From here on they outlive us: ESP in UDP needs an open socket, and what peers send waits for our successor.
        manager.keep(usesKernel ? outside.udpDescriptors : [])
        let loop = try IOLoop(outside) { bytes, path in
            let isFirstContact = Engine.isFirstContact(bytes, path)
            // Of one that is too large, only as much waits in line as tells that.
            let most = Engine.largestFirstContact + 5
            let kept = isFirstContact && bytes.count > most ? Array(bytes.prefix(most)) : bytes
            inbox.putDatagram(.datagram(kept, path), from: path.remote, isFirstContact: isFirstContact)
        }
        let dataPath: any DataPath = usesKernel ? try KernelDataPath() : try UserspaceDataPath(loop)
        let netlink = try Netlink()
        watcher = try KernelWatcher(besides: netlink)
        let routes = RouteTable(netlink)
        let machine = Core.Machine(
            clock: clock, dataPath: dataPath, loop: loop, upkeep: Upkeep(netlink: netlink, routes: routes),
            prober: Prober(), cores: try SpareCores(),
            connectors: { [store] in try store.contents().connectors },
            keep: { try $0.write(to: boot.runtimeDirectory, key: key) })
        let now = clock.now
        var terms = SupervisorConfiguration()
        terms.dataPath = dataPath.kind
        terms.ikePort = boot.ikePort
        terms.natPort = boot.natPort
        let left = await dataPath.inherit()
        terms.keptInterfaces = Dictionary(left.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let earlier = Self.handover(boot, key, log)
        let kept = await dataPath.adopt(earlier?.keptChildren ?? [])
        var configuration = EngineConfiguration()
        configuration.crashDetectionSecret = key.secret(for: "IKE crash detection")
        let engine =
            earlier.map {
                Engine(
                    restoring: $0.engine, kept: kept, configuration: configuration, seed: SystemRandom.seed(), now: now)
            } ?? Engine(configuration: configuration, seed: SystemRandom.seed(), now: now)
        core = Core(
            inbox: inbox, machine: machine, engine: engine,
            supervisor: Supervisor(configuration: terms, seed: SystemRandom.seed(), now: now),
            heldRoutes: try HeldRoutes(netlink, routes, interfaces: left.keys, now: now),
            log: log, journal: journal)
        if let earlier { await core.resume(earlier.resumedTunnels(kept: kept)) }
        let netfilter = try Netlink(.netfilter)
        neighbours = try KernelWatcher(.neighbours)
        gatekeeper = try Gatekeeper(
            inbox: Inbox(),
            machine: Gatekeeper.Machine(
                clock: clock, table: GateTable(netfilter), conntrack: try Netlink(.netfilter), route: netlink,
                bootPath: boot.stateDirectory + "/gate.nft", redirectPort: boot.signInPages?.redirectPort,
                inventory: { [store] in EndpointKeeper.stored(store) }),
            store: store, log: log)
        web = HTTPClient(try boot.outgoing.settings(), clock: clock)
        let tokens = TokenSource(web: web, clock: clock, random: SystemRandom.bytes)
        // Who decides by what endpoints are like is told of every change.
        endpoints = EndpointKeeper(
            web: web, tokens: tokens, store: store, log: log, clock: clock, random: SystemRandom.bytes,
            follow: { [gatekeeper] in gatekeeper.inbox.put(.policy(.inventory($0))) })
        let posture = PostureUpkeep(gatekeeper, endpoints: endpoints, log: log)
        self.posture = posture
        await gatekeeper.use { await posture.prepare($0) }
        let courier = DirectoryCourier(web: web, tokens: tokens, clock: clock, runtimeDirectory: boot.runtimeDirectory)
        directories = DirectoryDesk(courier: courier, gatekeeper: gatekeeper, store: store, log: log, clock: clock)
        let agents = AgentDesk(
            store: store, directories: directories, log: log, clock: clock, random: SystemRandom.bytes)
        webPages = try boot.signInPages.map { [gatekeeper, store, log, web] pages in
            let desk = try SignInDesk(
                address: pages.address, gatekeeper: gatekeeper, store: store, log: log, clock: clock, web: web,
                agents: agents, random: SystemRandom.bytes)
            return WebPages(
                pages, stateDirectory: boot.stateDirectory, desk: desk, journal: journal, log: log, clock: clock)
        }
        let (core, store, log, gatekeeper, webPages, web, directories, endpoints) =
            (core, store, log, gatekeeper, webPages, web, directories, endpoints)
        control = GatewayControl(
            core: core, gatekeeper: gatekeeper, webPages: webPages, web: web, tokens: tokens,
            directories: directories, courier: courier, endpoints: endpoints, store: store, log: log,
            dataPathKind: dataPath.kind,
            startedAt: clock.wall,
            examine: {
                let interfaces = await core.ask { core in core.interfaces } ?? []
                let isGateEnabled = await gatekeeper.ask { $0.settings.isGateEnabled } ?? false
                let (reports, broken) = await directories.reports()
                return await Examination.findings(
                    boot, connectors: (try? store.contents().connectors) ?? [], interfaces: interfaces,
                    signIn: SignInExamination(webPages, store, isGateEnabled: isGateEnabled), now: clock.wall)
                    + DirectoryExamination.findings(reports, broken: broken, now: clock.wall)
                    + endpoints.findings()
            },
            reread: { caller in
                core.inbox.put(.readConnectors)
                gatekeeper.inbox.put(.reread)
                log.add(.info, kind: "reloaded", message: "\(caller) had the connectors read again.")
            })
    }

    /// What an earlier process left for us, if it can be read; otherwise the tunnels are brought up anew.
    private static func handover(_ boot: BootConfiguration, _ key: SealingKey, _ log: EventLog) -> Handover? {
        do {
            return try Handover.take(from: boot.runtimeDirectory, key: key)
        } catch {
            log.add(
                .warning, kind: "handover-failed",
                message: "What the last process left cannot be used (\(error)): the tunnels are brought up anew.")
            return nil
        }
    }

    /// What carries the packets here.
    private static func usesKernel(_ choice: BootConfiguration.DataPathChoice, _ logger: Logger) throws -> Bool {
        guard choice != .userspace else { return false }
        let esp = KernelESP.probe()
        if esp.isAvailable { return true }
        guard choice == .auto else {
            throw BootConfiguration.Invalid(
                description: "dataPath kernel: \(esp.whyNot); `gatehouse doctor` says more, and dataPath auto or "
                    + "userspace carries the packets without it")
        }
        logger.info("the data path is userspace: \(esp.whyNot)")
        return false
    }

    /// Brings the stored connectors up and serves until ``stop()``; returns when everything is down again.
    public func run() async throws {
        let machine = core.machine
        // Before the sockets answer and before a tunnel is up; without the gate that is wanted, neither follows.
        try await gatekeeper.start()
        let portal = try await Portal.start(
            PortalConfiguration(runtimeDirectory: boot.runtimeDirectory, statusGroup: boot.statusGroup), api: control,
            logger: journal.logger)
        let connectors = try readConnectors()
        let count = "\(connectors.count) connector\(connectors.count == 1 ? "" : "s")"
        log.add(
            .info, kind: "started",
            message: "Gatehouse \(gatehouseVersion) started with \(count), \(machine.dataPath.kind) data path.")
        manager.ready(status: count)

        await withTaskGroup(of: Void.self) { group in
            let (core, web) = (core, web)
            group.addTask { for await event in machine.dataPath.events { core.inbox.put(.dataPath(event)) } }
            group.addTask {
                for await answer in machine.prober.answers {
                    let input = SupervisorInput.probeAnswered(tunnel: answer.tunnel, roundTrip: answer.roundTrip)
                    core.inbox.put(.supervise(input))
                }
            }
            group.addTask { [watcher] in for await _ in watcher.events { core.inbox.put(.kernelChanged) } }
            group.addTask { [manager] in await Self.feedWatchdog(manager, core) }
            group.addTask { [gatekeeper] in await gatekeeper.run() }
            group.addTask { [posture] in await posture.run() }
            group.addTask { [directories] in await directories.run() }
            group.addTask { [endpoints] in await endpoints.run() }
            if let webPages { group.addTask { await webPages.run() } }
            group.addTask { [gatekeeper, neighbours] in
                for await event in neighbours.events {
                    switch event {
                    case .neighbour(let neighbour): gatekeeper.inbox.put(.neighbours([neighbour]))
                    case .neighbourRemoved(let neighbour): gatekeeper.inbox.put(.neighbourRemoved(neighbour.address))
                    case .overrun: gatekeeper.inbox.put(.neighboursLost)
                    default: break
                    }
                }
            }
            await core.run()
            manager.stopping(status: "closing")
            watcher.stop()
            neighbours.stop()
            directories.stop()
            let isHandedOver = await core.isHandedOver
            gatekeeper.inbox.put(.stop(isHandedOver: isHandedOver))
            if isHandedOver {
                await machine.dataPath.release()
            } else {
                manager.keep([])
                try? machine.upkeep.routes.removeAll()
                await machine.dataPath.shutDown()
            }
            machine.loop.stop()
            machine.prober.stop()
            machine.cores.stop()
            web.stop()
            group.cancelAll()
        }
        let isHandedOver = await core.isHandedOver
        log.add(
            .info, kind: "stopped",
            message: isHandedOver
                ? "Gatehouse stopped for a restart: the tunnels go on without it."
                : "Gatehouse stopped: tunnels deleted, interfaces and routes removed.")
        log.close()
        await portal.stop()
        try store.close()
    }

    /// Puts the stored connectors in force. One that is broken is told of and left out; the others run.
    private func readConnectors() throws -> [Connector] {
        let contents = try store.contents()
        for error in contents.broken {
            log.add(.error, kind: "connector-broken", message: error.description)
        }
        core.inbox.put(.readConnectors)
        gatekeeper.inbox.put(.reread)
        return contents.connectors
    }

    /// Tells systemd that we live, for as long as the core answers: a loop that hangs is restarted.
    private static func feedWatchdog(_ manager: ServiceManager, _ core: Core) async {
        guard let timeout = manager.watchdogTimeout else { return }
        while await core.ask({ _ in true }) == true {
            manager.watchdog()
            guard (try? await Task.sleep(for: .nanoseconds(timeout.nanoseconds / 3))) != nil else { return }
        }
    }

    /// Brings everything down in an orderly way; ``run()`` then returns.
    public func stop() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        journal.logger.info("stopping: closing the tunnels at their peers")
        core.inbox.put(.supervise(.shutDown))
    }

    /// Ends for a restart: the state is sealed into the runtime folder and everything in the kernel stays, where it
    /// goes on carrying packets until the next process takes over.
    public func handOver() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        journal.logger.info("stopping for a restart: the tunnels stay")
        core.inbox.put(.handOver)
    }

    /// Takes the boot file's log level and reads the stored connectors again. Places, addresses and the data path
    /// change only by a restart; a boot file that cannot be read changes nothing.
    public func reload(_ boot: Result<BootConfiguration, any Error>) async {
        manager.reloading()
        defer { manager.ready() }
        do {
            let fresh = try boot.get()
            var comparable = fresh
            comparable.logLevel = self.boot.logLevel
            if comparable != self.boot {
                journal.logger.warning("the boot file has changed in more than the log level: restart gatehoused to apply it")
            }
            journal.setLevel(fresh.logLevel.loggerLevel)
            _ = try readConnectors()
            webPages?.reload()
            journal.logger.info("reloaded: connectors read again, log level \(fresh.logLevel)")
        } catch {
            journal.logger.error("not reloaded, everything stays as it was: \(error)")
        }
    }
}

extension BootConfiguration.LogLevel {
    /// The level of swift-log.
    public var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}

extension GatewayEvent.Level {
    var loggerLevel: Logger.Level {
        switch self {
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
