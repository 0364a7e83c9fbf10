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
    public var espProposals: [ESPProposal]
    /// Selectors that we ask for, and the widest that we accept.
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    /// Hard lifetime of the IKE SA, and how long before it we rekey (a random part of `rekeyFuzz` is added).
    public var ikeLifetime: Tick.Span = .seconds(28_800)
    public var childLifetime: Tick.Span = .seconds(3600)
    /// We rekey this long before the lifetime ends; per SA the margin grows by up to `rekeyFuzzPercent`.
    public var ikeRekeyMargin: Tick.Span = .seconds(800)
    public var childRekeyMargin: Tick.Span = .seconds(600)
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
    /// Bytes of the largest IP datagram that an encrypted message goes out in; what is larger is cut into fragments, if
    /// the peer can take them (RFC 7383). Nil turns fragmentation off.
    public var fragmentSize: Int? = 1280
    /// Packets of the anti-replay window, 32 to 2048.
    public var replayWindow: Int = 1024

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
        self.espProposals = espProposals
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
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
