public import Access
public import Base
import Cryptography
import Foundation
import GRDB

/// What the policies were asked at a sign-in, and what they said: enough to ask others the same later.
public struct JudgedSignIn: Hashable, Sendable {
    public var time: WallTime
    public var circumstances: Circumstances
    /// The sites that were asked for, and those that were allowed.
    public var asked: Set<String>
    public var allowed: Set<String>
    /// Why not all was allowed; nil when it was.
    public var refusal: String?

    public init(
        time: WallTime, circumstances: Circumstances, asked: Set<String>, allowed: Set<String>, refusal: String? = nil
    ) {
        self.time = time
        self.circumstances = circumstances
        self.asked = asked
        self.allowed = allowed
        self.refusal = refusal
    }
}

extension Store {
    /// How long it is kept what sign-ins rested on.
    public static let signInDays = 90

    /// The posture checks, behaviours and policies, and a word that changes whenever they do.
    ///
    /// - Throws: ``StoreError/policiesBroken(_:reason:)`` when one cannot be read: policies hold whole or not at all.
    public func policies() throws(StoreError) -> (set: PolicySet, version: String) {
        try reading { database in try policies(database) }
    }

    /// Puts a set of policies in the place of the stored one, with an audit entry for each thing that differs.
    ///
    /// - Parameter version: of the set that it was made of; another one that is stored by now is not overwritten.
    /// - Throws: ``StoreError/policiesChanged``.
    public func save(_ set: PolicySet, against version: String, by change: Change) throws(StoreError) {
        try writingAll { database in
            // A set that cannot be read may be replaced whole.
            let old = try? policies(database)
            if let old, old.version != version { throw StoreError.policiesChanged }
            try database.execute(sql: "DELETE FROM policyItem")
            func insert(_ kind: String, _ name: String, _ position: Int, _ thing: some Encodable) throws {
                try database.execute(
                    sql: "INSERT INTO policyItem (kind, name, position, definition) VALUES (?, ?, ?, ?)",
                    arguments: [kind, name, position, try Self.text(thing)])
            }
            for (index, check) in set.checks.enumerated() { try insert("check", check.name, index, check) }
            for (index, item) in set.behaviours.enumerated() { try insert("behaviour", item.name, index, item) }
            for (index, policy) in set.policies.enumerated() { try insert("policy", policy.name, index, policy) }
            try insert("default", "default", 0, set.defaultAction)
            for deed in set.deeds(since: old?.set ?? PolicySet()) {
                try enter(
                    Deed(action: deed.action, subject: deed.subject, definition: try Self.definition(deed, set)),
                    Change(actor: change.actor, reason: deed.detail ?? change.reason), database)
            }
        }
    }

    private static func definition(_ deed: PolicyEdit.Deed, _ set: PolicySet) throws -> String? {
        guard !deed.action.hasSuffix("-removed") else { return nil }
        let name = deed.subject
        return switch deed.action.prefix(while: { $0 != "-" }) {
        case "posture": try set.checks.first { $0.name == name }.map(text)
        case "behaviour": try set.behaviours.first { $0.name == name }.map(text)
        case "policy" where deed.action == "policy-default-changed": try text(set.defaultAction)
        case "policy": try set.policies.first { $0.name == name }.map(text)
        default: nil
        }
    }

    private func policies(_ database: Database) throws -> (set: PolicySet, version: String) {
        var set = PolicySet()
        let rows = try Row.fetchAll(
            database, sql: "SELECT kind, name, definition FROM policyItem ORDER BY kind, position")
        var all: [UInt8] = []
        for row in rows {
            let (kind, name, definition): (String, String, String) = (row["kind"], row["name"], row["definition"])
            for part in [kind, name, definition] { all += Array("\(part.utf8.count):\(part)".utf8) }
            func read<Thing: Decodable>(_: Thing.Type) throws -> Thing {
                do {
                    return try JSONDecoder().decode(Thing.self, from: Data(definition.utf8))
                } catch {
                    throw StoreError.policiesBroken("\(kind) \(name)", reason: Self.reason(error))
                }
            }
            switch kind {
            case "check": set.checks.append(try read(PostureCheck.self))
            case "behaviour": set.behaviours.append(try read(Behaviour.self))
            case "policy": set.policies.append(try read(SignInPolicy.self))
            case "default": set.defaultAction = try read(SignInPolicy.Action.self)
            default: throw StoreError.policiesBroken("\(kind) \(name)", reason: "there is no such kind")
            }
        }
        return (set, Hash.digest(.sha256, [all]).hexadecimal)
    }

    private static func text(_ thing: some Encodable) throws -> String {
        String(decoding: try encoder.encode(thing), as: UTF8.self)
    }

    // MARK: - Sign-ins and devices

    /// What sign-ins since a moment rested on, oldest first. One that cannot be read is counted and left out.
    public func signIns(since time: WallTime, limit: Int) throws(StoreError) -> (signIns: [JudgedSignIn], unreadable: Int) {
        try reading { database in
            var unreadable = 0
            let rows = try Row.fetchCursor(
                database,
                sql: """
                    SELECT * FROM (
                        SELECT number, time, asked, allowed, refusal, circumstances FROM signIn
                        WHERE time >= ? ORDER BY number DESC LIMIT ?) ORDER BY number
                    """, arguments: [time.nanoseconds, limit])
            var signIns: [JudgedSignIn] = []
            let decoder = JSONDecoder()
            while let row = try rows.next() {
                let text: String = row["circumstances"]
                guard let circumstances = try? decoder.decode(Circumstances.self, from: Data(text.utf8)) else {
                    unreadable += 1
                    continue
                }
                signIns.append(
                    JudgedSignIn(
                        time: WallTime(nanoseconds: row["time"]), circumstances: circumstances,
                        asked: Set(Self.words(row["asked"])), allowed: Set(Self.words(row["allowed"])),
                        refusal: row["refusal"]))
            }
            return (signIns, unreadable)
        }
    }

    /// The devices from which users have signed in.
    public func knownDevices() throws(StoreError) -> [(user: String, device: String, firstSeenAt: WallTime)] {
        try reading { database in
            try Row.fetchAll(database, sql: "SELECT user, device, firstSeenAt FROM knownDevice").map { row in
                let time: String = row["firstSeenAt"]
                return (row["user"], row["device"], WallTime(rfc3339: time) ?? WallTime(nanoseconds: 0))
            }
        }
    }

    func keep(_ signIn: JudgedSignIn, _ database: Database) throws {
        let oldest = signIn.time + .seconds(-Self.signInDays * 86_400)
        try database.execute(sql: "DELETE FROM signIn WHERE time < ?", arguments: [oldest.nanoseconds])
        try database.cachedStatement(
            sql: """
                INSERT INTO signIn (time, user, address, asked, allowed, refusal, circumstances)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            signIn.time.nanoseconds, signIn.circumstances.user, signIn.circumstances.address.description,
            try Self.json(signIn.asked.sorted()), try Self.json(signIn.allowed.sorted()), signIn.refusal,
            try Self.text(signIn.circumstances),
        ])
    }
}
