import Base

/// One disturbance in the life of the hosts and the network between them.
enum Transition: CustomStringConvertible {
    enum Phase: String, CaseIterable { case ike, child, both }

    /// An administrator asks for fresh keys.
    case rekey(host: Int, tunnel: Int, Phase)
    /// Both ends do so within a few milliseconds of each other.
    case rekeyFromBothEnds(tunnel: Int, Phase, Phase, apart: Int)
    /// An administrator has the SAs deleted and made anew.
    case restart(host: Int, tunnel: Int)
    case restartAtBothEnds(tunnel: Int, apart: Int)
    /// A soft limit of the newest child is reached.
    case exhaust(host: Int, tunnel: Int)
    /// A hard limit of the newest child is reached, the soft one having been passed over.
    case spend(host: Int, tunnel: Int)
    /// Many packets at once, which may use up what the children may carry.
    case burst(tunnel: Int, count: Int)
    /// The next installation of a child fails.
    case refuseInstall(host: Int)
    /// Someone deletes the tunnel's interface.
    case loseLink(host: Int, tunnel: Int)
    /// The path of a tunnel loses (percent), doubles (percent) and delays (milliseconds).
    case weather(tunnel: Int, loss: Int, doubling: Int, delay: Int, jitter: Int)
    /// The path of a tunnel carries packets of up to so many bytes.
    case narrow(tunnel: Int, mtu: Int)
    /// Nothing passes, towards the endpoint, towards the gateway or both ways.
    case cut(tunnel: Int, up: Bool, down: Bool)
    case mend(tunnel: Int)
    /// The host stops in mid-sentence, forgets everything and comes back.
    case crash(host: Int, seconds: Int)
    /// The daemon stops in an orderly way and starts again.
    case stopAndStart(host: Int, seconds: Int)
    /// The host does nothing for a while: what comes in waits in its sockets, what is due is late.
    case freeze(host: Int, milliseconds: Int)
    /// The host's clock leaps ahead, as after a sleep in which it missed everything.
    case leap(host: Int, seconds: Int)
    /// The host's time of day is set, forward or back; its clock goes on as before.
    case setTimeOfDay(host: Int, seconds: Int)
    /// The gateway has another address from now on.
    case move
    /// The NAT forgets its mappings and chooses other ports.
    case rebindNAT
    case disable(host: Int)
    case enable(host: Int)
    /// One end's pre-shared key is changed, or both.
    case changeKey(host: Int, tunnel: Int, generation: Int)
    case changeKeyAtBothEnds(tunnel: Int, generation: Int)
    /// New lifetimes, which the standing SAs survive.
    case changeLifetimes(host: Int, ike: Int, child: Int)
    /// An attacker sends old datagrams again, perhaps from an address of its own.
    case replay(count: Int, fromElsewhere: Bool)
    /// An attacker sends damaged copies of old datagrams.
    case forge(count: Int)
    /// Nothing happens for a while.
    case rest(seconds: Int)
    /// Everything is mended, and the tunnels must come online.
    case calm

    var description: String {
        func host(_ index: Int) -> String { Scenario.names[index] }
        func tunnel(_ index: Int) -> String { Scenario.tunnelName(index) }
        switch self {
        case .rekey(let h, let t, let phase): return "\(host(h)) is asked to rekey \(tunnel(t)) (\(phase.rawValue))"
        case .rekeyFromBothEnds(let t, let a, let b, let apart):
            return "both ends of \(tunnel(t)) rekey (\(a.rawValue), \(b.rawValue)), \(apart) ms apart"
        case .restart(let h, let t): return "\(host(h)) is asked to restart \(tunnel(t))"
        case .restartAtBothEnds(let t, let apart): return "both ends restart \(tunnel(t)), \(apart) ms apart"
        case .exhaust(let h, let t): return "\(host(h))'s newest child of \(tunnel(t)) reaches its soft limit"
        case .spend(let h, let t): return "\(host(h))'s newest child of \(tunnel(t)) reaches its hard limit"
        case .burst(let t, let n): return "\(n) packets at once cross \(tunnel(t)) each way"
        case .refuseInstall(let h): return "\(host(h))'s data path will refuse the next child"
        case .loseLink(let h, let t): return "\(host(h)) loses the interface of \(tunnel(t))"
        case .weather(let t, let loss, let doubling, let delay, let jitter):
            return "path of \(tunnel(t)): \(loss) % lost, \(doubling) % doubled, \(delay) to \(delay + jitter) ms"
        case .narrow(let t, let mtu): return "path of \(tunnel(t)) carries packets of up to \(mtu) bytes"
        case .cut(let t, let up, let down):
            let what = up && down ? "both ways" : up ? "towards the endpoint" : "towards the gateway"
            return "path of \(tunnel(t)) is cut \(what)"
        case .mend(let t): return "path of \(tunnel(t)) is whole again"
        case .crash(let h, let seconds): return "\(host(h)) crashes for \(seconds) s"
        case .stopAndStart(let h, let seconds): return "\(host(h)) stops in order, for \(seconds) s"
        case .freeze(let h, let milliseconds): return "\(host(h)) freezes for \(milliseconds) ms"
        case .leap(let h, let seconds): return "\(host(h))'s clock leaps ahead by \(seconds) s"
        case .setTimeOfDay(let h, let seconds): return "\(host(h))'s time of day is set by \(seconds) s"
        case .move: return "the gateway gets another address"
        case .rebindNAT: return "the NAT forgets its mappings"
        case .disable(let h): return "\(host(h)) disables the connector"
        case .enable(let h): return "\(host(h)) enables the connector"
        case .changeKey(let h, let t, let n): return "\(host(h)) gets key \(n) for \(tunnel(t))"
        case .changeKeyAtBothEnds(let t, let n): return "both ends of \(tunnel(t)) get key \(n)"
        case .changeLifetimes(let h, let ike, let child): return "\(host(h)) gets lifetimes \(ike) s and \(child) s"
        case .replay(let n, let elsewhere):
            return "an attacker replays \(n) old datagrams\(elsewhere ? " from its own address" : "")"
        case .forge(let n): return "an attacker sends \(n) damaged datagrams"
        case .rest(let seconds): return "nothing happens for \(seconds) s"
        case .calm: return "everything is mended"
        }
    }
}

