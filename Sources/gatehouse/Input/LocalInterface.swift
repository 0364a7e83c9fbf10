import Base
import Host

/// The local peer interface of a tunnel: what `--interface` stands for.
enum LocalInterface {
    /// The address to send from: the one given, or the first lasting one of the interface in the peer's family.
    ///
    /// - Parameter word: an address, the name of an interface of this host, or `any` for what the routes say.
    static func address(_ word: String, family: IPAddress.Family) throws -> IPAddress? {
        if word == "any" { return nil }
        if let address = IPAddress(word) {
            guard address.family == family else {
                throw CommandFailure("--interface \(word): the peer's address is of the other family", isUsage: true)
            }
            return address
        }
        let addresses: [KernelAddress]
        let names: [String]
        do {
            let netlink = try Netlink()
            names = try netlink.links().map(\.name)
            guard names.contains(word) else {
                throw CommandFailure(
                    "--interface: this host has no interface '\(word.printable)'. It has "
                        + names.joined(separator: ", ") + "; an address or 'any' may stand there too", isUsage: true)
            }
            addresses = try netlink.addresses(of: word)
        } catch let error as NetlinkError {
            throw CommandFailure("--interface \(word): \(error)")
        }
        let usable = addresses.filter {
            !$0.isTentative && $0.address.address.family == family && !isLinkLocal($0.address.address)
        }
        guard let first = usable.first else {
            let other = addresses.isEmpty ? "none at all" : addresses.map(\.address.description).joined(separator: ", ")
            throw CommandFailure(
                "--interface: \(word) has no \(family == .ipv4 ? "IPv4" : "IPv6") address to send from; it has "
                    + other)
        }
        return first.address.address
    }

    private static func isLinkLocal(_ address: IPAddress) -> Bool {
        (IPPrefix("fe80::/10")?.contains(address) ?? false) || (IPPrefix("169.254.0.0/16")?.contains(address) ?? false)
    }
}
