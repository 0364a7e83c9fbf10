import CLinux
import Glibc
import Synchronization

/// What an ``EventThread`` watches: told on that thread when its descriptor can be read or has failed.
protocol EventSource: AnyObject {
    func ready()
}

/// A thread that waits for descriptors and runs jobs in between.
///
/// Whatever only its sources and jobs touch needs no lock: it belongs to the thread.
final class EventThread: Sendable {
    private struct Queue {
        var jobs: [@Sendable () -> Void] = []
        var isClosed = false
        var thread: pthread_t?
    }

    private let queue = Mutex(Queue())
    private let epoll: Descriptor
    private let wake: Descriptor
    private let table: Table
    private let name: String

    /// Proof of Sendable: used in `run` and in jobs and sources alone, all of which run on the one thread.
    private final class Table: @unchecked Sendable {
        var sources: [Int32: any EventSource] = [:]
    }

    /// Starts the thread. `name` (at most 15 bytes) is what `ps -L` shows.
    init(_ name: String) throws(HostFailure) {
        self.name = name
        epoll = Descriptor(try HostFailure.check(clinux_events_open(), "making an event queue"))
        wake = Descriptor(try HostFailure.check(clinux_wake_open(), "making an event descriptor"))
        table = Table()
        _ = try HostFailure.check(clinux_events_watch(epoll.number, wake.number), "watching an event descriptor")

        let thread = try HostThread.start("the thread \(name)") { self.run() }
        queue.withLock { $0.thread = thread }
    }

    /// Runs `job` on the thread, after those that were given before. False once the thread is stopping.
    @discardableResult
    func perform(_ job: @escaping @Sendable () -> Void) -> Bool {
        let (isTaken, isFirst) = queue.withLock { queue in
            guard !queue.isClosed else { return (false, false) }
            queue.jobs.append(job)
            return (true, queue.jobs.count == 1)
        }
        // Whoever put the first job in has rung for the others.
        if isFirst { clinux_wake_ring(wake.number) }
        return isTaken
    }

    /// Runs `job` on the thread and waits for its result; nil once the thread is stopping.
    func run<Result: Sendable>(_ job: @escaping @Sendable () -> Result) async -> Result? {
        await withCheckedContinuation { continuation in
            let isTaken = perform { continuation.resume(returning: job()) }
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    /// Jobs given so far are done, then the thread ends; returns when it has (on the thread itself: at once).
    func stop() {
        let thread: pthread_t? = queue.withLock { queue in
            queue.isClosed = true
            return queue.thread.take()
        }
        guard let thread else { return }
        clinux_wake_ring(wake.number)
        if pthread_equal(thread, pthread_self()) != 0 {
            pthread_detach(thread)
        } else {
            pthread_join(thread, nil)
        }
    }

    /// Watches `descriptor` until ``remove(_:)``. On the thread only.
    func add(_ source: any EventSource, _ descriptor: Int32) {
        table.sources[descriptor] = source
        _ = clinux_events_watch(epoll.number, descriptor)
    }

    /// On the thread only.
    func remove(_ descriptor: Int32) {
        guard table.sources.removeValue(forKey: descriptor) != nil else { return }
        _ = clinux_events_forget(epoll.number, descriptor)
    }

    private func run() {
        clinux_name_thread(name)
        let capacity = 64
        let ready = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        ready.initialize(repeating: 0, count: capacity)
        defer { ready.deallocate() }
        while true {
            let count = Int(clinux_events_wait(epoll.number, ready, Int32(capacity)))
            for index in 0..<max(count, 0) {
                let descriptor = ready[index]
                if descriptor == wake.number {
                    guard drain() else { return table.sources.removeAll() }
                } else {
                    table.sources[descriptor]?.ready()
                }
            }
        }
    }

    /// Does the jobs that wait. False when the thread is to end.
    private func drain() -> Bool {
        clinux_wake_clear(wake.number)
        while true {
            let (jobs, isClosed) = queue.withLock { queue in
                defer { queue.jobs = [] }
                return (queue.jobs, queue.isClosed)
            }
            for job in jobs { job() }
            if jobs.isEmpty { return !isClosed }
        }
    }
}
