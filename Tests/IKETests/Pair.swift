import Base
import Cryptography
import IKE
import Testing

/// Two engines on a network in memory, with virtual time. Nothing sleeps; the same calls give the same story.
struct Pair {
    enum Side: Sendable { case a, b }

    /// A datagram on its way, with the path as its receiver will see it.
    struct Datagram {
        var to: Side
        var bytes: [UInt8]
        var path: Path
        var arrives: Tick
        /// Counts what its sender has sent.
        var number = 0
    }

    /// One end: an engine, what its data path holds, and what it has told.
    struct End {
        var engine: Engine
        var children: [UInt32: Installed] = [:]
        /// The children that may be sent on, by inbound SPI, the first choice first.
        var active: [UInt32] = []
        var events: [Event.Kind] = []
        /// Datagrams as they were sent.
        var sent: [([UInt8], Path)] = []
        /// False leaves `.installChild` unanswered until ``Pair/answerInstalls(_:)``.
        var installsAtOnce = true
        var refusesInstalls = false
        var waitingInstalls: [UInt32] = []

        /// The child that packets leave on.
        var sending: Installed? { active.first.flatMap { children[$0] } }
    }

    struct Installed {
        var child: ChildSA
        var usesOutbound: Bool
    }

    /// An address translator in front of A.
    struct NAT {
        var address: IPAddress
        /// Added to A's ports.
        var portOffset: UInt16 = 10_000
    }

    var now = Tick(nanoseconds: 1_000_000_000_000)
    var a: End
    var b: End
    var network: [Datagram] = []
    var nat: NAT?
    var delay = Tick.Span.milliseconds(10)
    /// What a host with cores to spare hands over with a datagram; nil has the engine do its own arithmetic.
    var helps: ((SharedSecretJob) -> PreparedSecret?)?
    /// Datagrams for which it says true are lost.
    var loses: (Datagram) -> Bool = { _ in false }

    static let addressA = IPAddress.v4(0xC633_6402)  // 198.51.100.2
    static let addressB = IPAddress.v4(0xCB00_7101)  // 203.0.113.1
    static let insideA = IPAddress.v4(0x0A00_0002)  // 10.0.0.2
    static let id = ConnectionID(1)

    init(
        a configurationA: ConnectionConfiguration = Pair.configuration(.a),
        b configurationB: ConnectionConfiguration = Pair.configuration(.b),
        engine: EngineConfiguration = EngineConfiguration(), seedA: [UInt8] = [1], seedB: [UInt8] = [2]
    ) {
        a = End(engine: Engine(configuration: engine, seed: seedA, now: now))
        b = End(engine: Engine(configuration: engine, seed: seedB, now: now))
        give(.a, .configure(Pair.id, configurationA))
        give(.b, .configure(Pair.id, configurationB))
    }

