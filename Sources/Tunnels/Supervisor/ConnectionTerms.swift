internal import Base
internal import Cryptography
internal import IKE

extension Tunnel {
    /// The tunnel's terms as the IKE engine needs them.
    func connectionConfiguration(_ supervisor: SupervisorConfiguration) -> ConnectionConfiguration {
        let family = (phase1.remoteAddress ?? phase1.bindAddress ?? phase1.localAddress)?.family ?? .ipv4
        var terms = ConnectionConfiguration(
            name: name, localAddress: phase1.bindAddress ?? .any(family), remoteAddress: phase1.remoteAddress,
            authentication: phase1.authentication, ikeProposals: phase1.proposals, espProposals: phase2.proposals,
            localSelectors: phase2.localSelectors.map { TrafficSelector($0) },
            remoteSelectors: phase2.remoteSelectors.map { TrafficSelector($0) })
        terms.localPort = supervisor.ikePort
        terms.localNATPort = supervisor.natPort
        // Behind a NAT we are still who the peer knows us as: the public address, not the one that we send from. With a
        // certificate we are its subject.
        let isCertified = phase1.authentication.credential != nil
        terms.localID = phase1.localID ?? (isCertified ? nil : phase1.localAddress.map { IKEIdentity($0) })
        terms.remoteID = phase1.remoteID ?? phase1.remoteAddress.map { IKEIdentity($0) }
        let ikeSeconds = max(30, phase1.lifetimeSeconds)
        terms.ikeLifetime = .seconds(ikeSeconds)
        terms.ikeRekeyMargin = .seconds(
            RekeyMargin.seconds(lifetime: ikeSeconds, asked: phase1.rekeyMarginSeconds, usual: 800, share: 36))
        terms.child = phase2.childConfiguration
        terms.furtherChildren = furtherPhase2.map(\.childConfiguration)
        // The timeout counts from the last sign of life; the engine's counts from the question, asked `delay` later.
        let (delay, timeout) = (max(1, phase1.dpd.delaySeconds), max(1, phase1.dpd.timeoutSeconds))
        terms.dpdDelay = phase1.dpd.action == .none ? .zero : .seconds(delay)
        terms.dpdTimeout = .seconds(max(timeout - delay, min(timeout, 4)))
        terms.connectTimeout = supervisor.connectTimeout
        terms.ppk = phase1.ppk
        terms.forceUDPEncapsulation = phase1.forceUDPEncapsulation
        terms.isMobile = phase1.isMobile
        terms.prefersChildless = phase1.prefersChildless
        return terms
    }

    /// True when SAs that stand under `other`'s terms can live on under these.
    func keepsSAs(of other: Tunnel) -> Bool {
        var (a, b) = (self, other)
        for lasting in [\Phase1.lifetimeSeconds, \Phase1.dpd.delaySeconds, \Phase1.dpd.timeoutSeconds] {
            a.phase1[keyPath: lasting] = 0
            b.phase1[keyPath: lasting] = 0
        }
        a.phase1.dpd.action = .none
        b.phase1.dpd.action = .none
        // A renewed certificate serves the next IKE SA; where CAs or CRLs change, the engine verifies the peer again.
        if a.phase1.authentication.credential != nil, b.phase1.authentication.credential != nil {
            a.phase1.authentication = b.phase1.authentication
        }
        a.phase1.rekeyMarginSeconds = nil
        b.phase1.rekeyMarginSeconds = nil
        return a.name == b.name && a.phase1 == b.phase1
            && a.allPhase2.map(\.withoutLifetimes) == b.allPhase2.map(\.withoutLifetimes)
    }

    /// The first pair of inside addresses that the selectors let through: what to probe from and to.
    var probeAddresses: (from: IPAddress, to: IPAddress)? {
        guard let inside else { return nil }
        var pairs = [(inside.localAddress.address, inside.remoteAddress.address)]
        if let local = inside.localAddress6, let remote = inside.remoteAddress6 {
            pairs.append((local.address, remote.address))
        }
        return pairs.first { from, to in
            from.family == to.family
                && allPhase2.contains { phase2 in
                    phase2.localSelectors.contains { $0.contains(from) }
                        && phase2.remoteSelectors.contains { $0.contains(to) }
                }
        }
    }

