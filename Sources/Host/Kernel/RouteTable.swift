import Base
import Glibc
public import Tunnels

/// What has to be done to the kernel's routes, or what was done.
public struct RouteChanges: Hashable, Sendable {
    /// Not there yet.
    public var added: [KernelRoute] = []
    /// There with the same destination, metric and table, but leading elsewhere: replaced in one step.
    public var replaced: [KernelRoute] = []
    /// Ours, and no longer wanted.
    public var removed: [KernelRoute] = []

    public init(added: [KernelRoute] = [], replaced: [KernelRoute] = [], removed: [KernelRoute] = []) {
        self.added = added
        self.replaced = replaced
        self.removed = removed
    }

    public var isEmpty: Bool { added.isEmpty && replaced.isEmpty && removed.isEmpty }

    /// What makes `wanted` out of `present`, all of which must be ours. Of two wanted routes with the same
    /// destination, metric and table, which cannot both exist, the first counts.
    public init(from present: [KernelRoute], to wanted: [KernelRoute]) {
        var there: [KernelRoute.Key: KernelRoute] = [:]
        for route in present where there.updateValue(route, forKey: route.key) != nil {
            // Someone appended a second one under our number: one of the two is too many, and goes first of all.
            removed.append(route)
            there[route.key] = nil
        }
        var seen: Set<KernelRoute.Key> = []
        for route in wanted where seen.insert(route.key).inserted {
            guard let old = there.removeValue(forKey: route.key) else {
                added.append(route)
                continue
            }
            if old.normalized != route.normalized { replaced.append(route) }
        }
        // In the order of the dump, so that the result does not depend on hashing.
        removed += present.filter { there[$0.key] != nil }
    }
}

extension KernelRoute {
    /// What the kernel tells routes apart by.
    struct Key: Hashable {
        var destination: IPPrefix
        var metric: UInt32
        var table: UInt32
    }

    var key: Key { Key(destination: normalized.destination, metric: normalized.metric, table: table) }

    /// As the kernel gives it back.
    var normalized: KernelRoute {
        var route = self
        route.destination = destination.network
        if destination.family == .ipv6, metric == 0 { route.metric = 1024 }
        if !kind.hasDevice { route.interface = nil }
        return route
    }
}

/// The routes into the tunnels: keeps those of our origin as they should be, and touches no other.
public struct RouteTable: Sendable {
    private let netlink: Netlink
    private let table: UInt32
    private let origin: RouteOrigin

    /// Works on one table, the main one as a rule, in the namespace of `netlink`.
    public init(_ netlink: Netlink, table: UInt32 = KernelRoute.mainTable, origin: RouteOrigin = .gatehouse) {
        self.netlink = netlink
        self.table = table
        self.origin = origin
    }

    /// Some routes are not as they should be; the others are.
    public struct Incomplete: Error, Hashable, Sendable, CustomStringConvertible {
        public var failures: [NetlinkError]
        /// What was done all the same.
        public var changes: RouteChanges

        public var description: String { failures.map(\.description).joined(separator: "; ") }
    }

    /// The routes of ours that are there now.
    public func present() throws(NetlinkError) -> [KernelRoute] {
        try netlink.routes(.ipv4, origin: origin, table: table) + netlink.routes(.ipv6, origin: origin, table: table)
    }

    /// Makes our routes those of `wanted` and returns what had to change.
    ///
    /// New routes come before old ones go, so that there is no moment without one. (A packet that is being routed in the
    /// very instant in which the kernel drops the old one may still fail; it never takes the default route as long as
    /// an unreachable route with a high metric stands behind.) One route that fails does not
    /// keep the others back; it is named in the error. An old route whose successor failed stays: without it packets
    /// could leave by the default route, unencrypted.
    @discardableResult
    public func reconcile(_ wanted: [TunnelRoute]) throws -> RouteChanges {
        let links = wanted.contains { !$0.isUnreachable } ? try netlink.links() : []
        let indices = Dictionary(links.map { ($0.name, $0.index) }, uniquingKeysWith: { first, _ in first })
        let resolved = try resolve(wanted) { indices[$0] }
        return try carryOut(RouteChanges(from: try present(), to: resolved.routes), resolved)
    }

