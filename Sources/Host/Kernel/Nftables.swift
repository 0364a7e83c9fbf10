import CMnl
import Glibc

extension Netlink {
    /// Asks nftables for its generation, which any kernel that has it knows. For a socket of ``Bus/netfilter``.
    func nftablesGeneration() throws(NetlinkError) -> UInt32 {
        var body = NetlinkWriter()
        body.append([UInt8(AF_UNSPEC), 0, 0, 0])  // nfgenmsg
        let operation = { "asking for nftables" }
        let answers = try ask(
            NetlinkRequest(Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(NFT_MSG_GETGEN.rawValue), body), operation())
        for message in answers where message.type & 0xFF == NFT_MSG_NEWGEN.rawValue {
            let attributes = try read(operation) { () throws(NetlinkMalformed) in
                try NetlinkAttributes(message.body.dropFirst(4))
            }
            return attributes[NFTA_GEN_ID.rawValue]?.integer(UInt32.self)?.byteSwapped ?? 0
        }
        return 0
    }
}
