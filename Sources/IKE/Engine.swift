public import Base
import Cryptography

/// The IKEv2 engine (RFC 7296): both roles, any number of peers, no I/O.
///
/// Datagrams, commands and the data path's answers go into ``receive(_:now:)``; time passes by ``wake(now:)``, which
/// is due at ``deadline``. Both return effects that the caller carries out in order. Nothing that a peer sends makes
/// them fail: what is refused is counted, and told by an `.event(.notice)` at most a few times a second.
///
/// The same configuration, seed and inputs give the same effects.
///
/// Every attempt that `.connecting` announces ends in `.ikeEstablished` or in one `.failed`; every `.ikeEstablished`
/// ends, rekeys included, in one `.ikeClosed`. Every child that was asked to be installed ends in one `.removeChild`,
/// unless the data path answered `.childFailed`.
public struct Engine: Sendable {
    public let configuration: EngineConfiguration
    var random: SeededRandom
    var now: Tick

    var connections: [ConnectionID: Connection] = [:]
    var directory = Directory()
    var table = SATable()
    var timers = DeadlineHeap()
    var gate = HalfOpenGate()
    /// Which IKE SA owns a child, by the child's inbound SPI.
    var childOwners: [UInt32: UInt64] = [:]
    /// Nanoseconds from a tick to the time of day; nil until it was told.
    private var wallOffset: Int64?
    var notices = NoticeLimiter()
    var unknownSPIAnswers = NoticeLimiter()
    /// What has been refused or gone wrong since the engine began, by kind.
    public internal(set) var counters = EngineCounters()
    /// Grows with every input and waking; see ``EngineSnapshot``.
    public private(set) var revision: UInt64 = 0
    private var effects: [Effect] = []
    var keyPairs = KeyPairStock()
    /// Of the datagram that is being handled.
    var prepared: PreparedSecret?

    /// - Parameters:
    ///   - seed: 32 bytes of the system's randomness; a fixed one in tests.
    ///   - now: the current tick.
    public init(configuration: EngineConfiguration, seed: [UInt8], now: Tick) {
        self.configuration = configuration
        random = SeededRandom(seed: seed)
        self.now = now
    }

    /// Takes an input in and returns what is to be done about it.
    public mutating func receive(_ input: Input, now: Tick) -> [Effect] {
        self.now = max(self.now, now)
        revision += 1
        switch input {
        case .datagram(let bytes, let path): receiveDatagram(bytes, path)
        case .configure(let id, let configuration): configure(id, configuration)
        case .remove(let id): remove(id)
        case .initiate(let id): initiate(id)
        case .terminate(let id): terminate(id)
        case .relocate(let id, let address, let hasLostOld): relocate(id, to: address, hasLostOld: hasLostOld)
        case .rekeyIKE(let id): plan(.rekeyIKE, id)
        case .rekeyChild(let id): planChildRekeys(id)
        case .checkLiveness(let id): plan(.liveness(isForced: true), id)
        case .childInstalled(let spiIn): withOwner(of: spiIn) { $0.childInstalled(&$1, spiIn) }
        case .childFailed(let spiIn, let reason): withOwner(of: spiIn) { $0.childFailed(&$1, spiIn, reason) }
        case .inboundTraffic(let spiIn, let at): withOwner(of: spiIn) { $0.inboundTraffic(&$1, spiIn, at) }
        case .peerMoved(let spiIn, let path): withOwner(of: spiIn) { $0.dataPathSawPeer(&$1, spiIn, path) }
        case .wallClock(let time): wallOffset = time.nanoseconds &- self.now.nanoseconds
        case .childExhausted(let spiIn): withOwner(of: spiIn) { $0.plan(.rekeyChild(spiIn), &$1) }
        case .childSpent(let spiIn): withOwner(of: spiIn) { $0.childSpent(&$1, spiIn) }
        }
        return takeEffects()
    }

