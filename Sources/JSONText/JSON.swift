/// A JSON value whose objects keep the order of their members, so that an answer reads as it was declared.
public enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    /// A number by its text, so that 64-bit counters keep every digit.
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])

    /// One member of an object.
    public struct Member: Hashable, Sendable {
        public var key: String
        public var value: JSON

        public init(_ key: String, _ value: JSON) {
            self.key = key
            self.value = value
        }
    }

    /// What was read, with the members of objects in the order of their names.
    public init(_ tree: JSONTree) {
        switch tree.value {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .number(let digits): self = .number(digits)
        case .string(let value): self = .string(value)
        case .array(let items): self = .array(items.map { JSON($0) })
        case .object(let members):
            self = .object(members.sorted { $0.key < $1.key }.map { Member($0.key, JSON($0.value)) })
        }
    }

    /// The value as JSON text (RFC 8259): on one line, or indented by two spaces for people. Slashes are not escaped.
    public func text(isPretty: Bool = false) -> String {
        var text = ""
        write(to: &text, indent: isPretty ? 0 : nil)
        return text
    }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let digits): text += digits
        case .string(let value): Self.write(string: value, to: &text)
        case .array(let items):
            // A list of plain values reads better on one line.
            let inner = items.allSatisfy(\.isScalar) ? nil : indent
            Self.write(items, "[", "]", to: &text, indent: inner, isSpaced: indent != nil) { item, text, indent in
                item.write(to: &text, indent: indent)
            }
        case .object(let members):
            Self.write(members, "{", "}", to: &text, indent: indent, isSpaced: indent != nil) { member, text, indent in
                Self.write(string: member.key, to: &text)
                text += indent == nil ? ":" : ": "
                member.value.write(to: &text, indent: indent)
            }
        }
    }

    private var isScalar: Bool {
        switch self {
        case .array, .object: false
        default: true
        }
    }

    private static func write<Item>(
        _ items: [Item], _ open: String, _ close: String, to text: inout String, indent: Int?, isSpaced: Bool,
        each: (Item, inout String, Int?) -> Void
    ) {
        text += open
        for (index, item) in items.enumerated() {
            if index > 0 { text += indent == nil && isSpaced ? ", " : "," }
            if let indent { text += "\n" + String(repeating: "  ", count: indent + 1) }
            each(item, &text, indent.map { $0 + 1 })
        }
        if let indent, !items.isEmpty { text += "\n" + String(repeating: "  ", count: indent) }
        text += close
    }

    private static func write(string: String, to text: inout String) {
        text += "\""
        defer { text += "\"" }
        // Most texts need no escape. 0xe2 begins U+2028 and U+2029.
        let isPlain = string.utf8.allSatisfy {
            $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 != 0x7f && $0 != 0xe2
        }
        if isPlain {
            text += string
            return
        }
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            // Control characters must be escaped; U+2028 and U+2029 end a line for some readers.
            case "\u{0}"..."\u{1f}", "\u{7f}", "\u{2028}", "\u{2029}":
                let hexadecimal = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
