public import Access
public import Base
import Foundation
import GRDB

/// One thing that is stored about users and sessions, with its line in the audit trail.
public enum AccessRecord: Sendable {
    /// Adds the user or takes the place of the one with this e-mail address.
    case user(User, action: String, detail: String?)
    /// The user as a sign-in left them, which the audit line of the session tells of.
    case refreshedUser(User)
    case userRemoved(String, detail: String?)
    case opened(Session)
    /// Something was learnt about a session that goes on.
    case changed(Session)
    case closed(Session, SessionEnd)
    /// Somebody was not admitted; the reference is what they were told.
    case refused(AdmissionRefusal, address: String, provider: String?, reference: String?)
    /// The policies allow a session other sites than before.
    case reruled(Session, sites: Set<String>, why: String)
    /// Something that changed nothing stored.
    case noted(String, subject: String, detail: String)
    /// What the policies were asked, and said.
    case judged(JudgedSignIn)
    /// Devices from which a user has signed in for the first time.
    case knownDevices([String], user: String, since: WallTime)

    /// Takes something away from someone: must be stored in the end, whatever comes between.
    public var isEnd: Bool {
        switch self {
        case .closed, .userRemoved: true
        case .user(let user, _, _): !user.isEnabled
        case .reruled: true
        case .refreshedUser, .opened, .changed, .refused, .noted, .judged, .knownDevices: false
        }
    }
}

extension Store {
    /// All users, in the order of their addresses.
    public func users() throws(StoreError) -> [User] {
        try reading { database in
            var words = Words()
            var users: [User] = []
            let rows = try Row.fetchCursor(database, sql: "SELECT * FROM user ORDER BY email")
            while let row = try rows.next() { users.append(Self.user(row, &words)) }
            return users
        }
    }

    /// The sessions that have not ended, oldest first.
    public func openSessions() throws(StoreError) -> [Session] {
        try reading { database in
            let rows = try Row.fetchCursor(database, sql: "SELECT * FROM session WHERE endedAt IS NULL ORDER BY id")
            var sessions: [Session] = []
            while let row = try rows.next() { if let session = Self.session(row) { sessions.append(session) } }
            return sessions
        }
    }

    /// A number for a session that none has had.
    public func nextSession() throws(StoreError) -> Int64 {
        try reading { database in
            try Int64.fetchOne(database, sql: "SELECT COALESCE(MAX(id), 0) + 1 FROM session") ?? 1
        }
    }

    /// Stores all of it with its lines in the audit trail, each with who did it, in one transaction.
    public func write(_ records: [(record: AccessRecord, actor: String)]) throws(StoreError) {
        guard !records.isEmpty else { return }
        try writingAll { database in
            for (record, actor) in records { try write(record, actor, database) }
        }
    }