    /// Does everything that is due at `now`.
    public mutating func wake(now: Tick) -> [Effect] {
        self.now = max(self.now, now)
        revision += 1
        // What is due is collected first, so that no SA comes round twice in one waking.
        var due: [UInt64] = []
        while let first = timers.first, first.tick <= self.now {
            timers.set(first.slot, nil)
            if let spi = table.spi(inSlot: first.slot) { due.append(spi) }
        }
        for spi in due { with(spi) { $0.fireTimers(&$1) } }
        return takeEffects()
    }

    /// When ``wake(now:)`` is due next and what it will do; nil when nothing is under way.
    public var deadline: Deadline? {
        timers.first.map { Deadline($0.tick, $0.timer.reason) }
    }

    /// The time of day, as far as it was told.
    var wallTime: WallTime? { wallOffset.map { WallTime(nanoseconds: now.nanoseconds &+ $0) } }

    /// IKE SAs of every state, half-open ones included.
    public var ikeSACount: Int { table.count }
    /// Half-open SAs that we answered as responder.
    public var halfOpenCount: Int { gate.count }

    private mutating func takeEffects() -> [Effect] {
        let taken = effects
        effects = []
        return taken
    }

    // MARK: - Turns

    /// Takes an SA out, lets `body` change it, and puts it back with its deadline set.
    mutating func with(_ spi: UInt64, _ body: (inout Engine, inout IKESA) -> Void) {
        guard var sa = table.take(spi) else { return }
        body(&self, &sa)
        settle(sa)
    }

    private mutating func withOwner(of spiIn: UInt32, _ body: (inout Engine, inout IKESA) -> Void) {
        guard let owner = childOwners[spiIn] else { return }
        with(owner, body)
    }

    /// Ends an SA's turn: starts what waits for a free window, then files it or forgets it.
    mutating func settle(_ sa: consuming IKESA) {
        if !sa.isGone { startNextTask(&sa) }
        guard !sa.isGone else {
            let spi = sa.spi
            release(&sa)
            if let slot = table.remove(spi) { timers.set(slot, nil) }
            return
        }
        let next = nextTimer(of: sa)
        let slot = table.put(sa)
        timers.set(slot, next)
    }

    /// Clears what still refers to an SA that goes.
    private mutating func release(_ sa: inout IKESA) {
        removeAllChildren(&sa, nil)
        dropProvisional(sa)
        withdraw(&sa)
    }

    /// The connection no longer counts this SA as one of its own.
    mutating func withdraw(_ sa: inout IKESA) {
        dropFragments(&sa)
        switch sa.state {
        case .halfOpen(let halfOpen): gate.remove(halfOpen.key)
        case .closed(_, let stranger?): gate.remove(stranger)
        default: break
        }
        leaveConnection(sa)
    }

    mutating func leaveConnection(_ sa: IKESA) {
        guard let id = sa.connection else { return }
        connections[id]?.sas.remove(sa.spi)
        if let remoteID = sa.remoteID { directory.forget(sa.spi, PeerKey(id, remoteID)) }
        directory.forgetContact(sa.spi)
    }

    // MARK: - Effects

    func configuration(of sa: IKESA) -> ConnectionConfiguration? {
        sa.connection.flatMap { connections[$0]?.configuration }
    }

    mutating func add(_ effect: Effect) { effects.append(effect) }

    mutating func emit(_ kind: Event.Kind, _ sa: IKESA) {
        if sa.isProvisional, case .ikeClosed = kind { return }
        if case .failed(let failure) = kind, let id = sa.connection { connections[id]?.lastFailure = failure }
        if case .ikeClosed(let failure) = kind, let id = sa.connection { connections[id]?.lastFailure = failure }
        add(.event(Event(kind, connection: sa.connection, ikeSA: sa.id)))
    }

    /// Counts a refused message and tells of it, if that is not too much at once.
    mutating func refuse(_ error: MessageError, _ path: Path, _ sa: IKESA? = nil) {
        counters.count(error.fault)
        notice("\(path.remote): \(error)", sa)
    }

    mutating func notice(_ text: @autoclosure () -> String, _ sa: IKESA? = nil) {
        guard let text = notices.admit(text(), limit: configuration.noticesPerSecond, now: now) else { return }
        add(.event(Event(.notice(text), connection: sa?.connection, ikeSA: sa?.id)))
    }

