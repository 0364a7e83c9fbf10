import Base
import Testing

@testable import Host

@Suite("Watching the kernel's changes", .timeLimit(.minutes(5)))
struct KernelWatcherTests {
    @Test("Links, addresses and routes that come and go are told, whoever changed them")
    func events() async throws {
        let lab = try KernelLab()
        let watcher = try KernelWatcher(in: lab.namespace)
        var events = watcher.events.makeAsyncIterator()
        /// Passes over the events in between, such as IPv6's own.
        func wait(for isWanted: (KernelEvent) -> Bool) async throws {
            while let event = await events.next() {
                if isWanted(event) { return }
            }
            throw CannotRun(reason: "the stream ended")
        }
        try lab.addPair("gh0", "far0")
        try await wait { if case .link(let link) = $0 { link.name == "gh0" && link.isUp } else { false } }
        let address = IPPrefix("169.254.10.2/30")
        try lab.ip("addr add 169.254.10.2/30 dev gh0")
        try await wait { if case .address(let new) = $0 { new.address == address } else { false } }
        try lab.ip("route add unreachable 10.0.0.0/16 proto 71 metric 9")
        let route = KernelRoute(destination: try #require(IPPrefix("10.0.0.0/16")), kind: .unreachable, metric: 9)
        try await wait { $0 == .route(route) }
        try lab.ip("-6 route add fd00::/48 dev gh0 proto 71")
        try await wait { if case .route(let new) = $0 { new.destination == IPPrefix("fd00::/48") } else { false } }
        try lab.ip("route del unreachable 10.0.0.0/16")
        try await wait { $0 == .routeRemoved(route) }
        try lab.ip("addr del 169.254.10.2/30 dev gh0")
        try await wait { if case .addressRemoved(let old) = $0 { old.address == address } else { false } }
        try lab.ip("link del gh0")
        try await wait { if case .linkRemoved(let link) = $0 { link.name == "gh0" } else { false } }
        watcher.stop()
        while await events.next() != nil {}
    }

    @Test("When more happens than is read, the reader is told that it has missed something")
    func overrun() async throws {
        let lab = try KernelLab()
        let base = try #require(IPAddress("10.0.0.0"))
        let (heard, hears) = AsyncStream.makeStream(of: Void.self)
        let feed = try NetlinkFeed(
            .route, groups: KernelWatcher.Subjects.routes.groups, in: lab.namespace, limit: 16,
            overrun: KernelEvent.overrun, failed: KernelEvent.failed
        ) { (message) throws(NetlinkMalformed) in
            hears.yield()
            return try KernelEvent(message)
        }
        let netlink = try Netlink(in: lab.namespace)
        let routes = (0..<40).map {
            KernelRoute(destination: IPPrefix(host: base.advanced(by: $0)), kind: .blackhole, metric: 1)
        }
        for route in routes { try netlink.addRoute(route) }
        // Nobody reads before all have been heard, so that those that do not fit are lost on any machine.
        var all = heard.makeAsyncIterator()
        for _ in routes { await all.next() }
        var events = feed.events.makeAsyncIterator()
        for route in routes.prefix(16) { #expect(await events.next() == .route(route)) }
        // Reading has made room, and the note comes although nothing else does.
        #expect(await events.next() == .overrun)
        try netlink.deleteRoute(routes[0])
        // The last one is put in after it was heard, and may just have found room.
        var next = await events.next()
        while next == .route(routes[39]) || next == .overrun { next = await events.next() }
        #expect(next == .routeRemoved(routes[0]))
    }

    @Test("The stream ends when the watcher is let go")
    func release() async throws {
        let lab = try KernelLab()
        var watcher: KernelWatcher? = try KernelWatcher(in: lab.namespace)
        let events = try #require(watcher?.events)
        watcher = nil
        for await _ in events {}
    }
}
