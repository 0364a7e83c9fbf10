import Base
import Cryptography

/// Responder: IKE_SA_INIT is answered (RFC 7296 §1.2). Keys are derived when IKE_AUTH comes, not before.
struct HalfOpen: Sendable, Codable {
    /// The peer's first message and our answer: AUTH covers them, and a repetition gets the same answer.
    var initMessage: [UInt8]
    var answerMessage: [UInt8]
    var nonceI: [UInt8]
    var nonceR: [UInt8]
    var keyPair: DHKeyPair?
    var peerValue: [UInt8]
    var peerSPI: UInt64
    var remote: Endpoint
    var expiresAt: Tick
    /// The hashes that the peer takes in signatures.
    var hashes: [HashAlgorithm] = []
    /// Both sides can use a post-quantum pre-shared key.
    var canUsePPK = false
    /// Whether IKE_AUTH ever came, however wrong.
    var hasHeardAuth = false

    var key: HalfOpenGate.Key { HalfOpenGate.Key(spi: peerSPI, remote: remote) }
}

extension Engine {
    mutating func answerInit(
        _ header: Header, _ message: ArraySlice<UInt8>, _ path: Path
    ) throws(MessageError) {
        let key = HalfOpenGate.Key(spi: header.initiatorSPI, remote: path.remote)
        if let known = gate.answered[key] { return repeatInitAnswer(known, message, path) }
        guard !table.contains(header.initiatorSPI) else {
            throw MessageError(.misbehaved, "header SPI", at: 0, "our own first message came back")
        }
        // Nothing of the message but the nonce and the cookie is looked at before the cookie is right.
        let payloads: Payloads
        do throws(MessageError) {
            payloads = try Payloads(first: header.nextPayload, message.dropFirst(Header.length))
        } catch {
            if let type = error.answer, type == .unsupportedCriticalPayload {
                answerStatelessly(header, Notify(type, data: error.answerData), path: path)
            }
            throw error
        }
        let nonce = try payloads.require(payloads.nonce, "Nonce")
        let admission = admission(payloads, nonce, key, header, path)
        guard admission != .refused else { return }
        let proposals = try payloads.require(payloads.proposals, "SA")
        let keyExchange = try payloads.require(payloads.keyExchange, "KE")
        guard let (choice, connection) = chooseSuite(proposals, keyExchange.group, path) else {
            answerStatelessly(header, Notify(.noProposalChosen), path: path)
            return initOfferRefused(proposals, path)
        }
        let suite = choice.suite
        guard suite.group.rawValue == keyExchange.group else {
            return answerStatelessly(header, .invalidKE(wanting: suite.group), path: path)
        }
        guard keyExchange.value.count == suite.group.publicValueLength else {
            throw .malformed("KE", at: 0, "\(keyExchange.value.count) bytes for \(suite.group.name)")
        }
        let keyPair: DHKeyPair
        do {
            keyPair = try newKeyPair(suite.group)
        } catch {
            throw MessageError(.incompatible, "KE", at: 0, "\(error)")
        }
        var sa = IKESA(spi: newIKESPI(), isInitiator: false, path: path, state: .closed(forgetAt: now, stranger: nil))
        sa.peerSPI = header.initiatorSPI
        sa.suite = suite
        sa.nat.isForced = connections[connection]?.configuration.forceUDPEncapsulation ?? false
        sa.nextPeerRequestID = 1
        if payloads.has(.fragmentationSupported) { sa.useFragments(connections[connection]?.configuration) }
        detectNAT(&sa, payloads, path)
        let nonceR = newNonce()
        let answer = initAnswer(
            header, sa, choice, keyPair, nonceR, payloads, directory.answerTerms(to: path.remote.address))
        var halfOpen = HalfOpen(
            initMessage: Array(message), answerMessage: answer.bytes, nonceI: nonce, nonceR: nonceR, keyPair: keyPair,
            peerValue: keyExchange.value, peerSPI: header.initiatorSPI, remote: path.remote,
            expiresAt: now + configuration.halfOpenTimeout)
        halfOpen.hashes = SignatureHashes.of(payloads)
        halfOpen.canUsePPK = answer.offersPPK
        sa.state = .halfOpen(halfOpen)
        gate.add(key, sa.spi, isProven: admission == .proven)
        transmit(answer.bytes, path)
        settle(sa)
    }

