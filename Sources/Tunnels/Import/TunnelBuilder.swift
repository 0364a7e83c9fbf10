internal import Base
internal import Cryptography
internal import IKE

/// One tunnel of a plan: the file's values, the defaults where it has none, and the checks of both.
struct TunnelBuilder {
    let context: ImportContext
    let connection: VPNConnection
    let tunnel: VPNTunnel
    let number: Int
    let routing: Connector.Routing
    let networks: PlanRules.Networks
    private var origins: [(name: String, origin: Origin)] = []

    init(
        context: ImportContext, connection: VPNConnection, tunnel: VPNTunnel, number: Int, routing: Connector.Routing,
        networks: PlanRules.Networks
    ) {
        self.context = context
        self.connection = connection
        self.tunnel = tunnel
        self.number = number
        self.routing = routing
        self.networks = networks
    }

    private var profile: VendorProfile { context.profile }

    /// Takes a value and remembers where it came from.
    private mutating func take<Value: Sendable>(_ name: String, _ value: Sourced<Value>) -> Value {
        origins.append((name, value.origin))
        return value.value
    }

    private mutating func take<Value: Sendable>(_ name: String, _ value: Sourced<Value>?, default other: Value) -> Value
    {
        take(name, value ?? Sourced(other, .default))
    }

    mutating func build(named name: String, _ notes: inout PlanRules.Notes) throws(ImportError) -> ImportPlan.Planned {
        let (phase1, prf) = try phase1(&notes)
        let phase2 = phase2(phase1, &notes)
        let inside = try inside(&notes)
        let bgp = try bgp(inside, &notes)
        return ImportPlan.Planned(
            tunnel: Tunnel(name: name, phase1: phase1, phase2: phase2, inside: inside, bgp: bgp), prf: prf,
            origins: origins)
    }

    // MARK: Phase 1

    private mutating func phase1(_ notes: inout PlanRules.Notes) throws(ImportError) -> (Phase1, [PRFAlgorithm]) {
        guard let remote = tunnel.remoteOutside, let psk = tunnel.psk else {
            throw ImportError(
                .missingValue, at: tunnel.place, "tunnel \(number) is incomplete", remedy: ImportError.downloadAgain)
        }
        let version = try ikeVersion(&notes)
        let local = localAddress(&notes)
        try checkOutside(remote, "AWS's outside address")
        // An operator's own --local-address may be private: then it is not our identity but where we send from.
        if let fromFile = tunnel.localOutside { try checkOutside(fromFile, "our outside address (customer gateway)") }
        if let fromFile = tunnel.localOutside, fromFile.value.family != remote.value.family {
            throw ImportError(
                .contradiction, at: fromFile.place, field: "tunnel \(number)",
                "one outside address is IPv4 and the other IPv6", remedy: ImportError.downloadAgain)
        }

        _ = take("phase1.ikeVersion", version)
        let localAddress = local.map { take("phase1.localAddress", $0) }
        let remoteAddress = take("phase1.remoteAddress", remote)
        if let identity = tunnel.localID { origins.append(("phase1.localID", identity.origin)) }
        if let identity = tunnel.remoteID { origins.append(("phase1.remoteID", identity.origin)) }
        let key = take("phase1.psk", psk)
        let encryption = take(
            "phase1.encryption", tunnel.encryption1, default: profile.permitted.encryption.map(\.name))
        let integrity = take("phase1.integrity", tunnel.integrity1, default: profile.permitted.integrity.map(\.name))
        let groups = take("phase1.dhGroups", tunnel.groups1, default: profile.permitted.phase1Groups)
        // IKEv2's PRF is in no file: HMAC of the integrity hash, with AES-GCM too.
        let prf = integrity.compactMap { PRFAlgorithm(rawValue: $0.rawValue) }
        let lifetime = take(
            "phase1.lifetimeSeconds", tunnel.lifetime1, default: profile.defaults.phase1LifetimeSeconds)
        if !profile.permitted.phase1LifetimeSeconds.contains(lifetime) {
            notes.add(
                "the phase 1 lifetime of \(lifetime) s is outside what AWS permits (900 to 28800)", tunnel: number)
        }
        let dpd = dpd(&notes)
        origins.append(("phase1.prf", .derived))
        noteAlgorithms(encryption, integrity, groups, &notes)
        if tunnel.isStartedByAWS?.value == true {
            notes.add(
                "AWS starts this tunnel too (startup action 'start'); Gatehouse also starts it, and the first "
                    + "one up is used",
                tunnel: number)
        }
        let bind = context.options.localAddress
        return (
            Phase1(
                ikeVersion: version.value, localAddress: localAddress, bindAddress: bind, remoteAddress: remoteAddress,
                localID: tunnel.localID?.value, remoteID: tunnel.remoteID?.value, authentication: .psk(key),
                encryption: encryption, integrity: integrity, dhGroups: groups, lifetimeSeconds: lifetime, dpd: dpd,
                forceUDPEncapsulation: connection.isAccelerated?.value == true,
                rekeyMarginSeconds: rekeyMargin(profile.ours.phase1RekeyMarginSeconds, lifetime: lifetime)),
            prf
        )
    }

