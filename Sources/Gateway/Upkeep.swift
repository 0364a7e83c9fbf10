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

    /// Makes the routes those of `wanted`; a route without a source address gets one of this host's.
    func apply(_ wanted: [TunnelRoute]) throws -> RouteChanges { try routes.reconcile(withSources(wanted)) }

    /// Compares links and routes with the kernel and mends the difference.
    func mend(links: [TunnelLink], routes wanted: [TunnelRoute]) -> Report {
        var report = Report()
        for link in links {
            do throws(NetlinkError) {
                report.mended += try mend(link)
            } catch {
                report.problem = "\(error)"
            }
        }
        do {
            let changes = try apply(wanted)
            report.mended += (changes.added + changes.replaced).map {
                "the route to \($0.destination) was changed or removed by someone else and is restored"
            }
        } catch {
            report.problem = "\(error)"
        }
        return report
    }

    private func mend(_ link: TunnelLink) throws(NetlinkError) -> [String] {
        // One that is gone is the data path's to report.
        guard let present = try netlink.link(named: link.interface) else { return [] }
        var mended: [String] = []
        if !present.isUp {
            try netlink.setLink(link.interface, isUp: true)
            mended.append("\(link.interface) was taken down by someone else and is up again")
        }
        let addresses = Set(try netlink.addresses(of: link.interface).map(\.address))
        for address in link.addresses where !addresses.contains(address) {
            try netlink.addAddress(address, to: link.interface, prefixRoute: true)
            mended.append("\(address) was taken from \(link.interface) by someone else and is restored")
        }
        return mended
    }

    /// Packets of the gateway's own must come from an address that the far side can answer, not from the inside address
    /// that the kernel would choose.
    private func withSources(_ wanted: [TunnelRoute]) -> [TunnelRoute] {
        guard wanted.contains(where: { !$0.sources.isEmpty && $0.preferredSource == nil }),
            let addresses = try? netlink.addresses().map(\.address.address)
        else { return wanted }
        return wanted.map { route in
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
