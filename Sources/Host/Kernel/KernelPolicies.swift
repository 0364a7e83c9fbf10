public import Base
import CMnl
import Glibc

/// An IPsec policy of the kernel: which packets it wants encrypted, let through or dropped.
public struct KernelPolicy: Hashable, Sendable {
    public enum Direction: UInt8, Hashable, Sendable { case input, output, forward }

    public var direction: Direction
    public var source: IPPrefix
    public var destination: IPPrefix
    /// Drops what it matches.
    public var isBlock: Bool
    /// The XFRM interface that it works for alone; 0 is all traffic.
    public var interfaceID: UInt32

    public init(
        direction: Direction, source: IPPrefix, destination: IPPrefix, isBlock: Bool = false, interfaceID: UInt32 = 0
    ) {
        self.direction = direction
        self.source = source
        self.destination = destination
        self.isBlock = isBlock
        self.interfaceID = interfaceID
    }

    /// Reads the body of XFRM_MSG_NEWPOLICY (`xfrm_userpolicy_info`); nil for a socket's own policy.
    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        let size = MemoryLayout<xfrm_userpolicy_info>.size
        guard message.body.count >= size else {
            throw NetlinkMalformed(reason: "a policy message of \(message.body.count) bytes")
        }
        var info = xfrm_userpolicy_info()
        withUnsafeMutableBytes(of: &info) { $0.copyBytes(from: message.body.prefix(size)) }
        guard let direction = Direction(rawValue: info.dir),
            let family = IPAddress.Family(number: UInt8(truncatingIfNeeded: info.sel.family))
        else { return nil }
        func prefix(_ address: xfrm_address_t, _ length: UInt8) throws(NetlinkMalformed) -> IPPrefix {
            let bytes = withUnsafeBytes(of: address) { Array($0.prefix(family.bitWidth / 8)) }
            guard let address = IPAddress(bytes: bytes), let prefix = IPPrefix(address, length: Int(length)) else {
                throw NetlinkMalformed(reason: "a policy with a prefix of \(length) bits")
            }
            return prefix
        }
        let attributes = try NetlinkAttributes(message.body.dropFirst((size + 3) & ~3))
        self.init(
            direction: direction, source: try prefix(info.sel.saddr, info.sel.prefixlen_s),
            destination: try prefix(info.sel.daddr, info.sel.prefixlen_d),
            isBlock: info.action == UInt8(XFRM_POLICY_BLOCK),
            interfaceID: attributes[XFRMA_IF_ID.rawValue]?.integer(UInt32.self) ?? 0)
    }
}

extension Netlink {
    /// Every IPsec policy, whoever made it, save those of single sockets. For a socket of ``Bus/xfrm``.
    public func policies() throws(NetlinkError) -> [KernelPolicy] {
        let operation = { "listing the IPsec policies" }
        return try dump(NetlinkRequest(XFRM_MSG_GETPOLICY, NetlinkWriter()), operation())
            .mapAnswers(of: XFRM_MSG_NEWPOLICY, in: self, operation) { (message) throws(NetlinkMalformed) in
                try KernelPolicy(message)
            }
    }
}
