import Base
import Cryptography

/// What MOBIKE (RFC 4555) adds to an IKE SA when both ends can do it.
struct Mobility: Sendable, Codable, Hashable {
    /// Whether we began the first IKE SA of this line: that end alone says where the tunnel goes, also after rekeys.
    var isOriginalInitiator: Bool
    /// The peer's hash of the address and port that it sees us at, while a translator is in front of us: another one
    /// means another mapping. Empty until the peer has told it.
    var seenAs: [UInt8] = []
}

/// The tunnel follows a change of addresses. The original initiator moves at once and tells the peer by
/// UPDATE_SA_ADDRESSES; the other end moves its ESP only when the new place has proved that it answers.
extension Engine {
    // MARK: - Our own address

    mutating func relocate(_ id: ConnectionID, to address: IPAddress, hasLostOld: Bool) {
        for spi in connections[id]?.sas.sorted ?? [] {
            with(spi) { $0.relocate(&$1, to: address, hasLostOld: hasLostOld) }
        }
    }

    private mutating func relocate(_ sa: inout IKESA, to address: IPAddress, hasLostOld: Bool) {
        let old = sa.path.local.address
        guard old != address, old.family == address.family, !old.isUnspecified else { return }
        switch sa.state {
        case .established where sa.isProvisional: sa.path.local.address = address
        case .established where sa.mobility?.isOriginalInitiator == true: moveOurEnd(&sa, to: address)
        case .established where hasLostOld:
            // The peer, or an IKE SA that it began, knows no other address of ours: begin anew from there.
            sa.path.local.address = address
            beginDeletion(&sa, addressLost(old, address))
        case .initSent where hasLostOld, .authSent where hasLostOld: failAttempt(&sa, addressLost(old, address))
        case .rekeyed where hasLostOld, .deleting where hasLostOld: sa.path.local.address = address
        case .initSent, .authSent, .established, .halfOpen, .rekeyed, .deleting, .closed: break
        }
    }

    private mutating func moveOurEnd(_ sa: inout IKESA, to address: IPAddress) {
        sa.path.local.address = address
        for child in sa.children { add(.moveChild(spiIn: child.spiIn, sa.childPath)) }
        emit(.moved(sa.childPath), sa)
        // What is out is sent again from there before the peer is told: the window has room for one (RFC 4555 §3.5).
        sa.request?.nextSend = now
        plan(.updateAddresses, &sa)
    }

    mutating func startAddressUpdate(_ sa: inout IKESA) {
        sa.exchange = .updateAddresses(sa.path)
        let detection = natDetection(sa, spiR: sa.responderSPI, sa.path)
        request(&sa, .informational, timeout: dpdTimeout(sa)) { message in
            message.add(.updateSAAddresses)
            for notify in detection { message.add(notify) }
        }
    }

    mutating func receiveAddressAnswer(_ sa: inout IKESA, _ path: Path, _ payloads: Payloads) {
        guard sa.isEstablished else { return }
        // The address has changed once more meanwhile: this answer is about a place that we have left.
        guard sa.path.local == path.local, sa.path.remote == path.remote else { return plan(.updateAddresses, &sa) }
        if let error = payloads.firstError {
            return beginDeletion(
                &sa,
                Failure(
                    .addressChanged,
                    "\(path.remote.address) does not take \(path.local.address), our new address: \(error.type.name)."))
        }
        guard payloads.has(.natDetectionSourceIP) else { return }
        let before = sa.nat
        detectNAT(&sa, payloads, path, spiR: sa.responderSPI)
        sa.mobility?.seenAs = payloads.notify(.natDetectionDestinationIP)?.data ?? []
        sa.nextKeepalive = .distantFuture
        touchKeepalive(&sa)
        guard sa.nat.encapsulates != before.encapsulates else { return }
        for child in sa.children { add(.moveChild(spiIn: child.spiIn, sa.childPath)) }
        emit(.moved(sa.childPath), sa)
    }

    // MARK: - A translator in front of us that forgets us

    /// What a liveness check asks beside: where the peer sees us (RFC 4555 §3.8).
    mutating func mappingProbe(_ sa: IKESA) -> [Notify] {
        guard sa.mobility?.isOriginalInitiator == true, sa.nat.isBehindNAT else { return [] }
        return natDetection(sa, spiR: sa.responderSPI, sa.path)
    }

    mutating func checkMapping(_ sa: inout IKESA, _ payloads: Payloads) {
        guard let mobility = sa.mobility, mobility.isOriginalInitiator,
            let seen = payloads.notify(.natDetectionDestinationIP)?.data
        else { return }
        sa.mobility?.seenAs = seen
        if !mobility.seenAs.isEmpty, mobility.seenAs != seen { plan(.updateAddresses, &sa) }
    }

    // MARK: - The peer's address

