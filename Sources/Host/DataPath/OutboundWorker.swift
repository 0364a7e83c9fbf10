import Base
import CLinux
import ESP
import Glibc
import IKE

/// From the tunnels to the sockets: reads the TUN devices, cuts large TCP packets up, seals and sends in batches.
///
/// Proof of Sendable: created by ``UserspaceDataPath``, touched afterwards by jobs and sources of one ``EventThread``
/// alone; what other threads read is in ``ChildTally``.
final class OutboundWorker: @unchecked Sendable {
    /// An outbound SA and what belongs to it.
    final class Child {
        let spiIn: UInt32
        let place: Int
        let replaces: UInt32?
        let sa: OutboundSA
        let selectors: SelectorPair
        let tally: ChildTally
        fileprivate(set) var outgoing: clinux_outgoing
        fileprivate(set) var socket: Descriptor
        /// Bytes of the largest inner packet whose outer packet needs no fragmenting.
        fileprivate(set) var largestInner: Int
        /// Whether the kernel may cut a joined datagram up: only in UDP, and as long as the path takes our length.
        fileprivate(set) var joins: Bool
        /// The last sequence number is used up, and that was said.
        fileprivate var isSpent = false
        fileprivate var allowance: Allowance

        init(
            _ child: ChildSA, _ sa: OutboundSA, _ selectors: SelectorPair, _ tally: ChildTally, _ route: Route
        ) {
            spiIn = child.spiIn
            place = child.place
            allowance = Allowance(child.limits)
            replaces = child.replaces
            self.sa = sa
            self.selectors = selectors
            self.tally = tally
            outgoing = route.outgoing
            socket = route.socket
            largestInner = route.largestInner
            joins = route.joins
        }
    }

    /// How the packets of a child leave.
    struct Route {
        let outgoing: clinux_outgoing
        let socket: Descriptor
        let largestInner: Int
        let joins: Bool

        /// Nil when no socket reaches the path.
        init?(_ path: Path, _ format: ESPFormat, _ sockets: OutsideSockets, outsideMTU: Int) {
            let family = path.remote.address.family
            guard let socket = sockets.descriptor(path.isNATPort ? .nat : .esp, path.local.address, family) else {
                return nil
            }
            self.socket = socket
            var outgoing = clinux_outgoing(path: path)
            // A raw IPv6 socket would take a port for a protocol number.
            if !path.isNATPort { outgoing.remote_port = 0 }
            self.outgoing = outgoing
            largestInner = format.largestInner(outsideMTU: outsideMTU, outside: family, inUDP: path.isNATPort)
            joins = path.isNATPort
        }
    }

    /// The reading side of one TUN device.
    final class Tunnel: EventSource {
        let device: TunnelDevice
        var clamp: MSSClamp
        /// SAs that packets are sent on; the last whose selectors fit is used, so that a newer one is added at the end.
        var active: [Child] = []
        /// Installed, but not to be used before the peer is known to hear us.
        var staged: [Child] = []
        private unowned let worker: OutboundWorker

        init(_ device: TunnelDevice, _ clamp: MSSClamp, _ worker: OutboundWorker) {
            self.device = device
            self.clamp = clamp
            self.worker = worker
        }

        func ready() { worker.read(self) }
    }

    private(set) var tunnels: [String: Tunnel] = [:]
    /// The tunnel of each child, by its inbound SPI.
    private var homes: [UInt32: Tunnel] = [:]
    private let thread: EventThread
    private let report: @Sendable (DataPathEvent) -> Void

    /// One read of a device: header and packet.
    private let input = UnsafeMutableRawBufferPointer.allocate(
        byteCount: TunnelDevice.headerLength + 65536, alignment: 64)
    /// Sealed packets one behind the other, until they are sent.
    private let arena = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    private var arenaUsed = 0
    private let outgoing = UnsafeMutablePointer<clinux_outgoing>.allocate(capacity: batch)
    private var owners: [Child] = []
    private var isLastOpen = false
    private let writer = PacketWriter()

    private static let batch = Int(CLINUX_BATCH)
    /// Datagrams that the kernel takes joined in one call, and their bytes (UDP_MAX_SEGMENTS, and 65,535 less headers).
    private static let joinedCount = 64
    private static let joinedBytes = 65_000
    /// Reads of one device before the others get their turn.
    private static let turns = 32

    init(_ thread: EventThread, report: @escaping @Sendable (DataPathEvent) -> Void) {
        self.thread = thread
        self.report = report
        outgoing.initialize(repeating: clinux_outgoing(), count: Self.batch)
        owners.reserveCapacity(Self.batch)
    }

    deinit {
        input.deallocate()
        arena.deallocate()
        outgoing.deallocate()
    }

    // MARK: Tunnels and SAs

    func openTunnel(_ device: TunnelDevice, _ clamp: MSSClamp) {
        let tunnel = Tunnel(device, clamp, self)
        tunnels[device.name] = tunnel
        thread.add(tunnel, device.descriptor.number)
    }

