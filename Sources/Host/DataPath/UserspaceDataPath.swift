import Base
import Cryptography
import ESP
public import IKE
import Synchronization
public import Tunnels

/// The data path in our own process: ESP packets are sealed and opened here, inner packets pass through one TUN device
/// a tunnel.
///
/// Two threads work: the ``IOLoop`` opens what comes in, one of its own seals what goes out. Neither locks anything on
/// the way; changes are jobs in their queues, done in the order of the calls. What opens or installs something returns once
/// it is live; what switches over or removes does not wait, for nobody needs its result and waiting costs more than the
/// change. The outer packets are sent with DF clear, as AWS asks, with TTL 64 and with the inner packet's DSCP and ECN.
///
/// A path that is a NAT path carries ESP in UDP, any other needs raw ESP sockets. Both forms are accepted for every SA.
public final class UserspaceDataPath: DataPath {
    public let kind = "userspace"
    public let events: AsyncStream<DataPathEvent>

    private let loop: IOLoop
    private let thread: EventThread
    private let inbound: InboundWorker
    private let outbound: OutboundWorker
    private let outsideMTU: Int
    private let continuation: AsyncStream<DataPathEvent>.Continuation
    private let book = Mutex(Book())

    private struct Book {
        var links: [String: TunnelLink] = [:]
        var children: [UInt32: Entry] = [:]
        var isShutDown = false
    }

    private struct Entry {
        var interface: String
        var tally: ChildTally
    }

