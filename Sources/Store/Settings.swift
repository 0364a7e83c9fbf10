import GRDB

extension Store {
    /// The value of a setting; nil when it was never set.
    public func setting(_ name: String) throws(StoreError) -> String? {
        try reading { database in
            try String.fetchOne(database, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name])
        }
    }

    /// All settings by name.
    public func settings() throws(StoreError) -> [String: String] {
        try reading { database in
            let rows = try Row.fetchAll(database, sql: "SELECT name, value FROM setting")
            return Dictionary(uniqueKeysWithValues: rows.map { ($0["name"], $0["value"]) })
        }
    }

    /// Sets a setting, or removes it with nil. One that is so already is left alone, without an audit entry.
    ///
    /// Settings are stored in clear: never put a secret here.
    public func set(_ name: String, to value: String?, by change: Change) throws(StoreError) {
        try writing(change) { database in
            let current = try String.fetchOne(
                database, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name])
            guard current != value else { return nil }
            guard let value else {
                try database.execute(sql: "DELETE FROM setting WHERE name = ?", arguments: [name])
                return Deed(action: "setting-removed", subject: name)
            }
            try database.execute(
                sql: "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", arguments: [name, value])
            return Deed(action: "setting-changed", subject: name, definition: value)
        }
    }
}
