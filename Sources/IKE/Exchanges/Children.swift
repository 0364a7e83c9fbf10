import Base
import Cryptography

/// What makes a child, agreed and derived.
struct NewChild {
    /// Which of the connection's children it is.
    var place: Int
    var spiIn: UInt32
    var spiOut: UInt32
    var suite: ESPSuite
    var keys: KeySchedule.ChildKeys
    /// Of the exchange, not of the IKE SA.
    var weAreInitiator: Bool
    var local: [TrafficSelector]
    var remote: [TrafficSelector]
    var replaces: UInt32?
}

/// A peer's request for a child, as we can grant it.
struct AgreedChild {
    var place: Int
    var choice: Negotiation.Choice<ESPSuite>
    var spiOut: UInt32
    var local: [TrafficSelector]
    var remote: [TrafficSelector]
}

/// A peer's request for a child that we cannot grant: what the peer is told, and what people are told.
struct ChildRefusal: Error {
    var notify: NotifyType
    var failure: Failure
}

/// Children between agreement and removal.
extension Engine {
    // MARK: - Agreement

    /// Whether and how a peer's request for a child can be granted, and as which of the connection's.
    ///
    /// A rekey stays what it replaces. Anything else is the child that fits the peer's selectors as they are, before one
    /// that must narrow them; it may be one of several in the same place, with selectors of their own.
    func answerChild(
        _ sa: IKESA, _ configuration: ConnectionConfiguration, _ payloads: Payloads, replacing old: UInt32?,
        usesGroups: Bool
    ) -> Result<AgreedChild, ChildRefusal> {
        if let old {
            let place = sa.childIndex(old).map { sa.children[$0].place } ?? 0
            return answerChild(configuration.child(at: place), place, payloads, usesGroups: usesGroups)
        }
        var best: (agreed: AgreedChild, rank: Int)?
        var refusal: ChildRefusal?
        for (place, terms) in configuration.children.enumerated() {
            switch answerChild(terms, place, payloads, usesGroups: usesGroups) {
            case .failure(let failure):
                // The reason of a child with other networks counts only where none has these.
                let isNearer =
                    refusal?.notify == .selectorsUnacceptable && failure.notify != .selectorsUnacceptable
                if refusal == nil || isNearer { refusal = failure }
            case .success(let agreed):
                let isWhole =
                    agreed.local == payloads.selectorsResponder && agreed.remote == payloads.selectorsInitiator
                let rank = (isWhole ? 2 : 0) + (sa.hasLiveChild(at: place) ? 0 : 1)
                if rank > best?.rank ?? -1 { best = (agreed, rank) }
            }
        }
        guard let agreed = best?.agreed else {
            return .failure(
                refusal
                    ?? ChildRefusal(notify: .noProposalChosen, failure: Failure(.noProposalChosen, "There is no child.")))
        }
        if let failure = secondOfItsKind(sa, agreed) {
            return .failure(ChildRefusal(notify: .noAdditionalSAs, failure: failure))
        }
        return .success(agreed)
    }

    /// Why a child that would be granted is one too many; nil when it is not.
    private func secondOfItsKind(_ sa: IKESA, _ agreed: AgreedChild) -> Failure? {
        func failure(_ what: String) -> Failure {
            Failure(.protocolError, "\(sa.path.remote) asks for \(what) on one IKE SA; refused")
        }
        let live = sa.children.filter(\.isLive)
        if live.contains(where: { $0.localSelectors == agreed.local && $0.remoteSelectors == agreed.remote }) {
            return failure("a second child SA with the same selectors")
        }
        if case .child(let creation) = sa.exchange, creation.replaces == nil, creation.place == agreed.place {
            return failure("a child SA that we are asking for")
        }
        return live.count >= Child.most ? failure("more than \(Child.most) child SAs") : nil
    }

