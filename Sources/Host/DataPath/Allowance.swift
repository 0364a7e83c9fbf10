import IKE

/// What is left of one SA's limits. For one thread.
struct Allowance {
    private var bytes: UInt64 = 0
    private var packets: UInt64 = 0
    private let limits: ChildLimits
    private var isSoftTold = false
    private var isHardTold = false

    enum Verdict {
        case fine
        /// A soft limit is reached: told once.
        case exhausted
        /// A hard limit is reached: told once.
        case spent
    }

    init(_ limits: ChildLimits) { self.limits = limits }

    /// Nothing may pass any more.
    var isSpent: Bool { isHardTold }

    /// Counts a packet that has passed.
    @inline(__always)
    mutating func count(_ length: Int) -> Verdict {
        bytes &+= UInt64(truncatingIfNeeded: length)
        packets &+= 1
        guard bytes >= limits.softBytes || packets >= limits.softPackets else { return .fine }
        return judge()
    }

    private mutating func judge() -> Verdict {
        if bytes >= limits.hardBytes || packets >= limits.hardPackets {
            defer { isHardTold = true }
            return isHardTold ? .fine : .spent
        }
        defer { isSoftTold = true }
        return isSoftTold ? .fine : .exhausted
    }
}
