import Base
import Glibc

/// One request to the kernel, without the header that the socket puts in front.
struct NetlinkRequest: Sendable {
    /// `RTM_NEWROUTE` and its like; for nftables `NFNL_SUBSYS << 8 | message`.
    var type: UInt16
    /// `NLM_F_…` beyond `NLM_F_REQUEST`.
    var flags: UInt16
    /// The family's fixed header and the attributes.
    var body: NetlinkWriter
    /// It holds keys: our copies are wiped when it has been sent.
    var isSecret: Bool

    init(_ type: some BinaryInteger, flags: Int32 = 0, _ body: NetlinkWriter, isSecret: Bool = false) {
        self.isSecret = isSecret
        self.type = UInt16(truncatingIfNeeded: type)
        self.flags = UInt16(truncatingIfNeeded: flags)
        self.body = body
    }
}

/// Builds netlink payloads: host byte order, attributes padded to four bytes.
struct NetlinkWriter: Sendable {
    private(set) var bytes: [UInt8] = []

    init() {}

    mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    /// An attribute with raw contents. A payload of 64 KiB or more does not fit its length field and is not written.
    mutating func attribute(_ type: some BinaryInteger, _ payload: some Collection<UInt8>) {
        guard let length = UInt16(exactly: payload.count + 4) else { return }
        append(length)
        append(UInt16(truncatingIfNeeded: type))
        append(payload)
        pad()
    }

    mutating func attribute<Value: FixedWidthInteger>(_ type: some BinaryInteger, value: Value) {
        attribute(type, withUnsafeBytes(of: value) { Array($0) })
    }

    /// A string with its terminating zero.
    mutating func attribute(_ type: some BinaryInteger, text: String) { attribute(type, Array(text.utf8) + [0]) }

    mutating func attribute(_ type: some BinaryInteger, _ address: IPAddress) { attribute(type, address.bytes) }

    /// An attribute that holds attributes. `isMarked` sets NLA_F_NESTED, which nftables demands and old rtnetlink
    /// ignores.
    mutating func nested(_ type: some BinaryInteger, isMarked: Bool = true, _ build: (inout NetlinkWriter) -> Void) {
        var inner = NetlinkWriter()
        build(&inner)
        attribute(UInt16(truncatingIfNeeded: type) | (isMarked ? 0x8000 : 0), inner.bytes)
    }

    /// Overwrites the bytes with zeros and forgets them.
    mutating func wipe() {
        bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } }
        bytes = []
    }

    private mutating func pad() { append(repeatElement(0, count: (4 - bytes.count % 4) % 4)) }
}

/// The bytes broke netlink's format; the text says how.
struct NetlinkMalformed: Error, Hashable, Sendable {
    var reason: String
}

/// One message from the kernel.
struct NetlinkMessage: Hashable, Sendable {
    var type: UInt16
    var flags: UInt16
    var sequence: UInt32
    var port: UInt32
    /// The family's fixed header and the attributes.
    var body: ArraySlice<UInt8>

    static let headerLength = 16
    /// NLM_F_CAPPED, NLM_F_ACK_TLVS and NLMSGERR_ATTR_MSG.
    private static let isCapped: UInt16 = 0x100
    private static let hasExtendedText: UInt16 = 0x200
    private static let kernelText = 1

