public import Base
import Cryptography
import Foundation
import GRDB
public import Identity

/// How a directory stands: what was read last, and how that went.
public struct DirectoryStanding: Hashable, Codable, Sendable {
    /// Where the next reading begins; nil reads everything.
    public var cursor: [String: String]?
    /// Of the definition that the cursor belongs to.
    public var choice: String?
    public var lastAttemptAt: WallTime?
    public var lastSyncAt: WallTime?
    public var lastFullAt: WallTime?
    /// Of the last reading: people and groups in the directory.
    public var people = 0
    public var groups = 0
    /// Of the last synchronisation: users who came, changed and went, and who are here from it.
    public var added = 0
    public var changed = 0
    public var disabled = 0
    public var users = 0
    public var requests = 0
    public var seconds = 0.0
    public var lastError: String?
    public var warnings: [String] = []
    /// What an administrator must agree to.
    public var question: String?
    /// As the directory itself says.
    public var secretEndsAt: WallTime?
    /// Of a reading that was stopped; the mirror as it was then is kept beside it.
    public var progress: DirectoryProgress?

    public init() {}
}

/// Where a reading was stopped, so that it goes on there, after a restart too.
public struct DirectoryProgress: Hashable, Codable, Sendable {
    /// The reader's own words.
    public var bookmark: [String: [String]]
    /// Of the definition that it belongs to.
    public var choice: String
    public var isFull: Bool
    public var requests: Int
    public var stoppedAt: WallTime
    /// The directory may have asked for a pause.
    public var goesOnAt: WallTime

    public init(
        bookmark: [String: [String]], choice: String, isFull: Bool, requests: Int, stoppedAt: WallTime, goesOnAt: WallTime
    ) {
        self.bookmark = bookmark
        self.choice = choice
        self.isFull = isFull
        self.requests = requests
        self.stoppedAt = stoppedAt
        self.goesOnAt = goesOnAt
    }
}

/// What a program on the customer's side signs in with. Its secret is known as a hash alone.
public struct APIAccess: Hashable, Codable, Sendable {
    public enum Kind: String, Hashable, Codable, Sendable, CaseIterable {
        case activeDirectory = "active-directory"
        case custom
    }

    public var id: String
    public var title: String
    public var kind: Kind
    public var clientID: String
    public var createdAt: WallTime
    public var lastUsedAt: WallTime?

    public init(id: String, title: String, kind: Kind, clientID: String, createdAt: WallTime) {
        self.id = id
        self.title = title
        self.kind = kind
        self.clientID = clientID
        self.createdAt = createdAt
    }
}

/// One line of what an agent did.
public struct APIAccessEntry: Hashable, Codable, Sendable {
    public var number: Int64
    public var time: WallTime
    /// Such as `signed-in`.
    public var type: String
    public var details: String
}

extension Store {
    // MARK: - Directories

    /// What can be read of the directories, in the order in which they were added, and one error for each that cannot.
    public func directories() throws(StoreError) -> (directories: [Directory], broken: [StoreError]) {
        try reading { database in
            var directories: [Directory] = []
            var broken: [StoreError] = []
            for row in try Row.fetchAll(database, sql: "SELECT id, definition FROM directory ORDER BY position") {
                do {
                    directories.append(try directory(from: row, database))
                } catch let error as StoreError {
                    broken.append(error)
                }
            }
            return (directories, broken)
        }
    }

    /// Stores a directory: a new one behind the others, or in the place of the one with the same name.
    ///
    /// - Throws: ``StoreError/directoryExists(_:)`` when it is not to replace one, ``StoreError/directoryUnknown(_:)`` when
    ///   it is.
    public func save(_ directory: Directory, replacing: Bool, by change: Change) throws(StoreError) {
        try writing(change) { database in
            let id = directory.id
            let isKnown = try Row.fetchOne(database, sql: "SELECT 1 FROM directory WHERE id = ?", arguments: [id]) != nil
            guard isKnown == replacing else {
                throw replacing ? StoreError.directoryUnknown(id) : StoreError.directoryExists(id)
            }
            let parts = try Parts(directory)
            try database.execute(
                sql: """
                    INSERT INTO directory (id, position, definition, updatedAt)
                    VALUES (?, (SELECT COALESCE(MAX(position), 0) + 1 FROM directory), ?, ?)
                    ON CONFLICT (id) DO UPDATE SET definition = excluded.definition, updatedAt = excluded.updatedAt
                    """, arguments: [id, parts.definition, wall().rfc3339])
            try keep(parts.secrets, of: id, in: .directories, database)
            return Deed(
                action: replacing ? "directory-changed" : "directory-added", subject: id, definition: parts.definition)
        }
    }

