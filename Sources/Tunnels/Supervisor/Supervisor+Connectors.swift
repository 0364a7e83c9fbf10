internal import Base
internal import IKE

extension Supervisor {
    /// Brings the tunnels in line with the connectors as they should be.
    mutating func apply(_ wanted: [Connector]) {
        var ids: Set<String> = []
        let unique = wanted.filter { ids.insert($0.id).inserted }
        for id in order where !ids.contains(id) { remove(id) }
        order = unique.map(\.id)
        for connector in unique where connectors[connector.id]?.connector != connector { update(connector) }
        for number in keptNumbers.values { interfaces.give(number) }
        keptNumbers = [:]
        // Those that nobody defines any more.
        for tunnel in resumed.values.sorted(by: { $0.connection < $1.connection }) {
            desk.effects.append(.ike(.remove(tunnel.connection)))
        }
        resumed = [:]
    }

    mutating func resume(_ tunnels: [ResumedTunnel]) {
        for tunnel in tunnels {
            resumed[tunnel.tunnel] = tunnel
            if keptNumbers[tunnel.tunnel] == nil, let number = number(of: tunnel.interface), interfaces.reserve(number) {
                keptNumbers[tunnel.tunnel] = number
            }
            desk.skipConnections(through: tunnel.connection)
        }
    }

    private mutating func remove(_ id: String) {
        guard let state = connectors[id] else { return }
        setClaims(of: id, from: state.connector, to: nil)
        for key in state.tunnels { removeTunnel(key) }
        connectors[id] = nil
        desk.timers.remove(.holdTime(id))
        staleRoutes.insert(id)
    }

    private mutating func removeTunnel(_ key: Int) {
        guard let name = keepers[key]?.name else { return }
        disable(key, "it was removed")
        keepers[key] = nil
        if keysByName[name] == key { keysByName[name] = nil }
    }

    private mutating func update(_ connector: Connector) {
        var state = connectors[connector.id] ?? ConnectorState(connector: connector)
        let before = connectors[connector.id]?.connector
        setClaims(of: connector.id, from: before, to: connector)

        let names = Set(connector.tunnels.map(\.name))
        for key in state.tunnels where keepers[key].map({ !names.contains($0.name) }) ?? true {
            if state.active == key { state.active = nil }
            removeTunnel(key)
        }
        let known = state.tunnels.filter { keepers[$0] != nil }
        var tunnels: [(key: Int, wanted: Tunnel)] = []
        for tunnel in connector.tunnels where !tunnels.contains(where: { $0.wanted.name == tunnel.name }) {
            if let key = known.first(where: { keepers[$0]?.name == tunnel.name }) {
                tunnels.append((key, tunnel))
            } else {
                tunnels.append((addTunnel(tunnel, connector), tunnel))
            }
        }
        state.connector = connector
        state.tunnels = tunnels.map(\.key)
        connectors[connector.id] = state
        touch(connector.id)

        // The one that carries the traffic comes last, so that another may take over meanwhile.
        for (key, tunnel) in tunnels where key != state.active { update(key, tunnel, connector) }
        for (key, tunnel) in tunnels where key == state.active { update(key, tunnel, connector) }
    }

    private mutating func addTunnel(_ tunnel: Tunnel, _ connector: Connector) -> Int {
        let key = newKey()
        keepers[key] = TunnelKeeper(
            key: key, connector: connector.id, tunnel: tunnel, initiation: connector.initiation, now: desk.now)
        if keysByName[tunnel.name] == nil { keysByName[tunnel.name] = key }
        return key
    }