    /// A configuration for one side, with the suite that the test wants.
    static func configuration(
        _ side: Side,
        ike: [IKEProposal] = [
            IKEProposal(encryption: [.aes256], integrity: [.sha256], prf: [.sha256], groups: [.curve25519])
        ],
        esp: [ESPProposal] = [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [.curve25519])],
        psk: String = "a shared key of some length"
    ) -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration(
            name: side == .a ? "to-b" : "to-a", localAddress: side == .a ? addressA : addressB,
            remoteAddress: side == .a ? addressB : addressA, authentication: .psk(Secret(Array(psk.utf8))), ikeProposals: ike,
            espProposals: esp, localSelectors: [side == .a ? selectorA : selectorB],
            remoteSelectors: [side == .a ? selectorB : selectorA])
        configuration.rekeyFuzzPercent = 0
        return configuration
    }

    static let selectorA = selector("10.1.0.0/16")
    static let selectorB = selector("10.2.0.0/16")

    static func selector(_ text: String) -> TrafficSelector {
        TrafficSelector(IPPrefix(text) ?? IPPrefix.all(.ipv4))
    }

    // MARK: Doing

    subscript(side: Side) -> End {
        get { side == .a ? a : b }
        set { if side == .a { a = newValue } else { b = newValue } }
        _modify { if side == .a { yield &a } else { yield &b } }
    }

    mutating func give(_ side: Side, _ input: Input) {
        carryOut(side, self[side].engine.receive(input, now: now))
    }

    mutating func wake(_ side: Side) { carryOut(side, self[side].engine.wake(now: now)) }

    private mutating func carryOut(_ side: Side, _ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .send(let bytes, let path): send(side, bytes, path)
            case .installChild(let child, let outbound):
                #expect(self[side].children[child.spiIn] == nil, "installed twice")
                self[side].children[child.spiIn] = Installed(child: child, usesOutbound: false)
                if outbound, !self[side].refusesInstalls { use(side, child.spiIn) }
                if self[side].installsAtOnce {
                    answerInstall(side, child.spiIn)
                } else {
                    self[side].waitingInstalls.append(child.spiIn)
                }
            case .useOutbound(let spiIn):
                #expect(self[side].children[spiIn] != nil, "an SA that is not installed")
                use(side, spiIn)
            case .removeChild(let spiIn):
                #expect(self[side].children.removeValue(forKey: spiIn) != nil, "an SA that is not installed")
                self[side].active.removeAll { $0 == spiIn }
            case .moveChild(let spiIn, let path): self[side].children[spiIn]?.child.path = path
            case .event(let event): self[side].events.append(event.kind)
            }
        }
    }

    /// As the data path does it: the one that is replaced is no choice any more.
    private mutating func use(_ side: Side, _ spiIn: UInt32) {
        self[side].children[spiIn]?.usesOutbound = true
        let replaced = self[side].children[spiIn]?.child.replaces
        self[side].active.removeAll { $0 == replaced || $0 == spiIn }
        self[side].active.insert(spiIn, at: 0)
    }

    private mutating func answerInstall(_ side: Side, _ spiIn: UInt32) {
        if self[side].refusesInstalls {
            self[side].children[spiIn] = nil
            self[side].active.removeAll { $0 == spiIn }
            give(side, .childFailed(spiIn: spiIn, reason: "no room"))
        } else {
            give(side, .childInstalled(spiIn: spiIn))
        }
    }

    mutating func answerInstalls(_ side: Side) {
        let waiting = self[side].waitingInstalls
        self[side].waitingInstalls = []
        for spiIn in waiting { answerInstall(side, spiIn) }
    }

    private mutating func send(_ side: Side, _ bytes: [UInt8], _ path: Path) {
        self[side].sent.append((bytes, path))
        var seen = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
        if let nat {
            switch side {
            case .a: seen.remote = Endpoint(nat.address, path.local.port &+ nat.portOffset)
            case .b: seen.local = Endpoint(Pair.insideA, path.remote.port &- nat.portOffset)
            }
        }
        let datagram = Datagram(
            to: side == .a ? .b : .a, bytes: bytes, path: seen, arrives: now + delay, number: self[side].sent.count)
        if !loses(datagram) { network.append(datagram) }
    }

    // MARK: Time

    /// Delivers the datagram at `index` now.
    mutating func deliver(_ index: Int = 0) {
        guard network.indices.contains(index) else { return }
        let datagram = network.remove(at: index)
        if let helps, let job = self[datagram.to].engine.sharedSecretJob(datagram.bytes, datagram.path) {
            let effects = self[datagram.to].engine.receive(
                datagram: datagram.bytes, datagram.path, with: helps(job), now: now)
            return carryOut(datagram.to, effects)
        }
        give(datagram.to, .datagram(datagram.bytes, datagram.path))
    }

    /// Goes on to the next thing that happens; false when nothing is due up to `limit`.
    mutating func step(until limit: Tick) -> Bool {
        let arrival = network.map(\.arrives).min()
        let deadline = [a.engine.deadline?.tick, b.engine.deadline?.tick].compactMap { $0 }.min()
        guard let next = [arrival, deadline].compactMap({ $0 }).min(), next <= limit else { return false }
        now = max(now, next)
        if let index = network.firstIndex(where: { $0.arrives <= now }) {
            deliver(index)
        } else {
            for side in [Side.a, .b] {
                if let due = self[side].engine.deadline, due.tick <= now {
                    #expect(!due.reason.isEmpty)
                    wake(side)
                    if let again = self[side].engine.deadline, again.tick <= now {
                        Issue.record("'\(again.reason)' fires without end")
                        return false
                    }
                }
            }
        }
        return true
    }

    /// Lets time pass, with everything that happens in it.
    mutating func drive(_ span: Tick.Span) {
        let limit = now + span
        while step(until: limit) {}
        now = limit
    }

    mutating func driveMilliseconds(_ n: Int) { drive(.milliseconds(n)) }

    mutating func connect() {
        give(.a, .initiate(Pair.id))
        drive(.seconds(2))
    }

    // MARK: Asking

    /// The two ends carry traffic to each other: the pair that each sends on is known to the other, with the same keys.
    func expectConnected(_ sourceLocation: SourceLocation = #_sourceLocation) {
        for (from, to) in [(a, b), (b, a)] {
            guard let sending = from.sending, let receiving = to.children[sending.child.spiOut] else {
                Issue.record(
                    "no child SA to send on, or the other end does not know it", sourceLocation: sourceLocation)
                continue
            }
            #expect(sending.child.encryptionKeyOut == receiving.child.encryptionKeyIn, sourceLocation: sourceLocation)
            #expect(sending.child.integrityKeyOut == receiving.child.integrityKeyIn, sourceLocation: sourceLocation)
            #expect(sending.child.suite == receiving.child.suite, sourceLocation: sourceLocation)
            #expect(sending.child.localSelectors == receiving.child.remoteSelectors, sourceLocation: sourceLocation)
            #expect(receiving.child.spiOut == sending.child.spiIn, sourceLocation: sourceLocation)
        }
    }

    /// Exactly one IKE SA and one child on each side, nothing left over.
    func expectOnlyOne(_ sourceLocation: SourceLocation = #_sourceLocation) {
        for end in [a, b] {
            #expect(end.engine.ikeSACount == 1, sourceLocation: sourceLocation)
            #expect(end.children.count == 1, sourceLocation: sourceLocation)
        }
    }

    func expectNothingLeft(_ sourceLocation: SourceLocation = #_sourceLocation) {
        for end in [a, b] {
            #expect(end.engine.ikeSACount == 0, sourceLocation: sourceLocation)
            #expect(end.children.isEmpty, sourceLocation: sourceLocation)
            #expect(end.engine.deadline == nil, sourceLocation: sourceLocation)
        }
    }

    func failures(_ side: Side) -> [Failure] {
        self[side].events.compactMap { if case .failed(let failure) = $0 { failure } else { nil } }
    }

    func closed(_ side: Side) -> [Failure] {
        self[side].events.compactMap { if case .ikeClosed(let failure) = $0 { failure } else { nil } }
    }

    func childClosed(_ side: Side) -> [Failure] {
        self[side].events.compactMap { if case .childClosed(_, let failure) = $0 { failure } else { nil } }
    }

    func count(_ side: Side, _ matches: (Event.Kind) -> Bool) -> Int { self[side].events.count(where: matches) }

    func established(_ side: Side) -> Int {
        count(side) { if case .ikeEstablished = $0 { true } else { false } }
    }

    func childRekeys(_ side: Side) -> Int {
        count(side) { if case .childRekeyed = $0 { true } else { false } }
    }

    func ikeRekeys(_ side: Side) -> Int {
        count(side) { if case .ikeRekeyed = $0 { true } else { false } }
    }

    func notices(_ side: Side) -> [String] {
        self[side].events.compactMap { if case .notice(let text) = $0 { text } else { nil } }
    }
}
