import Base

/// The TS payload (RFC 7296 §3.13) on the wire.
extension TrafficSelector {
    private static let ipv4Type: UInt8 = 7
    private static let ipv6Type: UInt8 = 8

    /// Reads the body of a TSi or TSr payload; selectors of kinds that we do not know are passed over.
    static func parse(_ body: ArraySlice<UInt8>, _ field: String) throws(MessageError) -> [TrafficSelector] {
        var reader = ByteReader(body)
        let count = try reading(field) { () throws(ByteReader.Truncated) in
            let count = Int(try reader.uint8())
            _ = try reader.slice(3)
            return count
        }
        var selectors: [TrafficSelector] = []
        for index in 0..<count {
            let start = reader.offset
            let (type, ipProtocol, length) = try reading("\(field) selector \(index + 1)") {
                () throws(ByteReader.Truncated) in
                (try reader.uint8(), try reader.uint8(), Int(try reader.uint16()))
            }
            let addressLength = type == ipv4Type ? 4 : type == ipv6Type ? 16 : 0
            guard length >= 4, addressLength == 0 || length == 8 + 2 * addressLength else {
                throw .malformed(
                    "\(field) selector \(index + 1) length", at: start + 2, "\(length) bytes for type \(type)")
            }
            var inner = try reading("\(field) selector \(index + 1)") { () throws(ByteReader.Truncated) in
                try reader.nested(length - 4)
            }
            guard addressLength > 0 else { continue }
            let (firstPort, lastPort, first, last) = try reading("\(field) selector \(index + 1)") {
                () throws(ByteReader.Truncated) in
                (
                    try inner.uint16(), try inner.uint16(), try inner.slice(addressLength),
                    try inner.slice(addressLength)
                )
            }
            guard let low = IPAddress(bytes: first), let high = IPAddress(bytes: last), low <= high else {
                throw .malformed("\(field) selector \(index + 1)", at: start + 8, "the range ends before it begins")
            }
            selectors.append(
                TrafficSelector(
                    first: low, last: high, ipProtocol: ipProtocol, firstPort: firstPort, lastPort: lastPort))
        }
        guard reader.isAtEnd else {
            throw .malformed(field, at: reader.offset, "\(reader.remaining) bytes behind the last selector")
        }
        return selectors
    }

    /// Writes the body of a TSi or TSr payload; at most 255 selectors fit.
    static func write(_ selectors: [TrafficSelector], to writer: inout ByteWriter) {
        let selectors = selectors.prefix(255)
        writer.uint8(UInt8(selectors.count))
        writer.zeros(3)
        for selector in selectors {
            let isIPv4 = selector.first.isIPv4
            writer.uint8(isIPv4 ? ipv4Type : ipv6Type)
            writer.uint8(selector.ipProtocol)
            writer.uint16(isIPv4 ? 16 : 40)
            writer.uint16(selector.firstPort)
            writer.uint16(selector.lastPort)
            writer.append(selector.first.bytes)
            writer.append(selector.last.bytes)
        }
    }

    /// What both carry, or nil. Port ranges that run backwards (OPAQUE) meet nothing but their like.
    func intersection(_ other: TrafficSelector) -> TrafficSelector? {
        guard first.family == other.first.family else { return nil }
        let low = max(first, other.first)
        let high = min(last, other.last)
        guard low <= high else { return nil }
        guard ipProtocol == 0 || other.ipProtocol == 0 || ipProtocol == other.ipProtocol else { return nil }
        let lowPort = max(firstPort, other.firstPort)
        let highPort = min(lastPort, other.lastPort)
        guard lowPort <= highPort else { return nil }
        return TrafficSelector(
            first: low, last: high, ipProtocol: max(ipProtocol, other.ipProtocol), firstPort: lowPort,
            lastPort: highPort)
    }

    /// Whether every packet of `other` is one of ours.
    func contains(_ other: TrafficSelector) -> Bool { intersection(other) == other || self == other }

    /// What the two lists have in common, in the order of `mine`, without repetitions; at most 64.
    static func narrow(_ mine: [TrafficSelector], to theirs: [TrafficSelector]) -> [TrafficSelector] {
        var result: [TrafficSelector] = []
        for a in mine {
            for b in theirs {
                guard let both = a.intersection(b), !result.contains(where: { $0.contains(both) }) else { continue }
                result.removeAll { both.contains($0) }
                result.append(both)
                if result.count == 64 { return result }
            }
        }
        return result
    }
}

extension TrafficSelector: CustomStringConvertible {
    /// A network in CIDR form where the range is one, else `first-last`; then protocol and ports if they are limited.
    public var description: String {
        var text = rangeDescription
        if ipProtocol != 0 { text += "[protocol \(ipProtocol)" }
        if firstPort != 0 || lastPort != 65535 {
            text +=
                (ipProtocol == 0 ? "[" : " ")
                + (firstPort == lastPort ? "port \(firstPort)" : "ports \(firstPort)-\(lastPort)")
            return text + "]"
        }
        return ipProtocol != 0 ? text + "]" : text
    }

    private var rangeDescription: String {
        for length in 0...first.family.bitWidth {
            if let prefix = IPPrefix(first, length: length), prefix.first == first, prefix.last == last {
                return prefix.description
            }
        }
        return "\(first)-\(last)"
    }
}

extension Sequence where Element == TrafficSelector {
    /// In words, separated by commas.
    var summary: String {
        let text = map(\.description).joined(separator: ", ")
        return text.isEmpty ? "nothing" : text
    }
}
