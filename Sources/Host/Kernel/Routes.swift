public import Base
import CMnl
import Glibc

/// Who made a route or rule: the kernel keeps this number (`rtm_protocol`) with each and shows it in `ip route`.
public struct RouteOrigin: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The kernel itself, for instance for the prefix of an address.
    public static let kernel = RouteOrigin(rawValue: 2)
    /// Whatever boots the network.
    public static let boot = RouteOrigin(rawValue: 3)
    /// The administrator.
    public static let `static` = RouteOrigin(rawValue: 4)

    /// Ours, 71: how we know our routes again after a crash, and leave all others alone.
    ///
    /// Free in `<linux/rtnetlink.h>`, in iproute2's `rt_protos` and in FRR, BIRD and systemd, whose numbers are 8 to
    /// 18, 42, 80, 84, 99 and 186 to 197. `ip route show proto 71` lists what Gatehouse has made.
    public static let gatehouse = RouteOrigin(rawValue: 71)
}

/// A route of the kernel's tables.
public struct KernelRoute: Hashable, Sendable {
    /// What happens to a packet that takes the route.
    public enum Kind: UInt8, Hashable, Sendable {
        case unicast = 1
        case local, broadcast, anycast, multicast
        /// Dropped without a word.
        case blackhole
        /// Dropped, and the sender is told that the host is unreachable.
        case unreachable
        /// Dropped, and the sender is told that it is forbidden.
        case prohibit
        case `throw`

        /// Leads to a device; the others end here.
        var hasDevice: Bool { self == .unicast || self == .local || self == .broadcast || self == .anycast }
    }

    public var destination: IPPrefix
    public var kind: Kind
    /// The index of the interface that packets leave by.
    public var interface: UInt32?
    public var gateway: IPAddress?
    /// Lower wins. IPv6 knows no 0: the kernel makes 1024 of it.
    public var metric: UInt32
    /// 254 is the main table.
    public var table: UInt32
    /// The source address of packets that this machine itself sends this way.
    public var preferredSource: IPAddress?
    public var origin: RouteOrigin

    public static let mainTable: UInt32 = 254

    public init(
        destination: IPPrefix, kind: Kind = .unicast, interface: UInt32? = nil, gateway: IPAddress? = nil,
        metric: UInt32 = 0, table: UInt32 = KernelRoute.mainTable, preferredSource: IPAddress? = nil,
        origin: RouteOrigin = .gatehouse
    ) {
        self.destination = destination
        self.kind = kind
        self.interface = interface
        self.gateway = gateway
        self.metric = metric
        self.table = table
        self.preferredSource = preferredSource
        self.origin = origin
    }

    /// Reads the body of RTM_NEWROUTE or RTM_DELROUTE (`rtmsg`); nil for what is no plain IP route, such as
    /// multicast forwarding, or one with several next hops, which we never make. The answer to a look-up is a cloned
    /// route.
    init?(_ message: NetlinkMessage, acceptingCloned: Bool = false) throws(NetlinkMalformed) {
        let body = message.body
        guard body.count >= 12 else { throw NetlinkMalformed(reason: "a route message of \(body.count) bytes") }
        let isCloned = !acceptingCloned && body.host(UInt32.self, at: 8) & UInt32(RTM_F_CLONED) != 0
        guard let family = IPAddress.Family(number: body.host(UInt8.self, at: 0)), !isCloned,
            let kind = Kind(rawValue: body.host(UInt8.self, at: 7))
        else { return nil }
        let attributes = try NetlinkAttributes(body.dropFirst(12))
        guard attributes[RTA_MULTIPATH.rawValue] == nil else { return nil }
        let address = attributes[RTA_DST.rawValue]?.address ?? .any(family)
        guard address.family == family, let prefix = IPPrefix(address, length: Int(body.host(UInt8.self, at: 1))) else {
            throw NetlinkMalformed(reason: "a route without a usable destination")
        }
        self.init(
            destination: prefix, kind: kind,
            interface: kind.hasDevice ? attributes[RTA_OIF.rawValue]?.integer(UInt32.self) : nil,
            gateway: attributes[RTA_GATEWAY.rawValue]?.address,
            metric: attributes[RTA_PRIORITY.rawValue]?.integer(UInt32.self) ?? 0,
            table: attributes[RTA_TABLE.rawValue]?.integer(UInt32.self) ?? UInt32(body.host(UInt8.self, at: 4)),
            preferredSource: attributes[RTA_PREFSRC.rawValue]?.address,
            origin: RouteOrigin(rawValue: body.host(UInt8.self, at: 5)))
    }

