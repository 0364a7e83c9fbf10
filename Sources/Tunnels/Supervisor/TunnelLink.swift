public import Base

/// The network interface of one tunnel, as it should be.
public struct TunnelLink: Hashable, Codable, Sendable {
    /// The interface's name, such as `gh0`: at most 15 bytes.
    public var interface: String
    public var tunnel: String
    /// Our inside addresses with their prefix lengths.
    public var addresses: [IPPrefix]
    /// Bytes of the largest inner packet.
    public var mtu: Int
    /// Bytes that the MSS option of TCP SYNs passing is clamped to, for IPv4; IPv6 gets 20 less. Nil means MTU - 40.
    public var mss: Int?

    public init(interface: String, tunnel: String, addresses: [IPPrefix], mtu: Int, mss: Int?) {
        self.interface = interface
        self.tunnel = tunnel
        self.addresses = addresses
        self.mtu = mtu
        self.mss = mss
    }
}

/// A route into a tunnel, or one that keeps packets from leaving by another way while no tunnel is up.
public struct TunnelRoute: Hashable, Codable, Sendable {
    public var destination: IPPrefix
    /// Empty for an unreachable route.
    public var interface: String
    /// Lower wins.
    public var metric: UInt32
    /// The source address that the gateway itself uses, if any.
    public var preferredSource: IPAddress?
    /// The networks that may use the tunnel: without a ``preferredSource``, an address of the host within them is it.
    public var sources: [IPPrefix]
    /// Packets are refused with "destination unreachable" instead of being sent. With its high metric such a route
    /// takes what no tunnel carries, so that nothing for a remote network follows the default route in the clear.
    public var isUnreachable: Bool

    public init(
        destination: IPPrefix, interface: String, metric: UInt32, preferredSource: IPAddress? = nil,
        sources: [IPPrefix] = [], isUnreachable: Bool = false
    ) {
        self.destination = destination
        self.interface = interface
        self.metric = metric
        self.preferredSource = preferredSource
        self.sources = sources
        self.isUnreachable = isUnreachable
    }

    /// Refuses packets to `destination` that no other route takes.
    public static func unreachable(_ destination: IPPrefix, metric: UInt32) -> TunnelRoute {
        TunnelRoute(destination: destination, interface: "", metric: metric, isUnreachable: true)
    }
}
