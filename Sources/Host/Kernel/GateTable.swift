public import Access
public import Base
import CMnl
import Glibc

/// The gate in the kernel: our one nftables table.
///
/// Every method is one transaction unless it says otherwise. What belongs to others is never touched.
public struct GateTable: Sendable {
    private let netlink: Netlink

    /// - Parameter netlink: of the bus ``Netlink/Bus/netfilter``, for nothing else.
    public init(_ netlink: Netlink) { self.netlink = netlink }

    /// Our address on the bus, by which ``NftablesWatcher`` tells our transactions from others'.
    public var port: UInt32 { netlink.port }

    /// Entries that one transaction puts in. The kernel tells every listener of each element, and holds all of that in
    /// memory until the transaction is done.
    private static let chunk = 20_000

    /// Puts the table in the place of whatever there is, closed, and then the entries in: those of the first chunk in
    /// the same transaction.
    public func install(_ ruleset: Ruleset, _ entries: [Gate.Entry], lease: Tick.Span?, now: Tick) throws(NetlinkError) {
        let first = Array(entries.prefix(Self.chunk))
        try netlink.transaction(
            ruleset.requests + (lease.map(Self.leaseRequests) ?? [])
                + NftablesEntries.adding(first, now: now), "putting up the gate")
        for start in stride(from: Self.chunk, to: entries.count, by: Self.chunk) {
            let some = Array(entries[start..<min(entries.count, start + Self.chunk)])
            try netlink.transaction(NftablesEntries.adding(some, now: now), "admitting \(some.count) addresses")
        }
    }

    /// Carries out a change. Fails with ENOENT, and does nothing, when an entry that goes is not there.
    public func apply(_ change: Gate.Change, now: Tick) throws(NetlinkError) {
        var requests = change.rules?.building.flatMap(\.requests) ?? []
        requests += NftablesEntries.removing(change.removed)
        requests += NftablesEntries.adding(change.added, now: now)
        requests += change.rules?.clearing.flatMap(\.requests) ?? []
        try netlink.transaction(requests, "changing the gate")
    }

    /// Keeps the gate open to those who are in for so long; nil closes it to all.
    public func renewLease(_ span: Tick.Span?) throws(NetlinkError) {
        try netlink.transaction(span.map(Self.leaseRequests) ?? [Self.leaseEnd], "renewing the gate's lease")
    }

    /// Takes the table away: nobody needs to sign in any more. False when there was none.
    @discardableResult
    public func remove() throws(NetlinkError) -> Bool {
        do {
            try netlink.transaction([Ruleset.removeTable], "taking down the gate")
            return true
        } catch let error where error.isNotFound {
            return false
        }
    }

