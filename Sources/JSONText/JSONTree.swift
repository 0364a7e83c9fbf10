/// JSON (RFC 8259) as a tree that knows its lines, so that a message can say where a field stands.
public struct JSONTree: Sendable {
    public enum Value: Sendable {
        case null
        case bool(Bool)
        /// As written.
        case number(String)
        case string(String)
        case array([JSONTree])
        case object([String: JSONTree])
    }

    public var value: Value
    /// From 1.
    public var line: Int

    public init(value: Value, line: Int) {
        self.value = value
        self.line = line
    }

    /// Levels of arrays and objects within each other.
    public static let depthLimit = 64

    /// Reads one value. Bounded in depth, linear in time; a member that stands twice in an object is refused.
    public static func parse(_ text: String) throws(JSONError) -> JSONTree {
        var parser = Parser(bytes: Array(text.utf8))
        return try parser.document()
    }

    public subscript(key: String) -> JSONTree? {
        guard case .object(let fields) = value, let field = fields[key] else { return nil }
        if case .null = field.value { return nil }
        return field
    }

    /// The first of several spellings that is there.
    public subscript(any keys: String...) -> JSONTree? {
        for key in keys {
            if let field = self[key] { return field }
        }
        return nil
    }

    public var string: String? {
        if case .string(let text) = value { return text }
        return nil
    }

    public var array: [JSONTree]? {
        if case .array(let items) = value { return items }
        return nil
    }

    public var isObject: Bool {
        if case .object = value { return true }
        return false
    }

    public var bool: Bool? {
        switch value {
        case .bool(let value): value
        case .string("true"), .string("True"): true
        case .string("false"), .string("False"): false
        default: nil
        }
    }

    /// A number, or a text that is one, as written.
    public var scalar: String? {
        switch value {
        case .number(let text), .string(let text): text
        default: nil
        }
    }

    private struct Parser {
        let bytes: [UInt8]
        var at = 0
        var line = 1

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func document() throws(JSONError) -> JSONTree {
            let tree = try value(depth: 0)
            skipBlanks()
            guard at == bytes.count else { throw fault("there is text after the end of the JSON value") }
            return tree
        }

        private func fault(_ reason: String) -> JSONError { JSONError(line: line, reason: reason) }

        /// A field name of the text, short enough for a message.
        private func quoted(_ key: String) -> String { "\"\(key.prefix(60))\"" }

        private mutating func skipBlanks() {
            while at < bytes.count {
                switch bytes[at] {
                case 10: line += 1
                case 13: if at + 1 >= bytes.count || bytes[at + 1] != 10 { line += 1 }
                case 32, 9: break
                default: return
                }
                at += 1
            }
        }

        private mutating func take(_ byte: UInt8) -> Bool {
            skipBlanks()
            guard at < bytes.count, bytes[at] == byte else { return false }
            at += 1
            return true
        }

        private mutating func value(depth: Int) throws(JSONError) -> JSONTree {
            guard depth <= JSONTree.depthLimit else {
                throw fault("values are nested deeper than \(JSONTree.depthLimit)")
            }
            skipBlanks()
            guard at < bytes.count else { throw fault("it ends before the value is complete: the file was cut short") }
            let start = line
            switch bytes[at] {
            case UInt8(ascii: "{"): return JSONTree(value: try object(depth: depth), line: start)
            case UInt8(ascii: "["): return JSONTree(value: try array(depth: depth), line: start)
            case UInt8(ascii: "\""): return JSONTree(value: .string(try string()), line: start)
            case UInt8(ascii: "t"): return JSONTree(value: try word("true", .bool(true)), line: start)
            case UInt8(ascii: "f"): return JSONTree(value: try word("false", .bool(false)), line: start)
            case UInt8(ascii: "n"): return JSONTree(value: try word("null", .null), line: start)
            case UInt8(ascii: "-"), 48...57: return JSONTree(value: .number(try number()), line: start)
            default: throw fault("a value was expected here")
            }
        }

