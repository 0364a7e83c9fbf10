public import Base

/// Which addresses an outgoing call may connect to.
///
/// A URL that came from the network (a discovery document, a next link, a redirect) must not lead into the networks
/// that this gateway protects, nor to the gateway itself: only an address that an administrator typed may do so.
public enum AddressPolicy: Hashable, Sendable {
    /// Globally reachable unicast addresses alone.
    case publicOnly
    /// Any address: the administrator named this host.
    case anywhere

    public func permits(_ address: IPAddress) -> Bool {
        switch self {
        case .anywhere: true
        case .publicOnly: Self.isPublic(address)
        }
    }

    /// Whether an address is globally reachable unicast by the special-purpose registries (RFC 6890 and its updates).
    /// An IPv6 address that carries an IPv4 one is what that one is.
    static func isPublic(_ address: IPAddress) -> Bool {
        switch address {
        case .v4: return !special4.contains { $0.contains(address) }
        case .v6(let value):
            // IPv4-mapped (RFC 4291 §2.5.5.2), IPv4-compatible, and NAT64 (RFC 6052 §2.1).
            if value >> 32 == 0xFFFF || value >> 32 == 0x64_FF9B << 64 {
                return isPublic(.v4(UInt32(truncatingIfNeeded: value)))
            }
            // 6to4 (RFC 3056): the IPv4 address stands behind the first 16 bits.
            if value >> 112 == 0x2002 { return isPublic(.v4(UInt32(truncatingIfNeeded: value >> 80))) }
            // Global unicast is 2000::/3, with exceptions.
            return value >> 125 == 1 && !special6.contains { $0.contains(address) }
        }
    }

    private static let special4 = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
    ].compactMap(IPPrefix.init)

    private static let special6 = ["2001::/23", "2001:db8::/32", "3fff::/20"].compactMap(IPPrefix.init)
}
