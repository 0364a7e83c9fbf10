import Base
import CMnl
import Glibc

/// A network interface as the kernel has it.
public struct KernelLink: Hashable, Sendable {
    public var index: UInt32
    /// At most 15 bytes.
    public var name: String
    /// What kind of virtual link it is, such as `tun`, `veth` or `xfrm`; nil for a plain device.
    public var kind: String?
    /// Bytes of the largest packet.
    public var mtu: Int
    /// Switched on by us or the administrator.
    public var isUp: Bool
    /// Up, and the device can carry packets (`IFF_LOWER_UP`).
    public var isRunning: Bool
    /// The link-layer address; empty for TUN and other point-to-point devices without one.
    public var hardwareAddress: [UInt8]
    /// The number that ties an XFRM interface to associations and policies (`if_id`); 0 for other kinds.
    public var interfaceID: UInt32
    /// The text that whoever made it left on it (`ip link set … alias`).
    public var alias: String?

    public init(
        index: UInt32, name: String, kind: String? = nil, mtu: Int, isUp: Bool, isRunning: Bool,
        hardwareAddress: [UInt8] = [], interfaceID: UInt32 = 0, alias: String? = nil
    ) {
        self.interfaceID = interfaceID
        self.alias = alias
        self.index = index
        self.name = name
        self.kind = kind
        self.mtu = mtu
        self.isUp = isUp
        self.isRunning = isRunning
        self.hardwareAddress = hardwareAddress
    }

    /// IFF_UP and IFF_LOWER_UP.
    private static let upFlag: UInt32 = 1
    private static let runningFlag: UInt32 = 0x10000

    /// Reads the body of RTM_NEWLINK or RTM_DELLINK (`ifinfomsg`).
    init(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        let body = message.body
        guard body.count >= 16 else { throw NetlinkMalformed(reason: "a link message of \(body.count) bytes") }
        let attributes = try NetlinkAttributes(body.dropFirst(16))
        guard let index = UInt32(exactly: body.host(Int32.self, at: 4)), let name = attributes[IFLA_IFNAME]?.text else {
            throw NetlinkMalformed(reason: "a link without index or name")
        }
        let flags = body.host(UInt32.self, at: 8)
        let info = try attributes[IFLA_LINKINFO]?.nested()
        let kind = info?[IFLA_INFO_KIND]?.text
        let xfrm = kind == Self.xfrmKind ? try info?[IFLA_INFO_DATA]?.nested() : nil
        self.init(
            index: index, name: name, kind: kind,
            mtu: Int(attributes[IFLA_MTU]?.integer(UInt32.self) ?? 0),
            isUp: flags & Self.upFlag != 0, isRunning: flags & Self.runningFlag != 0,
            hardwareAddress: attributes[IFLA_ADDRESS].map { Array($0.bytes) } ?? [],
            interfaceID: xfrm?[IFLA_XFRM_IF_ID]?.integer(UInt32.self) ?? 0, alias: attributes[IFLA_IFALIAS]?.text)
    }

    static let xfrmKind = "xfrm"
}

extension Netlink {
    /// Every interface of the namespace, by index.
    public func links() throws(NetlinkError) -> [KernelLink] {
        let operation = { "listing the network interfaces" }
        return try dump(NetlinkRequest(RTM_GETLINK, Self.linkHeader()), operation())
            .mapAnswers(of: RTM_NEWLINK, in: self, operation) { (message) throws(NetlinkMalformed) in
                try KernelLink(message)
            }
    }

    /// Nil when there is no interface of that name.
    public func link(named name: String) throws(NetlinkError) -> KernelLink? {
        let operation = { "looking up the interface \(name)" }
        var body = Self.linkHeader()
        body.attribute(IFLA_IFNAME, text: name)
        do {
            return try ask(NetlinkRequest(RTM_GETLINK, body), operation())
                .mapAnswers(of: RTM_NEWLINK, in: self, operation) { (message) throws(NetlinkMalformed) in
                    try KernelLink(message)
                }.first
        } catch let error where error.isNotFound {
            return nil
        }
    }

