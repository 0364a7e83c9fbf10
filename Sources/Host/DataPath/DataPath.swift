public import Base
public import IKE
public import Tunnels

/// What carries the packets of child SAs: userspace ESP over TUN, or the kernel's XFRM.
///
/// Calls are made by one owner, in order. A call that throws has changed nothing.
public protocol DataPath: Sendable {
    /// `userspace` or `kernel`, as the status shows it.
    var kind: String { get }

    /// Creates the tunnel's interface, or brings one that exists in line with `link`.
    func openTunnel(_ link: TunnelLink) async throws
    /// Removes the interface and every SA on it.
    func closeTunnel(interface: String) async

    /// Installs the pair on a tunnel's interface. With `outbound` false the inbound SA is live and the
    /// outbound one waits for ``useOutbound(spiIn:)``. Each SA carries no more than ``ChildSA/limits`` permits.
    func install(_ child: ChildSA, interface: String, outbound: Bool) async throws
    /// Sends on this SA from now on.
    func useOutbound(spiIn: UInt32) async
    func remove(spiIn: UInt32) async
    /// The peer's outside address or port changed.
    func move(spiIn: UInt32, to path: Path) async
    /// Nil for an SA that is not installed.
    func counters(spiIn: UInt32) async -> ChildCounters?

    /// What the data path saw; ends when the data path is shut down.
    var events: AsyncStream<DataPathEvent> { get }
    /// Removes every interface and SA of ours. Afterwards nothing is left in the kernel.
    func shutDown() async
}

/// What has passed through one pair of SAs.
public struct ChildCounters: Hashable, Sendable {
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    public var packetsIn: UInt64 = 0
    public var packetsOut: UInt64 = 0
    /// Packets dropped: replayed or too old, failing integrity, or outside the selectors.
    public var replayed: UInt64 = 0
    public var forged: UInt64 = 0
    public var outsideSelectors: UInt64 = 0
    /// When the last authenticated packet came in.
    public var lastInbound: Tick?

    public init() {}
}

public enum DataPathEvent: Sendable, Hashable {
    /// An authenticated packet came from another address or port than the SA's path.
    case peerMoved(spiIn: UInt32, Path)
    /// A byte, packet or sequence number limit is near: rekey.
    case exhausted(spiIn: UInt32)
    /// A hard limit of bytes or packets is reached, and the SA passes nothing any more.
    case spent(spiIn: UInt32)
    /// ESP with an SPI that nobody knows, at most once a second for a peer.
    case unknownSPI(UInt32, from: Endpoint)
    /// The interface was taken away or the device failed.
    case tunnelLost(interface: String, reason: String)
}
