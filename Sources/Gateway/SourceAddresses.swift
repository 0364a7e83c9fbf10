import Base
import IKE

/// Gives connections that leave their own address to the routes the one that the routes choose.
///
/// The engine must know it before it sends: NAT detection hashes it (RFC 7296 §2.23), and a wrong hash makes the peer
/// see a translator that is not there.
struct SourceAddresses {
    /// Connections as they were configured, for those that leave the address open.
    private var open: [ConnectionID: ConnectionConfiguration] = [:]
    private var chosen: [ConnectionID: IPAddress] = [:]
    /// The addresses that the SAs of a connection have, as far as we know.
    private var used: [ConnectionID: IPAddress] = [:]

    /// The inputs that the engine should get in the place of `input`.
    mutating func fill(_ input: Input, route: (_ remote: IPAddress) -> IPAddress?) -> [Input] {
        switch input {
        case .configure(let id, let configuration):
            open[id] = configuration.localAddress.isUnspecified && configuration.remoteAddress != nil ? configuration : nil
            chosen[id] = nil
            guard let filled = choose(id, route) else { return [input] }
            used[id] = used[id] ?? filled.localAddress
            return [.configure(id, filled)]
        case .initiate(let id):
            // The route may be another one since the last attempt.
            let before = chosen[id]
            guard let filled = choose(id, route), chosen[id] != before else { return [input] }
            used[id] = used[id] ?? filled.localAddress
            return [.configure(id, filled), input]
        case .remove(let id):
            open[id] = nil
            chosen[id] = nil
            used[id] = nil
            return [input]
        default:
            return [input]
        }
    }

    /// What the engine should get when the host's addresses or routes have changed: for each connection whose way to its
    /// peer begins at another address now, the new terms and the move. Without a way to the peer nothing changes.
    mutating func follow(
        isPresent: (IPAddress) -> Bool, route: (_ remote: IPAddress) -> IPAddress?
    ) -> [Input] {
        open.keys.sorted().flatMap { id -> [Input] in
            guard let filled = choose(id, route), let old = used[id], old != filled.localAddress else { return [] }
            used[id] = filled.localAddress
            return [
                .configure(id, filled), .relocate(id, to: filled.localAddress, hasLostOld: !isPresent(old)),
            ]
        }
    }

    /// The configuration with the address that leads to its peer; nil when it names its own or there is no route.
    private mutating func choose(
        _ id: ConnectionID, _ route: (IPAddress) -> IPAddress?
    ) -> ConnectionConfiguration? {
        guard var configuration = open[id], let remote = configuration.remoteAddress, let address = route(remote) else {
            return nil
        }
        chosen[id] = address
        configuration.localAddress = address
        return configuration
    }
}