    private mutating func repeatInitAnswer(_ spi: UInt64, _ message: ArraySlice<UInt8>, _ path: Path) {
        var answer: [UInt8]?
        with(spi) { _, sa in
            if case .halfOpen(let halfOpen) = sa.state, halfOpen.initMessage[...] == message {
                answer = halfOpen.answerMessage
            }
        }
        if let answer { transmit(answer, path) } else { counters.count(.unexpected) }
    }

    private enum Admission { case refused, unproven, proven }

    /// Whether a first message is looked at: cookies and limits. Who sends many from one address and port, or comes when
    /// many are half-open, must show a cookie first. An attacker who only writes our peer's address on his messages has
    /// none, and what he fills up is not counted against who has.
    private mutating func admission(
        _ payloads: Payloads, _ nonce: [UInt8], _ key: HalfOpenGate.Key, _ header: Header, _ path: Path
    ) -> Admission {
        let limit = configuration.maximumHalfOpenPerEndpoint
        // Whatever others fill up, a peer that is configured by its address has some room left.
        let isKnown = directory.connection(at: key.remote.address) != nil
        let most = configuration.maximumHalfOpen + (isKnown ? configuration.maximumHalfOpen / 16 : 0)
        guard gate.count < most, gate.count(of: key.remote, isProven: true) < limit,
            gate.count < configuration.maximumHalfOpen / 2
                || gate.count(at: key.remote.address) < configuration.maximumHalfOpen / 16
        else {
            counters.droppedHalfOpen += 1
            return .refused
        }
        if gate.count < configuration.cookieThreshold, gate.count(of: key.remote, isProven: false) < limit,
            !gate.demandsCookies(now: now)
        {
            return .unproven
        }
        if let cookie = payloads.notify(.cookie),
            gate.accepts(cookie.data, nonce: nonce, key, now: now, random: &random)
        {
            return .proven
        }
        counters.cookiesDemanded += 1
        let cookie = gate.cookie(nonce: nonce, key, now: now, random: &random)
        answerStatelessly(header, Notify(.cookie, data: cookie), path: path)
        return .refused
    }

    private func chooseSuite(
        _ proposals: [Proposal], _ group: UInt16, _ path: Path
    ) -> (Negotiation.Choice<IKESuite>, ConnectionID)? {
        for (offers, connection) in directory.offers(to: path.remote.address) {
            if let choice = Negotiation.choose(offers, from: proposals, keyExchangeGroup: group) {
                return (choice, connection)
            }
        }
        return nil
    }

    private mutating func initAnswer(
        _ header: Header, _ sa: IKESA, _ choice: Negotiation.Choice<IKESuite>, _ keyPair: DHKeyPair,
        _ nonce: [UInt8], _ payloads: Payloads, _ terms: (authorities: [[UInt8]], hasPPK: Bool)
    ) -> (bytes: [UInt8], offersPPK: Bool) {
        let answer = Header(
            initiatorSPI: header.initiatorSPI, responderSPI: sa.spi, exchange: header.exchange,
            flags: Header.responseFlag, messageID: 0)
        var message = MessageWriter(answer, capacity: 256 + keyPair.publicValue.count)
        message.add(proposals: Negotiation.answer(choice))
        message.add(group: keyPair.group.rawValue, publicValue: keyPair.publicValue)
        message.add(nonce: nonce)
        if payloads.has(.natDetectionSourceIP) { addNATDetection(&message, sa, spiR: sa.spi) }
        if !terms.authorities.isEmpty { message.add(requesting: terms.authorities) }
        if sa.fragmentSize > 0 { message.add(.fragmentationSupported) }
        message.add(.childlessSupported)
        if payloads.has(.signatureHashAlgorithms) { message.add(SignatureHashes.notify) }
        let offersPPK = terms.hasPPK && payloads.has(.usePPK)
        if offersPPK { message.add(.usePPK) }
        return (message.finish(), offersPPK)
    }

    mutating func halfOpenTimedOut(_ sa: inout IKESA, _ halfOpen: HalfOpen) {
        let words = halfOpenSilence(sa, halfOpen)
        notice(words, sa)
        discard(&sa, nil)
    }

