internal import COpenSSL

/// SHA-1 and SHA-2 (FIPS 180-4).
public enum Hash {
    /// The digest of all parts, one behind the other.
    public static func digest(_ algorithm: HashAlgorithm, _ parts: [any ByteSource]) -> [UInt8] {
        var state = gh_hash_state()
        return [UInt8](unsafeUninitializedCapacity: algorithm.digestLength) { digest, count in
            gh_hash_start(&state, algorithm.bits)
            for part in parts {
                part.withBytes { gh_hash_update(&state, algorithm.bits, $0.baseAddress, $0.count) }
            }
            gh_hash_finish(&state, algorithm.bits, digest.baseAddress)
            count = algorithm.digestLength
        }
    }
}

extension HashAlgorithm {
    /// Bits of digest, by which the C functions tell the algorithms apart.
    var bits: Int32 { Int32(truncatingIfNeeded: digestLength * 8) }

    /// Bytes of the block that the compression function takes.
    var blockLength: Int {
        switch self {
        case .sha1, .sha256: 64
        case .sha384, .sha512: 128
        }
    }
}
