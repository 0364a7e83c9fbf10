import Base

/// When an SA wants to be woken, and what it then does. Every timer that fires is moved or cleared by what it does.
extension Engine {
    func nextTimer(of sa: IKESA) -> (tick: Tick, timer: Timer)? {
        var earliest: (tick: Tick, timer: Timer)?
        func consider(_ tick: Tick, _ timer: Timer) {
            if tick < earliest?.tick ?? .distantFuture { earliest = (tick, timer) }
        }
        if let request = sa.request {
            consider(request.giveUpAt, .giveUp)
            consider(request.nextSend, .retransmit)
        }
        if let due = sa.reassemblies.lazy.map(\.expiresAt).min() { consider(due, .dropFragments) }
        switch sa.state {
        case .initSent, .authSent: break
        case .halfOpen(let halfOpen): consider(halfOpen.expiresAt, .halfOpenTimeout)
        case .rekeyed(let closeAt): consider(closeAt, .rekeyedTimeout)
        case .deleting(_, let closeAt): consider(closeAt, .closeTimeout)
        case .closed(let forgetAt, _): consider(forgetAt, .forgetClosed)
        case .established:
            consider(sa.expiresAt, .expireIKE)
            // A provisional SA waits for the end of the collision that made it, and does nothing by itself.
            guard !sa.isProvisional else { break }
            consider(sa.rekeyAt, .rekeyIKE)
            consider(sa.nextKeepalive, .keepalive)
            consider(sa.duplicateCheckAt, .duplicateCheck)
            if let due = livenessDue(sa) { consider(due, .liveness) }
        }
        for child in sa.children {
            switch child.state {
            case .lingering(let until): consider(until, .removeLingering)
            case .installing: consider(child.expiresAt, .expireChild)
            case .installed:
                consider(child.expiresAt, .expireChild)
                if sa.isEstablished {
                    consider(
                        child.redundantUntil ?? child.rekeyAt,
                        child.redundantUntil == nil ? .rekeyChild : .deleteRedundant)
                }
            case .replaced: consider(min(child.expiresAt, child.replacedUntil ?? .distantFuture), .deleteRedundant)
            case .deleting: consider(child.expiresAt, .expireChild)
            }
        }
        return earliest
    }

    /// When the peer's silence has lasted long enough to ask; nil while a request asks already.
    private func livenessDue(_ sa: IKESA) -> Tick? {
        guard sa.request == nil, let configuration = configuration(of: sa), configuration.dpdDelay > .zero else {
            return nil
        }
        return sa.lastInbound + configuration.dpdDelay
    }

    mutating func fireTimers(_ sa: inout IKESA) {
        dropFragments(&sa, dueBy: now)
        if let request = sa.request {
            if request.giveUpAt <= now { return requestTimedOut(&sa) }
            if request.nextSend <= now { retransmit(&sa) }
        }
        fireChildTimers(&sa)
        switch sa.state {
        case .initSent, .authSent: break
        case .halfOpen(let halfOpen): if halfOpen.expiresAt <= now { halfOpenTimedOut(&sa, halfOpen) }
        case .rekeyed(let closeAt): if closeAt <= now { discard(&sa, nil) }
        case .deleting(_, let closeAt): if closeAt <= now { finishDeletion(&sa) }
        case .closed(let forgetAt, _): if forgetAt <= now { sa.isGone = true }
        case .established: fireEstablishedTimers(&sa)
        }
    }

    private mutating func fireEstablishedTimers(_ sa: inout IKESA) {
        if sa.expiresAt <= now {
            return beginDeletion(
                &sa, Failure(.lifetimeExpired, "The IKE SA's lifetime ended before a rekey succeeded."))
        }
        guard !sa.isProvisional else { return }
        if sa.rekeyAt <= now {
            sa.rekeyAt = .distantFuture
            plan(.rekeyIKE, &sa)
        }
        if sa.nextKeepalive <= now {
            add(.send([0xFF], sa.path))
            sa.nextKeepalive = .distantFuture
            touchKeepalive(&sa)
        }
        if sa.duplicateCheckAt <= now { checkDuplicates(of: &sa) }
        if let due = livenessDue(sa), due <= now { plan(.liveness(isForced: false), &sa) }
    }

    private mutating func fireChildTimers(_ sa: inout IKESA) {
        for spiIn in sa.children.map(\.spiIn) {
            guard let index = sa.childIndex(spiIn) else { continue }
            let child = sa.children[index]
            if case .lingering(let until) = child.state {
                if until <= now { removeChild(&sa, spiIn, nil) }
                continue
            }
            let isForgotten = child.state == .replaced && child.replacedUntil ?? .distantFuture <= now
            if child.expiresAt <= now || isForgotten {
                childExpired(&sa, child, "The child SA's lifetime ended before a rekey succeeded.")
            } else if child.state == .installed, sa.isEstablished {
                if let until = child.redundantUntil {
                    if until <= now { deleteChild(&sa, spiIn) }
                } else if child.rekeyAt <= now {
                    sa.children[index].rekeyAt = .distantFuture
                    plan(.rekeyChild(spiIn), &sa)
                }
            }
        }
    }

    /// The data path lets nothing through any more.
    mutating func childSpent(_ sa: inout IKESA, _ spiIn: UInt32) {
        guard let index = sa.childIndex(spiIn) else { return }
        if sa.children[index].isLingering { return removeChild(&sa, spiIn, nil) }
        let words = "The child SA had carried all that it may before a rekey succeeded."
        childExpired(&sa, sa.children[index], words)
    }

    /// RFC 7296 §2.8: an SA is never used beyond its lifetime.
    private mutating func childExpired(_ sa: inout IKESA, _ child: Child, _ words: String) {
        let successor = successor(sa, of: child.spiIn)
        // A rekey that has got as far as a new child is told of as what it is: traffic goes on.
        if let successor { childReplacedByPeer(&sa, old: child.spiIn, by: successor.spiIn) }
        let isLost = child.isLive && successor == nil
        removeChild(&sa, child.spiIn, isLost ? Failure(.lifetimeExpired, words) : nil)
        if let successor { useOutbound(&sa, successor.spiIn) }
        if sa.isEstablished, !child.isLingering { plan(.deleteChild(child.spiIn), &sa) }
    }
}
