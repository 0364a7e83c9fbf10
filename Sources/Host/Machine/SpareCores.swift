import CLinux
import Synchronization

/// Threads for long arithmetic, one for each core but the first: on a host with one core there are none.
public final class SpareCores: Sendable {
    private let threads: [EventThread]
    private let turn = Atomic<Int>(0)
    /// More do not help: what hands the work out has one core.
    private static let most = 8

    /// - Parameter cores: of the host.
    /// - Throws: ``HostFailure`` when a thread cannot be started.
    public init(cores: Int = usable) throws(HostFailure) {
        var threads: [EventThread] = []
        while threads.count < min(cores - 1, Self.most) {
            threads.append(try EventThread("gatehouse-dh\(threads.count + 1)"))
        }
        self.threads = threads
    }

    /// The cores that this thread may run on at this moment (sched_getaffinity).
    public static var usable: Int { Int(clinux_usable_cores()) }

    public var count: Int { threads.count }

    /// Has a thread do `job`, after what it was given before; false when there is none, or they are stopping.
    public func perform(_ job: @escaping @Sendable () -> Void) -> Bool {
        guard !threads.isEmpty else { return false }
        let number = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return threads[(number & Int.max) % threads.count].perform(job)
    }

    /// Ends the threads when their jobs are done.
    public func stop() { for thread in threads { thread.stop() } }

    deinit { stop() }
}
