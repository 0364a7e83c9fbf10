/// `application/x-www-form-urlencoded` (URL Standard §5, RFC 6749 appendix B): forms, token requests, and the queries of
/// addresses.
public enum FormEncoding {
    /// One name or value, with everything escaped that is not unreserved (RFC 3986 §2.3). A blank is `%20`, which
    /// every reader understands, in queries too.
    public static func escape(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var escaped: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                escaped.append(byte)
            default: escaped += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }

    public static func encode(_ pairs: [(String, String)]) -> String {
        pairs.map { escape($0.0) + "=" + escape($0.1) }.joined(separator: "&")
    }

    /// All pairs in their order, repetitions included. Nil where an escape is damaged or the text is not UTF-8.
    public static func decode(_ text: String) -> [(name: String, value: String)]? {
        var pairs: [(name: String, value: String)] = []
        for pair in Array(text.utf8).split(separator: UInt8(ascii: "&")) {
            let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(halves[0]).flatMap({ String(validating: $0, as: UTF8.self) }),
                let value = decoded(halves.count > 1 ? halves[1] : []).flatMap({ String(validating: $0, as: UTF8.self) })
            else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }

    /// The bytes that a name or a value stands for; nil where a percent sign has no two digits behind it.
    public static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var at = text.startIndex
        while at < text.endIndex {
            switch text[at] {
            case UInt8(ascii: "+"): bytes.append(32)
            case UInt8(ascii: "%"):
                guard at + 2 < text.endIndex, let high = digit(text[at + 1]), let low = digit(text[at + 2]) else {
                    return nil
                }
                bytes.append(high << 4 | low)
                at += 2
            default: bytes.append(text[at])
            }
            at += 1
        }
        return bytes
    }

    /// The fields, each of which may come once; nil when one comes twice, there are more than `limit`, or it cannot be
    /// read.
    public static func fields(_ text: [UInt8], limit: Int = 16) -> [String: [UInt8]]? {
        var fields: [String: [UInt8]] = [:]
        for part in text.split(separator: UInt8(ascii: "&")) {
            let halves = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(halves[0]), let value = decoded(halves.count > 1 ? halves[1] : []),
                let name = String(validating: name, as: UTF8.self), fields[name] == nil, fields.count < limit
            else { return nil }
            fields[name] = value
        }
        return fields
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case 48...57: character - 48
        case 65...70: character - 55
        case 97...102: character - 87
        default: nil
        }
    }
}
