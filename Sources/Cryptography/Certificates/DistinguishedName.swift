internal import Base
internal import COpenSSL

/// A distinguished name (X.501), such as `C=CH, O=Example, CN=gateway`: who a certificate is for, and who issued it.
///
/// Equal when the bytes are; names that mean the same are found by ``canonical``.
public struct DistinguishedName: Hashable, Sendable {
    /// DER of the Name. Whatever it holds has been read by OpenSSL once.
    public let der: [UInt8]

    /// Bytes of the longest name that is taken.
    static let longest = 4096

    /// Nil unless the bytes are one Name.
    public init?(der bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count <= Self.longest, let name = Name(der: bytes), name.der == bytes else { return nil }
        der = bytes
    }

    init(_ name: OpaquePointer) { der = Name.der(of: name) }

    private init(exact der: [UInt8]) { self.der = der }

    /// The name with letter case and runs of blanks evened out, and every string in one encoding: equal for names that
    /// mean the same (RFC 5280 §7.1).
    public var canonical: DistinguishedName {
        guard let name = Name(der: der), let even = Name() else { return self }
        for entry in name.entries {
            guard let text = entry.text else {
                guard even.append(entry) else { return self }
                continue
            }
            let words = text.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
            guard even.append(entry, text: words) else { return self }
        }
        return DistinguishedName(exact: even.der)
    }

    public func matches(_ other: DistinguishedName) -> Bool { self == other || canonical == other.canonical }
}

extension DistinguishedName: LosslessStringConvertible {
    /// Attributes in the order of the name, with commas in between; `asn1dn:#` and the DER in hexadecimal for a name
    /// that this form cannot say.
    public var description: String {
        let text = self.text
        guard let text, let again = DistinguishedName(attributes: text), again.matches(self) else {
            return "asn1dn:#" + der.hexadecimal
        }
        return text
    }

    private var text: String? {
        guard let name = Name(der: der), !name.entries.isEmpty else { return nil }
        var parts: [String] = []
        var lastSet: Int32?
        for entry in name.entries {
            guard let value = entry.text, !value.isEmpty else { return nil }
            var part = entry.type + "="
            for character in value.unicodeScalars {
                if "\\,+=\"".unicodeScalars.contains(character) { part += "\\" }
                // What is no printable character does not reach a terminal or a log.
                guard character.properties.generalCategory != .control, character.properties.generalCategory != .format
                else { return nil }
                part.unicodeScalars.append(character)
            }
            if let lastSet, lastSet == entry.set, let last = parts.popLast() {
                parts.append(last + "+" + part)
            } else {
                parts.append(part)
            }
            lastSet = entry.set
        }
        return parts.joined(separator: ", ")
    }

    /// Reads what ``description`` writes: short names of attributes or their numbers, `\` in front of a character that
    /// has a meaning, `+` between attributes of one level. `/C=CH/CN=gateway` is read as well.
    public init?(_ text: String) {
        if text.hasPrefix("asn1dn:#") {
            guard let bytes = [UInt8](hexadecimal: String(text.dropFirst(8))) else { return nil }
            self.init(der: bytes)
        } else {
            self.init(attributes: text)
        }
    }

    private init?(attributes text: String) {
        guard text.utf8.count <= Self.longest, let name = Name() else { return nil }
        let isSlashed = text.hasPrefix("/")
        var rest = (isSlashed ? text.dropFirst() : text[...])[...]
        var joins = false
        while true {
            guard let equals = rest.firstIndex(of: "=") else { return nil }
            let type = rest[..<equals].trimmed
            guard !type.isEmpty, type.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") }) else {
                return nil
            }
            var value = ""
            var isEscaped = false
            var index = rest.index(after: equals)
            var end: Character?
            while index < rest.endIndex {
                let character = rest[index]
                index = rest.index(after: index)
                if isEscaped {
                    value.append(character)
                    isEscaped = false
                } else if character == "\\" {
                    isEscaped = true
                } else if character == "+" || character == (isSlashed ? "/" : ",") {
                    end = character
                    break
                } else {
                    value.append(character)
                }
            }
            guard !isEscaped, !value[...].trimmed.isEmpty,
                name.append(type: String(type), text: String(value[...].trimmed), joins: joins)
            else { return nil }
            rest = rest[index...]
            guard let end else { break }
            joins = end == "+"
        }
        self.init(der: name.der)
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

/// OpenSSL's form of a name.
private final class Name {
    struct Entry {
        var pointer: OpaquePointer
        /// Attributes of one set stand at one level of the name.
        var set: Int32

