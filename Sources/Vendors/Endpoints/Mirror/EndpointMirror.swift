public import Access
public import Base
public import JSONText

/// What one source says of all its endpoints, as we last had it: an engine, which others fetch and store for.
///
/// A listing that was cut short, or is so much shorter than the last that something must be wrong, removes nobody. A call
/// that is refused or silent for too long makes its facts missing, never good.
public struct EndpointMirror: Sendable {
    /// What became of an input: for the store, and for those who decide by it.
    public struct Change: Sendable {
        public var changed: [EndpointRecord] = []
        public var removed: [EndpointKey] = []

        public init() {}

        public var isEmpty: Bool { changed.isEmpty && removed.isEmpty }
    }

    /// A listing that was not believed, because it has lost too many endpoints.
    public struct Shrinkage: Hashable, Sendable {
        public var before: Int
        public var after: Int
    }

    private struct Entry {
        var record: EndpointRecord
        /// Of attributes that more than one call can tell: what each said.
        var parts: [String: [PostureAttribute: PostureFact]] = [:]
        /// When each call of its own was answered for this endpoint.
        var fetched: [String: WallTime] = [:]
        /// It was not in the last listing, which had several pages.
        var isMissed = false
    }

    private let connection: EndpointConnection
    private let profile: EndpointProfile
    private var entries: [String: Entry] = [:]
    /// What calls said of endpoints that the listing did not have yet.
    private var waiting: [String: [String: [PostureAttribute: PostureFact]]] = [:]
    /// When each call was last answered in full.
    public private(set) var answered: [String: WallTime] = [:]
    /// Calls that are not permitted.
    public private(set) var refused: Set<String> = []
    private var reader: EndpointReader
    /// Nanoseconds by which times may move on without being a change, so that a poll that brings no news costs nothing.
    private let step: Int64

    /// From this share of endpoints on, in percent, a loss is not believed.
    static let shrinkLimit = 20
    /// Below this many endpoints any loss is believed.
    static let shrinkFloor = 10
    private static let waitingLimit = 100_000

    /// - Parameters:
    ///   - records: as they were stored.
    ///   - answered: when each call was last answered in full, as stored.
    public init(
        _ connection: EndpointConnection, _ profile: EndpointProfile, records: [EndpointRecord] = [],
        answered: [String: WallTime] = [:]
    ) {
        self.connection = connection
        self.profile = profile
        self.answered = answered
        reader = EndpointReader(connection, profile)
        let shortest = PostureAttribute.allCases.map { profile.maximumAges[$0] ?? $0.maximumAgeSeconds }.min() ?? 86_400
        step = Tick.Span.seconds(min(900, shortest / 4)).nanoseconds
        for record in records {
            var entry = Entry(record: record)
            // Whoever says it best said it, as far as is known.
            for (attribute, rules) in profile.attributes where rules.count > 1 {
                entry.parts[rules[0].call, default: [:]][attribute] = record.facts[attribute]
            }
            entries[record.id] = entry
        }
    }

    public var count: Int { entries.count }
    public var records: [EndpointRecord] { entries.values.map(\.record) }
    public func record(_ id: String) -> EndpointRecord? { entries[id]?.record }

    /// When everything that the listing says was last known to be whole.
    public var completedAt: WallTime? { answered[profile.listing.name] }

    /// When a call was last answered: in full, or for any endpoint where each has its own.
    public func lastAnswer(_ call: String) -> WallTime? {
        answered[call] ?? entries.values.lazy.compactMap { $0.fetched[call] }.max()
    }

    /// The moment as of which everything is known that a look-up of the endpoint would say.
    public func asOf(_ id: String) -> WallTime? {
        guard let entry = entries[id] else { return nil }
        var time = max(entry.record.fetchedAt, completedAt ?? entry.record.fetchedAt)
        for call in profile.perEndpointCalls where profile.isQuick(call) {
            time = min(time, entry.fetched[call] ?? .distantPast)
        }
        return time
    }

    // MARK: - The listing

    /// Takes rows of the listing.
    ///
    /// - Parameters:
    ///   - isComplete: these are all that there are.
    ///   - acceptsLoss: an administrator has said that endpoints are gone.
    public mutating func take(
        listing rows: [JSONTree], isComplete: Bool, acceptsLoss: Bool = false, now: WallTime
    ) -> Result {
        var listing = Listing(self, now: now)
        listing.take(rows, self)
        return take(listing, isComplete: isComplete, acceptsLoss: acceptsLoss, now: now)
    }

