public import Base
public import Cryptography

/// A SAML identity provider as an administrator configured it.
public struct IdentityProvider: Codable, Hashable, Sendable, Identifiable {
    public enum Binding: String, Codable, Hashable, Sendable, CaseIterable {
        case redirect, post
    }

    /// Letters, digits, `-`, `_` and `.`; goes into URLs and the audit trail.
    public var id: String
    /// What people see on the sign-in page.
    public var title: String
    public var isEnabled: Bool
    /// The vendor's profile that it was made with.
    public var profile: String?
    /// The provider's entity ID. Vendors' consoles call it Identifier or Issuer.
    public var issuer: String
    /// Where requests go. Vendors' consoles call it Service URL, SSO URL or login URL.
    public var serviceURL: String
    public var serviceBinding: Binding
    /// Where single log-out goes, by redirect; nil where the provider offers none.
    public var logoutURL: String?
    /// Any of these keys may sign: several serve a roll-over.
    public var certificates: [PinnedCertificate]
    /// Our entity ID; nil takes the provider's issuer, as customers of this product set it.
    public var audience: String?
    /// Our key for encrypted assertions and signed requests, as PKCS #8.
    public var key: Secret?
    /// The certificate of ``key``, for the provider to have.
    public var certificate: PinnedCertificate?
    public var signsRequests: Bool
    public var requirement: SignatureRequirement
    public var allowsSHA1: Bool
    public var clockSkewSeconds: Int
    public var claims: ClaimNames
    /// Whether sign-ins that the provider began are accepted.
    public var acceptsUnsolicited: Bool
    /// Whether a sign-in that began here may create a user; one that began at the provider always may.
    public var createsUsersOnRequest: Bool
    /// The connectors that its users may reach; nil for all. What a user may reach narrows it further.
    public var sites: [String]?

    public init(id: String, issuer: String, serviceURL: String, certificates: [PinnedCertificate]) {
        self.id = id
        title = id
        isEnabled = true
        self.issuer = issuer
        self.serviceURL = serviceURL
        serviceBinding = .redirect
        self.certificates = certificates
        signsRequests = false
        requirement = .assertion
        allowsSHA1 = false
        clockSkewSeconds = 60
        claims = .usual
        acceptsUnsolicited = true
        createsUsersOnRequest = false
    }

    /// Our entity ID towards this provider.
    public var entityID: String { audience ?? issuer }

    /// What cannot be, one sentence each; empty when all is well.
    public var faults: [String] {
        var faults: [String] = []
        if !id.isShortName { faults.append("The name may hold letters, digits, '-', '_' and '.', 64 at most.") }
        if title.isEmpty || title.count > 100 { faults.append("The title needs 1 to 100 characters.") }
        if issuer.isEmpty || issuer.utf8.count > 1024 { faults.append("The Identifier needs 1 to 1024 bytes.") }
        if audience?.isEmpty == true { faults.append("The audience is empty.") }
        for (what, url) in [("Service URL", serviceURL), ("log-out URL", logoutURL ?? "https://x")]
        where !Self.isWebAddress(url) {
            faults.append("The \(what) '\(url)' is no address that begins with https:// or http://.")
        }
        if certificates.isEmpty { faults.append("The provider's certificate is missing.") }
        if (key == nil) != (certificate == nil) { faults.append("A key needs its certificate.") }
        if signsRequests, key == nil { faults.append("Signed requests need a key of ours.") }
        if !(0...3600).contains(clockSkewSeconds) { faults.append("The clock skew may be 0 to 3600 seconds.") }
        return faults
    }

    /// What an administrator should know, in sentences.
    public func warnings(now: WallTime) -> [String] {
        var warnings: [String] = []
        for certificate in certificates {
            let name = "The certificate \(certificate.fingerprint.prefix(16))… of '\(id)'"
            if certificate.notAfter < now {
                warnings.append("\(name) has expired (\(certificate.notAfter.rfc3339.prefix(10))).")
            }
            if certificate.publicKey.bits < 2048 {
                warnings.append("\(name) has a key of only \(certificate.publicKey.bits) bits.")
            }
        }
        if allowsSHA1 { warnings.append("'\(id)' may sign with SHA-1, which can be forged: anyone might sign in.") }
        if !serviceURL.hasPrefix("https://") { warnings.append("The Service URL of '\(id)' is not encrypted.") }
        return warnings
    }

    private static func isWebAddress(_ text: String) -> Bool {
        ["https://", "http://"].contains { text.hasPrefix($0) && text.utf8.count > $0.utf8.count }
            && text.utf8.count <= 2048 && text.utf8.allSatisfy { $0 > 32 && $0 != 127 && !"\"<>\\".utf8.contains($0) }
    }

    /// What its responses are judged by.
    public func trust(acsURL: String) -> SAMLTrust {
        SAMLTrust(
            provider: id, issuer: issuer, certificates: certificates, audiences: [entityID], acsURL: acsURL,
            decryptionKeys: key.flatMap { try? RSAPrivateKey($0) }.map { [$0] } ?? [], requirement: requirement,
            allowsSHA1: allowsSHA1, clockSkewSeconds: clockSkewSeconds, claims: claims)
    }
}
