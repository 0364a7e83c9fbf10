internal import Base
internal import Cryptography
internal import IKE

/// Keeps one tunnel as its definition wants it: its interface open, its connection known to the engine, its SAs up.
///
/// A tunnel is up while it has an established child to send on. Which of a connector's tunnels carries the traffic is not decided
/// here. Methods write effects and timers on the ``Desk``; ``turn(_:_:)`` settles the state afterwards.
struct TunnelKeeper: Sendable {
    enum LinkState: Hashable, Sendable {
        case none, opening, open
        case failed(String)
    }

    enum Attempt: Hashable, Sendable {
        case none
        /// The next one starts when the timer rings.
        case paused
        case underway
        /// An IKE SA without a child is being deleted; then the next attempt starts.
        case closing
    }

    let key: Int
    let connector: String
    var tunnel: Tunnel
    var initiation: Connector.Initiation
    /// The definition that waits until another tunnel of the connector carries the traffic.
    var pending: Tunnel?

    /// Nil while the tunnel is disabled.
    var interface: String?
    var link = LinkState.none
    var wantedLink: TunnelLink?
    var linkFailures = 0

    /// Nil until the link is open for the first time.
    var connection: ConnectionID?
    var phase1 = KeyedList<IKESAID, IKESummary>()
    var children = ChildList()
    var attempt = Attempt.none
    /// How often children that are missing were asked for in a row.
    var childAttempts = 0
    /// Failed attempts and losses in a row.
    var failures = 0
    /// The peer was silent and its DPD action is `clear`: we do not call again by ourselves.
    var isCleared = false

    var state = TunnelStatus.State.disabled
    var since: Tick
    var upSince: Tick?
    /// Set from the loss of the last child until its reason is known: when the tunnel had come up.
    var lostUpSince: Tick?
    /// What the engine said of that child; the end of the IKE SA may follow and say more.
    var lossReason: Failure?
    /// The engine was asked to add a child to the IKE SA that stands; the next attempt makes a new IKE SA.
    var hasAskedForChild = false
    var healthySince: Tick?
    /// When it stopped being healthy through no wish of ours, within the flap window.
    var flaps: [Tick] = []
    var hasFlapped = false
    /// What we take down on purpose is no flap.
    var isOrderly = false

    var lastError: String?
    /// The log says that it is online.
    var isAnnounced = false
    var isConnectingAnnounced = false
    var announcedWeaknesses: [String] = []
    var repeated: (explanation: String, at: Tick, count: Int)?

    var lastSeen: Tick?
    var roundTrip: Tick.Span?
    var retransmits = 0
    /// The IKE SA on which the peer leaves requests unanswered.
    var suspect: IKESAID?
    var probe = Probe()

    struct Probe: Sendable {
        var isOutstanding = false
        /// The peer has answered once: from then on silence counts.
        var hasAnswered = false
        var lost = 0
        var lastAnswer: Tick?
        var roundTrip: Tick.Span?
    }

    init(key: Int, connector: String, tunnel: Tunnel, initiation: Connector.Initiation, now: Tick) {
        self.key = key
        self.connector = connector
        self.tunnel = tunnel
        self.initiation = initiation
        since = now
    }

    var name: String { tunnel.name }
    var isEnabled: Bool { interface != nil }
    /// Packets can pass.
    var isUp: Bool { link == .open && children.hasCurrent }
    var isHealthy: Bool { state == .online }
    var isSuspect: Bool { suspect != nil }
    var currentPhase1: IKESummary? { phase1.last }
    var currentChildren: [ChildSA] { children.current }

    func isProbeFailing(_ configuration: SupervisorConfiguration) -> Bool {
        probe.hasAnswered && probe.lost >= configuration.probesLostLimit
    }

    /// The peer leaves requests unanswered, and nothing has come through the tunnel lately: one lost request on a poor
    /// line does not move the traffic.
    func isDeaf(_ now: Tick, _ configuration: SupervisorConfiguration) -> Bool {
        guard isSuspect else { return false }
        return probe.lastAnswer.map { now - $0 > configuration.probeInterval * 2 } ?? true
    }

    private func settledState(_ now: Tick, _ configuration: SupervisorConfiguration) -> TunnelStatus.State {
        guard isEnabled else { return .disabled }
        if isUp {
            let isWhole = !isDeaf(now, configuration) && !isProbeFailing(configuration) && missingPhase2.isEmpty
            return isWhole ? .online : .degraded
        }
        return attempt == .underway || attempt == .closing || !phase1.isEmpty ? .connecting : .offline
    }

