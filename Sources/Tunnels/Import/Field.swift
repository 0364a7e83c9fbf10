internal import Base
internal import Cryptography

/// One value of a file as text, on its way to a type. Every failure names the field, the line and the reason.
struct Field {
    /// As the file writes it.
    var name: String
    var text: String
    var place: Place

    func sourced<Value: Sendable>(_ value: Value) -> Sourced<Value> { Sourced(value, .file, place) }

    func fault(_ reason: String, remedy: String = ImportError.downloadAgain) -> ImportError {
        ImportError(.invalidValue, at: place, field: name, reason, remedy: remedy)
    }

    func address() throws(ImportError) -> Sourced<IPAddress> {
        guard let address = IPAddress(text) else { throw fault("\(quoted(text)) is not an IP address") }
        return sourced(address)
    }

    /// An address with its prefix length; `length` where the file writes none.
    func prefix(defaultLength length: Int? = nil) throws(ImportError) -> Sourced<IPPrefix> {
        if !text.utf8.contains(UInt8(ascii: "/")), let length, let address = IPAddress(text),
            let prefix = IPPrefix(address, length: length)
        {
            return sourced(prefix)
        }
        guard text.utf8.contains(UInt8(ascii: "/")) || length == nil, let prefix = IPPrefix(text) else {
            throw fault("\(quoted(text)) is not a network such as 10.0.0.0/16")
        }
        return sourced(prefix)
    }

    /// A whole number within `range`, with one of the given unit words behind it or none.
    func number(_ range: ClosedRange<Int>, units: [String: Int] = [:]) throws(ImportError) -> Sourced<Int> {
        let digits = text.utf8.prefix { (48...57).contains($0) }
        let unit = trimmed(Substring(text.utf8.dropFirst(digits.count))).lowercased()
        guard !digits.isEmpty, digits.count <= 12, let number = Int(String(Substring(digits))) else {
            throw fault("\(quoted(text)) is not a whole number")
        }
        var factor = 1
        if !unit.isEmpty {
            guard let known = units[unit] else {
                throw fault("\(quoted(text)) is not a number with a unit that we know")
            }
            factor = known
        }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, range.contains(value) else {
            throw fault("\(quoted(text)) is outside \(range.lowerBound) to \(range.upperBound)")
        }
        return sourced(value)
    }

    /// A time in seconds: `28800`, `28800 seconds`, `8h`, `60min`.
    func seconds(_ range: ClosedRange<Int> = 1...31_536_000) throws(ImportError) -> Sourced<Int> {
        try number(
            range,
            units: [
                "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "mins": 60, "minute": 60,
                "minutes": 60, "h": 3600, "hour": 3600, "hours": 3600, "d": 86_400, "day": 86_400, "days": 86_400,
            ])
    }

    func bytes(_ range: ClosedRange<Int>) throws(ImportError) -> Sourced<Int> {
        try number(range, units: ["byte": 1, "bytes": 1])
    }

    func asn() throws(ImportError) -> Sourced<UInt32> {
        let number = try number(1...4_294_967_294)
        guard let value = UInt32(exactly: number.value) else { throw fault("not an AS number") }
        return sourced(value)
    }

    func encryption() throws(ImportError) -> Sourced<EncryptionAlgorithm> {
        guard let algorithm = Vocabulary.encryption(text) else {
            throw fault("\(quoted(text)) is no encryption algorithm that we know")
        }
        return sourced(algorithm)
    }

    func integrity() throws(ImportError) -> Sourced<IntegrityAlgorithm> {
        guard let algorithm = Vocabulary.integrity(text) else {
            throw fault("\(quoted(text)) is no authentication algorithm that we know")
        }
        return sourced(algorithm)
    }

    func group() throws(ImportError) -> Sourced<DHGroup> {
        guard let group = Vocabulary.group(text) else {
            throw fault("\(quoted(text)) is no Diffie-Hellman group that we know")
        }
        return sourced(group)
    }

    func ikeVersion() throws(ImportError) -> Sourced<[Int]> {
        switch trimmed(text).lowercased() {
        case "ikev1", "1", "v1", "ike": return sourced([1])
        case "ikev2", "2", "v2": return sourced([2])
        default: throw fault("\(quoted(text)) is no IKE version")
        }
    }

