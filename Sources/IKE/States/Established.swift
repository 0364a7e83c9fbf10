import Base
import Cryptography

/// An IKE SA that is up: how it comes to be, and what it does with the peer's messages.
extension Engine {
    /// Only a proof of the peer's identity opens this door.
    mutating func establish(_ sa: inout IKESA, _ proof: PeerProof, _ configuration: ConnectionConfiguration) {
        sa.remoteID = proof.identity
        beginLife(&sa, configuration)
        emit(.ikeEstablished(summary(sa)), sa)
        replaceDuplicates(of: &sa, hasInitialContact: false)
    }

    mutating func establishAsResponder(
        _ sa: inout IKESA, _ proof: PeerProof, _ configuration: ConnectionConfiguration, hasInitialContact: Bool
    ) {
        var arrivedAt: Tick?
        dropFragments(&sa)
        if case .halfOpen(let halfOpen) = sa.state {
            gate.remove(halfOpen.key)
            arrivedAt = halfOpen.expiresAt - self.configuration.halfOpenTimeout
        }
        sa.remoteID = proof.identity
        sa.nextRequestID = 0
        beginLife(&sa, configuration)
        emit(.ikeEstablished(summary(sa)), sa)
        replaceDuplicates(of: &sa, hasInitialContact: hasInitialContact, arrivedAt: arrivedAt)
    }

    /// Sets the clocks of a new IKE SA and files it under its peer.
    mutating func beginLife(_ sa: inout IKESA, _ configuration: ConnectionConfiguration) {
        sa.state = .established
        sa.establishedAt = now
        sa.lastInbound = now
        sa.expiresAt = now + configuration.ikeLifetime
        sa.rekeyAt = rekeyTick(
            configuration.ikeLifetime, margin: configuration.ikeRekeyMargin,
            fuzzPercent: configuration.rekeyFuzzPercent)
        sa.keys?.authenticationLocal = nil
        sa.keys?.authenticationRemote = nil
        touchKeepalive(&sa)
        guard let id = sa.connection else { return }
        connections[id]?.sas.insert(sa.spi)
        connections[id]?.lastFailure = nil
        if let remoteID = sa.remoteID { directory.note(sa.spi, PeerKey(id, remoteID), localID: sa.localID) }
    }

    func summary(_ sa: IKESA) -> IKESummary { sa.summary }

    // MARK: - Duplicates

    /// A peer has one IKE SA with us. A new one replaces the old, except when both sides have just called each other:
    /// then the lower initiator SPI stays, and whoever opened the other deletes it.
    ///
    /// - Parameter arrivedAt: when the peer's first message of this SA came in, where the peer began it.
    private mutating func replaceDuplicates(
        of sa: inout IKESA, hasInitialContact: Bool, arrivedAt: Tick? = nil
    ) {
        guard let id = sa.connection, let remoteID = sa.remoteID else { return }
        let failure = Failure(.replaced, "A newer IKE SA with the same peer has taken its place.")
        for spi in directory.sas(of: PeerKey(id, remoteID)) where spi != sa.spi {
            guard let other = table[spi], !other.isProvisional else { continue }
            // A peer that calls after our SA was up and says that it knows of none has lost its memory.
            let hasForgotten = hasInitialContact && arrivedAt.map { $0 > other.establishedAt } == true
            guard other.isEstablished else {
                // Our DELETE would find nobody who knows of the SA.
                if hasForgotten, case .deleting = other.state { with(spi) { $0.finishDeletion(&$1) } }
                continue
            }
            let areCrossing =
                other.isInitiator != sa.isInitiator && now - other.establishedAt < .seconds(30) && !hasForgotten
            guard areCrossing else {
                with(spi) { engine, old in
                    // After INITIAL_CONTACT the peer knows nothing of the old one (RFC 7296 §2.4).
                    if hasInitialContact {
                        engine.discard(&old, failure)
                    } else {
                        engine.beginDeletion(&old, failure)
                    }
                }
                continue
            }
            // What rekeys and losses may leave of this is settled when the dust has.
            sa.duplicateCheckAt = now + Self.duplicatePatience
            if sa.initiatorSPI < other.initiatorSPI {
                if other.isInitiator { with(spi) { $0.beginDeletion(&$1, failure) } }
            } else if sa.isInitiator {
                beginDeletion(&sa, failure)
                return
            }
        }
    }

    private static let duplicatePatience = Tick.Span.seconds(60)

    /// Two calls crossed a while ago. If both SAs are still up, and alive, both sides now delete the same one.
    mutating func checkDuplicates(of sa: inout IKESA) {
        sa.duplicateCheckAt = .distantFuture
        guard let id = sa.connection, let remoteID = sa.remoteID else { return }
        let failure = Failure(.replaced, "Both sides had called each other; the other IKE SA stays.")
        for spi in directory.sas(of: PeerKey(id, remoteID)) where spi != sa.spi {
            guard let other = table[spi], other.isEstablished, !other.isProvisional else { continue }
            let isRekeying = [sa.exchange, other.exchange].contains { if case .rekeyIKE = $0 { true } else { false } }
            let survivor = sa.initiatorSPI < other.initiatorSPI ? sa : other
            guard !isRekeying, now - survivor.lastInbound < Self.duplicatePatience else {
                sa.duplicateCheckAt = now + .seconds(10)
                continue
            }
            if survivor.spi == sa.spi {
                with(spi) { $0.beginDeletion(&$1, failure) }
            } else {
                return beginDeletion(&sa, failure)
            }
        }
    }