    /// The interface as it should be before a suite is negotiated: sized for the first one that we offer.
    func link(interface: String) -> TunnelLink {
        let encryption = phase2.encryption.first ?? .aes128
        let suite = ESPSuite(
            encryption: encryption, integrity: encryption.isAEAD ? nil : phase2.integrity.first, group: nil,
            esn: phase2.esn)
        return link(
            interface: interface, suite: suite, isUDPEncapsulated: phase1.forceUDPEncapsulation,
            outsideFamily: phase1.remoteAddress?.family ?? .ipv4)
    }

    /// The interface as it should be for a negotiated suite and path.
    func link(
        interface: String, suite: ESPSuite, isUDPEncapsulated: Bool, outsideFamily: IPAddress.Family
    ) -> TunnelLink {
        let size = TunnelMTU.forSuite(suite, isUDPEncapsulated: isUDPEncapsulated, outsideFamily: outsideFamily)
            .limited(to: inside)
        return TunnelLink(
            interface: interface, tunnel: name,
            addresses: inside.map { [$0.localAddress] + ($0.localAddress6.map { [$0] } ?? []) } ?? [], mtu: size.mtu,
            mss: size.mss)
    }
}

/// When to rekey. AWS may start 540 seconds before an SA ends (margin 270 with 100 % fuzz, lifetimes from 900 s);
/// two sides that start at once waste an exchange, so we are always earlier.
enum RekeyMargin {
    /// - Parameters:
    ///   - asked: what the connector says; it gets no more than two thirds of the lifetime.
    ///   - usual: our margin where the lifetime has room for it.
    ///   - share: lifetimes shorter than AWS permits give this part of themselves.
    static func seconds(lifetime: Int, asked: Int?, usual: Int, share: Int) -> Int {
        let most = lifetime / 3 * 2
        if let asked { return min(most, max(1, asked)) }
        return lifetime >= 900 ? min(most, usual) : max(1, lifetime / share)
    }
}

extension Phase1 {
    /// AEAD ciphers and the others apart, in the order of the list. No file names a PRF: it follows the integrity
    /// hash, also beside an AEAD cipher, as AWS does.
    fileprivate var proposals: [IKEProposal] {
        let named = integrity.compactMap { PRFAlgorithm(rawValue: $0.rawValue) }
        let prf = named.isEmpty ? [.sha256, .sha384, .sha512] : named
        return encryption.splitByKind.compactMap { ciphers, isAEAD in
            if !isAEAD, integrity.isEmpty { return nil }
            return IKEProposal(encryption: ciphers, integrity: isAEAD ? [] : integrity, prf: prf, groups: dhGroups)
        }
    }
}

extension Phase2 {
    /// The terms of one child as the IKE engine needs them.
    fileprivate var childConfiguration: ChildConfiguration {
        var terms = ChildConfiguration(
            espProposals: proposals, localSelectors: localSelectors.map { TrafficSelector($0) },
            remoteSelectors: remoteSelectors.map { TrafficSelector($0) })
        let seconds = max(30, lifetimeSeconds)
        terms.lifetime = .seconds(seconds)
        terms.rekeyMargin = .seconds(
            RekeyMargin.seconds(lifetime: seconds, asked: rekeyMarginSeconds, usual: 600, share: 6))
        terms.lifetimeBytes = lifetimeBytes
        terms.lifetimePackets = lifetimePackets
        terms.replayWindow = min(2048, max(32, replayWindow))
        return terms
    }

    /// What SAs that stand must agree on: their ends are set already.
    fileprivate var withoutLifetimes: Phase2 {
        var terms = self
        terms.lifetimeSeconds = 0
        (terms.rekeyMarginSeconds, terms.lifetimeBytes, terms.lifetimePackets) = (nil, nil, nil)
        return terms
    }

    fileprivate var proposals: [ESPProposal] {
        encryption.splitByKind.compactMap { ciphers, isAEAD in
            if !isAEAD, integrity.isEmpty { return nil }
            return ESPProposal(
                encryption: ciphers, integrity: isAEAD ? [] : integrity, groups: pfsGroups,
                esn: esn ? [true, false] : [false])
        }
    }
}

extension [EncryptionAlgorithm] {
    /// The AEAD ciphers and the others, whichever comes first in the list first.
    fileprivate var splitByKind: [(ciphers: [EncryptionAlgorithm], isAEAD: Bool)] {
        guard let first else { return [] }
        return [first.isAEAD, !first.isAEAD].compactMap { kind in
            let ciphers = filter { $0.isAEAD == kind }
            return ciphers.isEmpty ? nil : (ciphers, kind)
        }
    }
}
