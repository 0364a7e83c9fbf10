import Base
import Cryptography
import ESP
import IKE

/// A data path in memory with real ESP: what the userspace data path does, without threads and sockets.
final class DataPath {
    final class Child {
        let sa: ChildSA
        let interface: String
        let inbound: InboundSA
        let outbound: OutboundSA
        let selectors: SelectorPair
        var path: Path
        /// What is left of its limits, inbound and outbound.
        var allowances: (inbound: Allowance, outbound: Allowance)
        /// The source that was last reported, so that a move is reported once.
        var reported: Endpoint?
        var lastInbound: Tick?
        var toldInbound: Tick?

        init(_ sa: ChildSA, interface: String) throws {
            self.sa = sa
            self.interface = interface
            selectors = SelectorPair(
                local: sa.localSelectors.map(Self.selector), remote: sa.remoteSelectors.map(Self.selector))
            inbound = try InboundSA(
                spi: sa.spiIn, encryption: sa.suite.encryption, integrity: sa.suite.integrity,
                encryptionKey: sa.encryptionKeyIn, integrityKey: sa.integrityKeyIn, extendedSequence: sa.suite.esn,
                replayWindow: sa.replayWindow, selectors: selectors)
            outbound = try OutboundSA(
                spi: sa.spiOut, encryption: sa.suite.encryption, integrity: sa.suite.integrity,
                encryptionKey: sa.encryptionKeyOut, integrityKey: sa.integrityKeyOut, extendedSequence: sa.suite.esn)
            path = sa.path
            allowances = (Allowance(sa.limits), Allowance(sa.limits))
        }

        private static func selector(_ selector: TrafficSelector) -> Selector {
            Selector(
                first: selector.first, last: selector.last, ipProtocol: selector.ipProtocol,
                firstPort: selector.firstPort, lastPort: selector.lastPort)
        }
    }

    private struct Tunnel {
        /// Children that packets are sent on; the first whose selectors fit is used.
        var active: [UInt32] = []
        /// Installed, but not to be used before the peer is known to hear us.
        var staged: [UInt32] = []
    }

    private(set) var children: [UInt32: Child] = [:]
    private var tunnels: [String: Tunnel] = [:]

    func open(_ interface: String) { tunnels[interface] = tunnels[interface] ?? Tunnel() }

    func hasInterface(_ interface: String) -> Bool { tunnels[interface] != nil }

    /// Returns the children that went with the interface.
    func close(_ interface: String) -> [UInt32] {
        tunnels[interface] = nil
        let gone = children.values.filter { $0.interface == interface }.map(\.sa.spiIn).sorted()
        for spiIn in gone { children[spiIn] = nil }
        return gone
    }

    func install(_ child: Child) {
        children[child.sa.spiIn] = child
        tunnels[child.interface]?.staged.append(child.sa.spiIn)
    }

    func use(_ spiIn: UInt32) {
        guard let child = children[spiIn], var tunnel = tunnels[child.interface],
            let index = tunnel.staged.firstIndex(of: spiIn)
        else { return }
        tunnel.staged.remove(at: index)
        tunnel.active.removeAll { $0 == child.sa.replaces }
        tunnel.active.insert(spiIn, at: 0)
        tunnels[child.interface] = tunnel
    }

    func remove(_ spiIn: UInt32) {
        guard let child = children.removeValue(forKey: spiIn) else { return }
        tunnels[child.interface]?.active.removeAll { $0 == spiIn }
        tunnels[child.interface]?.staged.removeAll { $0 == spiIn }
    }

    /// The children of an interface, lowest SPI first.
    func children(of interface: String) -> [Child] {
        children.values.filter { $0.interface == interface }.sorted { $0.sa.spiIn < $1.sa.spiIn }
    }

    /// The child that a packet of this interface would be sent on first.
    func sending(_ interface: String) -> Child? { tunnels[interface]?.active.first.flatMap { children[$0] } }

    /// Seals a packet for the interface; nil when no SA may carry it.
    func seal(_ message: InnerMessage, _ interface: String) -> (bytes: [UInt8], child: Child)? {
        var plain = message.bytes
        let inner = plain.withUnsafeMutableBytes { InnerPacket(UnsafeRawBufferPointer($0)) }
        guard let inner,
            let child = tunnels[interface]?.active.lazy.compactMap({ self.children[$0] })
                .first(where: { $0.selectors.permitsOutbound(inner) })
        else { return nil }
        guard !child.allowances.outbound.isSpent else { return nil }
        let format = child.outbound.format
        var buffer = [UInt8](repeating: 0, count: format.sealedLength(plain.count))
        buffer.replaceSubrange(format.headerLength..<format.headerLength + plain.count, with: plain)
        let sealed = buffer.withUnsafeMutableBytes { child.outbound.seal($0, length: plain.count) }
        guard case .sealed = sealed else { return nil }
        return (buffer, child)
    }

    enum Opened {
        case message(InnerMessage, Child, isNewest: Bool)
        /// Opened, and yet not what anyone sent.
        case strange(Child)
        case refused
    }

    func open(_ bytes: [UInt8]) -> Opened {
        guard bytes.count >= 8, let child = children[bytes[0..<4].reduce(0) { $0 << 8 | UInt32($1) }] else {
            return .refused
        }
        guard !child.allowances.inbound.isSpent else { return .refused }
        var buffer = bytes
        let result = buffer.withUnsafeMutableBytes { child.inbound.open($0) }
        guard case .packet(let inner, let offset, let isNewest) = result else { return .refused }
        guard let message = InnerMessage(buffer[offset..<offset + inner.length]) else { return .strange(child) }
        return .message(message, child, isNewest: isNewest)
    }
}
