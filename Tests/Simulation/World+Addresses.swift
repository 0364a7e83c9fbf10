import Base
import IKE

/// The addresses that hosts have, and what a change of one means to their engines.
extension World {
    /// Where the gateway is seen from outside.
    var publicAddress: IPAddress { scenario.hasNAT ? Scenario.gatewayAddress : hosts[0].address }

    /// What the engine gets in the place of an input of the supervisor's: the daemon fills in the address that the
    /// routes choose where the definition leaves it open, and so does this.
    func asGiven(_ input: IKE.Input, to host: Host) -> IKE.Input {
        if case .remove(let id) = input { host.openConnections[id] = nil }
        guard scenario.isWide, case .configure(let id, var terms) = input else { return input }
        terms.fragmentSize = scenario.width.fragmentSizes[host.index]
        guard terms.localAddress.isUnspecified, terms.remoteAddress != nil else { return .configure(id, terms) }
        host.openConnections[id] = terms
        terms.localAddress = host.address
        return .configure(id, terms)
    }

    /// The gateway has its next address, and no longer the one before.
    func moveGateway() {
        let host = hosts[0]
        let pool = (0...3).map { scenario.address(0).advanced(by: $0) }
        host.address = pool[((pool.firstIndex(of: host.address) ?? 0) + 1) % pool.count]
        if !scenario.hasNAT { gatewayAddresses.insert(host.address) }
        followAddress(host)
    }

    /// The host looks whether its address is another one.
    func followAddress(_ host: Host) {
        guard host.isUp, host.frozenUntil == nil, host.knownAddress != host.address else { return }
        host.knownAddress = host.address
        for (id, terms) in host.openConnections.sorted(by: { $0.key < $1.key }) {
            receive(host, asGiven(.configure(id, terms), to: host))
            receive(host, IKE.Input.relocate(id, to: host.address, hasLostOld: true))
        }
    }

    /// Why the SAs of a tunnel, which are to be the same at both ends, do not run between the addresses that the ends
    /// have; nil when they do.
    func whyStrayed(_ gateway: Host, _ gatewaySPI: UInt32, _ endpoint: Host, _ endpointSPI: UInt32) -> String? {
        if let local = gateway.dataPath.children[gatewaySPI]?.path.local.address,
            !local.isUnspecified, local != gateway.address
        {
            return "\(gateway.name) sends ESP from \(local), which it has no more"
        }
        if let remote = endpoint.dataPath.children[endpointSPI]?.path.remote.address, remote != publicAddress {
            return "\(endpoint.name) sends ESP to \(remote), where \(gateway.name) is no more"
        }
        return nil
    }
}
