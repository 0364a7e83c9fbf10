public import Access
public import Base
public import JSONText

extension EndpointMapping {
    func id(_ row: JSONTree) -> String? { first(id, row) }

    /// Texts that say that there is none.
    private static let blanks: Set<String> = ["", "null", "unknown", "n/a"]

    private func first(_ paths: [FieldPath], _ row: JSONTree) -> String? {
        for path in paths {
            if let text = path.first(in: row)?.scalar, !Self.blanks.contains(text.lowercased()) { return text }
        }
        return nil
    }

    func isDropped(_ row: JSONTree, _ now: WallTime) -> Bool {
        drop.contains { condition in
            if case .holds = condition.verdict(row, RuleInput(rows: [row], now: now)) { true } else { false }
        }
    }

    /// The record of a row of the listing, still without facts. Nil for a row without an ID.
    func record(_ row: JSONTree, source: String, vendor: String, seen: [FieldPath], now: WallTime) -> EndpointRecord? {
        guard let id = id(row), id.utf8.count <= 200 else { return nil }
        var record = EndpointRecord(
            key: EndpointKey(source: source, id: id), vendor: vendor,
            hostName: first(host, row).map { name in
                IPAddress(name) == nil ? String(name.prefix { $0 != "." }) : name
            },
            seenAt: seen.time(row), lastUser: first(user, row), fetchedAt: now)
        for value in macs.flatMap({ $0.values(in: row) }) {
            guard let mac = value.string.flatMap(MACAddress.init(anySpelling:)), mac.namesACard,
                !record.macs.contains(mac)
            else { continue }
            record.macs.append(mac)
        }
        for value in addresses.flatMap({ $0.values(in: row) }) {
            guard let address = value.string.flatMap({ IPAddress($0) }), address.namesADevice,
                !record.addresses.contains(address)
            else { continue }
            record.addresses.append(address)
        }
        return record
    }
}

extension [FieldPath] {
    func time(_ row: JSONTree?) -> WallTime? {
        guard let row else { return nil }
        for path in self {
            if let time = path.first(in: row)?.string.flatMap(VendorTime.init)?.time { return time }
        }
        return nil
    }
}

extension MACAddress {
    /// Twelve digits, with whatever stands between them.
    init?(anySpelling text: String) {
        let digits = text.filter { $0 != ":" && $0 != "-" && $0 != "." }
        guard digits.utf8.count == 12, let bytes = [UInt8](hexadecimal: digits.lowercased()) else { return nil }
        self.init(bytes: bytes)
    }

    /// Neither nothing, nor all cards, nor a group of them.
    var namesACard: Bool { value != 0 && value >> 40 & 1 == 0 }
}

extension IPAddress {
    /// Neither the device's own loopback nor link-local, which many devices have alike.
    var namesADevice: Bool {
        switch self {
        case .v4(let value): value >> 24 != 127 && value >> 16 != 0xA9FE && value != 0
        case .v6(let value): value > 1 && value >> 118 != 0xFE80 >> 6
        }
    }
}

/// What rows of one call say of one endpoint, and whether the endpoint is to be dropped.
public struct EndpointReader: Sendable {
    private let connection: EndpointConnection
    private let profile: EndpointProfile
    /// The newest versions among all endpoints, as far as they have been seen.
    private var newest: [FieldPath: VersionNumber] = [:]
    private var versionPaths: [String: [FieldPath]] = [:]

    public init(_ connection: EndpointConnection, _ profile: EndpointProfile) {
        self.connection = connection
        self.profile = profile
        for rule in profile.attributes.values.flatMap(\.self) {
            versionPaths[rule.call, default: []] += rule.reading.versionPaths
        }
    }

    /// Looks at versions before rows are read, where a rule compares them.
    public mutating func survey(_ rows: [JSONTree], call: String) {
        for path in versionPaths[call] ?? [] {
            for row in rows {
                guard let version = path.first(in: row)?.string.flatMap(VersionNumber.init) else { continue }
                if newest[path].map({ $0 < version }) ?? true { newest[path] = version }
            }
        }
    }

    /// Whether rows of a call must all be there before the first is read.
    public func needsSurvey(call: String) -> Bool { !(versionPaths[call] ?? []).isEmpty }

    /// The endpoint of a row of the listing with what the listing says of it; nil for a row that is none.
    public func endpoint(_ row: JSONTree, now: WallTime) -> EndpointRecord? {
        let listing = profile.listing
        guard !profile.endpoint.isDropped(row, now),
            var record = profile.endpoint.record(
                row, source: connection.id, vendor: connection.kind, seen: listing.seen, now: now)
        else { return nil }
        record.facts = facts([row], call: listing.name, now: now)
        return record
    }

    /// The ID of an endpoint that the vendor no longer counts; nil for one that it does.
    public func dropped(_ row: JSONTree, now: WallTime) -> String? {
        profile.endpoint.isDropped(row, now) ? profile.endpoint.id(row) : nil
    }

    /// The ID of the endpoint that a row of another call is about.
    public func subject(_ row: JSONTree, call: String) -> String? {
        profile.call(call)?.key?.first(in: row)?.scalar
    }

    /// What the rows that a call has for an endpoint say. Rules that find nothing say so, too.
    public func facts(_ rows: [JSONTree], call name: String, now: WallTime) -> [PostureAttribute: PostureFact] {
        guard let call = profile.call(name) else { return [:] }
        let context = RuleContext(now: now, options: connection.values, newest: newest)
        var facts: [PostureAttribute: PostureFact] = [:]
        for (attribute, rules) in profile.attributes {
            guard let rule = rules.first(where: { $0.call == name && (connection.infers || !$0.isInferred) }) else {
                continue
            }
            facts[attribute] = Self.fact(rule, rows, call, context)
        }
        return facts
    }

    private static func fact(
        _ rule: AttributeRule, _ rows: [JSONTree], _ call: CallTemplate, _ context: RuleContext
    ) -> PostureFact {
        // Silence about an endpoint in a call that reports on each is not a finding.
        guard !rows.isEmpty || call.isAsOfCall else { return PostureFact(.unknown(.noData)) }
        let reading = rule.reading.read(rows, context)
        switch reading.result {
        case .unknown(let missing): return PostureFact(.unknown(missing), raw: reading.raw, note: rule.note)
        case .value(let value):
            var notes = rule.note.map { [$0] } ?? []
            var time = context.now
            if !call.isAsOfCall {
                if let said = (rule.observed.isEmpty ? call.seen : rule.observed).time(rows.first) {
                    time = said
                    if said > context.now + .seconds(600) {
                        time = context.now
                        notes.append("the source's clock is ahead of ours")
                    }
                } else {
                    notes.append("as of our question: the source gives no time")
                }
            }
            return PostureFact(
                .value(value, observedAt: time), raw: reading.raw,
                note: notes.isEmpty ? nil : notes.joined(separator: "; "), restsOnAbsence: reading.isAbsence)
        }
    }
}

extension AttributeRule.Reading {
    fileprivate var versionPaths: [FieldPath] {
        switch self {
        case .version(let path, _): [path]
        case .first(let readings): readings.flatMap(\.versionPaths)
        case .flag, .cases, .percent, .level, .system, .days: []
        }
    }
}