    /// Handles something and settles the state. True when the state changed.
    mutating func turn(_ desk: inout Desk, _ body: (inout TunnelKeeper, inout Desk) -> Void) -> Bool {
        body(&self, &desk)
        watchChildren(&desk)
        return refresh(&desk)
    }

    /// Brings the state in line with what is known. True when it changed.
    private mutating func refresh(_ desk: inout Desk) -> Bool {
        let settled = settledState(desk.now, desk.configuration)
        defer { isOrderly = false }
        guard settled != state else { return false }
        if state == .online, !isOrderly {
            flaps.removeAll { desk.now - $0 > desk.configuration.flapWindow }
            if flaps.count < 32 { flaps.append(desk.now) }
            hasFlapped = true
        }
        state = settled
        since = desk.now
        healthySince = settled == .online ? desk.now : nil
        if isUp { announceOnline(&desk) }
        return true
    }

    /// How long it must be healthy before it gets its traffic back: not at all unless it has failed before, then twice
    /// as long with every failure within the window.
    func holdTime(_ now: Tick, _ configuration: SupervisorConfiguration) -> Tick.Span {
        guard hasFlapped else { return .zero }
        let recent = flaps.count { now - $0 <= configuration.flapWindow }
        return min(configuration.longestHoldTime, configuration.holdTime * (1 << min(16, max(0, recent - 1))))
    }

    // MARK: - Interface

    /// - Parameter earlier: what an earlier process had of this tunnel; it goes on if the terms are the same.
    mutating func enable(interface: String, resuming earlier: ResumedTunnel? = nil, _ desk: inout Desk) {
        self.interface = interface
        linkFailures = 0
        failures = 0
        isCleared = false
        isConnectingAnnounced = false
        lastError = nil
        repeated = nil
        if let earlier { resume(earlier, &desk) }
        openLink(&desk)
    }

    mutating func openLink(_ desk: inout Desk) {
        guard let interface else { return }
        // SAs of an earlier process have their suite already.
        let current = link == .none ? currentChildren.last : nil
        let wanted =
            current.map {
                tunnel.link(
                    interface: interface, suite: $0.suite, isUDPEncapsulated: $0.path.isNATPort,
                    outsideFamily: $0.path.remote.address.family)
            } ?? tunnel.link(interface: interface)
        wantedLink = wanted
        link = .opening
        desk.timers.remove(.tunnel(key, .link))
        desk.effects.append(.openLink(wanted))
    }

    mutating func linkOpened(_ desk: inout Desk) {
        guard isEnabled else { return }
        link = .open
        linkFailures = 0
        if connection == nil { configure(&desk) }
        if isUp { scheduleProbe(.milliseconds(500), &desk) }
        if attempt == .none, !isCleared { startAttempt(&desk) }
    }

    mutating func linkFailed(_ reason: String, _ desk: inout Desk) {
        guard let interface else { return }
        if link == .open { desk.effects.append(.closeLink(interface: interface)) }
        link = .failed(reason)
        forgetConnection(&desk)
        setAttempt(.none, nil, &desk)
        let failure = Failure(
            .dataPathRefused,
            "The interface \(interface) is not there: \(reason). It is opened again; see `gatehouse doctor`.")
        let wasUp = lostUpSince != nil
        note(failure, &desk)
        let pause = wasUp && linkFailures == 0 ? Tick.Span.zero : self.pause(after: failure, count: linkFailures, &desk)
        linkFailures += 1
        desk.timers.set(.tunnel(key, .link), desk.now + pause)
    }

    /// The link's size follows the suite that was negotiated and the path.
    mutating func fitLink(_ suite: ESPSuite, _ path: Path, _ desk: inout Desk) {
        guard let interface, link == .open else { return }
        let fitting = tunnel.link(
            interface: interface, suite: suite, isUDPEncapsulated: path.isNATPort,
            outsideFamily: path.remote.address.family)
        guard fitting != wantedLink else { return }
        wantedLink = fitting
        desk.effects.append(.openLink(fitting))
    }

    /// Takes everything away, in an orderly way.
    mutating func disable(_ why: String, _ desk: inout Desk) {
        guard let interface else { return }
        withdraw(why, &desk)
        for timer in TunnelTimer.allCases { desk.timers.remove(.tunnel(key, timer)) }
        desk.effects.append(.closeLink(interface: interface))
        self.interface = nil
        link = .none
        wantedLink = nil
        pending = nil
        lastError = nil
        flaps = []
        hasFlapped = false
    }

