public import Base
public import Cryptography
import HTTP

/// A connection to an endpoint protection platform, as an administrator set it up.
public struct EndpointConnection: Hashable, Codable, Sendable, Identifiable {
    /// A short name: letters, digits, `-`, `_` and `.`.
    public var id: String
    /// The name of a built-in profile; `custom` has its own.
    public var kind: String
    /// The text of a profile of the administrator's.
    public var profileText: String?
    public var isEnabled: Bool
    /// Nil takes the profile's.
    public var url: String?
    /// What else the profile asks for, such as `customer`, and options of its rules.
    public var values: [String: String]
    /// The API key, token or client secret. Nil when it is not shown.
    public var key: Secret?
    /// When the key ends, as the administrator knows it.
    public var keyEndsAt: WallTime?
    /// The URL leads to another host than the vendor's: an installation on premises, say. It may have any address.
    public var allowsAnyHost: Bool
    /// Takes what can only be inferred, too.
    public var infers: Bool
    /// Seconds between two looks at changes or, without these, at the listing; nil takes the profile's.
    public var refreshSeconds: Int?
    /// Seconds that an answer holds when no further one comes.
    public var staleSeconds: Int
    /// A record older than so many seconds is looked up anew when its device signs in.
    public var lookUpSeconds: Int

    public static let custom = "custom"

    public init(id: String, kind: String) {
        self.id = id
        self.kind = kind
        isEnabled = true
        values = [:]
        allowsAnyHost = false
        infers = false
        staleSeconds = 3600
        lookUpSeconds = 60
    }

    /// What one like this is like.
    ///
    /// - Throws: ``ProfileFault`` where the profile's text cannot be read, or there is none of that name.
    public func profile() throws(ProfileFault) -> EndpointProfile {
        if kind == Self.custom {
            guard let profileText else { throw ProfileFault(0, "the profile is missing") }
            return try EndpointProfile(profileText)
        }
        guard let profile = EndpointProfile.named(kind) else {
            throw ProfileFault(
                0, "there is no profile '\(kind)'; there are \(EndpointProfile.names.joined(separator: ", ")), and "
                    + "'custom' with a file of your own")
        }
        return profile
    }

    /// What is wrong with it, in sentences; empty when it can be used.
    public func faults(_ profile: EndpointProfile) -> [String] {
        var faults: [String] = []
        if !id.isShortName { faults.append("The name '\(id)' must be letters, digits, '-', '_' and '.', 64 at most.") }
        switch base(profile) {
        case .success: break
        case .failure(let failure): faults.append(failure.detail + (failure.advice.isEmpty ? "." : ". " + failure.advice))
        }
        for field in profile.fields where !field.isOptional && (values[field.name] ?? "").isEmpty {
            faults.append("\(profile.title) needs the \(field.label): --\(field.name).")
        }
        if key == nil { faults.append("\(profile.title) needs the \(profile.keyLabel).") }
        if let key, key.exposedBytes.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
            faults.append("The \(profile.keyLabel) holds blanks or line breaks: it was not copied as it is.")
        }
        if let refreshSeconds, !(10...86_400).contains(refreshSeconds) {
            faults.append("The refresh interval is from 10 seconds to a day.")
        }
        if !(60...7 * 86_400).contains(staleSeconds) { faults.append("The stale limit is from a minute to a week.") }
        if !(0...86_400).contains(lookUpSeconds) { faults.append("The age for a look-up is from 0 seconds to a day.") }
        return faults
    }

    /// Where the calls go: host and path. With or without the profile's path, and a slash at the end.
    func base(_ profile: EndpointProfile) -> Result<WebURL, VendorFailure> {
        func refused(_ detail: String, _ advice: String = "") -> Result<WebURL, VendorFailure> {
            .failure(VendorFailure(.configuration, connection: id, host: url ?? "", detail: detail, advice: advice))
        }
        guard var text = url ?? profile.defaultURL, !text.isEmpty else {
            return refused("\(profile.title) needs the \(profile.urlLabel): --url")
        }
        if !text.contains("://") { text = "https://" + text }
        while text.hasSuffix("/") { text.removeLast() }
        if !profile.path.isEmpty, !text.hasSuffix(profile.path) { text += profile.path }
        guard let base = WebURL(text), base.query == nil else {
            return refused("'\(text)' is no https:// URL")
        }
        guard allowsAnyHost || Self.isBelow(base.host, profile.hosts) else {
            return refused(
                "\(base.host) is no host of \(profile.title) (\(profile.hosts.joined(separator: ", ")))",
                "Say --any-host if it is the right one.")
        }
        return .success(base)
    }

    /// Whether a host is one of these or below one; any is where none is named.
    static func isBelow(_ host: String, _ hosts: [String]) -> Bool {
        hosts.isEmpty || hosts.contains { host == $0 || host.hasSuffix("." + $0) }
    }

    /// A host that the administrator vouches for may be on the own network.
    func addresses(for url: WebURL, _ base: WebURL) -> AddressPolicy {
        allowsAnyHost && url.authority == base.authority ? .anywhere : .publicOnly
    }
}
