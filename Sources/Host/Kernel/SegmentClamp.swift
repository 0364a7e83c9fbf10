import CMnl
import Glibc

/// Lowers the maximum segment size that TCP connections through a tunnel agree on, in the firewall: an nftables table of
/// our own with one map from interface to size for each family. What is smaller already stays.
///
/// Changes for one interface touch one map element, whatever else is there.
final class SegmentClamp {
    static let table = "gatehouse_mss"
    private static let maps = (v4: "mss4", v6: "mss6")

    private let netlink: Netlink
    private var sizes: [String: Int] = [:]
    private var isPrepared = false
    /// That of the table that we made.
    private var made: Token?

    /// What tells our table from another of the same name, such as one that a firewall's file has brought back as it was
    /// when the file was written: the kernel's number for it, and how many chains and maps it has.
    private struct Token: Equatable {
        var handle: UInt64?
        var parts: UInt32?
    }

    /// Works through a socket of ``Netlink/Bus/netfilter``.
    init(_ netlink: Netlink) { self.netlink = netlink }

    /// Sets the size for IPv4, in bytes; IPv6 gets 20 less. Packets both into and out of `interface` are clamped.
    ///
    /// - Returns: whether the table had to be made anew, since someone had changed it or taken it away.
    @discardableResult
    func set(_ interface: String, mss: Int) throws(NetlinkError) -> Bool {
        let old = sizes[interface]
        // That it was set once does not say that it is there.
        if old == mss, try isIntact() { return false }
        sizes[interface] = mss
        do throws(NetlinkError) {
            guard isPrepared, old != mss else {
                let wasThere = isPrepared
                try rebuild()
                return wasThere
            }
            var requests = old.map { [element(interface, $0, isV6: false, isAdded: false), element(interface, $0, isV6: true, isAdded: false)] } ?? []
            requests += [element(interface, mss, isV6: false, isAdded: true), element(interface, mss, isV6: true, isAdded: true)]
            return try change(requests)
        } catch {
            sizes[interface] = old
            throw error
        }
    }

    func remove(_ interface: String) throws(NetlinkError) {
        guard let old = sizes.removeValue(forKey: interface), isPrepared else { return }
        try change([
            element(interface, old, isV6: false, isAdded: false), element(interface, old, isV6: true, isAdded: false),
        ])
    }

    /// Whether the table in the kernel is the one that we made, or none is needed.
    func isIntact() throws(NetlinkError) -> Bool {
        guard isPrepared else { return sizes.isEmpty }
        guard let present = try token() else { return false }
        return present == made
    }

    /// Nil when there is no such table.
    private func token() throws(NetlinkError) -> Token? {
        let operation = { "looking up our nftables table" }
        var body = Self.header()
        body.attribute(NFTA_TABLE_NAME.rawValue, text: Self.table)
        do {
            for message in try netlink.ask(Self.request(NFT_MSG_GETTABLE, body), operation())
            where Nftables.kind(message) == NFT_MSG_NEWTABLE.rawValue {
                let attributes = try netlink.read(operation) { () throws(NetlinkMalformed) in
                    try Nftables.attributes(message)
                }
                return Token(
                    handle: attributes[NFTA_TABLE_HANDLE.rawValue]?.big(UInt64.self),
                    parts: attributes[NFTA_TABLE_USE.rawValue]?.big(UInt32.self))
            }
            return nil
        } catch let error where error.isNotFound {
            return nil
        }
    }

    /// Makes the table anew with all that is in it, in one step.
    func rebuild() throws(NetlinkError) {
        var requests = [Self.tableRequest(NFT_MSG_NEWTABLE), Self.tableRequest(NFT_MSG_DELTABLE)]
        requests += [Self.tableRequest(NFT_MSG_NEWTABLE), Self.map(Self.maps.v4, 1), Self.map(Self.maps.v6, 2)]
        // NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT.
        for (name, hook) in [("input", 1), ("forward", 2), ("output", 3)] {
            requests.append(Self.chain(name, UInt32(hook)))
            for isV6 in [false, true] {
                if name != "output" { requests.append(Self.rule(name, NFT_META_IIFNAME, isV6: isV6)) }
                if name != "input" { requests.append(Self.rule(name, NFT_META_OIFNAME, isV6: isV6)) }
            }
        }
        for (interface, mss) in sizes.sorted(by: { $0.key < $1.key }) {
            requests += [
                element(interface, mss, isV6: false, isAdded: true), element(interface, mss, isV6: true, isAdded: true),
            ]
        }
        try send(requests)
        isPrepared = true
        made = try token()
    }