    // MARK: - IKE_AUTH

    mutating func receiveAuth(
        _ sa: inout IKESA, _ halfOpen: HalfOpen, _ message: ArraySlice<UInt8>, _ header: Header, _ tag: UInt64,
        _ path: Path
    ) throws(MessageError) {
        var halfOpen = halfOpen
        let outer = try Payloads(first: header.nextPayload, message.dropFirst(Header.length))
        guard outer.encrypted != nil else {
            throw MessageError(.unauthentic, "SK", at: Header.length, "IKE_AUTH is not encrypted")
        }
        if sa.keys == nil { try deriveKeys(&sa, &halfOpen) }
        halfOpen.hasHeardAuth = true
        sa.state = .halfOpen(halfOpen)
        let payloads: Payloads
        var (tag, fragments) = (tag, UInt16(0))
        do throws(MessageError) {
            guard let content = try collect(&sa, header, message, outer, tag) else { return }
            (tag, fragments) = (content.tag, content.fragments)
            payloads = try Payloads(decrypted: content)
        } catch {
            guard error.fault != .unauthentic, error.fault != .unexpected else { throw error }
            accept(&sa, header.messageID, tag, path, fragments: fragments)
            answerError(&sa, .ikeAuth, header.messageID, error, path)
            close(&sa)
            throw error
        }
        accept(&sa, header.messageID, tag, path, fragments: fragments)
        sa.path = path
        guard let identity = payloads.identityInitiator, let authentication = payloads.authentication else {
            let blamed = directory.connection(at: path.remote.address)
            let failure = authMethodMismatch(
                path.remote.address, blamed.flatMap { connections[$0]?.configuration }, isSharedKey: false)
            return refuseAuth(&sa, path, connection: blamed, failure)
        }
        let isShared = authentication.method == AuthenticationMethod.sharedKey
        guard let id = findConnection(sa, identity, payloads.identityResponder, path, isShared: isShared) else {
            let (blamed, failure) = unknownPeer(sa, identity, payloads.identityResponder, path)
            return refuseAuth(&sa, path, connection: blamed, failure)
        }
        guard let configuration = connections[id]?.configuration, let suite = sa.suite else { return }
        let proof: PeerProof
        let own: OwnProof
        var usesPPK = false
        do throws(Failure) {
            let shown = try takePPK(&sa, configuration, halfOpen, authentication, payloads)
            usesPPK = shown.usesPPK
            let identityKeys = (sa.keys?.authenticationRemote ?? Secret([]), sa.keys?.authenticationLocal ?? Secret([]))
            let theirs = AuthenticationContext(
                prf: suite.prf, message: halfOpen.initMessage, nonce: halfOpen.nonceR, identityKey: identityKeys.0,
                identity: payloads.identityInitiatorBody)
            proof = try peerProof(
                id, shown.authentication, identity, payloads, theirs, from: path.remote.address)
            sa.localID =
                configuration.localID == nil && configuration.authentication.credential == nil
                    && payloads.identityResponder.map { isOurAddress($0, path) } == true
                ? payloads.identityResponder : configuration.ownIdentity(path)
            let ours = AuthenticationContext(
                prf: suite.prf, message: halfOpen.answerMessage, nonce: halfOpen.nonceI, identityKey: identityKeys.1,
                identity: sa.localID?.payloadBody ?? [])
            own = try ownProof(id, ours, hashes: halfOpen.hashes, following: proof.scheme)
        } catch {
            return refuseAuth(&sa, path, connection: id, error)
        }
        sa.connection = id
        if sa.fragmentSize > 0, configuration.fragmentSize != nil { sa.useFragments(configuration) }
        sa.remoteID = proof.identity
        sa.authenticated = Self.authenticated(proof, ownProofName: own.name, usesPPK: usesPPK)
        connections[id]?.sas.insert(sa.spi)
        takeExtensions(&sa, configuration, payloads)
        answerFirstChild(
            &sa, halfOpen, configuration, payloads, proof, own, usesPPK: usesPPK, header.messageID, path)
    }

