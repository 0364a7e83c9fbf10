import Base

/// `application/x-www-form-urlencoded`: what forms, token requests and query strings are written in
/// (RFC 6749 appendix B, WHATWG URL §5).
public enum FormText {
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
            guard let name = FormEncoding.decoded(halves[0]).flatMap({ String(validating: $0, as: UTF8.self) }),
                let value = FormEncoding.decoded(halves.count > 1 ? halves[1] : [])
                    .flatMap({ String(validating: $0, as: UTF8.self) })
            else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }
}