    /// Makes `wanted` out of `before`, as an earlier call has left it, and looks at no other route in the kernel: the
    /// cost does not grow with what else there is. When it fails, something was not as it had been left, and
    /// ``reconcile(_:)`` with all routes is the remedy.
    @discardableResult
    public func change(from before: [TunnelRoute], to wanted: [TunnelRoute]) throws -> RouteChanges {
        func index(_ interface: String) throws(NetlinkError) -> UInt32? { try netlink.link(named: interface)?.index }
        let resolved = try resolve(wanted, index)
        // Routes into an interface that has gone went with it.
        return try carryOut(RouteChanges(from: try resolve(before, index).routes, to: resolved.routes), resolved)
    }

    /// Wanted routes in the kernel's terms, and what is wrong with others.
    private struct Resolved {
        var routes: [KernelRoute] = []
        var names: [UInt32: String] = [:]
        var failures: [NetlinkError] = []
        var failed: Set<IPPrefix> = []
    }

    private func resolve(
        _ wanted: [TunnelRoute], _ find: (String) throws(NetlinkError) -> UInt32?
    ) throws(NetlinkError) -> Resolved {
        var resolved = Resolved()
        var indices: [String: UInt32] = [:]
        var keys: [KernelRoute.Key: String] = [:]
        for route in wanted {
            var index: UInt32?
            if !route.isUnreachable {
                if let known = indices[route.interface] {
                    index = known
                } else if let found = try find(route.interface) {
                    index = found
                    indices[route.interface] = found
                    resolved.names[found] = route.interface
                } else {
                    resolved.failures.append(
                        NetlinkError(
                            operation: "adding route \(route.destination.network) via \(route.interface)",
                            errno: ENODEV, kernelText: "there is no interface \(route.interface)"))
                    resolved.failed.insert(route.destination.network)
                    continue
                }
            }
            let made = KernelRoute(
                destination: route.destination.network, kind: route.isUnreachable ? .unreachable : .unicast,
                interface: index, metric: route.metric, table: table,
                preferredSource: route.isUnreachable ? nil : route.preferredSource, origin: origin)
            if let other = keys.updateValue(route.interface, forKey: made.key), other != route.interface {
                resolved.failures.append(
                    NetlinkError(
                        operation: "adding route \(made.words(interface: route.interface))", errno: EEXIST,
                        kernelText: "\(other) has a route with the same destination and metric"))
            }
            resolved.routes.append(made)
        }
        return resolved
    }

    private func carryOut(_ plan: RouteChanges, _ resolved: Resolved) throws -> RouteChanges {
        var (failures, failed) = (resolved.failures, resolved.failed)
        var done = RouteChanges()
        func attempt(_ route: KernelRoute, _ body: () throws(NetlinkError) -> Void) -> Bool {
            do {
                try body()
                return true
            } catch {
                failures.append(error)
                failed.insert(route.destination.network)
                return false
            }
        }
        for route in plan.added {
            let name = route.interface.flatMap { resolved.names[$0] }
            if attempt(route, { () throws(NetlinkError) in try add(route, name) }) { done.added.append(route) }
        }
        for route in plan.replaced {
            let name = route.interface.flatMap { resolved.names[$0] }
            let isDone = attempt(route) { () throws(NetlinkError) in
                try netlink.replaceRoute(route, interfaceName: name)
            }
            if isDone { done.replaced.append(route) }
        }
        for route in plan.removed where !failed.contains(route.destination.network) {
            // Gone already, for instance with its interface: as wanted.
            if attempt(route, { () throws(NetlinkError) in try netlink.deleteRoute(route) }) {
                done.removed.append(route)
            }
        }
        guard failures.isEmpty else { throw Incomplete(failures: failures, changes: done) }
        return done
    }

    /// Removes every route of ours.
    public func removeAll() throws {
        try reconcile([])
    }

    private func add(_ route: KernelRoute, _ name: String?) throws(NetlinkError) {
        do {
            try netlink.addRoute(route, interfaceName: name)
        } catch let error where error.errno == EEXIST {
            throw NetlinkError(
                operation: error.operation, errno: EEXIST,
                kernelText: "another program has a route with the same destination and metric; see "
                    + "`ip route show \(route.destination.network)`, and remove it or choose another metric")
        }
    }
}
