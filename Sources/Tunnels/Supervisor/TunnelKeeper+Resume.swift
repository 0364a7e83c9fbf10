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
        phase1 = earlier.phase1.map { Phase1SA(id: $0.id, summary: $0.summary) }
        children = earlier.children.map { Child(sa: $0.child, isEstablished: true, isSuperseded: $0.isSuperseded) }
        for child in children { desk.childOwners[child.sa.spiIn] = key }
        upSince = desk.now
        lastSeen = desk.now
        desk.effects.append(.ike(.configure(earlier.connection, terms)))
    }
}
