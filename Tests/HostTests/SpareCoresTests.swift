import Glibc
import Host
import Synchronization
import Testing

/// One line of jobs for all spare cores.
struct SpareCoresTests {
    /// Jobs that wait at a barrier until it is lifted.
    private final class Barrier: Sendable {
        private let isLifted = Atomic(false)

        func lift() { isLifted.store(true, ordering: .releasing) }
        func pass() { while !isLifted.load(ordering: .acquiring) { sched_yield() } }
    }

    /// Jobs end on threads that tell nobody of it: what they have left is looked at until it is there.
    private func eventually(_ isSo: () -> Bool) async throws {
        while !isSo() { try await Task.sleep(for: .milliseconds(1)) }
    }

    private func give(_ cores: SpareCores, _ jobs: [SpareCores.Job], _ urgency: SpareCores.Urgency) {
        let isTaken = cores.add(jobs, urgency)
        #expect(isTaken)
    }

    @Test func withOneCoreNothingIsTaken() throws {
        let cores = try SpareCores(cores: 1)
        #expect(cores.count == 0)
        let isTaken = cores.add([{ Issue.record("nobody is to do it") }], .urgent)
        #expect(!isTaken)
    }

    @Test(.timeLimit(.minutes(5))) func aFreeThreadTakesWhatStandsBehindALongJob() async throws {
        let cores = try SpareCores(cores: 3)
        defer { cores.stop() }
        let barrier = Barrier()
        let done = Atomic(0)
        give(cores, [{ barrier.pass() }], .urgent)
        give(cores, Array(repeating: { done.add(1, ordering: .relaxed) }, count: 100), .urgent)
        // The other thread does all of them while the first one is at its job.
        try await eventually { done.load(ordering: .relaxed) == 100 }
        barrier.lift()
    }

    @Test(.timeLimit(.minutes(5))) func whatIsUrgentGoesBeforeWhatIsMadeAhead() async throws {
        let cores = try SpareCores(cores: 2)
        defer { cores.stop() }
        let (first, second) = (Barrier(), Barrier())
        let order = Mutex<[String]>([])
        let busy = Atomic(0)
        for barrier in [first, second] {
            let block: SpareCores.Job = {
                busy.add(1, ordering: .releasing)
                barrier.pass()
            }
            give(cores, [block], .urgent)
        }
        try await eventually { busy.load(ordering: .acquiring) == 2 }
        give(cores, [{ order.withLock { $0.append("ahead") } }], .ahead)
        give(cores, [{ order.withLock { $0.append("urgent") } }], .urgent)
        // One thread alone goes on.
        first.lift()
        try await eventually { order.withLock { $0.count } == 2 }
        #expect(order.withLock { $0 } == ["urgent", "ahead"])
        second.lift()
    }

    /// On a host with two cores, too, two can be at it.
    @Test(.timeLimit(.minutes(5))) func oneThreadWakesTheNext() async throws {
        let cores = try SpareCores(cores: 2)
        defer { cores.stop() }
        #expect(cores.count == 2)
        let met = Atomic(0)
        let meet: SpareCores.Job = {
            met.add(1, ordering: .acquiringAndReleasing)
            while met.load(ordering: .acquiring) < 2 { sched_yield() }
        }
        give(cores, [meet, meet], .urgent)
        try await eventually { met.load(ordering: .relaxed) == 2 }
    }

    @Test(.timeLimit(.minutes(5))) func theyStandBehindOthers() async throws {
        let cores = try SpareCores(cores: 2)
        defer { cores.stop() }
        let niceness = Atomic<Int>(-1)
        @Sendable func niceNow() -> Int { Int(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)) }
        give(cores, [{ niceness.store(niceNow(), ordering: .releasing) }], .urgent)
        try await eventually { niceness.load(ordering: .acquiring) >= 0 }
        #expect(niceness.load(ordering: .acquiring) == 10)
        #expect(niceNow() < 10, "and nobody else does")
    }

    @Test func stoppingDoesWhatWaits() throws {
        let cores = try SpareCores(cores: 3)
        let done = Atomic(0)
        give(cores, Array(repeating: { done.add(1, ordering: .relaxed) }, count: 50), .urgent)
        give(cores, Array(repeating: { done.add(1, ordering: .relaxed) }, count: 50), .ahead)
        cores.stop()
        #expect(done.load(ordering: .relaxed) == 100)
        let isTaken = cores.add([{ Issue.record("it has stopped") }], .urgent)
        #expect(!isTaken)
    }
}
