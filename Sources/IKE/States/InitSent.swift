import Base
import Cryptography

/// Initiator: IKE_SA_INIT is out (RFC 7296 §1.2).
struct InitSent: Sendable, Codable {
    var offered: [Proposal]
    var keyPair: DHKeyPair
    var groupsTried: [DHGroup]
    var nonce: [UInt8]
    var cookie: [UInt8] = []
    /// Copies of earlier first messages that may still be answered with a cookie of their own; nil for none.
    var staleCookies: Int?
    /// COOKIE and INVALID_KE_PAYLOAD that we have followed; bounded, because anyone can send them.
    var restarts = 0
    var startedAt: Tick
    var likelyFailure: Failure?

    static let mostRestarts = 6
}

extension Engine {
    mutating func startInit(_ id: ConnectionID, _ configuration: ConnectionConfiguration) {
        guard let remote = configuration.remoteAddress, !remote.isUnspecified else {
            return failStart(
                id, .noSuchConnection, "'\(configuration.name)' has no remote address: it can only wait for its peer.")
        }
        let offered = Negotiation.wire(configuration.ikeProposals)
        guard let group = configuration.ikeProposals.lazy.flatMap(\.groups).first, !offered.isEmpty else {
            return failStart(id, .noProposalChosen, "'\(configuration.name)' has no complete phase-1 proposal.")
        }
        let keyPair: DHKeyPair
        do {
            keyPair = try newKeyPair(group)
        } catch {
            return failStart(id, .invalidKeyExchange, "No key pair for \(group.name): \(error).")
        }
        let path = Path(
            local: Endpoint(configuration.localAddress, configuration.localPort),
            remote: Endpoint(remote, configuration.remotePort), isNATPort: false)
        let sent = InitSent(
            offered: offered, keyPair: keyPair, groupsTried: [group], nonce: newNonce(), startedAt: now)
        var sa = IKESA(spi: newIKESPI(), isInitiator: true, path: path, state: .initSent(sent))
        sa.connection = id
        sa.nat.isForced = configuration.forceUDPEncapsulation
        connections[id]?.sas.insert(sa.spi)
        counters.handshakesInitiated += 1
        emit(.connecting(path), sa)
        sendInit(&sa, sent, giveUpAt: now + configuration.connectTimeout)
        settle(sa)
    }

    private mutating func failStart(_ id: ConnectionID, _ reason: Failure.Reason, _ words: String) {
        let failure = Failure(reason, words)
        connections[id]?.lastFailure = failure
        add(.event(Event(.failed(failure), connection: id)))
    }

    private mutating func sendInit(_ sa: inout IKESA, _ sent: InitSent, giveUpAt: Tick) {
        let header = Header(
            initiatorSPI: sa.spi, responderSPI: 0, exchange: ExchangeType.ikeSAInit.rawValue,
            flags: Header.initiatorFlag, messageID: 0)
        var message = MessageWriter(header, capacity: 512 + sent.keyPair.publicValue.count)
        if !sent.cookie.isEmpty { message.add(.cookie, sent.cookie) }
        message.add(proposals: sent.offered)
        message.add(group: sent.keyPair.group.rawValue, publicValue: sent.keyPair.publicValue)
        message.add(nonce: sent.nonce)
        addNATDetection(&message, sa, spiR: 0)
        let configuration = configuration(of: sa)
        if configuration?.fragmentSize != nil { message.add(.fragmentationSupported) }
        if configuration?.authentication.credential != nil { message.add(SignatureHashes.notify) }
        if configuration?.ppk != nil { message.add(.usePPK) }
        send(&sa, .ikeSAInit, 0, message.finish(), giveUpAt: giveUpAt)
    }