    /// What the answer to an INFORMATIONAL request says of addresses.
    mutating func answersAboutAddresses(
        _ sa: IKESA, _ payloads: Payloads, _ path: Path
    ) throws(MessageError) -> [Notify] {
        var answers: [Notify] = []
        if let cookie = payloads.notify(.cookie2) {
            guard (8...64).contains(cookie.data.count) else {
                throw .malformed("COOKIE2", at: 0, "\(cookie.data.count) bytes; RFC 4555 wants 8 to 64")
            }
            answers.append(Notify(.cookie2, data: cookie.data))
        }
        if let told = payloads.notify(.noNATsAllowed), told.data != Self.addresses(path) {
            return answers + [Notify(.unexpectedNATDetected)]
        }
        if payloads.has(.natDetectionSourceIP), payloads.has(.natDetectionDestinationIP) {
            answers += natDetection(sa, spiR: sa.responderSPI, path)
        }
        return answers
    }

    /// The content of NO_NATS_ALLOWED for a message that came by `path` (RFC 4555 §4.2.6).
    private static func addresses(_ path: Path) -> [UInt8] {
        let (source, destination) = (path.remote, path.local)
        let ports = [source.port >> 8, source.port, destination.port >> 8, destination.port]
        return source.address.bytes + destination.address.bytes + ports.map { UInt8(truncatingIfNeeded: $0) }
    }

    /// UPDATE_SA_ADDRESSES has come by `path`.
    mutating func followPeer(_ sa: inout IKESA, _ payloads: Payloads, _ path: Path) {
        guard sa.isEstablished, let mobility = sa.mobility, !mobility.isOriginalInitiator else {
            return notice("\(path.remote) moves an IKE SA that is not its to move; ignored", sa)
        }
        let (before, childPath) = (sa.path, sa.childPath)
        sa.path = path
        if payloads.has(.natDetectionSourceIP) { detectNAT(&sa, payloads, path, spiR: sa.responderSPI) }
        guard before != path || childPath != sa.childPath else { return }
        sa.request?.nextSend = now
        touchKeepalive(&sa)
        if before.remote.address == path.remote.address {
            // While a move is not proven, a further one is not either: the answer moves the children.
            if !isCheckingRoute(sa) { moveChildren(&sa) }
        } else {
            // Whoever is really there must answer before ESP goes there: nobody points our traffic at others.
            plan(.checkRoute, &sa)
        }
    }

    private func isCheckingRoute(_ sa: IKESA) -> Bool {
        if case .checkRoute = sa.exchange { return true }
        return sa.tasks.contains(.checkRoute)
    }

    private mutating func moveChildren(_ sa: inout IKESA) {
        for child in sa.children { add(.moveChild(spiIn: child.spiIn, sa.childPath)) }
        emit(.peerMoved(sa.childPath), sa)
    }

    mutating func startRouteCheck(_ sa: inout IKESA) {
        let cookie = random.bytes(16)
        sa.exchange = .checkRoute(sa.path, cookie: cookie)
        request(&sa, .informational, timeout: dpdTimeout(sa)) { $0.add(.cookie2, cookie) }
    }

    mutating func receiveRouteAnswer(_ sa: inout IKESA, _ path: Path, _ cookie: [UInt8], _ payloads: Payloads) {
        guard sa.isEstablished else { return }
        guard payloads.notify(.cookie2)?.data == cookie else {
            // RFC 4555 §3.7: who cannot repeat it has not seen it.
            return beginDeletion(
                &sa, Failure(.protocolError, "\(path.remote.address) did not prove that it is where it says."))
        }
        if sa.path.remote.address == path.remote.address { moveChildren(&sa) } else { plan(.checkRoute, &sa) }
    }

    // MARK: - Words

    private func addressLost(_ old: IPAddress, _ new: IPAddress) -> Failure {
        Failure(
            .addressChanged, "Our address changed from \(old) to \(new), and the IKE SA could not go along: it comes up anew."
        )
    }
}

// MARK: - What IKE_AUTH says of extensions

extension Engine {
    /// Extensions that we offer in IKE_AUTH, or take up in its answer.
    func offeredExtensions(_ sa: IKESA, _ configuration: ConnectionConfiguration) -> [Notify] {
        var notifies: [Notify] = []
        if sa.isInitiator ? configuration.isMobile : sa.mobility != nil { notifies.append(Notify(.mobikeSupported)) }
        if let token = crashToken(sa) { notifies.append(Notify(.quickCrashDetection, data: token)) }
        return notifies
    }

    /// Takes up what the peer's side of IKE_AUTH offers. The peer has proven who it is.
    mutating func takeExtensions(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ payloads: Payloads
    ) {
        if configuration.isMobile, payloads.has(.mobikeSupported) {
            sa.mobility = Mobility(isOriginalInitiator: sa.isInitiator)
        }
        takeCrashToken(&sa, payloads)
    }
}
