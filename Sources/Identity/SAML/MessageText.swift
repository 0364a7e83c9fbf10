internal import Base

/// A SAML message as people have it at hand: the XML, the base64 of it, or the form field that carried it.
public enum MessageText {
    /// The XML within. Throws where it is none of these.
    public static func document(_ bytes: [UInt8]) throws(SAMLRefusal) -> [UInt8] {
        // What base64 and percent-encoding may add.
        guard bytes.count <= ResponseVerifier.sizeLimit * 4 else {
            throw SAMLRefusal(.size, "The message is larger than \(ResponseVerifier.sizeLimit) bytes.")
        }
        var text = bytes[...]
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
        text = text.drop { $0 == 32 || (9...13).contains($0) }
        guard text.first != UInt8(ascii: "<") else { return bytes }
        for field in ["SAMLResponse=", "SAMLResponse:"] where text.starts(with: field.utf8) {
            text = text.dropFirst(field.utf8.count)
        }
        // What stands behind it in a form.
        text = text.prefix { $0 != UInt8(ascii: "&") }
        let plain = text.contains(UInt8(ascii: "%")) ? percentDecoded(text) : Array(text)
        guard let document = [UInt8](base64: plain), !document.isEmpty else {
            throw SAMLRefusal(.malformed, "The message is neither XML nor base64 of it.")
        }
        return document
    }

    private static func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        var at = text.startIndex
        while at < text.endIndex {
            if text[at] == UInt8(ascii: "%"), at + 2 < text.endIndex,
                let byte = UInt8(String(decoding: text[at + 1...at + 2], as: UTF8.self), radix: 16)
            {
                decoded.append(byte)
                at += 3
            } else {
                decoded.append(text[at])
                at += 1
            }
        }
        return decoded
    }
}