    /// Mixes the PPK into the keys, if the initiator names ours (RFC 8784 §3), and says which AUTH then counts.
    private func takePPK(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ halfOpen: HalfOpen,
        _ authentication: Payloads.Authentication, _ payloads: Payloads
    ) throws(Failure) -> (authentication: Payloads.Authentication, usesPPK: Bool) {
        let named = halfOpen.canUsePPK ? payloads.notify(.ppkIdentity)?.data : nil
        if let ppk = configuration.ppk, let named, ppk.isNamed(by: named), let keys = sa.keys, let suite = sa.suite {
            sa.keys = KeySchedule.mixing(ppk.key, into: keys, suite.prf)
            return (authentication, true)
        }
        if let ppk = configuration.ppk, ppk.isRequired { throw ppkMissing(sa, ppk, named) }
        guard let named else { return (authentication, false) }
        guard let plain = payloads.notify(.noPPKAuthentication) else { throw ppkUnknown(sa, configuration.ppk, named) }
        return (Payloads.Authentication(method: authentication.method, data: plain.data), false)
    }

    private func isOurAddress(_ identity: IKEIdentity, _ path: Path) -> Bool {
        identity == IKEIdentity(path.local.address)
    }

    private func deriveKeys(_ sa: inout IKESA, _ halfOpen: inout HalfOpen) throws(MessageError) {
        guard let suite = sa.suite, let keyPair = halfOpen.keyPair else {
            throw MessageError(.unexpected, "KE", at: 0, "the key exchange failed before")
        }
        let shared: Secret
        do {
            shared = try sharedSecret(keyPair, halfOpen.peerValue)
        } catch {
            // A bad value stays bad: spend nothing on it again.
            halfOpen.keyPair = nil
            sa.state = .halfOpen(halfOpen)
            throw MessageError(.misbehaved, "KE", at: 0, "\(error)")
        }
        let seed = KeySchedule.seed(suite.prf, nonceI: halfOpen.nonceI, nonceR: halfOpen.nonceR, shared: shared)
        sa.keys = KeySchedule.keys(
            suite, seed: seed, nonceI: halfOpen.nonceI, nonceR: halfOpen.nonceR, spiI: sa.peerSPI, spiR: sa.spi,
            isInitiator: false)
        halfOpen.keyPair = nil
    }

    /// The connection for a peer that calls itself `identity` and us perhaps `ours`: the narrowest that fits.
    private func findConnection(
        _ sa: IKESA, _ identity: IKEIdentity, _ ours: IKEIdentity?, _ path: Path, isShared: Bool
    ) -> ConnectionID? {
        var best: (id: ConnectionID, rank: Int)?
        for id in directory.candidates(identity: identity) {
            guard let configuration = connections[id]?.configuration, let suite = sa.suite,
                configuration.permits(suite)
            else { continue }
            // A connection of the other kind is found only to say what is wrong.
            var rank = (configuration.authentication.psk != nil) == isShared ? 8 : 0
            if let remote = configuration.remoteAddress {
                guard remote == path.remote.address else { continue }
                rank += 4
            }
            if !configuration.localAddress.isUnspecified {
                guard configuration.localAddress == path.local.address else { continue }
                rank += 2
            }
            if let ours {
                guard ours.matches(configuration.ownIdentity(path)) else { continue }
                rank += 1
            }
            if rank > best?.rank ?? -1 { best = (id, rank) }
            if rank == 15 { break }
        }
        return best?.id
    }

    private mutating func refuseAuth(_ sa: inout IKESA, _ path: Path, connection: ConnectionID?, _ failure: Failure) {
        answer(&sa, .ikeAuth, 1, path) { $0.add(.authenticationFailed) }
        if let connection {
            connections[connection]?.lastFailure = failure
            // Where a peer may be anywhere, anyone can come, as often as he likes.
            if connections[connection]?.configuration.remoteAddress != nil
                || notices.admit("", limit: configuration.noticesPerSecond, now: now) != nil
            {
                add(.event(Event(.failed(failure), connection: connection, ikeSA: sa.id)))
            }
        } else {
            notice(failure.explanation, sa)
        }
        close(&sa)
    }

