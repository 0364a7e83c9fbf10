public import Base

/// What is known of the hosts that are called: who is to be left alone, for how long, and how calls went.
public struct HostLedger: Sendable {
    /// Hosts that are remembered; the one longest unused goes first.
    static let limit = 256
    /// Retries that a host gets in a minute whatever it is asked, and beyond that a tenth of its calls.
    static let freeRetries = 10

    /// Counts since the start, for one host.
    public struct Tally: Hashable, Sendable {
        public var calls: UInt64 = 0
        public var retries: UInt64 = 0
        /// Answers by the first digit of their status.
        public var answers: [Int: UInt64] = [:]
        public var failures: UInt64 = 0
        /// Calls that were not made, because of the circuit or a pause.
        public var withheld: UInt64 = 0
        public var bytes: UInt64 = 0
        /// Time in calls, all together.
        public var time = Tick.Span.zero

        public init() {}
    }

    /// One host as it stands.
    public struct Report: Hashable, Sendable {
        /// Host and port.
        public var host: String
        public var tally: Tally
        public var circuit: CircuitBreaker.State
        public var since: Tick
        public var lastFailure: String?
    }

    private struct Entry {
        var breaker: CircuitBreaker
        var tally = Tally()
        /// The host asked for a pause until then.
        var notBefore: Tick?
        var lastUse: Tick
        var lastFailure: String?
        var minute: Tick
        var callsInMinute = 0
        var retriesInMinute = 0
    }

    private var entries: [String: Entry] = [:]

    public init() {}

    /// All hosts by name.
    public var reports: [Report] {
        entries.sorted { $0.key < $1.key }.map {
            Report(
                host: $0.key, tally: $0.value.tally, circuit: $0.value.breaker.state, since: $0.value.breaker.since,
                lastFailure: $0.value.lastFailure)
        }
    }

    /// Asks to call a host. Throws where it is to be left alone; a pause that the host asked for binds every call.
    public mutating func ask(
        _ host: String, isRetry: Bool, now: Tick
    ) throws(Refusal) {
        var entry = entries[host] ?? Entry(breaker: CircuitBreaker(now: now), lastUse: now, minute: now)
        defer { keep(entry, host) }
        entry.lastUse = now
        if now - entry.minute >= .seconds(60) {
            entry.minute = now
            (entry.callsInMinute, entry.retriesInMinute) = (0, 0)
        }
        if let notBefore = entry.notBefore, notBefore > now {
            entry.tally.withheld += 1
            throw .pause(notBefore - now)
        }
        if isRetry, entry.retriesInMinute >= max(Self.freeRetries, entry.callsInMinute / 10) {
            entry.tally.withheld += 1
            throw .tooManyRetries
        }
        if let left = entry.breaker.ask(now: now) {
            entry.tally.withheld += 1
            throw .circuit(left)
        }
        entry.callsInMinute += 1
        entry.tally.calls += 1
        if isRetry {
            entry.retriesInMinute += 1
            entry.tally.retries += 1
        }
    }

    /// Why a host is not called now.
    public enum Refusal: Error, Hashable, Sendable {
        /// It asked for a pause.
        case pause(Tick.Span)
        /// It failed too often.
        case circuit(Tick.Span)
        /// The retries of this minute are used up: a storm helps no one.
        case tooManyRetries
    }

    public mutating func answered(
        _ host: String, status: Int, bytes: Int, took: Tick.Span, pause: Tick.Span?, now: Tick, random: UInt64
    ) {
        guard var entry = entries[host] else { return }
        entry.tally.answers[status / 100, default: 0] += 1
        entry.tally.bytes += UInt64(bytes)
        entry.tally.time = entry.tally.time + took
        if status == 429 || status == 503, let pause { entry.notBefore = now + pause }
        // A 429 says that the host is well and we are too eager.
        let isFailure = status != 429 && RetrySchedule.isTransient(.answered(status: status, pause: nil))
        if isFailure { entry.lastFailure = "HTTP status \(status)" }
        entry.breaker.note(isFailure: isFailure, now: now, random: random)
        entries[host] = entry
    }

    public mutating func failed(_ host: String, _ failure: HTTPFailure, took: Tick.Span, now: Tick, random: UInt64) {
        guard var entry = entries[host] else { return }
        switch failure.kind {
        case .cancelled, .addressRefused, .tooLong: entry.breaker.forget(now: now)
        default: entry.breaker.note(isFailure: true, now: now, random: random)
        }
        if failure.kind != .cancelled {
            entry.tally.failures += 1
            entry.lastFailure = failure.description
        }
        entry.tally.time = entry.tally.time + took
        entries[host] = entry
    }

    private mutating func keep(_ entry: Entry, _ host: String) {
        if entries[host] == nil, entries.count >= Self.limit,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
        {
            entries[oldest] = nil
        }
        entries[host] = entry
    }
}
