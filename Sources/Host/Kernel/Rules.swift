public import Base
import CMnl
import Glibc

/// A policy routing rule: which packets look into which table.
public struct KernelRule: Hashable, Sendable {
    public var family: IPAddress.Family
    /// Lower is asked first.
    public var priority: UInt32
    public var source: IPPrefix?
    public var destination: IPPrefix?
    /// Matches packets whose firewall mark, cut to `markMask`, is this.
    public var mark: UInt32?
    public var markMask: UInt32
    public var inputInterface: String?
    public var outputInterface: String?
    public var table: UInt32
    public var origin: RouteOrigin
    /// Matches what the selectors above do not.
    public var isInverted: Bool

    public init(
        family: IPAddress.Family, priority: UInt32, source: IPPrefix? = nil, destination: IPPrefix? = nil,
        mark: UInt32? = nil, markMask: UInt32 = .max, inputInterface: String? = nil, outputInterface: String? = nil,
        table: UInt32, origin: RouteOrigin = .gatehouse, isInverted: Bool = false
    ) {
        self.family = family
        self.priority = priority
        self.source = source
        self.destination = destination
        self.mark = mark
        self.markMask = markMask
        self.inputInterface = inputInterface
        self.outputInterface = outputInterface
        self.table = table
        self.origin = origin
        self.isInverted = isInverted
    }

    /// Reads the body of RTM_NEWRULE (`fib_rule_hdr`); nil for a rule that does not look into a table.
    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        let body = message.body
        guard body.count >= 12 else { throw NetlinkMalformed(reason: "a rule message of \(body.count) bytes") }
        guard let family = IPAddress.Family(number: body.host(UInt8.self, at: 0)),
            Int(body.host(UInt8.self, at: 7)) == FR_ACT_TO_TBL
        else { return nil }
        let attributes = try NetlinkAttributes(body.dropFirst(12))
        func prefix(_ type: Int, lengthAt offset: Int) -> IPPrefix? {
            guard let address = attributes[type]?.address, address.family == family else { return nil }
            return IPPrefix(address, length: Int(body.host(UInt8.self, at: offset)))
        }
        self.init(
            family: family, priority: attributes[FRA_PRIORITY]?.integer(UInt32.self) ?? 0,
            source: prefix(FRA_SRC, lengthAt: 2), destination: prefix(FRA_DST, lengthAt: 1),
            mark: attributes[FRA_FWMARK]?.integer(UInt32.self),
            markMask: attributes[FRA_FWMASK]?.integer(UInt32.self) ?? .max,
            inputInterface: attributes[FRA_IIFNAME]?.text, outputInterface: attributes[FRA_OIFNAME]?.text,
            table: attributes[FRA_TABLE]?.integer(UInt32.self) ?? UInt32(body.host(UInt8.self, at: 4)),
            origin: RouteOrigin(rawValue: attributes[FRA_PROTOCOL]?.integer(UInt8.self) ?? 0),
            isInverted: body.host(UInt32.self, at: 8) & UInt32(FIB_RULE_INVERT) != 0)
    }

    fileprivate var body: NetlinkWriter {
        var writer = NetlinkWriter()
        writer.append([
            family.number, UInt8(clamping: destination?.length ?? 0), UInt8(clamping: source?.length ?? 0), 0,
            UInt8(exactly: table) ?? 0, 0, 0, UInt8(FR_ACT_TO_TBL),
        ])
        writer.append(isInverted ? UInt32(FIB_RULE_INVERT) : 0)
        writer.attribute(FRA_PRIORITY, value: priority)
        writer.attribute(FRA_TABLE, value: table)
        writer.attribute(FRA_PROTOCOL, value: origin.rawValue)
        if let source { writer.attribute(FRA_SRC, source.first) }
        if let destination { writer.attribute(FRA_DST, destination.first) }
        if let mark {
            writer.attribute(FRA_FWMARK, value: mark)
            writer.attribute(FRA_FWMASK, value: markMask)
        }
        if let inputInterface { writer.attribute(FRA_IIFNAME, text: inputInterface) }
        if let outputInterface { writer.attribute(FRA_OIFNAME, text: outputInterface) }
        return writer
    }

    var words: String {
        var text = "\(priority):" + (isInverted ? " not" : "")
        if let source { text += " from \(source)" }
        if let destination { text += " to \(destination)" }
        if let mark { text += " mark 0x\(String(mark, radix: 16))" }
        if let inputInterface { text += " in \(inputInterface)" }
        if let outputInterface { text += " out \(outputInterface)" }
        return text + " table \(table)"
    }
}

extension Netlink {
    /// The rules of one family that look into a table, in order; of one maker only if `origin` is given.
    public func rules(_ family: IPAddress.Family, origin: RouteOrigin? = nil) throws(NetlinkError) -> [KernelRule] {
        let operation = { "listing the \(family == .ipv4 ? "IPv4" : "IPv6") rules" }
        var body = NetlinkWriter()
        body.append([family.number, 0, 0, 0, 0, 0, 0, 0])
        body.append(UInt32(0))
        return try dump(NetlinkRequest(RTM_GETRULE, body), operation())
            .mapAnswers(of: RTM_NEWRULE, in: self, operation) { (message) throws(NetlinkMalformed) in
                guard let rule = try KernelRule(message), origin == nil || rule.origin == origin else { return nil }
                return rule
            }
    }

    /// Fails with EEXIST when the same rule is there.
    public func addRule(_ rule: KernelRule) throws(NetlinkError) {
        try request(
            NetlinkRequest(RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, rule.body), "adding rule \(rule.words)")
    }

    /// False when it was not there.
    @discardableResult
    public func deleteRule(_ rule: KernelRule) throws(NetlinkError) -> Bool {
        do {
            try request(NetlinkRequest(RTM_DELRULE, rule.body), "removing rule \(rule.words)")
            return true
        } catch let error where error.isNotFound {
            return false
        }
    }
}
