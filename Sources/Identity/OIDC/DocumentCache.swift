public import Base

/// What providers publish, by provider, for as long as it may be kept: discovery documents and key sets.
///
/// Bounded in every direction: a document is not asked for again within minutes, whatever a token claims, and an old
/// one outlives a provider's outage for a day.
public struct DocumentCache<Document: Sendable>: Sendable {
    /// Bounds of what a provider says of how long a document is fresh.
    static var shortestLife: Tick.Span { .seconds(5 * 60) }
    static var longestLife: Tick.Span { .seconds(24 * 3600) }
    /// For a document without a word about it.
    static var usualLife: Tick.Span { .seconds(3600) }
    /// Beyond its life, while it cannot be had anew.
    static var grace: Tick.Span { .seconds(24 * 3600) }
    /// Between two refetches that an unknown key asks for.
    static var pause: Tick.Span { .seconds(5 * 60) }
    /// Between two tries after one that failed.
    static var retry: Tick.Span { .seconds(10) }

    /// What to do about a document.
    public enum Plan: Sendable {
        case use(Document)
        /// Fetch it; an old one serves when that fails.
        case fetch(old: Document?)
        /// There is none, and it was asked for a moment ago.
        case wait
    }

    private struct Entry {
        var source: String
        var document: Document?
        var freshUntil: Tick
        /// When it was asked for because of an unknown key.
        var forced: Tick?
        var failed: Tick?
    }

    private var entries: [String: Entry] = [:]

    public init() {}

    /// - Parameters:
    ///   - source: where the document is; another place makes the old one worthless.
    ///   - suffices: whether the document at hand will do, such as a key set that has the token's key.
    public mutating func plan(
        _ provider: String, source: String, now: Tick, suffices: (Document) -> Bool = { _ in true }
    ) -> Plan {
        guard let entry = entries[provider], entry.source == source else { return .fetch(old: nil) }
        let isResting = entry.failed.map { now - $0 < Self.retry } ?? false
        guard let document = entry.document, now < entry.freshUntil + Self.grace else {
            return isResting ? .wait : .fetch(old: nil)
        }
        guard !isResting else { return .use(document) }
        guard now < entry.freshUntil else { return .fetch(old: document) }
        guard !suffices(document) else { return .use(document) }
        // An unknown key may be a new one, or an attacker's: a refetch now and then.
        if let forced = entry.forced, now - forced < Self.pause { return .use(document) }
        entries[provider]?.forced = now
        return .fetch(old: document)
    }

    /// - Parameter maxAge: seconds that the answer may be kept, if it says so.
    public mutating func store(_ document: Document, _ provider: String, source: String, maxAge: Int?, now: Tick) {
        let said = maxAge.map { Tick.Span.seconds(min($0, 7 * 24 * 3600)) } ?? Self.usualLife
        let life = min(max(said, Self.shortestLife), Self.longestLife)
        let forced = entries[provider].flatMap { $0.source == source ? $0.forced : nil }
        entries[provider] = Entry(source: source, document: document, freshUntil: now + life, forced: forced)
    }

    /// The document could not be had; the old one stays.
    public mutating func fail(_ provider: String, source: String, now: Tick) {
        if let entry = entries[provider], entry.source == source {
            entries[provider]?.failed = now
        } else {
            entries[provider] = Entry(source: source, freshUntil: now, failed: now)
        }
    }

    /// Forgets a provider that was removed or changed.
    public mutating func remove(_ provider: String) { entries[provider] = nil }
}

extension JSONWebKeySet {
    /// Whether the set has the key that a token names. One that names none, or cannot be read, asks for no refetch.
    public func mayHaveKey(of token: String) -> Bool {
        guard let jws = try? CompactJWS(token), RelyingParty.algorithms.contains(jws.algorithm) else { return true }
        guard let id = jws.keyID else { return keys.contains { $0.algorithm == jws.algorithm } }
        return keys.contains { $0.id == id } || unusable[id] != nil
    }
}