    /// Removes a directory with its secrets and what was read from it. Its users are somebody else's to see to.
    public func removeDirectory(_ id: String, by change: Change) throws(StoreError) {
        try writing(change) { database in
            try database.execute(sql: "DELETE FROM directory WHERE id = ?", arguments: [id])
            guard database.changesCount == 1 else { throw StoreError.directoryUnknown(id) }
            return Deed(action: "directory-removed", subject: id)
        }
    }

    /// How a directory stood; a fresh one for one that was never read.
    public func standing(ofDirectory id: String) throws(StoreError) -> DirectoryStanding {
        try reading { database in
            let json = try String.fetchOne(
                database, sql: "SELECT standing FROM directoryState WHERE directory = ?", arguments: [id])
            // One that cannot be read is as good as none: everything is read anew.
            return json.flatMap { try? JSONDecoder().decode(DirectoryStanding.self, from: Data($0.utf8)) }
                ?? DirectoryStanding()
        }
    }

    /// Where copies of directories are kept.
    private enum Copies: String {
        case whole = "directoryMirror"
        case partial = "directoryProgress"
    }

    /// What was read from a directory last.
    public func mirror(ofDirectory id: String) throws(StoreError) -> DirectoryMirror? {
        try reading { database in try Self.mirror(.whole, id, database) }
    }

    /// As far as a reading had come when it was stopped.
    public func partialMirror(ofDirectory id: String) throws(StoreError) -> DirectoryMirror? {
        try reading { database in try Self.mirror(.partial, id, database) }
    }

    private static func mirror(_ copies: Copies, _ id: String, _ database: Database) throws -> DirectoryMirror? {
        var assembly = DirectoryMirror.Assembly()
        let parts = try Data.fetchCursor(
            database, sql: "SELECT bytes FROM \(copies.rawValue) WHERE directory = ? ORDER BY part", arguments: [id])
        while let part = try parts.next() { assembly.add([UInt8](part)) }
        return assembly.mirror
    }

    /// Keeps how a directory stands.
    ///
    /// - Parameters:
    ///   - mirror: what was read; nil keeps what is there.
    ///   - partial: as far as the reading of ``DirectoryStanding/progress`` has come; nil keeps what is there, unless there
    ///     is no such reading.
    public func keep(
        _ standing: DirectoryStanding, ofDirectory id: String, mirror: DirectoryMirror? = nil,
        partial: DirectoryMirror? = nil
    ) throws(StoreError) {
        try writingAll { database in
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let json = String(decoding: try encoder.encode(standing), as: UTF8.self)
            try database.execute(
                sql: """
                    INSERT INTO directoryState (directory, standing) SELECT id, ? FROM directory WHERE id = ?
                    ON CONFLICT (directory) DO UPDATE SET standing = excluded.standing
                    """, arguments: [json, id])
            // The directory may have been removed meanwhile.
            guard database.changesCount == 1 else { return }
            if let mirror { try Self.replace(.whole, id, mirror, database) }
            if partial != nil || standing.progress == nil { try Self.replace(.partial, id, partial, database) }
        }
    }

    private static func replace(_ copies: Copies, _ id: String, _ mirror: DirectoryMirror?, _ database: Database) throws {
        try database.execute(sql: "DELETE FROM \(copies.rawValue) WHERE directory = ?", arguments: [id])
        var part = 0
        try mirror?.pieces { piece in
            try database.execute(
                sql: "INSERT INTO \(copies.rawValue) (directory, part, bytes) VALUES (?, ?, ?)",
                arguments: [id, part, Data(piece)])
            part += 1
        }
    }

