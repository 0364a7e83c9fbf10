public import Base
internal import Cryptography
internal import IKE

extension Supervisor {
    /// Why a tunnel is as it is and what happens next: a few sentences, the most important first; empty for a tunnel
    /// that is not known. Spans count from `now`, or from the last turn.
    public func explain(tunnel: String, now: Tick? = nil) -> [String] {
        guard let key = keysByName[tunnel], let keeper = keepers[key] else { return [] }
        let now = now ?? desk.now
        var lines = ["\(keeper.name) is \(keeper.state.rawValue) for \((now - keeper.since).words): \(why(keeper))"]
        if let error = keeper.lastError { lines.append("Last error: \(error)") }
        if keeper.failures > 0, !keeper.isUp { lines.append("Failures in a row: \(keeper.failures).") }
        lines += traffic(keeper, now)
        if keeper.pending != nil {
            lines.append("A changed definition waits until another tunnel of \(keeper.connector) carries the traffic.")
        }
        for timer in TunnelTimer.allCases {
            guard let tick = desk.timers.tick(of: .tunnel(key, timer)) else { continue }
            lines.append("In \((tick - now).words): \(reason(of: .tunnel(key, timer))).")
        }
        return lines
    }

    private func why(_ keeper: TunnelKeeper) -> String {
        switch keeper.state {
        case .disabled:
            return "its connector is disabled."
        case .online:
            let ike = keeper.currentPhase1.map { "IKE \($0.suite), " } ?? ""
            return ike + "ESP " + keeper.currentChildren.map(\.suite.description).joined(separator: ", ") + "."
        case .degraded:
            return whyUnhealthy(keeper) + "."
        case .connecting:
            return keeper.attempt == .closing
                ? "what is left of the last attempt is being deleted." : "an attempt is under way."
        case .offline:
            switch keeper.link {
            case .none, .opening: return "its interface is being opened."
            case .failed(let reason): return "its interface could not be opened: \(reason)"
            case .open: break
            }
            if keeper.isCleared { return "the peer fell silent and the DPD action is clear; restart it to try again." }
            return keeper.initiation == .respond ? "it waits for the peer." : "it pauses before the next attempt."
        }
    }

    private func traffic(_ keeper: TunnelKeeper, _ now: Tick) -> [String] {
        guard keeper.isUp, let state = connectors[keeper.connector] else { return [] }
        guard let active = state.active, active != keeper.key, let other = keepers[active] else {
            return ["It carries the traffic of \(keeper.connector)."]
        }
        guard let mine = state.tunnels.firstIndex(of: keeper.key), let its = state.tunnels.firstIndex(of: active),
            mine < its
        else { return ["It stands by: the traffic takes \(other.name), which is preferred."] }
        guard keeper.isHealthy, let since = keeper.healthySince else {
            return ["It stands by: the traffic takes \(other.name) until this one is healthy."]
        }
        let rest = since + keeper.holdTime(now, configuration) - now
        return ["It stands by: the traffic takes \(other.name) and returns in \(max(.zero, rest).words)."]
    }

    /// What happens at a deadline, for logs.
    func reason(of timer: SupervisorTimer) -> String {
        switch timer {
        case .shutDown: return "stop waiting for peers to acknowledge the deletes"
        case .holdTime(let connector): return "hold time of \(connector) ends: traffic may return to a preferred tunnel"
        case .tunnel(let key, let timer):
            guard let keeper = keepers[key] else { return "nothing" }
            switch timer {
            case .probe: return "probe the peer's inside address through \(keeper.name)"
            case .link: return "open the interface of \(keeper.name) again"
            case .children: return "ask again for a child SA of \(keeper.name) that is missing"
            case .loss: return "take \(keeper.name) for lost without a reason given"
            case .replacement: return "replace \(keeper.name) by its changed definition, come what may"
            case .attempt:
                switch keeper.attempt {
                case .none, .paused: return "try \(keeper.name) again"
                case .underway: return "give up waiting for an outcome of the attempt at \(keeper.name)"
                case .closing: return "give up waiting for the deletion of what is left of \(keeper.name)"
                }
            }
        }
    }
}