    /// Takes the table away.
    func removeTable() throws(NetlinkError) {
        sizes = [:]
        isPrepared = false
        made = nil
        try send([Self.tableRequest(NFT_MSG_NEWTABLE), Self.tableRequest(NFT_MSG_DELTABLE)])
    }

    /// Someone may have taken our table: then it is made anew, which is told.
    @discardableResult
    private func change(_ requests: [NetlinkRequest]) throws(NetlinkError) -> Bool {
        do {
            try send(requests)
            return false
        } catch let error where error.kind == .refused && error.errno != EPERM {
            try rebuild()
            return true
        }
    }

    // MARK: - Messages

    private func send(_ requests: [NetlinkRequest]) throws(NetlinkError) {
        func mark(_ type: Int) -> NetlinkRequest {
            var body = NetlinkWriter()
            body.append([UInt8(AF_UNSPEC), 0])
            body.append(UInt16(NFNL_SUBSYS_NFTABLES).bigEndian)
            return NetlinkRequest(type, body)
        }
        var requests = requests
        requests[requests.count - 1].flags |= UInt16(NLM_F_ACK)
        _ = try netlink.batch(
            [mark(0x10)] + requests + [mark(0x11)], "setting the segment sizes of the tunnels (nftables)")
    }

    private static func header() -> NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append([1, 0, 0, 0])  // nfgenmsg of NFPROTO_INET
        return writer
    }

    private static func request(
        _ message: nf_tables_msg_types, flags: Int32 = 0, _ body: NetlinkWriter
    ) -> NetlinkRequest {
        NetlinkRequest(Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(message.rawValue), flags: flags, body)
    }

    private static func tableRequest(_ message: nf_tables_msg_types) -> NetlinkRequest {
        var body = header()
        body.attribute(NFTA_TABLE_NAME.rawValue, text: table)
        return request(message, flags: message == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, body)
    }

    private static func chain(_ name: String, _ hook: UInt32) -> NetlinkRequest {
        var body = header()
        body.attribute(NFTA_CHAIN_TABLE.rawValue, text: table)
        body.attribute(NFTA_CHAIN_NAME.rawValue, text: name)
        body.nested(NFTA_CHAIN_HOOK.rawValue) {
            $0.attribute(NFTA_HOOK_HOOKNUM.rawValue, value: hook.bigEndian)
            $0.attribute(NFTA_HOOK_PRIORITY.rawValue, value: Int32(-150).bigEndian)  // mangle
        }
        body.attribute(NFTA_CHAIN_TYPE.rawValue, text: "filter")
        return request(NFT_MSG_NEWCHAIN, flags: NLM_F_CREATE, body)
    }

    /// A map from `ifname` (nft's type 41, 16 bytes) to `inet_service` (13, 2 bytes).
    private static func map(_ name: String, _ id: UInt32) -> NetlinkRequest {
        var body = header()
        body.attribute(NFTA_SET_TABLE.rawValue, text: table)
        body.attribute(NFTA_SET_NAME.rawValue, text: name)
        for (type, number) in [
            (NFTA_SET_FLAGS, UInt32(NFT_SET_MAP.rawValue)), (NFTA_SET_KEY_TYPE, 41), (NFTA_SET_KEY_LEN, 16),
            (NFTA_SET_DATA_TYPE, 13), (NFTA_SET_DATA_LEN, 2), (NFTA_SET_ID, id),
        ] {
            body.attribute(type.rawValue, value: number.bigEndian)
        }
        // For `nft list`: keys in host order (libnftnl's type 0), data in network order (type 1).
        var hint = NetlinkWriter()
        for (type, order) in [(UInt8(0), UInt32(1)), (1, 2)] {
            hint.append([type, 4])
            hint.append(order)
        }
        body.attribute(NFTA_SET_USERDATA.rawValue, hint.bytes)
        return request(NFT_MSG_NEWSET, flags: NLM_F_CREATE, body)
    }

    private func element(_ interface: String, _ mss: Int, isV6: Bool, isAdded: Bool) -> NetlinkRequest {
        let name = Array(interface.utf8.prefix(15))
        let size = UInt16(clamping: isV6 ? mss - 20 : mss)
        var body = Self.header()
        body.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: Self.table)
        body.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: isV6 ? Self.maps.v6 : Self.maps.v4)
        body.nested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) { list in
            list.nested(NFTA_LIST_ELEM.rawValue) { element in
                element.nested(NFTA_SET_ELEM_KEY.rawValue) {
                    $0.attribute(NFTA_DATA_VALUE.rawValue, name + [UInt8](repeating: 0, count: 16 - name.count))
                }
                if isAdded {
                    element.nested(NFTA_SET_ELEM_DATA.rawValue) {
                        $0.attribute(NFTA_DATA_VALUE.rawValue, value: size.bigEndian)
                    }
                }
            }
        }
        return Self.request(
            isAdded ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, flags: isAdded ? NLM_F_CREATE : 0, body)
    }

    /// `meta nfproto F tcp flags & (syn | rst) == syn tcp option maxseg size set iifname map @M`.
    private static func rule(_ chain: String, _ name: nft_meta_keys, isV6: Bool) -> NetlinkRequest {
        var body = header()
        body.attribute(NFTA_RULE_TABLE.rawValue, text: table)
        body.attribute(NFTA_RULE_CHAIN.rawValue, text: chain)
        body.nested(NFTA_RULE_EXPRESSIONS.rawValue) { list in
            func add(_ name: String, _ fill: (inout NetlinkWriter) -> Void) {
                list.nested(NFTA_LIST_ELEM.rawValue) {
                    $0.attribute(NFTA_EXPR_NAME.rawValue, text: name)
                    $0.nested(NFTA_EXPR_DATA.rawValue, fill)
                }
            }
            func number(_ writer: inout NetlinkWriter, _ type: UInt32, _ value: UInt32) {
                writer.attribute(type, value: value.bigEndian)
            }
            func load(_ key: nft_meta_keys) {
                add("meta") {
                    number(&$0, NFTA_META_DREG.rawValue, 1)
                    number(&$0, NFTA_META_KEY.rawValue, key.rawValue)
                }
            }
            func equals(_ value: UInt8) {
                add("cmp") {
                    number(&$0, NFTA_CMP_SREG.rawValue, 1)
                    number(&$0, NFTA_CMP_OP.rawValue, NFT_CMP_EQ.rawValue)
                    $0.nested(NFTA_CMP_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, [value]) }
                }
            }
            load(NFT_META_NFPROTO)
            equals(UInt8(isV6 ? AF_INET6 : AF_INET))
            load(NFT_META_L4PROTO)
            equals(UInt8(IPPROTO_TCP))
            add("payload") {
                number(&$0, NFTA_PAYLOAD_DREG.rawValue, 1)
                number(&$0, NFTA_PAYLOAD_BASE.rawValue, NFT_PAYLOAD_TRANSPORT_HEADER.rawValue)
                number(&$0, NFTA_PAYLOAD_OFFSET.rawValue, 13)
                number(&$0, NFTA_PAYLOAD_LEN.rawValue, 1)
            }
            add("bitwise") {
                number(&$0, NFTA_BITWISE_SREG.rawValue, 1)
                number(&$0, NFTA_BITWISE_DREG.rawValue, 1)
                number(&$0, NFTA_BITWISE_LEN.rawValue, 1)
                $0.nested(NFTA_BITWISE_MASK.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, [0x06]) }
                $0.nested(NFTA_BITWISE_XOR.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, [0]) }
            }
            equals(0x02)
            load(name)
            add("lookup") {
                $0.attribute(NFTA_LOOKUP_SET.rawValue, text: isV6 ? maps.v6 : maps.v4)
                number(&$0, NFTA_LOOKUP_SREG.rawValue, 1)
                number(&$0, NFTA_LOOKUP_DREG.rawValue, 1)
                number(&$0, NFTA_LOOKUP_SET_ID.rawValue, isV6 ? 2 : 1)
            }
            add("exthdr") {
                number(&$0, NFTA_EXTHDR_SREG.rawValue, 1)
                $0.attribute(NFTA_EXTHDR_TYPE.rawValue, [2])  // maximum segment size
                number(&$0, NFTA_EXTHDR_OFFSET.rawValue, 2)
                number(&$0, NFTA_EXTHDR_LEN.rawValue, 2)
                number(&$0, NFTA_EXTHDR_OP.rawValue, NFT_EXTHDR_OP_TCPOPT.rawValue)
            }
        }
        return request(NFT_MSG_NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND, body)
    }
}
