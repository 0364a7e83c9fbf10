import Access
import Base
import Testing

@testable import Host

/// Three hosts in a row: a client, the gateway, and a server behind an interface with a tunnel's name.
final class GateLab: Sendable {
    let client: KernelLab
    let gateway: KernelLab
    let server: KernelLab

    init() throws {
        client = try KernelLab()
        gateway = try KernelLab()
        server = try KernelLab()
        // Addresses are of use at once.
        for lab in [client, gateway, server] { try lab.exec("sysctl -qw net.ipv6.conf.default.accept_dad=0") }
        try gateway.addPair("lan", "eth0", in: client)
        try gateway.addPair("gh9", "eth0", in: server)
        for (lab, addresses) in [
            (client, ["10.1.0.10/24 dev eth0", "10.1.0.11/24 dev eth0", "fd01::10/64 dev eth0 nodad"]),
            (gateway, ["10.1.0.1/24 dev lan", "10.2.0.1/24 dev gh9", "10.3.0.1/24 dev gh9", "fd01::1/64 dev lan nodad", "fd02::1/64 dev gh9 nodad"]),
            (server, ["10.2.0.10/24 dev eth0", "10.3.0.10/24 dev eth0", "fd02::10/64 dev eth0 nodad"]),
        ] {
            for address in addresses { try lab.ip("addr add \(address)") }
        }
        for (lab, number) in [(client, 1), (server, 2)] {
            try lab.ip("route add default via 10.\(number).0.1")
            try lab.ip("route add default via fd0\(number)::1")
        }
        try gateway.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    }

    func table() throws -> GateTable { GateTable(try Netlink(.netfilter, in: gateway.namespace)) }

    /// Whether a ping comes back.
    func reaches(_ target: String, from source: String) -> Bool {
        (try? client.exec("ping -n -q -c 1 -W 1 -I \(source) \(target)")) != nil
    }

    static let plan = GatePlan(sites: [
        GatePlan.Site(id: "a", networks: prefixes("10.2.0.0/16", "fd02::/64")),
        GatePlan.Site(id: "b", networks: prefixes("10.3.0.0/16")),
    ])
    static let client4 = IPAddress("10.1.0.10")!
    static let other4 = IPAddress("10.1.0.11")!
    static let client6 = IPAddress("fd01::10")!
    static var soon: Tick { SystemClock().now + .seconds(600) }
    static var now: Tick { SystemClock().now }
}

func prefixes(_ texts: String...) -> [IPPrefix] { texts.compactMap { IPPrefix($0) } }

private func expectSame(_ table: GateTable, _ gate: Gate, _ location: SourceLocation = #_sourceLocation) throws {
    let part = try table.difference(from: gate.ruleset)
    #expect(part == nil, "\(part ?? "") differs", sourceLocation: location)
}

