public import Base
public import IKE

/// All that can happen to the supervisor, apart from time passing.
public enum SupervisorInput: Sendable {
    /// All connectors as they should be. What did not change is not touched.
    case connectors([Connector])
    /// Before the first connectors: tunnels as an earlier process had them, with SAs that stand. One whose terms are no
    /// longer those of its definition is brought up anew.
    case resume([ResumedTunnel])
    /// An event of the IKE engine.
    case ike(IKE.Event)
    /// The engine asks for a child to be installed; ``SupervisorEffect/installChild(_:interface:outbound:)`` follows.
    case installChild(ChildSA, outbound: Bool)
    /// The engine has taken a child away.
    case childRemoved(spiIn: UInt32)
    /// The answer to ``SupervisorEffect/openLink(_:)``.
    case linkOpened(interface: String)
    /// The link could not be opened, or was lost later.
    case linkFailed(interface: String, reason: String)
    /// The peer's inside address answered a probe.
    case probeAnswered(tunnel: String, roundTrip: Tick.Span)
    /// Replace SAs now. The subject is a tunnel's name or a connector's ID.
    case rekey(String, Phase)
    /// Delete the SAs of a tunnel, or of a connector's tunnels, and bring them up anew.
    case restart(String)
    /// Delete everything in an orderly way; ``SupervisorEffect/finished`` follows within a bounded time.
    case shutDown

    /// Which SAs to replace.
    public enum Phase: String, Codable, Sendable, CaseIterable { case ike, child, both }
}

/// A tunnel as an earlier process left it, whose engine's state goes on in ours.
public struct ResumedTunnel: Sendable {
    public var tunnel: String
    public var interface: String
    public var connection: ConnectionID
    /// What its SAs were made by.
    public var terms: ConnectionConfiguration
    public var phase1: [(id: IKESAID, summary: IKESummary)]
    /// The children that the data path still has.
    public var children: [(child: ChildSA, isSuperseded: Bool)]

    public init(
        tunnel: String, interface: String, connection: ConnectionID, terms: ConnectionConfiguration,
        phase1: [(id: IKESAID, summary: IKESummary)], children: [(child: ChildSA, isSuperseded: Bool)]
    ) {
        self.tunnel = tunnel
        self.interface = interface
        self.connection = connection
        self.terms = terms
        self.phase1 = phase1
        self.children = children
    }
}

/// What the supervisor wants done. The caller carries effects out in order.
public enum SupervisorEffect: Sendable {
    /// Hand this to the IKE engine.
    case ike(IKE.Input)
    /// Create the interface, or bring the one that exists in line; answer `.linkOpened` or `.linkFailed`.
    case openLink(TunnelLink)
    case closeLink(interface: String)
    /// Install the pair on this interface and answer the engine.
    case installChild(ChildSA, interface: String, outbound: Bool)
    /// The complete set of routes of these connectors from now on, by ID; those of others stay.
    case setRoutes([String: [TunnelRoute]])
    /// Send one echo request through the tunnel; answer `.probeAnswered` if it is answered.
    case probe(tunnel: String, interface: String, from: IPAddress, to: IPAddress)
    /// For the event log.
    case event(
        level: GatewayEvent.Level, kind: String, connector: String?, tunnel: String?, message: String)
    /// All is down, after ``SupervisorInput/shutDown``.
    case finished
}

/// What has passed through a child, for the status.
public struct ChildTraffic: Hashable, Sendable {
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    public var packetsIn: UInt64
    public var packetsOut: UInt64
    /// When the last authenticated packet came in.
    public var lastInbound: Tick?

    public init(
        bytesIn: UInt64 = 0, bytesOut: UInt64 = 0, packetsIn: UInt64 = 0, packetsOut: UInt64 = 0,
        lastInbound: Tick? = nil
    ) {
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.packetsIn = packetsIn
        self.packetsOut = packetsOut
        self.lastInbound = lastInbound
    }
}
