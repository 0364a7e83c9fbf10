internal import COpenSSL

/// Text with binary things in it, each between lines such as `-----BEGIN CERTIFICATE-----` (RFC 7468).
public enum PEM {
    /// One thing of a text.
    struct Block {
        var label: String
        /// The header lines of old key files; they say that a key is encrypted.
        var header: String
        var bytes: Secret
    }

    /// The most blocks of one text, and its longest length in bytes.
    static let mostBlocks = 64
    public static let longestText = 1 << 20

    /// Everything in the text, in order. What stands between is passed over; a block that is cut short ends the list.
    static func blocks(_ text: some ByteSource) -> [Block] {
        text.withBytes { text in
            guard text.count <= longestText, let start = text.baseAddress,
                let source = BIO_new_mem_buf(start, Int32(text.count))
            else { return [] }
            defer { BIO_free(source) }
            var blocks: [Block] = []
            while blocks.count < mostBlocks, let block = next(source) { blocks.append(block) }
            ERR_clear_error()
            return blocks
        }
    }

    private static func next(_ source: OpaquePointer) -> Block? {
        var name: UnsafeMutablePointer<CChar>?
        var header: UnsafeMutablePointer<CChar>?
        var data: UnsafeMutablePointer<UInt8>?
        var count = 0
        guard PEM_read_bio(source, &name, &header, &data, &count) == 1 else { return nil }
        defer {
            CRYPTO_free(name, nil, 0)
            CRYPTO_free(header, nil, 0)
            CRYPTO_clear_free(data, count, nil, 0)
        }
        return Block(
            label: name.map { String(cString: $0) } ?? "", header: header.map { String(cString: $0) } ?? "",
            bytes: Secret(UnsafeBufferPointer(start: data, count: count)))
    }

    /// `bytes` as PEM text, ending in a line end.
    public static func text(_ label: String, _ bytes: some ByteSource) -> String {
        bytes.withBytes { bytes in
            let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            // Three bytes become four letters, and EVP_EncodeBlock ends them with a zero.
            let letters = [UInt8](unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4 + 1) { buffer, count in
                count = Int(EVP_EncodeBlock(buffer.baseAddress, start, Int32(clamping: bytes.count)))
            }
            var lines = ["-----BEGIN \(label)-----"]
            for from in stride(from: 0, to: letters.count, by: 64) {
                lines.append(String(decoding: letters[from..<min(from + 64, letters.count)], as: UTF8.self))
            }
            return (lines + ["-----END \(label)-----", ""]).joined(separator: "\n")
        }
    }
}
