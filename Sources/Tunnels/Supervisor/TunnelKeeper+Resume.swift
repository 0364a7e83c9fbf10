internal import Base
internal import IKE

extension TunnelKeeper {
    /// Takes the SAs of an earlier process over, or has the engine delete them.
    mutating func resume(_ earlier: ResumedTunnel, _ desk: inout Desk) {
        let terms = tunnel.connectionConfiguration(desk.configuration)
        var comparable = earlier.terms
        // Where it was left open, it was chosen by a route.
        if terms.localAddress.isUnspecified { comparable.localAddress = terms.localAddress }
        guard comparable == terms, earlier.interface == interface, !earlier.phase1.isEmpty else {
            desk.effects.append(.ike(.remove(earlier.connection)))
            return
        }
        connection = earlier.connection
        desk.owners[earlier.connection] = key
        for (id, summary) in earlier.phase1 { phase1[id] = summary }
        for (child, isSuperseded) in earlier.children {
            children[child.spiIn] = .init(sa: child, isEstablished: true, isSuperseded: isSuperseded)
            desk.childOwners[child.spiIn] = key
        }
        upSince = desk.now
        lastSeen = desk.now
        desk.effects.append(.ike(.configure(earlier.connection, terms)))
    }
}
