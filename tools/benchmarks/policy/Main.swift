import Access
import Base
import Cryptography
import Glibc
import Host
import Store

/// Measures the sign-in policies; `tools/bench policy` makes the namespace for the last of these.
///
///     bench-policy decide                 decisions of one core
///     bench-policy refresh FOLDER         an inventory of 50,000 endpoints with 10,000 sessions, and memory
///     bench-policy refuse FOLDER          from a stored fact to the refused packet at 10,000 sessions, in this kernel
@main struct Main {
    static let clock = SystemClock()

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("decide", 1): decide()
        case ("refresh", 2): try refresh()
        case ("refuse", 2): try refuse(arguments[1])
        default:
            print("bench-policy decide | refresh FOLDER | refuse FOLDER")
            exit(2)
        }
    }

    static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let begun = clock.now
        try body()
        return (clock.now - begun).seconds
    }

    /// What the process has in memory, in MB of 1,000,000 bytes.
    static var memory: Double {
        let text = SystemFile.read("/proc/self/statm") ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1e6
    }

    // MARK: - Decisions

    /// 1,000 users in 100 groups, 200 policies for groups, users and everyone, 50 checks in 60 behaviours.
    static func decide() {
        let world = World(endpoints: 1000, sessions: 1000)
        let subjects = world.sessions.values.map(\.subject)
        let sites: Set<String> = ["a", "b", "c", "d"]
        let known = subjects.map { world.engine.circumstances(of: $0, now: world.now.wall) }
        var (decided, allowed) = (0, 0)
        let alone = seconds {
            for _ in 0..<40 {
                for circumstances in known {
                    allowed += world.engine.rules.decide(circumstances, sites: sites, now: world.now.wall).sites.count
                    decided += 1
                }
            }
        }
        let whole = seconds {
            for _ in 0..<40 {
                for subject in subjects {
                    allowed += world.engine.decide(subject, sites: sites, now: world.now.wall).decision.sites.count
                }
            }
        }
        guard allowed > 0 else { fatalError("nobody was allowed anything") }
        print("figure policy_decisions \(Int(Double(decided) / alone)) /s")
        print("figure policy_decisions_with_device_match \(Int(Double(decided) / whole)) /s")
    }

    // MARK: - A refresh

    static func refresh() throws {
        let before = memory
        var world = World(endpoints: 0, sessions: 0)
        let records = World.records(50_000, at: world.now.wall)
        let loaded = seconds { world.engine.receive(.changed(records), now: world.now.wall) }
        let endpoints = memory
        world.open(10_000)
        let sessions = memory
        print("figure policy_load_50000_endpoints \(loaded) s")
        print("figure policy_memory_50000_endpoints \(endpoints - before) MB")
        print("figure policy_memory_10000_sessions \(sessions - endpoints) MB")

        // The same again, as most refreshes are: fetched later, and nothing else.
        let later = records.map { record in
            var record = record
            record.fetchedAt = record.fetchedAt + .seconds(300)
            return record
        }
        var touched = 0
        let same = seconds { touched = world.settle(.changed(later)) }
        print("figure policy_refresh_unchanged \(same * 1e3) ms")
        print("figure policy_refresh_unchanged_sessions \(touched) sessions")
        for share in [100, 10, 1] {
            // Every hundredth, every tenth, all: their agents have grown old, or are up to date again.
            let changed = later.enumerated().filter { $0.offset % share == 0 }.map { World.aged($0.element, share) }
            var count = 0
            let time = seconds { count = world.settle(.changed(changed)) }
            print("figure policy_refresh_one_in_\(share) \(time * 1e3) ms")
            print("figure policy_refresh_one_in_\(share)_sessions \(count) sessions")
        }
        print("figure policy_memory_all \(memory) MB")
    }

    // MARK: - From a fact to the packet

    /// What the gatekeeper does when an endpoint is found infected: the record is stored, its session decided anew, its end
    /// stored with the audit entry, the gate's table changed in one transaction, its connections forgotten.
    static func refuse(_ folder: String) throws {
        var world = World(endpoints: 10_000, sessions: 0)
        world.open(10_000)
        let store = try Store(
            path: folder + "/store.db", key: SealingKey(Secret([UInt8](repeating: 7, count: 32))),
            random: SystemRandom.bytes, wall: { clock.wall })
        let netlink = try Netlink(.netfilter, patience: .seconds(60))
        let table = GateTable(netlink)
        let conntrack = try Netlink(.netfilter)
        var gate = Gate(GatePlan(sites: [GatePlan.Site(id: "a", networks: [IPPrefix("10.2.0.0/16")!])]))
        let until = clock.now + .seconds(3600)
        var number: Int64 = 0
        var sessions: [IPAddress: Session] = [:]
        for address in world.sessions.keys.sorted() {
            number += 1
            sessions[address] = Session(
                id: number, user: world.sessions[address]!.subject.user.email, address: address, provider: "okta",
                startedAt: clock.wall, expiresAt: clock.wall + .seconds(3600), reason: "signed in with okta")
            gate.put(address, reaching: ["a"], until: until)
        }
        try store.write(sessions.values.sorted { $0.id < $1.id }.map { (.opened($0), "bench") })
        _ = gate.takeChange()
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(3600), now: clock.now)

        var times: [Double] = []
        for place in 0..<400 {
            let record = World.infected(world.records[place * 20])
            let begun = clock.now
            let denied = world.deny(.changed([record]))
            var records: [(record: AccessRecord, actor: String)] = []
            for (address, refusal) in denied {
                guard let session = sessions[address] else { continue }
                records.append((.closed(session, .policy(reason: refusal)), "gatehoused"))
                gate.remove(address)
            }
            guard records.count == 1 else { fatalError("\(records.count) sessions ended, not one") }
            try store.write(records)
            try table.apply(gate.takeChange(), now: clock.now)
            try conntrack.forgetConnections(of: denied.keys.first!)
            times.append((clock.now - begun).seconds * 1e3)
        }
        times.sort()
        print("figure policy_fact_to_refusal_p50 \(times[times.count / 2]) ms")
        print("figure policy_fact_to_refusal_p99 \(times[times.count * 99 / 100]) ms")
        print("figure policy_fact_to_refusal_worst \(times[times.count - 1]) ms")
        try table.remove()
        try store.close()
    }
}
