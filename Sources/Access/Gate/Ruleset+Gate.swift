public import Base

extension Ruleset {
    /// The gate's table.
    ///
    /// A packet's way: is it from or to a remote network? Then its address on our side must be exempt or stand in the
    /// session map while the lease runs; what stands with it leads to the networks that this session may reach. Each
    /// step is one look-up, however many sessions there are.
    ///
    /// - Parameter reaches: the combinations of sites that sessions have, each under its number.
    public init(gate plan: GatePlan, reaches: [UInt64: Set<String>]) {
        let numbers = reaches.keys.sorted()
        let families = IPAddress.Family.allCases
        var sets = [NamedSet("lease", .lease)]
        if !plan.interfaces.isEmpty {
            sets.append(NamedSet("lan", .interfaces(Array(Set(plan.interfaces)).sorted())))
        }
        let everywhere = Set(plan.sites.map(\.id))
        for family in families {
            sets.append(NamedSet("remote" + family.digit, .ranges(family, plan.ranges(of: everywhere, family))))
            sets.append(NamedSet("exempt" + family.digit, .ranges(family, [AddressRange](plan.exempt, family))))
            sets.append(NamedSet(Self.outboundMap(family), .verdicts(family)))
            sets.append(NamedSet(Self.inboundMap(family), .verdicts(family)))
        }
        for number in numbers {
            for family in families {
                let ranges = plan.ranges(of: reaches[number] ?? [], family)
                sets.append(NamedSet(Self.reachSet(number, family), .ranges(family, ranges)))
            }
        }

        let tunnel = GatePlan.tunnelPrefix
        var chains = [
            Chain(
                "forward", hook: .forward,
                // From one remote network to another: nobody of ours.
                [
                    Rule(.inputBegins(tunnel), .outputBegins(tunnel), .accept),
                    Rule(.outputBegins(tunnel), .goto("outbound")),
                ] + families.map { Rule(.destination($0, in: "remote" + $0.digit), .goto("outbound")) }
                    + [Rule(.inputBegins(tunnel), .goto("inbound"))]
                    + families.map { Rule(.source($0, in: "remote" + $0.digit), .goto("inbound")) }),
            Chain(
                "outbound",
                families.map { Rule(.source($0, in: "exempt" + $0.digit), .accept) }
                    + [Rule(.familyNotIn(set: "lease"), .goto("refuse"))]
                    + (plan.interfaces.isEmpty ? [] : [Rule(.inputNotIn(set: "lan"), .goto("refuse"))])
                    + families.map { Rule(.sourceVerdict($0, map: Self.outboundMap($0))) }
                    + [Rule(.goto("refuse"))]),
            Chain(
                "inbound",
                families.map { Rule(.destination($0, in: "exempt" + $0.digit), .accept) }
                    + [Rule(.familyNotIn(set: "lease"), .goto("discard"))]
                    + (plan.inbound == .all
                        ? [] : [Rule(.connection([.established, .related], isNegated: true), .goto("discard"))])
                    + families.map { Rule(.destinationVerdict($0, map: Self.inboundMap($0))) }
                    + [Rule(.goto("discard"))]),
            // Our side is told, so that programs give up at once.
            Chain(
                "refuse",
                [
                    Rule(.count("refused")), Rule(.tcp, .rejectWithReset), Rule(.rejectAsProhibited),
                ]),
            Chain("discard", [Rule(.count("discarded")), Rule(.drop)]),
        ]
        for number in numbers {
            chains.append(
                Chain(
                    Self.outboundChain(number),
                    families.map { Rule(.destination($0, in: Self.reachSet(number, $0)), .accept) }))
            chains.append(
                Chain(
                    Self.inboundChain(number),
                    // ICMP errors come from routers on the way, whose addresses are in no network of a site.
                    [Rule(.connection(.related, isNegated: false), .accept)]
                        + families.map { Rule(.source($0, in: Self.reachSet(number, $0)), .accept) }))
        }
        if let port = plan.redirectPort {
            chains.append(
                Chain(
                    "prerouting", hook: .prerouting,
                    [Rule(.inputBegins(tunnel), .accept)]
                        + families.map {
                            Rule(.destination($0, in: "remote" + $0.digit), .tcpDestinationPort(80), .goto("captive"))
                        }))
            // Someone who may go there is accepted by the chain of their reach, before the last rule.
            chains.append(
                Chain(
                    "captive",
                    families.map { Rule(.source($0, in: "exempt" + $0.digit), .accept) }
                        + families.map { Rule(.sourceVerdict($0, map: Self.outboundMap($0))) }
                        + [Rule(.tcp, .redirect(port: port))]))
        }
        self.init(sets: sets, chains: chains, counters: ["refused", "discarded"])
    }

    /// The map of who may send, by source address.
    public static func outboundMap(_ family: IPAddress.Family) -> String { "sessions" + family.digit }
    /// The map of who may receive, by destination address.
    public static func inboundMap(_ family: IPAddress.Family) -> String { "replies" + family.digit }
    /// The chain that lets out what a reach allows.
    public static func outboundChain(_ reach: UInt64) -> String { "reach_\(hexadecimal(reach))_out" }
    /// The chain that lets in what a reach allows.
    public static func inboundChain(_ reach: UInt64) -> String { "reach_\(hexadecimal(reach))_in" }
    private static func reachSet(_ reach: UInt64, _ family: IPAddress.Family) -> String {
        "reach_\(hexadecimal(reach))_" + family.digit
    }
    private static func hexadecimal(_ number: UInt64) -> String { String(number, radix: 16) }
}

extension IPAddress.Family {
    /// `4` or `6`, as in the names of our sets.
    fileprivate var digit: String { self == .ipv4 ? "4" : "6" }
}
