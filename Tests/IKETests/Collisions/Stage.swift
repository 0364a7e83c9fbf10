import Base
import Cryptography
import Testing

@testable import IKE

/// Two engines whose messages are delivered by hand, and both ends in a line of words: every SA with its state, what it
/// asks, what it means to ask, its children, and when what is due.
///
/// An IKE SA is `I` and a number, a child a number, the same at both ends, in the order in which they were first seen.
/// Times are seconds from now. What is not said is as usual: an established IKE SA or installed child has its full life
/// before it, and no task waits.
struct Stage {
    var pair: Pair
    private var labels: [String: String] = [:]
    private var told = [Pair.Side.a: 0, .b: 0]

    /// A pair that is connected, with its connection's events behind it.
    init(_ pair: Pair) {
        self.pair = pair
        self.pair.connect()
        _ = picture(.a)
        forgetEvents()
    }

    /// A pair, connected, in which `loser`'s exchange has the lowest nonce when both do `command` at once.
    init(_ command: Explorer.Story.Command, loser: Pair.Side, esp: [[DHGroup]] = [[], []]) throws {
        for seed in 0..<64 as Range<UInt8> {
            let pair = Self.pair(seed, esp: esp)
            var probe = Stage(pair)
            probe.pair.obey(.a, command)
            probe.pair.obey(.b, command)
            try probe.deliver(to: .b)
            try probe.deliver(to: .a)
            guard let a = probe.lowestNonceOfThePeersExchange(.b), let b = probe.lowestNonceOfThePeersExchange(.a)
            else { continue }
            if a.lexicographicallyPrecedes(b) == (loser == .a) {
                self.init(pair)
                return
            }
        }
        throw NoSuchSeed()
    }

    struct NoSuchSeed: Error {}

