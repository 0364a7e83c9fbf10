public import Base

/// When which call of a connection is made next.
public struct PollPlan: Sendable {
    public enum Job: Hashable, Sendable {
        /// Everything that the first call lists.
        case listing
        /// What has changed in it.
        case changes
        /// Another call that lists.
        case call(String)
        /// Calls for single endpoints.
        case endpoints(String)
        /// When our key ends, by whoever says so.
        case keyEnd
    }

    public enum Outcome: Hashable, Sendable {
        case done
        /// May be better soon.
        case failed
        /// Somebody must do something: asked again once an hour at most.
        case needsAttention
    }

    private struct Entry {
        var every: Tick.Span
        var due: Tick
        var failures = 0
    }

    private var entries: [Job: Entry] = [:]
    /// All jobs, the listing first.
    public let jobs: [Job]

    static let firstRetry = Tick.Span.seconds(30)
    static let longestRetry = Tick.Span.seconds(600)
    static let attention = Tick.Span.seconds(3600)

    /// - Parameter now: everything is due, first what lists the endpoints.
    public init(_ connection: EndpointConnection, _ profile: EndpointProfile, now: Tick) {
        var order: [Job] = [.listing]
        let listing = profile.listing
        func span(_ seconds: Int) -> Tick.Span { .seconds(seconds) }
        if let changes = listing.changes {
            let every = connection.refreshSeconds ?? changes.every
            entries[.listing] = Entry(every: span(max(listing.every, every)), due: now)
            entries[.changes] = Entry(every: span(every), due: now + span(every))
            order.append(.changes)
        } else {
            entries[.listing] = Entry(every: span(connection.refreshSeconds ?? listing.every), due: now)
        }
        // What is asked of each endpoint takes long: all else goes first.
        for call in profile.calls.dropFirst().sorted(by: { !$0.isPerEndpoint && $1.isPerEndpoint }) {
            let job: Job = call.isPerEndpoint ? .endpoints(call.name) : .call(call.name)
            let usual = call.isPerEndpoint ? call.watchedEvery ?? call.every : call.every
            entries[job] = Entry(every: span(min(usual, connection.refreshSeconds ?? usual)), due: now)
            order.append(job)
        }
        // What the administrator or the key itself says of the end is looked at, too: somebody must warn of it.
        if profile.keyEnd != nil || connection.keyEndsAt != nil || KeyLife.end(statedBy: connection) != nil {
            entries[.keyEnd] = Entry(every: span(6 * 3600), due: now)
            order.append(.keyEnd)
        }
        jobs = order
    }

    /// The job that is due first; of several, the listing goes before what depends on it.
    public var next: (job: Job, at: Tick) {
        var next: (job: Job, at: Tick) = (.listing, entries[.listing]?.due ?? .zero)
        for job in jobs { if let entry = entries[job], entry.due < next.at { next = (job, entry.due) } }
        return next
    }

    /// Whether a job that is not one of those for single endpoints is due.
    public func isListingDue(now: Tick) -> Bool {
        entries.contains { job, entry in
            if case .endpoints = job { false } else { entry.due <= now }
        }
    }

    /// A job is over.
    ///
    /// - Parameter random: even over all values; spreads the calls of many gateways.
    public mutating func finish(_ job: Job, _ outcome: Outcome, now: Tick, random: UInt64) {
        guard var entry = entries[job] else { return }
        let pause: Tick.Span
        switch outcome {
        case .done:
            entry.failures = 0
            pause = entry.every
        case .failed:
            let doubled = Tick.Span(nanoseconds: Self.firstRetry.nanoseconds << Int64(min(entry.failures, 5)))
            entry.failures += 1
            pause = min(doubled, Self.longestRetry, max(entry.every, Self.firstRetry))
        case .needsAttention:
            entry.failures += 1
            pause = max(Self.attention, entry.every)
        }
        // Up to a tenth earlier.
        let early = (UInt64(pause.nanoseconds) / 10).multipliedFullWidth(by: random).high
        entry.due = now + pause - Tick.Span(nanoseconds: Int64(early))
        entries[job] = entry
        // A whole listing has all changes in it.
        if job == .listing, outcome == .done, let changes = entries[.changes] {
            entries[.changes]?.due = max(changes.due, now + changes.every)
        }
    }

    /// Brings a job forward: single endpoints that are looked at closely now, say.
    public mutating func hurry(_ job: Job, to tick: Tick) {
        guard let entry = entries[job], entry.failures == 0, tick < entry.due else { return }
        entries[job]?.due = tick
    }

    /// Everything is due: somebody asked for it, or changed the connection.
    public mutating func hurryAll(now: Tick) {
        for job in jobs { entries[job]?.due = now }
    }
}

/// Calls that may be made in a span of time: tokens in a bucket.
public struct Pace: Sendable {
    private let interval: Tick.Span
    private let burst: Tick.Span
    /// When the next call would be due if all were evenly spread.
    private var next: Tick

    public init(calls: Int, seconds: Int, now: Tick) {
        interval = Tick.Span(nanoseconds: Tick.Span.seconds(seconds).nanoseconds / Int64(max(1, calls)))
        burst = Tick.Span.seconds(seconds) - interval
        next = now - burst
    }

    /// Takes a place for a call that can wait.
    ///
    /// - Returns: how long it must.
    public mutating func take(now: Tick) -> Tick.Span {
        let at = max(next, now - burst)
        next = at + interval
        return max(.zero, at - now)
    }

    /// How long a call that can wait would have to.
    public func left(now: Tick) -> Tick.Span { max(.zero, max(next, now - burst) - now) }

    /// Takes a place for a call that somebody waits for: it goes at once, and the others wait for it.
    public mutating func takeAtOnce(now: Tick) { next = max(next, now - burst) + interval }
}