    private mutating func update(_ key: Int, _ wanted: Tunnel, _ connector: Connector) {
        guard let keeper = keepers[key] else { return }
        guard connector.isEnabled else {
            disable(key, "it was disabled")
            keepers[key]?.tunnel = wanted
            keepers[key]?.initiation = connector.initiation
            return
        }
        if !keeper.isEnabled {
            let number = keptNumbers.removeValue(forKey: wanted.name) ?? interfaces.take()
            let interface = configuration.interfacePrefix + String(number)
            keysByInterface[interface] = key
            let resumed = self.resumed.removeValue(forKey: wanted.name)
            visit(key) {
                $0.tunnel = wanted
                $0.initiation = connector.initiation
                $0.enable(interface: interface, resuming: resumed, &$1)
            }
            return
        }
        if keeper.initiation != connector.initiation {
            visit(key) {
                $0.initiation = connector.initiation
                $0.isCleared = false
                if connector.initiation == .respond {
                    $0.setAttempt(.none, nil, &$1)
                } else if $0.attempt == .none {
                    $0.startAttempt(&$1)
                }
            }
        }
        let current = keeper.tunnel
        if wanted == current || wanted.keepsSAs(of: current) {
            visit(key) {
                $0.pending = nil
                $1.timers.remove(.tunnel(key, .replacement))
                if wanted != current { $0.adopt(wanted, &$1) }
            }
        } else if mustWait(key) {
            let patience = configuration.replacementPatience
            visit(key) {
                $0.pending = wanted
                if $1.timers.tick(of: .tunnel(key, .replacement)) == nil {
                    $1.timers.set(.tunnel(key, .replacement), $1.now + patience)
                }
            }
        } else {
            visit(key) { $0.replace(with: wanted, &$1) }
        }
    }

    /// A changed tunnel that carries the traffic waits until another tunnel of its connector can.
    private func mustWait(_ key: Int) -> Bool {
        guard let keeper = keepers[key], let state = connectors[keeper.connector], state.active == key, keeper.isUp
        else { return false }
        return state.tunnels.count > 1 && !hasHealthyPartner(key, state)
    }

    private func hasHealthyPartner(_ key: Int, _ state: ConnectorState) -> Bool {
        state.tunnels.contains { $0 != key && keepers[$0]?.isHealthy == true }
    }

    /// Replaces the tunnels that waited for a healthy partner, if there is one now.
    mutating func replacePending(_ state: ConnectorState) {
        for key in state.tunnels {
            guard let pending = keepers[key]?.pending, hasHealthyPartner(key, state) else { continue }
            visit(key) { $0.replace(with: pending, &$1) }
        }
    }

    private mutating func disable(_ key: Int, _ why: String) {
        guard let interface = keepers[key]?.interface else { return }
        visit(key) { $0.disable(why, &$1) }
        keysByInterface[interface] = nil
        if let number = number(of: interface) { interfaces.give(number) }
    }

    // MARK: - Claims on remote networks

    private mutating func setClaims(of id: String, from old: Connector?, to new: Connector?) {
        func networks(_ connector: Connector?) -> [IPPrefix] {
            guard let connector, connector.isEnabled else { return [] }
            return connector.remoteNetworks.map(\.network)
        }
        let (before, after) = (networks(old), networks(new))
        for network in before where !after.contains(network) {
            for other in claims[network] ?? [] where other != id { touch(other) }
            claims[network]?.removeAll { $0 == id }
            if claims[network]?.isEmpty == true { claims[network] = nil }
        }
        for network in after where !before.contains(network) && claims[network]?.contains(id) != true {
            if let first = claims[network]?.first {
                desk.log(
                    .warning, "networks-overlap", connector: id,
                    "\(network) is behind connector \(first) too: \(id) carries it only while no tunnel of \(first) is "
                        + "up.")
            }
            claims[network, default: []].append(id)
        }
        for tunnel in new?.tunnels ?? [] {
            guard let peer = tunnel.phase1.remoteAddress else { continue }
            for network in after where network.contains(peer) && !before.contains(network) {
                desk.log(
                    .warning, "peer-inside-network", connector: id, tunnel: tunnel.name,
                    "\(tunnel.name): the peer's own address \(peer) is inside \(network), which is routed into the "
                        + "tunnel: give \(peer) a route of its own outside it.")
            }
        }
    }
}