    /// AES-GCM for IKE, whose IVs draw no randomness, so that the nonces depend on the seed alone.
    static func pair(_ seed: UInt8 = 0, esp: [[DHGroup]] = [[], []], ike: [[DHGroup]]? = nil) -> Pair {
        let groups = ike ?? [[.curve25519], [.curve25519]]
        func configuration(_ side: Pair.Side, _ index: Int) -> ConnectionConfiguration {
            Pair.configuration(
                side,
                ike: [
                    IKEProposal(encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: groups[index])
                ],
                esp: [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: esp[index])])
        }
        return Pair(a: configuration(.a, 0), b: configuration(.b, 1), seedA: [1, seed], seedB: [2, seed])
    }

    private func lowestNonceOfThePeersExchange(_ side: Pair.Side) -> [UInt8]? {
        switch pair.ikeSAs(side).lazy.compactMap(\.exchange).first {
        case .child(let creation): creation.collision?.lowestNonce
        case .rekeyIKE(let rekey): rekey.collision?.lowestNonce
        default: nil
        }
    }

    // MARK: Doing

    mutating func a(_ command: Explorer.Story.Command) { pair.obey(.a, command) }
    mutating func b(_ command: Explorer.Story.Command) { pair.obey(.b, command) }

    /// Delivers the oldest message to `side`.
    mutating func deliver(to side: Pair.Side, _ sourceLocation: SourceLocation = #_sourceLocation) throws {
        try pair.hand(to: side, sourceLocation)
    }

    /// Takes the oldest message to `side` away, to be handed over later or never.
    mutating func hold(
        to side: Pair.Side, _ sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Pair.Datagram {
        try pair.take(to: side, sourceLocation)
    }

    mutating func hand(_ message: Pair.Datagram) { pair.hand(message) }

    /// Lets `seconds` pass in which nothing arrives, and wakes both ends for what is due.
    mutating func wait(_ seconds: Int) {
        let end = pair.now + .seconds(seconds)
        while let next = [pair.a.engine.deadline?.tick, pair.b.engine.deadline?.tick].compactMap({ $0 }).min(),
            next <= end
        {
            pair.passTime()
        }
        pair.now = end
    }

    /// Delivers everything as it comes, until the dust has settled.
    mutating func settle(_ seconds: Int = 20) { pair.drive(.seconds(seconds)) }

    /// The end forgets the request that it has out, and the peer never hears of it.
    mutating func forgetRequest(_ side: Pair.Side) {
        for owner in pair.ikeSAs(side).map(\.spi) {
            pair[side].engine.with(owner) { engine, sa in
                guard sa.request != nil else { return }
                if case .deleteChild(let spiIn) = sa.exchange, sa.childIndex(spiIn) == nil {
                    engine.releaseESPSPI(spiIn)
                }
                sa.request = nil
                sa.exchange = nil
                sa.nextRequestID -= 1
            }
        }
        pair.network.removeAll { $0.to != side }
    }

    /// Takes the oldest message to `side` away, and from now on every other of its IKE SA.
    mutating func cutOff(to side: Pair.Side, _ sourceLocation: SourceLocation = #_sourceLocation) throws {
        let spis = try hold(to: side, sourceLocation).bytes.prefix(16)
        pair.loses = { $0.to == side && $0.bytes.prefix(16) == spis }
    }

    mutating func forgetEvents() {
        for side in [Pair.Side.a, .b] { told[side] = pair[side].events.count }
    }

    // MARK: Asking

    /// How many messages are on their way to a side.
    func waiting(to side: Pair.Side) -> Int { pair.network.count { $0.to == side } }

    /// An end's picture, and what it has told since the last question.
    mutating func expect(
        _ side: Pair.Side, _ picture: String, tells: [String] = [], _ sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(self.picture(side) == picture, sourceLocation: sourceLocation)
        #expect(events(side) == tells, sourceLocation: sourceLocation)
        let known = Set(pair.ikeSAs(side).flatMap(\.children).map(\.spiIn))
        #expect(Set(pair[side].children.keys) == known, "the data path holds others", sourceLocation: sourceLocation)
        for sa in pair.ikeSAs(side) {
            guard let next = pair[side].engine.nextTimer(of: sa) else { continue }
            #expect(!next.timer.reason.isEmpty, sourceLocation: sourceLocation)
            #expect(pair[side].engine.deadline.map { $0.tick <= next.tick } == true, sourceLocation: sourceLocation)
        }
    }

    /// One IKE SA and one child, the same at both ends, and traffic passes; nobody was told of a loss.
    func expectOneOfEach(_ sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(pair.faultOfAgreement == nil, sourceLocation: sourceLocation)
        for side in [Pair.Side.a, .b] {
            #expect(pair.closed(side).isEmpty && pair.childClosed(side).isEmpty, sourceLocation: sourceLocation)
        }
    }

    func expectNothingLeft(_ sourceLocation: SourceLocation = #_sourceLocation) {
        pair.expectNothingLeft(sourceLocation)
        for side in [Pair.Side.a, .b] {
            #expect(pair[side].engine.childOwners.isEmpty, sourceLocation: sourceLocation)
        }
    }

    /// What an end has told since the last question: the ends and successions of SAs, and failures.
    mutating func events(_ side: Pair.Side) -> [String] {
        let new = pair[side].events.dropFirst(told[side] ?? 0)
        told[side] = pair[side].events.count
        return new.compactMap { kind in
            switch kind {
            case .ikeRekeyed: "IKE rekeyed"
            case .ikeClosed(let failure): "IKE closed: \(failure.reason.rawValue)"
            case .childEstablished: "child established"
            case .childRekeyed: "child rekeyed"
            case .childClosed(_, let failure): "child closed: \(failure.reason.rawValue)"
            case .failed(let failure): "failed: \(failure.reason.rawValue)"
            default: nil
            }
        }
    }

    mutating func picture(_ side: Pair.Side) -> String {
        let named = pair.ikeSAs(side).sorted { key($0) < key($1) }.sorted { $0.establishedAt < $1.establishedAt }
            .map { (label("I", key($0)), $0) }
        let sas = named.sorted { $0.0 < $1.0 }.map { "\($0.0) \(words($0.1, side))" }
        let sending = pair[side].sending.map { "sends on \(label("", key($0.child.spiIn, $0.child.spiOut, side)))" }
        return (sas + [sending ?? "sends on none"]).joined(separator: "; ")
    }

    private func key(_ sa: IKESA) -> String { "\(sa.initiatorSPI) \(sa.responderSPI)" }

    private func key(_ spiIn: UInt32, _ spiOut: UInt32, _ side: Pair.Side) -> String {
        side == .a ? "\(spiIn) \(spiOut)" : "\(spiOut) \(spiIn)"
    }

    private mutating func label(_ prefix: String, _ key: String) -> String {
        if let label = labels[prefix + key] { return label }
        let label = prefix + "\(labels.values.count { $0.hasPrefix("I") == (prefix == "I") } + 1)"
        labels[prefix + key] = label
        return label
    }

    private func seconds(_ tick: Tick) -> String {
        let tenths = ((tick - pair.now).seconds * 10).rounded() / 10
        return tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)"
    }

    // MARK: Words

    private mutating func words(_ sa: IKESA, _ side: Pair.Side) -> String {
        var words = sa.isProvisional ? "provisional" : sa.state.name
        switch sa.state {
        case .rekeyed(let tick), .deleting(_, let tick), .closed(let tick, _): words += " until \(seconds(tick))"
        default: break
        }
        if let exchange = sa.exchange { words += " asks \(self.words(exchange, sa, side))" }
        if let request = sa.request { words += " again in \(seconds(request.nextSend))" }
        if sa.isEstablished, !sa.isProvisional, sa.rekeyAt - pair.now < .seconds(100) {
            words += " rekeys in \(seconds(sa.rekeyAt))"
        }
        for task in sa.tasks { words += " wants \(self.words(task, sa, side))" }
        if sa.pendingReply != nil { words += " answers late" }
        let children = sa.children.map { self.words($0, side) }
        return children.isEmpty ? words : words + " [\(children.joined(separator: ", "))]"
    }

    private mutating func words(_ exchange: Exchange, _ sa: IKESA, _ side: Pair.Side) -> String {
        switch exchange {
        case .deleteIKE: return "deleteIKE"
        case .deleteChild(let spiIn): return "deleteChild\(child(spiIn, sa, side))"
        case .liveness: return "liveness"
        case .child(let creation):
            let kind = creation.replaces.map { "rekeyChild\(child($0, sa, side))" } ?? "createChild"
            return kind + (creation.collision == nil ? "" : " colliding")
        case .rekeyIKE(let rekey): return "rekeyIKE" + (rekey.collision == nil ? "" : " colliding")
        default: return "something else"
        }
    }

    private mutating func words(_ task: PlannedTask, _ sa: IKESA, _ side: Pair.Side) -> String {
        switch task {
        case .deleteIKE: "deleteIKE"
        case .deleteChild(let spiIn): "deleteChild\(child(spiIn, sa, side))"
        case .createChild: "createChild"
        case .rekeyChild(let spiIn): "rekeyChild\(child(spiIn, sa, side))"
        case .rekeyIKE: "rekeyIKE"
        case .liveness: "liveness"
        default: "something else"
        }
    }

    /// A child by its number, if it is still there.
    private mutating func child(_ spiIn: UInt32, _ sa: IKESA, _ side: Pair.Side) -> String {
        sa.childIndex(spiIn).map { " " + label("", key(spiIn, sa.children[$0].spiOut, side)) } ?? ""
    }

    private mutating func words(_ child: Child, _ side: Pair.Side) -> String {
        let name = label("", key(child.spiIn, child.spiOut, side))
        switch child.state {
        case .installing: return "\(name) installing"
        case .installed:
            if let until = child.redundantUntil { return "\(name) redundant until \(seconds(until))" }
            var words = child.usesOutbound ? name : "\(name) inbound"
            if child.rekeyAt - pair.now < .seconds(100) { words += " rekeys in \(seconds(child.rekeyAt))" }
            return words
        case .replaced: return "\(name) replaced until \(seconds(child.replacedUntil ?? child.expiresAt))"
        case .deleting: return "\(name) deleting"
        case .lingering(let until): return "\(name) lingers until \(seconds(until))"
        }
    }
}
