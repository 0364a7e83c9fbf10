import Base
import CMnl
import Glibc

/// A change of the kernel's network state, by whomever.
public enum KernelEvent: Hashable, Sendable {
    /// New, or changed in any way.
    case link(KernelLink)
    case linkRemoved(KernelLink)
    case address(KernelAddress)
    case addressRemoved(KernelAddress)
    case route(KernelRoute)
    case routeRemoved(KernelRoute)
    case neighbour(KernelNeighbour)
    case neighbourRemoved(KernelNeighbour)
    /// Changes came faster than they were read and some are lost: compare with a dump.
    case overrun
    /// The socket failed and nothing more will come.
    case failed(NetlinkError)

    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        func value<Value>(_ value: Value?, _ make: (Value) -> KernelEvent) -> KernelEvent? { value.map(make) }
        let event: KernelEvent? =
            switch Int(message.type) {
            case RTM_NEWLINK: .link(try KernelLink(message))
            case RTM_DELLINK: .linkRemoved(try KernelLink(message))
            case RTM_NEWADDR: value(try KernelAddress(message), KernelEvent.address)
            case RTM_DELADDR: value(try KernelAddress(message), KernelEvent.addressRemoved)
            case RTM_NEWROUTE: value(try KernelRoute(message), KernelEvent.route)
            case RTM_DELROUTE: value(try KernelRoute(message), KernelEvent.routeRemoved)
            case RTM_NEWNEIGH: value(try KernelNeighbour(message), KernelEvent.neighbour)
            case RTM_DELNEIGH: value(try KernelNeighbour(message), KernelEvent.neighbourRemoved)
            default: nil
            }
        guard let event else { return nil }
        self = event
    }
}

/// Listens to what changes in links, addresses and routes.
///
/// It stops when it is released or ``stop()`` is called; the stream then ends.
public final class KernelWatcher: Sendable {
    /// What happened, in order. For one reader. At most 4,096 events wait; beyond that they are lost, which
    /// ``KernelEvent/overrun`` tells.
    public let events: AsyncStream<KernelEvent>
    private let feed: NetlinkFeed<KernelEvent>

    /// What to listen to.
    public struct Subjects: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let links = Subjects(rawValue: 1)
        public static let addresses = Subjects(rawValue: 2)
        public static let routes = Subjects(rawValue: 4)
        public static let neighbours = Subjects(rawValue: 8)

        /// The multicast groups that tell of them.
        var groups: [UInt32] {
            var groups: [rtnetlink_groups] = []
            if contains(.links) { groups.append(RTNLGRP_LINK) }
            if contains(.addresses) { groups += [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR] }
            if contains(.routes) { groups += [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE] }
            if contains(.neighbours) { groups.append(RTNLGRP_NEIGH) }
            return groups.map(\.rawValue)
        }
    }

    /// Listens from now on, in the caller's network namespace or in another one.
    ///
    /// - Parameter netlink: a socket whose changes of routes and addresses are not told. (Of a link the kernel does not
    ///   always say who changed it.)
    public init(
        _ subjects: Subjects = [.links, .addresses, .routes], besides netlink: Netlink? = nil,
        in namespace: NetworkNamespace? = nil
    ) throws(NetlinkError) {
        let own = netlink?.port
        feed = try NetlinkFeed(
            .route, groups: subjects.groups, in: namespace, overrun: .overrun, failed: KernelEvent.failed
        ) { (message) throws(NetlinkMalformed) in
            guard own == nil || message.port != own else { return nil }
            return try KernelEvent(message)
        }
        events = feed.events
    }

    /// Ends the stream.
    public func stop() { feed.stop() }
}
