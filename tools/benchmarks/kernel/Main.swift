import Base
import Cryptography
import Glibc
import Host
import IKE
import Tunnels

/// How the kernel data path's cost grows with the number of tunnels.
///
///     bench-kernel policies N…    three policies a tunnel, no more: any kernel with XFRM
///     bench-kernel routes N…      two routes a tunnel: any kernel
///     bench-kernel supervisor N…  the supervisor and its status answer: no kernel
///     bench-kernel tunnels N…     interface, addresses, SAs and policies of each tunnel: needs ESP in the kernel
@main struct BenchKernel {
    static func main() async throws {
        var arguments = CommandLine.arguments.dropFirst()
        let kind = arguments.popFirst()
        let counts = arguments.compactMap { Int($0) }
        for count in counts {
            switch kind {
            case "policies": try policies(count)
            case "routes": try routes(count)
            case "supervisor": try supervised(count)
            case "tunnels": try await tunnels(count)
            default: break
            }
        }
        guard !counts.isEmpty, ["policies", "routes", "supervisor", "tunnels"].contains(kind) else {
            print("bench-kernel policies|routes|supervisor|tunnels COUNT…")
            exit(2)
        }
    }

    static let clock = SystemClock()

    static func figure(_ name: String, _ count: Int, _ span: Tick.Span, each: Bool = false) {
        if each {
            print("figure kernel_\(count)_\(name) \(Double(Int(span.nanoseconds) / count) / 1000) us")
        } else {
            print("figure kernel_\(count)_\(name) \((span.milliseconds * 1000).rounded() / 1000) ms")
        }
    }

    static func time(_ body: () throws -> Void) rethrows -> Tick.Span {
        let begun = clock.now
        try body()
        return clock.now - begun
    }

    static func time(_ body: () async throws -> Void) async rethrows -> Tick.Span {
        let begun = clock.now
        try await body()
        return clock.now - begun
    }

    /// Kilobytes of resident memory.
    static var resident: Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, 256, file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? 0) * 4 : 0
    }

    // MARK: - Policies alone

    static func policies(_ count: Int) throws {
        try NetworkNamespace.runInNew {
            let netlink = try Netlink(.xfrm)
            let all = (0..<count).flatMap { number in
                [KernelPolicy.Direction.input, .forward, .output].map { direction in
                    KernelPolicy(
                        direction: direction, selector: .all(.ipv4), interfaceID: 0x4748_0001 + UInt32(number),
                        priority: 1000,
                        template: KernelPolicy.Template(
                            requestID: 0x4748_0001 + UInt32(number), family: .ipv4))
                }
            }
            figure("policies_install", count, try time { for policy in all { try netlink.addPolicy(policy) } })
            var found = 0
            figure("policies_read", count, try time { found = try netlink.policies().count })
            guard found == all.count else { fatalError("\(found) of \(all.count) policies were found") }
            var one = all[all.count / 2]
            one.priority = 900
            figure("policies_change_one", count, try time { try netlink.replacePolicy(one) })
            for policy in all { try netlink.deletePolicy(policy.id) }
        }
    }

    // MARK: - Routes alone

    /// All into one interface: what a route costs does not depend on where it leads.
    static func routes(_ count: Int) throws {
        try NetworkNamespace.runInNew {
            let netlink = try Netlink()
            try netlink.setLink("lo", isUp: true)
            let table = RouteTable(netlink)
            func routes(_ number: Int, metric: UInt32) -> [TunnelRoute] {
                [
                    TunnelRoute(destination: network(number), interface: "lo", metric: metric),
                    .unreachable(network(number), metric: 4_000_000),
                ]
            }
            let all = (0..<count).flatMap { routes($0, metric: 100) }
            figure("routes_install", count, try time { try table.reconcile(all) }, each: true)
            var isEmpty = false
            figure("routes_reconcile_unchanged", count, try time { isEmpty = try table.reconcile(all).isEmpty })
            guard isEmpty else { fatalError("differences where nothing changed") }
            let samples = try (0..<11).map { round in
                let number = (count / 2 + round * 7) % count
                return try time {
                    try table.change(from: routes(number, metric: 100), to: routes(number, metric: 201))
                }
            }
            figure("routes_change_one", count, samples.sorted()[5])
            try table.removeAll()
        }
    }

    // MARK: - Whole tunnels

    static func child(_ number: Int, generation: UInt32 = 0) -> ChildSA {
        let local = IPAddress.v4(0xC633_6402)
        let remote = IPAddress.v4(0xCB00_0000 + UInt32(number) + 2)
        let now = clock.now
        return ChildSA(
            connection: ConnectionID(UInt32(number) + 1), ikeSA: IKESAID(UInt64(number) + 1),
            spiIn: 0x1000_0000 + generation << 20 + UInt32(number), spiOut: 0x2000_0000 + generation << 20 + UInt32(number),
            suite: ESPSuite(encryption: .aes128gcm16, integrity: nil, group: nil, esn: false),
            encryptionKeyIn: Secret(SystemRandom.bytes(20)), encryptionKeyOut: Secret(SystemRandom.bytes(20)),
            integrityKeyIn: Secret([UInt8]()), integrityKeyOut: Secret([UInt8]()),
            localSelectors: [TrafficSelector(.all(.ipv4))], remoteSelectors: [TrafficSelector(.all(.ipv4))],
            path: Path(local: Endpoint(local, 500), remote: Endpoint(remote, 500), isNATPort: false),
            replayWindow: 1024, rekeyAt: now + .seconds(3000), expiresAt: now + .seconds(3600), replaces: nil)
    }

    static func link(_ number: Int, mtu: Int = 1400) -> TunnelLink {
        let address = IPAddress.v4(0x0A80_0000 + UInt32(number) * 4 + 2)
        return TunnelLink(
            interface: "gh\(number)", tunnel: "tunnel-\(number)",
            addresses: [IPPrefix(address, length: 30)].compactMap { $0 }, mtu: mtu, mss: nil)
    }

    static func tunnels(_ count: Int) async throws {
        let before = resident
        let path = try KernelDataPath()
        figure(
            "links", count,
            try await time { for number in 0..<count { try await path.openTunnel(link(number)) } }, each: true)
        figure(
            "install", count,
            try await time {
                for number in 0..<count {
                    try await path.install(child(number), interface: "gh\(number)", outbound: true)
                }
            }, each: true)
        // The second time, when everything is in the caches.
        _ = try await path.inspect()
        var differences = 0
        figure("reconcile_unchanged", count, try await time { differences = try await path.inspect() })
        guard differences == 0 else { fatalError("\(differences) differences where nothing changed") }
        var samples: [Tick.Span] = []
        for round in 0..<11 {
            let number = (count / 2 + round * 7) % count
            samples.append(
                try await time {
                    try await path.openTunnel(link(number, mtu: 1390))
                    try await path.install(child(number, generation: 1 + UInt32(round)), interface: "gh\(number)", outbound: true)
                    await path.remove(spiIn: child(number).spiIn)
                })
        }
        figure("reconcile_one_change", count, samples.sorted()[5])
        _ = await path.counters()
        figure("counters_of_all", count, await time { _ = await path.counters() })
        print("figure kernel_\(count)_resident_growth \(resident - before) KiB")
        figure("shut_down", count, await time { await path.shutDown() })
    }
}
