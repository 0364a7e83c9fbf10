internal import COpenSSL

/// A key pair made for a test.
// Proof of Sendable: written in `init` and `deinit` alone.
public final class TestKey: @unchecked Sendable {
    public enum Kind: Hashable, Sendable, CaseIterable { case rsa1024, rsa2048, rsaPSS2048, p256, p384, p521, ed25519 }

    let pointer: OpaquePointer
    public let kind: Kind

    public init(_ kind: Kind) {
        self.kind = kind
        let name =
            switch kind {
            case .rsa1024, .rsa2048: "RSA"
            case .rsaPSS2048: "RSA-PSS"
            case .p256, .p384, .p521: "EC"
            case .ed25519: "ED25519"
            }
        let context = EVP_PKEY_CTX_new_from_name(nil, name, nil)
        defer { EVP_PKEY_CTX_free(context) }
        precondition(EVP_PKEY_keygen_init(context) == 1)
        switch kind {
        case .rsa1024: precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 1024) == 1)
        case .rsa2048, .rsaPSS2048: precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1)
        case .p256: precondition(EVP_PKEY_CTX_set_group_name(context, "P-256") == 1)
        case .p384: precondition(EVP_PKEY_CTX_set_group_name(context, "P-384") == 1)
        case .p521: precondition(EVP_PKEY_CTX_set_group_name(context, "P-521") == 1)
        case .ed25519: break
        }
        var key: OpaquePointer?
        precondition(EVP_PKEY_generate(context, &key) == 1)
        pointer = key!
    }

    deinit { EVP_PKEY_free(pointer) }

    /// PKCS#8, as `openssl genpkey` writes it.
    public var pem: String { text { PEM_write_bio_PKCS8PrivateKey($0, pointer, nil, nil, 0, nil, nil) } }

    /// PKCS#8 under a passphrase.
    public var encryptedPEM: String {
        text { PEM_write_bio_PKCS8PrivateKey($0, pointer, EVP_aes_256_cbc(), "secret", 6, nil, nil) }
    }

    /// PKCS#1 for RSA, SEC 1 for curves: the older forms.
    public var traditionalPEM: String {
        text { PEM_write_bio_PrivateKey_traditional($0, pointer, nil, nil, 0, nil, nil) }
    }

    /// The older form under a passphrase.
    public var encryptedTraditionalPEM: String {
        var passphrase = Array("secret".utf8)
        return text {
            PEM_write_bio_PrivateKey_traditional(
                $0, pointer, EVP_aes_128_cbc(), &passphrase, Int32(passphrase.count), nil, nil)
        }
    }
}

/// What `body` writes.
func text(_ body: (OpaquePointer) -> Int32) -> String {
    let output = BIO_new(BIO_s_mem())!
    defer { BIO_free(output) }
    precondition(body(output) == 1)
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = BIO_read(output, &bytes, Int32(bytes.count))
    return String(decoding: bytes.prefix(Int(max(0, count))), as: UTF8.self)
}
