/// An IPv4 or IPv6 address, in host byte order.
public enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(UInt128)

    public enum Family: String, Codable, Hashable, Sendable, CaseIterable {
        case ipv4, ipv6
        /// Bits in an address: 32 or 128.
        public var bitWidth: Int { self == .ipv4 ? 32 : 128 }
    }

    public var family: Family {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }

    public var isIPv4: Bool { family == .ipv4 }

    /// The address in network byte order: 4 or 16 bytes.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let value): (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }
        case .v6(let value): (0..<16).map { UInt8(truncatingIfNeeded: value >> UInt128(120 - 8 * $0)) }
        }
    }

    /// Reads 4 or 16 bytes in network byte order; nil for any other length.
    // Inlinable, for parsers of other modules read many: without it this goes through the collection's witness table.
    @inlinable public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16: self = .v6(bytes.reduce(0) { $0 << 8 | UInt128($1) })
        default: return nil
        }
    }

    /// All zeros of a family.
    public static func any(_ family: Family) -> IPAddress { family == .ipv4 ? .v4(0) : .v6(0) }

    public var isUnspecified: Bool {
        switch self {
        case .v4(let value): value == 0
        case .v6(let value): value == 0
        }
    }

    /// 224.0.0.0/4 or ff00::/8.
    public var isMulticast: Bool {
        switch self {
        case .v4(let value): value >> 28 == 0xE
        case .v6(let value): value >> 120 == 0xFF
        }
    }

    /// 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        switch self {
        case .v4(let value): value >> 24 == 127
        case .v6(let value): value == 1
        }
    }

    /// 169.254.0.0/16 or fe80::/10.
    public var isLinkLocal: Bool {
        switch self {
        case .v4(let value): value >> 16 == 0xA9FE
        case .v6(let value): value >> 118 == 0x3FA
        }
    }

    /// RFC 1918, RFC 6598 (100.64.0.0/10) or RFC 4193 (fc00::/7).
    public var isPrivate: Bool {
        switch self {
        case .v4(let value):
            value >> 24 == 10 || value >> 20 == 0xAC1 || value >> 16 == 0xC0A8 || value >> 22 == 0x191
        case .v6(let value): value >> 121 == 0x7E
        }
    }

    /// The address `offset` further on, wrapping at the end of the family.
    public func advanced(by offset: Int) -> IPAddress {
        switch self {
        case .v4(let value): .v4(value &+ UInt32(truncatingIfNeeded: offset))
        case .v6(let value): .v6(value &+ UInt128(truncatingIfNeeded: offset))
        }
    }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then by number.
    public static func < (a: IPAddress, b: IPAddress) -> Bool {
        switch (a, b) {
        case (.v4(let x), .v4(let y)): x < y
        case (.v6(let x), .v6(let y)): x < y
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

extension IPAddress: LosslessStringConvertible {
    /// Dotted quad, or RFC 5952 for IPv6.
    public var description: String {
        switch self {
        case .v4(let value):
            return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
        case .v6(let value):
            let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> UInt128(112 - 16 * $0)) }
            var best: Range<Int>?
            var start = 0
            while start < 8 {
                var end = start
                while end < 8, groups[end] == 0 { end += 1 }
                if end - start > max(1, best?.count ?? 0) { best = start..<end }
                start = max(end, start + 1)
            }
            func joined(_ range: Range<Int>) -> String {
                groups[range].map { String($0, radix: 16) }.joined(separator: ":")
            }
            guard let best else { return joined(0..<8) }
            return joined(0..<best.lowerBound) + "::" + joined(best.upperBound..<8)
        }
    }

    /// Reads a dotted quad without leading zeros, or any IPv6 form of RFC 4291 §2.2 without a zone.
    public init?(_ text: String) {
        if let value = Self.parseIPv4(text.utf8[...]) {
            self = .v4(value)
        } else if let value = Self.parseIPv6(text) {
            self = .v6(value)
        } else {
            return nil
        }
    }

    private static func parseIPv4(_ text: Substring.UTF8View) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var number: UInt32 = 0
            for byte in part {
                guard (48...57).contains(byte) else { return nil }
                number = number * 10 + UInt32(byte - 48)
            }
            guard number < 256 else { return nil }
            value = value << 8 | number
        }
        return value
    }

    private static func parseIPv6(_ text: String) -> UInt128? {
        guard text.utf8.count <= 45, text.utf8.contains(UInt8(ascii: ":")) else { return nil }
        let halves = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count <= 2, !(halves.count == 2 && halves[1].contains("::")) else { return nil }
        func groups(_ part: Substring, last: Bool) -> [UInt16]? {
            guard !part.isEmpty else { return [] }
            var result: [UInt16] = []
            let pieces = part.split(separator: ":", omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                if last, index == pieces.count - 1, let quad = parseIPv4(piece.utf8) {
                    result += [UInt16(quad >> 16), UInt16(quad & 0xFFFF)]
                } else if (1...4).contains(piece.utf8.count), !piece.hasPrefix("+"), !piece.hasPrefix("-"),
                    let number = UInt16(piece, radix: 16)
                {
                    result.append(number)
                } else {
                    return nil
                }
            }
            return result
        }
        guard let head = groups(halves[0], last: halves.count == 1) else { return nil }
        var all = head
        if halves.count == 2 {
            guard let tail = groups(halves[1], last: true), head.count + tail.count <= 7 else { return nil }
            all += Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        }
        guard all.count == 8 else { return nil }
        return all.reduce(0) { $0 << 16 | UInt128($1) }
    }
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.lossless("an IP address") }
    public func encode(to encoder: any Encoder) throws { try encoder.lossless(self) }
}

extension Decoder {
    /// Decodes a value that is written as one string, or throws naming the string and `what` it should be.
    func lossless<Value: LosslessStringConvertible>(_ what: String) throws -> Value {
        let text = try singleValueContainer().decode(String.self)
        guard let value = Value(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "'\(text)' is not \(what)"))
        }
        return value
    }
}

extension Encoder {
    func lossless(_ value: some LosslessStringConvertible) throws {
        var container = singleValueContainer()
        try container.encode(value.description)
    }
}
