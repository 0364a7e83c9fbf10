public import Base
public import Cryptography
public import HTTP

/// An OpenID provider as an administrator configured it (OpenID Connect Core 1.0).
public struct OpenIDProvider: Codable, Hashable, Sendable, Identifiable {
    /// Whose provider it is: vendors differ in rules, not only in names.
    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        case okta, entra, google
        /// Any other that keeps to the standard.
        case oidc
    }

    /// How this client proves itself at the token endpoint (OpenID Connect Core 1.0 §9).
    public enum ClientAuthentication: String, Codable, Hashable, Sendable, CaseIterable {
        case basic = "client_secret_basic"
        case post = "client_secret_post"
        case privateKey = "private_key_jwt"
    }

    /// Letters, digits, `-`, `_` and `.`; goes into URLs and the audit trail.
    public var id: String
    /// What people see on the sign-in page.
    public var title: String
    public var isEnabled = true
    public var kind: Kind
    /// The issuer as the discovery document writes it, byte by byte; for several Entra tenants with `{tenantid}`.
    public var issuer: String
    public var clientID: String
    public var authentication = ClientAuthentication.basic
    /// What the vendor's console calls the client secret.
    public var secret: Secret?
    /// Our key for `private_key_jwt`, as PKCS #8.
    public var key: Secret?
    /// The certificate of ``key``, for the provider to have.
    public var certificate: PinnedCertificate?
    /// The name that the provider gives to ``key``; nil takes the certificate's fingerprint.
    public var keyID: String?
    /// Entra tenants (GUIDs in lower case) that may sign in where the issuer is the template.
    public var tenants: [String] = []
    /// Google Workspace domains, in lower case, that may sign in.
    public var hostedDomains: [String] = []
    /// What is asked for besides `openid`.
    public var scopes = ["email", "profile"]
    /// Whether a first sign-in may create the user. Otherwise a directory or an administrator does.
    public var createsUsers = false
    /// Whether a sign-out here leads the browser on, to end the provider's own session too.
    public var endsProviderSession = false
    /// The connectors that its users may reach; nil for all. What a user may reach narrows it further.
    public var sites: [String]?
    /// When the client secret ends, as an administrator said; nil where that is not known.
    public var secretEndsAt: WallTime?

    public init(id: String, kind: Kind, issuer: String, clientID: String) {
        self.id = id
        title = id
        self.kind = kind
        self.issuer = issuer
        self.clientID = clientID
    }

    /// Whether the issuer stands for many tenants.
    public var isTemplate: Bool { issuer.contains(RelyingParty.tenantTemplate) }

    /// Where the discovery document is (OpenID Connect Discovery 1.0 §4). Nil when the issuer is no `https` URL.
    public var discoveryURL: WebURL? {
        var base = issuer.split(separator: RelyingParty.tenantTemplate, omittingEmptySubsequences: false)
            .joined(separator: "organizations")
        if base.hasSuffix("/") { base.removeLast() }
        return WebURL(base + "/.well-known/openid-configuration")
    }

    /// What an administrator typed may lead anywhere; what the discovery document names may not.
    public func addresses(for url: WebURL) -> AddressPolicy {
        discoveryURL?.authority == url.authority ? .anywhere : .publicOnly
    }

    /// What its ID tokens are judged by.
    public var relyingParty: RelyingParty {
        let provider: RelyingParty.Provider =
            switch kind {
            case .okta: .okta
            case .entra: .entra(tenants: Set(tenants))
            case .google: .google(hostedDomains: Set(hostedDomains))
            case .oidc: .generic
            }
        return RelyingParty(name: id, provider: provider, issuer: issuer, clientID: clientID)
    }

    /// What cannot be, one sentence each; empty when all is well.
    public var faults: [String] {
        var faults: [String] = []
        if !id.isShortName { faults.append("The name may hold letters, digits, '-', '_' and '.', 64 at most.") }
        if title.isEmpty || title.count > 100 { faults.append("The title needs 1 to 100 characters.") }
        if discoveryURL == nil || discoveryURL?.query != nil {
            faults.append("The issuer \(issuer.quoted) is no https:// URL without a query.")
        }
        // RFC 6749 appendix A.1 lets a blank be part of it.
        if clientID.isEmpty || clientID.utf8.count > 512 || !clientID.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
            faults.append("The client ID needs 1 to 512 printable ASCII characters.")
        }
        if !scopes.allSatisfy(Self.isWord) { faults.append("A scope is a word without blanks.") }
        switch authentication {
        case .basic, .post:
            if secret?.count ?? 0 == 0 { faults.append("The client secret is missing.") }
        case .privateKey:
            if key == nil || certificate == nil { faults.append("private_key_jwt needs a key of ours.") }
        }
        faults += vendorFaults
        return faults
    }

    private var vendorFaults: [String] {
        var faults: [String] = []
        if kind == .entra {
            if isTemplate, tenants.isEmpty {
                faults.append("Where several tenants may sign in, name each: none named would mean nobody.")
            }
            if !tenants.allSatisfy({ RelyingParty.isTenant($0) && $0 == $0.lowercased() }) {
                faults.append("A tenant is named by its GUID in lower case.")
            }
        } else if isTemplate {
            faults.append("Only Entra has issuers for many tenants.")
        }
        if kind == .google {
            if hostedDomains.isEmpty {
                faults.append("Name the Workspace domains that may sign in: without one, every Google account could.")
            }
            if !hostedDomains.allSatisfy({ $0.contains(".") && Self.isWord($0) && $0 == $0.lowercased() }) {
                faults.append("A Workspace domain looks like example.com, in lower case.")
            }
        }
        return faults
    }

    /// What an administrator should know, in sentences.
    public func warnings(now: WallTime) -> [String] {
        guard let (what, end) = proofEnd, let sentence = SecretWatch.sentence(what, endsAt: end, now: now) else { return [] }
        return [sentence]
    }

    /// What proves us, in words, and when that ends; nil where it is not known.
    public var proofEnd: (what: String, end: WallTime)? {
        if authentication == .privateKey {
            return certificate.map { ("The certificate of our key for '\(id)'", $0.notAfter) }
        }
        return secretEndsAt.map { ("The client secret of '\(id)'", $0) }
    }

    private static func isWord(_ text: String) -> Bool {
        (1...512).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}
