import Access
import Base
import CMnl
import Glibc

/// The messages that carry out the steps of a change in our table.
extension RulesetDifference.Step {
    var requests: [NetlinkRequest] {
        let table = Ruleset.table
        switch self {
        case .addCounter(let name):
            return [
                Nftables.request(NFT_MSG_NEWOBJ, flags: NLM_F_CREATE) { writer in
                    writer.attribute(NFTA_OBJ_TABLE.rawValue, text: table)
                    writer.attribute(NFTA_OBJ_NAME.rawValue, text: name)
                    writer.attribute(NFTA_OBJ_TYPE.rawValue, big: UInt32(NFT_OBJECT_COUNTER))
                    writer.nested(NFTA_OBJ_DATA.rawValue) { _ in }
                }
            ]
        case .removeCounter(let name):
            return [
                Nftables.request(NFT_MSG_DELOBJ) { writer in
                    writer.attribute(NFTA_OBJ_TABLE.rawValue, text: table)
                    writer.attribute(NFTA_OBJ_NAME.rawValue, text: name)
                    writer.attribute(NFTA_OBJ_TYPE.rawValue, big: UInt32(NFT_OBJECT_COUNTER))
                }
            ]
        case .addSet(let set): return [set.request] + set.elementRequests
        case .fillSet(let set):
            let empty = Nftables.request(NFT_MSG_DELSETELEM) { writer in
                writer.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: table)
                writer.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: set.name)
            }
            return [empty] + set.elementRequests
        case .removeSet(let name):
            return [
                Nftables.request(NFT_MSG_DELSET) { writer in
                    writer.attribute(NFTA_SET_TABLE.rawValue, text: table)
                    writer.attribute(NFTA_SET_NAME.rawValue, text: name)
                }
            ]
        case .addChain(let chain): return [chain.request]
        case .fillChain(let chain):
            let empty = Nftables.request(NFT_MSG_DELRULE) { writer in
                writer.attribute(NFTA_RULE_TABLE.rawValue, text: table)
                writer.attribute(NFTA_RULE_CHAIN.rawValue, text: chain.name)
            }
            return [empty] + chain.ruleRequests
        case .removeChain(let name):
            return [
                Nftables.request(NFT_MSG_DELCHAIN) { writer in
                    writer.attribute(NFTA_CHAIN_TABLE.rawValue, text: table)
                    writer.attribute(NFTA_CHAIN_NAME.rawValue, text: name)
                }
            ]
        }
    }
}

extension Ruleset {
    static var addTable: NetlinkRequest {
        Nftables.request(NFT_MSG_NEWTABLE, flags: NLM_F_CREATE) {
            $0.attribute(NFTA_TABLE_NAME.rawValue, text: table)
        }
    }

    /// Fails with ENOENT when there is none.
    static var removeTable: NetlinkRequest {
        Nftables.request(NFT_MSG_DELTABLE) { $0.attribute(NFTA_TABLE_NAME.rawValue, text: table) }
    }

    /// A table in the place of whatever there was, without anybody in it.
    var requests: [NetlinkRequest] {
        [Self.addTable, Self.removeTable, Self.addTable]
            + RulesetDifference(from: Ruleset(), to: self).building.flatMap(\.requests)
    }
}

extension Ruleset.Chain {
    fileprivate var request: NetlinkRequest {
        Nftables.request(NFT_MSG_NEWCHAIN, flags: NLM_F_CREATE) { writer in
            writer.attribute(NFTA_CHAIN_TABLE.rawValue, text: Ruleset.table)
            writer.attribute(NFTA_CHAIN_NAME.rawValue, text: name)
            guard let hook = hook?.numbers else { return }
            writer.nested(NFTA_CHAIN_HOOK.rawValue) { nested in
                nested.attribute(NFTA_HOOK_HOOKNUM.rawValue, big: hook.number)
                nested.attribute(NFTA_HOOK_PRIORITY.rawValue, big: hook.priority)
            }
            writer.attribute(NFTA_CHAIN_POLICY.rawValue, big: UInt32(Nftables.accept))
            writer.attribute(NFTA_CHAIN_TYPE.rawValue, text: hook.type)
        }
    }

    fileprivate var ruleRequests: [NetlinkRequest] {
        rules.map { rule in
            Nftables.request(NFT_MSG_NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND) { writer in
                writer.attribute(NFTA_RULE_TABLE.rawValue, text: Ruleset.table)
                writer.attribute(NFTA_RULE_CHAIN.rawValue, text: name)
                writer.nested(NFTA_RULE_EXPRESSIONS.rawValue) { list in
                    for expression in rule.expressions {
                        list.nested(NFTA_LIST_ELEM.rawValue) { element in
                            element.attribute(NFTA_EXPR_NAME.rawValue, text: expression.name)
                            element.nested(NFTA_EXPR_DATA.rawValue) { $0.append(expression.data) }
                        }
                    }
                }
            }
        }
    }
}

