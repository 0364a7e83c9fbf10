import Base
import IKE
import Tunnels

/// What must hold at any moment, and what must hold once the network has been fair for long enough.
extension World {
    // MARK: - At any moment

    /// Routes lead into interfaces that carry something.
    func checkRoutes(_ host: Host) {
        for route in host.routes where !route.isUnreachable {
            guard host.dataPath.children.values.contains(where: { $0.interface == route.interface }) else {
                let way = "\(route.destination) leads into \(route.interface)"
                return fail("\(host.name)'s route to \(way), which has no SA")
            }
        }
    }

    func checkKnown(_ host: Host, _ spiIn: UInt32, _ verb: String) {
        if !host.ledger.children.contains(spiIn), !host.orphans.contains(spiIn) {
            fail("\(host.name) is to \(verb) child \(spiIn.hexadecimal), which is not installed")
        }
    }

    /// Only where the peer has really been seen may anything be sent.
    func checkPath(_ host: Host, _ path: Path) {
        let remote = path.remote
        let isPeer: Bool
        if host.index == 0 {
            isPeer = scenario.tunnels.contains { Scenario.endpointAddress($0) == remote.address }
        } else if scenario.hasNAT {
            isPeer = nat.everUsed.contains(remote)
        } else {
            isPeer = gatewayAddresses.contains(remote.address)
        }
        if !isPeer { fail("\(host.name) believes its peer at \(remote), where it never was") }
    }

    /// Both ends of a pair of SAs have the same keys, suite and selectors.
    func checkAgreement(_ host: Host, _ child: DataPath.Child) {
        let sa = child.sa
        let (local, remote) = reference.selectors(host.index)
        if sa.localSelectors != [TrafficSelector(local)] || sa.remoteSelectors != [TrafficSelector(remote)] {
            fail("\(host.name) has agreed on other selectors than both ends are configured for")
        }
        for peer in hosts where peer !== host {
            guard let other = peer.dataPath.children[sa.spiOut]?.sa, other.spiOut == sa.spiIn else { continue }
            let (a, b) = (host.name, peer.name)
            if sa.suite != other.suite { fail("\(a) and \(b) disagree on the ESP suite") }
            if sa.encryptionKeyIn != other.encryptionKeyOut || sa.encryptionKeyOut != other.encryptionKeyIn
                || sa.integrityKeyIn != other.integrityKeyOut || sa.integrityKeyOut != other.integrityKeyIn
            {
                fail("\(a) and \(b) disagree on the keys of child \(sa.spiIn.hexadecimal)")
            }
            if sa.localSelectors != other.remoteSelectors || sa.remoteSelectors != other.localSelectors {
                fail("\(a) and \(b) disagree on the selectors of child \(sa.spiIn.hexadecimal)")
            }
        }
    }

    func checkEvent(_ host: Host, _ event: Event) {
        switch event.kind {
        case .peerMoved(let path), .moved(let path): checkPath(host, path)
        case .ikeEstablished(let summary):
            guard let name = event.connection.flatMap({ host.supervisor.tunnel(of: $0) }),
                let tunnel = scenario.tunnels.first(where: { Scenario.tunnelName($0) == name })
            else { break }
            if !reference.isEnabled[host.index], !host.isStopping {
                fail("\(host.name) brings up a tunnel that is disabled")
            }
            if !reference.mayEstablish(tunnel, now: now) {
                fail("\(name) is established, and the ends have other keys")
            }
            host.everUp.insert(tunnel)
            let peer = hosts[host.index == 0 ? tunnel + 1 : 0]
            if !summary.isInitiator, !peer.everUp.contains(tunnel), let spi = event.ikeSA?.spi {
                host.firstCalls.append((spi, peer.startedAt))
            }
        case .failed(let failure), .ikeClosed(let failure), .childClosed(_, let failure):
            if isExam { fail("on a fair network \(host.name) reports: \(failure)") }
        case .retransmitted(let exchange, _):
            if isExam { fail("on a fair network \(host.name) has to send \(exchange) again") }
        default: break
        }
    }

    /// A peer that starts says so with its first call (INITIAL_CONTACT, RFC 7296 §2.4), and what we had with its
    /// earlier lives goes at once, not when somebody finds it dead.
    func checkFirstCalls(_ host: Host) {
        for call in host.firstCalls {
            guard let connection = host.ledger.sas[call.spi]?.connection else { continue }
            let isOld = host.ledger.sas.contains {
                $0.key != call.spi && $0.value.connection == connection && $0.value.since < call.peerStartedAt
            }
            if isOld { fail("\(host.name) keeps an IKE SA that its peer has said to have forgotten") }
        }
        host.firstCalls = []
    }

