public import Base
public import Cryptography

/// The access tokens at hand, and what to do when one is wanted: an engine, which somebody else fetches for.
///
/// One fetch at a time for each grant; an old token serves while a new one cannot be had; a refusal that only another
/// configuration can mend is asked about again once an hour at most.
public struct TokenCache: Sendable {
    /// Between two tries after a refusal that stays.
    static let restAfterFinal = Tick.Span.seconds(3600)
    /// Between two tries after another failure.
    static let restAfterFailure = Tick.Span.seconds(5)

    public enum Plan: Hashable, Sendable {
        case use(AccessToken)
        /// Fetch one and say how that went; an old one serves when it fails.
        case fetch
        /// Somebody fetches: wait for that.
        case wait
        /// It was refused, and nothing has changed since.
        case refused(OAuthRefusal)
    }

    private struct Entry {
        var token: AccessToken?
        var isFetching = false
        var refusal: OAuthRefusal?
        var restsUntil = Tick.zero
    }

    private var entries: [OAuthGrant: Entry] = [:]

    public init() {}

    /// What to do for a grant. An answer ``Plan/fetch`` must be followed by ``store(_:for:)`` or ``fail(_:for:now:)``.
    public mutating func plan(_ grant: OAuthGrant, now: Tick) -> Plan {
        var entry = entries[grant] ?? Entry()
        let living = entry.token.flatMap { now < $0.expiresAt ? $0 : nil }
        if let living, now < living.renewAt || entry.isFetching || now < entry.restsUntil { return .use(living) }
        if entry.isFetching { return .wait }
        if let refusal = entry.refusal, now < entry.restsUntil { return .refused(refusal) }
        entry.isFetching = true
        entries[grant] = entry
        return .fetch
    }

    /// A token came.
    public mutating func store(_ token: AccessToken, for grant: OAuthGrant) {
        entries[grant] = Entry(token: token)
    }

    /// None came. Nil for a call that was not answered at all.
    ///
    /// - Returns: the old token, where it still serves.
    public mutating func fail(_ refusal: OAuthRefusal?, for grant: OAuthGrant, now: Tick) -> AccessToken? {
        var entry = entries[grant] ?? Entry()
        entry.isFetching = false
        entry.refusal = refusal
        entry.restsUntil = now + (refusal?.isFinal == true ? Self.restAfterFinal : Self.restAfterFailure)
        entries[grant] = entry
        return entry.token.flatMap { now < $0.expiresAt ? $0 : nil }
    }

    /// The API refused a token (401): that one, and not a newer one, is of no use any more.
    public mutating func drop(_ value: Secret, for grant: OAuthGrant) {
        guard entries[grant]?.token?.value == value else { return }
        entries[grant]?.token = nil
    }

    /// Forgets what was refused and given to a connection: it was changed or removed.
    public mutating func forget(connection: String) {
        entries = entries.filter { $0.key.connection != connection || $0.value.isFetching }
        for grant in entries.keys where grant.connection == connection {
            entries[grant]?.token = nil
            entries[grant]?.refusal = nil
        }
    }
}
