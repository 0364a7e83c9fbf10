public import Base
import CMnl
import Glibc

/// An IPsec policy of the kernel: which packets it wants encrypted, let through or dropped.
public struct KernelPolicy: Hashable, Sendable {
    public enum Direction: UInt8, Hashable, Sendable { case input, output, forward }

    /// The ESP tunnel that a policy wants its packets to go or to have come through (`xfrm_user_tmpl`).
    public struct Template: Hashable, Sendable {
        /// The outer addresses. Inbound policies may leave them open: nil takes packets from any peer.
        public var source: IPAddress?
        public var destination: IPAddress?
        /// This association and no other; 0 is any that fits.
        public var spi: UInt32
        public var requestID: UInt32
        /// The family of the outer packet.
        public var family: IPAddress.Family

        public init(
            source: IPAddress? = nil, destination: IPAddress? = nil, spi: UInt32 = 0, requestID: UInt32,
            family: IPAddress.Family
        ) {
            self.source = source
            self.destination = destination
            self.spi = spi
            self.requestID = requestID
            self.family = family
        }
    }

    public var direction: Direction
    public var selector: KernelSelector
    /// Drops what it matches.
    public var isBlock: Bool
    /// The XFRM interface that it works for alone; 0 is all traffic.
    public var interfaceID: UInt32
    /// Lower wins.
    public var priority: UInt32
    public var mark: KernelMark?
    /// Nil lets packets through as they are.
    public var template: Template?

    public init(
        direction: Direction, selector: KernelSelector, isBlock: Bool = false, interfaceID: UInt32 = 0,
        priority: UInt32 = 0, mark: KernelMark? = nil, template: Template? = nil
    ) {
        self.direction = direction
        self.selector = selector
        self.isBlock = isBlock
        self.interfaceID = interfaceID
        self.priority = priority
        self.mark = mark
        self.template = template
    }

    public init(
        direction: Direction, source: IPPrefix, destination: IPPrefix, isBlock: Bool = false, interfaceID: UInt32 = 0
    ) {
        self.init(
            direction: direction, selector: KernelSelector(source: source, destination: destination), isBlock: isBlock,
            interfaceID: interfaceID)
    }

    public var source: IPPrefix { selector.source }
    public var destination: IPPrefix { selector.destination }

    /// What the kernel tells policies apart by.
    public struct ID: Hashable, Sendable {
        public var direction: Direction
        public var selector: KernelSelector
        public var interfaceID: UInt32
        public var mark: KernelMark?
    }

    public var id: ID { ID(direction: direction, selector: selector, interfaceID: interfaceID, mark: mark) }

    // MARK: Wire

    /// Reads the body of XFRM_MSG_NEWPOLICY and its like (`xfrm_userpolicy_info`); nil for a socket's own policy.
    init?(_ body: ArraySlice<UInt8>) throws(NetlinkMalformed) {
        guard body.count >= XFRM.policySize else {
            throw NetlinkMalformed(reason: "a policy message of \(body.count) bytes")
        }
        guard let direction = Direction(rawValue: body.host(UInt8.self, at: 160)), let selector = try body.selector(at: 0)
        else { return nil }
        let attributes = try NetlinkAttributes(body.dropFirst(XFRM.policySize))
        self.init(
            direction: direction, selector: selector,
            isBlock: body.host(UInt8.self, at: 161) == UInt8(XFRM_POLICY_BLOCK),
            interfaceID: attributes[XFRMA_IF_ID.rawValue]?.integer(UInt32.self) ?? 0,
            priority: body.host(UInt32.self, at: 152), mark: attributes.mark,
            template: attributes[XFRMA_TMPL.rawValue].flatMap { Template($0.bytes) })
    }

    /// `xfrm_userpolicy_info` and its attributes.
    var body: NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append(selector)
        writer.append(KernelLifetime())
        writer.append(repeatElement(UInt8(0), count: 32))
        writer.append(priority)
        writer.append(UInt32(0))  // index: the kernel's choice
        writer.append([
            direction.rawValue, UInt8(isBlock ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW), 0, 0, 0, 0, 0, 0,
        ])
        if let template { writer.attribute(XFRMA_TMPL.rawValue, template.bytes) }
        writer.append(id, attributesOnly: true)
        return writer
    }
}

extension KernelPolicy.Template {
    fileprivate init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count >= XFRM.templateSize,
            let family = IPAddress.Family(number: UInt8(truncatingIfNeeded: bytes.host(UInt16.self, at: 24)))
        else { return nil }
        func address(_ offset: Int) -> IPAddress? {
            let address = bytes.address(family, at: offset)
            return address.isUnspecified ? nil : address
        }
        self.init(
            source: address(28), destination: address(0), spi: UInt32(bigEndian: bytes.host(UInt32.self, at: 16)),
            requestID: bytes.host(UInt32.self, at: 44), family: family)
    }

    /// `xfrm_user_tmpl`.
    fileprivate var bytes: [UInt8] {
        var writer = NetlinkWriter()
        writer.appendAddress(destination)
        writer.append(spi.bigEndian)
        writer.append([XFRM.esp, 0, 0, 0])
        writer.append(UInt16(family.number))
        writer.append(UInt16(0))
        writer.appendAddress(source)
        writer.append(requestID)
        writer.append([XFRM.tunnelMode, 0, 0, 0])
        // Any algorithm: what the association has was negotiated.
        for _ in 0..<3 { writer.append(UInt32.max) }
        return writer.bytes
    }
}

extension NetlinkWriter {
    /// `xfrm_userpolicy_id` and the attributes that tell policies apart.
    mutating func append(_ id: KernelPolicy.ID, attributesOnly: Bool = false) {
        if !attributesOnly {
            append(id.selector)
            append(UInt32(0))
            append([id.direction.rawValue, 0, 0, 0])
        }
        if id.interfaceID != 0 { attribute(XFRMA_IF_ID.rawValue, value: id.interfaceID) }
        if let mark = id.mark { append(mark) }
    }
}
