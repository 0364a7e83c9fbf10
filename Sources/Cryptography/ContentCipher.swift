internal import Base

/// The ciphers of XML encryption (W3C xmlenc-core1 §5.2): a fresh IV first, then the ciphertext, and the tag behind it
/// for GCM.
public enum ContentCipher {
    /// Decrypts all of `data`. CBC padding is what xmlenc says: the last byte counts the bytes of padding, the others
    /// may be anything.
    ///
    /// Throws ``CryptographyError/authenticationFailed`` whatever is wrong with key or data.
    public static func open(
        _ data: [UInt8], with algorithm: EncryptionAlgorithm, key: Secret
    ) throws(CryptographyError) -> [UInt8] {
        let ivLength = algorithm.isAEAD ? 12 : 16
        let length = data.count - ivLength - algorithm.tagLength
        guard key.count == algorithm.keyLength, length > 0 else { throw .authenticationFailed }
        guard algorithm.isAEAD || length % algorithm.blockLength == 0 else { throw .authenticationFailed }
        let nonce = CipherRun.Nonce(salt: UnsafeRawBufferPointer(start: nil, count: 0), iv: data[..<ivLength])
        let run = try CipherRun(algorithm, key: key, nonce: nonce, isSealing: false)
        var plaintext = [UInt8](repeating: 0, count: length)
        try plaintext.withUnsafeMutableBufferPointer { (plaintext) throws(CryptographyError) in
            let plaintext = UnsafeMutableRawBufferPointer(plaintext)
            try data.withBytes { (data) throws(CryptographyError) in
                let end = ivLength + length
                try run.process(UnsafeRawBufferPointer(rebasing: data[ivLength..<end]), into: plaintext)
                if algorithm.isAEAD {
                    try run.finish(verifyingTag: UnsafeRawBufferPointer(rebasing: data[end...]))
                }
            }
        }
        if !algorithm.isAEAD {
            let padding = Int(plaintext[length - 1])
            guard (1...16).contains(padding) else { throw .authenticationFailed }
            plaintext.removeLast(padding)
        }
        return plaintext
    }
}
