internal import Base
internal import IKE

/// Tunnels with several phase 2: the IKE SA stands as long as one child does, and whoever is to bring the tunnel up asks
/// for those that are missing.
extension TunnelKeeper {
    /// The names of phase 2 that are to be up and are not; empty for a tunnel that is down altogether, or that the peer
    /// brings up: it may want less than all.
    var missingPhase2: [String] {
        guard isUp, !tunnel.furtherPhase2.isEmpty, initiation == .initiate else { return [] }
        let present = Set(children.current.map(\.place))
        return tunnel.allPhase2.enumerated().compactMap { place, phase2 in
            present.contains(place) ? nil : phase2.name ?? "\(place + 1)"
        }
    }

    /// Sees to it that what is missing is asked for again, ever more seldom.
    mutating func watchChildren(_ desk: inout Desk) {
        guard !tunnel.furtherPhase2.isEmpty else { return }
        guard !missingPhase2.isEmpty else {
            childAttempts = 0
            desk.timers.remove(.tunnel(key, .children))
            return
        }
        guard desk.timers.tick(of: .tunnel(key, .children)) == nil else { return }
        let configuration = desk.configuration
        let pause = min(configuration.longestPause, configuration.firstPause * (1 << min(16, childAttempts)))
        let span = desk.jittered(pause, percent: configuration.pauseJitterPercent)
        desk.timers.set(.tunnel(key, .children), desk.now + span)
    }

    mutating func askForChildren(_ desk: inout Desk) {
        guard let connection, !missingPhase2.isEmpty else { return }
        childAttempts += 1
        desk.effects.append(.ike(.initiate(connection)))
    }
}

extension Tunnel {
    /// The name of the phase 2 in this place; nil where there is none.
    func phase2Name(at place: Int) -> String? {
        allPhase2.indices.contains(place) ? allPhase2[place].name : nil
    }
}
