public import Base

/// The supervisor's measures. The defaults suit AWS, which takes a peer for dead after about 30 seconds and lets a
/// tunnel go down that carries nothing for 10.
public struct SupervisorConfiguration: Hashable, Sendable {
    /// `userspace` or `kernel`, as the status shows it.
    public var dataPath = "userspace"
    /// Interfaces are called this and a number.
    public var interfacePrefix = "gh"
    /// Interfaces that an earlier run left, by the tunnel's name: the tunnel gets the same one again.
    public var keptInterfaces: [String: String] = [:]
    /// The UDP ports that our IKE sockets are bound to.
    public var ikePort: UInt16 = 500
    public var natPort: UInt16 = 4500
    /// How long a first contact is tried before it counts as failed.
    public var connectTimeout = Tick.Span.seconds(30)

    /// The first pause before the next attempt; it doubles with each failure up to ``longestPause``.
    public var firstPause = Tick.Span.seconds(1)
    public var longestPause = Tick.Span.seconds(60)
    /// The first pause after a refused authentication, so that a wrong key does not hammer the peer.
    public var firstPauseAfterRefusal = Tick.Span.seconds(10)
    /// Each pause is longer or shorter by up to this share, so that many tunnels do not come back in step.
    public var pauseJitterPercent = 25
    /// A tunnel that was online this long starts again from the first pause.
    public var stableAfter = Tick.Span.seconds(60)

    /// Pause between probes of the peer's inside address.
    public var probeInterval = Tick.Span.seconds(5)
    /// Probes lost in a row that make a tunnel degraded, once the peer has ever answered one.
    public var probesLostLimit = 3
    /// Retransmissions of one request that make a tunnel degraded before the peer counts as dead.
    public var suspectRetransmits = 2

    /// A tunnel that failed must be healthy this long before it gets its traffic back.
    public var holdTime = Tick.Span.seconds(30)
    /// The hold time doubles with each failure within ``flapWindow``, up to this.
    public var longestHoldTime = Tick.Span.seconds(600)
    public var flapWindow = Tick.Span.seconds(3600)

    /// Metric of the route over a connector's active tunnel; the others follow from ``standbyMetric`` in order.
    public var activeMetric: UInt32 = 100
    public var standbyMetric: UInt32 = 200
    /// Added for each connector that names the same network before this one.
    public var overlapStep: UInt32 = 1000
    /// Metric of the unreachable route that keeps packets from leaving in the clear.
    public var unreachableMetric: UInt32 = 4_000_000

    /// A failure that repeats itself is reported again after this long, with a count.
    public var repeatedFailureInterval = Tick.Span.seconds(600)
    /// When a definition changes, a connector's last healthy tunnel waits this long for another to take over.
    public var replacementPatience = Tick.Span.seconds(60)
    /// How long ``SupervisorInput/shutDown`` waits for peers to acknowledge the deletes.
    public var shutDownTimeout = Tick.Span.seconds(3)

    public init() {}
}
