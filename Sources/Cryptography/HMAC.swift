internal import COpenSSL

/// HMAC (RFC 2104) under one key: the padded key is hashed once, however many messages follow, and wiped at the end.
///
/// Built on OpenSSL's block functions: `EVP_MAC` of OpenSSL 3.0 costs several allocations and a parameter lookup
/// for each message, more than hashing the short inputs of IKE does. None of these functions can fail.
struct HMAC {
    private let bits: Int32
    private let keyed: UnsafeMutablePointer<gh_packet_hmac>
    private let state: UnsafeMutablePointer<gh_hash_state>

    /// Lends an HMAC under `key` to `body`; it must not leave it.
    static func withKey<Result>(
        _ hash: HashAlgorithm, _ key: UnsafeRawBufferPointer, _ body: (HMAC) -> Result
    ) -> Result {
        var keyed = gh_packet_hmac()
        var state = gh_hash_state()
        return withUnsafeMutablePointer(to: &keyed) { keyed in
            withUnsafeMutablePointer(to: &state) { state in
                defer {
                    OPENSSL_cleanse(keyed, MemoryLayout<gh_packet_hmac>.size)
                    OPENSSL_cleanse(state, MemoryLayout<gh_hash_state>.size)
                }
                if key.count <= hash.blockLength {
                    _ = gh_packet_hmac_prepare(keyed, hash.bits, key.baseAddress, key.count)
                } else {
                    // RFC 2104 §2: a key longer than the block is replaced by its digest.
                    withUnsafeTemporaryAllocation(byteCount: hash.digestLength, alignment: 8) { digest in
                        gh_hash_start(state, hash.bits)
                        gh_hash_update(state, hash.bits, key.baseAddress, key.count)
                        gh_hash_finish(state, hash.bits, digest.baseAddress)
                        _ = gh_packet_hmac_prepare(keyed, hash.bits, digest.baseAddress, digest.count)
                        OPENSSL_cleanse(digest.baseAddress, digest.count)
                    }
                }
                return body(HMAC(bits: hash.bits, keyed: keyed, state: state))
            }
        }
    }

    /// Starts a message.
    func start() { state.pointee = keyed.pointee.inner }

    /// Adds to the message.
    func update(_ bytes: UnsafeRawBufferPointer) { gh_hash_update(state, bits, bytes.baseAddress, bytes.count) }

    /// Adds to the message.
    func update(_ part: any ByteSource) { part.withBytes { update($0) } }

    /// Adds one byte to the message.
    func update(_ byte: UInt8) {
        withUnsafeBytes(of: byte) { update($0) }
    }

    /// Ends the message and writes its whole digest to the start of `output`, which has room for it.
    func finish(into output: UnsafeMutableRawPointer) {
        let digest = output.assumingMemoryBound(to: UInt8.self)
        gh_hash_finish(state, bits, digest)
        state.pointee = keyed.pointee.outer
        gh_hash_update(state, bits, digest, Int(bits / 8))
        gh_hash_finish(state, bits, digest)
    }
}
