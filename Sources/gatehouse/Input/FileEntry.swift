import Base
import Cryptography
import IKE
import Tunnels
import Yams

/// A value of a file with its name and line, so that a complaint can say where.
struct FileEntry {
    struct Fault: Error {
        var line: Int?
        var text: String
    }

    let node: Node
    /// The key and those above it, such as `tunnels[0].phase1.psk`.
    let name: String
    let line: Int?
    /// Whether a secret may say `(hidden)`.
    let keepsHidden: Bool
    /// Where files are looked for that a value names: beside the file itself. Empty for where the command runs.
    let folder: String

    init(_ node: Node, _ name: String, line: Int? = nil, keepsHidden: Bool = false, folder: String = "") {
        self.node = node
        self.name = name
        self.keepsHidden = keepsHidden
        self.folder = folder
        self.line = line ?? node.mark?.line
    }

    /// An entry that the file leaves out.
    func empty(_ key: String) -> FileEntry {
        FileEntry(.mapping(Node.Mapping([])), child(key), line: line, keepsHidden: keepsHidden, folder: folder)
    }

    private func child(_ key: String) -> String { name == "the connector" || name == "the site" ? key : "\(name).\(key)" }

    func fault(_ text: String) -> Fault { Fault(line: line, text: "\(name) \(text)") }

    var isNull: Bool { node.null != nil && node.scalar?.style != .doubleQuoted && node.scalar?.style != .singleQuoted }

    /// A text of at least one character. Numbers and dates are taken as they are written.
    func word() throws -> String {
        guard let scalar = node.scalar, !scalar.string.isEmpty, !isNull else { throw fault("must be a text") }
        return scalar.string
    }

    /// The content of the file that the value names.
    func fileContent() throws -> [UInt8] {
        let path = try word()
        do {
            return try InputFile.read(path.hasPrefix("/") || folder.isEmpty ? path : folder + "/" + path)
        } catch let failure as CommandFailure {
            throw fault("names a file that cannot be used: \(failure.message)")
        }
    }

    func bool() throws -> Bool {
        guard let value = node.bool else { throw fault("must be true or false") }
        return value
    }

    func number<Number: FixedWidthInteger>(in range: ClosedRange<Number>) throws -> Number {
        guard let value = node.int, let number = Number(exactly: value), range.contains(number) else {
            throw fault("must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A count such as `1000000`, `500M` or `50G`.
    func amount(from minimum: UInt64) throws -> UInt64 {
        guard let amount = OptionValue.amount(try word()), amount >= minimum else {
            throw fault("must be \(minimum) or more, such as \(minimum), 500M or 50G")
        }
        return amount
    }

    func choice<Choice>(_ choices: KeyValuePairs<String, Choice>) throws -> Choice {
        let word = try word()
        guard let choice = choices.first(where: { $0.key == word }) else {
            throw fault("is '\(word)' and must be one of \(choices.map { $0.key }.joined(separator: ", "))")
        }
        return choice.value
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(_: Choice.Type) throws -> Choice {
        let word = try word()
        guard let choice = Choice(rawValue: word) else {
            let all = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw fault("is '\(word)' and must be one of \(all)")
        }
        return choice
    }

    /// A list, or one value that stands for a list of one.
    func items() throws -> [FileEntry] {
        if let sequence = node.sequence {
            return sequence.enumerated().map {
                FileEntry($0.element, "\(name)[\($0.offset)]", keepsHidden: keepsHidden, folder: folder)
            }
        }
        guard !isNull else { throw fault("must be a list") }
        return [FileEntry(node, name, line: line, keepsHidden: keepsHidden, folder: folder)]
    }

    func choices<Choice: RawRepresentable<String> & CaseIterable>(_ type: Choice.Type) throws -> [Choice] {
        try items().map { try $0.choice(type) }
    }

    /// Groups by IKE number, as AWS writes them, or by name.
    func groups() throws -> [DHGroup] {
        try items().map { item in
            let word = try item.word()
            if let group = DHGroup.allCases.first(where: { $0.name == word || String($0.rawValue) == word }) {
                return group
            }
            let all = DHGroup.allCases.map { "\($0.rawValue) (\($0.name))" }.joined(separator: ", ")
            throw item.fault("is '\(word)' and must be one of \(all)")
        }
    }

    func address() throws -> IPAddress {
        let word = try word()
        guard let address = IPAddress(word) else { throw fault("is '\(word)', which is no IP address") }
        return address
    }

    /// A network; an address alone is a network of one.
    func prefix() throws -> IPPrefix {
        let word = try word()
        if let address = IPAddress(word) { return IPPrefix(host: address) }
        guard let prefix = IPPrefix(word) else { throw fault("is '\(word)', which is no network such as 10.0.0.0/16") }
        return prefix
    }

    func prefixes() throws -> [IPPrefix] { try items().map { try $0.prefix() } }

    func identity() throws -> IKEIdentity {
        let word = try word()
        guard let identity = IKEIdentity(word) else {
            throw fault(
                "is '\(word)', which is no IKE identity: an address, a name, user@name, a distinguished name "
                    + "such as 'C=CH, CN=gateway' or keyid:hexadecimal")
        }
        return identity
    }

    /// Keys and values. Keys that are not `known` are refused first: a slip of the pen explains what is missing, too.
    func map(_ known: [String]) throws -> FileMap {
        guard let mapping = node.mapping else { throw fault("must be keys and values") }
        var entries: [(String, FileEntry)] = []
        for (key, value) in mapping {
            let line = key.mark?.line ?? line
            guard let text = key.string else { throw fault("has a key that is no text") }
            guard known.contains(text) else {
                let key = text.printable.cut(to: 40)
                throw Fault(line: line, text: "unknown key '\(key)'; known here are \(known.joined(separator: ", "))")
            }
            entries.append((text, FileEntry(value, child(text), line: line, keepsHidden: keepsHidden, folder: folder)))
        }
        return FileMap(owner: self, entries: entries)
    }
}

/// The keys and values of one place.
struct FileMap {
    let owner: FileEntry
    let entries: [(String, FileEntry)]

    /// The value of a key; a null counts as absent.
    subscript(key: String) -> FileEntry? { entries.first { $0.0 == key && !$0.1.isNull }?.1 }

    func need(_ key: String) throws -> FileEntry {
        guard let entry = self[key] else { throw owner.fault("needs \(key)") }
        return entry
    }
}
