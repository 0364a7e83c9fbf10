import Base
import Cryptography

/// One IKE SA: everything that we know about one key set with one peer.
struct IKESA: Sendable, Codable {
    /// Our SPI.
    let spi: UInt64
    var peerSPI: UInt64 = 0
    /// Whether we sent the first message of this SA (for a rekeyed one: the request that made it).
    let isInitiator: Bool
    /// Nil on a responder until IKE_AUTH says who the peer is.
    var connection: ConnectionID?
    var path: Path
    var nat = NATState()
    /// Set when both ends can follow a change of addresses.
    var mobility: Mobility?
    /// By this the peer proves that it has lost the SA.
    var crashToken: Secret?
    var suite: IKESuite?
    var keys: IKEKeys?
    /// The IV of the next message that we encrypt with an AEAD cipher; never used twice.
    var nextIV: UInt64 = 1
    var state: State
    /// Bytes of the largest IP datagram that our messages go out in; 0 until both sides agree on fragments.
    var fragmentSize: UInt16 = 0
    /// The peer's unfinished messages: one request and one answer at most.
    var reassemblies: [Reassembly] = []

    /// Our own requests: one at a time (RFC 7296 §2.3).
    var nextRequestID: UInt32 = 0
    var request: Request?
    /// What the outstanding request is for, once the SA is established.
    var exchange: Exchange?
    var tasks: [PlannedTask] = []

    /// The peer's requests.
    var nextPeerRequestID: UInt32 = 0
    var lastAnswer: LastAnswer?
    /// An answer that waits until the data path has our inbound SA.
    var pendingReply: PendingReply?

    var localID: IKEIdentity?
    var remoteID: IKEIdentity?
    /// How both sides proved themselves; nil for a pre-shared key and nothing else.
    var authenticated: Authenticated?
    var establishedAt: Tick = .zero
    var rekeyAt: Tick = .distantFuture
    var expiresAt: Tick = .distantFuture
    /// When the peer last proved that it lives, by an authenticated message or packet.
    var lastInbound: Tick = .zero
    var nextKeepalive: Tick = .distantFuture
    /// When to look whether another SA with the same peer is still there; set when two calls have crossed.
    var duplicateCheckAt: Tick = .distantFuture
    var children: [Child] = []
    /// Set on the product of the peer's rekey while ours is out: the SA that it is to replace if the peer wins.
    var predecessor: UInt64?
    /// The peer's rekeys of this IKE SA and those before it; nil where there were none lately.
    var peerRekeys: PeerRekeys?
    /// No longer in the table after this turn.
    var isGone = false

    init(spi: UInt64, isInitiator: Bool, path: Path, state: State) {
        self.spi = spi
        self.isInitiator = isInitiator
        self.path = path
        self.state = state
    }

    var id: IKESAID { IKESAID(spi) }
    var initiatorSPI: UInt64 { isInitiator ? spi : peerSPI }
    var responderSPI: UInt64 { isInitiator ? peerSPI : spi }
    /// Nobody has been told of it yet.
    var isProvisional: Bool { predecessor != nil }
    var isHalfOpen: Bool {
        if case .halfOpen = state { true } else { false }
    }
    var isEstablished: Bool {
        if case .established = state { true } else { false }
    }

    /// Where ESP of the children goes: in UDP only when there is a NAT (or we pretend one), whatever port IKE uses.
    var childPath: Path {
        guard path.isNATPort, !nat.encapsulates else { return path }
        return Path(local: path.local, remote: path.remote, isNATPort: false)
    }

    func childIndex(_ spiIn: UInt32) -> Int? { children.firstIndex { $0.spiIn == spiIn } }
    /// The child whose packets the peer receives on `spi`.
    func childIndex(peerSPI spi: UInt32) -> Int? { children.firstIndex { $0.spiOut == spi } }
    /// A child that carries traffic and will go on doing so.
    var hasLiveChild: Bool { children.contains { $0.isLive } }
    /// The same of the child in one place of the connection.
    func hasLiveChild(at place: Int) -> Bool { children.contains { $0.place == place && $0.isLive } }
    /// A child that we want is still being asked for.
    var isAskingForChild: Bool {
        if case .child(let creation) = exchange, creation.replaces == nil { return true }
        return tasks.contains { if case .createChild = $0 { true } else { false } }
    }
}

/// How often the peer has replaced the IKE SA in a while: each that was replaced stays for a minute.
struct PeerRekeys: Sendable, Codable, Hashable {
    var since: Tick
    var count: Int