    private func directory(from row: Row, _ database: Database) throws -> Directory {
        let id: String = row["id"]
        let secrets = try secrets(
            of: id, in: .directories, database,
            orThrow: .directoryBroken(id, reason: "its secret does not open with this machine key"))
        do {
            return try Parts.assemble(Directory.self, row["definition"], secrets)
        } catch {
            throw StoreError.directoryBroken(id, reason: Self.reason(error))
        }
    }

    // MARK: - API accesses

    /// Entries that are kept of each.
    private static let logLimit = 1000

    public func apiAccesses() throws(StoreError) -> [APIAccess] {
        try reading { database in
            try Row.fetchAll(database, sql: "SELECT * FROM apiAccess ORDER BY id").map { row in
                var access = APIAccess(
                    id: row["id"], title: row["title"], kind: APIAccess.Kind(rawValue: row["kind"]) ?? .custom,
                    clientID: row["clientID"],
                    createdAt: WallTime(rfc3339: row["createdAt"]) ?? WallTime(nanoseconds: 0))
                access.lastUsedAt = (row["lastUsedAt"] as String?).flatMap(WallTime.init(rfc3339:))
                return access
            }
        }
    }

    /// Stores a new access; of its secret only the SHA-256.
    public func add(_ access: APIAccess, secretHash: [UInt8], by change: Change) throws(StoreError) {
        try writing(change) { database in
            let isKnown =
                try Row.fetchOne(database, sql: "SELECT 1 FROM apiAccess WHERE id = ?", arguments: [access.id]) != nil
            guard !isKnown else { throw StoreError.accessExists(access.id) }
            try database.execute(
                sql: """
                    INSERT INTO apiAccess (id, title, kind, clientID, secretHash, createdAt) VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    access.id, access.title, access.kind.rawValue, access.clientID, Data(secretHash),
                    access.createdAt.rfc3339,
                ])
            return Deed(action: "api-access-added", subject: access.id)
        }
    }

    public func removeAPIAccess(_ id: String, by change: Change) throws(StoreError) {
        try writing(change) { database in
            try database.execute(sql: "DELETE FROM apiAccess WHERE id = ?", arguments: [id])
            guard database.changesCount == 1 else { throw StoreError.accessUnknown(id) }
            return Deed(action: "api-access-removed", subject: id)
        }
    }

    /// The SHA-256 of an access's secret, by its client ID.
    public func secretHash(ofClient clientID: String) throws(StoreError) -> (access: String, hash: [UInt8])? {
        try reading { database in
            try Row.fetchOne(
                database, sql: "SELECT id, secretHash FROM apiAccess WHERE clientID = ?", arguments: [clientID]
            ).map { ($0["id"], [UInt8]($0["secretHash"] as Data)) }
        }
    }

    /// Adds a line to an access's log, and forgets the oldest ones.
    public func log(_ type: String, _ details: String, ofAccess id: String) throws(StoreError) {
        let now = wall().rfc3339
        try writingAll { database in
            try database.execute(
                sql: "INSERT INTO apiAccessLog (access, time, type, details) SELECT id, ?, ?, ? FROM apiAccess WHERE id = ?",
                arguments: [now, type, details, id])
            try database.execute(sql: "UPDATE apiAccess SET lastUsedAt = ? WHERE id = ?", arguments: [now, id])
            try database.execute(
                sql: """
                    DELETE FROM apiAccessLog WHERE access = ? AND number <= (
                        SELECT number FROM apiAccessLog WHERE access = ? ORDER BY number DESC LIMIT 1 OFFSET ?)
                    """, arguments: [id, id, Self.logLimit])
        }
    }

    /// The newest lines of an access's log, newest first.
    public func log(ofAccess id: String, limit: Int) throws(StoreError) -> [APIAccessEntry] {
        try reading { database in
            guard try Row.fetchOne(database, sql: "SELECT 1 FROM apiAccess WHERE id = ?", arguments: [id]) != nil else {
                throw StoreError.accessUnknown(id)
            }
            return try Row.fetchAll(
                database, sql: "SELECT * FROM apiAccessLog WHERE access = ? ORDER BY number DESC LIMIT ?",
                arguments: [id, max(0, limit)]
            ).map { row in
                APIAccessEntry(
                    number: row["number"], time: WallTime(rfc3339: row["time"]) ?? WallTime(nanoseconds: 0),
                    type: row["type"], details: row["details"])
            }
        }
    }
}
