/// The attribute names under which providers send what we know of a person. Compared without regard to case; the first
/// name of a list that has a value counts.
public struct ClaimNames: Codable, Hashable, Sendable {
    public var email: [String]
    public var firstName: [String]
    public var lastName: [String]
    public var groups: [String]

    public init(email: [String], firstName: [String], lastName: [String], groups: [String]) {
        self.email = email
        self.firstName = firstName
        self.lastName = lastName
        self.groups = groups
    }

    /// What is taken from any provider: plain names, the claim URIs of Microsoft, the object identifiers of LDAP.
    public static let usual = ClaimNames(
        email: [
            "email", "mail", "emailAddress", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
            "urn:oid:0.9.2342.19200300.100.1.3",
        ],
        firstName: [
            "firstname", "first_name", "givenName",
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "urn:oid:2.5.4.42",
        ],
        lastName: [
            "lastname", "last_name", "surname", "sn",
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "urn:oid:2.5.4.4",
        ],
        groups: [
            "groups", "group", "memberOf", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
            "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
        ])

    /// All values of the first of `names` that has one which is not empty.
    static func values(_ names: [String], in attributes: [String: [String]]) -> [String] {
        for name in names {
            let folded = name.lowercased()
            let values = attributes.sorted { $0.key < $1.key }.filter { $0.key.lowercased() == folded }
                .flatMap { $0.value.map(\.collapsed) }.filter { !$0.isEmpty }
            if !values.isEmpty { return values }
        }
        return []
    }
}

/// The form of e-mail addresses, as far as it tells them from other names.
enum EmailAddress {
    /// One `@` between a name and a host name, neither with blanks or characters that no mailbox has. The names of
    /// guests in Entra ID (`bob_corp.example#EXT#@tenant…`) are none.
    static func isPlausible(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...64).contains(parts[0].utf8.count), (1...253).contains(parts[1].utf8.count) else {
            return false
        }
        let isLocal = parts[0].unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0.value != 0x7F && !"\"(),:;<>[]\\#".unicodeScalars.contains($0)
                && !$0.properties.isWhitespace && $0.properties.generalCategory != .control
                && $0.properties.generalCategory != .format
        }
        let labels = parts[1].split(separator: ".", omittingEmptySubsequences: false)
        return isLocal
            && labels.allSatisfy { label in
                !label.isEmpty && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.unicodeScalars.allSatisfy {
                        $0 == "-" || $0.properties.isAlphabetic || $0.properties.numericType != nil
                    }
            }
    }
}
