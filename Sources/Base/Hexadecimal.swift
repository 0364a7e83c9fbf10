extension Sequence where Element == UInt8 {
    /// Lower-case hexadecimal, two digits a byte, no separators.
    public var hexadecimal: String {
        var text: [UInt8] = []
        let digits = Array("0123456789abcdef".utf8)
        for byte in self {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension [UInt8] {
    /// Reads hexadecimal of either case; blanks, line breaks and colons between bytes are passed over.
    /// Nil when a character is no digit or half a byte is left.
    public init?(hexadecimal text: String) {
        self = []
        var high: UInt8?
        for character in text.utf8 {
            let digit: UInt8
            switch character {
            case 48...57: digit = character - 48
            case 65...70: digit = character - 55
            case 97...102: digit = character - 87
            case 9, 10, 13, 32, 58: continue
            default: return nil
            }
            if let first = high {
                append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard high == nil else { return nil }
    }
}