    /// Sends a message, or the fragments of one, with the non-ESP marker where it needs one (RFC 3948 §2.2).
    mutating func transmit(_ messages: [UInt8], _ path: Path) {
        for message in SealedMessages.each(messages) {
            var datagram: [UInt8] = []
            datagram.reserveCapacity(message.count + 4)
            if path.isNATPort { datagram.append(contentsOf: repeatElement(0, count: 4)) }
            datagram.append(contentsOf: message)
            add(.send(datagram, path))
        }
    }

    // MARK: - Numbers

    /// A new SPI of ours: the shard, then 56 random bits.
    mutating func newIKESPI() -> UInt64 {
        while true {
            let spi = UInt64(configuration.shard) << 56 | random.nextUInt64() >> 8
            if spi & 0xFF_FFFF_FFFF_FFFF != 0, !table.contains(spi) { return spi }
        }
    }

    /// A new inbound ESP SPI: the shard, then 24 random bits; 0 to 255 are reserved (RFC 4303 §2.1).
    mutating func newESPSPI(_ owner: UInt64) -> UInt32 {
        while true {
            let spi = UInt32(configuration.shard) << 24 | random.nextUInt32() >> 8
            if spi > 255, childOwners[spi] == nil {
                childOwners[spi] = owner
                return spi
            }
        }
    }

    mutating func newNonce() -> [UInt8] { random.bytes(32) }

    /// A lifetime's rekey margin, made longer by a random share, and never more than three quarters of the lifetime.
    mutating func rekeyTick(_ lifetime: Tick.Span, margin: Tick.Span, fuzzPercent: Int) -> Tick {
        let percent = Int64(max(0, min(fuzzPercent, 100)))
        let most = max(0, min(margin.nanoseconds, lifetime.nanoseconds) / 100 * percent)
        let fuzz = Int64(clamping: random.uniform(below: UInt64(most) + 1))
        let early = min(margin.nanoseconds + fuzz, lifetime.nanoseconds / 4 * 3)
        return now + Tick.Span(nanoseconds: max(lifetime.nanoseconds - max(early, 0), 0))
    }

    /// Where to rekey a child that may carry so much: a tenth before, made more by a random share.
    mutating func limits(_ terms: ChildConfiguration, fuzzPercent: Int) -> ChildLimits {
        let percent = UInt64(max(0, min(fuzzPercent, 100)))
        func soft(_ hard: UInt64) -> UInt64 { hard - hard / 10 - random.uniform(below: hard / 1000 * percent + 1) }
        var limits = ChildLimits()
        if let bytes = terms.lifetimeBytes { (limits.softBytes, limits.hardBytes) = (soft(bytes), bytes) }
        if let packets = terms.lifetimePackets { (limits.softPackets, limits.hardPackets) = (soft(packets), packets) }
        return limits
    }
}

/// What an engine has refused since it began.
public struct EngineCounters: Hashable, Codable, Sendable {
    /// Bytes that are no IKEv2 message.
    public var malformed: UInt64 = 0
    /// Messages that did not authenticate.
    public var unauthentic: UInt64 = 0
    /// Well-formed messages that broke the protocol.
    public var misbehaved: UInt64 = 0
    /// Honest messages that wanted something that we do not do.
    public var incompatible: UInt64 = 0
    /// Messages for SAs or exchanges that do not exist (any more).
    public var unexpected: UInt64 = 0
    /// First messages that were asked for a cookie, and those dropped because too many were half-open.
    public var cookiesDemanded: UInt64 = 0
    public var droppedHalfOpen: UInt64 = 0
    public var handshakesInitiated: UInt64 = 0
    public var handshakesAnswered: UInt64 = 0

    public init() {}

    mutating func count(_ fault: MessageError.Fault) {
        switch fault {
        case .malformed: malformed += 1
        case .unauthentic: unauthentic += 1
        case .misbehaved: misbehaved += 1
        case .incompatible: incompatible += 1
        case .unexpected: unexpected += 1
        }
    }
}
