import Base
import Dispatch
import Glibc
import Synchronization
import Testing
import Tunnels

@testable import Host

private func prefix(_ text: String) -> IPPrefix { IPPrefix(text) ?? .all(.ipv6) }

@Suite("The difference of two route tables")
struct KernelRouteChangesTests {
    private let first = KernelRoute(destination: prefix("10.0.0.0/16"), interface: 1, metric: 100)
    private let second = KernelRoute(destination: prefix("10.0.0.0/16"), interface: 2, metric: 200)

    @Test("Equal tables need nothing, in whatever order and form they are written")
    func equal() {
        #expect(RouteChanges(from: [first, second], to: [second, first]).isEmpty)
        let written = KernelRoute(destination: prefix("fd00::5/48"), interface: 1)
        let kept = KernelRoute(destination: prefix("fd00::/48"), interface: 1, metric: 1024)
        #expect(RouteChanges(from: [kept], to: [written]).isEmpty)
        let blocked = KernelRoute(destination: prefix("fd00::/48"), kind: .unreachable, interface: 1, metric: 9)
        var lo = blocked
        lo.interface = nil
        #expect(RouteChanges(from: [lo], to: [blocked]).isEmpty)
    }

    @Test("A new metric is an addition and a removal, another interface with the same metric one replacement")
    func failover() {
        var moved = second
        moved.metric = 50
        #expect(RouteChanges(from: [first], to: [moved]) == RouteChanges(added: [moved], removed: [first]))
        var swapped = first
        swapped.interface = 2
        #expect(RouteChanges(from: [first, second], to: [swapped, second]) == RouteChanges(replaced: [swapped]))
        var blocked = first
        blocked.kind = .unreachable
        #expect(RouteChanges(from: [first], to: [blocked]) == RouteChanges(replaced: [blocked]))
    }

    @Test("Of two wanted routes for one place the first counts")
    func rivals() {
        var rival = first
        rival.interface = 7
        #expect(RouteChanges(from: [], to: [first, rival]) == RouteChanges(added: [first]))
    }

    @Test("Applying the difference gives the wanted table, whatever the two were")
    func property() {
        var generator = SplitMix(state: 47)
        func table() -> [KernelRoute] {
            (0..<Int(generator.next() % 8)).map { _ in
                KernelRoute(
                    destination: prefix(generator.next() % 2 == 0 ? "10.0.0.0/8" : "fd00::/16"),
                    kind: generator.next() % 4 == 0 ? .unreachable : .unicast,
                    interface: UInt32(generator.next() % 3), metric: UInt32(1 + generator.next() % 3)
                ).normalized
            }
        }
        func unique(_ routes: [KernelRoute]) -> [KernelRoute] {
            var seen: Set<KernelRoute.Key> = []
            return routes.filter { seen.insert($0.key).inserted }
        }
        for _ in 0..<2000 {
            let present = unique(table())
            let wanted = table()
            let changes = RouteChanges(from: present, to: wanted)
            var result = Set(present)
            for route in changes.added {
                #expect(!result.contains { $0.key == route.key })
                result.insert(route)
            }
            for route in changes.replaced {
                #expect(result.contains { $0.key == route.key })
                result = result.filter { $0.key != route.key }
                result.insert(route)
            }
            for route in changes.removed { #expect(result.remove(route) != nil) }
            #expect(result == Set(unique(wanted)))
        }
    }
}

@Suite("Reconciling routes with the running kernel")
struct KernelRouteTableTests {
    let lab: KernelLab
    let netlink: Netlink
    let table: RouteTable

    init() throws {
        lab = try KernelLab()
        try lab.addPair("gh0", "far0")
        try lab.addPair("gh1", "far1")
        netlink = try Netlink(in: lab.namespace)
        table = RouteTable(netlink)
    }

    private func route(_ destination: String, _ interface: String, _ metric: UInt32) -> TunnelRoute {
        TunnelRoute(destination: prefix(destination), interface: interface, metric: metric)
    }

    @Test("Routes appear, stay untouched when nothing changed, move on failover, and go")
    func life() throws {
        let wanted = [
            route("10.0.0.0/16", "gh0", 100), route("10.0.0.0/16", "gh1", 200), route("fd00::/48", "gh0", 100),
        ]
        #expect(try table.reconcile(wanted).added.count == 3)
        #expect(try table.reconcile(wanted).isEmpty)
        #expect(try lab.ip("route get 10.0.5.5").contains("dev gh0"))

        let failedOver = [
            route("10.0.0.0/16", "gh1", 100), route("10.0.0.0/16", "gh0", 200), route("fd00::/48", "gh1", 100),
        ]
        let changes = try table.reconcile(failedOver)
        #expect(changes.replaced.count == 3 && changes.added.isEmpty && changes.removed.isEmpty)
        #expect(try lab.ip("route get 10.0.5.5").contains("dev gh1"))
        #expect(try lab.ip("-6 route get fd00::5").contains("dev gh1"))

        try table.removeAll()
        #expect(try table.present().isEmpty)
        try table.removeAll()
    }

    @Test("Someone takes a route away: the next reconciliation brings it back")
    func mending() throws {
        let wanted = [route("10.0.0.0/16", "gh0", 100)]
        try table.reconcile(wanted)
        try lab.ip("route del 10.0.0.0/16")
        #expect(try table.reconcile(wanted).added.map(\.destination) == [prefix("10.0.0.0/16")])
    }

