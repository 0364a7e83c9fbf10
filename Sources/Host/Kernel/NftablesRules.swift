import Access
import Base
import CMnl
import Glibc

/// One instruction of nftables' virtual machine, as netlink carries it.
struct NftablesExpression: Hashable, Sendable {
    var name: String
    var data: [UInt8]

    init(_ name: String, _ build: (inout NetlinkWriter) -> Void) {
        var writer = NetlinkWriter()
        build(&writer)
        self.name = name
        data = writer.bytes
    }
}

extension Ruleset.Rule {
    /// What the rule is in the kernel's terms, with the checks that `nft` leaves unsaid: an address is read only from a
    /// packet of its family, which is asked once in a rule, and a port only from TCP.
    var expressions: [NftablesExpression] {
        var asked: IPAddress.Family?
        return statements.flatMap { statement in
            guard let family = statement.family else { return statement.expressions }
            defer { asked = family }
            return (asked == family ? [] : .familyIs(family)) + statement.expressions
        }
    }
}

extension Ruleset.Statement {
    /// The family whose addresses are read.
    fileprivate var family: IPAddress.Family? {
        switch self {
        case .source(let family, _), .destination(let family, _), .sourceLead(let family, _),
            .destinationLead(let family, _):
            family
        default: nil
        }
    }

    fileprivate var expressions: [NftablesExpression] {
        switch self {
        case .inputBegins(let prefix): [.meta(NFT_META_IIFNAME), .compare(Array(prefix.utf8))]
        case .outputBegins(let prefix): [.meta(NFT_META_OIFNAME), .compare(Array(prefix.utf8))]
        case .inputNotIn(let set): [.meta(NFT_META_IIFNAME), .lookup(set, isInverted: true)]
        case .source(let family, let set): [.source(family), .lookup(set)]
        case .destination(let family, let set): [.destination(family), .lookup(set)]
        case .familyNotIn(let set): [.meta(NFT_META_NFPROTO), .lookup(set, isInverted: true)]
        case .tcp: [.meta(NFT_META_L4PROTO), .compare([UInt8(IPPROTO_TCP)])]
        case .tcpDestinationPort(let port):
            [
                .meta(NFT_META_L4PROTO), .compare([UInt8(IPPROTO_TCP)]),
                .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, length: 2),
                .compare(withUnsafeBytes(of: port.bigEndian) { Array($0) }),
            ]
        case .connection(let states, let isNegated):
            [.connectionState, .mask(states.rawValue), .compare([0, 0, 0, 0], isEqual: isNegated)]
        case .sourceLead(let family, let map): [.source(family), .verdict(from: map)]
        case .destinationLead(let family, let map): [.destination(family), .verdict(from: map)]
        case .count(let counter): [.count(counter)]
        case .accept: [.verdict(Nftables.accept)]
        case .drop: [.verdict(Nftables.drop)]
        case .jump(let chain): [.verdict(Nftables.jump, chain)]
        case .goto(let chain): [.verdict(Nftables.goto, chain)]
        case .rejectWithReset: [.reject(type: UInt32(NFT_REJECT_TCP_RST.rawValue), code: nil)]
        case .rejectAsProhibited:
            [
                .reject(
                    type: UInt32(NFT_REJECT_ICMPX_UNREACH.rawValue),
                    code: UInt8(NFT_REJECT_ICMPX_ADMIN_PROHIBITED.rawValue))
            ]
        case .redirect(let port): [.load(withUnsafeBytes(of: port.bigEndian) { Array($0) }), .redirect]
        }
    }
}

extension [NftablesExpression] {
    fileprivate static func familyIs(_ family: IPAddress.Family) -> [NftablesExpression] {
        [.meta(NFT_META_NFPROTO), .compare([family.number])]
    }
}

/// All of them work in the first register.
extension NftablesExpression {
    private static var register: UInt32 { UInt32(NFT_REG_1.rawValue) }

    fileprivate static func meta(_ key: nft_meta_keys) -> Self {
        Self("meta") { writer in
            writer.attribute(NFTA_META_DREG.rawValue, big: register)
            writer.attribute(NFTA_META_KEY.rawValue, big: UInt32(key.rawValue))
        }
    }

    fileprivate static func source(_ family: IPAddress.Family) -> Self {
        .payload(
            NFT_PAYLOAD_NETWORK_HEADER, offset: family == .ipv4 ? 12 : 8, length: UInt32(family.bitWidth / 8))
    }

    fileprivate static func destination(_ family: IPAddress.Family) -> Self {
        .payload(
            NFT_PAYLOAD_NETWORK_HEADER, offset: family == .ipv4 ? 16 : 24, length: UInt32(family.bitWidth / 8))
    }

