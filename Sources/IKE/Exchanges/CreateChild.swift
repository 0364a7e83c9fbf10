import Base
import Cryptography

/// CREATE_CHILD_SA for a child, from either side (RFC 7296 §1.3.1, §1.3.3, §2.8.1, §2.25).
extension Engine {
    // MARK: - Our request

    mutating func startChild(_ sa: inout IKESA, _ place: Int, replacing old: UInt32?) {
        let spiIn = newESPSPI(sa.spi)
        sendChildRequest(
            &sa, ChildCreation(place: place, replaces: old, spiIn: spiIn, offered: [], nonce: []),
            group: configuration(of: sa)?.child(at: place).espProposals.lazy.flatMap(\.groups).first)
    }

    private mutating func sendChildRequest(_ sa: inout IKESA, _ creation: ChildCreation, group: DHGroup?) {
        guard let terms = configuration(of: sa)?.child(at: creation.place) else {
            return releaseESPSPI(creation.spiIn)
        }
        var creation = creation
        creation.nonce = newNonce()
        creation.offered = Negotiation.wire(terms.espProposals, spi: creation.spiIn, withGroups: true)
        creation.keyPair = nil
        if let group {
            do {
                creation.keyPair = try newKeyPair(group)
            } catch {
                return childCreationFailed(
                    &sa, creation, Failure(.invalidKeyExchange, "No key pair for \(group.name): \(error)."))
            }
            creation.groupsTried.append(group)
        }
        sa.exchange = .child(creation)
        request(&sa, .createChildSA, timeout: dpdTimeout(sa), capacity: 512) { message in
            if let old = creation.replaces {
                let spi = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: old >> UInt32($0)) }
                message.add(Notify(.rekeySA, protocolID: SecurityProtocol.esp, spi: spi))
            }
            message.add(proposals: creation.offered)
            message.add(nonce: creation.nonce)
            if let keyPair = creation.keyPair {
                message.add(group: keyPair.group.rawValue, publicValue: keyPair.publicValue)
            }
            message.add(initiator: terms.localSelectors, responder: terms.remoteSelectors)
        }
    }

    // MARK: - The peer's answer

    mutating func receiveChildAnswer(_ sa: inout IKESA, _ creation: ChildCreation, _ payloads: Payloads) {
        guard let configuration = configuration(of: sa) else { return releaseESPSPI(creation.spiIn) }
        if let error = payloads.firstError, payloads.proposals == nil {
            return childRequestRefused(&sa, creation, configuration, error)
        }
        let terms = configuration.child(at: creation.place)
        do throws(MessageError) {
            let answer = try payloads.require(payloads.proposals, "SA")
            let nonce = try payloads.require(payloads.nonce, "Nonce")
            let local = try payloads.require(payloads.selectorsInitiator, "TSi")
            let remote = try payloads.require(payloads.selectorsResponder, "TSr")
            let (suite, spiOut) = try chosenChild(
                terms.espProposals, answer, offered: creation.offered, usesGroups: true)
            let shared = try childSecret(suite, creation.keyPair, payloads)
            let selectors = try narrowed(terms, local: local, remote: remote)
            if let collision = creation.collision, let old = creation.replaces {
                if collision.weLose(ourNonces: [creation.nonce, nonce]) {
                    // Ours is the redundant one (RFC 7296 §2.8.1): it is never used, only deleted.
                    childReplacedByPeer(&sa, old: old, by: UInt32(truncatingIfNeeded: collision.product))
                    return plan(.deleteChild(creation.spiIn), &sa)
                }
                markRedundant(&sa, UInt32(truncatingIfNeeded: collision.product))
            }
            guard let prf = sa.suite?.prf, let derivation = sa.keys?.derivation else { return }
            let keys = KeySchedule.childKeys(
                suite, prf: prf, derivation: derivation, shared: shared, nonceI: creation.nonce, nonceR: nonce)
            install(
                &sa, configuration,
                NewChild(
                    place: creation.place, spiIn: creation.spiIn, spiOut: spiOut, suite: suite, keys: keys,
                    weAreInitiator: true, local: selectors.local, remote: selectors.remote, replaces: creation.replaces),
                outbound: true)
        } catch {
            childCreationFailed(
                &sa, creation, Failure(.protocolError, "The peer's answer makes no child SA: \(error)."))
        }
    }

    private func childSecret(
        _ suite: ESPSuite, _ keyPair: DHKeyPair?, _ payloads: Payloads
    ) throws(MessageError) -> Secret? {
        guard let group = suite.group else { return nil }
        let keyExchange = try payloads.require(payloads.keyExchange, "KE")
        guard let keyPair, keyPair.group == group, keyExchange.group == group.rawValue else {
            throw MessageError(.misbehaved, "KE", at: 0, "group \(keyExchange.group) where \(group.name) was agreed")
        }
        do {
            return try keyPair.sharedSecret(peer: keyExchange.value)
        } catch {
            throw MessageError(.misbehaved, "KE", at: 0, "\(error)")
        }
    }

    /// The peer lost the collision and deletes what it made; if it does not, we do.
    private mutating func markRedundant(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn) else { return }
        sa.children[index].redundantUntil = now + dpdTimeout(sa)
    }

    private mutating func childRequestRefused(
        _ sa: inout IKESA, _ creation: ChildCreation, _ configuration: ConnectionConfiguration, _ error: Notify
    ) {
        if error.type == .invalidKEPayload, let group = error.group, !creation.groupsTried.contains(group),
            creation.offered.contains(where: { $0.transforms.contains(Transform(group)) })
        {
            return sendChildRequest(&sa, creation, group: group)
        }
        if let collision = creation.collision, let old = creation.replaces {
            // The peer had finished its own rekey of this child before ours reached it (RFC 7296 §2.8.1).
            releaseESPSPI(creation.spiIn)
            return childReplacedByPeer(&sa, old: old, by: UInt32(truncatingIfNeeded: collision.product))
        }
        switch (error.type, creation.replaces) {
        case (.temporaryFailure, let old?):
            releaseESPSPI(creation.spiIn)
            retryChildRekey(&sa, old, after: .seconds(3))
        case (.childSANotFound, let old?):
            // RFC 7296 §2.25: it is gone on the other side; start afresh if we still hold it.
            releaseESPSPI(creation.spiIn)
            guard let place = sa.childIndex(old), sa.children[place].state == .installed else { return }
            // Our request may have overtaken the answer that made the child at the peer.
            guard now - sa.children[place].createdAt >= .seconds(5) else {
                return retryChildRekey(&sa, old, after: .seconds(3))
            }
            removeChild(&sa, old, Failure(.deletedByPeer, "\(sa.path.remote.address) no longer knows the child SA."))
            plan(.createChild(creation.place), &sa)
        default:
            let isRekey = creation.replaces != nil
            let terms = configuration.child(at: creation.place)
            childCreationFailed(&sa, creation, childRefused(sa, terms, error, isRekey: isRekey))
        }
    }

    /// What stands stays; a rekey is tried again, and the last child that is missing takes its IKE SA along.
    mutating func childCreationFailed(_ sa: inout IKESA, _ creation: ChildCreation, _ failure: Failure) {
        releaseESPSPI(creation.spiIn)
        guard let old = creation.replaces else { return childMissing(&sa, failure) }
        if let collision = creation.collision {
            childReplacedByPeer(&sa, old: old, by: UInt32(truncatingIfNeeded: collision.product))
        }
        emit(.failed(failure), sa)
        retryChildRekey(&sa, old)
    }

    // MARK: - The peer's request

    mutating func receiveCreateChild(
        _ sa: inout IKESA, _ payloads: Payloads, _ messageID: UInt32, _ path: Path
    ) throws(MessageError) {
        let proposals = try payloads.require(payloads.proposals, "SA")
        _ = try payloads.require(payloads.nonce, "Nonce")
        if proposals.first?.protocolID == SecurityProtocol.ike {
            return try receiveIKERekey(&sa, proposals, payloads, messageID, path)
        }
        guard let configuration = configuration(of: sa), sa.isEstablished, !isReplacing(sa) else {
            return refuseChild(&sa, Notify(.temporaryFailure), messageID, path)
        }
        var old: UInt32?
        if let rekey = payloads.notify(.rekeySA) {
            guard rekey.protocolID == SecurityProtocol.esp, rekey.spi.count == 4 else {
                throw .malformed("REKEY_SA", at: 0, "must name an ESP SPI of 4 bytes")
            }
            let spi = rekey.spi.reduce(0) { $0 << 8 | UInt32($1) }
            guard let index = sa.childIndex(peerSPI: spi), !sa.children[index].isLingering else {
                let notify = Notify(.childSANotFound, protocolID: SecurityProtocol.esp, spi: rekey.spi)
                return refuseChild(&sa, notify, messageID, path)
            }
            // What was replaced stays for a while: a peer that rekeys without end waits for that to go.
            guard sa.children[index].state == .installed, sa.children.count < 2 * Child.most else {
                return refuseChild(&sa, Notify(.temporaryFailure), messageID, path)
            }
            old = sa.children[index].spiIn
        }
        try grantChild(&sa, configuration, payloads, replacing: old, messageID, path)
    }

    /// RFC 7296 §2.25.2: no child begins on an IKE SA that is being replaced or closed.
    private func isReplacing(_ sa: IKESA) -> Bool {
        if case .rekeyIKE = sa.exchange { return true }
        return sa.tasks.contains(.deleteIKE)
    }

    private mutating func refuseChild(_ sa: inout IKESA, _ notify: Notify, _ messageID: UInt32, _ path: Path) {
        answer(&sa, .createChildSA, messageID, path) { $0.add(notify) }
    }

    private mutating func grantChild(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ payloads: Payloads, replacing old: UInt32?,
        _ messageID: UInt32, _ path: Path
    ) throws(MessageError) {
        let agreed: AgreedChild
        switch answerChild(sa, configuration, payloads, replacing: old, usesGroups: true) {
        case .success(let child): agreed = child
        case .failure(let refusal):
            refuseChild(&sa, Notify(refusal.notify), messageID, path)
            guard refusal.notify != .noAdditionalSAs else { return notice(refusal.failure.explanation, sa) }
            return emit(.failed(refusal.failure), sa)
        }
        let suite = agreed.choice.suite
        var keyPair: DHKeyPair?
        var shared: Secret?
        if let group = suite.group {
            guard let keyExchange = payloads.keyExchange, keyExchange.group == group.rawValue else {
                return refuseChild(&sa, .invalidKE(wanting: group), messageID, path)
            }
            do {
                keyPair = try newKeyPair(group)
                shared = try keyPair?.sharedSecret(peer: keyExchange.value)
            } catch {
                throw MessageError(.misbehaved, "KE", at: 0, "\(error)", answer: .invalidSyntax)
            }
        }
        guard let prf = sa.suite?.prf, let derivation = sa.keys?.derivation, let nonceI = payloads.nonce else { return }
        let nonceR = newNonce()
        let spiIn = newESPSPI(sa.spi)
        if case .child(var creation) = sa.exchange, let old, creation.replaces == old {
            // Both rekey the same child: answer as usual, and let the nonces decide later (RFC 7296 §2.8.1).
            creation.collision = Collision(product: UInt64(spiIn), lowestNonce: Collision.lower(nonceI, nonceR))
            sa.exchange = .child(creation)
        }
        sa.pendingReply = PendingReply(
            exchange: .createChildSA, messageID: messageID, path: path, spiIn: spiIn,
            proposals: Negotiation.answer(agreed.choice, spi: spiIn), initiatorSelectors: agreed.remote,
            responderSelectors: agreed.local, nonce: nonceR, group: suite.group, publicValue: keyPair?.publicValue)
        let keys = KeySchedule.childKeys(
            suite, prf: prf, derivation: derivation, shared: shared, nonceI: nonceI, nonceR: nonceR)
        install(
            &sa, configuration,
            NewChild(
                place: agreed.place, spiIn: spiIn, spiOut: agreed.spiOut, suite: suite, keys: keys,
                weAreInitiator: false, local: agreed.local, remote: agreed.remote, replaces: old),
            outbound: old == nil)
    }
}

extension Collision {
    static func lower(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] { a.lexicographicallyPrecedes(b) ? a : b }
}

extension Child {
    var isLingering: Bool {
        if case .lingering = state { true } else { false }
    }
}
