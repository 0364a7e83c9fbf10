public import Base
public import Cryptography

/// How the two ends of a connection prove to each other who they are.
public enum Authentication: Hashable, Codable, Sendable {
    /// A key that both ends know (RFC 7296 §2.15).
    case psk(Secret)
    /// Certificates and signatures on both sides (RFC 7427).
    case certificate(CertificateCredential)

    /// The word for files, answers and plans.
    public enum Method: String, Codable, Sendable, CaseIterable { case psk, certificate }

    public var method: Method {
        switch self {
        case .psk: .psk
        case .certificate: .certificate
        }
    }

    /// The pre-shared key; nil with certificates.
    public var psk: Secret? {
        if case .psk(let key) = self { key } else { nil }
    }

    /// Our certificate with all that belongs to it; nil with a pre-shared key.
    public var credential: CertificateCredential? {
        if case .certificate(let credential) = self { credential } else { nil }
    }

    /// The secret itself: the pre-shared key or the private key. One of no bytes stands for a key that is hidden.
    public var secret: Secret {
        get {
            switch self {
            case .psk(let key): key
            case .certificate(let credential): credential.privateKey
            }
        }
        set {
            switch self {
            case .psk: self = .psk(newValue)
            case .certificate(var credential):
                credential.privateKey = newValue
                self = .certificate(credential)
            }
        }
    }
}

/// Our certificate and its key, and what the peer's certificate is verified against.
public struct CertificateCredential: Hashable, Codable, Sendable {
    /// Our own certificate, then the intermediates that the peer may lack; they go out in this order.
    public var certificates: [Certificate]
    /// PKCS#8 in DER, without a passphrase.
    public var privateKey: Secret
    /// The CAs that may have issued the peer's certificate; an intermediate CA will do.
    public var authorities: [Certificate]
    public var revocationLists: [RevocationList]
    public var revocation: RevocationPolicy
    /// How an RSA key signs. As responder we follow the peer. Keys that permit PSS alone sign so always.
    public var rsaPadding: RSAPadding
    /// Whether SHA-1 signatures are made and taken where the peer knows nothing newer than RFC 7296.
    public var allowsSHA1: Bool

    public enum RSAPadding: String, Hashable, Codable, Sendable, CaseIterable { case pkcs1, pss }

    public init(
        certificates: [Certificate], privateKey: Secret, authorities: [Certificate],
        revocationLists: [RevocationList] = [], revocation: RevocationPolicy = .relaxed,
        rsaPadding: RSAPadding = .pkcs1, allowsSHA1: Bool = false
    ) {
        self.certificates = certificates
        self.privateKey = privateKey
        self.authorities = authorities
        self.revocationLists = revocationLists
        self.revocation = revocation
        self.rsaPadding = rsaPadding
        self.allowsSHA1 = allowsSHA1
    }

    /// The identity of our certificate, where none is configured: its subject.
    public var subject: IKEIdentity? { certificates.first.map { .distinguishedName($0.subject) } }

    /// Refuses what could never work: a key that is not the certificate's, an identity that the certificate does not
    /// name, no CA or one that is none.
    public func check(localID: IKEIdentity?) throws(CertificateFault) {
        _ = try Credentials(self, localID: localID)
    }
}

/// A secret that is mixed into the keys, so that whoever breaks Diffie-Hellman one day reads nothing (RFC 8784).
public struct PostquantumKey: Hashable, Codable, Sendable {
    /// The name by which both ends know it (PPK_ID); the bytes of this text go out.
    public var identity: String
    public var key: Secret
    /// Whether a peer without it is refused.
    public var isRequired: Bool

    public init(identity: String, key: Secret, isRequired: Bool = true) {
        self.identity = identity
        self.key = key
        self.isRequired = isRequired
    }
}

/// How both ends of an IKE SA have proven themselves.
public struct AuthenticationSummary: Hashable, Codable, Sendable {
    /// `psk`, or the scheme of the signature such as `rsa-pss-sha256`.
    public var local: String
    public var remote: String
    public var peerCertificate: CertificateSummary?
    /// Whether a post-quantum pre-shared key is in the keys.
    public var usesPPK: Bool

    public init(
        local: String = "psk", remote: String = "psk", peerCertificate: CertificateSummary? = nil,
        usesPPK: Bool = false
    ) {
        self.local = local
        self.remote = remote
        self.peerCertificate = peerCertificate
        self.usesPPK = usesPPK
    }

    /// Weak by today's measure.
    public var weaknesses: [String] {
        local.hasSuffix("-sha1") || remote.hasSuffix("-sha1") ? ["sha1 signature"] : []
    }
}

/// A certificate as the status shows it.
public struct CertificateSummary: Hashable, Codable, Sendable {
    public var subject: String
    public var issuer: String
    /// Hexadecimal.
    public var serialNumber: String
    public var notBefore: WallTime
    public var notAfter: WallTime

    public init(_ certificate: Certificate) {
        subject = certificate.subject.description
        issuer = certificate.issuer.description
        serialNumber = certificate.serialNumber
        notBefore = certificate.notBefore
        notAfter = certificate.notAfter
    }
}