    /// What became of a listing.
    public struct Result: Sendable {
        public var change = Change()
        /// It was not believed.
        public var shrinkage: Shrinkage?
        /// Endpoints that it lacks, and that are kept until the next one lacks them, too.
        public var missed = 0

        public init(change: Change = Change(), shrinkage: Shrinkage? = nil, missed: Int = 0) {
            self.change = change
            self.shrinkage = shrinkage
            self.missed = missed
        }
    }

    /// A listing that comes page by page: what is read of one page is small beside its text.
    public struct Listing: Sendable {
        fileprivate var records: [String: EndpointRecord] = [:]
        fileprivate var dropped: Set<String> = []
        fileprivate var reader: EndpointReader
        /// Rows that wait until all are there, where a rule compares them.
        fileprivate var rows: [JSONTree] = []
        private let now: WallTime
        private let call: String

        public init(_ mirror: EndpointMirror, now: WallTime) {
            reader = mirror.reader
            call = mirror.profile.listing.name
            self.now = now
        }

        /// Endpoints that were listed, each once, with those that the vendor no longer counts.
        public var count: Int { records.count + dropped.count }

        public mutating func take(_ page: [JSONTree], _ mirror: EndpointMirror) {
            guard !reader.needsSurvey(call: call) else {
                reader.survey(page, call: call)
                rows += page
                return
            }
            read(page)
        }

        /// All pages are there.
        public mutating func finish() {
            read(rows)
            rows = []
        }

        private mutating func read(_ page: [JSONTree]) {
            for row in page {
                if let id = reader.dropped(row, now: now) {
                    dropped.insert(id)
                    continue
                }
                guard let record = reader.endpoint(row, now: now) else { continue }
                // A row that moved to another page while we read, or a duplicate: the one that was seen last.
                if let other = records[record.id], (other.seenAt ?? .distantPast) > (record.seenAt ?? .distantPast) { continue }
                records[record.id] = record
            }
        }
    }

    /// Takes a listing that was read page by page.
    ///
    /// - Parameter isAtomic: it had one page alone. Between pages rows move, and one that moves forward is missed.
    public mutating func take(
        _ listing: consuming Listing, isComplete: Bool, isAtomic: Bool = true, acceptsLoss: Bool = false, now: WallTime
    ) -> Result {
        listing.finish()
        reader = listing.reader
        var change = Change()
        for record in listing.records.values { put(record, now, into: &change) }
        guard isComplete else {
            // What is said to be gone is gone; of what was not there, nothing is known.
            for id in listing.dropped { remove(id, into: &change) }
            return Result(change: change)
        }
        let lost = entries.keys.filter { listing.records[$0] == nil }
        // Those that the vendor itself names as gone are no riddle.
        let vanished = lost.count { !listing.dropped.contains($0) }
        let before = entries.count
        if !acceptsLoss, before >= Self.shrinkFloor, vanished * 100 > before * Self.shrinkLimit {
            for id in listing.dropped { remove(id, into: &change) }
            return Result(change: change, shrinkage: Shrinkage(before: before, after: listing.records.count))
        }
        var missed = 0
        for id in lost {
            if isAtomic || acceptsLoss || listing.dropped.contains(id) || entries[id]?.isMissed == true {
                remove(id, into: &change)
            } else {
                entries[id]?.isMissed = true
                missed += 1
            }
        }
        answered[profile.listing.name] = now
        return Result(change: change, missed: missed)
    }

    /// Takes rows that have changed since the last look; all others are as they were.
    ///
    /// - Parameter completes: with these, everything is as of now.
    public mutating func take(changes rows: [JSONTree], completes: Bool = true, now: WallTime) -> Change {
        var listing = Listing(self, now: now)
        listing.take(rows, self)
        let change = take(listing, isComplete: false, now: now).change
        // Changes alone, without a whole listing before them, complete nothing.
        if completes, answered[profile.listing.name] != nil { answered[profile.listing.name] = now }
        return change
    }

    /// Takes what a look-up of one device found. Whatever it says is as of now.
    public mutating func take(lookUp rows: [JSONTree], now: WallTime) -> Change {
        var change = Change()
        reader.survey(rows, call: profile.listing.name)
        for row in rows {
            if let id = reader.dropped(row, now: now) {
                remove(id, into: &change)
            } else if let record = reader.endpoint(row, now: now) {
                put(record, now, isFresh: true, into: &change)
            }
        }
        return change
    }

    // MARK: - Other calls

