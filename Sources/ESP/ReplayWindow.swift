/// Which sequence numbers have been seen: a ring of bits (RFC 4303 §3.4.3, laid out as RFC 6479 has it).
///
/// ``check(_:)`` before the packet is authenticated, ``record(_:)`` only afterwards: a forged packet moves nothing.
public struct ReplayWindow: Sendable {
    /// Packets behind the newest that are still accepted, 32 to 2048.
    public let size: UInt64
    /// The highest sequence number recorded; 0 before the first.
    public private(set) var newest: UInt64 = 0
    private var words: [UInt64]
    private let mask: UInt64

    /// `size` is brought within 32...2048.
    public init(size: Int) {
        let size = UInt64(min(max(size, 32), 2048))
        self.size = size
        // One word more than the window spans, so that the word being cleared never holds a live bit.
        var count: UInt64 = 1
        while count < (size + 63) / 64 + 1 { count *= 2 }
        words = Array(repeating: 0, count: Int(count))
        mask = count - 1
    }

    /// Whether a packet with this number is new and not too old. Number 0 is never sent (RFC 4303 §3.3.3).
    public func check(_ sequence: UInt64) -> Bool {
        guard sequence != 0 else { return false }
        guard sequence <= newest else { return true }
        guard newest - sequence < size else { return false }
        return words[Int(sequence >> 6 & mask)] & (1 << (sequence & 63)) == 0
    }

    /// Marks a number that passed ``check(_:)`` and whose packet proved genuine. True when it is the newest so far.
    @discardableResult
    public mutating func record(_ sequence: UInt64) -> Bool {
        let isNewest = sequence > newest
        if isNewest {
            let steps = min((sequence >> 6) - (newest >> 6), mask + 1)
            var word = sequence >> 6
            for _ in 0..<steps {
                words[Int(word & mask)] = 0
                word &-= 1
            }
            newest = sequence
        }
        words[Int(sequence >> 6 & mask)] |= 1 << (sequence & 63)
        return isNewest
    }

    /// The whole number of an extended sequence number of which only the lower half is on the wire
    /// (RFC 4304, appendix A2.2). Nil when it could only lie before number 0.
    public func extended(_ low: UInt32) -> UInt64? {
        let newestLow = UInt32(truncatingIfNeeded: newest)
        let high = newest >> 32
        let windowStart = newestLow &- UInt32(truncatingIfNeeded: size - 1)
        let guess: UInt64
        if UInt64(newestLow) >= size - 1 {
            // The window lies within one span of 2^32.
            guess = low >= windowStart ? high : high &+ 1
        } else {
            // The window reaches back into the span before.
            if low >= windowStart {
                guard high > 0 else { return nil }
                guess = high - 1
            } else {
                guess = high
            }
        }
        guard guess <= UInt64(UInt32.max) else { return nil }
        return guess << 32 | UInt64(low)
    }
}
