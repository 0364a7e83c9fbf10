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
    /// Those of every SA pair that is installed, by inbound SPI.
    func counters() async -> [UInt32: ChildCounters]

    /// Finds the interfaces that an earlier process left, and the tunnels that they were for. What is on them goes on
    /// until a successor is installed, ``settle()`` finds them unclaimed, or a while has passed.
    func inherit() async -> [String: String]
    /// Takes over pairs that an earlier process installed. Returns those, by inbound SPI, that are all there.
    func adopt(_ children: [KeptChild]) async -> Set<UInt32>
    /// Call it once the first set of tunnels is open: what an earlier process left and nobody has claimed is removed.
    func settle() async
    /// Compares what is in the kernel with what should be there and puts it right, for what goes without a word; returns
    /// how many differences there were. What was put right is told by events.
    @discardableResult
    func inspect() async throws -> Int

    /// What the data path saw; ends when the data path is shut down.
    var events: AsyncStream<DataPathEvent> { get }
    /// Removes every interface and SA of ours. Afterwards nothing is left in the kernel.
    func shutDown() async
    /// Ends and leaves everything in the kernel as it is, where it goes on without us.
    func release() async
}

/// A pair of SAs as an earlier process had installed it.
public struct KeptChild: Sendable {
    /// Its keys are not needed and may be empty.
    public var child: ChildSA
    public var interface: String
    /// Packets were sent on it.
    public var usesOutbound: Bool

    public init(_ child: ChildSA, interface: String, usesOutbound: Bool) {
        self.child = child
        self.interface = interface
        self.usesOutbound = usesOutbound
    }
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
    /// An SA has gone from the kernel, or could not be put there: it needs a successor with new keys.
    case childLost(spiIn: UInt32, reason: String)
    /// Someone changed what is ours and it has been put right; a sentence without a full stop.
    case mended(interface: String, String)
    /// Something could not be put right; a sentence without a full stop.
    case troubled(String)
    /// The interface was taken away or the device failed.
    case tunnelLost(interface: String, reason: String)
}
