import Base
import Cryptography
import Host
import IKE

/// Has spare cores do the long arithmetic of handshakes while several are under way: datagrams wait for theirs, in order,
/// as if they had been longer on the way. With one at a time, or on one core, the engine is quicker by itself. What one
/// batch of messages needs goes out together, for to wake another core costs as much as some of the arithmetic.
struct HandshakeHelp {
    typealias Results = [(ikeSA: IKESAID, secret: PreparedSecret?)]

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
    /// Jobs that one core is given at least, before the next one is woken.
    private static let fewest = 4

    /// - Parameter usable: how many cores this process may run on at the moment.
    init(_ cores: SpareCores, usable: @escaping @Sendable () -> Int = { SpareCores.usable }) {
        self.cores = cores
        self.usable = usable
    }

    /// A batch of messages begins: several at once are load.
    mutating func begin(_ count: Int) {
        // Someone may have bound us to fewer cores than there were at the start; to ask costs next to nothing.
        if count > 1 { isUseful = cores.count > 0 && usable() > 1 }
        isLoaded = isUseful && count > 1
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

    /// The batch is over: hands out what it needs.
    mutating func end(
        _ engine: inout Engine, prepared: @escaping @Sendable (Results) -> Void,
        made: @escaping @Sendable ([DHKeyPair]) -> Void
    ) {
        guard isUseful else { return }
        let share = max(Self.fewest, (jobs.count + cores.count - 1) / cores.count)
        for start in stride(from: 0, to: jobs.count, by: share) {
            let some = Array(jobs[start..<min(jobs.count, start + share)])
            let isTaken = cores.perform { prepared(some.map { ($0.ikeSA, $0.run()) }) }
            // They are stopping: the engine does it when it has the datagram.
            if !isTaken { prepared(some.map { ($0.ikeSA, nil) }) }
        }
        jobs = []
        for (group, count) in engine.keyPairShortages() {
            _ = cores.perform {
                var random = SeededRandom(seed: SystemRandom.seed())
                made((0..<count).compactMap { _ in try? DHKeyPair(group: group, random: &random) })
            }
        }
    }

    /// The datagrams that waited for this secret.
    mutating func finish(_ id: IKESAID) -> [(datagram: [UInt8], path: Path)] { waiting.removeValue(forKey: id) ?? [] }
}
