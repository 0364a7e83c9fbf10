import Base
import Host
import Tunnels

/// Routes of an earlier run, over interfaces whose associations still carry packets: they stay until the tunnel is up
/// again, so that a daemon which was killed comes back without a gap.
struct HeldRoutes {
    private var routes: [TunnelRoute]
    private let until: Tick

    /// What an earlier run left over `interfaces`. They stay until a while after `now`, at most.
    init(_ netlink: Netlink, _ table: RouteTable, interfaces: some Collection<String>, now: Tick) throws {
        until = now + .seconds(45)
        routes = []
        guard !interfaces.isEmpty else { return }
        var names: [UInt32: String] = [:]
        for link in try netlink.links() where interfaces.contains(link.name) { names[link.index] = link.name }
        routes = try table.present().compactMap { route in
            guard let name = route.interface.flatMap({ names[$0] }) else { return nil }
            return TunnelRoute(
                destination: route.destination, interface: name, metric: route.metric,
                preferredSource: route.preferredSource)
        }
    }

    /// Holds nothing.
    init() {
        routes = []
        until = .zero
    }

    /// When what is held must be given up, if anything is.
    var deadline: Tick? { routes.isEmpty ? nil : until }

    /// `wanted` and what is still held beside it. A tunnel that has a route of its own again is held no more, nor is a
    /// network that nobody wants any more.
    mutating func joined(with wanted: [TunnelRoute], now: Tick) -> [TunnelRoute] {
        guard !routes.isEmpty else { return wanted }
        let up = Set(wanted.filter { !$0.isUnreachable }.map(\.interface))
        let networks = Set(wanted.map(\.destination.network))
        let taken = Set(wanted.map { Place(destination: $0.destination.network, metric: $0.metric) })
        routes.removeAll { route in
            now >= until || up.contains(route.interface) || !networks.contains(route.destination.network)
        }
        return wanted
            + routes.filter { !taken.contains(Place(destination: $0.destination.network, metric: $0.metric)) }
    }

    /// Packets may no longer leave by this interface.
    mutating func drop(_ interface: String) { routes.removeAll { $0.interface == interface } }

    private struct Place: Hashable {
        var destination: IPPrefix
        var metric: UInt32
    }
}
