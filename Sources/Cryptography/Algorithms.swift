/// The ciphers of IKE and ESP, named as AWS, strongSwan and network engineers write them.
/// The AEAD ones (`gcm16`, `chacha20poly1305`) carry their own integrity.
public enum EncryptionAlgorithm: String, Codable, Hashable, Sendable, CaseIterable {
    case aes128, aes192, aes256
    case aes128gcm16, aes192gcm16, aes256gcm16
    case chacha20poly1305

    public var isAEAD: Bool {
        switch self {
        case .aes128, .aes192, .aes256: false
        case .aes128gcm16, .aes192gcm16, .aes256gcm16, .chacha20poly1305: true
        }
    }

    /// Bytes of key proper, without the salt.
    public var keyLength: Int {
        switch self {
        case .aes128, .aes128gcm16: 16
        case .aes192, .aes192gcm16: 24
        case .aes256, .aes256gcm16, .chacha20poly1305: 32
        }
    }

    /// Bytes of salt taken from the keying material behind the key (RFC 4106 §8.1, RFC 7634 §2): 4 for AEAD, else 0.
    public var saltLength: Int { isAEAD ? 4 : 0 }

    /// Bytes of IV on the wire: 16 for CBC (RFC 3602), 8 for AEAD.
    public var ivLength: Int { isAEAD ? 8 : 16 }

    /// Bytes that the plaintext is padded to: 16 for CBC; AEAD ciphers need none (ESP still aligns to 4).
    public var blockLength: Int { isAEAD ? 1 : 16 }

    /// Bytes of integrity check value that the cipher itself adds: 16 for AEAD, else 0.
    public var tagLength: Int { isAEAD ? 16 : 0 }
}

/// The separate integrity algorithms: HMAC with truncation as RFC 2404 and RFC 4868 set it.
public enum IntegrityAlgorithm: String, Codable, Hashable, Sendable, CaseIterable {
    case sha1, sha256, sha384, sha512

    public var hash: HashAlgorithm {
        switch self {
        case .sha1: .sha1
        case .sha256: .sha256
        case .sha384: .sha384
        case .sha512: .sha512
        }
    }

    /// Bytes of key: the whole length of the hash.
    public var keyLength: Int { hash.digestLength }

    /// Bytes of truncated check value: 12, 16, 24 or 32.
    public var tagLength: Int { self == .sha1 ? 12 : hash.digestLength / 2 }
}

/// HMAC used as IKEv2's pseudo-random function (RFC 7296 §2.13, RFC 4868).
public enum PRFAlgorithm: String, Codable, Hashable, Sendable, CaseIterable {
    case sha1, sha256, sha384, sha512

    public var hash: HashAlgorithm {
        switch self {
        case .sha1: .sha1
        case .sha256: .sha256
        case .sha384: .sha384
        case .sha512: .sha512
        }
    }

    /// Bytes of output, and the preferred length of a key.
    public var outputLength: Int { hash.digestLength }
}

public enum HashAlgorithm: String, Codable, Hashable, Sendable, CaseIterable {
    case sha1, sha256, sha384, sha512

    /// Bytes of digest.
    public var digestLength: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }
}

/// Diffie-Hellman groups by their IKE number (IANA "Transform Type 4").
public enum DHGroup: UInt16, Codable, Hashable, Sendable, CaseIterable {
    case modp1024 = 2
    case modp1536 = 5
    case modp2048 = 14
    case modp3072 = 15
    case modp4096 = 16
    case modp6144 = 17
    case modp8192 = 18
    case ecp256 = 19
    case ecp384 = 20
    case ecp521 = 21
    case modp1024s160 = 22
    case modp2048s224 = 23
    case modp2048s256 = 24
    case curve25519 = 31

    /// The name that strongSwan and engineers use, such as `modp2048` or `ecp256`.
    public var name: String { "\(self)" }

    /// Bytes of the public value in a KE payload (RFC 7296 §3.4, RFC 5903 §7, RFC 8031 §3).
    public var publicValueLength: Int {
        switch self {
        case .modp1024, .modp1024s160: 128
        case .modp1536: 192
        case .modp2048, .modp2048s224, .modp2048s256: 256
        case .modp3072: 384
        case .modp4096: 512
        case .modp6144: 768
        case .modp8192: 1024
        case .ecp256: 64
        case .ecp384: 96
        case .ecp521: 132
        case .curve25519: 32
        }
    }

    /// Broken or too small by today's measure (RFC 8247 §2.4): works, and is called weak in the status.
    public var isWeak: Bool {
        switch self {
        case .modp1024, .modp1536, .modp1024s160, .modp2048s224, .modp2048s256: true
        default: false
        }
    }
}