    /// For a second after a loss the supervisor waits for the reason.
    private static let lossGrace = Tick.Span.milliseconds(1100)

    /// What the supervisors say is so.
    func checkStates() {
        for host in hosts where host.isUp && !host.isStopping && host.frozenUntil == nil {
            for tunnel in tunnels(of: host) {
                guard let status = host.status(tunnel, now: clock(host)) else {
                    fail("\(host.name) has no status of \(Scenario.tunnelName(tunnel))")
                    continue
                }
                let isUp = status.state == .online || status.state == .degraded
                if isUp, !reference.isEnabled[host.index] { fail("\(host.name) has a tunnel up that is disabled") }
                guard isUp, status.interface.flatMap({ host.dataPath.sending($0) }) == nil else {
                    host.emptySince[tunnel] = nil
                    continue
                }
                let since = host.emptySince[tunnel] ?? clock(host)
                host.emptySince[tunnel] = since
                if clock(host) - since > Self.lossGrace {
                    fail("\(host.name) says that \(status.tunnel) is up, and no SA is there to send on")
                }
            }
        }
    }

    func tunnels(of host: Host) -> Range<Int> { host.index == 0 ? scenario.tunnels : host.index - 1..<host.index }

    // MARK: - On a fair network

    var areAllOnline: Bool {
        hosts.allSatisfy { host in
            tunnels(of: host).allSatisfy { host.status($0, now: clock(host))?.state == .online }
        }
    }

    /// Why the hosts do not hold exactly one IKE SA and one child a tunnel, the same at both ends; nil when they do.
    func whyNotExact() -> String? {
        for host in hosts {
            let count = tunnels(of: host).count
            if host.engine.ikeSACount != count { return "\(host.name) holds \(host.engine.ikeSACount) IKE SAs" }
            let halfOpen = host.engine.halfOpenCount
            if halfOpen != 0 { return "\(host.name) holds \(halfOpen) half-open SAs" }
            let children = host.dataPath.children.count
            if children != count { return "\(host.name) holds \(children) children" }
            if host.ledger.sas.count != count || host.ledger.children.count != count || !host.ledger.attempts.isEmpty {
                return "by its events \(host.name) holds \(host.ledger.summary)"
            }
        }
        for tunnel in scenario.tunnels {
            let (gateway, endpoint) = (hosts[0], hosts[tunnel + 1])
            let name = Scenario.tunnelName(tunnel)
            guard let a = gateway.interface(of: tunnel).flatMap({ gateway.dataPath.sending($0) })?.sa,
                let b = endpoint.interface(of: tunnel).flatMap({ endpoint.dataPath.sending($0) })?.sa
            else { return "one end of \(name) has no child to send on" }
            if scenario.isWide, let reason = whyStrayed(gateway, a.spiIn, endpoint, b.spiIn) { return reason }
            if a.spiIn != b.spiOut || a.spiOut != b.spiIn { return "the ends of \(name) send on different SAs" }
            let spis = [gateway, endpoint].map { $0.status(tunnel, now: clock($0))?.ike }
            if spis[0]?.initiatorSPI != spis[1]?.initiatorSPI || spis[0]?.responderSPI != spis[1]?.responderSPI {
                return "the ends of \(name) show different IKE SAs"
            }
        }
        return nil
    }

    /// Why something is left after everything was stopped; nil when nothing is.
    func whatIsLeft() -> String? {
        for host in hosts {
            if !host.isFinished { return "\(host.name) has not finished" }
            if host.engine.ikeSACount != 0 { return "\(host.name) still holds \(host.engine.ikeSACount) IKE SAs" }
            if let deadline = host.engine.deadline { return "\(host.name)'s engine still wants to \(deadline.reason)" }
            if let deadline = host.supervisor.deadline {
                return "\(host.name)'s supervisor still wants to \(deadline.reason)"
            }
            let children = host.dataPath.children.count
            if children != 0 { return "\(host.name) still holds \(children) children" }
            if !host.ledger.isEmpty { return "\(host.name)'s engine has not told the end of \(host.ledger.summary)" }
            if !host.links.isEmpty || !host.routes.isEmpty { return "\(host.name) has left interfaces or routes" }
        }
        return nil
    }
}