    // MARK: - Answers to our requests

    mutating func receiveEstablishedAnswer(_ sa: inout IKESA, _ payloads: Payloads) {
        let exchange = sa.exchange
        sa.exchange = nil
        switch exchange {
        case .child(let creation): receiveChildAnswer(&sa, creation, payloads)
        case .rekeyIKE(let rekey): receiveIKERekeyAnswer(&sa, rekey, payloads)
        case .deleteChild(let spiIn): childDeletionAnswered(&sa, spiIn)
        case .deleteIKE: finishDeletion(&sa)
        case .updateAddresses(let path): receiveAddressAnswer(&sa, path, payloads)
        case .checkRoute(let path, let cookie): receiveRouteAnswer(&sa, path, cookie, payloads)
        case .liveness: checkMapping(&sa, payloads)
        case .sendCrashToken, nil: break
        }
    }

    /// The answer is authentic and makes no sense.
    mutating func receiveUselessAnswer(_ sa: inout IKESA, _ error: MessageError) {
        let failure = Failure(.protocolError, "\(sa.path.remote.address) answered what cannot be understood: \(error).")
        let exchange = sa.exchange
        sa.exchange = nil
        switch (sa.state, exchange) {
        case (.authSent, _): failAttempt(&sa, failure)
        case (.deleting, _): finishDeletion(&sa)
        case (_, .child(let creation)): childCreationFailed(&sa, creation, failure)
        case (_, .rekeyIKE(let rekey)): ikeRekeyFailed(&sa, rekey, failure)
        case (_, .deleteChild(let spiIn)): childDeletionAnswered(&sa, spiIn)
        case (_, .updateAddresses), (_, .checkRoute): beginDeletion(&sa, failure)
        default: break
        }
    }

    private mutating func childDeletionAnswered(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn) else { return releaseESPSPI(spiIn) }
        let isSucceeded = sa.children.contains { $0.replaces == spiIn }
        if isSucceeded || sa.children[index].redundantUntil != nil {
            lingerChild(&sa, spiIn)
        } else {
            removeChild(&sa, spiIn, Failure(.requested, "The child SA was deleted."))
        }
    }

    // MARK: - INFORMATIONAL (RFC 7296 §1.4)

    mutating func receiveInformational(
        _ sa: inout IKESA, _ payloads: Payloads, _ messageID: UInt32, _ path: Path
    ) throws(MessageError) {
        if payloads.deletesIKESA {
            answer(&sa, .informational, messageID, path) { _ in }
            return peerDeletedIKESA(&sa, payloads)
        }
        let spis = payloads.deletes.filter { $0.protocolID == SecurityProtocol.esp }.flatMap(\.spis)
        let extras = try answersAboutAddresses(sa, payloads, path)
        let deleted = spis.isEmpty ? [] : peerDeletes(&sa, spis)
        answer(&sa, .informational, messageID, path) { message in
            if !deleted.isEmpty { message.add(Delete(protocolID: SecurityProtocol.esp, spis: deleted)) }
            for notify in extras { message.add(notify) }
        }
        takeCrashToken(&sa, payloads)
        if payloads.has(.updateSAAddresses), !extras.contains(where: { $0.type == .unexpectedNATDetected }) {
            followPeer(&sa, payloads, path)
        }
        if payloads.has(.authenticationFailed) || payloads.has(.invalidSyntax), sa.isEstablished,
            let error = payloads.firstError
        {
            // The initiator did not believe our AUTH, or gives up on us (RFC 7296 §2.21.2, §2.21.3).
            let failure = authDisbelieved(sa, error)
            emit(.failed(failure), sa)
            removeAllChildren(&sa, failure)
            emit(.ikeClosed(failure), sa)
            return close(&sa)
        }
        for notify in payloads.notifies where notify.type.isError {
            notice("\(path.remote) reports \(notify.type.name)", sa)
        }
    }

    private mutating func peerDeletedIKESA(_ sa: inout IKESA, _ payloads: Payloads) {
        switch sa.state {
        case .deleting(let failure, _):
            if let failure { emit(.ikeClosed(failure), sa) }
        case .rekeyed: removeAllChildren(&sa, nil)
        case .established:
            if case .rekeyIKE(let rekey) = sa.exchange, let collision = rekey.collision, isAlive(collision.product) {
                // The peer's rekey of this SA won or knew of no other: its product takes over.
                handOver(&sa, to: collision.product)
            } else {
                let failure =
                    payloads.firstError.map { authDisbelieved(sa, $0) }
                    ?? Failure(.deletedByPeer, "\(sa.path.remote.address) deleted the IKE SA.")
                removeAllChildren(&sa, failure)
                emit(.ikeClosed(failure), sa)
            }
        case .initSent, .authSent, .halfOpen, .closed: break
        }
        close(&sa)
    }
}

extension IKESA {
    /// As the status shows it, once it is established.
    var summary: IKESummary {
        IKESummary(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, isInitiator: isInitiator,
            suite: suite ?? IKESuite(encryption: .aes128, integrity: .sha1, prf: .sha1, group: .modp1024),
            localID: localID ?? IKEIdentity(path.local.address),
            remoteID: remoteID ?? IKEIdentity(path.remote.address), path: path,
            isBehindNAT: nat.isBehindNAT, isPeerBehindNAT: nat.isPeerBehindNAT,
            establishedAt: establishedAt, rekeyAt: rekeyAt,
            authentication: authenticated?.summary ?? AuthenticationSummary())
    }
}