    private func ikeVersion(_ notes: inout PlanRules.Notes) throws(ImportError) -> Sourced<Int> {
        let ours = profile.ours.ikeVersion
        guard let versions = tunnel.ikeVersions else {
            notes.add(
                "the file names no IKE version; Gatehouse uses IKEv2, which AWS endpoints speak unless their options "
                    + "forbid it", tunnel: number)
            return Sourced(ours, .default)
        }
        if versions.value.contains(ours) { return Sourced(ours, versions.origin, versions.place) }
        guard !connection.showsTunnelOptions else {
            throw ImportError(
                .unsupported, at: versions.place, field: "IkeVersions",
                "the tunnel options permit IKEv1 only, and Gatehouse speaks IKEv2",
                remedy: "Permit ikev2 in the tunnel options at AWS (Modify VPN tunnel options), then import again.")
        }
        notes.add(
            "the file says IKEv1, as AWS's samples do; the AWS endpoint speaks IKEv2 as well unless its options forbid "
                + "it, and Gatehouse uses IKEv2", tunnel: number)
        return Sourced(ours, .default)
    }

    private func localAddress(_ notes: inout PlanRules.Notes) -> Sourced<IPAddress>? {
        if let address = tunnel.localOutside { return address }
        if let address = context.options.localAddress { return Sourced(address, .option) }
        notes.add(
            "the file does not name our outside address (customer gateway), so this host's own is used: AWS must know "
                + "us by it; behind a NAT, or with several addresses, give the right one with --local-address",
            tunnel: number)
        return nil
    }

    private func checkOutside(_ address: Sourced<IPAddress>, _ what: String) throws(ImportError) {
        let value = address.value
        func refuse(_ reason: String, _ remedy: String) -> ImportError {
            ImportError(.invalidValue, at: address.place, field: "tunnel \(number)", reason, remedy: remedy)
        }
        if value.isUnspecified || value.isMulticast || value.isLoopback || value.isLinkLocal {
            throw refuse("\(what), \(value), is no address that a tunnel can end at", ImportError.downloadAgain)
        }
        if value.isIPv4, value.isPrivate, connection.outsideType?.value != "PrivateIpv4" {
            throw refuse(
                "\(what), \(value), is private, and the connection is not one over private addresses",
                "The file must have the public address of the customer gateway, also behind a NAT (give the host's own "
                    + "address with --local-address). For a connection over Direct Connect import the output of "
                    + "'aws ec2 describe-vpn-connections', which says PrivateIpv4.")
        }
    }

    private mutating func dpd(_ notes: inout PlanRules.Notes) -> Phase1.DPD {
        let ours = profile.ours.dpd
        let delay = take("phase1.dpd.delaySeconds", tunnel.dpdInterval, default: ours.delaySeconds)
        var timeout = tunnel.dpdTimeout
        if timeout == nil, let interval = tunnel.dpdInterval, let retries = tunnel.dpdRetries {
            timeout = Sourced(interval.value * retries.value, .derived, retries.place)
        }
        let seconds = take("phase1.dpd.timeoutSeconds", timeout, default: max(ours.timeoutSeconds, delay))
        // AWS's action is about its own side. Ours is to call again, since AWS does not.
        _ = take("phase1.dpd.action", Sourced(ours.action, .default))
        if seconds < 3 * delay {
            notes.add(
                "the DPD timeout of \(seconds) s is below three times the interval of \(delay) s: one lost answer may "
                    + "end the tunnel", tunnel: number)
        }
        if seconds > 120 {
            notes.add("with a DPD timeout of \(seconds) s a dead tunnel is noticed late", tunnel: number)
        }
        return Phase1.DPD(delaySeconds: delay, timeoutSeconds: seconds, action: ours.action)
    }

    /// Ahead of AWS's own rekey with a minute to spare, and never more than two thirds of a short lifetime.
    private func rekeyMargin(_ ours: Int, lifetime: Int) -> Int {
        let margin = tunnel.rekeyMargin?.value ?? profile.defaults.rekeyMarginSeconds
        let fuzz = tunnel.rekeyFuzz?.value ?? profile.defaults.rekeyFuzzPercent
        return min(max(ours, margin * (100 + fuzz) / 100 + 60), lifetime * 2 / 3)
    }

