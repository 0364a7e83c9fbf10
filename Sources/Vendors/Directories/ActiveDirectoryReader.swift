internal import Base
internal import Identity

/// Active Directory over LDAP: people and groups page by page, long lists of members in ranges, and later only objects whose
/// `uSNChanged` is above what the same domain controller had the last time (Microsoft, "Polling for Changes Using
/// USNChanged").
///
/// Objects are known by their `objectGUID`. What was deleted shows only by its absence, for an ordinary account may not see
/// deleted objects: each time, the GUIDs of all that is there are listed, and nothing else of it.
struct ActiveDirectoryReader: DirectoryReader {
    private enum Phase: Hashable { case root, invocation, people, expired, groups, range(String, String, Int), present, done }

    private let directory: Directory
    private let stored: [String: String]?
    private let onlyGroups: Bool
    private var isFull: Bool
    private var phase = Phase.root
    private var cookie: [UInt8] = []
    private var base = ""
    private var service = ""
    /// Lists of members that go on: key, distinguished name, first value that is missing.
    private var ranges: [(key: String, dn: String, from: Int)] = []
    private var present: Set<String> = []
    /// Keys of groups whose members were read this time: they go by names as they are now.
    private var fresh: Set<String> = []
    private(set) var cursor: [String: String] = [:]
    let pause = Tick.Span.zero
    let secretEndsAt: WallTime? = nil
    /// A page's cookie is the connection's (RFC 2696 §3).
    let bookmark: DirectoryBookmark? = nil
    private var now = WallTime(nanoseconds: 0)

    private static let pageSize = 500
    /// Before the number of a primary group: the group of those who have it as theirs.
    private static let primaryPrefix = "rid:"
    private static let people = "(&(objectCategory=person)(objectClass=user))"
    private static let groups = "(objectCategory=group)"
    private static let personFields = [
        "objectGUID", "sAMAccountName", "userPrincipalName", "mail", "displayName", "givenName", "sn",
        "userAccountControl", "accountExpires", "primaryGroupID",
    ]

    init(_ directory: Directory, since cursor: [String: String]?, onlyGroups: Bool) {
        self.directory = directory
        self.onlyGroups = onlyGroups
        stored = cursor
        isFull = cursor == nil
    }

    var question: DirectoryQuestion? {
        var search: LDAPSearch
        switch phase {
        case .done: return nil
        case .root:
            search = LDAPSearch(
                base: "", scope: .base,
                attributes: ["defaultNamingContext", "dsServiceName", "dnsHostName", "highestCommittedUSN"])
        case .invocation: search = LDAPSearch(base: service, scope: .base, attributes: ["invocationId"])
        case .people: search = list(Self.people, Self.personFields)
        case .expired:
            // An account that expires is not changed by that.
            let since = stored?["time"].flatMap { Int64($0) } ?? 0
            search = list(
                "(&\(Self.people)(accountExpires>=\(since))(accountExpires<=\(Self.fileTime(now))))", Self.personFields,
                isChange: false)
        case .groups:
            let members = onlyGroups ? [] : ["objectSid", "member"]
            search = list(Self.groups, ["objectGUID", "cn", "sAMAccountName"] + members)
        case .range(_, let dn, let from):
            search = LDAPSearch(base: dn, scope: .base, attributes: ["member;range=\(from)-*"])
        case .present:
            search = list("(|\(Self.people)\(Self.groups))", ["objectGUID"], isChange: false)
        }
        search.cookie = cookie
        return .search(search)
    }

    private func list(_ filter: String, _ attributes: [String], isChange: Bool = true) -> LDAPSearch {
        var filter = filter
        if isChange, !isFull, let last = stored?["usn"].flatMap({ Int64($0) }), last < .max {
            filter = "(&\(filter)(uSNChanged>=\(last + 1)))"
        }
        return LDAPSearch(base: base, filter: filter, attributes: attributes, pageSize: Self.pageSize)
    }

    mutating func receive(
        _ answer: DirectoryAnswer, into mirror: inout DirectoryMirror, now: WallTime
    ) throws(DirectoryFault) {
        guard case .search(let result) = answer else { return }
        self.now = now
        switch phase {
        case .root: try receiveRoot(result)
        case .invocation: try receiveInvocation(result)
        case .people, .expired: for entry in result.entries { try read(person: entry, into: &mirror) }
        case .groups: for entry in result.entries { try read(group: entry, into: &mirror) }
        case .range(let key, _, _):
            guard let entry = result.entries.first else { break }
            try readMembers(entry, key, into: &mirror)
        case .present: for entry in result.entries { present.insert(try Self.key(entry)) }
        case .done: return
        }
        guard result.cookie.isEmpty else { return cookie = result.cookie }
        cookie = []
        if case .present = phase { mirror.keepOnly(present) }
        advance()
    }

    private mutating func advance() {
        switch phase {
        case .root: phase = onlyGroups ? .groups : service.isEmpty ? .people : .invocation
        case .invocation: phase = onlyGroups ? .groups : .people
        case .people: phase = isFull ? .groups : .expired
        case .expired: phase = .groups
        case .groups, .range:
            if let next = ranges.popLast() {
                phase = .range(next.key, next.dn, next.from)
            } else {
                phase = isFull ? .done : .present
            }
        case .present, .done: phase = .done
        }
    }

    // MARK: - Answers

