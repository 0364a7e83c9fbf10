/// The kernel's counts of IPsec packets that came to nothing, by the names of `/proc/net/xfrm_stat`.
public struct IPsecStatistics: Hashable, Sendable {
    public var counts: [String: UInt64]

    /// Of this thread's network namespace; nil where the kernel keeps none.
    public static func read() -> IPsecStatistics? {
        // Not /proc/net, which is the namespace of the process's first thread.
        SystemFile.read("/proc/thread-self/net/xfrm_stat").map(IPsecStatistics.init(text:))
    }

    /// Reads lines of a name and a number; others are passed over.
    public init(text: String) {
        counts = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.count == 2, let count = UInt64(words[1]) { counts[String(words[0])] = count }
        }
    }

    /// Those above zero, the greatest first.
    public var troubles: [(name: String, count: UInt64)] {
        counts.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
    }
}