    private func write(_ record: AccessRecord, _ actor: String, _ database: Database) throws {
        func enter(_ action: String, _ subject: String, _ detail: String?, _ definition: (some Encodable)?) throws {
            let json = try definition.map { String(decoding: try Self.encoder.encode($0), as: UTF8.self) }
            try self.enter(
                Deed(action: action, subject: subject, definition: json), Change(actor: actor, reason: detail),
                database)
        }
        switch record {
        case .user(let user, let action, let detail):
            try save(user, database)
            try enter(action, user.email, detail, user)
        case .refreshedUser(let user): try save(user, database)
        case .userRemoved(let email, let detail):
            try database.execute(sql: "DELETE FROM user WHERE email = ?", arguments: [email])
            // Whoever has the address next may be somebody else.
            try database.execute(sql: "DELETE FROM accountSubject WHERE email = ?", arguments: [email])
            try database.execute(sql: "DELETE FROM knownDevice WHERE user = ?", arguments: [email])
            try enter("user-removed", email, detail, String?.none)
        case .opened(let session):
            try database.cachedStatement(
                sql: """
                    INSERT INTO session (id, user, address, mac, device, provider, sites, startedAt, expiresAt,
                        idleSeconds, reason, nameID, sessionIndex, endpoints)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                session.id, session.user, session.address.description, session.mac?.description, session.device,
                session.provider, session.sites.description, session.startedAt.rfc3339, session.expiresAt.rfc3339,
                session.idleSeconds, session.reason, session.nameID, session.sessionIndex,
                try Self.json(session.endpoints.map(\.description)),
            ])
            try enter(
                "session-admitted", session.who,
                "session \(session.id) at \(session.address)\(session.mac.map { " (\($0))" } ?? ""): \(session.reason)",
                session)
        case .changed(let session):
            try database.execute(
                sql: "UPDATE session SET mac = ?, device = ?, sites = ? WHERE id = ?",
                arguments: [session.mac?.description, session.device, session.sites.description, session.id])
        case .closed(let session, let end):
            try database.execute(
                sql: "UPDATE session SET endedAt = ?, endReason = ? WHERE id = ?",
                arguments: [wall().rfc3339, end.words, session.id])
            try enter(
                "session-ended", session.who, "session \(session.id) at \(session.address): \(end.words)", String?.none)
        case .refused(let refusal, let address, let provider, let reference):
            try enter(
                "sign-in-refused", refusal.user ?? address,
                (reference.map { "\($0), " } ?? "") + "at \(address)" + (provider.map { " with \($0)" } ?? "") + ", \(refusal.code): \(refusal)",
                String?.none)
        case .reruled(let session, let sites, let why):
            try enter(
                "session-reruled", session.who,
                "session \(session.id) at \(session.address) reaches "
                    + "\(sites.isEmpty ? "nothing" : sites.sorted().joined(separator: ", ")) from now on: \(why)",
                String?.none)
        case .noted(let action, let subject, let detail): try enter(action, subject, detail, String?.none)
        case .judged(let signIn): try keep(signIn, database)
        case .knownDevices(let names, let user, let since):
            for name in names {
                try database.execute(
                    sql: "INSERT INTO knownDevice (user, device, firstSeenAt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    arguments: [user, name, since.rfc3339])
            }
        }
    }

    private func save(_ user: User, _ database: Database) throws {
        try database.cachedStatement(
            sql: """
                INSERT INTO user (email, firstName, lastName, source, groups, tags, sites, enabled, createdAt, lastSignInAt,
                    origins)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (email) DO UPDATE SET
                    firstName = excluded.firstName, lastName = excluded.lastName, source = excluded.source,
                    groups = excluded.groups, tags = excluded.tags, sites = excluded.sites,
                    enabled = excluded.enabled, lastSignInAt = excluded.lastSignInAt, origins = excluded.origins
                """
        ).execute(arguments: [
            user.email, user.firstName, user.lastName, user.source, try Self.json(user.groups),
            try Self.json(user.tags), user.sites?.description, user.isEnabled, user.createdAt.rfc3339,
            user.lastSignInAt?.rfc3339, try Self.json(user.origins),
        ])
    }

    static func json<Item: Encodable>(_ items: [Item]) throws -> String {
        items.isEmpty ? "[]" : String(decoding: try encoder.encode(items), as: UTF8.self)
    }

    static func items<Item: Decodable>(_ json: String) -> [Item] {
        json == "[]" ? [] : (try? JSONDecoder().decode([Item].self, from: Data(json.utf8))) ?? []
    }

    static func words(_ json: String) -> [String] { items(json) }

    /// Lists of words that were read already: many users have the same ones, and share them.
    private struct Words {
        private var known: [String: [String]] = [:]

        mutating func read(_ json: String) -> [String] {
            if let words = known[json] { return words }
            let words: [String] = Store.items(json)
            known[json] = words
            return words
        }
    }

    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    private static func user(_ row: Row, _ words: inout Words) -> User {
        var user = User(
            email: row["email"], firstName: row["firstName"], lastName: row["lastName"], source: row["source"],
            groups: words.read(row["groups"]), tags: words.read(row["tags"]),
            // A choice that cannot be read allows nothing.
            sites: (row["sites"] as String?).map { SiteChoice($0) ?? .only([]) }, isEnabled: row["enabled"],
            createdAt: WallTime(rfc3339: row["createdAt"]) ?? WallTime(nanoseconds: 0),
            lastSignInAt: (row["lastSignInAt"] as String?).flatMap(WallTime.init(rfc3339:)))
        user.origins = items(row["origins"])
        return user
    }

    /// Nil for a row that someone has changed by hand into something that admits nobody.
    private static func session(_ row: Row) -> Session? {
        guard let address = IPAddress(row["address"] as String), let started = WallTime(rfc3339: row["startedAt"]),
            let expires = WallTime(rfc3339: row["expiresAt"]), let sites = SiteChoice(row["sites"] as String)
        else { return nil }
        return Session(
            id: row["id"], user: row["user"], address: address,
            mac: (row["mac"] as String?).flatMap { MACAddress($0) }, device: row["device"],
            endpoints: words(row["endpoints"]).compactMap { EndpointKey($0) }, provider: row["provider"],
            sites: sites, startedAt: started, expiresAt: expires, idleSeconds: row["idleSeconds"],
            reason: row["reason"], nameID: row["nameID"], sessionIndex: row["sessionIndex"])
    }
}
