import Base
import Glibc
import Tunnels

extension Doctor {
    func forwarding(_ family: IPAddress.Family) -> Finding {
        let setting = family == .ipv4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding"
        let name = family == .ipv4 ? "IPv4" : "IPv6"
        let id = "forwarding-\(family.rawValue)"
        let title = "\(name) forwarding"
        if Sysctl.isForwarding(family) { return Finding(id: id, title: title, state: .ok, detail: "on") }
        guard family == .ipv4 || plan.remoteNetworks.contains(where: { $0.family == .ipv6 }) else {
            return Finding(id: id, title: title, state: .ok, detail: "off; no tunnel carries IPv6")
        }
        return Finding(
            id: id, title: title, state: .warning,
            detail: "off: only this host itself can use the tunnels, not the \(name) networks behind it",
            remedy:
                "sysctl -w \(setting)=1 && echo '\(setting) = 1' > /etc/sysctl.d/60-gatehouse-\(family.rawValue).conf")
    }

    func reversePathFilter() -> Finding {
        var values: [String: String] = [:]
        for interface in ["all", "default"] + plan.tunnelInterfaces {
            values[interface] = Sysctl.value("net/ipv4/conf/\(interface)/rp_filter")
        }
        let isWritable = access("/proc/sys/net/ipv4/conf/all/rp_filter", W_OK) == 0
        return Self.reversePathFilter(values, tunnels: plan.tunnelInterfaces, isWritable: isWritable)
    }

    /// The kernel takes the greater of the values of `all` and of the interface: 2 (loose) wins over 1 (strict).
    static func reversePathFilter(_ values: [String: String], tunnels: [String], isWritable: Bool) -> Finding {
        let title = "Reverse path filter"
        func number(_ name: String) -> Int { values[name].flatMap { Int($0) } ?? 0 }
        let strict = tunnels.filter { values[$0] != nil && max(number($0), number("all")) == 1 }
        if let first = strict.first {
            return Finding(
                id: "rp-filter", title: title, state: .failed,
                detail:
                    "strict on \(strict.joined(separator: ", ")): answers that come in by the other tunnel are dropped",
                remedy: "sysctl -w net.ipv4.conf.\(first).rp_filter=2")
        }
        if !isWritable, max(number("all"), number("default")) == 1 {
            return Finding(
                id: "rp-filter", title: title, state: .warning,
                detail: "strict, and the settings are read-only here: after a failover, answers that come in by the "
                    + "other tunnel would be dropped",
                remedy: "sysctl -w net.ipv4.conf.all.rp_filter=2, on the host if this is a container")
        }
        let words = ["off", "strict", "loose"]
        func word(_ name: String) -> String { words.indices.contains(number(name)) ? words[number(name)] : "?" }
        return Finding(
            id: "rp-filter", title: title, state: .ok,
            detail: "all \(word("all")), default \(word("default")); the tunnels' own interfaces are set to loose")
    }

    func peerRoute(_ peer: IPAddress) -> Finding {
        let id = "peer-route-\(peer)"
        let title = "Way to \(peer)"
        do throws(NetlinkError) {
            let netlink = try Netlink()
            guard let route = try netlink.route(to: peer) else {
                return Finding(
                    id: id, title: title, state: .failed,
                    detail: "there is no route to it: the tunnel to \(peer) cannot come up",
                    remedy: "ip route get \(peer); then add a default route: ip route add default via GATEWAY")
            }
            let name = try route.interface.flatMap { (index) throws(NetlinkError) in
                try netlink.links().first { $0.index == index }?.name
            }
            if let name, plan.tunnelInterfaces.contains(name) {
                return Finding(
                    id: id, title: title, state: .failed,
                    detail: "leads into the tunnel \(name): the tunnel would carry its own packets and cannot come up",
                    remedy: "ip route add \(peer) via GATEWAY, or take \(peer) out of the remote networks "
                        + "(gatehouse connector show)")
            }
            let via = (route.gateway.map { " via \($0)" } ?? "") + (name.map { " on \($0)" } ?? "")
            return Finding(id: id, title: title, state: .ok, detail: via.isEmpty ? "there" : String(via.dropFirst()))
        } catch {
            return Finding(
                id: id, title: title, state: .warning,
                detail: "\(error); whether the tunnel to \(peer) can come up is not known",
                remedy: "ip route get \(peer)")
        }
    }
}