    @Test("An unreachable route stops packets that would leave by the default route")
    func unreachable() throws {
        try lab.ip("route add default dev far1")
        var block = route("10.0.0.0/16", "", 4_000_000)
        block.isUnreachable = true
        var block6 = route("fd00::/48", "", 4_000_000)
        block6.isUnreachable = true
        try table.reconcile([block, block6, route("10.0.0.0/16", "gh0", 100)])
        #expect(try lab.ip("route get 10.0.5.5").contains("dev gh0"))
        try table.reconcile([block, block6])
        #expect(throws: CannotRun.self) { try lab.ip("route get 10.0.5.5") }
        #expect(try table.reconcile([block, block6]).isEmpty)
        #expect(try lab.ip("-6 route show proto 71").contains("unreachable fd00::/48"))
    }

    @Test("Routes of others stay, and one in the way is named")
    func foreign() throws {
        try lab.ip("route add 10.0.0.0/16 dev gh1 metric 100 proto static")
        try lab.ip("route add 10.7.0.0/16 dev gh1 proto bird")
        let error = #expect(throws: RouteTable.Incomplete.self) {
            try table.reconcile([route("10.0.0.0/16", "gh0", 100), route("10.1.0.0/16", "gh0", 100)])
        }
        #expect(error?.description.contains("another program has a route") == true)
        // The other route was made all the same.
        #expect(error?.changes.added.map(\.destination) == [prefix("10.1.0.0/16")])
        try table.removeAll()
        let left = try lab.ip("route show")
        #expect(left.contains("10.0.0.0/16 dev gh1 proto static") && left.contains("10.7.0.0/16 dev gh1 proto bird"))
        #expect(!left.contains("proto 71"))
    }

    @Test("A change of some routes looks at no others, and fails when they were not as they had been left")
    func change() throws {
        let (first, second) = (route("10.0.0.0/16", "gh0", 100), route("10.0.0.0/16", "gh1", 201))
        let other = route("10.9.0.0/16", "gh1", 100)
        try table.reconcile([first, second, other])
        let moved = [route("10.0.0.0/16", "gh1", 100), .unreachable(prefix("10.0.0.0/16"), metric: 4_000_000)]
        let changes = try table.change(from: [first, second], to: moved)
        #expect(changes.added.count == 1 && changes.replaced.count == 1 && changes.removed.count == 1)
        #expect(try table.reconcile(moved + [other]).isEmpty)

        try lab.ip("route add 10.5.0.0/16 dev gh0 metric 100 proto 71")
        #expect(throws: RouteTable.Incomplete.self) {
            try table.change(from: [], to: [route("10.5.0.0/16", "gh1", 100)])
        }
        // Those into an interface that has gone went with it.
        try lab.ip("link delete gh0")
        #expect(try table.change(from: [first], to: []).isEmpty)
    }

    @Test("When the successor cannot be made the old route stays")
    func noGap() throws {
        try table.reconcile([route("10.0.0.0/16", "gh0", 100)])
        let error = #expect(throws: RouteTable.Incomplete.self) {
            try table.reconcile([route("10.0.0.0/16", "gh9", 50)])
        }
        #expect(error?.description.contains("there is no interface gh9") == true)
        #expect(try table.present().count == 1)
    }

    @Test("There is a route at every moment of a failover")
    func everyMoment() throws {
        // No default route here: a packet that finds a gap fails with ENETUNREACH at once.
        try netlink.addAddress(prefix("169.254.10.2/32"), to: "gh0")
        try table.reconcile([route("10.0.0.0/16", "gh0", 100)])
        let sender = try lab.namespace.run { socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
        defer { close(sender) }
        let traffic = Traffic()
        let done = DispatchSemaphore(value: 0)
        DispatchQueue.global().async {
            traffic.flow(from: sender)
            done.signal()
        }
        // By another metric (add, then remove) and with the same one (replace), back and forth, under traffic.
        var round = 0
        while round < 500 || traffic.sent.load(ordering: .relaxed) < 1000 {
            let name = round.isMultiple(of: 2) ? "gh1" : "gh0"
            try table.reconcile([route("10.0.0.0/16", name, 50 + UInt32(round / 2 % 3))])
            round += 1
        }
        traffic.isOver.store(true, ordering: .relaxed)
        done.wait()
        // A look-up that holds the old route at the very instant in which the kernel marks it dead finds none: that
        // instant is the kernel's own, and met about once in a thousand failovers. Removing first is met in most.
        #expect(traffic.unrouted.load(ordering: .relaxed) * 50 <= round)
        // The witness works: without a route it does see the gap.
        try table.removeAll()
        #expect(throws: CannotRun.self) { try lab.ip("route get 10.0.5.5") }
    }
}

/// Datagrams into 10.0.0.0/16, one after the other, and how many of them found no route.
private final class Traffic: Sendable {
    let isOver = Atomic(false)
    let sent = Atomic(0)
    let unrouted = Atomic(0)

    func flow(from socket: Int32) {
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = UInt16(9).bigEndian
        target.sin_addr.s_addr = UInt32(0x0A00_0505).bigEndian
        while !isOver.load(ordering: .relaxed) {
            let result = withUnsafePointer(to: &target) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(socket, "x", 1, Int32(MSG_DONTWAIT), $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            sent.add(1, ordering: .relaxed)
            if result < 0, errno == ENETUNREACH { unrouted.add(1, ordering: .relaxed) }
        }
    }
}
