public import Base

/// Leaves a host alone that fails again and again: closed, open, and half open with one probe.
public struct CircuitBreaker: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// Calls go out.
        case closed
        /// None does before that time.
        case open(until: Tick)
        /// One is on its way, and decides; another may follow when it has not come back by then.
        case halfOpen(until: Tick)
    }

    /// Failures in a row that open it.
    static let limit = 5
    /// Of the last ``window`` calls, this many failures open it too.
    static let window = 20
    static let windowLimit = 10
    static let shortestPause = Tick.Span.seconds(30)
    static let longestPause = Tick.Span.seconds(600)
    /// How long a probe may take before another is let out.
    static let probeTime = Tick.Span.seconds(120)

    public private(set) var state = State.closed
    public private(set) var since: Tick
    /// Of the last calls, newest last: whether each failed.
    private var recent: [Bool] = []
    private var inARow = 0
    /// Openings without a success in between.
    private var openings = 0

    public init(now: Tick) { since = now }

    /// Asks to send a call: nil when it may go, else the time that is left.
    public mutating func ask(now: Tick) -> Tick.Span? {
        switch state {
        case .closed: return nil
        case .open(let until), .halfOpen(let until):
            guard now >= until else { return until - now }
            enter(.halfOpen(until: now + Self.probeTime), now)
            return nil
        }
    }

    /// A call came back. An answer that only asks for patience (429) is no failure.
    ///
    /// - Parameter random: even over all values; spreads the end of the pause.
    public mutating func note(isFailure: Bool, now: Tick, random: UInt64) {
        recent.append(isFailure)
        if recent.count > Self.window { recent.removeFirst() }
        guard isFailure else {
            inARow = 0
            openings = 0
            if state != .closed { close(now) }
            return
        }
        inARow += 1
        switch state {
        case .open: return
        case .halfOpen: break
        case .closed:
            let isShaky = recent.count == Self.window && recent.count(where: { $0 }) >= Self.windowLimit
            guard inARow >= Self.limit || isShaky else { return }
        }
        let doubled = Tick.Span(nanoseconds: Self.shortestPause.nanoseconds << Int64(min(openings, 10)))
        let pause = min(doubled, Self.longestPause)
        openings += 1
        // Up to a fifth longer: many gateways lose the same host at the same instant.
        let extra = RetrySchedule.part(of: Tick.Span(nanoseconds: pause.nanoseconds / 5), random)
        enter(.open(until: now + pause + extra), now)
    }

    /// A call that was allowed ended without saying anything about the host.
    public mutating func forget(now: Tick) {
        if case .halfOpen = state { enter(.open(until: now), now) }
    }

    private mutating func close(_ now: Tick) {
        recent = []
        enter(.closed, now)
    }

    private mutating func enter(_ next: State, _ now: Tick) {
        state = next
        since = now
    }
}
