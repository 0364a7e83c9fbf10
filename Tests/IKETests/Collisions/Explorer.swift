import Base
import Cryptography
import Testing

@testable import IKE

/// Goes through every order in which two engines can do what they are told and receive what the other sends.
///
/// Depth first, on copies of the pair. Two steps at different ends change nothing for each other, so that of the
/// orders which differ in such steps alone one is enough: sleep sets (Godefroid, 1996) leave out the others. Losses,
/// repetitions and the passing of time are steps too, as many as a story allows. When nothing is left to do, or the
/// story is long enough, what is still on its way arrives in order, time passes, and the story must have come to a
/// good end.
struct Explorer {
    /// What the two ends are told to do, and what may befall their messages.
    struct Story: CustomTestStringConvertible, Sendable {
        enum Command: String, Sendable {
            case rekeyChild, rekeyIKE, deleteChild, terminate, checkLiveness, initiate
        }

        var a: [Command]
        var b: [Command]
        /// Whether the pair is connected before it begins.
        var isConnected = true
        var losses = 0
        var repetitions = 0
        /// How often time may pass up to the next deadline while messages are on their way.
        var waits = 0
        /// Steps by hand.
        var depth = 24

        var testDescription: String {
            "a: \(a.map(\.rawValue)), b: \(b.map(\.rawValue)), losses \(losses), repetitions \(repetitions), "
                + "waits \(waits)\(isConnected ? "" : ", not connected")"
        }

        var ends: Bool { (a + b).contains(.terminate) }
        var deletesChild: Bool { (a + b).contains(.deleteChild) }
    }

    enum Step: Hashable, CustomStringConvertible {
        case command(Pair.Side, Int)
        case deliver(Pair.Side, Int)
        case lose(Pair.Side, Int)
        /// Delivers and leaves a copy on its way.
        case again(Pair.Side, Int)
        case wait

        /// Where something changes; nil when it may be anywhere.
        var side: Pair.Side? {
            switch self {
            case .command(let side, _), .deliver(let side, _), .lose(let side, _), .again(let side, _): side
            case .wait: nil
            }
        }

        /// What a story allows a few times only.
        var isMishap: Bool {
            switch self {
            case .lose, .again, .wait: true
            case .command, .deliver: false
            }
        }

        func isIndependent(of other: Step) -> Bool {
            guard let side, let theirs = other.side, side != theirs else { return false }
            return !(isMishap && other.isMishap)
        }

        var description: String {
            switch self {
            case .command(let side, let index): "\(side) does its command \(index)"
            case .deliver(let side, let number): "message \(number) reaches \(side)"
            case .lose(let side, let number): "message \(number) to \(side) is lost"
            case .again(let side, let number): "message \(number) reaches \(side), and will again"
            case .wait: "time passes"
            }
        }
    }

    private struct Node {
        var pair: Pair
        var next: [Pair.Side: Int] = [.a: 0, .b: 0]
        var losses: Int
        var repetitions: Int
        var waits: Int
    }

    /// Interleavings that are chosen of a large story.
    static let turns: UInt64 = 100

    let story: Story
    private(set) var covered = 0
    private(set) var steps = 0
    private(set) var failures: [String] = []
    private var start: Node?
    private var path: [Step] = []

    init(_ story: Story) { self.story = story }

    /// Every interleaving.
    mutating func exhaust(seed: UInt8) {
        let start = begin(seed)
        visit(start, asleep: [], depth: 0)
    }

    /// One interleaving, chosen by the seed; for stories that have too many.
    mutating func walk(seed: UInt8, turn: UInt64) {
        var random = SmallRandom(turn << 8 | UInt64(seed))
        var node = begin(seed)
        path = []
        while path.count < story.depth, failures.isEmpty {
            let steps = enabled(node)
            guard !steps.isEmpty else { break }
            // Mishaps are kept rare, so that they fall on late messages as well.
            let (plain, mishaps) = (steps.filter { !$0.isMishap }, steps.filter(\.isMishap))
            let choices = plain.isEmpty || (!mishaps.isEmpty && random.next(below: 5) == 0) ? mishaps : plain
            let step = choices[Int(random.next(below: UInt64(choices.count)))]
            take(step, &node)
            self.steps += 1
            path.append(step)
            if let fault = faultUnderWay(node) { fail(fault) }
        }
        if failures.isEmpty { finish(node) }
    }

    private mutating func begin(_ seed: UInt8) -> Node {
        var pair = Pair(
            a: Self.configuration(.a), b: Self.configuration(.b), seedA: [1, seed], seedB: [2, seed])
        if story.isConnected { pair.connect() }
        let node = Node(pair: pair, losses: story.losses, repetitions: story.repetitions, waits: story.waits)
        start = node
        return node
    }

