import Base
import IKE
import Tunnels

/// One life of two or three hosts from a seed: disturbances, then a fair network on which everything must come right.
public struct Life {
    /// How a life ended.
    public struct Outcome: Sendable {
        public var seed: UInt64
        /// What went wrong, or nil.
        public var failure: String?
        /// What happened, one line each; empty unless it was asked for.
        public var story: [String]
        /// Disturbances by their number in the script, as far as they were not left out.
        public var steps: [Int]
        /// Depends on every packet that was sent, and when.
        public var digest: UInt64
        public var packets: Int
        public var virtualSeconds: Double

        /// The failure without numbers, which differ from life to life.
        fileprivate var way: String? { failure?.filter { !$0.isHexDigit && $0 != "." } }
    }

    /// From the network's healing until every tunnel must be online: a peer found dead (30 s), an attempt under way
    /// (30 s, or 70 s without an outcome) and the longest pause between attempts (75 s).
    static let patience = 200
    /// Until replaced SAs, crossed calls and lost deletes have been tidied up.
    static let settling = 170

    /// Lives the life of a seed.
    ///
    /// - Parameters:
    ///   - steps: the numbers of the disturbances that take place; nil for all.
    ///   - isTold: whether the story is wanted.
    public static func live(_ seed: UInt64, steps: [Int]? = nil, isTold: Bool = false) -> Outcome {
        let scenario = Scenario(seed: seed)
        let script = scenario.script()
        let chosen = (steps ?? Array(script.indices)).filter(script.indices.contains)
        let world = World(scenario, story: Story(isTold: isTold))
        let start = world.now
        world.story.tell(world.now, "seed \(seed): \(scenario.summary)")
        for index in chosen where world.failure == nil {
            world.run(script[index].pause)
            world.disturb(script[index].transition)
            if case .calm = script[index].transition { world.awaitOnline() }
        }
        if world.failure == nil { world.comeRight() }
        return Outcome(
            seed: seed, failure: world.failure, story: world.story.lines, steps: chosen, digest: world.story.digest,
            packets: world.story.packets, virtualSeconds: (world.now - start).seconds)
    }

    /// The fewest disturbances, found by leaving one or several out at a time, with which the life fails in the same
    /// way.
    public static func shrink(_ seed: UInt64) -> Outcome {
        let whole = live(seed)
        guard let way = whole.way else { return live(seed, isTold: true) }
        var steps = whole.steps
        var size = max(1, steps.count / 2)
        while true {
            var isSmaller = false
            var index = 0
            while index < steps.count {
                var fewer = steps
                fewer.removeSubrange(index..<min(index + size, fewer.count))
                if live(seed, steps: fewer).way == way {
                    steps = fewer
                    isSmaller = true
                } else {
                    index += size
                }
            }
            if size == 1, !isSmaller { break }
            size = max(1, size / 2)
        }
        return live(seed, steps: steps, isTold: true)
    }
}

extension World {
    /// After healing, every tunnel comes online within a bounded time.
    func awaitOnline() {
        for _ in 0..<Life.patience where failure == nil && !areAllOnline {
            run(.seconds(1))
            checkStates()
        }
        guard failure == nil, !areAllOnline else { return }
        let states = hosts.flatMap { host in
            tunnels(of: host).map { "\(host.name) \(host.status($0, now: clock(host))?.state.rawValue ?? "unknown")" }
        }
        fail("\(Life.patience) s after the network healed: \(states.joined(separator: ", "))")
    }

    /// The end of a life: all heals, all comes online, nothing is left over, nothing fails, nothing gets lost, and at
    /// last everything is stopped.
    func comeRight() {
        run(.seconds(1))
        disturb(.calm)
        awaitOnline()
        trafficPause = nil
        run(.seconds(Life.settling))
        becomeExact()
        sitExam()
        run(.seconds(20))
        becomeExact()
        if failure == nil, !areAllOnline { fail("the tunnels did not stay online on a fair network") }
        stopAll()
    }

    /// A rekey may be under way at any moment, so one moment in a while is enough.
    private func becomeExact() {
        for _ in 0..<60 where failure == nil && whyNotExact() != nil { run(.seconds(1)) }
        if let reason = whyNotExact() { fail("long after the network healed, \(reason)") }
    }

    /// Rekeys of every kind under traffic: no packet may be lost.
    private func sitExam() {
        guard failure == nil else { return }
        story.tell(now, "—— rekeys of every kind under traffic, on a fair network")
        isExam = true
        let start = now
        trafficPause = .milliseconds(40)
        // Packets overtake each other, and are overtaken by IKE, also where none is lost.
        for tunnel in scenario.tunnels { weather[tunnel].espJitter = .milliseconds(60) }
        run(.seconds(2))
        for (a, b) in [(Transition.Phase.child, Transition.Phase.child), (.ike, .ike), (.both, .both), (.child, .ike)] {
            for tunnel in scenario.tunnels {
                disturb(.rekey(host: dice.chance(50) ? 0 : tunnel + 1, tunnel: tunnel, a))
                run(.seconds(2))
                disturb(.rekeyFromBothEnds(tunnel: tunnel, a, b, apart: dice.below(25)))
                run(.milliseconds(2500))
            }
        }
        trafficPause = nil
        run(.seconds(1))
        isExam = false
        for tunnel in scenario.tunnels { weather[tunnel].espJitter = .zero }
        let missing = reference.missing(since: start, until: now - .milliseconds(100))
        if let first = missing.first {
            let packet = reference.sent[first]
            let (who, when) = (Scenario.names[packet.from], Story.time(packet.at))
            fail("\(missing.count) packets were lost on a fair network, the first from \(who) at \(when)")
        }
    }

    private func stopAll() {
        guard failure == nil else { return }
        story.tell(now, "—— everything is stopped")
        isEnding = true
        let first = dice.pick(hosts)
        stop(first, startAfter: nil)
        run(.seconds(20))
        for host in hosts { stop(host, startAfter: nil) }
        run(.seconds(60))
        if let reason = whatIsLeft() { fail("after everything was stopped, \(reason)") }
    }
}