    func closeTunnel(_ name: String) {
        guard let tunnel = tunnels.removeValue(forKey: name) else { return }
        for child in tunnel.active + tunnel.staged { homes[child.spiIn] = nil }
        thread.remove(tunnel.device.descriptor.number)
    }

    func removeAll() { for name in Array(tunnels.keys) { closeTunnel(name) } }

    /// The child waits for ``use(_:)``.
    func install(_ child: Child, _ interface: String) {
        remove(child.spiIn)
        guard let tunnel = tunnels[interface] else { return }
        homes[child.spiIn] = tunnel
        tunnel.staged.append(child)
    }

    /// The child is the first choice of its phase 2 from now on, and the one that it replaces no choice any more. An
    /// earlier phase 2 of the tunnel goes before a later one.
    func use(_ spiIn: UInt32) {
        guard let tunnel = homes[spiIn], let index = tunnel.staged.lastIndex(where: { $0.spiIn == spiIn }) else { return }
        let child = tunnel.staged.remove(at: index)
        if let replaced = child.replaces, let old = tunnel.active.lastIndex(where: { $0.spiIn == replaced }) {
            homes[replaced] = nil
            tunnel.active.remove(at: old)
        }
        let behind = tunnel.active.lastIndex { $0.place >= child.place }.map { $0 + 1 } ?? 0
        tunnel.active.insert(child, at: behind)
    }

    func remove(_ spiIn: UInt32) {
        guard let tunnel = homes.removeValue(forKey: spiIn) else { return }
        if let index = tunnel.active.lastIndex(where: { $0.spiIn == spiIn }) {
            tunnel.active.remove(at: index)
        } else if let index = tunnel.staged.lastIndex(where: { $0.spiIn == spiIn }) {
            tunnel.staged.remove(at: index)
        }
    }

    func move(_ spiIn: UInt32, to path: Path, _ sockets: OutsideSockets, outsideMTU: Int) {
        guard let tunnel = homes[spiIn],
            let child = tunnel.active.last(where: { $0.spiIn == spiIn }) ?? tunnel.staged.last(where: { $0.spiIn == spiIn }),
            let route = Route(path, child.sa.format, sockets, outsideMTU: outsideMTU)
        else { return }
        child.outgoing = route.outgoing
        child.socket = route.socket
        child.largestInner = route.largestInner
        child.joins = route.joins
    }

    // MARK: Packets

    private func read(_ tunnel: Tunnel) {
        let descriptor = tunnel.device.descriptor.number
        for _ in 0..<Self.turns {
            let count = Glibc.read(descriptor, input.baseAddress, input.count)
            if count > TunnelDevice.headerLength {
                take(count, tunnel)
            } else if count < 0, errno != EINTR {
                let code = errno
                if code != EAGAIN { lose(tunnel, code) }
                break
            }
        }
        flush()
    }

    private func lose(_ tunnel: Tunnel, _ code: Int32) {
        closeTunnel(tunnel.device.name)
        let reason = code == EBADFD ? "the interface was removed" : String(cString: strerror(code))
        report(.tunnelLost(interface: tunnel.device.name, reason: reason))
    }

