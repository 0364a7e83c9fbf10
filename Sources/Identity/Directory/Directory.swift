public import Base
public import Cryptography

/// A company's list of people and groups that is kept in step with the users here: where it is, what proves us to it, and
/// which of its groups may come.
public struct Directory: Hashable, Codable, Sendable, Identifiable {
    /// Whose interface it has.
    public enum Kind: String, Hashable, Codable, Sendable, CaseIterable {
        /// Okta's API, with an API token, or with a service app's key where a client ID is given.
        case okta
        /// Microsoft Entra ID through Microsoft Graph, with delta queries.
        case entra
        /// Google Workspace through the Admin SDK's Directory API, with a service account's key.
        case google
        /// Active Directory over LDAPS, asked by the gateway itself.
        case activeDirectory = "active-directory"
        /// A program on the customer's side that signs in with an API access and pushes.
        case agent

        /// What people call it.
        public var title: String {
            switch self {
            case .okta: "Okta"
            case .entra: "Entra"
            case .google: "Google"
            case .activeDirectory, .agent: "Active Directory"
            }
        }
    }

    /// A group whose members may come.
    public struct ChosenGroup: Hashable, Codable, Sendable {
        /// The directory's own key, which survives a new name.
        public var id: String
        /// Its name when it was chosen; the one that stands in the directory goes before.
        public var name: String

        public init(id: String, name: String) {
            self.id = id
            self.name = name
        }
    }

    /// A short name for commands.
    public var id: String
    /// What the team of its users is called after: "<title> Users".
    public var title: String
    public var kind: Kind
    /// Off: nothing is asked and nobody comes or goes.
    public var isEnabled = true
    public var groups: [ChosenGroup] = []
    /// The connectors that a user may reach from the first synchronisation on; nil for what the setting for everyone
    /// says. Later synchronisations leave a user's sites alone.
    public var sites: [String]?
    public var intervalSeconds = 300
    /// A synchronisation that would disable more than this share of the directory's users stops and asks.
    public var removalLimitPercent = 20
    /// When what proves us ends, as an administrator said; nil where that is not known.
    public var secretEndsAt: WallTime?

    /// The organisation's host (Okta), the domain controller's (Active Directory).
    public var host: String?
    /// The tenant's GUID or domain (Entra).
    public var tenant: String?
    /// The customer's ID (Google), such as `C01234567`.
    public var customer: String?
    /// The administrator in whose name a service account asks (Google, domain-wide delegation); nil for its own role.
    public var subject: String?
    public var clientID: String?
    /// What Okta calls our key, with a service app.
    public var keyID: String?
    /// The name to bind with (Active Directory).
    public var bindName: String?
    /// Where searches begin (Active Directory); nil takes the server's default.
    public var baseDN: String?
    /// The certificate of the CA that vouches for the server, in PEM (Active Directory); nil takes the system's.
    public var authority: String?
    /// What proves us: API token or private key (Okta), client secret (Entra), the key file (Google), the password
    /// (Active Directory). The API access of an agent has its own.
    public var secret: Secret?
    /// The name of the API access that an agent signs in with.
    public var apiAccess: String?
    /// Where the API is, where it is not the vendor's own: national clouds, simulators.
    public var apiURL: String?
    /// Where tokens come from, likewise.
    public var loginURL: String?

    public init(id: String, kind: Kind) {
        self.id = id
        self.kind = kind
        title = kind.title
    }

    /// The team that its users join.
    public var team: String { title + " Users" }

    /// The most characters of a tag.
    public static let tagLimit = 29
    public static let intervalRange = 10...86_400
    /// The most bytes of a service account's key file.
    public static let keyFileLimit = 10_240

    /// The tag for a group of that name; nil where the name cannot be one.
    public func tag(_ name: String) -> String? {
        let trimmed = name.drop { $0.isWhitespace }
        let text = trimmed.lastIndex { !$0.isWhitespace }.map { String(trimmed[...$0]) } ?? ""
        if text.isEmpty { return nil }
        return kind == .entra && text.count > Self.tagLimit ? nil : text
    }

    /// What cannot be, one sentence each; empty when all is well.
    public var faults: [String] {
        var faults: [String] = []
        if !id.isShortName || id == "local" {
            faults.append("The name may hold letters, digits, '-', '_' and '.', 64 at most, and is not 'local'.")
        }
        if title.isEmpty || title.count > 60 { faults.append("The title needs 1 to 60 characters.") }
        if !Self.intervalRange.contains(intervalSeconds) {
            faults.append("The interval is from 10 seconds to a day.")
        }
        if !(0...100).contains(removalLimitPercent) { faults.append("The removal limit is from 0 to 100 per cent.") }
        let ids = groups.map(\.id).filter { !$0.isEmpty }
        if Set(ids).count != ids.count { faults.append("A group is named twice.") }
        func needs(_ value: String?, _ words: String) {
            if value?.isEmpty ?? true { faults.append("\(words) is missing.") }
        }
        let hasSecret = (secret?.count ?? 0) > 0
        switch kind {
        case .okta:
            needs(host, "The organisation's domain, such as acme.okta.com,")
            if !hasSecret { faults.append("The API token is missing.") }
        case .entra:
            needs(tenant, "The tenant")
            needs(clientID, "The client ID")
            if !hasSecret { faults.append("The client secret is missing.") }
        case .google:
            needs(customer, "The customer ID, such as C01234567 (Admin console, Account settings),")
            if !hasSecret { faults.append("The service account's key file is missing.") }
            if let secret, secret.count > Self.keyFileLimit {
                faults.append(
                    "The key file has \(secret.count) bytes; a service account's has \(Self.keyFileLimit) at most.")
            }
        case .activeDirectory:
            needs(host, "The domain controller's name")
            needs(bindName, "The name to sign in with, such as svc@corp.example,")
            // A bind with an empty password succeeds without proving anything (RFC 4513 §5.1.2).
            if !hasSecret { faults.append("The password is missing.") }
        case .agent: needs(apiAccess, "The API access of the agent")
        }
        return faults
    }
}
