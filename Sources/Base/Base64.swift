extension Sequence where Element == UInt8 {
    /// Base64 with the standard alphabet and padding (RFC 4648 §4), on one line.
    public var base64: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in self {
            bits = bits << 8 | UInt32(byte)
            count += 1
            guard count == 3 else { continue }
            for shift in [18, 12, 6, 0] as [UInt32] { text.append(alphabet[Int(bits >> shift & 63)]) }
            bits = 0
            count = 0
        }
        if count > 0 {
            bits <<= UInt32(8 * (3 - count))
            text.append(alphabet[Int(bits >> 18 & 63)])
            text.append(alphabet[Int(bits >> 12 & 63)])
            text.append(count == 2 ? alphabet[Int(bits >> 6 & 63)] : UInt8(ascii: "="))
            text.append(UInt8(ascii: "="))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension [UInt8] {
    /// Reads base64 with the standard alphabet; blanks and line breaks are passed over. Nil when a character is none of
    /// the alphabet's, or the padding is not as RFC 4648 §4 wants it: one text has one reading.
    public init?(base64 text: some Sequence<UInt8>) {
        self = []
        var bits: UInt32 = 0
        var count = 0
        var padding = 0
        for character in text {
            let digit: UInt8
            switch character {
            case 65...90: digit = character - 65
            case 97...122: digit = character - 71
            case 48...57: digit = character + 4
            case UInt8(ascii: "+"): digit = 62
            case UInt8(ascii: "/"): digit = 63
            case UInt8(ascii: "="):
                padding += 1
                continue
            case 9, 10, 13, 32: continue
            default: return nil
            }
            guard padding == 0 else { return nil }
            bits = bits << 6 | UInt32(digit)
            count += 1
            guard count == 4 else { continue }
            append(UInt8(truncatingIfNeeded: bits >> 16))
            append(UInt8(truncatingIfNeeded: bits >> 8))
            append(UInt8(truncatingIfNeeded: bits))
            bits = 0
            count = 0
        }
        switch (count, padding) {
        case (0, 0): break
        case (2, 2) where bits & 0xF == 0: append(UInt8(truncatingIfNeeded: bits >> 4))
        case (3, 1) where bits & 0x3 == 0:
            append(UInt8(truncatingIfNeeded: bits >> 10))
            append(UInt8(truncatingIfNeeded: bits >> 2))
        default: return nil
        }
    }
}
