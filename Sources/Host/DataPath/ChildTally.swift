import Base
import Synchronization

/// The counters of one SA pair. Each is written by one thread only and may be read by any.
final class ChildTally: Sendable {
    private let bytesIn = Atomic<UInt64>(0)
    private let bytesOut = Atomic<UInt64>(0)
    private let packetsIn = Atomic<UInt64>(0)
    private let packetsOut = Atomic<UInt64>(0)
    private let replayed = Atomic<UInt64>(0)
    private let forged = Atomic<UInt64>(0)
    private let outsideIn = Atomic<UInt64>(0)
    private let outsideOut = Atomic<UInt64>(0)
    /// Nanoseconds since boot; 0 before the first packet.
    private let lastInbound = Atomic<Int64>(0)

    /// With a single writer a plain load and store do what a locked addition would.
    @inline(__always)
    private static func add(_ amount: UInt64, to counter: borrowing Atomic<UInt64>) {
        counter.store(counter.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    // Inbound thread.
    func countIn(_ bytes: Int, now: Tick) {
        Self.add(UInt64(truncatingIfNeeded: bytes), to: bytesIn)
        Self.add(1, to: packetsIn)
        lastInbound.store(now.nanoseconds, ordering: .relaxed)
    }

    func countAlive(now: Tick) { lastInbound.store(now.nanoseconds, ordering: .relaxed) }
    func countReplayed() { Self.add(1, to: replayed) }
    func countForged() { Self.add(1, to: forged) }
    func countOutsideIn() { Self.add(1, to: outsideIn) }

    // Outbound thread.
    func countOut(_ bytes: Int) {
        Self.add(UInt64(truncatingIfNeeded: bytes), to: bytesOut)
        Self.add(1, to: packetsOut)
    }

    func countOutsideOut() { Self.add(1, to: outsideOut) }

    var counters: ChildCounters {
        var counters = ChildCounters()
        counters.bytesIn = bytesIn.load(ordering: .relaxed)
        counters.bytesOut = bytesOut.load(ordering: .relaxed)
        counters.packetsIn = packetsIn.load(ordering: .relaxed)
        counters.packetsOut = packetsOut.load(ordering: .relaxed)
        counters.replayed = replayed.load(ordering: .relaxed)
        counters.forged = forged.load(ordering: .relaxed)
        counters.outsideSelectors = outsideIn.load(ordering: .relaxed) &+ outsideOut.load(ordering: .relaxed)
        let last = lastInbound.load(ordering: .relaxed)
        counters.lastInbound = last == 0 ? nil : Tick(nanoseconds: last)
        return counters
    }
}
