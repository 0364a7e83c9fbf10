import Base

/// Requests with their retransmission, answers with their cache (RFC 7296 §2.1 to §2.4).
extension Engine {
    /// Encrypts and sends a request of ours. The window must be free.
    mutating func request(
        _ sa: inout IKESA, _ exchange: ExchangeType, timeout: Tick.Span, capacity: Int = 256,
        _ build: (inout MessageWriter) -> Void
    ) {
        let messageID = sa.nextRequestID
        guard
            let bytes = sa.seal(
                exchange, messageID: messageID, isResponse: false, random: &random, capacity: capacity, build)
        else {
            let words = "Our \(exchange.name) request could not be encrypted, or is too large for its fragments."
            if case .authSent = sa.state { return failAttempt(&sa, Failure(.protocolError, words)) }
            return notice(words, sa)
        }
        send(&sa, exchange, messageID, bytes, giveUpAt: now + timeout)
    }

    /// Sends a request that is ready, and again until it is answered.
    mutating func send(
        _ sa: inout IKESA, _ exchange: ExchangeType, _ messageID: UInt32, _ bytes: [UInt8], giveUpAt: Tick
    ) {
        sa.nextRequestID = messageID &+ 1
        let interval = configuration.retransmissionBase
        sa.request = Request(
            messageID: messageID, exchange: exchange, bytes: bytes, firstSent: now, nextSend: now + interval,
            giveUpAt: giveUpAt, interval: interval)
        transmit(bytes, sa.path)
        touchKeepalive(&sa)
    }

    /// A large request that has been sent this many times more in vain is cut smaller.
    private static let retransmissionsBeforeSmaller = 2

    mutating func retransmit(_ sa: inout IKESA) {
        guard var request = sa.request else { return }
        request.retransmissions += 1
        let grown = request.interval.nanoseconds / 100 * Int64(configuration.retransmissionGrowthPercent)
        request.interval = Tick.Span(nanoseconds: min(grown, configuration.retransmissionLimit.nanoseconds))
        request.nextSend = now + request.interval
        if request.retransmissions == Self.retransmissionsBeforeSmaller { cutSmaller(&sa, &request) }
        sa.request = request
        transmit(request.bytes, sa.path)
        touchKeepalive(&sa)
        emit(.retransmitted(exchange: request.exchange.name, attempt: request.retransmissions), sa)
    }

    /// The outstanding request has been answered.
    mutating func finishRequest(_ sa: inout IKESA) {
        guard let request = sa.request else { return }
        sa.request = nil
        emit(.answered(roundTrip: now - request.firstSent, retransmits: request.retransmissions), sa)
    }

    /// Encrypts, keeps and sends an answer.
    mutating func answer(
        _ sa: inout IKESA, _ exchange: ExchangeType, _ messageID: UInt32, _ path: Path, capacity: Int = 256,
        _ build: (inout MessageWriter) -> Void
    ) {
        guard
            let bytes = sa.seal(
                exchange, messageID: messageID, isResponse: true, random: &random, capacity: capacity, build)
        else {
            notice("an \(exchange.name) answer could not be encrypted", sa)
            return
        }
        if sa.lastAnswer?.messageID == messageID { sa.lastAnswer?.bytes = bytes }
        transmit(bytes, path)
        touchKeepalive(&sa)
    }

    /// Anything that we send keeps the NAT's mapping as well as a keep-alive does.
    mutating func touchKeepalive(_ sa: inout IKESA) {
        guard sa.nat.isBehindNAT, sa.path.isNATPort, let configuration = configuration(of: sa),
            configuration.natKeepalive > .zero
        else { return }
        sa.nextKeepalive = now + configuration.natKeepalive
    }

    // MARK: - Silence

    /// Nobody answered in time.
    mutating func requestTimedOut(_ sa: inout IKESA) {
        let request = sa.request
        sa.request = nil
        switch sa.state {
        case .initSent(let sent): failAttempt(&sa, sent.likelyFailure ?? silence(sa, request))
        case .authSent(let sent): failAttempt(&sa, sent.likelyFailure ?? silence(sa, request))
        case .deleting: finishDeletion(&sa)
        case .established, .rekeyed, .halfOpen, .closed:
            let failure = sa.isEstablished ? silence(sa, request) : nil
            discard(&sa, failure)
        }
    }

    /// Ends an SA here without a word to the peer.
    mutating func discard(_ sa: inout IKESA, _ failure: Failure?) {
        removeAllChildren(&sa, failure)
        if let failure { emit(.ikeClosed(failure), sa) }
        sa.isGone = true
    }

    /// Ends an attempt to connect.
    mutating func failAttempt(_ sa: inout IKESA, _ failure: Failure) {
        emit(.failed(failure), sa)
        sa.isGone = true
    }

    /// An error that anyone could have sent: likely, but not certain.
    mutating func rememberUnauthenticated(_ notify: Notify, _ sa: inout IKESA, _ path: Path) {
        guard let request = sa.request else { return }
        switch sa.state {
        case .initSent(var sent):
            if sent.likelyFailure == nil { shortenAttempt(&sa, request) }
            sent.likelyFailure = initRefused(sa, sent, notify)
            sa.state = .initSent(sent)
        case .authSent(var sent):
            sent.likelyFailure = authRefusedInClear(sa, notify)
            sa.state = .authSent(sent)
        default:
            notice("\(path.remote) answered \(request.exchange.name) with an unprotected \(notify.type.name)", sa)
        }
    }

    /// Gives the true answer, if the error was forged, a little time to arrive.
    private mutating func shortenAttempt(_ sa: inout IKESA, _ request: Request) {
        sa.request?.giveUpAt = min(request.giveUpAt, now + configuration.unauthenticatedErrorDelay)
    }
}
