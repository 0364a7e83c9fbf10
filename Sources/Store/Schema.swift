import Foundation
import GRDB

/// The tables, one migration a step. A step that has been released is never edited; a change is a new step.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 connectors, settings and audit trail") { database in
            try database.execute(
                sql: """
                    CREATE TABLE connector (
                        id TEXT PRIMARY KEY,
                        position INTEGER NOT NULL,
                        enabled INTEGER NOT NULL,
                        -- JSON of the definition, secrets left out.
                        definition TEXT NOT NULL,
                        createdAt TEXT NOT NULL,
                        updatedAt TEXT NOT NULL
                    ) STRICT;
                    -- Tunnel names are unique over all connectors.
                    CREATE TABLE tunnel (
                        name TEXT PRIMARY KEY,
                        connector TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE
                    ) STRICT;
                    -- `place` is where the secret stands in the definition, such as tunnels.0.phase1.psk.
                    CREATE TABLE secret (
                        connector TEXT NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
                        place TEXT NOT NULL,
                        sealed BLOB NOT NULL,
                        PRIMARY KEY (connector, place)
                    ) STRICT;
                    CREATE TABLE audit (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        time TEXT NOT NULL,
                        actor TEXT NOT NULL,
                        action TEXT NOT NULL,
                        subject TEXT NOT NULL,
                        detail TEXT,
                        -- What was stored, JSON without secrets.
                        definition TEXT
                    ) STRICT;
                    CREATE TRIGGER auditIsNeverChanged BEFORE UPDATE ON audit
                        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
                    CREATE TRIGGER auditIsNeverShortened BEFORE DELETE ON audit
                        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
                    -- INSERT OR REPLACE would remove an entry without the trigger on DELETE seeing it.
                    CREATE TRIGGER auditIsNeverReplaced BEFORE INSERT ON audit
                        WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
                        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
                    CREATE TABLE setting (
                        name TEXT PRIMARY KEY,
                        value TEXT NOT NULL
                    ) STRICT;
                    """)
        }
        migrator.registerMigration("identity providers and used assertions") { database in
            try database.execute(
                sql: """
                    CREATE TABLE identityProvider (
                        id TEXT PRIMARY KEY,
                        position INTEGER NOT NULL,
                        issuer TEXT NOT NULL,
                        serviceURL TEXT NOT NULL,
                        -- JSON of the definition, secrets left out.
                        definition TEXT NOT NULL,
                        updatedAt TEXT NOT NULL
                    ) STRICT;
                    -- One of a provider's applications serves one network.
                    CREATE UNIQUE INDEX identityProviderPair ON identityProvider (issuer, serviceURL);
                    CREATE TABLE identityProviderSecret (
                        provider TEXT NOT NULL REFERENCES identityProvider (id) ON DELETE CASCADE,
                        place TEXT NOT NULL,
                        sealed BLOB NOT NULL,
                        PRIMARY KEY (provider, place)
                    ) STRICT;
                    CREATE TABLE usedAssertion (
                        issuer TEXT NOT NULL,
                        assertion TEXT NOT NULL,
                        -- Nanoseconds since 1970.
                        until INTEGER NOT NULL,
                        PRIMARY KEY (issuer, assertion)
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX usedAssertionEnd ON usedAssertion (until);
                    """)
        }
        migrator.registerMigration("users and sessions") { database in
            try database.execute(
                sql: """
                    CREATE TABLE user (
                        -- In lower case.
                        email TEXT PRIMARY KEY,
                        firstName TEXT,
                        lastName TEXT,
                        -- An identity provider, a directory, or "local".
                        source TEXT NOT NULL,
                        -- JSON arrays of texts.
                        groups TEXT NOT NULL,
                        tags TEXT NOT NULL,
                        -- "all", "none" or IDs of connectors with commas; null is what the setting says.
                        sites TEXT,
                        enabled INTEGER NOT NULL,
                        createdAt TEXT NOT NULL,
                        lastSignInAt TEXT
                    ) STRICT;
                    CREATE TABLE session (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        -- No reference: the record outlives the user.
                        user TEXT,
                        address TEXT NOT NULL,
                        mac TEXT,
                        device TEXT,
                        provider TEXT,
                        sites TEXT NOT NULL,
                        startedAt TEXT NOT NULL,
                        expiresAt TEXT NOT NULL,
                        idleSeconds INTEGER,
                        reason TEXT NOT NULL,
                        nameID TEXT,
                        sessionIndex TEXT,
                        -- Null while it goes on.
                        endedAt TEXT,
                        endReason TEXT
                    ) STRICT;
                    CREATE UNIQUE INDEX oneSessionAnAddress ON session (address) WHERE endedAt IS NULL;
                    CREATE INDEX sessionByUser ON session (user);
                    """)
        }
        migrator.registerMigration("OpenID providers and their subjects") { database in
            try database.execute(
                sql: """
                    -- "saml" or "oidc"; of the latter, serviceURL holds the client ID.
                    ALTER TABLE identityProvider ADD COLUMN kind TEXT NOT NULL DEFAULT 'saml';
                    -- Who signed in first with an address, by the provider's own name for the person, which no mailbox
                    -- that changes hands takes along.
                    CREATE TABLE accountSubject (
                        -- In lower case. No reference: it outlives the user.
                        email TEXT NOT NULL,
                        issuer TEXT NOT NULL,
                        subject TEXT NOT NULL,
                        firstSeenAt TEXT NOT NULL,
                        PRIMARY KEY (email, issuer)
                    ) STRICT, WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("sign-in policies, known devices and what sign-ins rested on") { database in
            try database.execute(
                sql: """
                    CREATE TABLE policyItem (
                        -- "check", "behaviour", "policy" or "default".
                        kind TEXT NOT NULL,
                        name TEXT NOT NULL,
                        position INTEGER NOT NULL,
                        -- JSON.
                        definition TEXT NOT NULL,
                        PRIMARY KEY (kind, name)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE knownDevice (
                        -- No reference: users come and go with their directory.
                        user TEXT NOT NULL,
                        -- "source/ID" of an endpoint, or "mac/" and the card's address.
                        device TEXT NOT NULL,
                        firstSeenAt TEXT NOT NULL,
                        PRIMARY KEY (user, device)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE signIn (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        -- Nanoseconds since 1970.
                        time INTEGER NOT NULL,
                        user TEXT NOT NULL,
                        address TEXT NOT NULL,
                        -- JSON arrays of connectors: what was asked for, and what the policies allowed of it.
                        asked TEXT NOT NULL,
                        allowed TEXT NOT NULL,
                        -- Why not all was allowed; null when it was.
                        refusal TEXT,
                        -- JSON of all that the decision rested on.
                        circumstances TEXT NOT NULL
                    ) STRICT;
                    CREATE INDEX signInTime ON signIn (time);
                    -- JSON array of "source/ID".
                    ALTER TABLE session ADD COLUMN endpoints TEXT NOT NULL DEFAULT '[]';
                    """)
        }
        migrator.registerMigration("directories, their users and API accesses") { database in
            try database.execute(
                sql: """
                    CREATE TABLE directory (
                        id TEXT PRIMARY KEY,
                        position INTEGER NOT NULL,
                        -- JSON of the definition, secrets left out.
                        definition TEXT NOT NULL,
                        updatedAt TEXT NOT NULL
                    ) STRICT;
                    CREATE TABLE directorySecret (
                        directory TEXT NOT NULL REFERENCES directory (id) ON DELETE CASCADE,
                        place TEXT NOT NULL,
                        sealed BLOB NOT NULL,
                        PRIMARY KEY (directory, place)
                    ) STRICT;
                    -- What was read last, where the next reading goes on, and how the last synchronisation went.
                    CREATE TABLE directoryState (
                        directory TEXT PRIMARY KEY REFERENCES directory (id) ON DELETE CASCADE,
                        -- JSON.
                        standing TEXT NOT NULL
                    ) STRICT;
                    -- The copy of the directory, in pieces: it may be large.
                    CREATE TABLE directoryMirror (
                        directory TEXT NOT NULL REFERENCES directory (id) ON DELETE CASCADE,
                        part INTEGER NOT NULL,
                        bytes BLOB NOT NULL,
                        PRIMARY KEY (directory, part)
                    ) STRICT;
                    -- JSON: the directories that have the user, and what each gave.
                    ALTER TABLE user ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';
                    CREATE TABLE apiAccess (
                        id TEXT PRIMARY KEY,
                        title TEXT NOT NULL,
                        -- "active-directory" or "custom".
                        kind TEXT NOT NULL,
                        clientID TEXT NOT NULL UNIQUE,
                        -- SHA-256 over the client secret, which has more bits than anyone can try.
                        secretHash BLOB NOT NULL,
                        createdAt TEXT NOT NULL,
                        lastUsedAt TEXT
                    ) STRICT;
                    CREATE TABLE apiAccessLog (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        access TEXT NOT NULL REFERENCES apiAccess (id) ON DELETE CASCADE,
                        time TEXT NOT NULL,
                        type TEXT NOT NULL,
                        details TEXT NOT NULL
                    ) STRICT;
                    CREATE INDEX apiAccessLogOrder ON apiAccessLog (access, number);
                    """)
        }
        migrator.registerMigration("endpoint protection") { database in
            try database.execute(
                sql: """
                    CREATE TABLE endpointSource (
                        id TEXT PRIMARY KEY,
                        position INTEGER NOT NULL,
                        -- JSON of the connection, secrets left out.
                        definition TEXT NOT NULL,
                        updatedAt TEXT NOT NULL
                    ) STRICT;
                    CREATE TABLE endpointSourceSecret (
                        source TEXT NOT NULL REFERENCES endpointSource (id) ON DELETE CASCADE,
                        place TEXT NOT NULL,
                        sealed BLOB NOT NULL,
                        PRIMARY KEY (source, place)
                    ) STRICT;
                    -- When each of a source's calls was last answered in full; nanoseconds since 1970.
                    CREATE TABLE endpointAnswer (
                        source TEXT NOT NULL REFERENCES endpointSource (id) ON DELETE CASCADE,
                        call TEXT NOT NULL,
                        at INTEGER NOT NULL,
                        PRIMARY KEY (source, call)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE endpoint (
                        source TEXT NOT NULL REFERENCES endpointSource (id) ON DELETE CASCADE,
                        id TEXT NOT NULL,
                        host TEXT,
                        -- Nanoseconds since 1970.
                        fetchedAt INTEGER NOT NULL,
                        -- JSON: names, addresses, and each fact with its time.
                        record TEXT NOT NULL,
                        PRIMARY KEY (source, id)
                    ) STRICT, WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("readings of directories that were stopped") { database in
            try database.execute(
                sql: """
                    -- As far as a reading had come that was stopped, like directoryMirror.
                    CREATE TABLE directoryProgress (
                        directory TEXT NOT NULL REFERENCES directory (id) ON DELETE CASCADE,
                        part INTEGER NOT NULL,
                        bytes BLOB NOT NULL,
                        PRIMARY KEY (directory, part)
                    ) STRICT;
                    """)
        }
        return migrator
    }

    /// Opens, checks and migrates. New files are readable by their owner only.
    static func open(path: String?) throws -> any DatabaseWriter {
        var configuration = Configuration()
        configuration.label = "gatehouse"
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            // Removed rows held secrets, if only sealed ones.
            try database.execute(sql: "PRAGMA secure_delete = ON")
        }
        guard let path else {
            let queue = try DatabaseQueue(configuration: configuration)
            try migrator.migrate(queue)
            return queue
        }
        // Made here so that SQLite, which gives its journal files the mode of the database, never makes one that
        // others can read.
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw StoreError.unusable(path: path, reason: String(cString: strerror(errno)))
        }
        Glibc.close(descriptor)
        let pool = try DatabasePool(path: path, configuration: configuration)
        // FULL: a commit is on disk before it returns. Set here, on the one connection that writes: the pool sets
        // NORMAL when it turns WAL on, after the configuration has prepared the connection.
        try pool.writeWithoutTransaction { database in try database.execute(sql: "PRAGMA synchronous = FULL") }
        let isNewer = try pool.read { database in try migrator.hasBeenSuperseded(database) }
        guard !isNewer else {
            try pool.close()
            throw StoreError.newer(path: path)
        }
        try migrator.migrate(pool)
        return pool
    }
}