        private mutating func object(depth: Int) throws(JSONError) -> Value {
            at += 1
            var fields: [String: JSONTree] = [:]
            if take(UInt8(ascii: "}")) { return .object(fields) }
            repeat {
                skipBlanks()
                guard at < bytes.count else { throw fault("it ends inside an object: the file was cut short") }
                guard bytes[at] == UInt8(ascii: "\"") else {
                    throw fault("a field name in quotation marks was expected")
                }
                let key = try string()
                guard take(UInt8(ascii: ":")) else { throw fault("a colon was expected after a field name") }
                guard fields[key] == nil else { throw fault("the field \(quoted(key)) stands twice in one object") }
                fields[key] = try value(depth: depth + 1)
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { throw end("}") }
            return .object(fields)
        }

        private mutating func array(depth: Int) throws(JSONError) -> Value {
            at += 1
            var items: [JSONTree] = []
            if take(UInt8(ascii: "]")) { return .array(items) }
            repeat { items.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "]")) else { throw end("]") }
            return .array(items)
        }

        private func end(_ bracket: String) -> JSONError {
            fault(
                at < bytes.count
                    ? "a comma or '\(bracket)' was expected" : "it ends before '\(bracket)': the file was cut short")
        }

        private mutating func word(_ word: StaticString, _ value: Value) throws(JSONError) -> Value {
            let count = word.utf8CodeUnitCount
            guard bytes.count - at >= count,
                word.withUTF8Buffer({ expected in (0..<count).allSatisfy { bytes[at + $0] == expected[$0] } })
            else { throw fault("true, false or null was expected") }
            at += count
            return value
        }

        private mutating func number() throws(JSONError) -> String {
            let start = at
            func digits() throws(JSONError) {
                let first = at
                while at < bytes.count, (48...57).contains(bytes[at]) { at += 1 }
                guard at > first else { throw fault("a digit was expected in a number") }
            }
            if bytes[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
            if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
                at += 1
                try digits()
            }
            if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
                at += 1
                if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
                try digits()
            }
            return String(decoding: bytes[start..<at], as: UTF8.self)
        }

        private mutating func string() throws(JSONError) -> String {
            at += 1
            var result: [UInt8] = []
            while true {
                let start = at
                while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\"),
                    bytes[at] >= 32
                {
                    at += 1
                }
                result.append(contentsOf: bytes[start..<at])
                guard at < bytes.count else {
                    throw fault("a text has no closing quotation mark: the file was cut short")
                }
                switch bytes[at] {
                case UInt8(ascii: "\""):
                    at += 1
                    // The whole file was valid UTF-8, and escapes are encoded below.
                    return String(decoding: result, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    at += 1
                    try escape(into: &result)
                default:
                    throw fault("a text holds a raw line break or control character")
                }
            }
        }

        private mutating func escape(into result: inout [UInt8]) throws(JSONError) {
            guard at < bytes.count else { throw fault("a text has no closing quotation mark: the file was cut short") }
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
            case UInt8(ascii: "u"):
                var code = try hexadecimal()
                if (0xD800..<0xDC00).contains(code) {
                    guard bytes.count - at >= 2, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u")
                    else {
                        throw fault("half of a surrogate pair")
                    }
                    at += 2
                    let low = try hexadecimal()
                    guard (0xDC00..<0xE000).contains(low) else { throw fault("half of a surrogate pair") }
                    code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
                }
                guard let scalar = Unicode.Scalar(code) else { throw fault("half of a surrogate pair") }
                result.append(contentsOf: String(Character(scalar)).utf8)
            default: throw fault("an unknown escape in a text")
            }
        }

        private mutating func hexadecimal() throws(JSONError) -> UInt32 {
            guard bytes.count - at >= 4 else { throw fault("\\u needs four hexadecimal digits") }
            var value: UInt32 = 0
            for _ in 0..<4 {
                let byte = bytes[at]
                switch byte {
                case 48...57: value = value << 4 | UInt32(byte - 48)
                case 65...70: value = value << 4 | UInt32(byte - 55)
                case 97...102: value = value << 4 | UInt32(byte - 87)
                default: throw fault("\\u needs four hexadecimal digits")
                }
                at += 1
            }
            return value
        }
    }
}

/// Why a text is not JSON.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Of the text, from 1.
    public var line: Int
    /// One clause, without a full stop.
    public var reason: String

    public var description: String { "line \(line): \(reason)" }
}
