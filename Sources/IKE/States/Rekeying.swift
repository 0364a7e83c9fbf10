import Base
import Cryptography

/// CREATE_CHILD_SA that replaces the IKE SA, from either side (RFC 7296 §1.3.2, §2.8, §2.18).
extension Engine {
    // MARK: - Our request

    mutating func startIKERekey(_ sa: inout IKESA) {
        if peerFault(sa) != nil { return checkPeerAgain(&sa) }
        guard let configuration = configuration(of: sa) else { return }
        // The group that works with this peer first, if it is still configured.
        let groups = configuration.ikeProposals.flatMap(\.groups)
        guard let group = groups.first(where: { $0 == sa.suite?.group }) ?? groups.first else { return }
        sendIKERekey(&sa, configuration, spi: newIKESPI(), group: group, tried: [])
    }

    private mutating func sendIKERekey(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, spi: UInt64, group: DHGroup, tried: [DHGroup],
        collision: Collision? = nil
    ) {
        let keyPair: DHKeyPair
        do {
            keyPair = try newKeyPair(group)
        } catch {
            emit(.failed(Failure(.invalidKeyExchange, "No key pair for \(group.name): \(error).")), sa)
            return retryIKERekey(&sa)
        }
        let rekey = IKERekey(
            spi: spi, offered: Negotiation.wire(configuration.ikeProposals, spi: KeySchedule.bytes(spi)),
            nonce: newNonce(), keyPair: keyPair, groupsTried: tried + [group], collision: collision)
        sa.exchange = .rekeyIKE(rekey)
        request(&sa, .createChildSA, timeout: dpdTimeout(sa), capacity: 512 + keyPair.publicValue.count) { message in
            message.add(proposals: rekey.offered)
            message.add(nonce: rekey.nonce)
            message.add(group: group.rawValue, publicValue: keyPair.publicValue)
        }
    }

    mutating func retryIKERekey(_ sa: inout IKESA, after: Tick.Span = .seconds(20)) {
        sa.rekeyAt = now + after + Tick.Span(nanoseconds: Int64(random.uniform(below: UInt64(after.nanoseconds))))
    }

    // MARK: - The peer's answer

    mutating func receiveIKERekeyAnswer(_ sa: inout IKESA, _ rekey: IKERekey, _ payloads: Payloads) {
        guard let configuration = configuration(of: sa) else { return }
        if let error = payloads.firstError, payloads.proposals == nil {
            return ikeRekeyRefused(&sa, rekey, configuration, error)
        }
        do throws(MessageError) {
            let made = try successor(sa, rekey, configuration, payloads)
            var new = made.sa
            beginLife(&new, configuration)
            takeCrashToken(&new, payloads)
            if let collision = rekey.collision {
                if collision.weLose(ourNonces: [rekey.nonce, made.nonce]), isAlive(collision.product) {
                    // Ours is the redundant one: delete it, and go on with the peer's (RFC 7296 §2.8.2).
                    beginDeletion(&new, nil)
                    settle(new)
                    return succeed(&sa, collision.product)
                }
                // The peer deletes its redundant one, on that SA itself, if it has not done so already.
                if isAlive(collision.product) { with(collision.product) { $0.retire(&$1) } }
            }
            let spi = new.spi
            settle(new)
            handOver(&sa, to: spi)
            // Only now both SPIs are known (RFC 6290 §4.2). A peer that makes tokens understands them.
            if sa.crashToken != nil { with(spi) { $0.plan(.sendCrashToken, &$1) } }
            beginDeletion(&sa, nil)
        } catch {
            ikeRekeyFailed(
                &sa, rekey, Failure(.protocolError, "The peer's answer makes no new IKE SA: \(error)."))
        }
    }