    /// Keeps the last answer for a while, and nothing else.
    mutating func close(_ sa: inout IKESA) {
        dropProvisional(sa)
        dropFragments(&sa)
        leaveConnection(sa)
        var stranger: HalfOpenGate.Key?
        if case .halfOpen(let halfOpen) = sa.state {
            stranger = halfOpen.key
            gate.retire(halfOpen.key)
        }
        sa.connection = nil
        sa.tasks = []
        sa.request = nil
        sa.exchange = nil
        sa.pendingReply = nil
        sa.state = .closed(forgetAt: now + configuration.closedLinger, stranger: stranger)
    }

    private mutating func answerFirstChild(
        _ sa: inout IKESA, _ halfOpen: HalfOpen, _ configuration: ConnectionConfiguration, _ payloads: Payloads,
        _ proof: PeerProof, _ own: OwnProof, usesPPK: Bool, _ messageID: UInt32, _ path: Path
    ) {
        guard let suite = sa.suite, let keys = sa.keys else { return }
        var reply = PendingReply(
            exchange: .ikeAuth, messageID: messageID, path: path, spiIn: 0, proposals: [], initiatorSelectors: [],
            responderSelectors: [])
        reply.hasInitialContact = payloads.has(.initialContact)
        reply.ownProof = own
        reply.usesPPK = usesPPK
        reply.proof = proof
        guard payloads.proposals != nil || payloads.selectorsInitiator != nil else {
            // RFC 6023: the IKE SA alone; children come by themselves.
            return completeAuth(&sa, reply, configuration, refusal: nil)
        }
        switch answerChild(sa, configuration, payloads, replacing: nil, usesGroups: false) {
        case .failure(let refusal):
            completeAuth(&sa, reply, configuration, refusal: refusal.notify)
            emit(.failed(refusal.failure), sa)
        case .success(let agreed):
            reply.spiIn = newESPSPI(sa.spi)
            reply.proposals = Negotiation.answer(agreed.choice, spi: reply.spiIn)
            reply.initiatorSelectors = agreed.remote
            reply.responderSelectors = agreed.local
            let childKeys = KeySchedule.childKeys(
                agreed.choice.suite, prf: suite.prf, derivation: keys.derivation, shared: nil,
                nonceI: halfOpen.nonceI, nonceR: halfOpen.nonceR)
            sa.pendingReply = reply
            install(
                &sa, configuration,
                NewChild(
                    place: agreed.place, spiIn: reply.spiIn, spiOut: agreed.spiOut, suite: agreed.choice.suite,
                    keys: childKeys, weAreInitiator: false, local: agreed.local, remote: agreed.remote, replaces: nil),
                outbound: true)
        }
    }

    /// Answers IKE_AUTH, with the child or with the reason why there is none.
    mutating func completeAuth(
        _ sa: inout IKESA, _ reply: PendingReply, _ configuration: ConnectionConfiguration, refusal: NotifyType?
    ) {
        guard let identity = sa.localID, let proof = reply.proof, let own = reply.ownProof else { return }
        let extensions = offeredExtensions(sa, configuration)
        answer(&sa, .ikeAuth, reply.messageID, reply.path, capacity: 512) { message in
            message.add(.identityResponder) { $0.append(identity.payloadBody) }
            for certificate in own.certificates { message.add(certificate: certificate) }
            message.add(authentication: own.method, own.data)
            if reply.usesPPK { message.add(.ppkIdentity) }
            if let refusal {
                message.add(refusal)
            } else if !reply.proposals.isEmpty {
                message.add(proposals: reply.proposals)
                message.add(initiator: reply.initiatorSelectors, responder: reply.responderSelectors)
            }
            for notify in extensions { message.add(notify) }
        }
        counters.handshakesAnswered += 1
        establishAsResponder(&sa, proof, configuration, hasInitialContact: reply.hasInitialContact)
    }
}

extension ConnectionConfiguration {
    /// Whether some offer of ours allows the suite.
    func permits(_ suite: IKESuite) -> Bool {
        ikeProposals.contains { offer in
            offer.encryption.contains(suite.encryption) && offer.prf.contains(suite.prf)
                && offer.groups.contains(suite.group)
                && (suite.integrity.map { offer.integrity.contains($0) } ?? true)
        }
    }
}
