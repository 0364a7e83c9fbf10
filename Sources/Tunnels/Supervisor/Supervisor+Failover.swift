internal import Base

extension Supervisor {
    /// Chooses the connector's active tunnel and its routes anew, after something about its tunnels has changed.
    mutating func settle(_ id: String) {
        guard leaving == nil else { return settleRoutes(id, active: nil) }
        guard let before = connectors[id] else { return }
        replacePending(before)
        tunnelsVisited += before.tunnels.count
        let active = chooseActive(before)
        if active != before.active {
            announceMove(id, from: before.active, to: active)
            connectors[id]?.active = active
        }
        setHoldTimer(before, active)
        settleRoutes(id, active: active)
    }

    private func chooseActive(_ state: ConnectorState) -> Int? {
        let up = state.tunnels.filter { keepers[$0]?.isUp == true }
        let healthy = up.filter { keepers[$0]?.isHealthy == true }
        guard let active = state.active, up.contains(active), healthy.contains(active) || healthy.isEmpty else {
            return healthy.first ?? up.first
        }
        return healthy.prefix { $0 != active }.first { isReady($0) } ?? active
    }

    private func isReady(_ key: Int) -> Bool {
        guard let keeper = keepers[key], let healthySince = keeper.healthySince else { return false }
        return desk.now - healthySince >= keeper.holdTime(desk.now, configuration)
    }

    /// Rings when the first of the preferred tunnels may have its traffic back.
    private mutating func setHoldTimer(_ state: ConnectorState, _ active: Int?) {
        let id = state.connector.id
        let waiting = state.tunnels.prefix { $0 != active }.compactMap { key -> Tick? in
            guard let keeper = keepers[key], keeper.isHealthy, let since = keeper.healthySince else { return nil }
            return since + keeper.holdTime(desk.now, configuration)
        }
        if active != nil, let next = waiting.min() {
            desk.timers.set(.holdTime(id), max(next, desk.now))
        } else {
            desk.timers.remove(.holdTime(id))
        }
    }

    private mutating func announceMove(_ id: String, from old: Int?, to new: Int?) {
        guard let new, let to = keepers[new]?.name else {
            if old != nil, connectors[id]?.connector.isEnabled == true {
                desk.log(
                    .error, "no-tunnel", connector: id,
                    "\(id) has no tunnel that is up: packets for its networks are refused until one is.")
            }
            return
        }
        guard let old, let keeper = keepers[old] else {
            desk.log(.info, "traffic", connector: id, tunnel: to, "\(id): traffic takes \(to).")
            return
        }
        if keeper.isHealthy {
            let hold = keepers[new].map { $0.holdTime(desk.now, configuration) } ?? .zero
            let move = "traffic moves from \(keeper.name) to \(to), which is preferred"
            if hold > .zero {
                desk.log(
                    .info, "failback", connector: id, tunnel: to,
                    "\(id): \(move) and has been healthy for \(hold.words).")
            } else {
                desk.log(.info, "traffic", connector: id, tunnel: to, "\(id): \(move).")
            }
        } else {
            desk.log(
                .warning, "failover", connector: id, tunnel: to,
                "\(id): traffic moves from \(keeper.name) to \(to), because \(whyUnhealthy(keeper)).")
        }
    }

    func whyUnhealthy(_ keeper: TunnelKeeper) -> String {
        switch keeper.state {
        case .disabled: "\(keeper.name) is disabled"
        case .degraded where keeper.isSuspect: "its peer leaves requests unanswered"
        case .degraded where !keeper.missingPhase2.isEmpty:
            "phase 2 \(keeper.missingPhase2.joined(separator: ", ")) of \(keeper.name) is not up"
        case .degraded: "the peer's inside address does not answer"
        default:
            // A sentence goes on behind this one.
            keeper.lastError.map { "\(keeper.name) is down: \($0.hasSuffix(".") ? String($0.dropLast()) : $0)" }
                ?? "\(keeper.name) is down"
        }
    }

    // MARK: - Routes

    private mutating func settleRoutes(_ id: String, active: Int?) {
        guard let state = connectors[id] else { return }
        let routes = routes(of: state, active: active)
        guard routes != state.routes else { return }
        connectors[id]?.routes = routes
        staleRoutes.insert(id)
    }

    private func routes(of state: ConnectorState, active: Int?) -> [TunnelRoute] {
        let connector = state.connector
        guard connector.isEnabled else { return [] }
        var routes: [TunnelRoute] = []
        var seen: Set<IPPrefix> = []
        for network in connector.remoteNetworks.map(\.network) where seen.insert(network).inserted {
            let rank = claims[network]?.firstIndex(of: connector.id) ?? 0
            // One destination and metric must not stand for two interfaces.
            let offset = UInt32(clamping: rank) &* configuration.overlapStep
            for (index, key) in state.tunnels.enumerated() {
                guard leaving == nil, let keeper = keepers[key], keeper.isUp, let interface = keeper.interface else {
                    continue
                }
                let metric =
                    key == active ? configuration.activeMetric : configuration.standbyMetric + UInt32(clamping: index)
                routes.append(
                    TunnelRoute(
                        destination: network, interface: interface, metric: offset + metric,
                        sources: connector.localNetworks))
            }
            if rank == 0 { routes.append(.unreachable(network, metric: configuration.unreachableMetric)) }
        }
        return routes
    }
}
