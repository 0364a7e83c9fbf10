public import Base
import CMnl
import Glibc

/// An address on an interface.
public struct KernelAddress: Hashable, Sendable {
    public var address: IPPrefix
    /// The index of the interface that it is on.
    public var interface: UInt32
    /// The kernel made no route to the prefix for it.
    public var hasNoPrefixRoute: Bool
    /// An IPv6 address that is still being checked for a duplicate, or is one: not usable yet.
    public var isTentative: Bool

    public init(address: IPPrefix, interface: UInt32, hasNoPrefixRoute: Bool = false, isTentative: Bool = false) {
        self.address = address
        self.interface = interface
        self.hasNoPrefixRoute = hasNoPrefixRoute
        self.isTentative = isTentative
    }

    /// Reads the body of RTM_NEWADDR or RTM_DELADDR (`ifaddrmsg`); nil for a family that is no IP.
    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        let body = message.body
        guard body.count >= 8 else { throw NetlinkMalformed(reason: "an address message of \(body.count) bytes") }
        guard let family = IPAddress.Family(number: body.host(UInt8.self, at: 0)) else { return nil }
        let attributes = try NetlinkAttributes(body.dropFirst(8))
        // On a point-to-point link IFA_ADDRESS is the peer and IFA_LOCAL is ours; IPv6 may have the first alone.
        guard let address = (attributes[IFA_LOCAL] ?? attributes[IFA_ADDRESS])?.address, address.family == family,
            let prefix = IPPrefix(address, length: Int(body.host(UInt8.self, at: 1)))
        else { throw NetlinkMalformed(reason: "an address message without a usable address") }
        let flags = attributes[IFA_FLAGS]?.integer(UInt32.self) ?? UInt32(body.host(UInt8.self, at: 2))
        self.init(
            address: prefix, interface: body.host(UInt32.self, at: 4),
            hasNoPrefixRoute: flags & UInt32(IFA_F_NOPREFIXROUTE) != 0,
            isTentative: flags & UInt32(IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0)
    }
}

extension Netlink {
    /// The addresses of one interface, or of all.
    public func addresses(of interface: String? = nil) throws(NetlinkError) -> [KernelAddress] {
        let operation = { "listing the addresses" + (interface.map { " of \($0)" } ?? "") }
        // A kernel before 5.0 pays no attention to an index in the request: it is looked at here again.
        let index: UInt32? = if let interface { try index(of: interface, operation()) } else { nil }
        return try dump(NetlinkRequest(RTM_GETADDR, Self.addressHeader(family: 0, index: index ?? 0)), operation())
            .mapAnswers(of: RTM_NEWADDR, in: self, operation) { (message) throws(NetlinkMalformed) in
                guard let address = try KernelAddress(message), index == nil || address.interface == index else {
                    return nil
                }
                return address
            }
    }

    /// Puts an address on an interface; one that is there already stays, with these settings.
    ///
    /// - Parameter prefixRoute: lets the kernel make a route to the whole prefix. Tunnels do without: their routes
    ///   are ours to make and to move.
    public func addAddress(
        _ address: IPPrefix, to interface: String, prefixRoute: Bool = false
    ) throws(NetlinkError) {
        try changeAddress(address, on: interface, "adding \(address) to \(interface)") { index in
            // There is nobody on a tunnel to ask for duplicates, and an address that waits cannot be used.
            var flags = UInt32(IFA_F_NODAD)
            if !prefixRoute { flags |= UInt32(IFA_F_NOPREFIXROUTE) }
            var body = Self.addressBody(address, index)
            body.attribute(IFA_FLAGS, value: flags)
            return NetlinkRequest(RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_REPLACE, body)
        }
    }

    /// False when the address was not there.
    @discardableResult
    public func removeAddress(_ address: IPPrefix, from interface: String) throws(NetlinkError) -> Bool {
        do {
            try changeAddress(address, on: interface, "removing \(address) from \(interface)") { index in
                NetlinkRequest(RTM_DELADDR, Self.addressBody(address, index))
            }
            return true
        } catch let error where error.isNotFound {
            return false
        }
    }

    private func changeAddress(
        _ address: IPPrefix, on interface: String, _ operation: @autoclosure () -> String,
        _ build: (UInt32) -> NetlinkRequest
    ) throws(NetlinkError) {
        try request(build(try index(of: interface, operation())), operation())
    }

    private static func addressBody(_ address: IPPrefix, _ index: UInt32) -> NetlinkWriter {
        var body = addressHeader(family: address.family.number, length: UInt8(clamping: address.length), index: index)
        body.attribute(IFA_LOCAL, address.address)
        body.attribute(IFA_ADDRESS, address.address)
        return body
    }

    /// `ifaddrmsg`.
    private static func addressHeader(family: UInt8, length: UInt8 = 0, index: UInt32 = 0) -> NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append([family, length, 0, 0])  // flags are an attribute; scope: global
        writer.append(index)
        return writer
    }
}
