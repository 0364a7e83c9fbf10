public import Base

/// Hours of the day on days of the week, in a time zone.
public struct TimeWindow: Hashable, Codable, Sendable {
    public enum Day: String, Hashable, Codable, CaseIterable, Sendable {
        case sunday = "sun", monday = "mon", tuesday = "tue", wednesday = "wed", thursday = "thu", friday = "fri"
        case saturday = "sat"

        /// From Sunday, 0.
        var number: Int64 { Int64(Self.allCases.firstIndex(of: self) ?? 0) }
    }

    /// The days on which it begins.
    public var days: Set<Day>
    /// The minute of the day at which it begins, from 0 to 1439.
    public var from: Int
    /// The minute of the day before which it ends, from 1 to 1440. At or before ``from``, it is one of the next day.
    public var to: Int
    /// A name of the time zone database, such as `Europe/Berlin`.
    public var timeZone: String

    public init(days: Set<Day> = Set(Day.allCases), from: Int, to: Int, timeZone: String) {
        self.days = days
        self.from = from
        self.to = to
        self.timeZone = timeZone
    }

    /// What keeps it from being used; nil when it can be.
    public var fault: String? {
        if days.isEmpty { return "names no day" }
        guard (0...1439).contains(from), (1...1440).contains(to) else {
            return "must begin from 00:00 to 23:59 and end from 00:01 to 24:00"
        }
        return nil
    }

    private var length: Int64 { Int64(to > from ? to - from : to - from + 1440) }

    /// Whether a moment lies in it, and when that changes next; nil for never.
    public func state(at time: WallTime, _ zone: TimeZoneRules) -> (isIn: Bool, until: WallTime?) {
        let second = time.nanoseconds.flooredQuotient(1_000_000_000)
        let today = (second + zone.offset(at: second)).flooredQuotient(86_400)
        // A window that began yesterday may go on; over eight days every one has begun once.
        var spans: [(from: Int64, to: Int64)] = []
        for date in (today - 2)...(today + 8) {
            guard days.contains(where: { $0.number == (date + 4).flooredRemainder(7) }) else { continue }
            let begins = date * 86_400 + Int64(from) * 60
            let span = (zone.second(ofLocal: begins), zone.second(ofLocal: begins + length * 60))
            if span.0 < span.1 { spans.append(span) }
        }
        var end = second
        var isIn = false
        // Windows that touch or overlap are one.
        for span in spans.sorted(by: { $0.from < $1.from }) {
            if span.from <= end, span.to > end {
                isIn = true
                end = span.to
            } else if !isIn, span.from > second {
                return (false, Self.wall(span.from))
            }
        }
        // Whole weeks without an end: looked at again from time to time.
        return (isIn, Self.wall(isIn ? end : second + 7 * 86_400))
    }

    private static func wall(_ second: Int64) -> WallTime { WallTime(nanoseconds: second &* 1_000_000_000) }
}

extension TimeWindow: CustomStringConvertible {
    /// `mon,tue,wed 08:00-18:00 Europe/Berlin`.
    public var description: String {
        let names = Day.allCases.filter(days.contains).map(\.rawValue).joined(separator: ",")
        return "\(days.count == 7 ? "every day" : names) \(Self.clock(from))-\(Self.clock(to)) \(timeZone)"
    }

    private static func clock(_ minute: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(minute / 60)):\(two(minute % 60))"
    }
}