    private func noteAlgorithms(
        _ encryption: [EncryptionAlgorithm], _ integrity: [IntegrityAlgorithm], _ groups: [DHGroup],
        _ notes: inout PlanRules.Notes
    ) {
        let minimum = profile.minimumSet
        if !connection.showsTunnelOptions, encryption == [minimum.encryption], integrity == [minimum.integrity],
            groups == [minimum.group]
        {
            notes.add(
                "the algorithms are the minimum set (aes128, sha1, group 2) that every AWS file of this kind shows, "
                    + "whatever the tunnel options are; 'aws ec2 describe-vpn-connections' shows the options",
                tunnel: number)
        }
        var weak = integrity.contains(.sha1) ? ["SHA-1"] : []
        weak += groups.filter(\.isWeak).map { "DH group \($0.rawValue)" }
        guard !weak.isEmpty else { return }
        let isOnlyWeak = integrity == [.sha1] || groups.allSatisfy(\.isWeak)
        notes.add(
            isOnlyWeak
                ? "weak by today's measure: \(weak.joined(separator: ", ")); permit stronger ones in the tunnel "
                    + "options at AWS"
                : "AWS takes the lowest value that both sides offer, and the weak \(weak.joined(separator: ", ")) are "
                    + "among them; take them out of the tunnel options at AWS", tunnel: number)
    }

    // MARK: Phase 2

    private mutating func phase2(_ phase1: Phase1, _ notes: inout PlanRules.Notes) -> Phase2 {
        let encryption = take(
            "phase2.encryption", tunnel.encryption2, default: profile.permitted.encryption.map(\.name))
        let integrity = take("phase2.integrity", tunnel.integrity2, default: profile.permitted.integrity.map(\.name))
        let groups = take("phase2.pfsGroups", tunnel.groups2, default: profile.permitted.phase2Groups)
        let lifetime = take(
            "phase2.lifetimeSeconds", tunnel.lifetime2, default: profile.defaults.phase2LifetimeSeconds)
        if !profile.permitted.phase2LifetimeSeconds.contains(lifetime) {
            notes.add("the phase 2 lifetime of \(lifetime) s is outside what AWS permits (900 to 3600)", tunnel: number)
        }
        if lifetime >= phase1.lifetimeSeconds {
            notes.add(
                "the phase 2 lifetime of \(lifetime) s is not below the phase 1 lifetime of "
                    + "\(phase1.lifetimeSeconds) s",
                tunnel: number)
        }
        if groups.isEmpty {
            notes.add("the file asks for no PFS, which AWS demands when it rekeys phase 2", tunnel: number)
        }
        origins.append(("phase2.localNetworks", networks.local.origin))
        origins.append(("phase2.remoteNetworks", networks.remote.origin))
        let localSelectors = take("phase2.localSelectors", tunnel.localSelectors ?? networks.localSelectors)
        let remoteSelectors = take("phase2.remoteSelectors", tunnel.remoteSelectors ?? networks.remoteSelectors)
        var window = take("phase2.replayWindow", tunnel.replayWindow, default: profile.defaults.replayWindow)
        if !profile.permitted.replayWindow.contains(window) {
            notes.add("the replay window of \(window) packets is outside what AWS permits (64 to 2048)", tunnel: number)
            window = min(max(window, profile.permitted.replayWindow.minimum), profile.permitted.replayWindow.maximum)
        }
        return Phase2(
            encryption: encryption, integrity: integrity, pfsGroups: groups, lifetimeSeconds: lifetime,
            localSelectors: localSelectors, remoteSelectors: remoteSelectors, esn: profile.ours.esn,
            replayWindow: window,
            rekeyMarginSeconds: rekeyMargin(profile.ours.phase2RekeyMarginSeconds, lifetime: lifetime))
    }

    // MARK: Inside