    /// Takes all rows of a call that says more of the endpoints.
    public mutating func take(_ rows: [JSONTree], of call: String, now: WallTime) -> Change {
        var change = Change()
        reader.survey(rows, call: call)
        answered[call] = now
        refused.remove(call)
        var groups: [String: [JSONTree]] = [:]
        for row in rows {
            guard let id = reader.subject(row, call: call) else { continue }
            groups[id, default: []].append(row)
        }
        for id in entries.keys { put(reader.facts(groups[id] ?? [], call: call, now: now), call, id, now, into: &change) }
        var waiting: [String: [PostureAttribute: PostureFact]] = [:]
        for (id, rows) in groups where entries[id] == nil && waiting.count < Self.waitingLimit {
            waiting[id] = reader.facts(rows, call: call, now: now)
        }
        self.waiting[call] = waiting
        return change
    }

    /// Takes what a call for one endpoint said.
    public mutating func take(_ rows: [JSONTree], of call: String, endpoint id: String, now: WallTime) -> Change {
        var change = Change()
        guard entries[id] != nil else { return change }
        reader.survey(rows, call: call)
        refused.remove(call)
        entries[id]?.fetched[call] = now
        put(reader.facts(rows, call: call, now: now), call, id, now, isFresh: true, into: &change)
        return change
    }

    /// A call is not permitted: what it would say is missing for that reason, and stays so until it is answered.
    public mutating func refuse(_ call: String, now: WallTime) -> Change {
        var change = Change()
        refused.insert(call)
        let facts = missing(.permission, call)
        for id in entries.keys { put(facts, call, id, now, into: &change) }
        return change
    }

    /// Makes facts missing whose call has been silent for too long. The listing's own are judged by whoever asks, from the
    /// time of the last complete one.
    public mutating func expire(now: WallTime) -> Change {
        var change = Change()
        for call in profile.calls.dropFirst() {
            let facts = missing(.sourceUnavailable, call.name)
            guard !facts.isEmpty else { continue }
            let limit = Tick.Span.seconds(max(connection.staleSeconds, 2 * max(call.every, cycleSeconds(call))))
            if call.isPerEndpoint {
                for (id, entry) in entries {
                    guard let time = entry.fetched[call.name] ?? Self.oldest(entry, Set(facts.keys)), time + limit < now else {
                        continue
                    }
                    put(facts, call.name, id, now, into: &change)
                }
            } else if let time = answered[call.name], time + limit < now {
                for id in entries.keys { put(facts, call.name, id, now, into: &change) }
            }
        }
        return change
    }

    /// Seconds that one round of calls for each endpoint takes at the vendor's pace.
    private func cycleSeconds(_ call: CallTemplate) -> Int {
        call.isPerEndpoint ? entries.count * profile.paceSeconds / profile.paceCalls : 0
    }

    private func missing(
        _ reason: PostureOutcome.Missing, _ call: String
    ) -> [PostureAttribute: PostureFact] {
        var facts: [PostureAttribute: PostureFact] = [:]
        for (attribute, rules) in profile.attributes
        where rules.contains(where: { $0.call == call && (connection.infers || !$0.isInferred) }) {
            facts[attribute] = PostureFact(.unknown(reason))
        }
        return facts
    }

    /// Endpoints whose own call is due, the longest overdue first.
    ///
    /// - Parameters:
    ///   - watched: IDs of those that are looked at closely.
    ///   - anewSince: what was answered before that moment is due in any case.
    public func due(
        _ call: String, watched: Set<String>, anewSince: WallTime? = nil, limit: Int, now: WallTime
    ) -> [String] {
        guard let template = profile.call(call), template.isPerEndpoint else { return [] }
        var due: [(id: String, since: Int64)] = []
        for (id, entry) in entries {
            let every = watched.contains(id) ? watchedSeconds(template) : template.every
            guard let last = entry.fetched[call] else {
                // Never yet: those with a session before all others.
                due.append((id, watched.contains(id) ? .min : .min + 1))
                continue
            }
            let isOrdered = anewSince.map { last < $0 } ?? false
            let at = isOrdered ? last.nanoseconds : last.nanoseconds + Tick.Span.seconds(every).nanoseconds
            if at <= now.nanoseconds { due.append((id, watched.contains(id) ? at - (1 << 60) : at)) }
        }
        return due.sorted { $0.since < $1.since }.prefix(limit).map(\.id)
    }

    private func watchedSeconds(_ call: CallTemplate) -> Int {
        let usual = call.watchedEvery ?? call.every
        return min(usual, connection.refreshSeconds ?? usual)
    }

