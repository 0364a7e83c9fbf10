public import Base

/// Our name for one configured peer, chosen by the caller. Several IKE SAs may belong to one connection
/// (a responder that serves many peers by one definition).
public struct ConnectionID: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    public var rawValue: UInt32
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    public static func < (a: ConnectionID, b: ConnectionID) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "#\(rawValue)" }
}

/// Phase 1 and phase 2 of one peer, as the engine needs them.
public struct ConnectionConfiguration: Hashable, Codable, Sendable {
    /// For messages and logs, such as `vpn-0a1b-1`.
    public var name: String
    /// Our address; unspecified (0.0.0.0 or ::) lets the host choose by route.
    public var localAddress: IPAddress
    /// The peer's address; nil accepts any (responder only).
    public var remoteAddress: IPAddress?
    public var localPort: UInt16 = 500
    public var remotePort: UInt16 = 500
    public var localNATPort: UInt16 = 4500
    public var remoteNATPort: UInt16 = 4500
    /// IDi/IDr that we send; nil means our address.
    public var localID: IKEIdentity?
    /// The identity that the peer must prove; nil means the remote address, or any when that is nil too.
    public var remoteID: IKEIdentity?
    public var authentication: Authentication
    /// Mixed into the keys, where the peer has it too.
    public var ppk: PostquantumKey?
    public var ikeProposals: [IKEProposal]
    /// The first child SA, which most connections have alone; it comes with IKE_AUTH.
    public var child: ChildConfiguration
    /// Those behind it, by an exchange each. They stand or fall by themselves.
    public var furtherChildren: [ChildConfiguration] = []
    /// Hard lifetime of the IKE SA.
    public var ikeLifetime: Tick.Span = .seconds(28_800)
    /// We rekey this long before the lifetime ends; per SA the margin grows by up to `rekeyFuzzPercent`.
    public var ikeRekeyMargin: Tick.Span = .seconds(800)
    public var rekeyFuzzPercent: Int = 20
    /// Send a liveness check when nothing has come in for this long. Zero turns DPD off.
    public var dpdDelay: Tick.Span = .seconds(10)
    /// A peer that leaves a request unanswered for this long is dead.
    public var dpdTimeout: Tick.Span = .seconds(30)
    /// How long an unanswered first contact (IKE_SA_INIT, IKE_AUTH) is retried before it is given up.
    public var connectTimeout: Tick.Span = .seconds(30)
    /// Interval of NAT keep-alives when we are behind a NAT (RFC 3948 §4).
    public var natKeepalive: Tick.Span = .seconds(20)
    /// Pretend that there is a NAT, so that ESP always travels in UDP 4500 (accelerated AWS connections).
    public var forceUDPEncapsulation: Bool = false
    /// Let the IKE SA follow a change of addresses, if the peer can (MOBIKE, RFC 4555).
    public var isMobile: Bool = false
    /// Begin without a child SA where the peer offers that (RFC 6023): the first child then has a key exchange of its
    /// own. A peer may always begin so with us.
    public var prefersChildless: Bool = false
    /// Bytes of the largest IP datagram that an encrypted message goes out in; what is larger is cut into fragments, if
    /// the peer can take them (RFC 7383). Nil turns fragmentation off.
    public var fragmentSize: Int? = 1280

    public init(
        name: String, localAddress: IPAddress, remoteAddress: IPAddress?, authentication: Authentication,
        ikeProposals: [IKEProposal], espProposals: [ESPProposal],
        localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector]
    ) {
        self.name = name
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        self.authentication = authentication
        self.ikeProposals = ikeProposals
        child = ChildConfiguration(
            espProposals: espProposals, localSelectors: localSelectors, remoteSelectors: remoteSelectors)
    }

    /// The terms of every child, in the order in which they carry packets where their selectors overlap.
    public var children: [ChildConfiguration] { [child] + furtherChildren }

    /// The terms of the child in this place; those of the first where there is none (any more).
    func child(at place: Int) -> ChildConfiguration {
        furtherChildren.indices.contains(place - 1) ? furtherChildren[place - 1] : child
    }
}

/// The first child's terms, for connections that have one.
extension ConnectionConfiguration {
    public var espProposals: [ESPProposal] {
        get { child.espProposals }
        set { child.espProposals = newValue }
    }
    public var localSelectors: [TrafficSelector] {
        get { child.localSelectors }
        set { child.localSelectors = newValue }
    }
    public var remoteSelectors: [TrafficSelector] {
        get { child.remoteSelectors }
        set { child.remoteSelectors = newValue }
    }
    public var childLifetime: Tick.Span {
        get { child.lifetime }
        set { child.lifetime = newValue }
    }
    public var childRekeyMargin: Tick.Span {
        get { child.rekeyMargin }
        set { child.rekeyMargin = newValue }
    }
    public var replayWindow: Int {
        get { child.replayWindow }
        set { child.replayWindow = newValue }
    }
}

/// The two ends that a datagram travels between.
public struct Path: Hashable, Codable, Sendable, CustomStringConvertible {
    public var local: Endpoint
    public var remote: Endpoint
    /// True on the NAT-traversal socket (UDP 4500): IKE messages carry four zero bytes in front (RFC 3948 §2.2)
    /// and ESP travels in UDP.
    public var isNATPort: Bool

    public init(local: Endpoint, remote: Endpoint, isNATPort: Bool) {
        self.local = local
        self.remote = remote
        self.isNATPort = isNATPort
    }

    public var description: String { "\(local) - \(remote)" }
}