    private mutating func inside(_ notes: inout PlanRules.Notes) throws(ImportError) -> Tunnel.Inside? {
        guard let local = tunnel.ownInside, let remote = tunnel.peerInside else {
            notes.add(
                "a file of this kind has no addresses inside the tunnel: AWS's end cannot be probed, so only dead peer "
                    + "detection finds a tunnel that has failed, and BGP is not possible; the JSON of 'aws ec2 "
                    + "describe-vpn-connections' has the addresses", tunnel: number)
            return nil
        }
        guard local.value.address != remote.value.address else {
            throw ImportError(
                .contradiction, at: remote.place, field: "tunnel \(number)",
                "both ends have the inside address \(remote.value.address)"
                    + (local.place.map { ", ours on \($0)" } ?? ""), remedy: ImportError.downloadAgain)
        }
        guard local.value.family == remote.value.family else {
            throw ImportError(
                .contradiction, at: remote.place, field: "tunnel \(number)",
                "one inside address is IPv4 and the other IPv6", remedy: ImportError.downloadAgain)
        }
        checkInside(local, remote, &notes)
        let localAddress = take("inside.localAddress", local)
        let remoteAddress = take("inside.remoteAddress", remote)
        if let address = tunnel.insideLocal6 { origins.append(("inside.localAddress6", address.origin)) }
        if let address = tunnel.insideRemote6 { origins.append(("inside.remoteAddress6", address.origin)) }

        let terms = profile.tunnelInterface
        var mtu = take("inside.mtu", tunnel.mtu, default: terms.mtu)
        if mtu > terms.maximumMTU {
            notes.add("the MTU of \(mtu) is above AWS's maximum; \(terms.maximumMTU) is used", tunnel: number)
            mtu = terms.maximumMTU
        }
        // The headers of IP and TCP: 20 + 20 bytes, 40 + 20 with IPv6.
        let room = mtu - (local.value.family == .ipv4 ? 40 : 60)
        var mss = take("inside.mss", tunnel.mss ?? Sourced(room, .derived))
        if mss > room {
            notes.add("the TCP segment size of \(mss) does not fit the MTU of \(mtu); \(room) is used", tunnel: number)
            mss = room
        }
        return Tunnel.Inside(
            localAddress: localAddress, remoteAddress: remoteAddress, localAddress6: tunnel.insideLocal6?.value,
            remoteAddress6: tunnel.insideRemote6?.value, mtu: mtu, mss: mss)
    }

    private func checkInside(
        _ ours: Sourced<IPPrefix>, _ theirs: Sourced<IPPrefix>, _ notes: inout PlanRules.Notes
    ) {
        let terms = profile.tunnelInterface
        let (local, remote) = (ours.value, theirs.value)
        guard local.family == .ipv4 else { return }
        func shown(_ prefix: Sourced<IPPrefix>) -> String {
            "\(prefix.value)" + (prefix.place.map { " (\($0))" } ?? "")
        }
        let pair = "\(shown(ours)) and \(shown(theirs))"
        if local.length != terms.insideLength || remote.length != terms.insideLength || local.network != remote.network
        {
            notes.add("the inside addresses \(pair) are not in one /\(terms.insideLength) network", tunnel: number)
        } else {
            if let reserved = terms.reservedInside.first(where: { $0.contains(local.address) }) {
                notes.add("the inside network \(reserved) is reserved by AWS", tunnel: number)
            }
            if remote.address > local.address {
                notes.add(
                    "AWS usually has the lower of the two inside addresses; here \(remote.address) is above "
                        + "\(local.address). Were they swapped?", tunnel: number)
            }
        }
        if !terms.insideNetwork.contains(local.address) || !terms.insideNetwork.contains(remote.address) {
            notes.add(
                "the inside addresses \(pair) are outside \(terms.insideNetwork), where AWS has them", tunnel: number)
        }
    }

    // MARK: BGP

    private mutating func bgp(_ inside: Tunnel.Inside?, _ notes: inout PlanRules.Notes) throws(ImportError) -> Tunnel
        .BGP?
    {
        guard routing == .bgp, let inside else { return nil }
        guard let local = tunnel.localASN, let remote = tunnel.remoteASN else {
            notes.add(
                tunnel.localASN == nil && tunnel.remoteASN == nil
                    ? "routing is BGP, but the file has no AS numbers"
                    : "only one side of the tunnel has a BGP AS number; BGP is left out", tunnel: number)
            return nil
        }
        if let neighbor = tunnel.neighbor {
            if neighbor.value == inside.localAddress.address {
                throw ImportError(
                    .contradiction, at: neighbor.place, field: "tunnel \(number)",
                    "the BGP neighbour \(neighbor.value) is our own inside address"
                        + (tunnel.ownInside?.place.map { " of \($0)" } ?? ""), remedy: ImportError.downloadAgain)
            }
            if neighbor.value != inside.remoteAddress.address {
                notes.add(
                    "the BGP neighbour \(neighbor.value) is not AWS's inside address \(inside.remoteAddress.address)",
                    tunnel: number)
            }
        }
        if local.value == remote.value {
            notes.add("both sides have the AS number \(local.value), which AWS refuses", tunnel: number)
        }
        return Tunnel.BGP(
            localASN: take("bgp.localASN", local), remoteASN: take("bgp.remoteASN", remote),
            neighbor: take(
                "bgp.neighbor", tunnel.neighbor ?? Sourced(inside.remoteAddress.address, .derived)),
            holdTimeSeconds: take(
                "bgp.holdTimeSeconds", tunnel.holdTime, default: profile.defaults.bgpHoldTimeSeconds))
    }
}