    private mutating func receiveRoot(_ result: LDAPResult) throws(DirectoryFault) {
        guard let root = result.entries.first else {
            throw DirectoryFault(.malformed, "The domain controller says nothing of itself (its root DSE is empty).")
        }
        base = directory.baseDN ?? root.text("defaultnamingcontext") ?? ""
        guard !base.isEmpty else {
            throw DirectoryFault(
                .refused, "The server names no default place to search; give --base-dn, such as DC=corp,DC=example.")
        }
        service = root.text("dsservicename") ?? ""
        cursor["dc"] = root.text("dnshostname") ?? ""
        // Read before anything else: what changes meanwhile is asked for again the next time.
        cursor["usn"] = root.text("highestcommittedusn")
        cursor["time"] = String(Self.fileTime(now))
        if let stored, stored["dc"] != cursor["dc"] || stored["usn"] == nil || cursor["usn"] == nil {
            throw DirectoryFault(.outdated, "Another domain controller answers (\(cursor["dc"] ?? "")): everything is read anew.")
        }
    }

    private mutating func receiveInvocation(_ result: LDAPResult) throws(DirectoryFault) {
        cursor["invocation"] = result.entries.first?.bytes("invocationid")?.hexadecimal ?? ""
        if let stored, stored["invocation"] != cursor["invocation"] {
            throw DirectoryFault(.outdated, "The domain controller was restored: everything is read anew.")
        }
    }

    private func read(person entry: LDAPEntry, into mirror: inout DirectoryMirror) throws(DirectoryFault) {
        let key = try Self.key(entry)
        // Bit 2 is "disabled" (MS-ADTS §2.2.16). What is not said is not enabled.
        let isEnabled = entry.number("useraccountcontrol").map { $0 & 2 == 0 } ?? false
        let expires = entry.number("accountexpires") ?? 0
        let isExpired = expires > 0 && expires < .max && expires <= Self.fileTime(now)
        mirror.put(
            DirectoryMirror.Person(
                mail: entry.text("mail"), login: entry.text("userprincipalname"), firstName: entry.text("givenname"),
                lastName: entry.text("sn"), displayName: entry.text("displayname") ?? entry.text("samaccountname"),
                isActive: isEnabled && !isExpired), key)
        // Deleting a member does not change a group's `uSNChanged`, so groups that are not read again may still name whoever
        // had this name before. Those that name this one have changed, and are read after the people.
        guard mirror.putAlias(Self.name(entry.dn), for: key) else {
            // Named while they were renamed, perhaps in the middle of a reading; or who is new has the name of a computer.
            throw DirectoryFault(.outdated, "Groups name \(entry.dn.prefix(200)), whom they cannot have known: everything is read anew.")
        }
        // The primary group has no list of these members, and everyone has one.
        let primary = entry.number("primarygroupid").map { Self.primaryPrefix + "\($0)" }
        mirror.put(key, inGroup: primary, aloneAmong: Self.primaryPrefix)
    }

    private mutating func read(group entry: LDAPEntry, into mirror: inout DirectoryMirror) throws(DirectoryFault) {
        let key = try Self.key(entry)
        mirror.putGroup(key, name: entry.text("cn") ?? entry.text("samaccountname") ?? entry.dn)
        mirror.clearMembers(ofGroup: key)
        fresh.insert(key)
        mirror.putAlias(Self.name(entry.dn), for: key, meantIn: fresh)
        if let sid = entry.bytes("objectsid"), sid.count >= 12 {
            let rid = sid.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            mirror.add(Self.primaryPrefix + "\(rid)", toGroup: key)
        }
        try readMembers(entry, key, into: &mirror)
    }

    /// The members that came; where there are more than fit, the rest is asked for in ranges (MS-ADTS §3.1.1.3.1.3.3).
    private mutating func readMembers(
        _ entry: LDAPEntry, _ key: String, into mirror: inout DirectoryMirror
    ) throws(DirectoryFault) {
        for (name, values) in entry.attributes where name == "member" || name.hasPrefix("member;range=") {
            for value in values { mirror.add(Self.name(String(decoding: value, as: UTF8.self)), toGroup: key) }
            guard name.hasPrefix("member;range=") else { continue }
            let range = name.dropFirst("member;range=".count).split(separator: "-")
            guard range.count == 2, range[1] != "*" else { continue }
            guard let last = Int(range[1]), last < Int(Int32.max), let first = Int(range[0]), last >= first else {
                throw DirectoryFault(.malformed, "The domain controller gave a range of members that is none: \(name).")
            }
            ranges.append((key, entry.dn, last + 1))
        }
    }

    private static func key(_ entry: LDAPEntry) throws(DirectoryFault) -> String {
        guard let bytes = entry.bytes("objectguid"), bytes.count == 16 else {
            throw DirectoryFault(.malformed, "\(entry.dn.prefix(200)) has no objectGUID of 16 bytes.")
        }
        return guid(bytes)
    }

    /// A GUID as text: its first three fields have their low byte first.
    static func guid(_ bytes: [UInt8]) -> String {
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map { bytes[$0] }
        let text = Array(order.hexadecimal)
        return [text[0..<8], text[8..<12], text[12..<16], text[16..<20], text[20..<32]].map { String($0) }
            .joined(separator: "-")
    }

    /// Distinguished names are compared without regard to case.
    private static func name(_ dn: String) -> String { dn.lowercased() }

    /// Units of 100 ns since 1601.
    static func fileTime(_ time: WallTime) -> Int64 { time.nanoseconds / 100 + 116_444_736_000_000_000 }
}