    fileprivate static func payload(_ base: nft_payload_bases, offset: UInt32, length: UInt32) -> Self {
        Self("payload") { writer in
            writer.attribute(NFTA_PAYLOAD_DREG.rawValue, big: register)
            writer.attribute(NFTA_PAYLOAD_BASE.rawValue, big: UInt32(base.rawValue))
            writer.attribute(NFTA_PAYLOAD_OFFSET.rawValue, big: offset)
            writer.attribute(NFTA_PAYLOAD_LEN.rawValue, big: length)
        }
    }

    fileprivate static func compare(_ value: [UInt8], isEqual: Bool = true) -> Self {
        Self("cmp") { writer in
            writer.attribute(NFTA_CMP_SREG.rawValue, big: register)
            writer.attribute(NFTA_CMP_OP.rawValue, big: UInt32((isEqual ? NFT_CMP_EQ : NFT_CMP_NEQ).rawValue))
            writer.nested(NFTA_CMP_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value) }
        }
    }

    fileprivate static func lookup(_ set: String, isInverted: Bool = false) -> Self {
        Self("lookup") { writer in
            writer.attribute(NFTA_LOOKUP_SET.rawValue, text: set)
            writer.attribute(NFTA_LOOKUP_SREG.rawValue, big: register)
            if isInverted { writer.attribute(NFTA_LOOKUP_FLAGS.rawValue, big: UInt32(NFT_LOOKUP_F_INV.rawValue)) }
        }
    }

    fileprivate static func verdict(from map: String) -> Self {
        Self("lookup") { writer in
            writer.attribute(NFTA_LOOKUP_SET.rawValue, text: map)
            writer.attribute(NFTA_LOOKUP_SREG.rawValue, big: register)
            writer.attribute(NFTA_LOOKUP_DREG.rawValue, big: UInt32(NFT_REG_VERDICT.rawValue))
        }
    }

    fileprivate static var connectionState: Self {
        Self("ct") { writer in
            writer.attribute(NFTA_CT_DREG.rawValue, big: register)
            writer.attribute(NFTA_CT_KEY.rawValue, big: UInt32(NFT_CT_STATE.rawValue))
        }
    }

    /// Registers hold numbers of the kernel's own in its own byte order.
    fileprivate static func mask(_ bits: UInt32) -> Self {
        Self("bitwise") { writer in
            writer.attribute(NFTA_BITWISE_SREG.rawValue, big: register)
            writer.attribute(NFTA_BITWISE_DREG.rawValue, big: register)
            writer.attribute(NFTA_BITWISE_LEN.rawValue, big: UInt32(4))
            writer.nested(NFTA_BITWISE_MASK.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value: bits) }
            writer.nested(NFTA_BITWISE_XOR.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value: UInt32(0)) }
        }
    }

    fileprivate static func verdict(_ code: Int32, _ chain: String? = nil) -> Self {
        Self("immediate") { writer in
            writer.attribute(NFTA_IMMEDIATE_DREG.rawValue, big: UInt32(NFT_REG_VERDICT.rawValue))
            writer.nested(NFTA_IMMEDIATE_DATA.rawValue) { data in
                data.nested(NFTA_DATA_VERDICT.rawValue) { verdict in
                    verdict.attribute(NFTA_VERDICT_CODE.rawValue, big: code)
                    if let chain { verdict.attribute(NFTA_VERDICT_CHAIN.rawValue, text: chain) }
                }
            }
        }
    }

    fileprivate static func load(_ value: [UInt8]) -> Self {
        Self("immediate") { writer in
            writer.attribute(NFTA_IMMEDIATE_DREG.rawValue, big: register)
            writer.nested(NFTA_IMMEDIATE_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value) }
        }
    }

    fileprivate static func reject(type: UInt32, code: UInt8?) -> Self {
        Self("reject") { writer in
            writer.attribute(NFTA_REJECT_TYPE.rawValue, big: type)
            if let code { writer.attribute(NFTA_REJECT_ICMP_CODE.rawValue, value: code) }
        }
    }

    fileprivate static var redirect: Self {
        Self("redir") { writer in
            writer.attribute(NFTA_REDIR_REG_PROTO_MIN.rawValue, big: register)
            // NF_NAT_RANGE_PROTO_SPECIFIED
            writer.attribute(NFTA_REDIR_FLAGS.rawValue, big: UInt32(2))
        }
    }

    fileprivate static func count(_ counter: String) -> Self {
        Self("objref") { writer in
            writer.attribute(NFTA_OBJREF_IMM_TYPE.rawValue, big: UInt32(NFT_OBJECT_COUNTER))
            writer.attribute(NFTA_OBJREF_IMM_NAME.rawValue, text: counter)
        }
    }
}