    /// When the next of these calls is due.
    public func nextDue(_ call: String, watched: Set<String>) -> WallTime? {
        guard let template = profile.call(call), template.isPerEndpoint else { return nil }
        var next: WallTime?
        for (id, entry) in entries {
            let every = watched.contains(id) ? watchedSeconds(template) : template.every
            let at = entry.fetched[call].map { $0 + .seconds(every) } ?? .distantPast
            next = next.map { min($0, at) } ?? at
        }
        return next
    }

    // MARK: - Parts

    private mutating func remove(_ id: String, into change: inout Change) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        change.removed.append(entry.record.key)
    }

    /// A record of the listing, which says nothing of what other calls say.
    private mutating func put(
        _ record: EndpointRecord, _ now: WallTime, isFresh: Bool = false, into change: inout Change
    ) {
        let listing = profile.listing.name
        var record = record
        let facts = record.facts
        guard var entry = entries[record.id] else {
            record.facts = [:]
            entries[record.id] = Entry(record: record)
            put(facts, listing, record.id, now, into: &change, tells: false)
            for call in profile.calls.dropFirst() {
                let known = waiting[call.name]?[record.id]
                    ?? (refused.contains(call.name) ? missing(.permission, call.name) : [:])
                put(known, call.name, record.id, now, into: &change, tells: false)
                waiting[call.name]?[record.id] = nil
            }
            if let entry = entries[record.id] { change.changed.append(entry.record) }
            return
        }
        let old = entry.record
        // A look-up that overtook this listing knows better.
        guard isFresh || old.fetchedAt <= now else { return }
        record.facts = old.facts
        record.seenAt = steady(record.seenAt, old.seenAt)
        entry.record = record
        entry.isMissed = false
        entries[record.id] = entry
        put(facts, listing, record.id, now, into: &change, tells: false)
        guard let new = entries[record.id]?.record else { return }
        var comparable = new
        comparable.fetchedAt = old.fetchedAt
        if comparable != old || isFresh { change.changed.append(new) }
    }

    private mutating func put(
        _ facts: [PostureAttribute: PostureFact], _ call: String, _ id: String, _ now: WallTime, isFresh: Bool = false,
        into change: inout Change, tells: Bool = true
    ) {
        guard var entry = entries[id] else { return }
        var isChanged = false
        for (attribute, fact) in facts {
            let rules = profile.attributes[attribute] ?? []
            var fact = fact
            if rules.count > 1 {
                entry.parts[call, default: [:]][attribute] = fact
                let said = rules.compactMap { entry.parts[$0.call]?[attribute] }
                fact = said.first { $0.outcome != .unknown(.noData) } ?? fact
            }
            guard !isSame(fact, entry.record.facts[attribute]) else { continue }
            entry.record.facts[attribute] = fact
            isChanged = true
        }
        var isOld = false
        if isFresh {
            isOld = entry.record.fetchedAt.nanoseconds &+ step < now.nanoseconds
            if isChanged || isOld { entry.record.fetchedAt = max(entry.record.fetchedAt, now) }
        }
        entries[id] = entry
        if tells, isChanged || isOld { change.changed.append(entry.record) }
    }

    /// Whether a fact says what is known already, at about the same time.
    private func isSame(_ new: PostureFact, _ old: PostureFact?) -> Bool {
        guard let old else { return false }
        guard case .value(let value, let time) = new.outcome, case .value(value, let before) = old.outcome else {
            return new == old
        }
        guard (0..<step).contains(time.nanoseconds &- before.nanoseconds) else { return false }
        var moved = old
        moved.outcome = new.outcome
        return moved == new
    }

    private func steady(_ new: WallTime?, _ old: WallTime?) -> WallTime? {
        guard let new, let old, (0..<step).contains(new.nanoseconds &- old.nanoseconds) else { return new }
        return old
    }
}

extension EndpointMirror {
    /// Times at which single calls were answered need not be stored: after a restart all are asked anew.
    private static func oldest(_ entry: Entry, _ attributes: Set<PostureAttribute>) -> WallTime? {
        var oldest: WallTime?
        for (attribute, fact) in entry.record.facts where attributes.contains(attribute) {
            guard case .value = fact.outcome else { continue }
            oldest = oldest.map { min($0, entry.record.fetchedAt) } ?? entry.record.fetchedAt
        }
        return oldest
    }
}

extension WallTime {
    /// Before everything.
    static let distantPast = WallTime(nanoseconds: .min / 2)
}
