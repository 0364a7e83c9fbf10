/// An instant on the gateway's monotonic clock: nanoseconds since the machine booted (`CLOCK_BOOTTIME`),
/// so that it survives a restart of the process and counts time spent asleep.
///
/// Engines receive the current tick as `now`; nothing below the shells reads a clock.
public struct Tick: Hashable, Comparable, Codable, Sendable {
    /// Nanoseconds since boot.
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The moment of boot.
    public static let zero = Tick(nanoseconds: 0)

    public static func < (a: Tick, b: Tick) -> Bool { a.nanoseconds < b.nanoseconds }
    public static func + (tick: Tick, span: Span) -> Tick { Tick(nanoseconds: tick.nanoseconds &+ span.nanoseconds) }
    public static func - (tick: Tick, span: Span) -> Tick { Tick(nanoseconds: tick.nanoseconds &- span.nanoseconds) }
    public static func - (later: Tick, earlier: Tick) -> Span {
        Span(nanoseconds: later.nanoseconds &- earlier.nanoseconds)
    }

    /// A length of time in nanoseconds. Integer arithmetic, so that simulations replay exactly.
    public struct Span: Hashable, Comparable, Codable, Sendable {
        public var nanoseconds: Int64

        public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

        public static let zero = Span(nanoseconds: 0)
        public static func milliseconds(_ n: Int) -> Span { Span(nanoseconds: Int64(n) &* 1_000_000) }
        public static func seconds(_ n: Int) -> Span { Span(nanoseconds: Int64(n) &* 1_000_000_000) }

        public static func < (a: Span, b: Span) -> Bool { a.nanoseconds < b.nanoseconds }
        public static func + (a: Span, b: Span) -> Span { Span(nanoseconds: a.nanoseconds &+ b.nanoseconds) }
        public static func - (a: Span, b: Span) -> Span { Span(nanoseconds: a.nanoseconds &- b.nanoseconds) }
        public static func * (a: Span, n: Int) -> Span { Span(nanoseconds: a.nanoseconds &* Int64(n)) }

        /// Seconds as a fraction, for messages and figures.
        public var seconds: Double { Double(nanoseconds) / 1e9 }
        /// Milliseconds as a fraction, for messages and figures.
        public var milliseconds: Double { Double(nanoseconds) / 1e6 }
    }
}

/// The next instant at which an engine must be woken, and what it will then do.
///
/// The reason is logged and tested: a deadline without a reason is a bug.
public struct Deadline: Hashable, Sendable, CustomStringConvertible {
    public var tick: Tick
    public var reason: String

    public init(_ tick: Tick, _ reason: String) {
        self.tick = tick
        self.reason = reason
    }

    public var description: String { "\(reason) at \(tick.nanoseconds)" }

    /// The earlier of two deadlines, either of which may be absent.
    public static func earlier(_ a: Deadline?, _ b: Deadline?) -> Deadline? {
        guard let a else { return b }
        guard let b else { return a }
        return b.tick < a.tick ? b : a
    }
}
