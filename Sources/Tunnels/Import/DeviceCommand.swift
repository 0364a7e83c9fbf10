internal import Base

/// One line of a device's configuration as words. Quotation marks are taken off, comments are none.
struct DeviceCommand {
    let words: [String]
    let place: Place

    /// Bytes beyond which a line is prose and no command.
    private static let lengthLimit = 600

    init?(_ line: ImportDocument.Line) {
        let bytes = line.text.utf8
        guard bytes.count <= Self.lengthLimit, let first = bytes.first, first != UInt8(ascii: "!"),
            first != UInt8(ascii: "#"), !line.text.hasPrefix("//")
        else { return nil }
        var words: [String] = []
        var word: [UInt8] = []
        var quote: UInt8?
        var isWord = false
        for byte in bytes {
            if let open = quote {
                if byte == open { quote = nil } else { word.append(byte) }
            } else if byte == 32 || byte == 9 {
                if isWord {
                    words.append(String(decoding: word, as: UTF8.self))
                    word.removeAll(keepingCapacity: true)
                    isWord = false
                }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'"), !isWord {
                quote = byte
                isWord = true
            } else if byte == UInt8(ascii: "!"), !isWord {
                // The rest is a comment, as in "edit NAME ! shorter than 15".
                break
            } else {
                isWord = true
                word.append(byte)
            }
        }
        if isWord { words.append(String(decoding: word, as: UTF8.self)) }
        guard !words.isEmpty else { return nil }
        self.words = words
        place = Place(line: line.number)
    }

    /// The words from `index` on, with single blanks between.
    func rest(from index: Int) -> String { index < words.count ? words[index...].joined(separator: " ") : "" }

    /// The word behind `word`, wherever it stands.
    func word(after word: String) -> String? {
        guard let index = words.firstIndex(of: word), index + 1 < words.count else { return nil }
        return words[index + 1]
    }

    func field(_ name: String, _ text: String) -> Field { Field(name: name, text: text, place: place) }

    /// Where the command begins with the words of `pattern`: what stands for its asterisks.
    func match(_ pattern: DevicePattern) -> [String]? {
        guard words.count >= pattern.words.count else { return nil }
        var captured: [String] = []
        for (word, wanted) in zip(words, pattern.words) {
            if wanted == "*" { captured.append(word) } else if word != wanted { return nil }
        }
        return captured
    }
}

/// The beginning of a command, an asterisk for each word that may be any.
struct DevicePattern: ExpressibleByStringLiteral, Sendable {
    let words: [String]

    init(stringLiteral text: String) { words = text.words }
}

/// What the commands of one language mean: the first asterisk names an object and the last one is a value of it.
/// With a single asterisk the object is the one without a name; a third, in the middle, numbers the value.
struct DeviceGrammar: Sendable {
    struct Rule: Sendable {
        let pattern: DevicePattern
        let kind: DeviceObjects.Kind
        let key: String
    }

    private let rules: [String: [Rule]]

    init(_ rules: [(DevicePattern, DeviceObjects.Kind, String)]) {
        let all = rules.map { Rule(pattern: $0.0, kind: $0.1, key: $0.2) }
        self.rules = Dictionary(grouping: all) { Self.head($0.pattern.words) }
    }

    private static func head(_ words: [String]) -> String { words.prefix(2).joined(separator: " ") }

    /// Every rule that the command fits takes its value.
    func take(_ command: DeviceCommand, into objects: inout DeviceObjects) throws(ImportError) {
        for rule in rules[Self.head(command.words)] ?? [] {
            guard let captured = command.match(rule.pattern), let value = captured.last else { continue }
            let name = captured.count > 1 ? captured[0] : ""
            let key = captured.count > 2 ? rule.key + " " + captured[1] : rule.key
            let label = rule.pattern.words.last { $0 != "*" } ?? rule.key
            try objects.set(rule.kind, name, key, command.field(label, value))
        }
    }
}

extension TextFile {
    /// What all device texts end with: AWS's addresses inside where only ours are written, and the kind of routing.
    static func finish(
        _ tunnels: [VPNTunnel], _ document: ImportDocument, into connection: inout VPNConnection
    ) {
        connection.tunnels = tunnels
        for index in connection.tunnels.indices { connection.tunnels[index].derivePeerInside() }
        if let number = tunnels.lazy.compactMap({ $0.remoteASN ?? $0.localASN }).first {
            connection.routing = Sourced(.bgp, .file, number.place)
        } else if let line = document.lines.first(where: { isStaticHeading($0.text) }) {
            connection.routing = Sourced(.static, .file, Place(line: line.number))
        }
    }

    /// `#4: Static Route Configuration` and the like.
    private static func isStaticHeading(_ line: String) -> Bool {
        guard line.utf8.count <= 100, line.containsBytes("tatic Rout") || line.containsBytes("tatic rout") else {
            return false
        }
        let words = withoutLeader(line).lowercased().words
        return words.first.map { $0 == "4" || $0 == "4:" || $0 == "static" } ?? false
    }

    /// Our address where a device's text has it in a comment only: "the interface that IP address 198.51.100.7 is".
    static func commentedLocal(_ line: ImportDocument.Line) -> Field? {
        guard line.text.containsBytes("IP address "), line.text.utf8.count <= 200 else { return nil }
        let words = line.text.words
        for index in words.indices.dropLast(2) where words[index] == "IP" && words[index + 1] == "address" {
            if IPAddress(words[index + 2]) != nil {
                return Field(name: "IP address", text: words[index + 2], place: Place(line: line.number))
            }
        }
        return nil
    }
}
