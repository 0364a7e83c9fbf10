public import Base

/// What the gate stands between: everything that shapes its rules, without the sessions.
public struct GatePlan: Hashable, Sendable {
    /// In the connectors' order: of two that claim one network, the first has it.
    public var sites: [Site]
    /// Addresses on the LAN that need no sign-in, such as servers and printers.
    public var exempt: [IPPrefix]
    /// The only interfaces by which signed-in packets may come in; empty means any that is no tunnel.
    public var interfaces: [String]
    /// What the remote networks may begin towards someone who is signed in.
    public var inbound: Inbound
    /// The port of ours that web traffic of people who are not signed in is led to; nil leads nothing.
    public var redirectPort: UInt16?

    /// Tunnel interfaces have names that begin so.
    public static let tunnelPrefix = "gh"

    public init(
        sites: [Site] = [], exempt: [IPPrefix] = [], interfaces: [String] = [], inbound: Inbound = .replies,
        redirectPort: UInt16? = nil
    ) {
        self.sites = sites
        self.exempt = exempt
        self.interfaces = interfaces
        self.inbound = inbound
        self.redirectPort = redirectPort
    }

    /// The networks behind one connector.
    public struct Site: Hashable, Sendable {
        /// The connector's ID.
        public var id: String
        public var networks: [IPPrefix]

        public init(id: String, networks: [IPPrefix]) {
            self.id = id
            self.networks = networks
        }
    }

    public enum Inbound: String, Hashable, Codable, Sendable, CaseIterable {
        /// Answers only.
        case replies
        /// New connections too.
        case all
    }

    /// A number for each site, which its sets and chains are named after. It comes from the site's ID (FNV-1a), so that
    /// after a restart the same sites make the same rules; of two that meet, the later takes the next free one.
    public var numbers: [String: UInt64] {
        var result: [String: UInt64] = [:]
        var taken: Set<UInt64> = []
        for site in sites where result[site.id] == nil {
            var number: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in site.id.utf8 { number = (number ^ UInt64(byte)) &* 0x100_0000_01b3 }
            while !taken.insert(number).inserted { number &+= 1 }
            result[site.id] = number
        }
        return result
    }

    /// The addresses that really are behind some of the sites: where networks overlap, the routing table gives an
    /// address to the longest prefix, and to the first of equals.
    public func ranges(of ids: Set<String>, _ family: IPAddress.Family) -> [AddressRange] {
        var claims: [(site: Int, prefix: IPPrefix)] = []
        for (index, site) in sites.enumerated() {
            for prefix in site.networks where prefix.family == family { claims.append((index, prefix)) }
        }
        var result: [AddressRange] = []
        for claim in claims where ids.contains(sites[claim.site].id) {
            let stronger = claims.filter { other in
                !ids.contains(sites[other.site].id) && claim.prefix.contains(other.prefix)
                    && (other.prefix.length > claim.prefix.length || other.site < claim.site)
            }
            result += [AddressRange(claim.prefix)].subtracting([AddressRange](stronger.map(\.prefix), family))
        }
        return result.merged
    }
}
