/// Text that travelled through a web page, a wiki or a terminal on its way to us: what that left in the lines is
/// taken off where it cannot be meant. Values are never changed beyond typographic quotation marks and hyphens.
enum PastedText {
    static func mend(_ lines: [ImportDocument.Line]) -> [ImportDocument.Line] {
        var lines = lines
        for index in lines.indices {
            if lines[index].text.utf8.contains(0x1B) { lines[index].text = trimmed(withoutColours(lines[index].text)) }
            guard lines[index].text.utf8.contains(where: { $0 >= 0x80 }) else { continue }
            lines[index].text = trimmed(plain(lines[index].text))
        }
        for index in lines.indices {
            let bytes = lines[index].text.utf8
            if bytes.contains(UInt8(ascii: "\\")) { lines[index].text = unescaped(lines[index].text) }
            if bytes.contains(UInt8(ascii: "&")) { lines[index].text = trimmed(withoutEntities(lines[index].text)) }
        }
        if areNumbered(lines) { change(&lines) { number($0).map { trimmed(Substring($0.rest)) } ?? $0 } }
        // A quotation of a quotation, an added file in a list of changes, a table of one column.
        var depth = 0
        while depth < 8, let mark = mark(lines) {
            depth += 1
            change(&lines) { line in
                guard line.utf8.first == mark else { return line }
                let rest = trimmed(Substring(line.utf8.dropFirst()))
                guard mark == UInt8(ascii: "|"), rest.utf8.last == mark else { return rest }
                return trimmed(Substring(rest.utf8.dropLast()))
            }
        }
        change(&lines) { line in
            let text = withoutPrompt(line)
            // Markdown's inline code around the whole line.
            guard text.utf8.first == tick, text.utf8.last == tick, text.utf8.count > 2 else { return text }
            return trimmed(text, also: "`")
        }
        return lines.filter { !$0.text.isEmpty }
    }

    private static let tick = UInt8(ascii: "`")

    private static func change(_ lines: inout [ImportDocument.Line], _ transform: (String) -> String) {
        for index in lines.indices { lines[index].text = transform(lines[index].text) }
    }