    /// The IKE SA that the peer's answer makes, and the peer's nonce.
    private func successor(
        _ sa: IKESA, _ rekey: IKERekey, _ configuration: ConnectionConfiguration, _ payloads: Payloads
    ) throws(MessageError) -> (sa: IKESA, nonce: [UInt8]) {
        let answer = try payloads.require(payloads.proposals, "SA")
        let nonce = try payloads.require(payloads.nonce, "Nonce")
        let keyExchange = try payloads.require(payloads.keyExchange, "KE")
        let chosen = try Negotiation.checkAnswer(answer, against: rekey.offered)
        guard
            let choice = Negotiation.choose(configuration.ikeProposals, from: [chosen], keyExchangeGroup: nil),
            choice.suite.group == rekey.keyPair.group, keyExchange.group == choice.suite.group.rawValue,
            let peerSPI = Self.ikeSPI(chosen.spi)
        else {
            throw MessageError(.misbehaved, "SA", at: 0, "the answer \([chosen].summary) is no complete choice")
        }
        let new = try replacement(
            sa, spi: rekey.spi, peerSPI: peerSPI, isInitiator: true, choice.suite, rekey.keyPair, keyExchange.value,
            nonceI: rekey.nonce, nonceR: nonce)
        return (new, nonce)
    }

    /// An IKE SA that ends while our rekey of it is out: for the peer its successor lives, and has the children. What was
    /// made is deleted (RFC 7296 §1.4.1).
    mutating func deleteSuccessor(_ sa: IKESA, _ rekey: IKERekey, _ payloads: Payloads) {
        guard let configuration = configuration(of: sa),
            var new = try? successor(sa, rekey, configuration, payloads).sa
        else { return }
        beginLife(&new, configuration)
        beginDeletion(&new, nil)
        settle(new)
    }

    private mutating func ikeRekeyRefused(
        _ sa: inout IKESA, _ rekey: IKERekey, _ configuration: ConnectionConfiguration, _ error: Notify
    ) {
        if error.type == .invalidKEPayload, let group = error.group, !rekey.groupsTried.contains(group),
            rekey.offered.contains(where: { $0.transforms.contains(Transform(group)) })
        {
            return sendIKERekey(
                &sa, configuration, spi: rekey.spi, group: group, tried: rekey.groupsTried,
                collision: rekey.collision)
        }
        if let collision = rekey.collision, isAlive(collision.product) {
            // The peer had finished its own rekey before ours reached it.
            return succeed(&sa, collision.product)
        }
        if error.type == .temporaryFailure { return retryIKERekey(&sa, after: .seconds(3)) }
        ikeRekeyFailed(&sa, rekey, rekeyRefused(sa, configuration, error))
    }

    mutating func ikeRekeyFailed(_ sa: inout IKESA, _ rekey: IKERekey, _ failure: Failure) {
        if let collision = rekey.collision, isAlive(collision.product) { return succeed(&sa, collision.product) }
        emit(.failed(failure), sa)
        retryIKERekey(&sa)
    }

    // MARK: - The peer's request

