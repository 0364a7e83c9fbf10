public import Base

/// How often and how long a call is tried.
public struct RetryPolicy: Hashable, Sendable {
    /// All tries, the first one included.
    public var tries: Int
    /// Bound of the first delay; each further one is twice as long.
    public var base = Tick.Span.seconds(1)
    public var cap = Tick.Span.seconds(60)
    /// From the start of the first try to the start of the last.
    public var total: Tick.Span

    public init(tries: Int, total: Tick.Span) {
        self.tries = tries
        self.total = total
    }

    /// One try: for what must not happen twice.
    public static let none = RetryPolicy(tries: 1, total: .zero)
    /// A person waits.
    public static let signIn = RetryPolicy(tries: 2, total: .seconds(5))
    /// Nobody waits.
    public static let background = RetryPolicy(tries: 5, total: .seconds(120))
}

/// The tries of one call: after each outcome, whether and when the next one is.
public struct RetrySchedule: Sendable {
    /// How a try ended.
    public enum Outcome: Hashable, Sendable {
        /// An answer, with the pause that it asks for.
        case answered(status: Int, pause: Tick.Span?)
        /// No answer.
        case failed(isTransient: Bool)
    }

    public enum Decision: Hashable, Sendable {
        /// What came is what the caller gets.
        case done
        case retry(at: Tick)
    }

    private let policy: RetryPolicy
    private let start: Tick
    /// Tries made so far.
    public private(set) var count = 0

    public init(_ policy: RetryPolicy, start: Tick) {
        self.policy = policy
        self.start = start
    }

    /// - Parameter random: even over all values; jitter is drawn from it.
    public mutating func next(after outcome: Outcome, now: Tick, random: UInt64) -> Decision {
        count += 1
        guard count < policy.tries, Self.isTransient(outcome) else { return .done }
        var delay: Tick.Span
        if case .answered(_, let pause?) = outcome {
            // As told, and up to a second more, so that not all come back in one instant.
            delay = pause + Self.part(of: .seconds(1), random)
        } else {
            // Full jitter: evenly from nothing to the bound.
            let doublings = min(count - 1, 20)
            let bound = min(policy.cap, Tick.Span(nanoseconds: policy.base.nanoseconds << Int64(doublings)))
            delay = Self.part(of: bound, random)
        }
        let at = now + delay
        return at - start > policy.total ? .done : .retry(at: at)
    }

    /// Outcomes that another try may change (RFC 9110 §15.5.9, §15.6; RFC 6585 §4).
    public static func isTransient(_ outcome: Outcome) -> Bool {
        switch outcome {
        case .answered(let status, _): [408, 429, 500, 502, 503, 504].contains(status)
        case .failed(let isTransient): isTransient
        }
    }

    /// An even part of a span.
    static func part(of span: Tick.Span, _ random: UInt64) -> Tick.Span {
        let product = UInt64(max(0, span.nanoseconds)).multipliedFullWidth(by: random)
        return Tick.Span(nanoseconds: Int64(product.high))
    }
}

/// `Retry-After` (RFC 9110 §10.2.3).
public enum RetryAfter {
    /// The longest pause that is believed.
    public static let limit = Tick.Span.seconds(15 * 60)

    /// The pause that an answer asks for: seconds, which some servers write with a fraction, or a date, which is
    /// compared with the server's own clock where it says what that is.
    public static func pause(_ response: HTTPResponse, wall: WallTime) -> Tick.Span? {
        guard let text = response["retry-after"] else { return nil }
        let span: Tick.Span
        if let seconds = Double(text), text.utf8.allSatisfy({ (48...57).contains($0) || $0 == 46 }) {
            span = Tick.Span(nanoseconds: Int64(min(seconds, limit.seconds) * 1e9))
        } else if let date = HTTPDate.parse(text) {
            let now = response["date"].flatMap(HTTPDate.parse) ?? wall
            span = Tick.Span(nanoseconds: date.nanoseconds &- now.nanoseconds)
        } else {
            return nil
        }
        return min(max(span, .zero), limit)
    }
}

/// The date of HTTP's headers (RFC 9110 §5.6.7), in the one form that is sent today.
public enum HTTPDate {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`. Nil for anything else, and for years before 1970: no server's clock says them.
    public static func parse(_ text: String) -> WallTime? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[0].hasSuffix(","), words[5] == "GMT", words[1].utf8.count == 2,
            words[3].utf8.count == 4, words[4].utf8.count == 8, let month = months.firstIndex(of: String(words[2]))
        else { return nil }
        let number = month + 1
        let time = WallTime(rfc3339: "\(words[3])-\(number < 10 ? "0" : "")\(number)-\(words[1])T\(words[4])Z")
        return time.flatMap { $0.nanoseconds < 0 ? nil : $0 }
    }
}
