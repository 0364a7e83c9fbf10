public import Base

/// Tells in time that a secret ends: at 30, 7 and 1 days before, and when it has ended.
public struct SecretWatch: Sendable {
    /// Days before the end at which it is told.
    public static let days = [30, 7, 1]

    /// What was told last, by whose secret it is.
    private var told: [String: (end: WallTime, days: Int)] = [:]

    public init() {}

    /// The days that are left, rounded down, when that is to be told now; below zero it has ended.
    public mutating func due(_ subject: String, endsAt end: WallTime, now: WallTime) -> Int? {
        let left = Self.daysLeft(end, now: now)
        // The band that this day is in: within 30, 7, 1 days, or over.
        guard let band = ([-1] + Self.days.reversed()).first(where: { left < 0 ? $0 < 0 : left <= $0 && $0 >= 0 }) else {
            told[subject] = nil
            return nil
        }
        if let last = told[subject], last.end == end, last.days == band { return nil }
        told[subject] = (end, band)
        return left
    }

    /// Whole days that are left, rounded down.
    public static func daysLeft(_ end: WallTime, now: WallTime) -> Int {
        let day: Int64 = 86_400 * 1_000_000_000
        let left = end.nanoseconds &- now.nanoseconds
        return Int(left >= 0 ? left / day : -1)
    }

    /// The sentence for an end that is near or past; nil for one that is not.
    public static func sentence(_ what: String, endsAt end: WallTime, now: WallTime) -> String? {
        let left = daysLeft(end, now: now)
        if left < 0 { return "\(what) ended on \(end.day)." }
        guard left <= (days.max() ?? 0) else { return nil }
        return "\(what) ends on \(end.day), \(left == 0 ? "within a day" : left == 1 ? "in a day" : "in \(left) days")."
    }
}
