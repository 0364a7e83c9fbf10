internal import Profiles
internal import Yams

/// What one vendor's identity provider is like, as data: `Profiles/identity/NAME.yaml`.
public struct IdentityProfile: Codable, Hashable, Sendable {
    /// What the vendor's console calls the things that are typed there or here.
    public struct FieldNames: Codable, Hashable, Sendable {
        public var identifier: String
        public var serviceURL: String
        public var certificate: String
        public var acs: String
        public var audience: String
    }

    public var title: String
    public var requireSigned: SignatureRequirement
    public var claims: ClaimNames
    public var names: FieldNames
    /// What else to do or to know, in sentences.
    public var notes: [String]

    /// The names of all profiles.
    public static var known: [String] { Profiles.identity.keys.sorted() }

    /// The profile of that name; nil when there is none.
    public static func named(_ name: String) -> IdentityProfile? { all[name] }

    private static let all: [String: IdentityProfile] = Profiles.identity.mapValues { text in
        do {
            return try YAMLDecoder().decode(IdentityProfile.self, from: text)
        } catch {
            preconditionFailure("a profile that is part of the program cannot be read: \(error)")
        }
    }

    /// A provider with what the vendor's profile says.
    public func apply(to provider: inout IdentityProvider, name: String) {
        provider.profile = name
        provider.title = title
        provider.requirement = requireSigned
        provider.claims = ClaimNames(
            email: Self.merged(claims.email, ClaimNames.usual.email),
            firstName: Self.merged(claims.firstName, ClaimNames.usual.firstName),
            lastName: Self.merged(claims.lastName, ClaimNames.usual.lastName),
            groups: Self.merged(claims.groups, ClaimNames.usual.groups))
    }

    /// The vendor's own names first, then what is taken from anyone.
    private static func merged(_ first: [String], _ second: [String]) -> [String] {
        first + second.filter { name in !first.contains { $0.lowercased() == name.lowercased() } }
    }
}
