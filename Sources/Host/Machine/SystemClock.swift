public import Base
import Glibc

/// The machine's clocks. Only shells read them; engines are told the time.
public struct SystemClock: Sendable {
    public init() {}

    /// Nanoseconds since boot, counting time asleep (`CLOCK_BOOTTIME`).
    public var now: Tick { Tick(nanoseconds: Self.read(CLOCK_BOOTTIME)) }

    /// The calendar as this machine believes it to be (`CLOCK_REALTIME`).
    public var wall: WallTime { WallTime(nanoseconds: Self.read(CLOCK_REALTIME)) }

    /// The calendar time of a tick, past or to come, by the clocks as they stand now. A step of the calendar clock
    /// moves the answer, so convert where it is shown and keep the tick.
    public func wallTime(of tick: Tick) -> WallTime { wall + (tick - now) }

    /// Microseconds of `CLOCK_MONOTONIC`, which systemd asks for on reload.
    static var monotonicMicroseconds: Int64 { read(CLOCK_MONOTONIC) / 1000 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        // Fails for an unknown clock only; these three are in every kernel that runs Swift.
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
