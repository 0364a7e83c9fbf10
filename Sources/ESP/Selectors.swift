public import Base

/// A range of addresses, ports and a protocol at one end of an SA (RFC 4301 §4.4.1.1).
public struct Selector: Hashable, Sendable {
    public var first: IPAddress
    public var last: IPAddress
    /// IP protocol; 0 is any.
    public var ipProtocol: UInt8
    public var firstPort: UInt16
    public var lastPort: UInt16

    public init(
        first: IPAddress, last: IPAddress, ipProtocol: UInt8 = 0, firstPort: UInt16 = 0, lastPort: UInt16 = 65535
    ) {
        self.first = first
        self.last = last
        self.ipProtocol = ipProtocol
        self.firstPort = firstPort
        self.lastPort = lastPort
    }

    public init(_ prefix: IPPrefix) { self.init(first: prefix.first, last: prefix.last) }

    private var isAnyPort: Bool { firstPort == 0 && lastPort == 65535 }

    /// Whether it holds every packet of its family.
    fileprivate var isEverything: Bool {
        ipProtocol == 0 && isAnyPort && first == .any(first.family)
            && last == IPPrefix.all(first.family).last
    }

    func permits(_ address: IPAddress, _ ipProtocol: UInt8, port: UInt16?) -> Bool {
        guard address.family == first.family, first <= address, address <= last,
            self.ipProtocol == 0 || self.ipProtocol == ipProtocol
        else { return false }
        if isAnyPort { return true }
        // A later fragment shows no ports: it may pass only where every port may (RFC 4301 §7.1).
        guard let port else { return false }
        return firstPort <= port && port <= lastPort
    }
}

/// What an SA pair may carry: packets between the local and the remote networks, nothing else.
public struct SelectorPair: Sendable {
    private let local: [Selector]
    private let remote: [Selector]
    private let everyIPv4: Bool
    private let everyIPv6: Bool

    public init(local: [Selector], remote: [Selector]) {
        self.local = local
        self.remote = remote
        func every(_ family: IPAddress.Family) -> Bool {
            [local, remote].allSatisfy { $0.contains { $0.isEverything && $0.first.family == family } }
        }
        everyIPv4 = every(.ipv4)
        everyIPv6 = every(.ipv6)
    }

    /// Whether we may send the packet: from a local to a remote network.
    public func permitsOutbound(_ packet: InnerPacket) -> Bool { permits(packet, from: local, to: remote) }

    /// Whether the peer may have sent the packet: from a remote to a local network.
    public func permitsInbound(_ packet: InnerPacket) -> Bool { permits(packet, from: remote, to: local) }

    private func permits(_ packet: InnerPacket, from sources: [Selector], to destinations: [Selector]) -> Bool {
        if packet.isIPv4 ? everyIPv4 : everyIPv6 { return true }
        return sources.contains { $0.permits(packet.source, packet.ipProtocol, port: packet.ports?.source) }
            && destinations.contains {
                $0.permits(packet.destination, packet.ipProtocol, port: packet.ports?.destination)
            }
    }
}
