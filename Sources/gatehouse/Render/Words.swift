import Base

/// Figures as people read them.
enum Words {
    /// `12s`, `3m12s`, `2h05m`, `4d03h`. A clock that was set back gives `0s`.
    static func duration(_ span: Tick.Span) -> String {
        let seconds = max(0, span.nanoseconds / 1_000_000_000)
        func two(_ n: Int64) -> String { n < 10 ? "0\(n)" : "\(n)" }
        switch seconds {
        case ..<60: return "\(seconds)s"
        case ..<3600: return "\(seconds / 60)m\(two(seconds % 60))s"
        case ..<86_400: return "\(seconds / 3600)h\(two(seconds / 60 % 60))m"
        default: return "\(seconds / 86_400)d\(two(seconds / 3600 % 24))h"
        }
    }

    static func duration(from start: WallTime, to end: WallTime) -> String {
        duration(Tick.Span(nanoseconds: end.nanoseconds &- start.nanoseconds))
    }

    /// `999 B`, `1.2 kB`, `34.5 MB`: powers of 1000.
    static func bytes(_ count: UInt64) -> String {
        guard count >= 1000 else { return "\(count) B" }
        var value = Double(count)
        var unit = 0
        // Not above 999.9, which would read as 1000.0.
        while value >= 999.95, unit < 6 {
            value /= 1000
            unit += 1
        }
        return "\(fixed(value, 1)) \(["", "k", "M", "G", "T", "P", "E"][unit])B"
    }

    /// `0.42 ms`, `12.3 ms`, `1234 ms`.
    static func milliseconds(_ value: Double) -> String {
        guard value.isFinite, value >= 0 else { return "-" }
        return (value < 10 ? fixed(value, 2) : value < 100 ? fixed(value, 1) : fixed(value, 0)) + " ms"
    }

    /// A number with a fixed count of decimals.
    static func fixed(_ value: Double, _ decimals: Int) -> String {
        let scale: Double = [1, 10, 100][min(2, max(0, decimals))]
        let scaled = (value * scale).rounded()
        guard scaled.magnitude < 1e15 else { return "\(value)" }
        let whole = Int64(scaled)
        guard decimals > 0 else { return "\(whole)" }
        let digits = Int64(scale)
        let fraction = String(whole % digits)
        return "\(whole / digits)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    /// `2026-11-24 12:00:01Z`.
    static func time(_ time: WallTime) -> String {
        let text = time.rfc3339
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + "Z"
    }

    /// `1 tunnel`, `2 tunnels`; a plural that is none of these is given.
    static func count(_ number: Int, _ noun: String, _ plural: String? = nil) -> String {
        "\(number) \(number == 1 ? noun : plural ?? noun + "s")"
    }
}
