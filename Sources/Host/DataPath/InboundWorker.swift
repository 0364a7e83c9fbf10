import Base
import CLinux
import ESP
import Glibc
import IKE

/// From the sockets to the tunnels: finds the SA by SPI, opens the packet, writes it to the TUN device.
///
/// Proof of Sendable: created by ``UserspaceDataPath``, touched afterwards by jobs on the IO loop's thread and by that
/// loop alone; what other threads read is in ``ChildTally``.
final class InboundWorker: ESPReceiver, @unchecked Sendable {
    /// An inbound SA and what belongs to it.
    final class Child {
        let sa: InboundSA
        let tunnel: Tunnel
        let tally: ChildTally
        var path: Path
        fileprivate var allowance: Allowance
        /// The source that was last reported, so that a move is reported once.
        var reported: Endpoint?

        init(_ sa: InboundSA, _ tunnel: Tunnel, _ tally: ChildTally, _ path: Path, _ limits: ChildLimits) {
            allowance = Allowance(limits)
            self.sa = sa
            self.tunnel = tunnel
            self.tally = tally
            self.path = path
        }
    }

    /// The writing side of one TUN device.
    final class Tunnel {
        let device: TunnelDevice
        var clamp: MSSClamp
        let coalescer = TCPCoalescer()
        var isWaiting = false

        init(_ device: TunnelDevice, _ clamp: MSSClamp) {
            self.device = device
            self.clamp = clamp
        }
    }

    var tunnels: [String: Tunnel] = [:]
    private var children: [UInt32: Child] = [:]
    private var newest: Child?
    private var waiting: [Tunnel] = []
    private var now = Tick.zero
    private var unknown: [IPAddress: Tick] = [:]
    private let writer = PacketWriter()
    private let report: @Sendable (DataPathEvent) -> Void

    init(report: @escaping @Sendable (DataPathEvent) -> Void) { self.report = report }

    func install(_ child: Child) {
        children[child.sa.spi] = child
        newest = nil
    }

    func remove(_ spi: UInt32) {
        children[spi] = nil
        newest = nil
    }

    func move(_ spi: UInt32, to path: Path) {
        children[spi]?.path = path
        children[spi]?.reported = nil
    }

    func closeTunnel(_ name: String) {
        guard let tunnel = tunnels.removeValue(forKey: name) else { return }
        children = children.filter { $0.value.tunnel !== tunnel }
        newest = nil
    }

    func removeAll() {
        tunnels = [:]
        children = [:]
        newest = nil
        waiting = []
    }

    func begin(now: Tick) { self.now = now }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from origin: DatagramOrigin) {
        guard packet.count >= 8 else { return }
        let spi = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        guard let child = find(spi) else {
            reportUnknown(spi, origin)
            return
        }
        switch child.sa.open(packet) {
        case .packet(let inner, let offset, let isNewest):
            let bytes = UnsafeMutableRawBufferPointer(rebasing: packet[offset..<offset + inner.length])
            guard !child.allowance.isSpent else { return }
            child.tally.countIn(packet.count, now: now)
            switch child.allowance.count(packet.count) {
            case .fine: break
            case .exhausted: report(.exhausted(spiIn: spi))
            case .spent: report(.spent(spiIn: spi))
            }
            if isNewest, origin.isUDP { checkSource(child, origin) }
            guard ECN.decapsulate(bytes, inner: inner.trafficClass, outer: origin.trafficClass) else { return }
            child.tunnel.clamp.apply(bytes, inner)
            deliver(bytes, inner, child.tunnel)
        case .dummy: child.tally.countAlive(now: now)
        case .replayed: child.tally.countReplayed()
        case .forged, .malformed: child.tally.countForged()
        case .outsideSelectors:
            child.tally.countAlive(now: now)
            child.tally.countOutsideIn()
        }
    }

    /// Writes out what was held back to be joined: the buffers are used again after this.
    func end() {
        for tunnel in waiting {
            tunnel.isWaiting = false
            tunnel.coalescer.flush { writer.write($0, $1, to: tunnel.device.descriptor.number) }
        }
        waiting.removeAll(keepingCapacity: true)
    }

    private func find(_ spi: UInt32) -> Child? {
        if let newest, newest.sa.spi == spi { return newest }
        newest = children[spi]
        return newest
    }

    private func deliver(_ bytes: UnsafeMutableRawBufferPointer, _ inner: InnerPacket, _ tunnel: Tunnel) {
        tunnel.coalescer.offer(bytes, inner) { writer.write($0, $1, to: tunnel.device.descriptor.number) }
        if !tunnel.isWaiting, !tunnel.coalescer.isEmpty {
            tunnel.isWaiting = true
            waiting.append(tunnel)
        }
    }

    /// Only a packet newer than all before may move the peer: an old one, copied and sent from elsewhere, may not.
    private func checkSource(_ child: Child, _ origin: DatagramOrigin) {
        let source = origin.path.remote
        guard child.path.isNATPort, source != child.path.remote, source != child.reported else { return }
        child.reported = source
        report(.peerMoved(spiIn: child.sa.spi, origin.path))
    }

    /// At most once a second for an address, and for at most 256 addresses at a time.
    private func reportUnknown(_ spi: UInt32, _ origin: DatagramOrigin) {
        let address = origin.path.remote.address
        if let last = unknown[address], now - last < .seconds(1) { return }
        if unknown.count >= 256 {
            unknown = unknown.filter { now - $0.value < .seconds(1) }
            guard unknown.count < 256 else { return }
        }
        unknown[address] = now
        report(.unknownSPI(spi, from: origin.path.remote))
    }
}

/// Writes packets to TUN devices, whole or in parts, without allocating.
final class PacketWriter {
    private let vectors = UnsafeMutablePointer<iovec>.allocate(capacity: capacity)
    private let header = UnsafeMutablePointer<clinux_vnet_header>.allocate(capacity: 1)
    private static let capacity = 65

    init() {
        vectors.initialize(repeating: iovec(), count: Self.capacity)
        header.initialize(to: clinux_vnet_header())
    }

    deinit {
        vectors.deallocate()
        header.deallocate()
    }

    /// Writes one packet. A device that is down or gone drops it: whoever reads the device notices and reports that.
    func write(
        _ parts: UnsafeBufferPointer<UnsafeMutableRawBufferPointer>, _ offload: TCPCoalescer.Offload, to device: Int32
    ) {
        guard parts.count < Self.capacity else { return }
        header.pointee = clinux_vnet_header()
        if offload.segmentSize > 0 {
            header.pointee.flags = UInt8(CLINUX_VNET_NEEDS_CHECKSUM)
            header.pointee.gso_type = UInt8(offload.isIPv4 ? CLINUX_VNET_TCP4 : CLINUX_VNET_TCP6)
            header.pointee.header_length = UInt16(truncatingIfNeeded: offload.headerLength)
            header.pointee.gso_size = UInt16(truncatingIfNeeded: offload.segmentSize)
            header.pointee.checksum_start = UInt16(truncatingIfNeeded: offload.checksumStart)
            header.pointee.checksum_offset = 16
        }
        vectors[0] = iovec(iov_base: UnsafeMutableRawPointer(header), iov_len: TunnelDevice.headerLength)
        for (index, part) in parts.enumerated() {
            vectors[index + 1] = iovec(iov_base: part.baseAddress, iov_len: part.count)
        }
        while writev(device, vectors, Int32(parts.count + 1)) < 0, errno == EINTR {}
    }
}