    static let most = 8
    static let window = Tick.Span.seconds(10)
}

extension IKESA {
    func admitsRekey(now: Tick) -> Bool {
        guard let peerRekeys, now - peerRekeys.since < PeerRekeys.window else { return true }
        return peerRekeys.count < PeerRekeys.most
    }

    mutating func noteRekey(now: Tick) {
        if let known = peerRekeys, now - known.since < PeerRekeys.window {
            peerRekeys = PeerRekeys(since: known.since, count: known.count + 1)
        } else {
            peerRekeys = PeerRekeys(since: now, count: 1)
        }
    }
}

/// What we know of address translators between us and the peer (RFC 7296 §2.23).
struct NATState: Sendable, Codable, Hashable {
    var isBehindNAT = false
    var isPeerBehindNAT = false
    /// We pretend to be behind one.
    var isForced = false

    var encapsulates: Bool { isBehindNAT || isPeerBehindNAT || isForced }
}

/// The life of an IKE SA. Legal moves:
///
///     initSent ──► authSent ──► established ──► rekeyed ──► (gone)
///        │            │           │  ▲   │         │
///        ▼            ▼           │  │   ▼         ▼
///      (gone)       (gone)        │  │ deleting ─► closed ──► (gone)
///     halfOpen ───────────────────┼──┘             ▲
///        └────────────────────────┴────────────────┘
enum State: Sendable, Codable {
    /// Initiator: IKE_SA_INIT is out.
    case initSent(InitSent)
    /// Initiator: IKE_AUTH is out.
    case authSent(AuthSent)
    /// Responder: IKE_SA_INIT is answered, IKE_AUTH is awaited or its child is being installed.
    case halfOpen(HalfOpen)
    case established
    /// Another IKE SA has taken over; whoever won the rekey deletes this one.
    case rekeyed(closeAt: Tick)
    /// Our DELETE is out or waits for its turn. Without a failure nobody is told of the end (a replaced SA).
    case deleting(Failure?, closeAt: Tick)
    /// Nothing is left but the last answer, for a peer that did not hear it. One that never proved who it is goes on
    /// counting as a stranger.
    case closed(forgetAt: Tick, stranger: HalfOpenGate.Key?)
}

/// A request of ours that is not answered yet.
struct Request: Sendable, Codable, Hashable {
    var messageID: UInt32
    var exchange: ExchangeType
    /// The message without marker, or its fragments one behind another.
    var bytes: [UInt8]
    var firstSent: Tick
    var nextSend: Tick
    var giveUpAt: Tick
    var interval: Tick.Span
    var retransmissions = 0
}

/// The answer to the peer's last request, kept because the answer may get lost (RFC 7296 §2.1).
struct LastAnswer: Sendable, Codable, Hashable {
    var messageID: UInt32
    /// The last bytes of the request, or of its first fragment: repetitions are bitwise the same.
    var requestTag: UInt64
    /// How many fragments the request came in; 0 when it was in one piece.
    var fragments: UInt16 = 0
    /// Empty while the answer is being prepared; its fragments one behind another.
    var bytes: [UInt8]
}

/// What an established SA wants to do when its window is free.
enum PlannedTask: Sendable, Codable, Hashable {
    case deleteIKE
    case updateAddresses
    case checkRoute
    case sendCrashToken
    case deleteChild(UInt32)
    /// The child in this place of the connection.
    case createChild(Int)
    case rekeyChild(UInt32)
    case rekeyIKE
    /// `isForced` also checks a peer that was heard a moment ago.
    case liveness(isForced: Bool)

    /// The order in which waiting tasks are taken.
    var rank: Int {
        switch self {
        case .deleteIKE: 0
        case .updateAddresses: 1
        case .checkRoute: 2
        case .sendCrashToken: 3
        case .deleteChild: 4
        case .createChild: 5
        case .rekeyChild: 6
        case .rekeyIKE: 7
        case .liveness: 8
        }
    }
}

/// What the outstanding request of an established SA is for.
enum Exchange: Sendable, Codable {
    case deleteIKE
    case deleteChild(UInt32)
    case liveness
    /// UPDATE_SA_ADDRESSES for this path is out.
    case updateAddresses(Path)
    /// COOKIE2 is out on this path.
    case checkRoute(Path, cookie: [UInt8])
    case sendCrashToken
    case child(ChildCreation)
    case rekeyIKE(IKERekey)
}

extension Tick {
    /// Later than anything that happens.
    static let distantFuture = Tick(nanoseconds: .max)
}
