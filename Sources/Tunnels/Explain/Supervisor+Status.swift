public import Base
internal import Cryptography
internal import IKE

extension Supervisor {
    /// Every tunnel of every connector, disabled ones too, in the connectors' order.
    ///
    /// - Parameters:
    ///   - wall: turns an instant into a time of day.
    ///   - counters: what the data path has counted for the child with this inbound SPI; nil when it is not known.
    public func status(
        now: Tick, wall: (Tick) -> WallTime, counters: (UInt32) -> ChildTraffic? = { _ in nil }
    ) -> [TunnelStatus] {
        order.flatMap { id in
            (connectors[id]?.tunnels ?? []).compactMap { key in
                keepers[key].map { status($0, isActive: connectors[id]?.active == key, now, wall, counters) }
            }
        }
    }

    /// One tunnel, by name.
    public func status(
        of tunnel: String, now: Tick, wall: (Tick) -> WallTime, counters: (UInt32) -> ChildTraffic? = { _ in nil }
    ) -> TunnelStatus? {
        guard let key = keysByName[tunnel], let keeper = keepers[key] else { return nil }
        return status(keeper, isActive: connectors[keeper.connector]?.active == key, now, wall, counters)
    }

    private func status(
        _ keeper: TunnelKeeper, isActive: Bool, _ now: Tick, _ wall: (Tick) -> WallTime,
        _ counters: (UInt32) -> ChildTraffic?
    ) -> TunnelStatus {
        let ike = keeper.currentPhase1
        var lastSeen = keeper.lastSeen
        let children = keeper.currentChildren.map { child in
            let traffic = counters(child.spiIn) ?? ChildTraffic()
            if let inbound = traffic.lastInbound { lastSeen = max(inbound, lastSeen ?? inbound) }
            return TunnelStatus.Child(
                name: keeper.tunnel.phase2Name(at: child.place), spiIn: child.spiIn.hexadecimal,
                spiOut: child.spiOut.hexadecimal, proposal: child.suite.description,
                bytesIn: traffic.bytesIn, bytesOut: traffic.bytesOut, packetsIn: traffic.packetsIn,
                packetsOut: traffic.packetsOut, localNetworks: child.localSelectors.map(\.words),
                remoteNetworks: child.remoteSelectors.map(\.words), rekeyAt: wall(child.rekeyAt))
        }
        let warnings = keeper.tunnel.certificateWarnings(at: wall(now)).map(\.text)
        return TunnelStatus(
            connector: keeper.connector, tunnel: keeper.name, state: keeper.state, isActive: isActive,
            localAddress: (keeper.tunnel.phase1.localAddress ?? ike?.path.local.address)?.description,
            remoteAddress: (keeper.tunnel.phase1.remoteAddress ?? ike?.path.remote.address)?.description,
            since: wall(keeper.since), dataPath: configuration.dataPath, interface: keeper.interface,
            ike: ike.map { ike in
                TunnelStatus.IKE(
                    initiatorSPI: ike.initiatorSPI.hexadecimal, responderSPI: ike.responderSPI.hexadecimal,
                    proposal: ike.suite.description, localID: ike.localID.description,
                    remoteID: ike.remoteID.description, establishedAt: wall(ike.establishedAt),
                    rekeyAt: wall(ike.rekeyAt), authentication: TunnelStatus.Authentication(ike.authentication))
            },
            children: children,
            dpd: TunnelStatus.DPD(
                lastSeen: lastSeen.map(wall), roundTripMilliseconds: keeper.roundTrip?.milliseconds,
                retransmits: keeper.retransmits),
            probe: keeper.tunnel.probeAddresses.map { _, to in
                TunnelStatus.Probe(
                    address: to.description, lastAnswer: keeper.probe.lastAnswer.map(wall),
                    roundTripMilliseconds: keeper.probe.roundTrip?.milliseconds, lost: keeper.probe.lost)
            },
            weaknesses: keeper.weaknesses, warnings: warnings.isEmpty ? nil : warnings, lastError: keeper.lastError)
    }
}

extension TunnelStatus.Authentication {
    init(_ summary: AuthenticationSummary) {
        self.init(
            local: summary.local, remote: summary.remote,
            peerCertificate: summary.peerCertificate.map {
                TunnelStatus.Certificate(
                    subject: $0.subject, issuer: $0.issuer, serialNumber: $0.serialNumber, notBefore: $0.notBefore,
                    notAfter: $0.notAfter)
            },
            ppk: summary.usesPPK)
    }
}

extension FixedWidthInteger {
    /// All its digits, leading zeros too.
    fileprivate var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
    }
}

extension TrafficSelector {
    /// A prefix where it is one, else the range; with protocol and ports where they matter.
    var words: String {
        var text = "\(first)-\(last)"
        for length in 0...first.family.bitWidth {
            if let prefix = IPPrefix(first, length: length), prefix.first == first, prefix.last == last {
                text = prefix.description
            }
        }
        if ipProtocol != 0 { text += " protocol \(ipProtocol)" }
        if firstPort != 0 || lastPort != 65535 {
            text += firstPort == lastPort ? " port \(firstPort)" : " ports \(firstPort)-\(lastPort)"
        }
        return text
    }
}