    /// Makes an XFRM interface: what is routed into it leaves by the policies and associations with `interfaceID`, and
    /// what those let in comes out of it. Fails with EEXIST when the name or the number is taken.
    ///
    /// - Parameter alias: a text of up to 255 bytes, which `ip link` shows.
    public func addXFRMInterface(
        _ name: String, interfaceID: UInt32, mtu: Int? = nil, alias: String? = nil
    ) throws(NetlinkError) {
        var body = Self.linkHeader()
        body.attribute(IFLA_IFNAME, text: name)
        if let mtu { body.attribute(IFLA_MTU, value: UInt32(clamping: mtu)) }
        body.nested(IFLA_LINKINFO, isMarked: false) { info in
            info.attribute(IFLA_INFO_KIND, text: KernelLink.xfrmKind)
            // No device below: the outer packets follow the routes.
            info.nested(IFLA_INFO_DATA, isMarked: false) { $0.attribute(IFLA_XFRM_IF_ID, value: interfaceID) }
        }
        try request(
            NetlinkRequest(RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body), "making the XFRM interface \(name)")
        // The kernel passes an alias over when it makes an interface, and takes it for one that is there.
        if let alias { try setAlias(alias, of: name) }
    }

    /// Leaves a text on an interface.
    public func setAlias(_ alias: String, of name: String) throws(NetlinkError) {
        let operation = "naming \(name)"
        var body = Self.linkHeader(index: try index(of: name, operation))
        body.attribute(IFLA_IFALIAS, alias.utf8.prefix(255))
        try request(NetlinkRequest(RTM_NEWLINK, body), operation)
    }

    /// Switches an interface on or off, sets its MTU in bytes, or both. What is nil stays as it is.
    public func setLink(_ name: String, isUp: Bool? = nil, mtu: Int? = nil) throws(NetlinkError) {
        var words: [String] = []
        if let isUp { words.append(isUp ? "up" : "down") }
        if let mtu { words.append("MTU \(mtu)") }
        let operation = "setting \(name) \(words.joined(separator: ", "))"
        let index = try index(of: name, operation)
        var body = Self.linkHeader(index: index, isUp: isUp)
        if let mtu {
            guard let value = UInt32(exactly: mtu) else {
                throw NetlinkError(operation: operation, errno: EINVAL, kernelText: "an MTU is a number of bytes")
            }
            body.attribute(IFLA_MTU, value: value)
        }
        try request(NetlinkRequest(RTM_NEWLINK, body), operation)
    }

    /// False when there was no interface of that name.
    @discardableResult
    public func deleteLink(_ name: String) throws(NetlinkError) -> Bool {
        var body = Self.linkHeader()
        body.attribute(IFLA_IFNAME, text: name)
        do {
            try request(NetlinkRequest(RTM_DELLINK, body), "removing the interface \(name)")
            return true
        } catch let error where error.isNotFound {
            return false
        }
    }

    /// The index of an interface that must be there.
    func index(of name: String, _ operation: @autoclosure () -> String) throws(NetlinkError) -> UInt32 {
        guard let link = try link(named: name) else {
            throw NetlinkError(operation: operation(), errno: ENODEV, kernelText: "there is no interface \(name)")
        }
        return link.index
    }

    /// `ifinfomsg`.
    private static func linkHeader(index: UInt32 = 0, isUp: Bool? = nil) -> NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append(UInt32(0))  // family, padding, type: any
        writer.append(index)
        writer.append(UInt32(isUp == true ? 1 : 0))
        writer.append(UInt32(isUp == nil ? 0 : 1))
        return writer
    }
}

extension [NetlinkMessage] {
    /// Decodes the messages of one type; others, which a newer kernel may mix in, are passed over.
    func mapAnswers<Value>(
        of type: some BinaryInteger, in netlink: Netlink, _ operation: () -> String,
        _ body: (NetlinkMessage) throws(NetlinkMalformed) -> Value?
    ) throws(NetlinkError) -> [Value] {
        var values: [Value] = []
        for message in self where message.type == type {
            let value = try netlink.read(operation) { () throws(NetlinkMalformed) in try body(message) }
            if let value { values.append(value) }
        }
        return values
    }
}

extension IPAddress.Family {
    /// AF_INET or AF_INET6, as netlink headers carry it.
    var number: UInt8 { self == .ipv4 ? UInt8(AF_INET) : UInt8(AF_INET6) }

    /// Nil for a family that is neither.
    init?(number: UInt8) {
        switch Int32(number) {
        case AF_INET: self = .ipv4
        case AF_INET6: self = .ipv6
        default: return nil
        }
    }
}