    mutating func receiveInitAnswer(
        _ sa: inout IKESA, _ sent: InitSent, _ header: Header, _ payloads: Payloads, _ message: ArraySlice<UInt8>,
        _ path: Path
    ) throws(MessageError) {
        if let cookie = payloads.notify(.cookie), payloads.proposals == nil {
            guard (1...64).contains(cookie.data.count) else {
                throw .malformed("COOKIE", at: 0, "\(cookie.data.count) bytes; RFC 7296 wants 1 to 64")
            }
            return takeCookie(&sa, sent, cookie.data)
        }
        if let refused = payloads.notify(.invalidKEPayload) { return try changeGroup(&sa, sent, refused, path) }
        if let error = payloads.firstError { return rememberUnauthenticated(error, &sa, path) }
        guard header.responderSPI != 0 else {
            throw .malformed("header responder SPI", at: 8, "zero in an answer that accepts")
        }
        let answer = try payloads.require(payloads.proposals, "SA")
        let keyExchange = try payloads.require(payloads.keyExchange, "KE")
        let nonce = try payloads.require(payloads.nonce, "Nonce")
        guard let configuration = configuration(of: sa) else { return failAttempt(&sa, noLongerConfigured(sa)) }
        let chosen = try Negotiation.checkAnswer(answer, against: sent.offered)
        guard
            let choice = Negotiation.choose(configuration.ikeProposals, from: [chosen], keyExchangeGroup: nil),
            choice.suite.group == sent.keyPair.group, keyExchange.group == choice.suite.group.rawValue
        else {
            throw MessageError(
                .misbehaved, "SA", at: 0,
                "the answer \([chosen].summary) does not fit our key exchange in "
                    + sent.keyPair.group.name)
        }
        let suite = choice.suite
        let shared: Secret
        do {
            shared = try sharedSecret(sent.keyPair, keyExchange.value)
        } catch {
            throw MessageError(.misbehaved, "KE", at: 0, "\(error)")
        }
        sa.peerSPI = header.responderSPI
        sa.suite = suite
        let seed = KeySchedule.seed(suite.prf, nonceI: sent.nonce, nonceR: nonce, shared: shared)
        sa.keys = KeySchedule.keys(
            suite, seed: seed, nonceI: sent.nonce, nonceR: nonce, spiI: sa.spi, spiR: header.responderSPI,
            isInitiator: true)
        // The path tells our own address where the configuration left it to the host.
        sa.path = path
        detectNAT(&sa, payloads, path)
        if payloads.has(.fragmentationSupported) { sa.useFragments(configuration) }
        let initMessage = sa.request?.bytes ?? []
        finishRequest(&sa)
        let usesPPK = configuration.ppk != nil && payloads.has(.usePPK)
        if let ppk = configuration.ppk, ppk.isRequired, !usesPPK { return failAttempt(&sa, ppkNotSupported(sa, ppk)) }
        if sa.nat.encapsulates || configuration.isMobile && payloads.has(.natDetectionSourceIP) {
            // With MOBIKE always, so that no port changes when a translator comes into the way (RFC 4555 §3.3).
            sa.path = Path(
                local: Endpoint(path.local.address, configuration.localNATPort),
                remote: Endpoint(path.remote.address, configuration.remoteNATPort), isNATPort: true)
        }
        startAuth(
            &sa, configuration,
            AuthSent(
                startedAt: sent.startedAt, initMessage: initMessage, answerMessage: Array(message),
                nonceI: sent.nonce, nonceR: nonce, spiIn: 0, offered: [],
                isChildless: configuration.prefersChildless && payloads.has(.childlessSupported),
                hashes: SignatureHashes.of(payloads), usesPPK: usesPPK))
    }

    /// Follows a demand, once: what answers an earlier copy must not change the message that AUTH will be about.
    private mutating func takeCookie(_ sa: inout IKESA, _ sent: InitSent, _ cookie: [UInt8]) {
        guard cookie != sent.cookie else { return counters.count(.unexpected) }
        if let stale = sent.staleCookies, stale > 0 {
            var sent = sent
            sent.staleCookies = stale - 1
            sa.state = .initSent(sent)
            return counters.count(.unexpected)
        }
        let copies = sa.request?.retransmissions ?? 0
        restartInit(&sa, sent) {
            $0.cookie = cookie
            $0.staleCookies = copies
        }
    }

    /// Begins anew with a cookie or another group (RFC 7296 §2.6, §2.7).
    private mutating func restartInit(_ sa: inout IKESA, _ sent: InitSent, _ change: (inout InitSent) -> Void) {
        guard sent.restarts < InitSent.mostRestarts, let giveUpAt = sa.request?.giveUpAt else {
            return notice("\(sa.path.remote) asks for ever new first messages; ignored", sa)
        }
        var sent = sent
        sent.restarts += 1
        change(&sent)
        sa.state = .initSent(sent)
        sendInit(&sa, sent, giveUpAt: giveUpAt)
    }

    private mutating func changeGroup(
        _ sa: inout IKESA, _ sent: InitSent, _ refused: Notify, _ path: Path
    ) throws(MessageError) {
        guard let group = refused.group else {
            throw .malformed("INVALID_KE_PAYLOAD", at: 0, "names no group that we know")
        }
        let isOffered = sent.offered.contains { $0.transforms.contains(Transform(group)) }
        guard isOffered, !sent.groupsTried.contains(group) else {
            guard group != sent.keyPair.group else {
                throw MessageError(.unexpected, "INVALID_KE_PAYLOAD", at: 0, "asks for \(group.name), which we use")
            }
            return rememberUnauthenticated(refused, &sa, path)
        }
        let keyPair: DHKeyPair
        do {
            keyPair = try newKeyPair(group)
        } catch {
            throw MessageError(.incompatible, "KE", at: 0, "\(error)")
        }
        restartInit(&sa, sent) {
            $0.keyPair = keyPair
            $0.groupsTried.append(group)
        }
    }
}

extension Notify {
    /// The group that INVALID_KE_PAYLOAD asks for.
    var group: DHGroup? {
        guard data.count == 2 else { return nil }
        return DHGroup(rawValue: UInt16(data[0]) << 8 | UInt16(data[1]))
    }

    static func invalidKE(wanting group: DHGroup) -> Notify {
        Notify(.invalidKEPayload, data: [UInt8(group.rawValue >> 8), UInt8(truncatingIfNeeded: group.rawValue)])
    }
}
