/// Why a file is not imported, in words for the person who imports it. Never holds a key or a part of one.
public struct ImportError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Hashable, Sendable {
        case tooLarge, notText, malformed
        /// A Client VPN (OpenVPN) profile.
        case clientVPN
        /// A known text format that has no reader.
        case unreadableFormat
        /// Nothing that AWS gives out, as far as we can see.
        case unknownFormat
        case placeholder
        /// A value is not there: often a file that was cut short.
        case missingValue
        case invalidKey, invalidValue
        /// Two places of the file, or a file and an option, that cannot both be true.
        case contradiction
        /// Several connections in one file, and none chosen.
        case choice
        /// The connection exists, but not in a form that we can use.
        case unsupported
    }

    public var kind: Kind
    public var place: Place?
    /// The name of the field as the file writes it.
    public var field: String?
    /// One clause, without a full stop.
    public var reason: String
    /// What to do, in whole sentences.
    public var remedy: String

    public init(_ kind: Kind, at place: Place? = nil, field: String? = nil, _ reason: String, remedy: String) {
        self.kind = kind
        self.place = place
        self.field = field
        self.reason = reason
        self.remedy = remedy
    }

    /// The line of the file, from 1.
    public var line: Int? { place?.line }

    public var description: String {
        let head = [place?.description, field].compactMap { $0 }.joined(separator: ", ")
        let end = reason.hasSuffix(".") ? " " : ". "
        return (head.isEmpty ? "" : head + ": ") + reason + end + remedy
    }

    /// The same fault, whose lines count within a text that begins on `line` of the outer file.
    func inside(_ line: Int) -> ImportError {
        var error = self
        error.place = Place(line: line, innerLine: place?.line)
        return error
    }

    static let downloadAgain =
        "Download the configuration again, or save the output of "
        + "'aws ec2 describe-vpn-connections' and import that."
}

/// `text` in quotation marks for an error message, cut to 60 characters, or words in its place when it might be a
/// key: a faulty file can have its key in any field.
func quoted(_ text: String) -> String {
    let bytes = Array(text.utf8)
    func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, UInt8(ascii: "."), UInt8(ascii: "_"): true
        default: false
        }
    }
    for word in bytes.split(whereSeparator: { !isKeyByte($0) }) {
        // Digits between dots are an address, also a wrong one.
        let groups = word.split(separator: UInt8(ascii: "."))
        let isDigits = groups.allSatisfy { $0.count <= 3 && $0.allSatisfy { (48...57).contains($0) } }
        if (3...6).contains(groups.count), isDigits { continue }
        let hasDigit = word.contains { (48...57).contains($0) }
        let hasLetter = word.contains { (65...90).contains($0) || (97...122).contains($0) }
        let isMixedCase =
            word.contains { (65...90).contains($0) } && word.contains { (97...122).contains($0) }
        if word.count >= 16 || (word.count >= 8 && hasLetter && (hasDigit || isMixedCase)) {
            return "a text of \(text.count) characters (not shown: it could be a key)"
        }
    }
    guard !bytes.contains(where: { $0 < 32 || $0 == 127 }) else {
        return "a text of \(text.count) characters with control characters in it"
    }
    return text.count > 60 ? "'\(text.prefix(60))…'" : "'\(text)'"
}