    private static var leaseEnd: NetlinkRequest {
        Nftables.request(NFT_MSG_DELSETELEM) { writer in
            writer.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: Ruleset.table)
            writer.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: "lease")
        }
    }

    private static func leaseRequests(_ span: Tick.Span) -> [NetlinkRequest] {
        [
            leaseEnd,
            Nftables.request(NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE) { writer in
                writer.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: Ruleset.table)
                writer.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: "lease")
                writer.nested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) { list in
                    for family in IPAddress.Family.allCases {
                        list.nested(NFTA_LIST_ELEM.rawValue) { element in
                            element.nested(NFTA_SET_ELEM_KEY.rawValue) {
                                $0.attribute(NFTA_DATA_VALUE.rawValue, [family.number])
                            }
                            element.attribute(
                                NFTA_SET_ELEM_TIMEOUT.rawValue, big: UInt64(max(1, span.nanoseconds / 1_000_000)))
                        }
                    }
                }
            },
        ]
    }

    // MARK: - Reading

    /// What the kernel has counted for one address since its entry was put in.
    public struct Traffic: Hashable, Sendable {
        public var bytesOut: UInt64 = 0
        public var packetsOut: UInt64 = 0
        public var bytesIn: UInt64 = 0
        public var packetsIn: UInt64 = 0
    }

    /// Everyone who is in, with the counters.
    public func traffic() throws(NetlinkError) -> [IPAddress: Traffic] {
        var result: [IPAddress: Traffic] = [:]
        for family in IPAddress.Family.allCases {
            for element in try elements(of: Ruleset.outboundSet(family)) {
                guard let address = element.address else { continue }
                result[address] = Traffic(bytesOut: element.bytes, packetsOut: element.packets)
            }
            for element in try elements(of: Ruleset.inboundSet(family)) {
                guard let address = element.address else { continue }
                result[address, default: Traffic()].bytesIn = element.bytes
                result[address]?.packetsIn = element.packets
            }
        }
        return result
    }

    /// How everyone stands who is in any of the gate's sets.
    ///
    /// - Parameter places: those to look at, ``Gate/places``.
    public func standings(_ places: [Gate.Place]) throws(NetlinkError) -> [IPAddress: Gate.Standing] {
        var result: [IPAddress: Gate.Standing] = [:]
        for family in IPAddress.Family.allCases {
            let senders = Set(try elements(of: Ruleset.outboundSet(family)).compactMap(\.address))
            let receivers = Set(try elements(of: Ruleset.inboundSet(family)).compactMap(\.address))
            for address in senders.union(receivers) {
                result[address] = Gate.Standing(isWhole: senders.contains(address) && receivers.contains(address))
            }
            for place in places {
                for element in try elements(of: Ruleset.set(of: place, family)) {
                    guard let address = element.address else { continue }
                    result[address, default: Gate.Standing(isWhole: false)].places.insert(place)
                }
            }
        }
        return result
    }

    /// The table's own counters, by name: packets since it was put up.
    public func counters() throws(NetlinkError) -> [String: UInt64] {
        let operation = { "reading the gate's counters" }
        let request = Nftables.request(NFT_MSG_GETOBJ) {
            $0.attribute(NFTA_OBJ_TABLE.rawValue, text: Ruleset.table)
            $0.attribute(NFTA_OBJ_TYPE.rawValue, big: UInt32(NFT_OBJECT_COUNTER))
        }
        var result: [String: UInt64] = [:]
        for message in try dump(request, operation) where Nftables.kind(message) == NFT_MSG_NEWOBJ.rawValue {
            try netlink.read(operation) { () throws(NetlinkMalformed) in
                let attributes = try Nftables.attributes(message)
                guard let name = attributes[NFTA_OBJ_NAME.rawValue]?.text,
                    attributes[NFTA_OBJ_TABLE.rawValue]?.text == Ruleset.table
                else { return }
                let data = try attributes[NFTA_OBJ_DATA.rawValue]?.nested()
                result[name] = data?[NFTA_COUNTER_PACKETS.rawValue]?.big(UInt64.self) ?? 0
            }
        }
        return result
    }

    /// In what the kernel differs from a ruleset, as a clause such as "the chain forward"; nil when it has it just as it
    /// should be, entries aside. Chains and sets of ours beyond it, to which nothing leads, do not count.
    public func difference(from ruleset: Ruleset) throws(NetlinkError) -> String? {
        let operation = { "reading the gate" }
        var rules: [String: [NetlinkAttributes]] = [:]
        for rule in try list(NFT_MSG_GETRULE, NFT_MSG_NEWRULE, table: NFTA_RULE_TABLE.rawValue) {
            rules[rule[NFTA_RULE_CHAIN.rawValue]?.text ?? "", default: []].append(rule)
        }
        let chains = try list(NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, table: NFTA_CHAIN_TABLE.rawValue)
        guard !chains.isEmpty else { return "the table" }
        for chain in ruleset.chains {
            guard let present = chains.first(where: { $0[NFTA_CHAIN_NAME.rawValue]?.text == chain.name }),
                try isSame(chain, present, rules[chain.name] ?? [], operation)
            else { return "the chain \(chain.name)" }
        }
        let sets = try list(NFT_MSG_GETSET, NFT_MSG_NEWSET, table: NFTA_SET_TABLE.rawValue)
        for set in ruleset.sets {
            guard let present = sets.first(where: { $0[NFTA_SET_NAME.rawValue]?.text == set.name }),
                try isSame(set, present)
            else { return "the set \(set.name)" }
        }
        return nil
    }

    /// The objects of one kind in our table.
    private func list(
        _ request: nf_tables_msg_types, _ answer: nf_tables_msg_types, table: UInt32
    ) throws(NetlinkError) -> [NetlinkAttributes] {
        let operation = { "reading the gate" }
        var result: [NetlinkAttributes] = []
        for message in try dump(Nftables.request(request) { $0.attribute(table, text: Ruleset.table) }, operation)
        where Nftables.kind(message) == answer.rawValue {
            let attributes = try netlink.read(operation) { () throws(NetlinkMalformed) in
                try Nftables.attributes(message)
            }
            // Old kernels tell of all tables.
            if attributes[table]?.text == Ruleset.table { result.append(attributes) }
        }
        return result
    }

    private func isSame(_ wanted: Ruleset.NamedSet, _ set: NetlinkAttributes) throws(NetlinkError) -> Bool {
        // The kernel marks a set whose elements count by a flag of its own.
        let flags = (set[NFTA_SET_FLAGS.rawValue]?.big(UInt32.self) ?? 0) & ~UInt32(NFT_SET_EXPR.rawValue)
        guard flags == wanted.shape.flags, set[NFTA_SET_KEY_LEN.rawValue]?.big(UInt32.self) == wanted.shape.keyLength
        else { return false }
        switch wanted.content {
        case .addresses, .lease: return true
        case .ranges, .interfaces, .leads: break
        }
        let found = Set(try elements(of: wanted.name).map(\.identity))
        let elements = Set(wanted.elements)
        // `nft` puts an end before the first range, which ends nothing.
        return elements.isSubset(of: found)
            && found.subtracting(elements).allSatisfy { $0.isEnd && $0.key.allSatisfy { $0 == 0 } }
    }

    private func isSame(
        _ wanted: Ruleset.Chain, _ chain: NetlinkAttributes, _ rules: [NetlinkAttributes], _ operation: () -> String
    ) throws(NetlinkError) -> Bool {
        try netlink.read(operation) { () throws(NetlinkMalformed) in
            let hook = try chain[NFTA_CHAIN_HOOK.rawValue]?.nested()
            let policy = chain[NFTA_CHAIN_POLICY.rawValue]?.big(UInt32.self)
            guard hook?[NFTA_HOOK_HOOKNUM.rawValue]?.big(UInt32.self) == wanted.hook?.numbers.number,
                hook?[NFTA_HOOK_PRIORITY.rawValue]?.big(Int32.self) == wanted.hook?.numbers.priority,
                wanted.hook == nil || policy == UInt32(Nftables.accept), rules.count == wanted.rules.count
            else { return false }
            for (rule, wanted) in zip(rules, wanted.rules) {
                let expressions = try rule[NFTA_RULE_EXPRESSIONS.rawValue]?.nested().all ?? []
                let wantedExpressions = wanted.expressions
                guard expressions.count == wantedExpressions.count else { return false }
                for (expression, wanted) in zip(expressions, wantedExpressions) {
                    let parts = try expression.value.nested()
                    guard parts[NFTA_EXPR_NAME.rawValue]?.text == wanted.name,
                        try Self.contains(parts[NFTA_EXPR_DATA.rawValue]?.bytes ?? [], wanted.data[...])
                    else { return false }
                }
            }
            return true
        }
    }

    /// Whether attributes that the kernel tells hold all that we said. It adds some and has an order of its own.
    private static func contains(_ told: ArraySlice<UInt8>, _ said: ArraySlice<UInt8>) throws(NetlinkMalformed) -> Bool {
        let told = try NetlinkAttributes(told)
        var rest = said
        while rest.count >= 4 {
            let length = Int(rest.host(UInt16.self, at: 0))
            let type = rest.host(UInt16.self, at: 2)
            let value = rest[rest.startIndex + 4..<rest.startIndex + length]
            guard let other = told[type & 0x3FFF] else { return false }
            if type & 0x8000 != 0 {
                guard try contains(other.bytes, value) else { return false }
            } else if !other.bytes.elementsEqual(value) {
                return false
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return true
    }

    // MARK: - Elements

    private struct Element {
        var identity = Ruleset.NamedSet.Element(key: [])
        var bytes: UInt64 = 0
        var packets: UInt64 = 0

        var address: IPAddress? { IPAddress(bytes: identity.key) }
    }

    /// The elements of a set. While the kernel makes room for many more or fewer, it moves them about, and a list that it
    /// gives in pieces may have one twice in the place of another; such a list is asked for again.
    private func elements(of set: String) throws(NetlinkError) -> [Element] {
        for _ in 0..<Self.listAttempts {
            let found = try listedElements(of: set)
            if Set(found.map(\.identity)).count == found.count { return found }
        }
        throw NetlinkError(
            operation: "reading the gate's set \(set)", errno: EAGAIN,
            kernelText: "its elements were moved about while it was read, \(Self.listAttempts) times over",
            kind: .unreadable)
    }

    private static let listAttempts = 20

    private func listedElements(of set: String) throws(NetlinkError) -> [Element] {
        let request = Nftables.request(NFT_MSG_GETSETELEM) { writer in
            writer.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: Ruleset.table)
            writer.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: set)
        }
        var result: [Element] = []
        for message in try dump(request, { "reading the gate's set \(set)" })
        where Nftables.kind(message) == NFT_MSG_NEWSETELEM.rawValue {
            message.body.dropFirst(4).eachAttribute { type, value in
                guard type == NFTA_SET_ELEM_LIST_ELEMENTS.rawValue else { return }
                value.eachAttribute { _, value in result.append(Self.element(value)) }
            }
        }
        return result
    }

    private static func element(_ bytes: ArraySlice<UInt8>) -> Element {
        var element = Element()
        bytes.eachAttribute { type, value in
            switch UInt32(type) {
            case NFTA_SET_ELEM_KEY.rawValue: value.eachAttribute { _, key in element.identity.key = Array(key) }
            case NFTA_SET_ELEM_FLAGS.rawValue where value.count == 4:
                element.identity.isEnd =
                    UInt32(bigEndian: value.host(UInt32.self, at: 0)) & NFT_SET_ELEM_INTERVAL_END.rawValue != 0
            case NFTA_SET_ELEM_DATA.rawValue:
                value.eachAttribute { _, verdict in
                    verdict.eachAttribute { type, value in
                        guard type == NFTA_VERDICT_CHAIN.rawValue else { return }
                        element.identity.chain = String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
                    }
                }
            case NFTA_SET_ELEM_EXPR.rawValue:
                value.eachAttribute { type, data in
                    guard type == NFTA_EXPR_DATA.rawValue else { return }
                    data.eachAttribute { type, value in
                        guard value.count == 8 else { return }
                        let number = UInt64(bigEndian: value.host(UInt64.self, at: 0))
                        if type == NFTA_COUNTER_BYTES.rawValue { element.bytes = number }
                        if type == NFTA_COUNTER_PACKETS.rawValue { element.packets = number }
                    }
                }
            default: break
            }
        }
        return element
    }

    /// A table that is not there has nothing in it.
    private func dump(_ request: NetlinkRequest, _ operation: () -> String) throws(NetlinkError) -> [NetlinkMessage] {
        do {
            return try netlink.dump(request, operation())
        } catch let error where error.isNotFound {
            return []
        }
    }
}

extension ArraySlice<UInt8> {
    /// Goes through attributes without making a list of them; stops where they are malformed.
    fileprivate func eachAttribute(_ body: (UInt16, ArraySlice<UInt8>) -> Void) {
        var rest = self
        while rest.count >= 4 {
            let length = Int(rest.host(UInt16.self, at: 0))
            guard length >= 4, length <= rest.count else { return }
            body(rest.host(UInt16.self, at: 2) & 0x3FFF, rest[rest.startIndex + 4..<rest.startIndex + length])
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }
}
