import Host
import IKE
import Portal

/// What every tunnel has carried and gone through since the daemon started. SAs come and go; these only rise.
struct Meters {
    private struct Child {
        var tunnel: String
        var last = ChildCounters()
    }

    private var totals: [String: TunnelCounters] = [:]
    private var children: [UInt32: Child] = [:]
    private var tunnels: [ConnectionID: String] = [:]

    /// A child was installed for a tunnel.
    mutating func installed(_ child: ChildSA, tunnel: String) {
        children[child.spiIn] = Child(tunnel: tunnel)
        tunnels[child.connection] = tunnel
    }

    /// The counters of a child as they are now. Counters that fell (another SA of the same number) start anew.
    mutating func read(_ spiIn: UInt32, _ now: ChildCounters) {
        guard var child = children[spiIn] else { return }
        func more(_ field: KeyPath<ChildCounters, UInt64>) -> UInt64 {
            let (before, after) = (child.last[keyPath: field], now[keyPath: field])
            return after >= before ? after - before : after
        }
        totals[child.tunnel, default: TunnelCounters(connector: "", tunnel: child.tunnel)].add(
            bytesIn: more(\.bytesIn), bytesOut: more(\.bytesOut), packetsIn: more(\.packetsIn),
            packetsOut: more(\.packetsOut))
        child.last = now
        children[spiIn] = child
    }

    /// A child was removed; read its counters before.
    mutating func removed(_ spiIn: UInt32) { children[spiIn] = nil }

    /// An event of the engine that is counted.
    mutating func count(_ event: Event) {
        guard let connection = event.connection, let tunnel = tunnels[connection] else { return }
        var total = totals[tunnel] ?? TunnelCounters(connector: "", tunnel: tunnel)
        switch event.kind {
        case .ikeRekeyed: total.ikeRekeys += 1
        case .childRekeyed: total.childRekeys += 1
        case .childEstablished: total.establishments += 1
        case .ikeClosed(let failure) where failure.reason == .silence: total.deaths += 1
        default: return
        }
        totals[tunnel] = total
    }

    /// The counters of a tunnel; zeros for one that never came up.
    func counters(connector: String, tunnel: String) -> TunnelCounters {
        var counters = totals[tunnel] ?? TunnelCounters(connector: connector, tunnel: tunnel)
        counters.connector = connector
        return counters
    }
}

extension TunnelCounters {
    fileprivate mutating func add(bytesIn: UInt64, bytesOut: UInt64, packetsIn: UInt64, packetsOut: UInt64) {
        self.bytesIn &+= bytesIn
        self.bytesOut &+= bytesOut
        self.packetsIn &+= packetsIn
        self.packetsOut &+= packetsOut
    }
}
