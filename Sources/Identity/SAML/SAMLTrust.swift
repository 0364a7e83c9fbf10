public import Base
public import Cryptography

/// Which parts of a response must carry a signature of their own.
public enum SignatureRequirement: String, Codable, Hashable, Sendable, CaseIterable {
    case response, assertion, both
    /// One of them, which then covers the assertion.
    case any
}

/// Which parts of a response carried a signature that was verified.
public enum SignedParts: String, Codable, Hashable, Sendable {
    case response, assertion, both
}

/// All that decides whether a response is accepted, besides the response itself and the time.
public struct SAMLTrust: Sendable {
    /// The identifier of the provider's configuration, which goes into the ``VerifiedSubject``.
    public var provider: String
    /// The provider's entity ID, which its messages name as their issuer.
    public var issuer: String
    /// The provider's certificates: the key of any of them may sign. Only the keys count; that a pinned certificate
    /// has expired is worth a warning and no more.
    public var certificates: [PinnedCertificate]
    /// Our entity IDs: one of them must be among the audiences.
    public var audiences: [String]
    /// The URL of our assertion consumer service, as the provider knows it. Compared as it stands.
    public var acsURL: String
    /// Keys for encrypted assertions: any may fit.
    public var decryptionKeys: [RSAPrivateKey]
    public var requirement: SignatureRequirement
    /// SHA-1 in signatures and digests, which is broken: only for a provider that cannot do better.
    public var allowsSHA1: Bool
    /// By how much the provider's clock and ours may differ, in seconds.
    public var clockSkewSeconds: Int
    public var claims: ClaimNames

    public init(
        provider: String, issuer: String, certificates: [PinnedCertificate], audiences: [String], acsURL: String,
        decryptionKeys: [RSAPrivateKey] = [], requirement: SignatureRequirement = .any, allowsSHA1: Bool = false,
        clockSkewSeconds: Int = 60, claims: ClaimNames = .usual
    ) {
        self.provider = provider
        self.issuer = issuer
        self.certificates = certificates
        self.audiences = audiences
        self.acsURL = acsURL
        self.decryptionKeys = decryptionKeys
        self.requirement = requirement
        self.allowsSHA1 = allowsSHA1
        self.clockSkewSeconds = clockSkewSeconds
        self.claims = claims
    }
}

/// What a response may answer.
public enum SAMLExpectation: Hashable, Sendable {
    /// Nothing was asked: the response must be one that the provider began.
    case unsolicited
    /// The request of this ID, and no other.
    case answer(to: String)
}

/// A response that has been verified, with what its receiver needs to keep.
public struct VerifiedResponse: Sendable {
    public var subject: VerifiedSubject
    public var issuer: String
    /// Identifies the assertion for good: one that comes again before ``notOnOrAfter`` (and the clock skew) is a replay.
    public var assertionID: String
    public var signed: SignedParts
    /// The instant from which the assertion may not be used any more, without the clock skew.
    public var notOnOrAfter: WallTime
    /// The request that it answers; nil when the provider began.
    public var inResponseTo: String?
    /// What the administrator should know although it was accepted, in sentences.
    public var warnings: [String]
}
