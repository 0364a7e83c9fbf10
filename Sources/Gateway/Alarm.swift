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

/// When to look at the traffic counters of which children, and what was last seen there.
struct TrafficPoll {
    /// Well below the shortest useful DPD delay.
    static let interval = Tick.Span.seconds(2)

    private var lastInbound: [UInt32: Tick] = [:]
    var next = Tick.zero

    var watched: [UInt32] { Array(lastInbound.keys) }

    mutating func watch(_ spiIn: UInt32) { lastInbound[spiIn] = .zero }
    mutating func forget(_ spiIn: UInt32) { lastInbound[spiIn] = nil }
    func isDue(_ now: Tick) -> Bool { !lastInbound.isEmpty && next <= now }

    /// True when packets have come in since the last look.
    mutating func isNews(_ spiIn: UInt32, _ tick: Tick) -> Bool {
        guard let before = lastInbound[spiIn], before < tick else { return false }
        lastInbound[spiIn] = tick
        return true
    }
}
