public import Base
import CMnl
import Glibc

/// Connections that the kernel tracks. For a socket of ``Bus/netfilter``.
extension Netlink {
    /// Forgets every tracked connection that `address` began or answers, so that its next packet is judged anew, and
    /// returns how many there were.
    @discardableResult
    public func forgetConnections(of address: IPAddress) throws(NetlinkError) -> Int {
        try forgetConnections(of: [address], address.family) { _ in true }
    }

    /// Forgets the connections between some addresses of one family and far addresses that `isFar` knows, whoever began
    /// them, in one pass over the table.
    @discardableResult
    public func forgetConnections(
        of addresses: Set<IPAddress>, _ family: IPAddress.Family, towards isFar: (IPAddress) -> Bool
    ) throws(NetlinkError) -> Int {
        let operation = { "forgetting the connections of \(addresses.map(\.description).joined(separator: ", "))" }
        var count = 0
        for message in try dump(
            NetlinkRequest(Conntrack.get, Conntrack.header(family)), operation())
        where message.type == Conntrack.new && message.body.count >= 4 {
            let attributes = try read(operation) { () throws(NetlinkMalformed) in
                try NetlinkAttributes(message.body.dropFirst(4))
            }
            var ends: Set<IPAddress> = []
            for type in [Conntrack.original, Conntrack.reply] {
                let tuple = try read(operation) { () throws(NetlinkMalformed) in
                    try attributes[type]?.nested()[Conntrack.tupleIP]?.nested()
                }
                // CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST.
                ends.formUnion((1...4).compactMap { tuple?[$0]?.address })
            }
            guard !ends.isDisjoint(with: addresses), ends.contains(where: isFar),
                let original = attributes[Conntrack.original]?.bytes
            else { continue }
            var body = Conntrack.header(family)
            body.attribute(UInt16(Conntrack.original) | 0x8000, original)
            if let id = attributes[Conntrack.identity]?.bytes { body.attribute(Conntrack.identity, id) }
            if let zone = attributes[Conntrack.zone]?.bytes { body.attribute(Conntrack.zone, zone) }
            do {
                try request(NetlinkRequest(Conntrack.delete, body), operation())
                count += 1
            } catch let error where error.isNotFound {
                // It ended by itself.
            }
        }
        return count
    }
}

/// Numbers of `<linux/netfilter/nfnetlink_conntrack.h>`.
private enum Conntrack {
    static let new = UInt16(1 << 8 | 0)
    static let get = UInt16(1 << 8 | 1)
    static let delete = UInt16(1 << 8 | 2)
    static let original = 1
    static let reply = 2
    static let tupleIP = 1
    static let identity = 12
    static let zone = 18

    /// `nfgenmsg`.
    static func header(_ family: IPAddress.Family) -> NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append([family.number, 0, 0, 0])
        return writer
    }
}