    private func take(_ count: Int, _ tunnel: Tunnel) {
        let header = input.load(as: clinux_vnet_header.self)
        let packet = UnsafeMutableRawBufferPointer(rebasing: input[TunnelDevice.headerLength..<count])
        guard let inner = InnerPacket(UnsafeRawBufferPointer(packet)), !Self.staysOnLink(inner) else { return }
        guard let child = tunnel.active.last(where: { $0.selectors.permitsOutbound(inner) }) else {
            tunnel.active.last?.tally.countOutsideOut()
            return
        }
        if header.gso_type != UInt8(CLINUX_VNET_WHOLE) {
            guard
                let splitter = TCPSplitter(UnsafeRawBufferPointer(packet), inner, segmentSize: Int(header.gso_size))
            else { return }
            guard fits(splitter.largest, packet, inner, child, tunnel) else { return }
            for index in 0..<splitter.count {
                guard let slot = reserve(splitter.length(index), child) else { return }
                let length = splitter.write(index, to: body(slot, child))
                seal(slot, length, inner, child)
            }
            return
        }
        if header.flags & UInt8(CLINUX_VNET_NEEDS_CHECKSUM) != 0 {
            guard
                TCPSplitter.finishChecksum(
                    packet, start: Int(header.checksum_start), offset: Int(header.checksum_offset))
            else { return }
        }
        tunnel.clamp.apply(packet, inner)
        guard fits(inner.length, packet, inner, child, tunnel), let slot = reserve(inner.length, child) else { return }
        body(slot, child).copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[..<inner.length]))
        seal(slot, inner.length, inner, child)
    }

    /// What the kernel sends on every interface by itself (neighbour and router discovery, listener reports) means
    /// nothing at the other end of a tunnel.
    private static func staysOnLink(_ inner: InnerPacket) -> Bool {
        guard case .v6(let source) = inner.source, case .v6(let destination) = inner.destination else { return false }
        return source >> 118 == 0x3FA || destination >> 112 == 0xFF02 || source == 0
    }

    /// Whether the packet may go. One that is too long and must not be fragmented is answered instead; any other too
    /// long one goes, and its outer packet is fragmented on the way (DF is clear outside).
    private func fits(
        _ length: Int, _ packet: UnsafeMutableRawBufferPointer, _ inner: InnerPacket, _ child: Child, _ tunnel: Tunnel
    ) -> Bool {
        guard length > child.largestInner, inner.mustNotFragment else { return true }
        guard let slot = reserve(1280, child) else { return false }
        let answer = PacketTooBig.write(
            answering: UnsafeRawBufferPointer(packet), inner, mtu: child.largestInner, into: slot)
        if let answer {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: slot[..<answer])
            withUnsafePointer(to: bytes) {
                writer.write(
                    UnsafeBufferPointer(start: $0, count: 1), TCPCoalescer.Offload(),
                    to: tunnel.device.descriptor.number)
            }
        }
        return false
    }

    /// Room for the sealed form of an inner packet. What waits is sent first where there is no room, or where it waits
    /// for another socket.
    private func reserve(_ inner: Int, _ child: Child) -> UnsafeMutableRawBufferPointer? {
        let length = child.sa.format.sealedLength(inner)
        if owners.count == Self.batch || arenaUsed + length > arena.count
            || owners.last.map({ $0.socket !== child.socket }) == true
        {
            flush()
        }
        guard arenaUsed + length <= arena.count else { return nil }
        return UnsafeMutableRawBufferPointer(rebasing: arena[arenaUsed..<arenaUsed + length])
    }

    private func body(_ slot: UnsafeMutableRawBufferPointer, _ child: Child) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: slot[child.sa.format.headerLength...])
    }

    private func seal(
        _ slot: UnsafeMutableRawBufferPointer, _ length: Int, _ inner: InnerPacket, _ child: Child
    ) {
        guard !child.allowance.isSpent else { return }
        switch child.sa.seal(slot, length: length) {
        case .sealed(let total, let isNearExhaustion):
            append(slot, total, ECN.outer(forInner: inner.trafficClass), child, joinable: length <= child.largestInner)
            child.tally.countOut(total)
            if isNearExhaustion { report(.exhausted(spiIn: child.spiIn)) }
            switch child.allowance.count(total) {
            case .fine: break
            case .exhausted: report(.exhausted(spiIn: child.spiIn))
            case .spent: report(.spent(spiIn: child.spiIn))
            }
        case .exhausted:
            guard !child.isSpent else { return }
            child.isSpent = true
            report(.exhausted(spiIn: child.spiIn))
        case .unsuitable: break
        }
    }

    /// Adds a sealed packet, which lies at the end of the used arena, to the last datagram if they may travel joined:
    /// same SA, same mark, all of one length but the last.
    private func append(
        _ slot: UnsafeMutableRawBufferPointer, _ total: Int, _ mark: UInt8, _ child: Child, joinable: Bool
    ) {
        arenaUsed += total
        let last = owners.count - 1
        if isLastOpen, joinable, owners[last] === child, outgoing[last].traffic_class == mark,
            total <= Int(outgoing[last].segment), Int(outgoing[last].length) + total <= Self.joinedBytes,
            Int(outgoing[last].length) / Int(outgoing[last].segment) < Self.joinedCount
        {
            outgoing[last].length += UInt32(total)
            isLastOpen = total == Int(outgoing[last].segment)
            return
        }
        var datagram = child.outgoing
        datagram.data = UnsafeRawPointer(slot.baseAddress)
        datagram.length = UInt32(total)
        datagram.segment = UInt16(clamping: total)
        datagram.traffic_class = mark
        isLastOpen = joinable && child.joins
        outgoing[last + 1] = datagram
        owners.append(child)
    }

    private func flush() {
        defer {
            owners.removeAll(keepingCapacity: true)
            arenaUsed = 0
            isLastOpen = false
        }
        guard let socket = owners.first?.socket.number else { return }
        var sent = 0
        var patience = 10
        while sent < owners.count {
            let result = clinux_send(socket, outgoing + sent, Int32(owners.count - sent))
            if result > 0 {
                sent += Int(result)
                continue
            }
            switch -result {
            case EAGAIN, ENOBUFS:
                // The network is slower than we: wait a little, which holds back the readers of the devices too.
                guard patience > 0 else { return }
                patience -= 1
                var waiting = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, 10)
            case EINVAL, EMSGSIZE, EIO:
                guard outgoing[sent].length > UInt32(outgoing[sent].segment) else {
                    sent += 1
                    continue
                }
                // The route takes no joined datagrams of this length: one by one, fragmented if need be.
                owners[sent].joins = false
                sendSingly(outgoing[sent], socket)
                sent += 1
            default:
                // No route, a firewall, an address that has gone: lost like any datagram.
                sent += 1
            }
        }
    }

    private func sendSingly(_ joined: clinux_outgoing, _ socket: Int32) {
        var at: UInt32 = 0
        while at < joined.length {
            var single = joined
            single.data = joined.data + Int(at)
            single.length = min(UInt32(joined.segment), joined.length - at)
            _ = clinux_send(socket, &single, 1)
            at += single.length
        }
    }
}