    /// Short waits, so that the dust settles soon.
    private static func configuration(_ side: Pair.Side) -> ConnectionConfiguration {
        var configuration = Pair.configuration(
            side, esp: [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [])])
        configuration.dpdDelay = .seconds(20)
        configuration.dpdTimeout = .seconds(10)
        configuration.connectTimeout = .seconds(10)
        return configuration
    }

    // MARK: Going through

    private mutating func visit(_ node: Node, asleep: Set<Step>, depth: Int) {
        guard failures.isEmpty else { return }
        let enabled = depth < story.depth ? self.enabled(node) : []
        guard !enabled.isEmpty else {
            finish(node)
            return
        }
        var asleep = asleep
        for step in enabled where !asleep.contains(step) {
            var next = node
            take(step, &next)
            steps += 1
            path.append(step)
            if let fault = faultUnderWay(next) { fail(fault) }
            visit(next, asleep: asleep.filter { $0.isIndependent(of: step) }, depth: depth + 1)
            path.removeLast()
            asleep.insert(step)
        }
    }

    private func enabled(_ node: Node) -> [Step] {
        var steps: [Step] = []
        for side in [Pair.Side.a, .b] {
            let commands = side == .a ? story.a : story.b
            if let next = node.next[side], next < commands.count { steps.append(.command(side, next)) }
        }
        // Copies of one message are one and the same.
        var seen: Set<Step> = []
        for datagram in node.pair.network where seen.insert(.deliver(datagram.to, datagram.number)).inserted {
            steps.append(.deliver(datagram.to, datagram.number))
            if node.losses > 0 { steps.append(.lose(datagram.to, datagram.number)) }
            if node.repetitions > 0 { steps.append(.again(datagram.to, datagram.number)) }
        }
        if node.waits > 0, !node.pair.network.isEmpty { steps.append(.wait) }
        return steps
    }

    private func take(_ step: Step, _ node: inout Node) {
        switch step {
        case .command(let side, let index):
            node.next[side, default: 0] += 1
            node.pair.obey(side, side == .a ? story.a[index] : story.b[index])
        case .deliver(let side, let number): node.pair.deliver(to: side, number)
        case .lose(let side, let number):
            node.losses -= 1
            node.pair.drop(to: side, number)
        case .again(let side, let number):
            node.repetitions -= 1
            if let copy = node.pair.network.first(where: { $0.to == side && $0.number == number }) {
                node.pair.deliver(to: side, number)
                node.pair.network.append(copy)
            }
        case .wait:
            node.waits -= 1
            node.pair.passTime()
        }
    }

    // MARK: Judging

    private mutating func fail(_ fault: String) {
        guard var node = start else { return }
        var lines = [fault]
        var told = [Pair.Side.a: 0, .b: 0]
        func tell(_ step: String) {
            lines.append(step)
            for side in [Pair.Side.a, .b] {
                lines.append("    \(side): \(node.pair.picture(side))")
                let events = node.pair[side].events
                lines += events.dropFirst(told[side] ?? 0).map { "        \($0)".prefix(160).description }
                told[side] = events.count
            }
        }
        tell("at first")
        for step in path {
            take(step, &node)
            tell(step.description)
        }
        failures.append(lines.joined(separator: "\n"))
    }

    /// While the tunnel is to stay, each end sends on a child that the other receives on, at any moment.
    private func faultUnderWay(_ node: Node) -> String? {
        for side in [Pair.Side.a, .b] {
            if let due = node.pair[side].engine.deadline, due.reason.isEmpty { return "a deadline without a reason" }
        }
        guard story.isConnected, !story.ends, !story.deletesChild else { return nil }
        return node.pair.faultOfTraffic
    }

    private mutating func finish(_ node: Node) {
        covered += 1
        var pair = node.pair
        pair.drive(.seconds(75))
        if let fault = faultAtTheEnd(&pair) { fail(fault) }
    }

    private func faultAtTheEnd(_ pair: inout Pair) -> String? {
        if story.ends {
            for side in [Pair.Side.a, .b] {
                let end = pair[side]
                guard end.engine.ikeSACount == 0, end.children.isEmpty, end.engine.childOwners.isEmpty,
                    end.engine.deadline == nil
                else { return "\(side) keeps \(pair.picture(side)), due: \(String(describing: end.engine.deadline))" }
            }
            return nil
        }
        if let fault = story.deletesChild ? pair.faultOfChildren : pair.faultOfAgreement { return fault }
        if story.isConnected, !story.deletesChild {
            for side in [Pair.Side.a, .b] {
                guard pair.closed(side).isEmpty, pair.childClosed(side).isEmpty else {
                    return "\(side) lost the tunnel: \(pair.closed(side) + pair.childClosed(side))"
                }
            }
        }
        // Both ends can still talk: their message IDs go together.
        for side in [Pair.Side.a, .b] {
            let answers = pair.answers(side)
            pair.give(side, .checkLiveness(Pair.id))
            pair.drive(.seconds(1))
            guard pair.answers(side) > answers else { return "\(side) gets no answer any more" }
        }
        return nil
    }
}