@Suite("The gate in the kernel", .timeLimit(.minutes(5)))
struct GateTableTests {
    @Test("The kernel has what was put up, and nft reads it as the text says")
    func holds() throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(
            GatePlan(
                sites: GateLab.plan.sites, exempt: prefixes("10.1.0.5/32", "10.1.9.0/24", "fd01::5/128"),
                interfaces: ["lan", "lan2"], inbound: .replies, redirectPort: 8080))
        #expect(try table.difference(from: gate.ruleset) != nil)
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        gate.put(GateLab.client6, reaching: ["a", "b"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        try expectSame(table, gate)
        #expect(gate.difference(from: try table.standings(gate.places)).isEmpty)

        // nft's own reading of our text makes the very same rules.
        let listed = try lab.gateway.exec("nft -s list table inet gatehouse")
        let file = "/tmp/\(lab.gateway.name).nft"
        defer { _ = try? run("rm -f \(file)") }
        try run("cat > \(file) <<'END'\n\(gate.ruleset.text)END\n")
        try lab.gateway.exec("nft -f \(file)")
        try expectSame(table, gate)
        let relisted = try lab.gateway.exec("nft -s list table inet gatehouse")
        func rules(_ text: String) -> [Substring] {
            text.split(separator: "\n").filter { $0.contains("accept") || $0.contains("goto") || $0.contains("reject") || $0.contains("vmap") || $0.contains("redirect") }
        }
        #expect(rules(listed) == rules(relisted))
        #expect(try table.standings(gate.places).isEmpty && table.traffic().isEmpty)
    }

    @Test(
        "What someone else does to the table is seen",
        arguments: [
            "flush ruleset", "flush chain inet gatehouse outbound", "delete table inet gatehouse",
            "insert rule inet gatehouse forward accept", "add rule inet gatehouse refuse accept",
            "add element inet gatehouse exempt4 { 10.1.0.0/16 }", "flush map inet gatehouse to4",
            "delete element inet gatehouse remote4 { 10.2.0.0-10.3.255.255 }",
            "add chain inet gatehouse forward { policy drop; }",
        ])
    func foreignChange(command: String) async throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GateLab.plan)
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        let watcher = try NftablesWatcher(ignoring: table.port, in: lab.gateway.namespace)
        // Ours is not told, theirs is.
        try table.renewLease(.seconds(500))
        try lab.gateway.exec("nft '\(command)'")
        var changes = watcher.changes.makeAsyncIterator()
        _ = await changes.next()
        #expect(try table.difference(from: gate.ruleset) != nil)
        watcher.stop()
    }

    @Test("Only who stands in it passes, only to the sites, and what is put or removed holds at once")
    func passes() throws {
        let lab = try GateLab()
        let table = try lab.table()
        #expect(lab.reaches("10.2.0.10", from: "10.1.0.10") && lab.reaches("fd02::10", from: "fd01::10"))
        var gate = Gate(GateLab.plan)
        try table.install(gate.ruleset, [], lease: .seconds(600), now: GateLab.now)
        #expect(!lab.reaches("10.2.0.10", from: "10.1.0.10") && !lab.reaches("fd02::10", from: "fd01::10"))
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        gate.put(GateLab.client6, reaching: ["a"], until: GateLab.soon)
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(lab.reaches("10.2.0.10", from: "10.1.0.10") && lab.reaches("fd02::10", from: "fd01::10"))
        #expect(!lab.reaches("10.3.0.10", from: "10.1.0.10"), "another site is open")
        #expect(!lab.reaches("10.2.0.10", from: "10.1.0.11"), "another address is in")
        let standing = try #require(try table.traffic()[GateLab.client4])
        #expect(standing.packetsOut == 2 && standing.packetsIn == 1 && standing.bytesOut == 2 * 84)

        gate.put(GateLab.client4, reaching: ["b"], until: GateLab.soon)
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(!lab.reaches("10.2.0.10", from: "10.1.0.10") && lab.reaches("10.3.0.10", from: "10.1.0.10"))

        gate.remove(GateLab.client4)
        gate.remove(GateLab.client6)
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(!lab.reaches("10.3.0.10", from: "10.1.0.10") && !lab.reaches("fd02::10", from: "fd01::10"))
        #expect(try table.counters()["refused"] ?? 0 >= 5)
        try expectSame(table, gate)
        #expect(try table.remove() && lab.reaches("10.2.0.10", from: "10.1.0.10"))
        #expect(try !table.remove())
    }

    @Test("The remote side begins nothing, unless that is wanted; the exempt are as without a gate")
    func inbound() throws {
        let lab = try GateLab()
        let table = try lab.table()
        func comesIn(_ target: String) -> Bool { (try? lab.server.exec("ping -n -q -c 1 -W 1 \(target)")) != nil }
        var plan = GateLab.plan
        plan.exempt = prefixes("10.1.0.11/32")
        var gate = Gate(plan)
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        #expect(!comesIn("10.1.0.10") && lab.reaches("10.2.0.10", from: "10.1.0.10"))
        #expect(comesIn("10.1.0.11") && lab.reaches("10.3.0.10", from: "10.1.0.11"))
        plan.inbound = .all
        gate.use(plan)
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(comesIn("10.1.0.10") && !comesIn("fd01::10"))
        // An interface that is none of the local ones brings nobody in.
        plan.interfaces = ["elsewhere"]
        gate.use(plan)
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(!lab.reaches("10.2.0.10", from: "10.1.0.10"))
        plan.interfaces = ["lan"]
        gate.use(plan)
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(lab.reaches("10.2.0.10", from: "10.1.0.10"))
        try expectSame(table, gate)
    }

    @Test("Entries end by themselves, and nobody passes when the lease is over")
    func timeLimits() async throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GateLab.plan)
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        gate.put(GateLab.other4, reaching: ["a"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        #expect(lab.reaches("10.2.0.10", from: "10.1.0.10") && lab.reaches("10.2.0.10", from: "10.1.0.11"))
        _ = gate.takeChange()
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.now + .seconds(1))
        try table.apply(gate.takeChange(), now: GateLab.now)
        while lab.reaches("10.2.0.10", from: "10.1.0.10") { try await Task.sleep(for: .milliseconds(50)) }
        #expect(lab.reaches("10.2.0.10", from: "10.1.0.11"))
        try table.renewLease(.seconds(1))
        while lab.reaches("10.2.0.10", from: "10.1.0.11") { try await Task.sleep(for: .milliseconds(50)) }
        try table.renewLease(.seconds(600))
        #expect(lab.reaches("10.2.0.10", from: "10.1.0.11"))
        try table.renewLease(nil)
        #expect(!lab.reaches("10.2.0.10", from: "10.1.0.11"))
        _ = gate.takeChange()
        // An entry that the kernel has let go cannot be removed: the caller is told, and nothing has happened.
        gate.remove(GateLab.client4)
        gate.remove(GateLab.other4)
        let change = gate.takeChange()
        #expect(throws: NetlinkError.self) { try table.apply(change, now: GateLab.now) }
        #expect(try table.standings(gate.places).count == 1)
        try table.apply(gate.difference(from: try table.standings(gate.places)), now: GateLab.now)
        #expect(try table.standings(gate.places).isEmpty)
    }

    @Test("Sites come and go under those who are in")
    func sitesChange() throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GatePlan(sites: Array(GateLab.plan.sites.prefix(1))))
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        gate.put(GateLab.other4, reaching: ["a", "b"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        _ = gate.takeChange()
        for _ in 0..<2 {
            gate.use(GateLab.plan)
            try table.apply(gate.takeChange(), now: GateLab.now)
            try expectSame(table, gate)
            #expect(gate.difference(from: try table.standings(gate.places)).isEmpty)
            #expect(lab.reaches("10.2.0.10", from: "10.1.0.10") && !lab.reaches("10.3.0.10", from: "10.1.0.10"))
            #expect(lab.reaches("10.2.0.10", from: "10.1.0.11") && lab.reaches("10.3.0.10", from: "10.1.0.11"))
            gate.use(GatePlan(sites: Array(GateLab.plan.sites.suffix(1))))
            try table.apply(gate.takeChange(), now: GateLab.now)
            try expectSame(table, gate)
            #expect(gate.difference(from: try table.standings(gate.places)).isEmpty)
            #expect(!lab.reaches("10.3.0.10", from: "10.1.0.10") && lab.reaches("10.3.0.10", from: "10.1.0.11"))
        }
    }

    @Test("An address that stands in some of its sets only is seen")
    func halfAnEntry() throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GateLab.plan)
        gate.put(GateLab.client4, reaching: ["a"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        let site = Ruleset.set(of: try #require(gate.entries[GateLab.client4]?.places.first), .ipv4)
        for command in [
            "delete element inet gatehouse replies4 { 10.1.0.10 }", "add element inet gatehouse replies4 { 10.1.0.10 timeout 1h }",
            "delete element inet gatehouse \(site) { 10.1.0.10 }", "add element inet gatehouse everywhere4 { 10.1.0.10 timeout 1h }",
        ] {
            try lab.gateway.exec("nft '\(command)'")
            let isMended = command == "add element inet gatehouse replies4 { 10.1.0.10 timeout 1h }"
            #expect(gate.difference(from: try table.standings(gate.places)).isEmpty == isMended)
        }
    }

    @Test("A longer time that a change was to bring comes with what mends its failure")
    func failedProlongation() throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GateLab.plan)
        let now = GateLab.now
        for address in [GateLab.client4, GateLab.other4] {
            gate.put(address, reaching: ["a"], until: now + .seconds(600))
        }
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: now)
        _ = gate.takeChange()
        let site = Ruleset.set(of: try #require(gate.entries[GateLab.client4]?.places.first), .ipv4)
        for set in [Ruleset.outboundSet(.ipv4), Ruleset.inboundSet(.ipv4), site] {
            try lab.gateway.exec("nft 'delete element inet gatehouse \(set) { 10.1.0.11 }'")
        }
        gate.put(GateLab.client4, reaching: ["a"], until: now + .seconds(3000))
        gate.remove(GateLab.other4)
        let failed = gate.takeChange()
        #expect(throws: NetlinkError.self) { try table.apply(failed, now: now) }

        // Everyone stands where they should, and one of them for too short a time.
        let standings = try table.standings(gate.places)
        #expect(gate.difference(from: standings).isEmpty)
        let repair = gate.difference(from: standings, renewing: Set(failed.added.map(\.address)))
        #expect(repair.removed.map(\.address) == [GateLab.client4])
        #expect(repair.added.map(\.until) == [now + .seconds(3000)])
        for (set, isRepaired) in [(Ruleset.outboundSet(.ipv4), false), (site, true)] {
            if isRepaired { try table.apply(repair, now: now) }
            let listed = try lab.gateway.exec("nft list set inet gatehouse \(set)")
            #expect(listed.contains(isRepaired ? "timeout 50m" : "timeout 10m"))
        }
        #expect(gate.difference(from: try table.standings(gate.places)).isEmpty)
    }

    @Test("Many entries go in and out in large transactions")
    func manyEntries() throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GateLab.plan)
        let first = try #require(IPAddress("172.16.0.1"))
        let first6 = try #require(IPAddress("fd01::1:0:0:1"))
        for number in 0..<25_000 {
            gate.put((number % 2 == 0 ? first : first6).advanced(by: number), reaching: [["a"], ["b"], ["a", "b"], []][number % 4], until: GateLab.soon)
        }
        _ = gate.takeChange()
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        #expect(try table.standings(gate.places).count == 25_000 && table.traffic().count == 25_000)
        #expect(gate.difference(from: try table.standings(gate.places)).isEmpty)
        for address in gate.entries.keys.prefix(20_000) { gate.remove(address) }
        try table.apply(gate.takeChange(), now: GateLab.now)
        #expect(gate.difference(from: try table.standings(gate.places)).isEmpty)
    }

    @Test("Connections of one address towards one side are forgotten, and no others")
    func conntrack() throws {
        let lab = try GateLab()
        let table = try lab.table()
        var gate = Gate(GateLab.plan)
        gate.put(GateLab.client4, reaching: ["a", "b"], until: GateLab.soon)
        gate.put(GateLab.other4, reaching: ["a", "b"], until: GateLab.soon)
        gate.put(GateLab.client6, reaching: ["a", "b"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        for (source, target) in [
            ("10.1.0.10", "10.2.0.10"), ("10.1.0.10", "10.3.0.10"), ("10.1.0.11", "10.2.0.10"), ("fd01::10", "fd02::10"),
        ] {
            #expect(lab.reaches(target, from: source))
        }
        let conntrack = try Netlink(.netfilter, in: lab.gateway.namespace)
        let far = try #require(IPAddress("10.2.0.10"))
        #expect(try conntrack.forgetConnections(of: [GateLab.client4], .ipv4) { $0 == far } == 1)
        #expect(try conntrack.forgetConnections(of: [GateLab.client4], .ipv4) { $0 == far } == 0)
        #expect(try conntrack.forgetConnections(of: [GateLab.client6], .ipv6) { _ in true } == 1)
        #expect(try conntrack.forgetConnections(of: [GateLab.client4, GateLab.other4], .ipv4) { _ in true } == 2)
    }

    @Test("Web traffic of others is led to a port of ours, that of the signed-in goes on")
    func redirect() async throws {
        let lab = try GateLab()
        let table = try lab.table()
        var plan = GateLab.plan
        plan.redirectPort = 8080
        var gate = Gate(plan)
        gate.put(GateLab.other4, reaching: ["a"], until: GateLab.soon)
        try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(600), now: GateLab.now)
        try lab.gateway.exec("sh -c 'socat TCP-LISTEN:8080,fork,reuseaddr SYSTEM:\"echo sign in\" >/dev/null 2>&1 & echo $! > /tmp/\(lab.gateway.name).pid'")
        try lab.server.exec("sh -c 'socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:\"echo inside\" >/dev/null 2>&1 & echo $! > /tmp/\(lab.server.name).pid'")
        defer {
            for name in [lab.gateway.name, lab.server.name] {
                _ = try? run("kill $(cat /tmp/\(name).pid); rm -f /tmp/\(name).pid")
            }
        }
        func web(from source: String, _ target: String) async throws -> String {
            for _ in 0..<50 {
                if let text = try? lab.client.exec("socat -t 5 - TCP:\(target):80,bind=\(source) </dev/null"), !text.isEmpty { return text }
                try await Task.sleep(for: .milliseconds(100))
            }
            return "no answer"
        }
        #expect(try await web(from: "10.1.0.10", "10.2.0.10") == "sign in\n")
        #expect(try await web(from: "10.1.0.11", "10.2.0.10") == "inside\n")
        #expect(try await web(from: "10.1.0.11", "10.3.0.10") == "sign in\n", "where the signed-in may not go, the page says so")
    }
}
