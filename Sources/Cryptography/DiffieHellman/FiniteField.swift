internal import COpenSSL

/// Diffie-Hellman modulo a prime: groups 2, 5, 14 to 18 (RFC 7296 appendix B, RFC 3526) and 22 to 24 (RFC 5114).
///
/// Straight on OpenSSL's constant-time exponentiation: its own DH layer knows no group 2, and tests a peer's value by
/// an exponentiation of full length even where RFC 6989 §2.1 asks for a comparison.
// Proof of Sendable: the numbers and the Montgomery context are written in `init` and `deinit` alone; OpenSSL's
// exponentiations take modulus and base as constants and only read a Montgomery context that is given to them.
final class FiniteField: @unchecked Sendable {
    private let group: DHGroup
    /// Bytes of the modulus.
    private let length: Int
    private let p: OpaquePointer
    private let g: OpaquePointer
    /// p - 1.
    private let top: OpaquePointer
    /// The order of the subgroup that `g` spans; nil for the safe primes.
    private let q: OpaquePointer?
    private let montgomery: OpaquePointer
    private let exponentBits: Int

    private init(
        _ group: DHGroup, p: consuming BigNumber, g: consuming BigNumber, q: consuming BigNumber?, exponentBits: Int
    ) throws(CryptographyError) {
        let scratch = try Scratch()
        let top = try BigNumber()
        guard BN_copy(top.pointer, p.pointer) != nil, BN_sub_word(top.pointer, 1) == 1 else {
            throw .fromOpenSSL("prepare \(group.name)")
        }
        guard let montgomery = BN_MONT_CTX_new() else { throw .fromOpenSSL("prepare \(group.name)") }
        guard BN_MONT_CTX_set(montgomery, p.pointer, scratch.pointer) == 1 else {
            BN_MONT_CTX_free(montgomery)
            throw .fromOpenSSL("prepare \(group.name)")
        }
        self.group = group
        length = group.publicValueLength
        self.montgomery = montgomery
        self.exponentBits = exponentBits
        self.p = p.release()
        self.g = g.release()
        self.top = top.release()
        if let q { self.q = q.release() } else { self.q = nil }
    }

    deinit {
        BN_MONT_CTX_free(montgomery)
        for number in [p, g, top] { BN_free(number) }
        BN_free(q)
    }

    /// A private exponent.
    func makePrivate(_ random: inout SeededRandom) throws(CryptographyError) -> Secret {
        if let q { return try random.scalar(below: q, bits: exponentBits) }
        // All bits random, and the highest one set: the exponent keeps its length, whatever is drawn.
        return Secret(count: exponentBits / 8) { bytes in
            random.fill(bytes)
            bytes[0] |= 0x80
        }
    }

    func publicValue(_ exponent: Secret) throws(CryptographyError) -> [UInt8] {
        let result = try power(of: g, exponent)
        var bytes = [UInt8](repeating: 0, count: length)
        try bytes.withUnsafeMutableBufferPointer { (buffer) throws(CryptographyError) in
            try result.write(to: UnsafeMutableRawBufferPointer(buffer))
        }
        return bytes
    }

    func sharedSecret(_ exponent: Secret, peer: ArraySlice<UInt8>) throws(CryptographyError) -> Secret {
        let value = try BigNumber(peer)
        try check(value)
        return try power(of: value.pointer, exponent).secret(length)
    }

    /// RFC 6989 §2.1 and §2.2: for a safe prime the range is enough, a subgroup of prime order needs Y^q = 1 as well.
    private func check(_ value: borrowing BigNumber) throws(CryptographyError) {
        guard BN_cmp(value.pointer, BN_value_one()) > 0, BN_cmp(value.pointer, top) < 0 else {
            throw .invalidPublicValue(group, .outOfRange)
        }
        guard let q else { return }
        // Nothing here is secret, so the exponentiation need not take constant time.
        let scratch = try Scratch()
        let result = try BigNumber()
        guard BN_mod_exp_mont(result.pointer, value.pointer, q, p, scratch.pointer, montgomery) == 1 else {
            throw .fromOpenSSL("check a public value of \(group.name)")
        }
        guard BN_is_one(result.pointer) == 1 else { throw .invalidPublicValue(group, .notInSubgroup) }
    }