    /// Deletes the SAs at the peer and forgets them.
    mutating func withdraw(_ why: String, _ desk: inout Desk) {
        isOrderly = true
        forgetConnection(&desk)
        lostUpSince = nil
        setAttempt(.none, nil, &desk)
        announceOffline(.info, why, &desk)
    }

    /// The gateway stops: the SAs are being deleted, and nothing follows.
    mutating func leave(_ desk: inout Desk) {
        isOrderly = true
        dropChildren(&desk)
        lostUpSince = nil
        initiation = .respond
        setAttempt(.none, nil, &desk)
        announceOffline(.info, "the gateway stops", &desk)
    }

    // MARK: - Definition

    /// Takes a new definition whose SAs are those of the old one.
    mutating func adopt(_ wanted: Tunnel, _ desk: inout Desk) {
        let before = tunnel
        tunnel = wanted
        if let connection {
            let terms = wanted.connectionConfiguration(desk.configuration)
            if terms != before.connectionConfiguration(desk.configuration) {
                desk.effects.append(.ike(.configure(connection, terms)))
            }
        }
        guard before.inside != wanted.inside, let interface else { return }
        probe = Probe()
        desk.timers.remove(.tunnel(key, .probe))
        scheduleProbe(.milliseconds(500), &desk)
        if let child = children.last?.sa {
            fitLink(child.suite, child.path, &desk)
        } else if link == .open {
            let link = wanted.link(interface: interface)
            wantedLink = link
            desk.effects.append(.openLink(link))
        } else {
            openLink(&desk)
        }
    }

    /// Takes a new definition that needs new SAs.
    mutating func replace(with wanted: Tunnel, _ desk: inout Desk) {
        pending = nil
        desk.timers.remove(.tunnel(key, .replacement))
        withdraw("its definition has changed", &desk)
        if tunnel.inside != wanted.inside { probe = Probe() }
        tunnel = wanted
        failures = 0
        isCleared = false
        isConnectingAnnounced = false
        lastError = nil
        repeated = nil
        openLink(&desk)
    }

    private mutating func configure(_ desk: inout Desk) {
        let id = desk.newConnection(of: key)
        connection = id
        desk.effects.append(.ike(.configure(id, tunnel.connectionConfiguration(desk.configuration))))
    }

    /// The engine deletes the SAs; the next ones come under another connection, so that nothing late is mistaken.
    private mutating func forgetConnection(_ desk: inout Desk) {
        phase1 = KeyedList()
        dropChildren(&desk)
        guard let connection else { return }
        desk.owners[connection] = nil
        self.connection = nil
        desk.effects.append(.ike(.remove(connection)))
    }

    // MARK: - Attempts

    mutating func setAttempt(_ attempt: Attempt, _ timer: Tick.Span?, _ desk: inout Desk) {
        self.attempt = attempt
        if let timer {
            desk.timers.set(.tunnel(key, .attempt), desk.now + timer)
        } else {
            desk.timers.remove(.tunnel(key, .attempt))
        }
    }

    /// Brings the tunnel up, unless it is, or the peer is the one to do so.
    mutating func startAttempt(_ desk: inout Desk) {
        guard isEnabled, initiation == .initiate, link == .open, !isUp, let connection else { return }
        if phase1.isEmpty {
            setAttempt(.underway, desk.configuration.connectTimeout * 2 + .seconds(10), &desk)
            hasAskedForChild = false
            announceConnecting(&desk)
            desk.effects.append(.ike(.initiate(connection)))
        } else if !hasAskedForChild {
            // The IKE SA stands, so a child on it is the shortest way.
            setAttempt(.underway, Self.childPatience, &desk)
            hasAskedForChild = true
            desk.effects.append(.ike(.initiate(connection)))
        } else {
            deleteStandingSA(connection, &desk)
        }
    }

    /// How long a child may take to follow its IKE SA.
    static let childPatience = Tick.Span.seconds(20)

    /// The next attempt starts when the peer has acknowledged, or the engine has given up on that.
    private mutating func deleteStandingSA(_ connection: ConnectionID, _ desk: inout Desk) {
        setAttempt(.closing, .seconds(7), &desk)
        desk.effects.append(.ike(.terminate(connection)))
    }

    /// Deletes the SAs and brings the tunnel up anew.
    mutating func restart(_ desk: inout Desk) {
        guard isEnabled else { return }
        isOrderly = true
        failures = 0
        isCleared = false
        repeated = nil
        if case .failed = link {
            linkFailures = 0
            openLink(&desk)
            return
        }
        guard link == .open, let connection else { return }
        dropChildren(&desk)
        lostUpSince = nil
        announceOffline(.info, "it is restarted on request", &desk)
        if initiation == .initiate, !phase1.isEmpty {
            deleteStandingSA(connection, &desk)
        } else {
            desk.effects.append(.ike(.terminate(connection)))
            startAttempt(&desk)
        }
    }