    /// Receives through `loop`'s sockets and sends on them. `outsideMTU` is what a packet towards the peers may
    /// measure, in bytes.
    public init(_ loop: IOLoop, outsideMTU: Int = 1500) throws(HostFailure) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: DataPathEvent.self, bufferingPolicy: .bufferingNewest(4096))
        events = stream
        self.continuation = continuation
        self.loop = loop
        self.outsideMTU = outsideMTU
        let report: @Sendable (DataPathEvent) -> Void = { continuation.yield($0) }
        thread = try EventThread("gatehouse-out")
        inbound = InboundWorker(report: report)
        outbound = OutboundWorker(thread, report: report)
        loop.attach(inbound)
    }

    deinit {
        thread.stop()
        continuation.finish()
    }

    public func openTunnel(_ link: TunnelLink) async throws {
        let name = link.interface
        let old = book.withLock { $0.isShutDown ? nil : $0.links[name] }
        let clamp = MSSClamp(mtu: link.mtu, mss: link.mss)
        let outbound = outbound
        // On the thread, because a device belongs to the network namespace of the thread that makes it.
        let opened: Result<(device: TunnelDevice, isNew: Bool), HostFailure>? = await thread.run {
            do throws(HostFailure) {
                if let tunnel = outbound.tunnels[name] {
                    try tunnel.device.update(from: old, to: link)
                    tunnel.clamp = clamp
                    return .success((tunnel.device, false))
                }
                let device = try TunnelDevice(link)
                outbound.openTunnel(device, clamp)
                return .success((device, true))
            } catch {
                return .failure(error)
            }
        }
        guard let (device, isNew) = try opened?.get() else { throw Self.isShutDown("opening \(name)") }
        let inbound = inbound
        let isDone: Void? = await loop.thread.run {
            guard isNew else {
                inbound.tunnels[name]?.clamp = clamp
                return
            }
            inbound.closeTunnel(name)
            inbound.tunnels[name] = InboundWorker.Tunnel(device, clamp)
        }
        guard isDone != nil else { throw Self.isShutDown("opening \(name)") }
        book.withLock { book in
            book.links[name] = link
            // SAs of an interface that was lost went with it.
            if isNew { book.children = book.children.filter { $0.value.interface != name } }
        }
    }

    public func closeTunnel(interface: String) async {
        let (inbound, outbound) = (inbound, outbound)
        _ = await loop.thread.run { inbound.closeTunnel(interface) }
        _ = await thread.run { outbound.closeTunnel(interface) }
        book.withLock { book in
            book.links[interface] = nil
            book.children = book.children.filter { $0.value.interface != interface }
        }
    }

    public func install(_ child: ChildSA, interface: String, outbound isActive: Bool) async throws {
        let tally = ChildTally()
        let (inbound, outbound, sockets, outsideMTU) = (inbound, outbound, loop.sockets, outsideMTU)
        let selectors = SelectorPair(
            local: child.localSelectors.map(Selector.init), remote: child.remoteSelectors.map(Selector.init))

        // The outbound half waits, staged, until the inbound one is live.
        let staged: Result<Void, HostFailure>? = await thread.run {
            guard outbound.tunnels[interface] != nil else {
                return .failure(HostFailure("installing an SA: there is no interface \(interface)", code: 0))
            }
            do throws(PacketCipher.Refusal) {
                let sa = try OutboundSA(child)
                guard let route = OutboundWorker.Route(child.path, sa.format, sockets, outsideMTU: outsideMTU) else {
                    return .failure(Self.noSocket(child.path))
                }
                outbound.install(OutboundWorker.Child(child, sa, selectors, tally, route), interface)
                return .success(())
            } catch {
                return .failure(HostFailure("installing an SA (\(error))", code: 0))
            }
        }
        guard let staged else { throw Self.isShutDown("installing an SA") }
        try staged.get()

        let received: Result<Void, HostFailure>? = await loop.thread.run {
            guard let tunnel = inbound.tunnels[interface] else {
                return .failure(HostFailure("installing an SA: there is no interface \(interface)", code: 0))
            }
            do throws(PacketCipher.Refusal) {
                inbound.install(
                    InboundWorker.Child(
                        try InboundSA(child, selectors), tunnel, tally, child.path, child.limits))
                return .success(())
            } catch {
                return .failure(HostFailure("installing an SA (\(error))", code: 0))
            }
        }
        let spiIn = child.spiIn
        guard case .success = received else {
            await thread.run { outbound.remove(spiIn) }
            try received?.get()
            throw Self.isShutDown("installing an SA")
        }
        book.withLock { $0.children[spiIn] = Entry(interface: interface, tally: tally) }
        if isActive { switchOutbound(to: spiIn) }
    }

    public func useOutbound(spiIn: UInt32) async { switchOutbound(to: spiIn) }

    private func switchOutbound(to spiIn: UInt32) {
        let outbound = outbound
        thread.perform { outbound.use(spiIn) }
    }

    public func remove(spiIn: UInt32) async {
        let (inbound, outbound) = (inbound, outbound)
        thread.perform { outbound.remove(spiIn) }
        loop.thread.perform { inbound.remove(spiIn) }
        book.withLock { $0.children[spiIn] = nil }
    }

    public func move(spiIn: UInt32, to path: Path) async {
        let (inbound, outbound, sockets, outsideMTU) = (inbound, outbound, loop.sockets, outsideMTU)
        await loop.thread.run { inbound.move(spiIn, to: path) }
        await thread.run { outbound.move(spiIn, to: path, sockets, outsideMTU: outsideMTU) }
    }

    public func counters(spiIn: UInt32) async -> ChildCounters? {
        book.withLock { $0.children[spiIn]?.tally.counters }
    }

    public func counters() async -> [UInt32: ChildCounters] {
        book.withLock { $0.children.mapValues(\.tally.counters) }
    }

    /// Devices and SAs live as long as the process: there is never anything to take over.
    public func inherit() async -> [String: String] { [:] }
    public func adopt(_ children: [KeptChild]) async -> Set<UInt32> { [] }
    public func settle() async {}
    /// Nobody but us can change it.
    public func inspect() async -> Int { 0 }
    public func release() async { await shutDown() }

    /// Removes every interface and SA and ends the outbound thread. The ``IOLoop`` goes on, so that IKE can say
    /// goodbye; stop it afterwards.
    public func shutDown() async {
        book.withLock { book in
            book = Book()
            book.isShutDown = true
        }
        let (inbound, outbound) = (inbound, outbound)
        loop.attach(nil)
        await loop.thread.run { inbound.removeAll() }
        await thread.run { outbound.removeAll() }
        thread.stop()
        continuation.finish()
    }

    private static func isShutDown(_ action: String) -> HostFailure {
        HostFailure("\(action): the data path is shut down", code: 0)
    }

    private static func noSocket(_ path: Path) -> HostFailure {
        HostFailure(
            path.isNATPort
                ? "installing an SA: no UDP socket listens on \(path.local)"
                : "installing an SA: no raw ESP socket for \(path.local.address); open one, or force UDP encapsulation",
            code: 0)
    }
}

extension Selector {
    init(_ selector: TrafficSelector) {
        self.init(
            first: selector.first, last: selector.last, ipProtocol: selector.ipProtocol,
            firstPort: selector.firstPort, lastPort: selector.lastPort)
    }
}

extension OutboundSA {
    convenience init(_ child: ChildSA) throws(PacketCipher.Refusal) {
        try self.init(
            spi: child.spiOut, encryption: child.suite.encryption, integrity: child.suite.integrity,
            encryptionKey: child.encryptionKeyOut, integrityKey: child.integrityKeyOut,
            extendedSequence: child.suite.esn)
    }
}

extension InboundSA {
    convenience init(_ child: ChildSA, _ selectors: SelectorPair) throws(PacketCipher.Refusal) {
        try self.init(
            spi: child.spiIn, encryption: child.suite.encryption, integrity: child.suite.integrity,
            encryptionKey: child.encryptionKeyIn, integrityKey: child.integrityKeyIn,
            extendedSequence: child.suite.esn, replayWindow: child.replayWindow, selectors: selectors)
    }
}
