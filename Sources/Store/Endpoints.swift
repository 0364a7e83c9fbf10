public import Access
public import Base
import GRDB
import JSONText

extension Store {
    /// What was last had from a source: its endpoints, and when each of its calls was last answered in full. A record that
    /// cannot be read is left out: the next look at the source brings it anew.
    public func endpoints(
        of source: String
    ) throws(StoreError) -> (records: [EndpointRecord], answered: [String: WallTime]) {
        try reading { database in
            var records: [EndpointRecord] = []
            let rows = try Row.fetchCursor(
                database, sql: "SELECT id, fetchedAt, record FROM endpoint WHERE source = ?", arguments: [source])
            while let row = try rows.next() {
                if let record = EndpointText.read(
                    row["record"], key: EndpointKey(source: source, id: row["id"]),
                    fetchedAt: WallTime(nanoseconds: row["fetchedAt"]))
                {
                    records.append(record)
                }
            }
            let answers = try Row.fetchAll(
                database, sql: "SELECT call, at FROM endpointAnswer WHERE source = ?", arguments: [source])
            let answered = answers.map { row in
                let (call, at): (String, Int64) = (row["call"], row["at"])
                return (call, WallTime(nanoseconds: at))
            }
            return (records, Dictionary(answered, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// Stores what came of one look at a source, in one transaction. Nothing of it stands in the audit trail: it is what
    /// others have done. What comes from a source that was removed meanwhile is dropped.
    public func keep(
        _ changed: [EndpointRecord], removed: [EndpointKey], answered: [String: WallTime], of source: String
    ) throws(StoreError) {
        try writingAll { database in
            guard
                try Row.fetchOne(database, sql: "SELECT 1 FROM endpointSource WHERE id = ?", arguments: [source]) != nil
            else { return }
            let put = try database.cachedStatement(
                sql: """
                    INSERT INTO endpoint (source, id, host, fetchedAt, record) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (source, id) DO UPDATE SET host = excluded.host, fetchedAt = excluded.fetchedAt,
                        record = excluded.record
                    """)
            for record in changed {
                try put.execute(
                    arguments: [
                        source, record.id, record.hostName, record.fetchedAt.nanoseconds, EndpointText.text(record),
                    ])
            }
            let remove = try database.cachedStatement(sql: "DELETE FROM endpoint WHERE source = ? AND id = ?")
            for key in removed { try remove.execute(arguments: [source, key.id]) }
            for (call, time) in answered {
                try database.execute(
                    sql: """
                        INSERT INTO endpointAnswer (source, call, at) VALUES (?, ?, ?)
                        ON CONFLICT (source, call) DO UPDATE SET at = excluded.at
                        """, arguments: [source, call, time.nanoseconds])
            }
        }
    }
}

/// A record as it stands in its row: short, for there may be many.
enum EndpointText {
    static func text(_ record: EndpointRecord) -> String {
        var members: [JSON.Member] = [.init("vendor", .string(record.vendor))]
        if let name = record.hostName { members.append(.init("host", .string(name))) }
        if !record.macs.isEmpty { members.append(.init("macs", .array(record.macs.map { .string($0.description) }))) }
        if !record.addresses.isEmpty {
            members.append(.init("addresses", .array(record.addresses.map { .string($0.description) })))
        }
        if let seen = record.seenAt { members.append(.init("seen", .number(String(seen.nanoseconds)))) }
        if let user = record.lastUser { members.append(.init("user", .string(user))) }
        let facts = record.facts.sorted { $0.key.rawValue < $1.key.rawValue }
        members.append(.init("facts", .object(facts.map { .init($0.key.rawValue, json($0.value)) })))
        return JSON.object(members).text()
    }

    private static func json(_ fact: PostureFact) -> JSON {
        var members: [JSON.Member] = []
        switch fact.outcome {
        case .value(let value, let time):
            switch value {
            case .flag(let flag): members.append(.init("flag", .bool(flag)))
            case .risk(let risk): members.append(.init("risk", .string(risk.description)))
            case .operatingSystem(let system):
                members.append(.init("family", .string(system.family.rawValue)))
                if let name = system.name { members.append(.init("name", .string(name))) }
                if let version = system.version { members.append(.init("version", .string(version))) }
            }
            members.append(.init("at", .number(String(time.nanoseconds))))
        case .unknown(let missing): members.append(.init("missing", .string(missing.rawValue)))
        case .notSupported: members.append(.init("missing", .string("notSupported")))
        }
        if let raw = fact.raw { members.append(.init("raw", .string(raw))) }
        if let note = fact.note { members.append(.init("note", .string(note))) }
        if fact.restsOnAbsence { members.append(.init("absence", .bool(true))) }
        return .object(members)
    }

    static func read(_ text: String, key: EndpointKey, fetchedAt: WallTime) -> EndpointRecord? {
        guard let tree = try? JSONTree.parse(text), let vendor = tree["vendor"]?.string else { return nil }
        func time(_ tree: JSONTree?) -> WallTime? { tree?.scalar.flatMap { Int64($0) }.map { WallTime(nanoseconds: $0) } }
        var record = EndpointRecord(
            key: key, vendor: vendor, hostName: tree["host"]?.string,
            macs: (tree["macs"]?.array ?? []).compactMap { $0.string.flatMap { MACAddress($0) } },
            addresses: (tree["addresses"]?.array ?? []).compactMap { $0.string.flatMap { IPAddress($0) } },
            seenAt: time(tree["seen"]), lastUser: tree["user"]?.string, fetchedAt: fetchedAt)
        for attribute in PostureAttribute.allCases {
            guard let fact = tree["facts"]?[attribute.rawValue], let outcome = outcome(fact, time(fact["at"])) else {
                continue
            }
            record.facts[attribute] = PostureFact(
                outcome, raw: fact["raw"]?.string, note: fact["note"]?.string,
                restsOnAbsence: fact["absence"]?.bool ?? false)
        }
        return record
    }

    private static func outcome(_ fact: JSONTree, _ time: WallTime?) -> PostureOutcome? {
        if let word = fact["missing"]?.string {
            return word == "notSupported" ? .notSupported : PostureOutcome.Missing(rawValue: word).map { .unknown($0) }
        }
        guard let time else { return nil }
        if let flag = fact["flag"]?.bool { return .value(.flag(flag), observedAt: time) }
        if let risk = fact["risk"]?.string.flatMap({ RiskScore($0) }) { return .value(.risk(risk), observedAt: time) }
        guard let family = fact["family"]?.string.flatMap({ OperatingSystem.Family(rawValue: $0) }) else { return nil }
        let system = OperatingSystem(family: family, name: fact["name"]?.string, version: fact["version"]?.string)
        return .value(.operatingSystem(system), observedAt: time)
    }
}
