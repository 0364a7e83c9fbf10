import Base
import Host
import Tunnels

/// Keeps our interfaces and routes in the kernel as they should be, whoever changed them.
///
/// Without it, a route that someone removes would stay away until the next failover, and packets for a remote network
/// could leave by the default route in the clear.
struct Upkeep: Sendable {
    let netlink: Netlink
    let routes: RouteTable

    /// What was found to be otherwise and put right, and what could not be, one sentence each.
    struct Report: Sendable {
        var mended: [String] = []
        var problem: String?
    }

    /// Makes the routes those of `wanted`; a route without a source address gets one of `addresses`, this host's.
    func apply(_ wanted: [TunnelRoute], addresses: [IPAddress]) throws -> RouteChanges {
        try routes.reconcile(withSources(wanted, addresses))
    }

    /// Makes `wanted` out of `before`, and touches no other route; see ``RouteTable/change(from:to:)``.
    func change(from before: [TunnelRoute], to wanted: [TunnelRoute], addresses: [IPAddress]) throws -> RouteChanges {
        try routes.change(from: withSources(before, addresses), to: withSources(wanted, addresses))
    }

    /// Compares links and routes with the kernel and mends the difference.
    func mend(links: [TunnelLink], routes wanted: [TunnelRoute], addresses: [IPAddress]) -> Report {
        var report = Report()
        do throws(NetlinkError) {
            let present = Dictionary(try netlink.links().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            var held: [UInt32: Set<IPPrefix>] = [:]
            for address in try netlink.addresses() { held[address.interface, default: []].insert(address.address) }
            for link in links {
                // One that is gone is the data path's to report.
                guard let there = present[link.interface] else { continue }
                report.mended += try mend(link, there, held[there.index] ?? [])
            }
        } catch {
            report.problem = "\(error)"
        }
        do {
            let changes = try apply(wanted, addresses: addresses)
            report.mended += (changes.added + changes.replaced).map {
                "the route to \($0.destination) was changed or removed by someone else and is restored"
            }
        } catch {
            report.problem = "\(error)"
        }
        return report
    }

    private func mend(
        _ link: TunnelLink, _ present: KernelLink, _ addresses: Set<IPPrefix>
    ) throws(NetlinkError) -> [String] {
        var mended: [String] = []
        if !present.isUp {
            try netlink.setLink(link.interface, isUp: true)
            mended.append("\(link.interface) was taken down by someone else and is up again")
        }
        if present.mtu != link.mtu {
            try netlink.setLink(link.interface, mtu: link.mtu)
            mended.append("the MTU of \(link.interface) was changed by someone else and is \(link.mtu) again")
        }
        for address in link.addresses where !addresses.contains(address) {
            try netlink.addAddress(address, to: link.interface, prefixRoute: true)
            mended.append("\(address) was taken from \(link.interface) by someone else and is restored")
        }
        return mended
    }

    /// Packets of the gateway's own must come from an address that the far side can answer, not from the inside address
    /// that the kernel would choose.
    private func withSources(_ wanted: [TunnelRoute], _ addresses: [IPAddress]) -> [TunnelRoute] {
        wanted.map { route in
            guard route.preferredSource == nil, !route.isUnreachable else { return route }
            var route = route
            route.preferredSource = addresses.filter { address in
                address.family == route.destination.family && !address.isLinkLocal && !address.isLoopback
                    && route.sources.contains { $0.contains(address) }
            }.min()
            return route
        }
    }
}