    private func answerChild(
        _ terms: ChildConfiguration, _ place: Int, _ payloads: Payloads, usesGroups: Bool
    ) -> Result<AgreedChild, ChildRefusal> {
        guard let proposals = payloads.proposals, let theirs = payloads.selectorsInitiator,
            let ours = payloads.selectorsResponder
        else {
            let failure = Failure(.protocolError, "The peer asked for a child SA without SA, TSi or TSr.")
            return .failure(ChildRefusal(notify: .invalidSyntax, failure: failure))
        }
        // The networks say which child it is about, and only then what it may be made of.
        let local = TrafficSelector.narrow(terms.localSelectors, to: ours)
        let remote = TrafficSelector.narrow(terms.remoteSelectors, to: theirs)
        guard !local.isEmpty, !remote.isEmpty else {
            let failure = selectorsRefused(terms, theirLocal: ours, theirRemote: theirs)
            return .failure(ChildRefusal(notify: .selectorsUnacceptable, failure: failure))
        }
        guard
            let choice = Negotiation.choose(
                terms.espProposals, from: proposals, usesGroups: usesGroups,
                keyExchangeGroup: payloads.keyExchange?.group),
            let spiOut = Self.espSPI(choice.proposal.spi)
        else {
            let failure = childOfferRefused(terms, proposals, usesGroups: usesGroups)
            return .failure(ChildRefusal(notify: .noProposalChosen, failure: failure))
        }
        return .success(AgreedChild(place: place, choice: choice, spiOut: spiOut, local: local, remote: remote))
    }

    /// What a peer's answer chose of our offer, and the SPI that it receives on.
    func chosenChild(
        _ offers: [ESPProposal], _ answer: [Proposal], offered: [Proposal], usesGroups: Bool
    ) throws(MessageError) -> (ESPSuite, UInt32) {
        let chosen = try Negotiation.checkAnswer(answer, against: offered)
        guard
            let choice = Negotiation.choose(offers, from: [chosen], usesGroups: usesGroups, keyExchangeGroup: nil),
            let spiOut = Self.espSPI(chosen.spi)
        else {
            throw MessageError(.misbehaved, "SA", at: 0, "the answer \([chosen].summary) is no complete choice")
        }
        return (choice.suite, spiOut)
    }

    /// The peer may narrow our selectors, not widen them; what it adds is cut off.
    func narrowed(
        _ terms: ChildConfiguration, local: [TrafficSelector], remote: [TrafficSelector]
    ) throws(MessageError) -> (local: [TrafficSelector], remote: [TrafficSelector]) {
        let both = (
            local: TrafficSelector.narrow(terms.localSelectors, to: local),
            remote: TrafficSelector.narrow(terms.remoteSelectors, to: remote)
        )
        guard !both.local.isEmpty, !both.remote.isEmpty else {
            throw MessageError(
                .misbehaved, "TS", at: 0,
                "the answer's selectors \(local.summary) and \(remote.summary) are outside what we asked for")
        }
        return both
    }

    private static func espSPI(_ bytes: [UInt8]) -> UInt32? {
        guard bytes.count == 4 else { return nil }
        let spi = bytes.reduce(0) { $0 << 8 | UInt32($1) }
        return spi > 255 ? spi : nil
    }

    // MARK: - Installation

    mutating func install(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ new: NewChild, outbound: Bool
    ) {
        let terms = configuration.child(at: new.place)
        let fuzz = configuration.rekeyFuzzPercent
        let rekeyAt = rekeyTick(terms.lifetime, margin: terms.rekeyMargin, fuzzPercent: fuzz)
        let expiresAt = now + terms.lifetime
        sa.children.append(
            Child(
                place: new.place, spiIn: new.spiIn, spiOut: new.spiOut, suite: new.suite, localSelectors: new.local,
                remoteSelectors: new.remote, createdAt: now, rekeyAt: rekeyAt, expiresAt: expiresAt,
                usesOutbound: outbound,
                replaces: new.replaces))
        childOwners[new.spiIn] = sa.spi
        let keys = new.keys
        add(
            .installChild(
                ChildSA(
                    connection: sa.connection ?? ConnectionID(0), place: new.place, ikeSA: sa.id, spiIn: new.spiIn,
                    spiOut: new.spiOut, suite: new.suite,
                    encryptionKeyIn: new.weAreInitiator ? keys.encryptionR : keys.encryptionI,
                    encryptionKeyOut: new.weAreInitiator ? keys.encryptionI : keys.encryptionR,
                    integrityKeyIn: new.weAreInitiator ? keys.integrityR : keys.integrityI,
                    integrityKeyOut: new.weAreInitiator ? keys.integrityI : keys.integrityR,
                    localSelectors: new.local, remoteSelectors: new.remote, path: sa.childPath,
                    replayWindow: terms.replayWindow, rekeyAt: rekeyAt, expiresAt: expiresAt,
                    limits: limits(terms, fuzzPercent: fuzz), replaces: new.replaces),
                outbound: outbound))
    }