    /// A pre-shared key, checked by AWS's rules. Messages give its length and the kind of a bad character, no more.
    func key(_ rule: VendorProfile.KeyRule, placeholders: [String]) throws(ImportError) -> Sourced<Secret> {
        func bad(_ reason: String, remedy: String) -> ImportError {
            ImportError(.invalidKey, at: place, field: name, reason, remedy: remedy)
        }
        let bytes = Array(text.utf8)
        if let standIn = placeholders.contains(text) ? "'\(text)'" : KeyStandIn.name(text) {
            throw ImportError(
                .placeholder, at: place, field: name,
                "there is a placeholder in the place of the pre-shared key: \(standIn)",
                remedy: "This is an example, or the key was taken out before the text was passed on. "
                    + ImportError.downloadAgain)
        }
        guard !bytes.isEmpty else {
            throw ImportError(
                .missingValue, at: place, field: name, "the pre-shared key is empty",
                remedy: "A key in AWS Secrets Manager, or a certificate in its place, is not in the file. "
                    + ImportError.downloadAgain)
        }
        let punctuation = Array(rule.punctuation.utf8)
        if let wrong = bytes.first(where: { byte in
            !((48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || punctuation.contains(byte))
        }) {
            let kind =
                switch wrong {
                case 32, 9: "a blank"
                case 34, 39, 96: "a quotation mark"
                case UInt8(ascii: "*"): "an asterisk (a masked key?)"
                case 0..<32, 127: "a control character"
                case 128...: "a character outside ASCII"
                default: "a punctuation mark other than . and _"
                }
            throw bad(
                "the pre-shared key (\(text.count) characters) holds \(kind)",
                remedy: "AWS keys are letters, digits, dots and underscores. " + ImportError.downloadAgain)
        }
        guard rule.minimum <= bytes.count, bytes.count <= rule.maximum else {
            throw bad(
                "the pre-shared key has \(bytes.count) characters; AWS keys have \(rule.minimum) to \(rule.maximum)",
                remedy: ImportError.downloadAgain)
        }
        if let first = bytes.first, rule.notFirst.utf8.contains(first) {
            throw bad("the pre-shared key begins with 0, which AWS does not permit", remedy: ImportError.downloadAgain)
        }
        return sourced(Secret(bytes))
    }
}

/// The many words that AWS's formats have for the same algorithm.
enum Vocabulary {
    /// Lower case, without blanks, hyphens, underscores and the words that only say what kind of thing it is.
    private static func core(_ text: String, dropping words: [String]) -> String {
        var bytes = text.lowercased().utf8.filter {
            $0 != 32 && $0 != 9 && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_")
        }
        for word in words where bytes.starts(with: word.utf8) { bytes.removeFirst(word.utf8.count) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func encryption(_ text: String) -> EncryptionAlgorithm? {
        guard text.utf8.count <= 40 else { return nil }
        return switch core(text, dropping: ["esp"]) {
        case "aes", "aescbc", "aes128", "aes128cbc", "aescbc128": .aes128
        case "aes192", "aes192cbc", "aescbc192": .aes192
        case "aes256", "aes256cbc", "aescbc256": .aes256
        case "aes128gcm16", "aes128gcm128", "aes128gcm", "aesgcm128", "aesgcm", "gcm", "gcm128": .aes128gcm16
        case "aes192gcm16", "aes192gcm128", "aes192gcm": .aes192gcm16
        case "aes256gcm16", "aes256gcm128", "aes256gcm", "aesgcm256", "gcm256": .aes256gcm16
        case "chacha20poly1305": .chacha20poly1305
        default: nil
        }
    }

    static func integrity(_ text: String) -> IntegrityAlgorithm? {
        guard text.utf8.count <= 40 else { return nil }
        return switch core(text, dropping: ["esp", "hmac"]) {
        case "sha1", "sha", "sha196", "shahmac": .sha1
        case "sha256", "sha2256", "sha256128", "sha2256128", "sha256hmac": .sha256
        case "sha384", "sha2384", "sha384192", "sha2384192", "sha384hmac": .sha384
        case "sha512", "sha2512", "sha512256", "sha2512256", "sha512hmac": .sha512
        default: nil
        }
    }

    static func group(_ text: String) -> DHGroup? {
        guard text.utf8.count <= 40 else { return nil }
        let word = core(text, dropping: ["diffiehellman", "dh", "group"])
        if let number = UInt16(word) { return DHGroup(rawValue: number) }
        if word == "x25519" { return .curve25519 }
        return DHGroup.allCases.first { $0.name == word }
    }
}
