import Access
import Base
import Foundation

/// What posture and policies read of what others wrote. The first byte says which: a lease file, a time zone, a set of
/// policies.
func fuzzPostureInput(_ bytes: [UInt8]) {
    guard let mode = bytes.first, bytes.count <= 1 << 16 else { return }
    let rest = Array(bytes.dropFirst())
    let noon = WallTime(nanoseconds: 1_795_608_000_000_000_000)
    switch mode % 3 {
    case 0:
        guard let leases = try? DHCPLeases(rest) else { return }
        for (address, lease) in leases.byAddress {
            precondition(lease.hostName?.isEmpty != true, "a host name of nothing")
            if let current = leases.lease(of: address, now: noon) { precondition(current == lease) }
        }
    case 1:
        guard let zone = try? TimeZoneRules(rest) else { return }
        for second in [Int64.min / 4_000_000_000, -1, 0, 1_795_608_000, 9_000_000_000] {
            precondition(abs(zone.offset(at: second)) < 8 * 86_400, "an offset of more than a week")
        }
        let window = TimeWindow(from: 1320, to: 360, timeZone: "x")
        if let until = window.state(at: noon, zone).until { precondition(until > noon, "an end that is over") }
    default:
        guard let set = try? JSONDecoder().decode(PolicySet.self, from: Data(rest)) else { return }
        let world = PolicySet.World(sources: [], sites: ["a"], providers: []) { $0 == "UTC" }
        _ = set.faults(in: world)
        let rules = PolicyRules(set)
        let who = Circumstances(user: "u@x", groups: ["g"], address: .v4(0x0A00_0001))
        let decision = rules.decide(who, sites: ["a", "b"], now: noon)
        precondition(decision.sites.isSubset(of: ["a", "b"]), "more than was asked for")
        let ruled = decision.rulings.reduce(into: Set<String>()) { $0.formUnion($1.sites) }
        precondition(ruled == ["a", "b"], "a site that nobody decided")
        if let until = decision.until { precondition(until > noon, "an end that is over") }
        if decision.denial != nil { _ = rules.refusal(decision, who, sites: ["a", "b"], now: noon) }
        // Things are compared by their names. A set with a name twice is a fault, and refused before it is stored.
        let names = [set.checks.map(\.name), set.behaviours.map(\.name), set.policies.map(\.name)]
        if names.allSatisfy({ Set($0).count == $0.count }) {
            precondition(set.deeds(since: set).isEmpty, "a set that differs from itself")
        }
    }
}

func postureInputSeeds() -> [[UInt8]] {
    let leases = [
        "1795610000 00:11:22:33:44:55 10.1.0.10 fin-lt-042 01:00\n",
        "lease 10.1.0.10 {\n  ends 3 2026/11/25 22:00:00;\n  binding state active;\n  hardware ethernet 00:11:22:33:44:55;\n"
            + "  client-hostname \"FIN\";\n}\n",
        "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n"
            + "10.1.0.10,00:11:22:33:44:55,,3600,1795610000,1,0,0,fin,0\n",
    ]
    let header = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
    let counts: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]
    let block = header + counts
    let zone = block + [0, 0, 0, 0, 0, 0] + Array("UTC\0".utf8) + block + [0, 0, 14, 16, 0, 0] + Array("CET\0".utf8)
        + Array("\nCET-1CEST,M3.5.0,M10.5.0/3\n".utf8)
    let set = PolicySet(
        checks: [
            PostureCheck(
                name: "c", system: .windows,
                requirements: [.init(source: "s", attribute: .risk, condition: .isAnyOf, values: [.riskAtMost(.level(.low))])])
        ],
        behaviours: [
            Behaviour(name: "b", trigger: .posture(checks: ["c"], trigger: .fails)),
            Behaviour(
                name: "t", trigger: .time(window: TimeWindow(from: 480, to: 60, timeZone: "UTC"), isInside: false)),
            Behaviour(name: "n", trigger: .network(networks: [IPPrefix("10.0.0.0/8")!], isInside: true)),
        ],
        policies: [
            SignInPolicy(name: "p", audience: .init(groups: ["g"]), sites: .only(["a"]), behaviours: ["b"], action: .deny),
            SignInPolicy(name: "q", behaviours: ["t", "n"], action: .allowOnly(sites: .only(["b"]))),
        ], defaultAction: .denyAndNotify)
    let json = (try? JSONEncoder().encode(set)).map { Array($0) } ?? []
    return leases.map { [0] + Array($0.utf8) } + [[1] + zone, [2] + json]
}
