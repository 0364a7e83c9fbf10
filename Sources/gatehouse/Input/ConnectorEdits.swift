import Base
import IKE
import Tunnels

/// Changes in a connector that touch more than one field. All of them leave the rest as it was.
extension Connector {
    /// The places of the tunnels that a change is meant for: all, or the one that is named.
    func places(of tunnel: String?) throws -> [Int] {
        guard let tunnel else { return Array(tunnels.indices) }
        guard let index = tunnels.firstIndex(where: { $0.name == tunnel }) else {
            throw CommandFailure(
                "--tunnel: \(id) has no tunnel '\(tunnel.printable)'; it has "
                    + tunnels.map(\.name).joined(separator: ", "), isUsage: true)
        }
        return [index]
    }

    /// Other networks. A phase 2 that negotiates just the networks negotiates the new ones.
    mutating func setNetworks(local: [IPPrefix], remote: [IPPrefix]) {
        let (oldLocal, oldRemote) = (localNetworks, remoteNetworks)
        if !local.isEmpty { localNetworks = local }
        if !remote.isEmpty { remoteNetworks = remote }
        for index in tunnels.indices {
            tunnels[index].phase2List = tunnels[index].allPhase2.map { phase2 in
                var phase2 = phase2
                if phase2.localSelectors == oldLocal { phase2.localSelectors = localNetworks }
                if phase2.remoteSelectors == oldRemote { phase2.remoteSelectors = remoteNetworks }
                return phase2
            }
        }
    }

    /// Changes a phase 2 in each of the tunnels.
    mutating func editPhase2(_ name: String?, in places: [Int], _ change: (inout Phase2) throws -> Void) throws {
        for index in places {
            let place = try placeOfPhase2(name, in: tunnels[index])
            let before = tunnels[index].allPhase2[place]
            try change(&tunnels[index].phase2List[place])
            let after = tunnels[index].allPhase2[place]
            cover(before.localSelectors, after.localSelectors, \.localSelectors, in: \.localNetworks)
            cover(before.remoteSelectors, after.remoteSelectors, \.remoteSelectors, in: \.remoteNetworks)
        }
    }

    /// A further phase 2 in each of the tunnels, with the terms of the first but for its networks and `change`.
    mutating func addPhase2(_ name: String, in places: [Int], _ change: (inout Phase2) throws -> Void) throws {
        for index in places {
            guard tunnels[index].phase2.name != nil else {
                throw CommandFailure(
                    "the phase 2 of tunnel \(tunnels[index].name) has no name to be told apart by: give it one with "
                        + "'gatehouse connector phase2 edit \(id) --rename NAME'", isUsage: true)
            }
            var phase2 = tunnels[index].phase2
            phase2.name = name
            try change(&phase2)
            tunnels[index].furtherPhase2.append(phase2)
            if let fault = tunnels[index].phase2Fault {
                throw CommandFailure("tunnel \(tunnels[index].name) \(fault)", isUsage: true)
            }
            cover([], phase2.localSelectors, \.localSelectors, in: \.localNetworks)
            cover([], phase2.remoteSelectors, \.remoteSelectors, in: \.remoteNetworks)
        }
    }

    /// Takes a phase 2 away from each of the tunnels; the last one stays.
    mutating func removePhase2(_ name: String, in places: [Int]) throws {
        for index in places {
            let place = try placeOfPhase2(name, in: tunnels[index])
            guard !tunnels[index].furtherPhase2.isEmpty else {
                throw CommandFailure("tunnel \(tunnels[index].name) has no other phase 2 than \(name)", isUsage: true)
            }
            let gone = tunnels[index].allPhase2[place]
            tunnels[index].phase2List.remove(at: place)
            cover(gone.localSelectors, [], \.localSelectors, in: \.localNetworks)
            cover(gone.remoteSelectors, [], \.remoteSelectors, in: \.remoteNetworks)
        }
    }

    private func placeOfPhase2(_ name: String?, in tunnel: Tunnel) throws -> Int {
        let names = tunnel.allPhase2.map { $0.name ?? "(without a name)" }.joined(separator: ", ")
        guard let name else {
            guard tunnel.furtherPhase2.isEmpty else {
                throw CommandFailure("tunnel \(tunnel.name) has several phase 2; name one of \(names)", isUsage: true)
            }
            return 0
        }
        guard let place = tunnel.allPhase2.firstIndex(where: { $0.name == name }) else {
            throw CommandFailure(
                "tunnel \(tunnel.name) has no phase 2 '\(name.printable)'; it has \(names)", isUsage: true)
        }
        return place
    }

    /// Keeps the connector's networks in line with what its phase 2 negotiate: those that only `old` was for go, those
    /// of `new` that no network holds yet come.
    private mutating func cover(
        _ old: [IPPrefix], _ new: [IPPrefix], _ selectors: KeyPath<Phase2, [IPPrefix]>,
        in networks: WritableKeyPath<Connector, [IPPrefix]>
    ) {
        let all = tunnels.flatMap(\.allPhase2).flatMap { $0[keyPath: selectors] }
        self[keyPath: networks].removeAll { network in
            old.contains(network) && !all.contains { $0.contains(network) }
        }
        // Everything is no network to route: with it, the networks say what goes into the tunnel.
        for network in new where network.length > 0 {
            if !self[keyPath: networks].contains(where: { $0.contains(network) }) {
                self[keyPath: networks].append(network)
            }
        }
    }
}

extension Tunnel {
    /// Every phase 2 as one list, which is never empty.
    fileprivate var phase2List: [Phase2] {
        get { allPhase2 }
        set {
            if let first = newValue.first { (phase2, furtherPhase2) = (first, Array(newValue.dropFirst())) }
        }
    }
}