extension Ruleset.Hook {
    /// As in the kernel's headers: `nf_inet_hooks`, the priority, the type of chain.
    var numbers: (number: UInt32, priority: Int32, type: String) {
        switch self {
        case .forward: (UInt32(NF_INET_FORWARD.rawValue), 0, "filter")
        case .prerouting: (UInt32(NF_INET_PRE_ROUTING.rawValue), -100, "nat")
        }
    }
}

extension Ruleset.NamedSet {
    /// Bits of `nft_set_flags`, and the type of the keys with their length in bytes, as `nft` numbers them for its own
    /// listing (the kernel does not care).
    var shape: (flags: UInt32, keyType: UInt32, keyLength: UInt32) {
        switch content {
        case .ranges(let family, _): (UInt32(NFT_SET_INTERVAL.rawValue), family.keyType, UInt32(family.bitWidth / 8))
        case .interfaces: (0, 41, 16)
        case .lease: (UInt32(NFT_SET_TIMEOUT.rawValue), 2, 1)
        case .addresses(let family, _): (UInt32(NFT_SET_TIMEOUT.rawValue), family.keyType, UInt32(family.bitWidth / 8))
        case .leads(let family, _):
            (UInt32(NFT_SET_INTERVAL.rawValue | NFT_SET_MAP.rawValue), family.keyType, UInt32(family.bitWidth / 8))
        }
    }

    fileprivate var request: NetlinkRequest {
        let shape = shape
        return Nftables.request(NFT_MSG_NEWSET, flags: NLM_F_CREATE) { writer in
            writer.attribute(NFTA_SET_TABLE.rawValue, text: Ruleset.table)
            writer.attribute(NFTA_SET_NAME.rawValue, text: name)
            writer.attribute(NFTA_SET_FLAGS.rawValue, big: shape.flags)
            writer.attribute(NFTA_SET_KEY_TYPE.rawValue, big: shape.keyType)
            writer.attribute(NFTA_SET_KEY_LEN.rawValue, big: shape.keyLength)
            writer.attribute(NFTA_SET_ID.rawValue, big: UInt32(1))
            switch content {
            case .leads: writer.attribute(NFTA_SET_DATA_TYPE.rawValue, big: UInt32(NFT_DATA_VERDICT.rawValue))
            case .addresses(_, counts: true):
                // Each element counts its packets.
                writer.nested(NFTA_SET_EXPR.rawValue) { expression in
                    expression.attribute(NFTA_EXPR_NAME.rawValue, text: "counter")
                    expression.nested(NFTA_EXPR_DATA.rawValue) { _ in }
                }
            default: break
            }
        }
    }

    /// What stands in a set from the beginning.
    struct Element: Hashable {
        var key: [UInt8]
        /// The first address after a range.
        var isEnd = false
        /// The chain that it leads to; empty where it leads nowhere.
        var chain = ""
    }

    var elements: [Element] {
        switch content {
        case .ranges(_, let ranges): ranges.flatMap { Self.elements($0) }
        case .leads(_, let leads): leads.flatMap { Self.elements($0.range, chain: $0.chain) }
        case .interfaces(let names):
            names.map { Element(key: Array($0.utf8.prefix(15)) + Array(repeating: 0, count: 16 - min(15, $0.utf8.count))) }
        case .lease, .addresses: []
        }
    }

    private static func elements(_ range: AddressRange, chain: String = "") -> [Element] {
        let start = Element(key: range.first.bytes, chain: chain)
        // What reaches to the last address there is needs no end.
        guard range.last.bytes.contains(where: { $0 != 0xFF }) else { return [start] }
        return [start, Element(key: range.last.advanced(by: 1).bytes, isEnd: true)]
    }

    fileprivate var elementRequests: [NetlinkRequest] {
        let elements = elements
        return stride(from: 0, to: elements.count, by: 500).map { start in
            Nftables.request(NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE) { writer in
                writer.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: Ruleset.table)
                writer.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: name)
                writer.nested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) { list in
                    for element in elements[start..<min(elements.count, start + 500)] {
                        list.nested(NFTA_LIST_ELEM.rawValue) { element.write(into: &$0) }
                    }
                }
            }
        }
    }
}

extension Ruleset.NamedSet.Element {
    fileprivate func write(into writer: inout NetlinkWriter) {
        writer.nested(NFTA_SET_ELEM_KEY.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, key) }
        if isEnd { writer.attribute(NFTA_SET_ELEM_FLAGS.rawValue, big: UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue)) }
        guard !chain.isEmpty else { return }
        writer.nested(NFTA_SET_ELEM_DATA.rawValue) { data in
            data.nested(NFTA_DATA_VERDICT.rawValue) { verdict in
                verdict.attribute(NFTA_VERDICT_CODE.rawValue, big: Nftables.goto)
                verdict.attribute(NFTA_VERDICT_CHAIN.rawValue, text: chain)
            }
        }
    }
}

extension IPAddress.Family {
    fileprivate var keyType: UInt32 { self == .ipv4 ? 7 : 8 }
}