        /// The short name of the attribute, or its numbers.
        var type: String {
            let object = X509_NAME_ENTRY_get_object(pointer)
            let known = OBJ_obj2nid(object)
            if known != NID_undef, let name = OBJ_nid2sn(known) {
                let name = String(cString: name)
                if name != "UNDEF", name.allSatisfy({ $0.isLetter || $0.isNumber }) { return name }
            }
            var text = [CChar](repeating: 0, count: 128)
            OBJ_obj2txt(&text, Int32(text.count), object, 1)
            return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        }

        /// Nil for what is no character string.
        var text: String? {
            guard let data = X509_NAME_ENTRY_get_data(pointer) else { return nil }
            var bytes: UnsafeMutablePointer<UInt8>?
            let count = ASN1_STRING_to_UTF8(&bytes, data)
            guard count >= 0, let bytes else {
                ERR_clear_error()
                return nil
            }
            defer { CRYPTO_free(bytes, nil, 0) }
            return String(validating: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
        }
    }

    private let pointer: OpaquePointer

    init?() {
        guard let pointer = X509_NAME_new() else { return nil }
        self.pointer = pointer
    }

    init?(der: [UInt8]) {
        let pointer = der.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            return d2i_X509_NAME(nil, &start, buffer.count)
        }
        guard let pointer else {
            ERR_clear_error()
            return nil
        }
        self.pointer = pointer
    }

    deinit { X509_NAME_free(pointer) }

    var der: [UInt8] { Self.der(of: pointer) }

    static func der(of name: OpaquePointer) -> [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_NAME(name, &bytes)
        guard count > 0, let bytes else {
            ERR_clear_error()
            return []
        }
        defer { CRYPTO_free(bytes, nil, 0) }
        return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    var entries: [Entry] {
        (0..<max(0, X509_NAME_entry_count(pointer))).compactMap { index in
            X509_NAME_get_entry(pointer, index).map { Entry(pointer: $0, set: X509_NAME_ENTRY_set($0)) }
        }
    }

    private var lastSet: Int32?

    /// The entry as it is, at the level that it has.
    func append(_ entry: Entry) -> Bool {
        let joins = lastSet == entry.set
        lastSet = entry.set
        let isDone = X509_NAME_add_entry(pointer, entry.pointer, -1, joins ? -1 : 0) == 1
        ERR_clear_error()
        return isDone
    }

    /// The entry with another text.
    func append(_ entry: Entry, text: String) -> Bool {
        let joins = lastSet == entry.set
        lastSet = entry.set
        let bytes = Array(text.utf8)
        let isDone =
            X509_NAME_add_entry_by_OBJ(
                pointer, X509_NAME_ENTRY_get_object(entry.pointer), V_ASN1_UTF8STRING, bytes, Int32(bytes.count), -1,
                joins ? -1 : 0) == 1
        ERR_clear_error()
        return isDone
    }

    /// An attribute by name, in the string type that its standard wants.
    func append(type: String, text: String, joins: Bool) -> Bool {
        // strongSwan's and others' short names.
        let others = ["E": "emailAddress", "EMAIL": "emailAddress", "S": "ST", "G": "GN"]
        let bytes = Array(text.utf8)
        let name = others[type.uppercased()] ?? type
        let isDone = [name, name.uppercased()].contains { (name: String) in
            X509_NAME_add_entry_by_txt(pointer, name, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, joins ? -1 : 0) == 1
        }
        ERR_clear_error()
        return isDone
    }
}
