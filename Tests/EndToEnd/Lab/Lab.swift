internal import Foundation
internal import Glibc
internal import Synchronization
internal import Testing

/// The hosts of the lab, each in a network namespace of its own.
///
///     client - gateway - (nat) - internet - aws1, aws2 - vpc
enum Host: String, CaseIterable, Sendable {
    case client, gateway, nat, internet, aws1, aws2, vpc
}

/// Addresses of the lab.
struct Topology: Sendable {
    /// The customer gateway's public address: the gateway's own, or the NAT's.
    var customer = "198.51.100.7"
    /// The outside addresses of the two AWS endpoints.
    var endpoints = ["203.0.113.13", "203.0.113.118"]
    /// True puts the gateway on a private network behind a masquerading router.
    var isBehindNAT = false

    static let client = "10.1.0.10"
    static let vpc = "10.2.0.10"
    static let localNetwork = "10.1.0.0/16"
    static let remoteNetwork = "10.2.0.0/16"
    static let privateGateway = "192.168.77.2"

    /// The same in IPv6: the gateway and the first endpoint outside, the client and the VPC's host inside.
    static let customer6 = "2001:db8:51::7"
    static let endpoint6 = "2001:db8:113::13"
    static let client6 = "2001:db8:1::10"
    static let vpc6 = "2001:db8:2::10"
    static let localNetwork6 = "2001:db8:1::/48"
    static let remoteNetwork6 = "2001:db8:2::/48"

    /// The address that the gateway sends from.
    var gateway: String { isBehindNAT ? Self.privateGateway : customer }
}

/// One private network with its processes: made for one test and always taken away with all that ran in it.
final class Lab: Sendable {
    let topology: Topology
    /// Logs, configurations and sockets. Short, because a socket's path has at most 107 bytes.
    let folder: String
    private let prefix: String
    private let children = Mutex<[Child]>([])

    /// Runs `body` in a new lab. When it fails, the logs of the lab's daemons are recorded with the failure.
    static func with(_ topology: Topology = Topology(), _ body: (Lab) async throws -> Void) async throws {
        guard geteuid() == 0 else {
            throw LabError("The end-to-end tests need root, to make network namespaces. Run tools/test as root.")
        }
        await removeStaleLabs.value
        try await lanes.enter()
        do {
            let lab = try Lab(topology)
            do {
                try await lab.build()
                try await body(lab)
            } catch {
                Issue.record("\(error)\n\(lab.logs)")
            }
            await lab.remove(keepingLogsOf: Test.current?.name ?? "lab")
        } catch {
            Issue.record("\(error)")
        }
        await lanes.leave()
    }

