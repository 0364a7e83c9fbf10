/// One search in an LDAP directory, or one page of it (RFC 4511 §4.5, RFC 2696).
public struct LDAPSearch: Hashable, Sendable {
    public enum Scope: Hashable, Sendable { case base, subtree }

    /// The distinguished name to begin at; empty for the root DSE.
    public var base: String
    public var scope: Scope
    /// As RFC 4515 writes it.
    public var filter: String
    public var attributes: [String]
    /// Entries a page; nil asks for all at once.
    public var pageSize: Int?
    /// Where the next page begins, as the server said; empty for the first.
    public var cookie: [UInt8] = []

    public init(
        base: String, scope: Scope = .subtree, filter: String = "(objectClass=*)", attributes: [String],
        pageSize: Int? = nil
    ) {
        self.base = base
        self.scope = scope
        self.filter = filter
        self.attributes = attributes
        self.pageSize = pageSize
    }
}

/// One object with the attributes that were asked for.
public struct LDAPEntry: Hashable, Sendable {
    public var dn: String
    /// Names in lower case, with options such as `;range=0-1499`.
    public var attributes: [String: [[UInt8]]]

    public init(dn: String, attributes: [String: [[UInt8]]]) {
        self.dn = dn
        self.attributes = attributes
    }

    /// The first value of an attribute whose name is given in lower case.
    func bytes(_ name: String) -> [UInt8]? { attributes[name]?.first }

    /// The first value as text; nil where it is none, or empty.
    func text(_ name: String) -> String? {
        bytes(name).flatMap { $0.isEmpty ? nil : String(validating: $0, as: UTF8.self) }
    }

    func number(_ name: String) -> Int64? { text(name).flatMap { Int64($0) } }
}

/// What a search brought.
public struct LDAPResult: Hashable, Sendable {
    public var entries: [LDAPEntry]
    /// Where the next page begins; empty when this was the last. The same bytes may come again and again.
    public var cookie: [UInt8]

    public init(entries: [LDAPEntry], cookie: [UInt8] = []) {
        self.entries = entries
        self.cookie = cookie
    }
}
