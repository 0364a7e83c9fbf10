import Base
import CLinux
import ESP
import Glibc
import Tunnels

/// The TUN device of one tunnel. It exists as long as someone holds its descriptor: a dead process leaves nothing
/// behind.
struct TunnelDevice: Sendable {
    let name: String
    let descriptor: Descriptor

    /// Bytes in front of each packet, both ways.
    static let headerLength = MemoryLayout<clinux_vnet_header>.size

    /// Creates the interface, gives it its addresses and MTU and takes it up.
    init(_ link: TunnelLink) throws(HostFailure) {
        guard (1...15).contains(link.interface.utf8.count) else {
            throw HostFailure("creating the interface '\(link.interface)': a name has 1 to 15 bytes", code: 0)
        }
        name = link.interface
        let result = clinux_tun_open(link.interface, 1)
        if result == -EEXIST {
            throw HostFailure(
                "creating the interface \(link.interface)", code: EEXIST, advice: "another program uses this name")
        }
        descriptor = Descriptor(try HostFailure.check(result, "creating the interface \(link.interface)"))
        let index = try index()
        // Refused where the host has no IPv6.
        _ = clinux_link_no_autoconf(index)
        try update(from: nil, to: link)
        _ = try HostFailure.check(clinux_link_set_up(name), "taking \(name) up")
    }

    /// Brings addresses and MTU in line with `link`; `old` is what they were, and are again if this throws.
    func update(from old: TunnelLink?, to link: TunnelLink) throws(HostFailure) {
        do throws(HostFailure) {
            try apply(from: old, to: link)
        } catch {
            if let old { restore(old, insteadOf: link) }
            throw error
        }
    }

    private func restore(_ old: TunnelLink, insteadOf link: TunnelLink) {
        _ = clinux_link_set_mtu(name, Int32(clamping: old.mtu))
        guard let index = try? index() else { return }
        for address in old.addresses { try? set(address, index, add: true) }
        for address in link.addresses where !old.addresses.contains(address) { try? set(address, index, add: false) }
    }

    private func apply(from old: TunnelLink?, to link: TunnelLink) throws(HostFailure) {
        if old?.mtu != link.mtu {
            _ = try HostFailure.check(
                clinux_link_set_mtu(name, Int32(clamping: link.mtu)), "setting MTU \(link.mtu) on \(name)")
        }
        let index = try index()
        for address in link.addresses where old?.addresses.contains(address) != true {
            try set(address, index, add: true)
        }
        for address in old?.addresses ?? [] where !link.addresses.contains(address) {
            try set(address, index, add: false)
        }
    }

    private func index() throws(HostFailure) -> Int32 {
        try HostFailure.check(clinux_link_index(name), "looking up \(name)")
    }

    private func set(_ prefix: IPPrefix, _ index: Int32, add: Bool) throws(HostFailure) {
        let result = prefix.address.bytes.withUnsafeBufferPointer {
            clinux_address(index, prefix.family == .ipv4 ? 0 : 1, $0.baseAddress, Int32(prefix.length), add ? 1 : 0)
        }
        _ = try HostFailure.check(result, "\(add ? "adding" : "removing") the address \(prefix) on \(name)")
    }
}