    mutating func childInstalled(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn), sa.children[index].state == .installing else { return }
        sa.children[index].state = .installed
        if let reply = sa.pendingReply, reply.spiIn == spiIn {
            sa.pendingReply = nil
            return childAnswered(&sa, reply, spiIn)
        }
        guard let old = sa.children[index].replaces else { return emit(.childEstablished(spiIn: spiIn), sa) }
        emit(.childRekeyed(spiIn: spiIn, previous: old), sa)
        if let place = sa.childIndex(old), sa.children[place].state == .installed { deleteChild(&sa, old) }
    }

    /// The answer leaves only now that we can hear the peer on the new SA.
    private mutating func childAnswered(_ sa: inout IKESA, _ reply: PendingReply, _ spiIn: UInt32) {
        guard reply.exchange == .createChildSA else {
            guard let configuration = configuration(of: sa) else { return discard(&sa, nil) }
            completeAuth(&sa, reply, configuration, refusal: nil)
            return emit(.childEstablished(spiIn: spiIn), sa)
        }
        answer(&sa, .createChildSA, reply.messageID, reply.path, capacity: 512) { message in
            message.add(proposals: reply.proposals)
            if let nonce = reply.nonce { message.add(nonce: nonce) }
            if let group = reply.group, let publicValue = reply.publicValue {
                message.add(group: group.rawValue, publicValue: publicValue)
            }
            message.add(initiator: reply.initiatorSelectors, responder: reply.responderSelectors)
        }
        guard let index = sa.childIndex(spiIn), let old = sa.children[index].replaces else {
            return emit(.childEstablished(spiIn: spiIn), sa)
        }
        // While our own rekey of the same child is out, the nonces will tell which of the two stays.
        if case .child(let creation) = sa.exchange, creation.replaces == old { return }
        childReplacedByPeer(&sa, old: old, by: spiIn)
    }

    /// The peer's rekey of `old` stands; the peer will delete `old`.
    mutating func childReplacedByPeer(_ sa: inout IKESA, old: UInt32, by spiIn: UInt32) {
        sa.tasks.removeAll { $0 == .rekeyChild(old) }
        guard let place = sa.childIndex(old), sa.children[place].state == .installed else { return }
        sa.children[place].state = .replaced
        // A peer that forgets to delete it does not keep it for ever.
        sa.children[place].replacedUntil = now + dpdTimeout(sa) * 2
        emit(.childRekeyed(spiIn: spiIn, previous: old), sa)
    }

    mutating func childFailed(_ sa: inout IKESA, _ spiIn: UInt32, _ reason: String) {
        guard let index = sa.childIndex(spiIn), sa.children[index].state == .installing else { return }
        let child = sa.children.remove(at: index)
        let failure = Failure(.dataPathRefused, "The data path refused the child SA: \(reason)")
        if let reply = sa.pendingReply, reply.spiIn == spiIn {
            releaseESPSPI(spiIn)
            sa.pendingReply = nil
            if reply.exchange == .ikeAuth {
                guard let configuration = configuration(of: sa) else { return discard(&sa, nil) }
                completeAuth(&sa, reply, configuration, refusal: .noProposalChosen)
            } else {
                answer(&sa, .createChildSA, reply.messageID, reply.path) { $0.add(.temporaryFailure) }
                if case .child(var creation) = sa.exchange, creation.collision?.product == UInt64(spiIn) {
                    creation.collision = nil
                    sa.exchange = .child(creation)
                } else if let old = child.replaces {
                    _ = revive(&sa, old, instead: child)
                    retryChildRekey(&sa, old)
                }
            }
            return emit(.failed(failure), sa)
        }
        guard let old = child.replaces, sa.childIndex(old) != nil else {
            childOwners[spiIn] = nil
            // The peer has it; with the last one the whole IKE SA goes.
            plan(.deleteChild(spiIn), &sa)
            return childMissing(&sa, failure)
        }
        emit(.failed(failure), sa)
        plan(.deleteChild(spiIn), &sa)
        retryChildRekey(&sa, old)
    }

    /// Tries a failed rekey again in half a minute or so, while the child lives.
    mutating func retryChildRekey(_ sa: inout IKESA, _ spiIn: UInt32, after: Tick.Span = .seconds(20)) {
        guard let place = sa.childIndex(spiIn), sa.children[place].state == .installed else { return }
        sa.children[place].rekeyAt =
            now + after + Tick.Span(nanoseconds: Int64(random.uniform(below: UInt64(after.nanoseconds))))
    }

    mutating func inboundTraffic(_ sa: inout IKESA, _ spiIn: UInt32, _ at: Tick) {
        // What lingering or replaced SAs still bring is proof of life as well.
        sa.lastInbound = max(sa.lastInbound, min(at, now))
        useOutbound(&sa, spiIn)
    }

    /// The peer hears us on this child: it sends on it, or has deleted the one before.
    mutating func useOutbound(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn), !sa.children[index].usesOutbound,
            sa.children[index].state == .installed
        else { return }
        sa.children[index].usesOutbound = true
        add(.useOutbound(spiIn: spiIn))
    }

    // MARK: - Removal

    mutating func releaseESPSPI(_ spiIn: UInt32) { childOwners[spiIn] = nil }

    /// Takes a child out of the data path and forgets it; `failure` is told, nil for one that was replaced.
    mutating func removeChild(_ sa: inout IKESA, _ spiIn: UInt32, _ failure: Failure?) {
        guard let index = sa.childIndex(spiIn) else { return releaseESPSPI(spiIn) }
        sa.children.remove(at: index)
        releaseESPSPI(spiIn)
        if sa.pendingReply?.spiIn == spiIn { sa.pendingReply = nil }
        if case .child(var creation) = sa.exchange, creation.collision?.product == UInt64(spiIn) {
            // The peer has taken its rekey back: ours meets no other any more.
            creation.collision = nil
            sa.exchange = .child(creation)
        }
        if let failure { emit(.childClosed(spiIn: spiIn, failure), sa) }
        add(.removeChild(spiIn: spiIn))
    }

    mutating func removeAllChildren(_ sa: inout IKESA, _ failure: Failure?) {
        for child in sa.children {
            removeChild(&sa, child.spiIn, child.isTold ? failure : nil)
        }
        releaseUnmadeChild(sa)
    }

    /// Tells of the end of all children. Those that are in the data path stay in it, to take what is on its way, until
    /// the peer has answered our DELETE of the IKE SA or `tick` has come.
    mutating func retireAllChildren(_ sa: inout IKESA, _ failure: Failure?, until tick: Tick) {
        for child in sa.children {
            guard child.state != .installing, let index = sa.childIndex(child.spiIn) else {
                removeChild(&sa, child.spiIn, nil)
                continue
            }
            if child.isTold, let failure { emit(.childClosed(spiIn: child.spiIn, failure), sa) }
            if case .lingering = child.state { continue }
            sa.children[index].state = .lingering(until: tick)
        }
        releaseUnmadeChild(sa)
    }

    /// The SPI of a child that our request was to make.
    private mutating func releaseUnmadeChild(_ sa: IKESA) {
        switch sa.state {
        case .authSent(let sent): releaseESPSPI(sent.spiIn)
        default: if case .child(let creation) = sa.exchange { releaseESPSPI(creation.spiIn) }
        }
    }

    /// Asks the peer to delete a child, then removes it.
    mutating func deleteChild(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn) else { return }
        sa.children[index].state = .deleting
        plan(.deleteChild(spiIn), &sa)
    }

    mutating func startChildDeletion(_ sa: inout IKESA, _ spiIn: UInt32) {
        sa.exchange = .deleteChild(spiIn)
        request(&sa, .informational, timeout: dpdTimeout(sa)) {
            $0.add(Delete(protocolID: SecurityProtocol.esp, spis: [spiIn]))
        }
    }

    /// Both sides have deleted it; what is on its way may still come in.
    mutating func lingerChild(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn) else { return releaseESPSPI(spiIn) }
        if case .lingering = sa.children[index].state { return }
        sa.children[index].state = .lingering(until: now + configuration.inboundLinger)
    }

    /// The peer deletes children by the SPIs that it receives on. Returns ours of those that we still had.
    mutating func peerDeletes(_ sa: inout IKESA, _ spis: [UInt32]) -> [UInt32] {
        var deleted: [UInt32] = []
        for spi in spis {
            guard let index = sa.childIndex(peerSPI: spi) else { continue }
            let child = sa.children[index]
            if case .lingering = child.state { continue }
            // RFC 7296 §1.4.1: when both delete at once, neither repeats it in its answer.
            if child.state != .deleting { deleted.append(child.spiIn) }
            if concedes(&sa, child.spiIn) {
                removeChild(&sa, child.spiIn, nil)
                continue
            }
            if let successor = successor(sa, of: child.spiIn) {
                childReplacedByPeer(&sa, old: child.spiIn, by: successor.spiIn)
                useOutbound(&sa, successor.spiIn)
                lingerChild(&sa, child.spiIn)
            } else if let old = child.replaces, revive(&sa, old, instead: child) {
                removeChild(&sa, child.spiIn, nil)
            } else {
                let failure = Failure(.deletedByPeer, "\(sa.path.remote.address) deleted the child SA.")
                removeChild(&sa, child.spiIn, child.isTold ? failure : nil)
            }
            sa.tasks.removeAll { $0 == .rekeyChild(child.spiIn) || $0 == .deleteChild(child.spiIn) }
        }
        return deleted
    }

    /// The live child that stands in for one that was rekeyed, perhaps several times.
    func successor(_ sa: IKESA, of spiIn: UInt32) -> Child? {
        var line: Set<UInt32> = [spiIn]
        // A child stands behind the one that it replaces.
        for child in sa.children {
            guard let old = child.replaces, line.contains(old) else { continue }
            if child.isLive { return child }
            line.insert(child.spiIn)
        }
        return nil
    }

    /// Whether `spiIn` is what the peer's side of a collision made. By deleting it before its answer to our request has
    /// come, the peer says that ours stays; nobody has been told of it (RFC 7296 §2.8.1).
    private func concedes(_ sa: inout IKESA, _ spiIn: UInt32) -> Bool {
        guard case .child(var creation) = sa.exchange, creation.collision?.product == UInt64(spiIn),
            // Otherwise the peer's has stood for a while, and this is the end of its life.
            let old = creation.replaces.flatMap({ sa.childIndex($0) }), sa.children[old].state == .installed
        else { return false }
        creation.collision = nil
        sa.exchange = .child(creation)
        return true
    }

    /// The peer takes its rekey back (it could not install the new child): the old one goes on.
    private mutating func revive(_ sa: inout IKESA, _ old: UInt32, instead child: Child) -> Bool {
        guard let place = sa.childIndex(old), sa.children[place].state == .replaced else { return false }
        sa.children[place].state = .installed
        sa.children[place].replacedUntil = nil
        if sa.children[place].rekeyAt == .distantFuture { retryChildRekey(&sa, old) }
        if child.usesOutbound { add(.useOutbound(spiIn: old)) }
        emit(.childRekeyed(spiIn: old, previous: child.spiIn), sa)
        return true
    }
}
