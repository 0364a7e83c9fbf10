public import Base
import CMnl
import Glibc

/// Who an address on a local network is: an entry of the ARP or neighbour table.
public struct KernelNeighbour: Hashable, Sendable {
    public var address: IPAddress
    /// The index of the interface that it is on.
    public var interface: UInt32
    /// Empty while it is being asked for, or when nobody answered.
    public var hardwareAddress: [UInt8]
    /// The kernel believes in it: permanent, or confirmed and not yet gone.
    public var isValid: Bool

    public init(address: IPAddress, interface: UInt32, hardwareAddress: [UInt8], isValid: Bool) {
        self.address = address
        self.interface = interface
        self.hardwareAddress = hardwareAddress
        self.isValid = isValid
    }

    /// NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_NOARP and NUD_PERMANENT.
    private static let validStates: UInt16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80

    /// Reads the body of RTM_NEWNEIGH or RTM_DELNEIGH (`ndmsg`); nil for what is no IP neighbour.
    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        let body = message.body
        guard body.count >= 12 else { throw NetlinkMalformed(reason: "a neighbour message of \(body.count) bytes") }
        guard let family = IPAddress.Family(number: body.host(UInt8.self, at: 0)) else { return nil }
        let attributes = try NetlinkAttributes(body.dropFirst(12))
        guard let address = attributes[NDA_DST]?.address, address.family == family else { return nil }
        self.init(
            address: address, interface: body.host(UInt32.self, at: 4),
            hardwareAddress: attributes[NDA_LLADDR].map { Array($0.bytes) } ?? [],
            isValid: body.host(UInt16.self, at: 8) & Self.validStates != 0)
    }
}

extension Netlink {
    /// The neighbours of a family, on every interface.
    public func neighbours(_ family: IPAddress.Family) throws(NetlinkError) -> [KernelNeighbour] {
        let operation = { "listing the neighbours" }
        var body = NetlinkWriter()
        body.append([family.number, 0, 0, 0])  // ndmsg
        body.append(UInt64(0))
        return try dump(NetlinkRequest(RTM_GETNEIGH, body), operation())
            .mapAnswers(of: RTM_NEWNEIGH, in: self, operation) { (message) throws(NetlinkMalformed) in
                try KernelNeighbour(message)
            }
    }
}