    /// Plans the next attempt after a failure, or starts it at once after the first loss of a tunnel that stood.
    mutating func retry(after failure: Failure, wasUp: Bool, _ desk: inout Desk) {
        guard isEnabled, initiation == .initiate, link == .open, attempt != .paused, attempt != .closing else { return }
        if wasUp, failure.reason == .silence, tunnel.phase1.dpd.action == .clear {
            isCleared = true
            setAttempt(.none, nil, &desk)
            return
        }
        let isFirst = failures == 0
        let pause = self.pause(after: failure, count: failures, &desk)
        failures += 1
        let isWorthTryingAtOnce: Bool =
            switch failure.reason {
            case .deletedByPeer, .silence, .lifetimeExpired, .peerRestarted, .addressChanged: true
            default: false
            }
        if isFirst, wasUp, isWorthTryingAtOnce {
            startAttempt(&desk)
        } else {
            setAttempt(.paused, pause, &desk)
        }
    }

    private func pause(after failure: Failure, count: Int, _ desk: inout Desk) -> Tick.Span {
        let configuration = desk.configuration
        let first =
            failure.reason == .authenticationFailed ? configuration.firstPauseAfterRefusal : configuration.firstPause
        let pause = min(configuration.longestPause, first * (1 << min(16, count)))
        return desk.jittered(pause, percent: configuration.pauseJitterPercent)
    }

    // MARK: - Timers

    mutating func rang(_ timer: TunnelTimer, _ desk: inout Desk) {
        switch timer {
        case .attempt: attemptTimerRang(&desk)
        case .link: if link != .open, link != .opening { openLink(&desk) }
        case .probe: sendProbe(&desk)
        case .children: askForChildren(&desk)
        case .loss:
            guard lostUpSince != nil else { return }
            down(lossReason ?? Failure(.deletedByPeer, "The child SA is gone."), &desk)
        case .replacement: if let pending { replace(with: pending, &desk) }
        }
    }

    private mutating func attemptTimerRang(_ desk: inout Desk) {
        guard !isUp else { return setAttempt(.none, nil, &desk) }
        switch attempt {
        case .none: return
        case .paused:
            attempt = .none
            startAttempt(&desk)
        case .underway where !phase1.isEmpty:
            note(Failure(.temporaryFailure, "The IKE SA stands, but no child SA came of it."), &desk)
            hasAskedForChild = true
            startAttempt(&desk)
        case .underway, .closing:
            // The engine owes an outcome. A fresh connection is sure to give one.
            forgetConnection(&desk)
            lostUpSince = nil
            configure(&desk)
            startAttempt(&desk)
        }
    }

    mutating func scheduleProbe(_ span: Tick.Span, _ desk: inout Desk) {
        guard isUp, tunnel.probeAddresses != nil else { return }
        desk.timers.set(.tunnel(key, .probe), desk.now + span)
    }

    private mutating func sendProbe(_ desk: inout Desk) {
        guard isUp, let interface, let (from, to) = tunnel.probeAddresses else { return }
        if probe.isOutstanding {
            probe.lost += 1
            if probe.hasAnswered, probe.lost == desk.configuration.probesLostLimit {
                log(.warning, "probe-lost", "\(to) has not answered \(probe.lost) probes in a row.", &desk)
            }
        }
        probe.isOutstanding = true
        desk.effects.append(.probe(tunnel: name, interface: interface, from: from, to: to))
        scheduleProbe(desk.jittered(desk.configuration.probeInterval, percent: 10), &desk)
    }

    mutating func probeAnswered(_ roundTrip: Tick.Span, _ desk: inout Desk) {
        guard isUp else { return }
        if isProbeFailing(desk.configuration), let to = tunnel.probeAddresses?.to {
            log(.info, "probe-answers", "\(to) answers again, after \(roundTrip.words).", &desk)
        }
        probe.isOutstanding = false
        probe.hasAnswered = true
        probe.lost = 0
        probe.lastAnswer = desk.now
        probe.roundTrip = roundTrip
    }

    // MARK: - Words

    func log(_ level: GatewayEvent.Level, _ kind: String, _ message: String, _ desk: inout Desk) {
        desk.log(level, kind, connector: connector, tunnel: name, "\(name): \(message)")
    }
}