    mutating func receiveIKERekey(
        _ sa: inout IKESA, _ proposals: [Proposal], _ payloads: Payloads, _ messageID: UInt32, _ path: Path
    ) throws(MessageError) {
        guard let configuration = configuration(of: sa), sa.isEstablished, !isBusyWithChild(sa) else {
            return answer(&sa, .createChildSA, messageID, path) { $0.add(.temporaryFailure) }
        }
        if peerFault(sa) != nil {
            answer(&sa, .createChildSA, messageID, path) { $0.add(.temporaryFailure) }
            return checkPeerAgain(&sa)
        }
        // One collision at a time, and no more successors than a peer in its right mind asks for.
        guard !hasMetCollision(sa), sa.admitsRekey(now: now) else {
            return answer(&sa, .createChildSA, messageID, path) { $0.add(.temporaryFailure) }
        }
        let keyExchange = try payloads.require(payloads.keyExchange, "KE")
        guard
            let choice = Negotiation.choose(
                configuration.ikeProposals, from: proposals, keyExchangeGroup: keyExchange.group),
            let peerSPI = Self.ikeSPI(choice.proposal.spi), let nonceI = payloads.nonce
        else {
            answer(&sa, .createChildSA, messageID, path) { $0.add(.noProposalChosen) }
            return emit(.failed(rekeyOfferRefused(configuration, proposals)), sa)
        }
        let suite = choice.suite
        guard suite.group.rawValue == keyExchange.group else {
            return answer(&sa, .createChildSA, messageID, path) { $0.add(.invalidKE(wanting: suite.group)) }
        }
        let keyPair: DHKeyPair
        do {
            keyPair = try newKeyPair(suite.group)
        } catch {
            throw MessageError(.incompatible, "KE", at: 0, "\(error)", answer: .temporaryFailure)
        }
        sa.noteRekey(now: now)
        let nonceR = newNonce()
        var new = try replacement(
            sa, spi: newIKESPI(), peerSPI: peerSPI, isInitiator: false, suite, keyPair, keyExchange.value,
            nonceI: nonceI, nonceR: nonceR)
        let spi = new.spi
        let token = crashToken(new)
        answer(&sa, .createChildSA, messageID, path, capacity: 512 + keyPair.publicValue.count) { message in
            message.add(proposals: Negotiation.answer(choice, spi: KeySchedule.bytes(spi)))
            message.add(nonce: nonceR)
            message.add(group: suite.group.rawValue, publicValue: keyPair.publicValue)
            if let token { message.add(.quickCrashDetection, token) }
        }
        beginLife(&new, configuration)
        guard case .rekeyIKE(var rekey) = sa.exchange else {
            settle(new)
            return succeed(&sa, spi)
        }
        new.predecessor = sa.spi
        settle(new)
        // Both rekey at once: the nonces decide when our answer comes (RFC 7296 §2.8.2).
        rekey.collision = Collision(product: spi, lowestNonce: Collision.lower(nonceI, nonceR))
        sa.exchange = .rekeyIKE(rekey)
    }

    private func hasMetCollision(_ sa: IKESA) -> Bool {
        guard case .rekeyIKE(let rekey) = sa.exchange, let collision = rekey.collision else { return false }
        return isAlive(collision.product)
    }

    /// RFC 7296 §2.25.2: an IKE SA that makes, rekeys or deletes a child of ours is not replaced meanwhile.
    private func isBusyWithChild(_ sa: IKESA) -> Bool {
        switch sa.exchange {
        case .child, .deleteChild: true
        case .deleteIKE, .liveness, .rekeyIKE, .updateAddresses, .checkRoute, .sendCrashToken, nil: sa.tasks.contains(.deleteIKE)
        }
    }

    // MARK: - Succession

    /// A new IKE SA with the old one's peer, path and identities.
    private func replacement(
        _ old: IKESA, spi: UInt64, peerSPI: UInt64, isInitiator: Bool, _ suite: IKESuite, _ keyPair: DHKeyPair,
        _ peerValue: [UInt8], nonceI: [UInt8], nonceR: [UInt8]
    ) throws(MessageError) -> IKESA {
        guard let prf = old.suite?.prf, let derivation = old.keys?.derivation else {
            throw MessageError(.unexpected, "SA", at: 0, "the old IKE SA has no keys")
        }
        let shared: Secret
        do {
            shared = try keyPair.sharedSecret(peer: peerValue)
        } catch {
            throw MessageError(.misbehaved, "KE", at: 0, "\(error)", answer: .invalidSyntax)
        }
        let seed = KeySchedule.seed(rekeying: derivation, prf, nonceI: nonceI, nonceR: nonceR, shared: shared)
        var new = IKESA(spi: spi, isInitiator: isInitiator, path: old.path, state: .established)
        new.peerSPI = peerSPI
        new.connection = old.connection
        new.nat = old.nat
        new.mobility = old.mobility
        // Hashes are made with the SPIs.
        new.mobility?.seenAs = []
        new.fragmentSize = old.fragmentSize
        new.suite = suite
        new.keys = KeySchedule.keys(
            suite, seed: seed, nonceI: nonceI, nonceR: nonceR, spiI: isInitiator ? spi : peerSPI,
            spiR: isInitiator ? peerSPI : spi, isInitiator: isInitiator)
        new.localID = old.localID
        new.remoteID = old.remoteID
        new.authenticated = old.authenticated
        new.peerRekeys = old.peerRekeys
        return new
    }

