import CLinux
import Glibc
import Synchronization

/// Threads for long arithmetic, one for each core: on a host with one core there are none.
///
/// Jobs wait in one line, from which each thread takes the next. The threads stand behind those that handle messages and
/// packets (nice 10): they use what these leave of every core, and keep nobody waiting.
public final class SpareCores: Sendable {
    public typealias Job = @Sendable () -> Void

    /// When a job's turn comes.
    public enum Urgency: Sendable {
        /// Somebody waits for it.
        case urgent
        /// When nothing urgent waits.
        case ahead
    }

    private let line: Line
    /// More do not help: what hands the work out has one core.
    private static let most = 8
    private static let niceness: Int32 = 10

    /// - Parameter cores: of the host.
    /// - Throws: ``HostFailure`` when a thread cannot be started.
    public init(cores: Int = usable) throws(HostFailure) {
        var threads: [EventThread] = []
        while cores > 1, threads.count < min(cores, Self.most) {
            let thread = try EventThread("gatehouse-dh\(threads.count + 1)")
            // To Linux 0 is the calling thread, not its process.
            thread.perform { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness) }
            threads.append(thread)
        }
        line = Line(threads)
    }

    /// The cores that this thread may run on at this moment (sched_getaffinity).
    public static var usable: Int { Int(clinux_usable_cores()) }

    public var count: Int { line.threads.count }

    /// Puts jobs in the line; false when there is no thread, or they are stopping.
    public func add(_ jobs: [Job], _ urgency: Urgency) -> Bool { line.add(jobs, urgency) }

    /// Ends the threads when all jobs are done.
    public func stop() { line.stop() }

    deinit { stop() }

    private final class Line: Sendable {
        private struct State {
            var urgent: ArraySlice<Job> = []
            var ahead: ArraySlice<Job> = []
            /// The threads that have nothing to do.
            var idle: [Int]
            var isClosed = false

            /// The next job, and a thread to wake because there are more.
            mutating func take() -> (job: Job?, helper: Int?) {
                let job = urgent.popFirst() ?? ahead.popFirst()
                return (job, urgent.isEmpty && ahead.isEmpty ? nil : idle.popLast())
            }
        }

        let threads: [EventThread]
        private let state: Mutex<State>

        init(_ threads: [EventThread]) {
            self.threads = threads
            state = Mutex(State(idle: Array(threads.indices)))
        }

        func add(_ jobs: [Job], _ urgency: Urgency) -> Bool {
            guard !threads.isEmpty, !jobs.isEmpty else { return false }
            let (isTaken, first) = state.withLock { state -> (Bool, Int?) in
                guard !state.isClosed else { return (false, nil) }
                switch urgency {
                case .urgent: state.urgent += jobs
                case .ahead: state.ahead += jobs
                }
                // One is woken here, and wakes the next if there is work for it: to wake a core costs as much as short
                // arithmetic, and whoever hands out has other things to do.
                return (true, state.idle.popLast())
            }
            if let first { wake(first) }
            return isTaken
        }

        private func wake(_ number: Int) { threads[number].perform { [self] in work(number) } }

        /// On thread `number`: does what waits, until nothing does.
        private func work(_ number: Int) {
            while true {
                let (job, helper) = state.withLock { state in
                    let next = state.take()
                    if next.job == nil { state.idle.append(number) }
                    return next
                }
                if let helper { wake(helper) }
                guard let job else { return }
                job()
            }
        }

        func stop() {
            state.withLock { $0.isClosed = true }
            for thread in threads { thread.stop() }
            // What a thread was woken for in the moment in which it stopped.
            while let job = state.withLock({ $0.take().job }) { job() }
        }
    }
}