    private func power(of base: OpaquePointer, _ exponent: Secret) throws(CryptographyError) -> BigNumber {
        let scratch = try Scratch()
        let result = try BigNumber()
        let exponent = try BigNumber(exponent, isSecret: true)
        guard
            BN_mod_exp_mont_consttime(result.pointer, base, exponent.pointer, p, scratch.pointer, montgomery) == 1
        else { throw .fromOpenSSL("compute in \(group.name)") }
        return result
    }
}

extension FiniteField {
    /// The field of a group; nil for the groups that are curves.
    static func of(_ group: DHGroup) -> Result<FiniteField, CryptographyError>? {
        switch group {
        case .modp1024: modp1024
        case .modp1536: modp1536
        case .modp2048: modp2048
        case .modp3072: modp3072
        case .modp4096: modp4096
        case .modp6144: modp6144
        case .modp8192: modp8192
        case .modp1024s160: modp1024s160
        case .modp2048s224: modp2048s224
        case .modp2048s256: modp2048s256
        case .ecp256, .ecp384, .ecp521, .curve25519: nil
        }
    }

    // Private exponents of twice the strength of the modulus: no attack on a short exponent is then cheaper than one on
    // the modulus. NIST SP 800-57 part 1 puts 2048 bits at 112, 3072 at 128, 4096 at 152, 6144 at 176 and 8192 at 200
    // bits of strength, of which the double is rounded up to whole 64-bit words, since the exponentiation
    // works through whole words anyway; 256 bits are never gone below.
    private static let modp1024 = safePrime(.modp1024, BN_get_rfc2409_prime_1024, exponentBits: 256)
    private static let modp1536 = safePrime(.modp1536, BN_get_rfc3526_prime_1536, exponentBits: 256)
    private static let modp2048 = safePrime(.modp2048, BN_get_rfc3526_prime_2048, exponentBits: 256)
    private static let modp3072 = safePrime(.modp3072, BN_get_rfc3526_prime_3072, exponentBits: 256)
    private static let modp4096 = safePrime(.modp4096, BN_get_rfc3526_prime_4096, exponentBits: 320)
    private static let modp6144 = safePrime(.modp6144, BN_get_rfc3526_prime_6144, exponentBits: 384)
    private static let modp8192 = safePrime(.modp8192, BN_get_rfc3526_prime_8192, exponentBits: 448)
    private static let modp1024s160 = subgroup(.modp1024s160, .modp1024s160, exponentBits: 160)
    private static let modp2048s224 = subgroup(.modp2048s224, .modp2048s224, exponentBits: 224)
    private static let modp2048s256 = subgroup(.modp2048s256, .modp2048s256, exponentBits: 256)

    private static func safePrime(
        _ group: DHGroup, _ prime: (OpaquePointer?) -> OpaquePointer?, exponentBits: Int
    ) -> Result<FiniteField, CryptographyError> {
        Result { () throws(CryptographyError) in
            let p = try BigNumber()
            let g = try BigNumber()
            guard prime(p.pointer) != nil, BN_set_word(g.pointer, 2) == 1 else {
                throw .fromOpenSSL("prepare \(group.name)")
            }
            return try FiniteField(group, p: p, g: g, q: nil, exponentBits: exponentBits)
        }
    }

    private static func subgroup(
        _ group: DHGroup, _ numbers: SubgroupNumbers, exponentBits: Int
    ) -> Result<FiniteField, CryptographyError> {
        Result { () throws(CryptographyError) in
            try FiniteField(
                group, p: BigNumber(hexadecimal: numbers.p), g: BigNumber(hexadecimal: numbers.g),
                q: BigNumber(hexadecimal: numbers.q), exponentBits: exponentBits)
        }
    }
}
