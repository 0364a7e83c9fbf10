internal import Base
internal import Cryptography
internal import IKE

extension TunnelKeeper {
    // MARK: - Children

    mutating func install(_ child: ChildSA, outbound: Bool, _ desk: inout Desk) {
        guard let interface, link == .open, child.connection == connection else {
            let why = if case .failed(let reason) = link { reason } else { "the tunnel's interface is not open" }
            desk.effects.append(.ike(.childFailed(spiIn: child.spiIn, reason: why)))
            return
        }
        fitLink(child.suite, child.path, &desk)
        if children[child.spiIn] != nil {
            children[child.spiIn]?.sa = child
        } else {
            children[child.spiIn] = .init(sa: child)
        }
        desk.childOwners[child.spiIn] = key
        desk.effects.append(.installChild(child, interface: interface, outbound: outbound))
    }

    /// The data path has lost the child; usually an event has said why, or is about to.
    mutating func childRemoved(_ spiIn: UInt32, _ desk: inout Desk) {
        drop(spiIn, &desk)
    }

    private mutating func drop(_ spiIn: UInt32, _ desk: inout Desk) {
        let wasUp = isUp
        children[spiIn] = nil
        desk.childOwners[spiIn] = nil
        rememberLoss(wasUp, &desk)
        // The end of the IKE SA, or a new one, is usually next: it decides what to do.
        if wasUp, !isUp { desk.timers.set(.tunnel(key, .loss), desk.now + .seconds(1)) }
    }

    mutating func dropChildren(_ desk: inout Desk) {
        let wasUp = children.hasCurrent
        for spiIn in children.spis { desk.childOwners[spiIn] = nil }
        children = ChildList()
        rememberLoss(wasUp, &desk)
    }

    private mutating func rememberLoss(_ wasUp: Bool, _ desk: inout Desk) {
        guard wasUp, !isUp else { return }
        lostUpSince = upSince ?? desk.now
        lossReason = nil
        hasAskedForChild = false
        upSince = nil
        suspect = nil
        desk.timers.remove(.tunnel(key, .probe))
    }

    private mutating func establish(_ spiIn: UInt32, replacing previous: UInt32?, _ desk: inout Desk) {
        guard var child = children[spiIn] else { return }
        let wasUp = isUp
        child.isEstablished = true
        // The peer may have taken back what had replaced it.
        child.isSuperseded = false
        children[spiIn] = child
        if let previous { children[previous]?.isSuperseded = true }
        guard !wasUp, isUp else { return }
        upSince = desk.now
        lostUpSince = nil
        lastError = nil
        repeated = nil
        isCleared = false
        suspect = nil
        lastSeen = desk.now
        desk.timers.remove(.tunnel(key, .loss))
        setAttempt(.none, nil, &desk)
        probe.isOutstanding = false
        probe.lost = 0
        // Soon, so that the status has a round trip; not at once, since the peer may not hear us yet.
        scheduleProbe(.milliseconds(500), &desk)
    }

    // MARK: - Events of the engine