    /// Typographic quotation marks and hyphens as what they stood for, and nothing of no width.
    private static func plain(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x2018, 0x2019, 0x201A, 0x201B: result.append("'")
            case 0x201C, 0x201D, 0x201E, 0x201F: result.append("\"")
            case 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212: result.append("-")
            case 0xA0, 0x2002, 0x2003, 0x2009, 0x202F, 0x3000: result.append(" ")
            case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF: break
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// Markdown's `\_` and the like: no value of a configuration has a backslash before such a character.
    private static func unescaped(_ text: String) -> String {
        var result: [UInt8] = []
        var isEscape = false
        for byte in text.utf8 {
            if isEscape, !"_.-#*![]()>+~".utf8.contains(byte) { result.append(UInt8(ascii: "\\")) }
            if !isEscape, byte == UInt8(ascii: "\\") {
                isEscape = true
                continue
            }
            isEscape = false
            result.append(byte)
        }
        if isEscape { result.append(UInt8(ascii: "\\")) }
        return String(decoding: result, as: UTF8.self)
    }

    /// The source of a web page: `&quot;` and its kind.
    private static func withoutEntities(_ text: String) -> String {
        var result: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.first {
            // The second byte rules out nearly all that is none.
            guard byte == UInt8(ascii: "&"), let next = rest.dropFirst().first, "#qalgn".utf8.contains(next),
                let entity = entities.first(where: { rest.starts(with: $0.name.utf8) })
            else {
                result.append(byte)
                rest = rest.dropFirst()
                continue
            }
            result.append(entity.byte)
            rest = rest.dropFirst(entity.name.utf8.count)
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static let entities: [(name: String, byte: UInt8)] = [
        ("&quot;", 34), ("&#34;", 34), ("&apos;", 39), ("&#39;", 39), ("&lt;", 60), ("&gt;", 62), ("&nbsp;", 32),
        ("&amp;", 38),
    ]

    // MARK: Line numbers

    /// `12`, `12:`, `12.`, `12)` or `12|` in front, and what follows.
    private static func number(_ line: String) -> (value: Int, rest: Substring.UTF8View)? {
        let digits = line.utf8.prefix { (48...57).contains($0) }
        guard (1...6).contains(digits.count), let value = Int(String(Substring(digits))) else { return nil }
        let rest = line.utf8.dropFirst(digits.count)
        guard let next = rest.first else { return (value, rest) }
        if ":.)|".utf8.contains(next) {
            let after = rest.dropFirst()
            // "10.0.0.1" begins with no line number.
            guard after.first.map({ $0 == 32 || $0 == 9 || next == UInt8(ascii: "|") }) ?? true else { return nil }
            return (value, after)
        }
        return next == 32 || next == 9 ? (value, rest) : nil
    }

    /// Nearly every line begins with a number, and they count upwards.
    private static func areNumbered(_ lines: [ImportDocument.Line]) -> Bool {
        guard lines.count >= 10 else { return false }
        var last = -1
        var rising = 0
        for line in lines {
            guard let value = number(line.text)?.value, value > last else { continue }
            rising += 1
            last = value
        }
        return rising * 10 >= lines.count * 9
    }

    /// What nearly every line begins with: `>` of a quotation, `+` of an added line, `|` of a table.
    private static func mark(_ lines: [ImportDocument.Line]) -> UInt8? {
        guard lines.count >= 10 else { return nil }
        return ">+|".utf8.first { mark in
            lines.count(where: { $0.text.utf8.first == mark }) * 10 >= lines.count * 9
        }
    }

    /// Without the sequences by which a terminal changes colour (ECMA-48 §5.4).
    private static func withoutColours(_ text: String) -> String {
        var result: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == 0x1B, rest.first == UInt8(ascii: "[") else {
                result.append(byte)
                continue
            }
            rest = rest.dropFirst().drop { !(0x40...0x7E).contains($0) }.dropFirst()
        }
        return String(decoding: result, as: UTF8.self)
    }

    // MARK: Prompts

    /// `Router(config)#crypto …`, `admin@fw# set …`, `FGT (phase1-interface) # edit …`: without the prompt.
    static func withoutPrompt(_ line: String) -> String {
        let bytes = line.utf8
        func isName(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "._@~/:-".utf8.contains(byte)
        }
        guard let first = bytes.first, isName(first), first != UInt8(ascii: "-") else { return line }
        var index = bytes.startIndex
        var count = 0
        var hasAt = false
        var last = first
        while index < bytes.endIndex, isName(bytes[index]), count <= 64 {
            last = bytes[index]
            hasAt = hasAt || last == UInt8(ascii: "@")
            index = bytes.index(after: index)
            count += 1
        }
        guard count <= 64, index < bytes.endIndex, last != UInt8(ascii: "-") else { return line }
        var hasMode = false
        var mode = index
        if bytes[mode] == 32 { mode = bytes.index(after: mode) }
        if mode < bytes.endIndex, bytes[mode] == UInt8(ascii: "(") {
            guard let close = bytes[mode...].prefix(50).firstIndex(of: UInt8(ascii: ")")) else { return line }
            index = bytes.index(after: close)
            hasMode = true
        }
        // A blank before the mark belongs to a prompt only where something else shows that it is one.
        if index < bytes.endIndex, bytes[index] == 32, hasMode || hasAt { index = bytes.index(after: index) }
        guard index < bytes.endIndex else { return line }
        switch bytes[index] {
        case UInt8(ascii: "#"): break
        case UInt8(ascii: ">"):
            // An arrow, as in "VPN->IPsec" and "a>>b".
            if let next = bytes[bytes.index(after: index)...].first,
                next == UInt8(ascii: ">") || next == UInt8(ascii: "-")
            {
                return line
            }
        case UInt8(ascii: "$"), UInt8(ascii: "%"): if !hasAt { return line }
        default: return line
        }
        let rest = bytes[bytes.index(after: index)...]
        guard let next = rest.first else { return hasMode || hasAt ? "" : line }
        // "Tunnel#1" is no prompt.
        guard !(48...57).contains(next) else { return line }
        return trimmed(Substring(rest))
    }
}
