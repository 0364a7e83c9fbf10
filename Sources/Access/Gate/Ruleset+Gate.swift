public import Base

extension Ruleset {
    /// The gate's table.
    ///
    /// A packet's way: is it from or to a remote network? Then its address on our side must be exempt or in while the
    /// lease runs. Who may reach every site passes; for others the address on the remote side leads to its site, in whose
    /// set the address on our side must stand. Each step is one look-up, however many sessions and sites there are, and
    /// who comes in or goes changes nothing but elements of sets.
    public init(gate plan: GatePlan) {
        let numbers = plan.numbers
        let families = IPAddress.Family.allCases
        var sets = [NamedSet("lease", .lease)]
        if !plan.interfaces.isEmpty {
            sets.append(NamedSet("lan", .interfaces(Array(Set(plan.interfaces)).sorted())))
        }
        let everywhere = Set(plan.sites.map(\.id))
        // In the order of their numbers: the order of connectors matters to what is whose, not here.
        let sites = numbers.sorted { $0.value < $1.value }
        for family in families {
            sets.append(NamedSet("remote" + family.digit, .ranges(family, plan.ranges(of: everywhere, family))))
            sets.append(NamedSet("exempt" + family.digit, .ranges(family, [AddressRange](plan.exempt, family))))
            sets.append(NamedSet(Self.outboundSet(family), .addresses(family, counts: true)))
            sets.append(NamedSet(Self.inboundSet(family), .addresses(family, counts: true)))
            sets.append(NamedSet(Self.set(of: .everywhere, family), .addresses(family, counts: false)))
            let owned = sites.flatMap { id, number in plan.ranges(of: [id], family).map { ($0, number) } }
                .sorted { $0.0.first < $1.0.first }
            sets.append(
                NamedSet(
                    "to" + family.digit, .leads(family, owned.map { .init($0, to: Self.outboundChain($1)) })))
            sets.append(
                NamedSet(
                    "from" + family.digit, .leads(family, owned.map { .init($0, to: Self.inboundChain($1)) })))
            for (_, number) in sites {
                sets.append(NamedSet(Self.set(of: .site(number), family), .addresses(family, counts: false)))
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
                    + families.map { Rule(.source($0, in: Self.outboundSet($0)), .jump("out")) }
                    + [Rule(.goto("refuse"))]),
            Chain(
                "inbound",
                families.map { Rule(.destination($0, in: "exempt" + $0.digit), .accept) }
                    + [Rule(.familyNotIn(set: "lease"), .goto("discard"))]
                    + (plan.inbound == .all
                        ? [] : [Rule(.connection([.established, .related], isNegated: true), .goto("discard"))])
                    + families.map { Rule(.destination($0, in: Self.inboundSet($0)), .jump("in")) }
                    + [Rule(.goto("discard"))]),
            // Someone who is in, on the way out.
            Chain(
                "out",
                families.map {
                    Rule(
                        .source($0, in: Self.set(of: .everywhere, $0)), .destination($0, in: "remote" + $0.digit),
                        .accept)
                } + families.map { Rule(.destinationLead($0, map: "to" + $0.digit)) }),
            // What comes to someone who is in.
            Chain(
                "in",
                // ICMP errors come from routers on the way, whose addresses are in no network of a site.
                [Rule(.connection(.related, isNegated: false), .accept)]
                    + families.map {
                        Rule(
                            .destination($0, in: Self.set(of: .everywhere, $0)), .source($0, in: "remote" + $0.digit),
                            .accept)
                    } + families.map { Rule(.sourceLead($0, map: "from" + $0.digit)) }),
            // Our side is told, so that programs give up at once.
            Chain(
                "refuse",
                [
                    Rule(.count("refused")), Rule(.tcp, .rejectWithReset), Rule(.rejectAsProhibited),
                ]),
            Chain("discard", [Rule(.count("discarded")), Rule(.drop)]),
        ]
        for (_, number) in sites {
            chains.append(
                Chain(
                    Self.outboundChain(number),
                    families.map { Rule(.source($0, in: Self.set(of: .site(number), $0)), .accept) }))
            chains.append(
                Chain(
                    Self.inboundChain(number),
                    families.map { Rule(.destination($0, in: Self.set(of: .site(number), $0)), .accept) }))
        }
        if let port = plan.redirectPort {
            chains.append(
                Chain(
                    "prerouting", hook: .prerouting,
                    [Rule(.inputBegins(tunnel), .accept)]
                        + families.map {
                            Rule(.destination($0, in: "remote" + $0.digit), .tcpDestinationPort(80), .goto("captive"))
                        }))
            // Someone who may go there is accepted before the last rule.
            chains.append(
                Chain(
                    "captive",
                    families.map { Rule(.source($0, in: "exempt" + $0.digit), .accept) }
                        + families.map { Rule(.source($0, in: Self.outboundSet($0)), .jump("out")) }
                        + [Rule(.tcp, .redirect(port: port))]))
        }
        self.init(sets: sets, chains: chains, counters: ["refused", "discarded"])
    }

    /// Everyone who is in, by source address, with counters of what they send.
    public static func outboundSet(_ family: IPAddress.Family) -> String { "sessions" + family.digit }
    /// Everyone who is in, by destination address, with counters of what they receive.
    public static func inboundSet(_ family: IPAddress.Family) -> String { "replies" + family.digit }
    /// Who may go to a place.
    public static func set(of place: Gate.Place, _ family: IPAddress.Family) -> String {
        switch place {
        case .everywhere: "everywhere" + family.digit
        case .site(let number): "site_\(hexadecimal(number))_" + family.digit
        }
    }
    private static func outboundChain(_ site: UInt64) -> String { "site_\(hexadecimal(site))_out" }
    private static func inboundChain(_ site: UInt64) -> String { "site_\(hexadecimal(site))_in" }
    private static func hexadecimal(_ number: UInt64) -> String { String(number, radix: 16) }
}

extension IPAddress.Family {
    /// `4` or `6`, as in the names of our sets.
    fileprivate var digit: String { self == .ipv4 ? "4" : "6" }
}
