import Base
import CMnl
import Glibc

/// nftables over netlink: the messages that make and read tables.
///
/// Messages that change something travel in a batch, which is one transaction: all or nothing, and no packet sees the
/// half of it.
enum Nftables {
    static let accept: Int32 = 1
    static let drop: Int32 = 0
    static let jump: Int32 = -3
    static let goto: Int32 = -4

    /// The header that follows netlink's own in every message.
    static func header(_ family: UInt8 = UInt8(NFPROTO_INET), resource: UInt16 = 0) -> NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append([family, 0])
        writer.append(resource.bigEndian)
        return writer
    }

    static func request(
        _ message: nf_tables_msg_types, flags: Int32 = 0, family: UInt8 = UInt8(NFPROTO_INET),
        _ build: (inout NetlinkWriter) -> Void = { _ in }
    ) -> NetlinkRequest {
        var body = header(family)
        build(&body)
        return NetlinkRequest(Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(message.rawValue), flags: flags, body)
    }

    /// The message type of an answer, without the subsystem.
    static func kind(_ message: NetlinkMessage) -> UInt32? {
        Int32(message.type >> 8) == NFNL_SUBSYS_NFTABLES ? UInt32(message.type & 0xFF) : nil
    }

    /// The attributes behind the header.
    static func attributes(_ message: NetlinkMessage) throws(NetlinkMalformed) -> NetlinkAttributes {
        try NetlinkAttributes(message.body.dropFirst(4))
    }
}

extension Netlink {
    /// Carries out messages as one transaction. For a socket of ``Bus/netfilter``.
    func transaction(_ requests: [NetlinkRequest], _ operation: @autoclosure () -> String) throws(NetlinkError) {
        guard var last = requests.last else { return }
        last.flags |= UInt16(NLM_F_ACK)
        let resource = UInt16(NFNL_SUBSYS_NFTABLES)
        let begin = NetlinkRequest(
            NFNL_MSG_BATCH_BEGIN, Nftables.header(UInt8(AF_UNSPEC), resource: resource))
        let end = NetlinkRequest(NFNL_MSG_BATCH_END, Nftables.header(UInt8(AF_UNSPEC), resource: resource))
        _ = try batch([begin] + requests.dropLast() + [last, end], operation())
    }

    /// Asks nftables for its generation, which any kernel that has it knows. For a socket of ``Bus/netfilter``.
    func nftablesGeneration() throws(NetlinkError) -> UInt32 {
        let operation = { "asking for nftables" }
        let answers = try ask(Nftables.request(NFT_MSG_GETGEN, family: UInt8(AF_UNSPEC)), operation())
        for message in answers where Nftables.kind(message) == NFT_MSG_NEWGEN.rawValue {
            let attributes = try read(operation) { () throws(NetlinkMalformed) in try Nftables.attributes(message) }
            return attributes[NFTA_GEN_ID.rawValue]?.integer(UInt32.self)?.byteSwapped ?? 0
        }
        return 0
    }
}

extension NetlinkWriter {
    /// A number in network byte order, as netfilter has them.
    mutating func attribute<Value: FixedWidthInteger>(_ type: some BinaryInteger, big value: Value) {
        attribute(type, value: value.bigEndian)
    }
}

extension NetlinkAttributes.Value {
    /// A number in network byte order; nil when the attribute has another width.
    func big<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number? {
        integer(type).map { Number(bigEndian: $0) }
    }
}