    mutating func handle(_ kind: Event.Kind, ikeSA: IKESAID?, _ desk: inout Desk) {
        switch kind {
        case .connecting:
            break
        case .ikeEstablished(let summary):
            add(summary, ikeSA)
            lastSeen = desk.now
            announceWeaknesses(&desk)
            // The child comes with the same exchange, or not at all.
            if !isUp, initiation == .initiate, attempt != .closing { setAttempt(.underway, Self.childPatience, &desk) }
        case .ikeRekeyed(let summary, let previous):
            phase1[previous] = nil
            add(summary, ikeSA)
            // The engine asks again on the new one; its answer, or none, decides.
            if suspect == previous { suspect = ikeSA }
            lastSeen = desk.now
            if isUp { lastError = nil }
            announceWeaknesses(&desk)
            log(.info, "ike-rekeyed", "phase 1 has new keys (\(summary.suite)).", &desk)
        case .ikeClosed(let failure):
            closed(ikeSA, failure, &desk)
        case .childEstablished(let spiIn):
            establish(spiIn, replacing: nil, &desk)
            if isUp, missingPhase2.isEmpty { lastError = nil }
            announceWeaknesses(&desk)
        case .childRekeyed(let spiIn, let previous):
            establish(spiIn, replacing: previous, &desk)
            if isUp { lastError = nil }
            announceWeaknesses(&desk)
            let suite = children[spiIn].map { " (\($0.sa.suite))" } ?? ""
            log(.info, "child-rekeyed", "phase 2 has new keys\(suite).", &desk)
        case .childClosed(let spiIn, let failure):
            guard children[spiIn] != nil else { break }
            drop(spiIn, &desk)
            if lostUpSince != nil {
                lossReason = failure
                lastError = failure.explanation
            }
        case .failed(let failure):
            failed(ikeSA, failure, &desk)
        case .answered(let roundTrip, let retransmits):
            lastSeen = desk.now
            self.roundTrip = roundTrip
            self.retransmits = retransmits
            if isSuspect {
                suspect = nil
                log(.info, "peer-answers", "the peer answers again, after \(roundTrip.words).", &desk)
            }
        case .retransmitted(let exchange, let count):
            retransmitted(ikeSA, exchange, count, &desk)
        case .peerMoved(let path):
            log(.info, "peer-moved", "the peer is now at \(path.remote).", &desk)
            moved(ikeSA, path, &desk)
        case .moved(let path):
            log(.info, "we-moved", "our address is now \(path.local.address), and the tunnel goes on from there.", &desk)
            moved(ikeSA, path, &desk)
        case .notice(let text):
            log(.warning, "notice", text, &desk)
        }
    }

    private mutating func moved(_ ikeSA: IKESAID?, _ path: Path, _ desk: inout Desk) {
        for spiIn in children.spis where children[spiIn]?.sa.ikeSA == ikeSA || phase1.count == 1 {
            children[spiIn]?.sa.path = path
        }
        if let ikeSA, var summary = phase1[ikeSA] {
            (summary.path.local, summary.path.remote) = (path.local, path.remote)
            phase1[ikeSA] = summary
        }
        if let child = currentChildren.last { fitLink(child.suite, path, &desk) }
    }

    private mutating func add(_ summary: IKESummary, _ ikeSA: IKESAID?) {
        let id = ikeSA ?? IKESAID(summary.isInitiator ? summary.initiatorSPI : summary.responderSPI)
        phase1[id] = nil
        phase1[id] = summary
    }

    private mutating func closed(_ ikeSA: IKESAID?, _ failure: Failure, _ desk: inout Desk) {
        if let ikeSA {
            // One that was replaced, or whose attempt has failed already, is no news.
            guard phase1[ikeSA] != nil else { return }
            phase1[ikeSA] = nil
            if suspect == ikeSA { suspect = nil }
        } else {
            phase1 = KeyedList()
        }
        guard phase1.isEmpty else { return }
        dropChildren(&desk)
        if attempt == .closing {
            attempt = .none
            startAttempt(&desk)
        } else {
            down(failure, &desk)
        }
    }

    private mutating func failed(_ ikeSA: IKESAID?, _ failure: Failure, _ desk: inout Desk) {
        // An attempt that we called off ourselves is followed by what we called it off for.
        guard isUp || failure.reason != .requested else { return }
        let mayStillComeUp = !tunnel.furtherPhase2.isEmpty && ikeSA.map { phase1[$0] != nil } == true
        guard isUp || mayStillComeUp else {
            // An IKE SA without a child is deleted by the engine, and counts no more.
            if let ikeSA { phase1[ikeSA] = nil }
            return down(failure, &desk)
        }
        // A rekey, an attempt of the peer beside what stands, or one child of several: with the last one the engine closes
        // the IKE SA, and says so.
        lastError = failure.explanation
        report(failure, &desk)
    }

