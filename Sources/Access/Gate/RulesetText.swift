import Base

extension Ruleset {
    /// The table as `nft -f` reads it, in place of whatever table of this name there was: nobody is in it.
    public var text: String {
        let table = Ruleset.table
        var lines = ["table inet \(table)", "delete table inet \(table)", "table inet \(table) {"]
        for counter in counters { lines += ["\tcounter \(counter) {", "\t}"] }
        for set in sets { lines += set.lines }
        // A chain must be there before a rule or an element leads to it.
        for chain in chains { lines += ["\tchain \(chain.name) {"] + chain.headLines + ["\t}"] }
        lines.append("}")
        for set in sets {
            guard case .leads(_, let leads) = set.content, !leads.isEmpty else { continue }
            let elements = leads.map { "\($0.range.text) : goto \($0.chain)" }.joined(separator: ", ")
            lines.append("add element inet \(table) \(set.name) { \(elements) }")
        }
        for chain in chains {
            for rule in chain.rules { lines.append("add rule inet \(table) \(chain.name) \(rule.text)") }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Ruleset.NamedSet {
    fileprivate var lines: [String] {
        let (kind, type, flags, elements): (String, String, String, [String]) =
            switch content {
            case .ranges(let family, let ranges):
                ("set", family.typeName, "flags interval", ranges.map(\.text))
            case .interfaces(let names): ("set", "ifname", "", names.map { "\"\($0)\"" })
            case .lease: ("set", "nf_proto", "flags timeout", [])
            case .addresses(let family, let counts):
                ("set", family.typeName, "flags timeout" + (counts ? "\n\t\tcounter" : ""), [])
            case .leads(let family, _): ("map", family.typeName + " : verdict", "flags interval", [])
            }
        var lines = ["\t\(kind) \(name) {", "\t\ttype \(type)"]
        if !flags.isEmpty { lines.append("\t\t" + flags) }
        if !elements.isEmpty { lines.append("\t\telements = { \(elements.joined(separator: ", ")) }") }
        return lines + ["\t}"]
    }
}

extension Ruleset.Chain {
    fileprivate var headLines: [String] {
        switch hook {
        case nil: []
        case .forward: ["\t\ttype filter hook forward priority filter; policy accept;"]
        case .prerouting: ["\t\ttype nat hook prerouting priority dstnat; policy accept;"]
        }
    }
}

extension Ruleset.Rule {
    /// Such as `ip saddr @exempt4 accept`.
    public var text: String { statements.map(\.text).joined(separator: " ") }
}

extension Ruleset.Statement {
    fileprivate var text: String {
        switch self {
        case .inputBegins(let prefix): "iifname \"\(prefix)*\""
        case .outputBegins(let prefix): "oifname \"\(prefix)*\""
        case .inputNotIn(let set): "iifname != @\(set)"
        case .source(let family, let set): "\(family.keyword) saddr @\(set)"
        case .destination(let family, let set): "\(family.keyword) daddr @\(set)"
        case .familyNotIn(let set): "meta nfproto != @\(set)"
        case .tcp: "meta l4proto tcp"
        case .tcpDestinationPort(let port): "tcp dport \(port)"
        case .connection(let states, let isNegated): "ct state " + (isNegated ? "! " : "") + states.text
        case .sourceLead(let family, let map): "\(family.keyword) saddr vmap @\(map)"
        case .destinationLead(let family, let map): "\(family.keyword) daddr vmap @\(map)"
        case .count(let name): "counter name \"\(name)\""
        case .accept: "accept"
        case .drop: "drop"
        case .jump(let chain): "jump \(chain)"
        case .goto(let chain): "goto \(chain)"
        case .rejectWithReset: "reject with tcp reset"
        case .rejectAsProhibited: "reject with icmpx admin-prohibited"
        case .redirect(let port): "redirect to :\(port)"
        }
    }
}

extension Ruleset.ConnectionStates {
    fileprivate var text: String {
        [(Self.established, "established"), (.related, "related")].filter { contains($0.0) }.map(\.1)
            .joined(separator: ",")
    }
}

extension AddressRange {
    fileprivate var text: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

extension IPAddress.Family {
    fileprivate var typeName: String { self == .ipv4 ? "ipv4_addr" : "ipv6_addr" }
    fileprivate var keyword: String { self == .ipv4 ? "ip" : "ip6" }
}