    private init(_ topology: Topology) throws {
        self.topology = topology
        let number = Self.count.add(1, ordering: .relaxed).newValue
        prefix = "\(Self.family)-\(number)"
        folder = "/tmp/\(prefix)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    func namespace(_ host: Host) -> String { "\(prefix)-\(host)" }

    /// A path in the lab's folder.
    func file(_ name: String) -> String { folder + "/" + name }

    func write(_ text: String, to name: String) throws -> String {
        let path = file(name)
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    /// Tells the programs of a host that are started from now on which names stand for which addresses.
    func setNames(_ addresses: [String: String], on host: Host) throws {
        let folder = Self.namesFolder + namespace(host)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let lines = (["127.0.0.1 localhost"] + addresses.map { "\($0.value) \($0.key)" }).joined(separator: "\n")
        try (lines + "\n").write(toFile: folder + "/hosts", atomically: true, encoding: .utf8)
    }

    // MARK: Processes

    /// Starts a program on a host of the lab. It ends with the lab at the latest.
    func start(
        _ name: String, _ arguments: [String], on host: Host, environment: [String: String] = [:], log: String
    ) throws -> Child {
        let program = name.hasPrefix("/") ? Program(path: name) : try Program(name)
        // `ip netns exec` becomes the program itself, so the process ID is the program's.
        let child = try Child(
            Program("ip"), ["netns", "exec", namespace(host), program.path] + arguments, environment: environment,
            logFile: file(log))
        children.withLock { $0.append(child) }
        return child
    }

    func run(_ name: String, _ arguments: [String], on host: Host, seconds: Double = 30) async throws -> Output {
        _ = try Program(name)
        return try await EndToEndTests.run(
            "ip", ["netns", "exec", namespace(host), name] + arguments, seconds: seconds)
    }

    @discardableResult
    func must(_ name: String, _ arguments: [String], on host: Host, seconds: Double = 30) async throws -> String {
        _ = try Program(name)
        return try await EndToEndTests.must(
            "ip", ["netns", "exec", namespace(host), name] + arguments, seconds: seconds)
    }

    /// What `ip` answers on a host.
    func ip(_ arguments: [String], on host: Host) async throws -> String {
        try await EndToEndTests.must("ip", ["-n", namespace(host)] + arguments)
    }

    /// The routes of a host in all tables, without those that IPv6 makes by itself a while after a link is up.
    func routes(of host: Host) async throws -> Set<String> {
        let lines = try await ip(["route", "show", "table", "all"], on: host).split(separator: "\n").map(String.init)
        return Set(lines.filter { !$0.contains("fe80::") && !$0.contains("ff00::") && !$0.hasPrefix("anycast") })
    }

    /// The names of the interfaces of a host, without the loopback.
    func interfaces(of host: Host) async throws -> Set<String> {
        let lines = try await ip(["-o", "link", "show"], on: host).split(separator: "\n")
        return Set(
            lines.compactMap { line in
                line.split(separator: " ").dropFirst().first.map { $0.prefix { $0 != ":" && $0 != "@" } }.map(
                    String.init)
            }
        ).subtracting(["lo"])
    }

    // MARK: Building and removing

    private func build() async throws {
        let hosts = Host.allCases.filter { $0 != .nat || topology.isBehindNAT }
        for host in hosts {
            try await EndToEndTests.must("ip", ["netns", "add", namespace(host)])
            let forwards = host != .client && host != .vpc
            var settings = ["rp_filter=0", "send_redirects=0", "accept_redirects=0"].flatMap {
                ["net.ipv4.conf.all." + $0, "net.ipv4.conf.default." + $0]
            }
            if forwards { settings += ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] }
            try await must("sysctl", ["-qw"] + settings, on: host)
        }
        for host in hosts {
            let commands = self.commands(for: host).joined(separator: "\n") + "\n"
            let path = try write(commands, to: "\(host).batch")
            try await EndToEndTests.must("ip", ["-n", namespace(host), "-batch", path])
        }
        if topology.isBehindNAT {
            let rules = """
                table ip lab {
                    chain out {
                        type nat hook postrouting priority 100;
                        oifname "wan" masquerade
                    }
                }

                """
            try await must("nft", ["-f", write(rules, to: "nat.rules")], on: .nat)
        }
    }

    /// The `ip` commands that set a host up. A link is made by its first end, in the order of ``Host``.
    private func commands(for host: Host) -> [String] {
        func link(_ name: String, to other: Host, as peer: String) -> String {
            "link add \(name) type veth peer name \(peer) netns \(namespace(other))"
        }
        let endpoints = topology.endpoints
        switch host {
        case .client:
            return [
                "link set lo up", link("eth0", to: .gateway, as: "lan"), "link set eth0 up",
                "addr add \(Topology.client)/24 dev eth0", "route add default via 10.1.0.1 onlink dev eth0",
                "addr add \(Topology.client6)/64 dev eth0 nodad", "route add default via 2001:db8:1::1 dev eth0",
            ]
        case .gateway:
            return [
                "link set lo up", link("wan", to: topology.isBehindNAT ? .nat : .internet, as: "customer"),
                "link set lan up", "link set wan up", "addr add 10.1.0.1/24 dev lan",
                "addr add \(topology.gateway)/24 dev wan",
                "route add default via \(Self.firstAddress(topology.gateway)) onlink dev wan",
                "addr add 2001:db8:1::1/64 dev lan nodad", "addr add \(Topology.customer6)/64 dev wan nodad",
                "route add default via 2001:db8:51::1 dev wan",
            ]
        case .nat:
            return [
                "link set lo up", link("wan", to: .internet, as: "customer"), "link set customer up",
                "link set wan up", "addr add 192.168.77.1/24 dev customer", "addr add \(topology.customer)/24 dev wan",
                "route add default via \(Self.firstAddress(topology.customer)) onlink dev wan",
            ]
        case .internet:
            return [
                "link set lo up", "link set customer up",
                "addr add \(Self.firstAddress(topology.customer))/24 dev customer",
                "addr add 2001:db8:51::1/64 dev customer nodad",
            ]
                + zip(["aws1", "aws2"], endpoints).flatMap { name, address in
                    [
                        link(name, to: name == "aws1" ? .aws1 : .aws2, as: "wan"), "link set \(name) up",
                        "addr add 203.0.113.1/32 dev \(name)", "route add \(address) dev \(name)",
                    ]
                } + ["addr add 2001:db8:113::1/64 dev aws1 nodad"]
        case .aws1, .aws2:
            let number = host == .aws1 ? 1 : 2
            let ipv6 = [
                "addr add \(Topology.endpoint6)/64 dev wan nodad", "route add default via 2001:db8:113::1 dev wan",
                "addr add 2001:db8:2::1/64 dev lan nodad",
            ]
            return [
                "link set lo up", link("lan", to: .vpc, as: "\(host)"), "link set lan up", "link set wan up",
                "addr add \(endpoints[number - 1])/32 dev wan", "route add 203.0.113.1 dev wan",
                "route add default via 203.0.113.1", "addr add 10.2.0.\(number)/24 dev lan",
                // Without a tunnel of its own, an endpoint hands the customer's traffic to the other one.
                "route add \(Topology.localNetwork) via 10.2.0.\(3 - number) metric 30000",
            ] + (host == .aws1 ? ipv6 : [])
        case .vpc:
            return [
                "link set lo up", "link add vpc0 type bridge", "link set aws1 master vpc0", "link set aws2 master vpc0",
                "link set aws1 up", "link set aws2 up", "link set vpc0 up", "addr add \(Topology.vpc)/24 dev vpc0",
                "route add default via 10.2.0.1", "addr add \(Topology.vpc6)/64 dev vpc0 nodad",
                "route add default via 2001:db8:2::1 dev vpc0",
            ]
        }
    }

    /// The router's address in the /24 of an address.
    private static func firstAddress(_ address: String) -> String {
        address.split(separator: ".").dropLast().joined(separator: ".") + ".1"
    }

    /// Where GATEHOUSE_LAB_LOGS names a folder, the logs stay in there, under the test's name.
    private func remove(keepingLogsOf test: String) async {
        for child in children.withLock({ $0 }) where child.exitStatus == nil { await child.end(seconds: 3) }
        if let logs = ProcessInfo.processInfo.environment["GATEHOUSE_LAB_LOGS"] {
            let target = logs + "/" + test.prefix { $0 != "(" } + "-" + prefix
            try? FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            where name.hasSuffix(".log") {
                try? FileManager.default.copyItem(atPath: file(name), toPath: target + "/" + name)
            }
        }
        await Self.remove(namespaces: Host.allCases.map(namespace))
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func remove(namespaces: [String]) async {
        for name in namespaces { try? FileManager.default.removeItem(atPath: namesFolder + name) }
        for name in namespaces where access("/run/netns/" + name, F_OK) == 0 {
            // Whatever a daemon left behind in the namespace would keep it alive.
            let inside = (try? await EndToEndTests.run("ip", ["netns", "pids", name]).text) ?? ""
            for pid in inside.split(separator: "\n").compactMap({ pid_t($0) }) { kill(pid, SIGKILL) }
            _ = try? await EndToEndTests.run("ip", ["netns", "delete", name])
        }
    }

    /// The end of each log, for a failure's record.
    private var logs: String {
        children.withLock { $0 }.map { child in
            let lines = child.log.split(separator: "\n", omittingEmptySubsequences: false).suffix(60)
            return "--- \((child.logFile as NSString).lastPathComponent)\n" + lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    // MARK: Several labs at a time

    private static let count = Atomic<Int>(0)
    /// Where `ip netns exec` looks for a namespace's own files of /etc.
    private static let namesFolder = "/etc/netns/"
    private static let lanes = Lanes(width: 4)

    /// The first part of our names: it says which process they belong to, so that a later run can remove
    /// what a killed one left.
    private static let family: String =
        ProcessInfo.processInfo.environment["GATEHOUSE_LAB"] ?? "gh-e2e-\(getpid()).\(startTime(of: getpid()) ?? 0)"

    private static let removeStaleLabs = Task {
        let names = ["/run/netns", namesFolder].flatMap {
            (try? FileManager.default.contentsOfDirectory(atPath: $0)) ?? []
        }
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: "/tmp")) ?? []
        await remove(namespaces: names.filter(isStale))
        for folder in folders where isStale(folder) { try? FileManager.default.removeItem(atPath: "/tmp/" + folder) }
    }

    /// True for a name `gh-e2e-PID.START-…` whose process has gone.
    private static func isStale(_ name: String) -> Bool {
        let parts = name.split(separator: "-")
        guard parts.count >= 3, parts[0] == "gh", parts[1] == "e2e" else { return false }
        let owner = parts[2].split(separator: ".")
        guard owner.count == 2, let pid = pid_t(owner[0]), let start = UInt64(owner[1]) else { return false }
        return startTime(of: pid) != start
    }

    /// When a process started, in clock ticks since boot: with its number it is unique.
    private static func startTime(of pid: pid_t) -> UInt64? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let afterName = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: afterName)...].split(separator: " ")
        return fields.count > 19 ? UInt64(fields[19]) : nil
    }
}

/// Lets a number of tests run at a time, in the order in which they came.
private actor Lanes {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(width: Int) { free = width }

    func enter() async throws {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
        try Task.checkCancellation()
    }

    func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
