/// A file as text: decoded once, cut into lines once.
public struct ImportDocument: Sendable {
    public struct Line: Sendable {
        /// From 1.
        public var number: Int
        /// Without the blanks around it.
        public var text: String
    }

    /// Bytes beyond which no file is read.
    public static let sizeLimit = 1 << 20

    /// Line ends beyond which no file is read: no text of so few bytes has so many.
    static let lineLimit = 250_000

    public let text: String
    /// The lines that are not blank, without prompts, line numbers and the like (``PastedText``).
    public let lines: [Line]
    /// What was mended while reading.
    public var warnings: [String] = []

    /// Decodes UTF-8, or UTF-16 with a byte order mark; lines end in LF, CRLF or CR.
    public init(_ bytes: [UInt8]) throws(ImportError) {
        guard bytes.count <= Self.sizeLimit else {
            throw ImportError(
                .tooLarge,
                "the file has \(bytes.count) bytes; a VPN configuration has a few thousand, and at most "
                    + "\(Self.sizeLimit) are read", remedy: "Check that this is the right file.")
        }
        let ends = bytes.count { $0 == 10 || $0 == 13 }
        guard ends <= Self.lineLimit else {
            throw ImportError(
                .tooLarge, "the file has \(ends) lines; a VPN configuration has a few hundred",
                remedy: "Check that this is the right file.")
        }
        let decoded: String
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            let isLittle = bytes[0] == 0xFF
            let units = stride(from: 2, to: bytes.count - 1, by: 2).map { at -> UInt16 in
                isLittle
                    ? UInt16(bytes[at + 1]) << 8 | UInt16(bytes[at]) : UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
            }
            guard let text = String(validating: units, as: UTF16.self) else {
                throw ImportError(
                    .notText, "the file begins like UTF-16 text but is not valid UTF-16",
                    remedy: "Save it as UTF-8.")
            }
            decoded = text
        } else {
            let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
            guard let text = String(validating: body, as: UTF8.self) else {
                throw ImportError(
                    .notText, at: Place(line: Self.firstInvalidLine(body)), "the file is not UTF-8 text from here on",
                    remedy: "Save it as UTF-8, or download it again.")
            }
            decoded = text
        }
        if let zero = decoded.utf8.firstIndex(of: 0) {
            let line = decoded.utf8[..<zero].count(where: { $0 == 10 }) + 1
            throw ImportError(
                .notText, at: Place(line: line), "the file holds binary data", remedy: ImportError.downloadAgain)
        }
        if let line = Self.firstOverloaded(decoded) {
            throw ImportError(
                .notText, at: Place(line: line),
                "a character carries more than \(Self.markLimit) combining marks, as no one writes",
                remedy: ImportError.downloadAgain)
        }
        self.init(text: decoded)
    }

    /// Marks on one character beyond which the text is none: a character without end costs whoever compares it.
    static let markLimit = 32

    /// The line of the first character with more marks than that.
    private static func firstOverloaded(_ text: String) -> Int? {
        guard text.utf8.contains(where: { $0 >= 0xCC }) else { return nil }
        var line = 1
        var run = 0
        for scalar in text.unicodeScalars {
            if scalar.value == 10 { line += 1 }
            guard scalar.value >= 0x300 else {
                run = 0
                continue
            }
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .spacingMark, .format: run += 1
            default: run = 0
            }
            if run > markLimit { return line }
        }
        return nil
    }

    init(text: String) {
        self.text = text
        var lines: [Line] = []
        func append(_ line: Substring, _ number: Int) {
            let text = trimmed(line)
            if !text.isEmpty { lines.append(Line(number: number, text: text)) }
        }
        let bytes = text.utf8
        var start = bytes.startIndex
        var number = 1
        var index = start
        while index < bytes.endIndex {
            let byte = bytes[index]
            let next = bytes.index(after: index)
            guard byte == 10 || byte == 13 else {
                index = next
                continue
            }
            if start < index { append(text[start..<index], number) }
            number += 1
            index = byte == 13 && next < bytes.endIndex && bytes[next] == 10 ? bytes.index(after: next) : next
            start = index
        }
        if start < bytes.endIndex { append(text[start...], number) }
        self.lines = PastedText.mend(lines)
    }

    /// The first byte that is not a blank.
    public var firstByte: UInt8? { text.utf8.first { !($0 == 32 || (9...13).contains($0)) } }

    /// The text with `\n`, `\t`, `\r`, `\"` and `\\` read as escapes, once; nil when it holds no `\n` or `\"`.
    func unescaped() -> ImportDocument? {
        var result: [UInt8] = []
        var found = false
        var isEscape = false
        for byte in text.utf8 {
            guard isEscape else {
                if byte == UInt8(ascii: "\\") { isEscape = true } else { result.append(byte) }
                continue
            }
            isEscape = false
            switch byte {
            case UInt8(ascii: "n"):
                found = true
                result.append(10)
            case UInt8(ascii: "\""):
                found = true
                result.append(byte)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
            default:
                result.append(UInt8(ascii: "\\"))
                result.append(byte)
            }
        }
        guard found else { return nil }
        if isEscape { result.append(UInt8(ascii: "\\")) }
        var document = ImportDocument(text: trimmed(String(decoding: result, as: UTF8.self), also: "\""))
        document.warnings =
            warnings + [
                "the file is a broken copy: line breaks and quotation marks were written as \\n and \\\"; they were "
                    + "read as meant"
            ]
        return document
    }

    private static func firstInvalidLine(_ bytes: ArraySlice<UInt8>) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var line = 1
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): line += scalar == "\n" ? 1 : 0
            case .emptyInput, .error: return line
            }
        }
    }
}

/// `text` without blanks, no-break spaces and the given ASCII characters around it.
func trimmed(_ text: some StringProtocol, also extra: String = "") -> String {
    func isBlank(_ byte: UInt8) -> Bool {
        byte == 32 || (9...13).contains(byte) || (!extra.isEmpty && extra.utf8.contains(byte))
    }
    var slice = Substring(text).utf8
    while true {
        if let first = slice.first, isBlank(first) {
            slice = slice.dropFirst()
        } else if slice.starts(with: [0xC2, 0xA0]) {
            slice = slice.dropFirst(2)
        } else {
            break
        }
    }
    while let last = slice.last {
        if isBlank(last) {
            slice = slice.dropLast()
        } else if last == 0xA0, slice.count >= 2, slice.dropLast().last == 0xC2 {
            slice = slice.dropLast(2)
        } else {
            break
        }
    }
    return String(Substring(slice))
}

extension String {
    /// Whether `part` occurs, byte for byte.
    func containsBytes(_ part: StaticString) -> Bool {
        var copy = self
        return copy.withUTF8 { text in
            part.withUTF8Buffer { needle in
                guard let first = needle.first, text.count >= needle.count else { return false }
                var at = 0
                while at <= text.count - needle.count {
                    if text[at] == first, (0..<needle.count).allSatisfy({ text[at + $0] == needle[$0] }) { return true }
                    at += 1
                }
                return false
            }
        }
    }

    /// Words between blanks.
    var words: [String] { utf8.split(whereSeparator: { $0 == 32 || $0 == 9 }).map { String(Substring($0)) } }
}
