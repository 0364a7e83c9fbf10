internal import COpenSSL

/// A key of X25519: group 31 (RFC 7748, RFC 8031).
// Proof of Sendable: the key is written in `init` and `deinit` alone; a derivation only reads it and counts its
// references, atomically.
final class Curve25519Key: @unchecked Sendable {
    static let length = 32

    private let key: OpaquePointer

    init(privateKey: Secret) throws(CryptographyError) {
        let key = privateKey.withUnsafeBytes {
            EVP_PKEY_new_raw_private_key(
                EVP_PKEY_X25519, nil, $0.assumingMemoryBound(to: UInt8.self).baseAddress, $0.count)
        }
        guard let key else { throw .fromOpenSSL("make a curve25519 key") }
        self.key = key
    }

    deinit { EVP_PKEY_free(key) }

    func publicValue() throws(CryptographyError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.length)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1, count == Self.length else {
            throw .fromOpenSSL("read a curve25519 key")
        }
        return bytes
    }

    func sharedSecret(peer: ArraySlice<UInt8>) throws(CryptographyError) -> Secret {
        let other = peer.withUnsafeBufferPointer {
            EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nil, $0.baseAddress, $0.count)
        }
        guard let other else { throw .fromOpenSSL("read a curve25519 value") }
        defer { EVP_PKEY_free(other) }
        guard let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else {
            throw .fromOpenSSL("use a curve25519 key")
        }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer_ex(context, other, 0) == 1 else {
            throw .fromOpenSSL("use a curve25519 key")
        }
        var isDone = false
        let secret = Secret(count: Self.length) { output in
            var count = output.count
            isDone = EVP_PKEY_derive(context, output.assumingMemoryBound(to: UInt8.self).baseAddress, &count) == 1
        }
        // OpenSSL refuses to derive all zeros (RFC 7748 §6.1), and no other failure depends on the peer's bytes.
        guard isDone, secret != Self.zeros else {
            ERR_clear_error()
            throw .invalidPublicValue(.curve25519, .smallOrder)
        }
        return secret
    }

    private static let zeros = Secret([UInt8](repeating: 0, count: length))
}
