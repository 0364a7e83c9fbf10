internal import COpenSSL

extension SealingKey {
    /// Bytes of salt that ``init(passphrase:salt:)`` wants.
    public static let saltLength = 16

    /// A key from a passphrase: scrypt (RFC 7914) with N = 2¹⁷, r = 8, p = 1, which takes 128 MiB and about half a
    /// second.
    ///
    /// - Parameter salt: ``saltLength`` random bytes, kept beside what is sealed.
    public init(passphrase: Secret, salt: [UInt8]) throws(CryptographyError) {
        guard salt.count == Self.saltLength else {
            throw .wrongLength(what: "salt", expected: Self.saltLength, given: salt.count)
        }
        var isDerived = false
        let key = Secret(count: Self.keyLength) { key in
            isDerived = passphrase.withUnsafeBytes { passphrase in
                EVP_PBE_scrypt(
                    passphrase.assumingMemoryBound(to: CChar.self).baseAddress, passphrase.count, salt, salt.count,
                    1 << 17, 8, 1, 256 << 20, key.assumingMemoryBound(to: UInt8.self).baseAddress, key.count) == 1
            }
        }
        guard isDerived else { throw .fromOpenSSL("derive a key from a passphrase") }
        try self.init(key)
    }
}
