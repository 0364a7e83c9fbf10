public import Base
import GRDB

/// One entry of the audit trail. Entries are never changed nor removed: the database itself refuses it.
public struct AuditEntry: Hashable, Sendable {
    /// Rises with each entry and is never given twice.
    public var number: Int64
    public var time: WallTime
    /// Who did it, such as `root (uid 0)`.
    public var actor: String
    /// A word for programs, such as `connector-added`.
    public var action: String
    /// What it was done to: a connector's ID, a setting's name.
    public var subject: String
    /// Why, in a sentence, if that was said.
    public var detail: String?
    /// What was stored, as JSON without secrets; nil when nothing was, or when it was removed.
    public var definition: String?
}

extension Store {
    /// Adds an entry for something that changed nothing stored, such as a secret being shown.
    public func record(_ action: String, subject: String, by change: Change) throws(StoreError) {
        try writing(change) { _ in Deed(action: action, subject: subject) }
    }

    /// The newest entries below `number`, newest first, at most `limit`.
    public func audit(limit: Int, before number: Int64 = .max) throws(StoreError) -> [AuditEntry] {
        try reading { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT number, time, actor, action, subject, detail, definition FROM audit
                    WHERE number < ? ORDER BY number DESC LIMIT ?
                    """, arguments: [number, max(0, limit)]
            ).map { row in
                let time: String = row["time"]
                return AuditEntry(
                    number: row["number"],
                    // An entry whose time cannot be read is shown all the same: nothing drops out of the trail.
                    time: WallTime(rfc3339: time) ?? WallTime(nanoseconds: 0), actor: row["actor"],
                    action: row["action"], subject: row["subject"], detail: row["detail"],
                    definition: row["definition"])
            }
        }
    }
}
