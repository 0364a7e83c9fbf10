public import Base
import Cryptography
public import JSONText

/// The end of a key, and when to warn of it.
public enum KeyLife {
    /// Days before the end at which a warning is given, for a key that lives that long; nil for one of any length.
    static func warningDays(lifeDays: Int?) -> [Int] { (lifeDays ?? .max) > 30 ? [30, 14, 7, 3, 1] : [7, 3, 1] }

    /// The warning that stands at a moment; nil where none does. It changes with each step towards the end.
    public static func warning(
        of connection: EndpointConnection, _ profile: EndpointProfile, end: WallTime, now: WallTime
    ) -> String? {
        guard end > now else {
            return "The \(profile.keyLabel) of '\(connection.id)' ended on \(end.day). \(profile.keyAdvice)"
        }
        let left = end.nanoseconds &- max(0, now.nanoseconds)
        let day = Tick.Span.seconds(86_400).nanoseconds
        guard let step = warningDays(lifeDays: profile.keyLifeDays).last(where: { left <= Int64($0) * day }) else {
            return nil
        }
        let days = step == 1 ? "within a day" : "in less than \(step) days"
        return "The \(profile.keyLabel) of '\(connection.id)' ends \(days), on \(end.day). \(profile.keyAdvice)"
    }

    /// The end that a key says of itself: newer ones are tokens with an expiry (RFC 7519 §4.1.4). Not verified: for the
    /// warning alone.
    public static func end(statedBy connection: EndpointConnection) -> WallTime? {
        guard let parts = connection.key?.exposedBytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false),
            parts.count == 3, let payload = Base64URL.decode(parts[1]),
            let tree = String(validating: payload, as: UTF8.self).flatMap({ try? JSONTree.parse($0) }),
            let seconds = tree["exp"]?.scalar.flatMap({ Int64($0) }), (0..<9_000_000_000).contains(seconds)
        else { return nil }
        return WallTime(nanoseconds: seconds * 1_000_000_000)
    }

    /// The end that the vendor says in answer to the profile's question.
    public static func end(in rows: [JSONTree], _ profile: EndpointProfile) -> WallTime? {
        guard let row = rows.first, let text = profile.keyEnd?.at.first(in: row)?.string else { return nil }
        return VendorTime(text)?.time
    }
}