    func isAlive(_ spi: UInt64) -> Bool { table[spi]?.isEstablished == true }

    /// `successor` takes over; the peer deletes `sa`.
    private mutating func succeed(_ sa: inout IKESA, _ successor: UInt64) {
        handOver(&sa, to: successor)
        retire(&sa)
    }

    /// Children and plans go over to the new IKE SA.
    mutating func handOver(_ sa: inout IKESA, to successor: UInt64) {
        let children = sa.children
        let tasks = legacy(sa)
        let (path, nat) = (sa.path, sa.nat)
        sa.children = []
        sa.tasks = []
        let previous = sa.id
        let lastInbound = sa.lastInbound
        let duplicateCheckAt = sa.duplicateCheckAt
        for child in children { childOwners[child.spiIn] = successor }
        with(successor) { engine, new in
            new.predecessor = nil
            (new.path, new.nat) = (path, nat)
            new.children += children
            new.tasks += tasks
            new.lastInbound = max(new.lastInbound, lastInbound)
            new.duplicateCheckAt = duplicateCheckAt
            engine.emit(.ikeRekeyed(engine.summary(new), previous: previous), new)
        }
    }

    /// What the successor of an SA is to do. A doubt whether the peer hears us is not settled by the old one any more, and
    /// an exchange about addresses that is cut short begins anew.
    private func legacy(_ sa: IKESA) -> [PlannedTask] {
        var tasks = sa.tasks.filter { $0 != .rekeyIKE && $0 != .deleteIKE && $0 != .sendCrashToken }
        func add(_ task: PlannedTask) { tasks = tasks.filter { $0 != task } + [task] }
        switch sa.exchange {
        case .updateAddresses: add(.updateAddresses)
        case .checkRoute: add(.checkRoute)
        default: break
        }
        if let request = sa.request, request.retransmissions > 0 { add(.liveness(isForced: true)) }
        return tasks
    }

    /// A request on a provisional SA: the peer has settled on it, whatever has become of our own rekey.
    mutating func adopt(_ sa: inout IKESA) {
        guard sa.isEstablished, let predecessor = sa.predecessor else { return }
        sa.predecessor = nil
        var children: [Child] = []
        var tasks: [PlannedTask] = []
        var duplicateCheckAt = Tick.distantFuture
        var (path, nat) = (sa.path, sa.nat)
        with(predecessor) { engine, old in
            guard old.isEstablished else { return }
            (children, old.children) = (old.children, [])
            tasks = engine.legacy(old)
            (path, nat) = (old.path, old.nat)
            duplicateCheckAt = old.duplicateCheckAt
            engine.retire(&old)
        }
        for child in children { childOwners[child.spiIn] = sa.spi }
        (sa.path, sa.nat) = (path, nat)
        sa.children += children
        sa.tasks += tasks
        sa.duplicateCheckAt = duplicateCheckAt
        emit(.ikeRekeyed(summary(sa), previous: IKESAID(predecessor)), sa)
    }

    /// An SA that ends in the middle of a collision takes the peer's product along, unless that has taken over.
    mutating func dropProvisional(_ sa: IKESA) {
        guard case .rekeyIKE(let rekey) = sa.exchange, let collision = rekey.collision,
            table[collision.product]?.predecessor == sa.spi
        else { return }
        with(collision.product) { $0.discard(&$1, nil) }
    }

    /// The peer will delete this replaced SA; if it does not, it goes by itself.
    mutating func retire(_ sa: inout IKESA) {
        withdraw(&sa)
        sa.predecessor = nil
        sa.exchange = nil
        sa.tasks = []
        sa.state = .rekeyed(closeAt: now + dpdTimeout(sa) * 2)
    }

    private static func ikeSPI(_ bytes: [UInt8]) -> UInt64? {
        guard bytes.count == 8 else { return nil }
        let spi = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return spi == 0 ? nil : spi
    }
}
