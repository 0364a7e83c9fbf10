internal import COpenSSL

/// IKEv2's pseudo-random function: HMAC, whole (RFC 7296 §2.13).
public enum PRF {
    /// `prf(key, parts)`, the parts one behind the other.
    public static func compute(_ prf: PRFAlgorithm, key: Secret, _ parts: [any ByteSource]) -> Secret {
        Secret(count: prf.outputLength) { output in
            key.withBytes { key in
                HMAC.withKey(prf.hash, key) { hmac in
                    hmac.start()
                    for part in parts { hmac.update(part) }
                    guard let start = output.baseAddress else { return }
                    hmac.finish(into: start)
                }
            }
        }
    }

    /// The most bytes that ``expand(_:key:seed:count:)`` gives: 255 outputs (RFC 7296 §2.13).
    public static func maximumExpansion(_ prf: PRFAlgorithm) -> Int { 255 * prf.outputLength }

    /// `prf+(key, seed)`, the first `count` bytes of `T1 | T2 | …` with `Tn = prf(key, Tn-1 | seed | n)`
    /// (RFC 7296 §2.13). The seed's parts stand one behind the other.
    ///
    /// - Precondition: `count` is at most ``maximumExpansion(_:)``; every use in IKEv2 needs a twentieth of that.
    public static func expand(_ prf: PRFAlgorithm, key: Secret, seed: [any ByteSource], count: Int) -> Secret {
        precondition((0...maximumExpansion(prf)).contains(count), "prf+ gives 255 blocks at most")
        let length = prf.outputLength
        return Secret(count: count) { output in
            withUnsafeTemporaryAllocation(byteCount: length, alignment: 8) { block in
                guard let start = block.baseAddress else { return }
                key.withBytes { key in
                    HMAC.withKey(prf.hash, key) { hmac in
                        var done = 0
                        var number: UInt8 = 0
                        while done < count {
                            number += 1
                            hmac.start()
                            if done > 0 { hmac.update(UnsafeRawBufferPointer(block)) }
                            for part in seed { hmac.update(part) }
                            hmac.update(number)
                            hmac.finish(into: start)
                            let taken = min(length, count - done)
                            output[done..<done + taken].copyBytes(from: block[0..<taken])
                            done += taken
                        }
                    }
                }
                OPENSSL_cleanse(start, length)
            }
        }
    }
}

extension UnsafeMutableRawBufferPointer.SubSequence {
    fileprivate func copyBytes(from source: UnsafeMutableRawBufferPointer.SubSequence) {
        UnsafeMutableRawBufferPointer(rebasing: self).copyMemory(from: UnsafeRawBufferPointer(rebasing: source))
    }
}

extension IntegrityAlgorithm {
    /// The truncated HMAC of all parts, one behind the other (RFC 2404, RFC 4868).
    public func tag(key: Secret, _ parts: [any ByteSource]) -> [UInt8] {
        withTag(key, parts) { Array($0) }
    }

    /// Whether `tag` is the one of the parts under `key`, decided in constant time.
    public func verify(_ tag: some ByteSource, key: Secret, _ parts: [any ByteSource]) -> Bool {
        withTag(key, parts) { expected in
            tag.withBytes { given in
                given.count == expected.count
                    && CRYPTO_memcmp(given.baseAddress, expected.baseAddress, expected.count) == 0
            }
        }
    }

    private func withTag<Result>(
        _ key: Secret, _ parts: [any ByteSource], _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(byteCount: hash.digestLength, alignment: 8) { digest in
            key.withBytes { key in
                HMAC.withKey(hash, key) { hmac in
                    hmac.start()
                    for part in parts { hmac.update(part) }
                    if let start = digest.baseAddress { hmac.finish(into: start) }
                }
            }
            return body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digest)[0..<tagLength]))
        }
    }
}