    /// The messages of one datagram.
    static func parse(_ datagram: [UInt8]) throws(NetlinkMalformed) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram[...]
        while !rest.isEmpty {
            guard rest.count >= headerLength else {
                throw NetlinkMalformed(reason: "\(rest.count) bytes are left where a message header should be")
            }
            let length = Int(rest.host(UInt32.self, at: 0))
            guard length >= headerLength, length <= rest.count else {
                throw NetlinkMalformed(reason: "a message says it has \(length) bytes, of \(rest.count) left")
            }
            messages.append(
                NetlinkMessage(
                    type: rest.host(UInt16.self, at: 4), flags: rest.host(UInt16.self, at: 6),
                    sequence: rest.host(UInt32.self, at: 8), port: rest.host(UInt32.self, at: 12),
                    body: rest[rest.startIndex + headerLength..<rest.startIndex + length]))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// An NLMSG_ERROR or the tail of an NLMSG_DONE: the error number, positive, and the kernel's text.
    struct Verdict: Hashable, Sendable {
        var errno: Int32
        var text: String?
    }

    /// Reads NLMSG_ERROR. The failed request comes back whole or, with NETLINK_CAP_ACK, as its header alone; the
    /// extended ACK follows it.
    func errorVerdict() throws(NetlinkMalformed) -> Verdict {
        guard body.count >= 4 + Self.headerLength else {
            throw NetlinkMalformed(reason: "an error message of \(body.count) bytes")
        }
        let code = body.host(Int32.self, at: 0)
        guard flags & Self.hasExtendedText != 0 else { return Verdict(errno: Int32(clamping: -Int64(code))) }
        var skip = 4 + Self.headerLength
        if flags & Self.isCapped == 0 {
            let echoed = Int(body.host(UInt32.self, at: 4))
            guard echoed >= Self.headerLength, echoed <= body.count - 4 else {
                throw NetlinkMalformed(reason: "an error message that echoes \(echoed) bytes")
            }
            skip = min(body.count, 4 + (echoed + 3) & ~3)
        }
        let attributes = try NetlinkAttributes(body.dropFirst(skip))
        return Verdict(errno: Int32(clamping: -Int64(code)), text: attributes[Self.kernelText]?.text)
    }

    /// Reads NLMSG_DONE, whose body is an error number (0 or negative) and, with NLM_F_ACK_TLVS, the extended ACK.
    func doneVerdict() throws(NetlinkMalformed) -> Verdict {
        guard body.count >= 4 else { return Verdict(errno: 0) }
        let code = body.host(Int32.self, at: 0)
        guard flags & Self.hasExtendedText != 0 else {
            return Verdict(errno: code < 0 ? Int32(clamping: -Int64(code)) : 0)
        }
        let attributes = try NetlinkAttributes(body.dropFirst(4))
        return Verdict(errno: code < 0 ? Int32(clamping: -Int64(code)) : 0, text: attributes[Self.kernelText]?.text)
    }
}

/// The attributes of a message, or of a nesting attribute.
struct NetlinkAttributes: Sendable {
    /// The contents of one attribute.
    struct Value: Hashable, Sendable {
        var bytes: ArraySlice<UInt8>

        /// Nil when the attribute has another width.
        func integer<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number? {
            bytes.count == Number.bitWidth / 8 ? bytes.host(type, at: 0) : nil
        }

        /// Up to the terminating zero.
        var text: String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }

        /// Nil unless there are 4 or 16 bytes.
        var address: IPAddress? { IPAddress(bytes: bytes) }

        func nested() throws(NetlinkMalformed) -> NetlinkAttributes { try NetlinkAttributes(bytes) }
    }

    /// In the order of the wire; a type may come more than once.
    private(set) var all: [(type: UInt16, value: Value)] = []

    init(_ bytes: ArraySlice<UInt8>) throws(NetlinkMalformed) {
        var rest = bytes
        // The kernel may leave less than a header of padding at the end.
        while rest.count >= 4 {
            let length = Int(rest.host(UInt16.self, at: 0))
            let type = rest.host(UInt16.self, at: 2) & 0x3FFF
            guard length >= 4, length <= rest.count else {
                throw NetlinkMalformed(reason: "attribute \(type) says it has \(length) bytes, of \(rest.count) left")
            }
            all.append((type, Value(bytes: rest[rest.startIndex + 4..<rest.startIndex + length])))
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }

    /// The last attribute of that type, as the kernel itself reads them.
    subscript(type: some BinaryInteger) -> Value? { all.last { $0.type == type }?.value }
}

extension ArraySlice<UInt8> {
    /// An integer in host byte order `offset` bytes behind the start. The caller has checked that it is there.
    func host<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        var value = Number.zero
        Swift.withUnsafeMutableBytes(of: &value) { target in
            target.copyBytes(from: self[startIndex + offset..<startIndex + offset + target.count])
        }
        return value
    }
}
