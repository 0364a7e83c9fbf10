import Base

/// One timer for the earliest deadline. Deadlines mostly move later, so an alarm that is set early enough
/// is left alone: it rings, nothing is due, and it is set anew.
struct Alarm {
    private var task: Task<Void, Never>?
    private var ringsAt: Tick?

    mutating func set(_ tick: Tick, now: Tick, ring: @escaping @Sendable () -> Void) {
        if let ringsAt, ringsAt <= tick { return }
        task?.cancel()
        ringsAt = tick
        let delay = max(0, (tick - now).nanoseconds)
        task = Task {
            // A cancelled sleep throws: then a newer alarm has taken over.
            guard (try? await Task.sleep(for: .nanoseconds(delay), tolerance: .zero)) != nil else { return }
            ring()
        }
    }

    mutating func hasRung() {
        task = nil
        ringsAt = nil
    }

    mutating func cancel() {
        task?.cancel()
        hasRung()
    }
}

/// When the traffic counters are read next.
struct TrafficPoll {
    /// Well below the shortest useful DPD delay.
    static let interval = Tick.Span.seconds(2)

    private(set) var next = Tick.zero

    mutating func wasRead(_ now: Tick) { next = now + Self.interval }
}
