public import Base

/// An nftables table as it should be: its sets, chains and counters. Plain values; ``Ruleset/text`` writes them as `nft`
/// reads them, and `Host` puts them into the kernel.
public struct Ruleset: Hashable, Sendable {
    public var sets: [NamedSet]
    public var chains: [Chain]
    /// Names of counters that rules count in.
    public var counters: [String]

    public init(sets: [NamedSet] = [], chains: [Chain] = [], counters: [String] = []) {
        self.sets = sets
        self.chains = chains
        self.counters = counters
    }

    /// The name of the one table that is ours, in the family `inet`.
    public static let table = "gatehouse"

    /// A set that rules look into, with the elements that stand in it from the beginning.
    public struct NamedSet: Hashable, Sendable {
        public var name: String
        public var content: Content

        public init(_ name: String, _ content: Content) {
            self.name = name
            self.content = content
        }

        public enum Content: Hashable, Sendable {
            /// Address ranges that neither overlap nor touch, in order.
            case ranges(IPAddress.Family, [AddressRange])
            /// Names of interfaces, in order.
            case interfaces([String])
            /// Families (`ipv4`, `ipv6`), each element with a time limit. Filled at run time.
            case lease
            /// Single addresses, each with a time limit and, where it counts, a counter of packets. Filled at run time.
            ///
            /// They are members of a set and no keys of a verdict map, because the kernel walks a whole verdict map again
            /// whenever an element that leads to a chain is added (`nft_lookup_validate`): what one more costs would grow
            /// with those that are there.
            case addresses(IPAddress.Family, counts: Bool)
            /// Address ranges, each with the chain that it leads to: in order, none overlapping another.
            case leads(IPAddress.Family, [Lead])
        }

        /// One step of the way: these addresses go on in that chain.
        public struct Lead: Hashable, Sendable {
            public var range: AddressRange
            public var chain: String

            public init(_ range: AddressRange, to chain: String) {
                self.range = range
                self.chain = chain
            }
        }
    }

    public struct Chain: Hashable, Sendable {
        public var name: String
        /// Where the kernel enters; nil for a chain that others jump to.
        public var hook: Hook?
        public var rules: [Rule]

        public init(_ name: String, hook: Hook? = nil, _ rules: [Rule]) {
            self.name = name
            self.hook = hook
            self.rules = rules
        }
    }

    /// Packets that no rule decides on are accepted: other tables may still refuse them.
    public enum Hook: Hashable, Sendable {
        /// `type filter hook forward priority filter`.
        case forward
        /// `type nat hook prerouting priority dstnat`.
        case prerouting
    }

    /// Statements that are carried out one after the other until a match fails.
    public struct Rule: Hashable, Sendable {
        public var statements: [Statement]

        public init(_ statements: Statement...) { self.statements = statements }
    }

    public enum Statement: Hashable, Sendable {
        /// The packet came in by an interface whose name begins so.
        case inputBegins(String)
        /// The packet goes out by an interface whose name begins so.
        case outputBegins(String)
        /// The packet came in by an interface that does not stand in the set.
        case inputNotIn(set: String)
        case source(IPAddress.Family, in: String)
        case destination(IPAddress.Family, in: String)
        /// The packet's family does not stand in the set.
        case familyNotIn(set: String)
        case tcp
        case tcpDestinationPort(UInt16)
        case connection(ConnectionStates, isNegated: Bool)
        /// Goes on in the chain that the source address leads to; no match when it leads nowhere.
        case sourceLead(IPAddress.Family, map: String)
        case destinationLead(IPAddress.Family, map: String)
        /// Counts the packet in one of the table's counters.
        case count(String)
        case accept
        case drop
        case jump(String)
        case goto(String)
        /// Answers a TCP segment with a reset.
        case rejectWithReset
        /// Answers with "administratively prohibited" (ICMP 3/13, ICMPv6 1/1).
        case rejectAsProhibited
        /// Leads the connection to a port of this host's own.
        case redirect(port: UInt16)
    }

    /// Connection tracking's view of a packet.
    public struct ConnectionStates: OptionSet, Hashable, Sendable {
        public var rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Part of a connection that was let through before, either direction.
        public static let established = ConnectionStates(rawValue: 1 << 1)
        /// Belongs to one, such as an ICMP error about it.
        public static let related = ConnectionStates(rawValue: 1 << 2)
    }
}
