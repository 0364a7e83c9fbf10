import Base

/// Lets one message through in each interval, and counts what it held back.
struct RateLimit {
    let interval: Tick.Span
    private var next = Tick.zero
    private var held = 0

    init(interval: Tick.Span) { self.interval = interval }

    /// Nil when the message should be held back, else how many were since the last one.
    mutating func admit(_ now: Tick) -> Int? {
        guard now >= next else {
            held += 1
            return nil
        }
        next = now + interval
        defer { held = 0 }
        return held
    }
}