/// A transition and the pause before it.
struct Step {
    var pause: Tick.Span
    var transition: Transition
}

extension Scenario {
    /// The life's disturbances: 8 to 30 of them, often within the round trip of each other.
    func script() -> [Step] {
        var dice = Dice(seed &* 2 &+ 2)
        var wideDice = wideDice
        return (0..<dice.within(8...30)).map { _ in
            let pause: ClosedRange<Int>
            switch dice.below(10) {
            case 0...4: pause = 0...60
            case 5...7: pause = 60...3000
            default: pause = 3000...25_000
            }
            let step = Step(pause: dice.span(milliseconds: pause), transition: transition(&dice))
            guard isWide, wideDice.chance(25) else { return step }
            return Step(pause: step.pause, transition: wideTransition(&wideDice))
        }
    }

    private func wideTransition(_ dice: inout Dice) -> Transition {
        let host = dice.below(hostCount)
        let tunnel = host == 0 ? dice.below(endpoints) : host - 1
        switch dice.below(10) {
        case 0..<3: return width.isMoving ? .move : .burst(tunnel: tunnel, count: dice.within(20...200))
        case 3..<6: return .burst(tunnel: tunnel, count: dice.within(20...200))
        case 6: return .spend(host: host, tunnel: tunnel)
        case 7: return .setTimeOfDay(host: host, seconds: dice.pick([-400_000_000, -3600, -1, 3600, 400_000_000]))
        default: return .narrow(tunnel: tunnel, mtu: dice.pick([Width.leastMTU, 700, 1500]))
        }
    }

    private func transition(_ dice: inout Dice) -> Transition {
        let host = dice.below(hostCount)
        let tunnel = host == 0 ? dice.below(endpoints) : host - 1
        switch dice.below(100) {
        case 0..<14: return .rekey(host: host, tunnel: tunnel, dice.pick(Transition.Phase.allCases))
        case 14..<26:
            return .rekeyFromBothEnds(
                tunnel: tunnel, dice.pick(Transition.Phase.allCases), dice.pick(Transition.Phase.allCases),
                apart: dice.chance(40) ? 0 : dice.within(1...60))
        case 26..<31: return .restart(host: host, tunnel: tunnel)
        case 31..<33: return .restartAtBothEnds(tunnel: tunnel, apart: dice.within(0...60))
        case 33..<36: return .exhaust(host: host, tunnel: tunnel)
        case 36..<39: return .refuseInstall(host: host)
        case 39..<41: return .loseLink(host: host, tunnel: tunnel)
        case 41..<51:
            return .weather(
                tunnel: tunnel, loss: dice.pick([0, 5, 15, 30, 50]), doubling: dice.pick([0, 5, 30]),
                delay: dice.within(1...150), jitter: dice.pick([0, 5, 100, 400]))
        case 51..<57:
            let up = dice.chance(70)
            return .cut(tunnel: tunnel, up: up, down: up ? dice.chance(60) : true)
        case 57..<66: return .mend(tunnel: tunnel)
        case 66..<69: return .crash(host: host, seconds: dice.within(0...40))
        case 69..<71: return .stopAndStart(host: host, seconds: dice.within(4...30))
        case 71..<74: return .freeze(host: host, milliseconds: dice.pick([20, 200, 3000, 20_000]))
        case 74..<76: return .leap(host: host, seconds: dice.pick([1, 10, 60, 1000]))
        case 76..<80: return hasNAT ? .rebindNAT : .rest(seconds: dice.within(1...20))
        case 80..<82: return .disable(host: host)
        case 82..<85: return .enable(host: host)
        case 85..<86: return .changeKey(host: host, tunnel: tunnel, generation: dice.below(3))
        case 86..<88: return .changeKeyAtBothEnds(tunnel: tunnel, generation: dice.below(3))
        case 88..<89: return .changeLifetimes(host: host, ike: dice.within(300...2000), child: dice.within(60...600))
        case 89..<93: return .replay(count: dice.within(1...8), fromElsewhere: dice.chance(60))
        case 93..<96: return .forge(count: dice.within(1...8))
        case 96..<98: return .rest(seconds: dice.within(20...120))
        default: return .calm
        }
    }
}