    /// `rtmsg` and its attributes.
    fileprivate func body(deleting: Bool = false) -> NetlinkWriter {
        // An IPv4 route to a device without a gateway has link scope; when deleting, "nowhere" matches any.
        let isOnLink = destination.family == .ipv4 && kind == .unicast && gateway == nil
        let scope = deleting ? RT_SCOPE_NOWHERE.rawValue : isOnLink ? RT_SCOPE_LINK.rawValue : 0
        var writer = NetlinkWriter()
        writer.append([
            destination.family.number, UInt8(clamping: destination.length), 0, 0,
            UInt8(exactly: table) ?? 0, origin.rawValue, UInt8(clamping: scope), kind.rawValue,
        ])
        writer.append(UInt32(0))
        writer.attribute(RTA_DST.rawValue, destination.first)
        writer.attribute(RTA_TABLE.rawValue, value: table)
        if metric != 0 { writer.attribute(RTA_PRIORITY.rawValue, value: metric) }
        if let interface { writer.attribute(RTA_OIF.rawValue, value: interface) }
        if let gateway { writer.attribute(RTA_GATEWAY.rawValue, gateway) }
        if let preferredSource { writer.attribute(RTA_PREFSRC.rawValue, preferredSource) }
        return writer
    }

    /// `10.0.0.0/16 via gh0`, given the interface's name where it is known.
    func words(interface name: String? = nil) -> String {
        var text = kind == .unicast ? "\(destination.network)" : "\(kind) \(destination.network)"
        if let gateway { text += " via \(gateway)" }
        if let interface, kind.hasDevice {
            text += (gateway == nil ? " via " : " on ") + (name ?? "interface \(interface)")
        }
        if metric != 0 { text += " metric \(metric)" }
        if table != Self.mainTable { text += " table \(table)" }
        return text
    }
}

extension Netlink {
    /// The routes of one family, or of one maker and table only.
    public func routes(
        _ family: IPAddress.Family, origin: RouteOrigin? = nil, table: UInt32? = nil
    ) throws(NetlinkError) -> [KernelRoute] {
        let operation = { "listing the \(family == .ipv4 ? "IPv4" : "IPv6") routes" }
        var body = NetlinkWriter()
        // With strict checking the kernel filters, so that a full BGP table does not pass through here; without
        // (before Linux 4.20) it pays no attention, and the filter below does it.
        body.append([family.number, 0, 0, 0, 0, origin?.rawValue ?? 0, 0, 0])
        body.append(UInt32(0))
        if let table { body.attribute(RTA_TABLE.rawValue, value: table) }
        let messages: [NetlinkMessage]
        do {
            messages = try dump(NetlinkRequest(RTM_GETROUTE, body), operation())
        } catch let error where error.errno == ENOENT {
            return []  // A table that nobody has used yet.
        }
        return try messages.mapAnswers(of: RTM_NEWROUTE, in: self, operation) { (message) throws(NetlinkMalformed) in
            guard let route = try KernelRoute(message), route.destination.family == family,
                origin == nil || route.origin == origin, table == nil || route.table == table
            else { return nil }
            return route
        }
    }

    /// Fails with EEXIST when a route with that destination, metric and table is there, whoever made it.
    public func addRoute(_ route: KernelRoute, interfaceName: String? = nil) throws(NetlinkError) {
        try request(
            NetlinkRequest(RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, route.body()),
            "adding route \(route.words(interface: interfaceName))")
    }

    /// Puts `route` in the place of the one with that destination, metric and table, in one step; adds it if there is
    /// none.
    public func replaceRoute(_ route: KernelRoute, interfaceName: String? = nil) throws(NetlinkError) {
        try request(
            NetlinkRequest(RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_REPLACE, route.body()),
            "replacing route \(route.words(interface: interfaceName))")
    }

    /// Removes just that route, of that origin. False when it was not there.
    @discardableResult
    public func deleteRoute(_ route: KernelRoute, interfaceName: String? = nil) throws(NetlinkError) -> Bool {
        do {
            try request(
                NetlinkRequest(RTM_DELROUTE, route.body(deleting: true)),
                "removing route \(route.words(interface: interfaceName))")
            return true
        } catch let error where error.isNotFound {
            return false
        }
    }

    /// The way that a packet to `target` would take now; nil when there is none. A way that ends in an unreachable,
    /// blackhole or prohibit route is none.
    public func route(to target: IPAddress, from source: IPAddress? = nil) throws(NetlinkError) -> KernelRoute? {
        let operation = { "looking up the way to \(target)" }
        let bits = UInt8(clamping: target.family.bitWidth)
        var body = NetlinkWriter()
        body.append([target.family.number, bits, source == nil ? 0 : bits, 0, 0, 0, 0, 0])
        body.append(UInt32(0))
        body.attribute(RTA_DST.rawValue, target)
        if let source { body.attribute(RTA_SRC.rawValue, source) }
        do {
            return try ask(NetlinkRequest(RTM_GETROUTE, body), operation())
                .mapAnswers(of: RTM_NEWROUTE, in: self, operation) { (message) throws(NetlinkMalformed) in
                    try KernelRoute(message, acceptingCloned: true)
                }
                .first { $0.kind.hasDevice }
        } catch let error where [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL].contains(error.errno) {
            return nil
        }
    }
}