    /// The tunnel is not up, for this reason: says so and plans what comes next.
    mutating func down(_ failure: Failure, _ desk: inout Desk) {
        desk.timers.remove(.tunnel(key, .loss))
        let wasUp = lostUpSince != nil
        if let lostUpSince, desk.now - lostUpSince >= desk.configuration.stableAfter { failures = 0 }
        note(failure, &desk)
        retry(after: failure, wasUp: wasUp, &desk)
    }

    /// Records why the tunnel is not up and tells it.
    mutating func note(_ failure: Failure, _ desk: inout Desk) {
        lostUpSince = nil
        // That we ended it ourselves explains less than what made us do so.
        let isOurs = failure.reason == .requested || failure.reason == .replaced
        if !isOurs || lastError == nil { lastError = failure.explanation }
        if isAnnounced {
            announceOffline(isOurs ? .info : .warning, failure.explanation, &desk)
        } else if !isOurs {
            report(failure, &desk)
        }
    }

    private mutating func retransmitted(_ ikeSA: IKESAID?, _ exchange: String, _ count: Int, _ desk: inout Desk) {
        retransmits = count
        // First contacts, and what is left of an SA that was replaced, say nothing of the one that carries the traffic.
        guard isUp, !isSuspect, count >= desk.configuration.suspectRetransmits,
            let ikeSA, phase1[ikeSA] != nil
        else { return }
        suspect = ikeSA
        let words = "the peer has left a request (\(exchange)) unanswered, sent \(count + 1) times."
        log(.warning, "peer-silent", words, &desk)
    }

    // MARK: - Announcements

    mutating func announceConnecting(_ desk: inout Desk) {
        guard !isConnectingAnnounced else { return }
        isConnectingAnnounced = true
        let peer = tunnel.phase1.remoteAddress.map { "\($0)" } ?? "the peer"
        log(.info, "tunnel-connecting", "connecting to \(peer).", &desk)
    }

    mutating func announceOnline(_ desk: inout Desk) {
        guard !isAnnounced else { return }
        isAnnounced = true
        let ike = currentPhase1.map { "IKE \($0.suite), " } ?? ""
        let esp = currentChildren.last.map { "ESP \($0.suite)" } ?? "ESP"
        let path = currentChildren.last?.path.isNATPort == true ? " in UDP" : ""
        let trip = roundTrip.map { ", round trip \($0.words)" } ?? ""
        log(.info, "tunnel-online", "online, \(ike)\(esp)\(path)\(trip).", &desk)
    }

    mutating func announceOffline(_ level: GatewayEvent.Level, _ why: String, _ desk: inout Desk) {
        guard isAnnounced else { return }
        isAnnounced = false
        isConnectingAnnounced = false
        log(level, "tunnel-offline", "offline: \(why)", &desk)
    }

    /// The same failure over and over is told once in a while, with a count.
    mutating func report(_ failure: Failure, _ desk: inout Desk) {
        var count = 0
        if let repeated, repeated.explanation == failure.explanation {
            if desk.now - repeated.at < desk.configuration.repeatedFailureInterval {
                self.repeated?.count += 1
                return
            }
            count = repeated.count
        }
        repeated = (failure.explanation, desk.now, 0)
        log(
            .warning, "tunnel-failed",
            failure.explanation + (count > 0 ? " (\(count) more times since this was last reported.)" : ""), &desk)
    }

    var weaknesses: [String] {
        var names: [String] = []
        let all = (currentPhase1?.weaknesses ?? []) + currentChildren.flatMap(\.suite.weaknesses)
        for name in all where !names.contains(name) { names.append(name) }
        return names
    }

    /// Looks at the newest SAs only; older ones have been looked at.
    private mutating func announceWeaknesses(_ desk: inout Desk) {
        var new: [String] = []
        for name in (currentPhase1?.weaknesses ?? []) + (children.last?.sa.suite.weaknesses ?? [])
        where !announcedWeaknesses.contains(name) && !new.contains(name) {
            new.append(name)
        }
        guard !new.isEmpty else { return }
        announcedWeaknesses += new
        log(
            .warning, "weak-algorithms",
            "weak by today's measure: \(new.joined(separator: ", ")). It works; choose stronger ones at both ends "
                + "when you can.", &desk)
    }
}
