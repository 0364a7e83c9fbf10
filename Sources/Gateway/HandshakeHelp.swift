import Base
import Cryptography
import Host
import IKE

/// Has spare cores do the long arithmetic of handshakes while several are under way: datagrams wait for theirs, in order,
/// as if they had been longer on the way. With one at a time, or on one core, the engine is quicker by itself. What one
/// batch of messages needs goes into one line, from which the spare cores take one by one.
struct HandshakeHelp {
    typealias Result = (ikeSA: IKESAID, secret: PreparedSecret?)

    private let cores: SpareCores
    private let usable: @Sendable () -> Int
    /// Datagrams by the IKE SA whose secret is being worked out.
    private var waiting: [IKESAID: [(datagram: [UInt8], path: Path)]] = [:]
    /// Of this batch.
    private var jobs: [SharedSecretJob] = []
    private var isUseful = false
    private var isLoaded = false

    /// Datagrams of one IKE SA, and IKE SAs, that wait. What is more is handled without help, or dropped as the network might.
    private static let mostDatagrams = 64
    private static let mostSAs = 256

    /// - Parameter usable: how many cores this process may run on at the moment.
    init(_ cores: SpareCores, usable: @escaping @Sendable () -> Int = { SpareCores.usable }) {
        self.cores = cores
        self.usable = usable
    }

    /// A batch of messages begins: several at once are load, and so is one while others wait.
    mutating func begin(_ count: Int) {
        let isBusy = count > 1 || !waiting.isEmpty
        // Someone may have bound us to fewer cores than there were at the start; to ask costs next to nothing.
        if isBusy { isUseful = cores.count > 0 && usable() > 1 }
        isLoaded = isUseful && isBusy
    }

    /// Whether the datagram waits for its arithmetic.
    mutating func take(_ datagram: [UInt8], _ path: Path, _ engine: Engine) -> Bool {
        guard isLoaded || !waiting.isEmpty, let job = engine.sharedSecretJob(datagram, path) else { return false }
        let id = job.ikeSA
        if let before = waiting[id] {
            if before.count < Self.mostDatagrams { waiting[id]?.append((datagram, path)) }
            return true
        }
        guard isLoaded, waiting.count < Self.mostSAs else { return false }
        waiting[id] = [(datagram, path)]
        jobs.append(job)
        return true
    }

    /// Hands out what has come up since the last time.
    mutating func handOut(
        _ engine: inout Engine, prepared: @escaping @Sendable (Result) -> Void,
        made: @escaping @Sendable (DHKeyPair) -> Void
    ) {
        guard isUseful else { return }
        if !jobs.isEmpty {
            let isTaken = cores.add(jobs.map { job in { prepared((job.ikeSA, job.run())) } }, .urgent)
            // They are stopping: the engine does it when it has the datagram.
            if !isTaken { for job in jobs { prepared((job.ikeSA, nil)) } }
            jobs = []
        }
        for (group, count) in engine.keyPairShortages() {
            let job: SpareCores.Job = {
                var random = SeededRandom(seed: SystemRandom.seed())
                if let pair = try? DHKeyPair(group: group, random: &random) { made(pair) }
            }
            _ = cores.add(Array(repeating: job, count: count), .ahead)
        }
    }

    /// The datagrams that waited for this secret.
    mutating func finish(_ id: IKESAID) -> [(datagram: [UInt8], path: Path)] { waiting.removeValue(forKey: id) ?? [] }
}
