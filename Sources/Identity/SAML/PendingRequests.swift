public import Base

/// Requests that were sent and not answered yet. Each belongs to one browser, is good for one answer, and not for long.
public struct PendingRequests: Sendable {
    public struct Pending: Hashable, Sendable {
        /// The identifier of the provider that was asked.
        public var provider: String
        public var relayState: String
        /// What the browser's cookie says: only the browser that asked may answer.
        public var browser: String
        public var deadline: Tick
    }

    /// Seconds that a person has to sign in at the provider.
    public static let lifetimeSeconds = 15 * 60
    /// Requests kept; the oldest go first.
    public static let limit = 20_000
    /// Requests kept of one client; its own oldest go first.
    public static let clientLimit = 20

    private var requests = PendingTable<Pending>(limit: limit, clientLimit: clientLimit)

    public init() {}

    public var count: Int { requests.count }

    /// - Parameters:
    ///   - provider: the identifier of the provider that is asked.
    ///   - browser: what the browser's cookie says.
    ///   - address: where the browser is.
    public mutating func add(
        _ request: AuthnRequest, to provider: String, from browser: String, at address: IPAddress, now: Tick
    ) {
        let deadline = now + .seconds(Self.lifetimeSeconds)
        requests.add(
            Pending(provider: provider, relayState: request.relayState, browser: browser, deadline: deadline),
            named: request.id, from: address, until: deadline, now: now)
    }

    /// The request of that ID, if `browser` sent it, `provider` got it, and it came back with its RelayState. Stays
    /// pending, for the answer has yet to be verified.
    public func find(
        _ id: String, provider: String, relayState: String?, browser: String?, now: Tick
    ) -> Pending? {
        guard let pending = requests[id], pending.deadline > now, pending.provider == provider,
            pending.browser == browser, pending.relayState == relayState
        else { return nil }
        return pending
    }

    /// An answer was accepted: there is none after it.
    public mutating func finish(_ id: String) { requests.remove(id) }
}

/// Assertions that were accepted, kept until they could not be accepted any more: none is accepted twice
/// (SAML profiles §4.1.4.5).
public struct ReplayCache: Sendable {
    /// One used assertion, as it is stored.
    public struct Entry: Hashable, Sendable {
        public var issuer: String
        public var assertionID: String
        /// From then on the assertion is refused as expired anyway.
        public var until: WallTime

        public init(issuer: String, assertionID: String, until: WallTime) {
            self.issuer = issuer
            self.assertionID = assertionID
            self.until = until
        }
    }

    private struct Key: Hashable {
        var issuer: String
        var assertionID: String
    }

    private var entries: [Key: WallTime] = [:]
    private var nextSweep: WallTime?

    public init(_ entries: [Entry] = []) {
        for entry in entries { self.entries[Key(issuer: entry.issuer, assertionID: entry.assertionID)] = entry.until }
    }

    public var count: Int { entries.count }

    /// Takes note of a response; throws when its assertion was used before. What comes back must be stored before
    /// anyone is let in.
    public mutating func use(
        _ response: VerifiedResponse, clockSkewSeconds: Int, now: WallTime
    ) throws(SAMLRefusal) -> Entry {
        sweep(now)
        let key = Key(issuer: response.issuer, assertionID: response.assertionID)
        guard entries[key] == nil else {
            throw SAMLRefusal(
                .replay, "The assertion \(response.assertionID.quoted) was used before, and is good for one sign-in. Was "
                    + "the page reloaded?")
        }
        // A second more than it could be accepted.
        let until = response.notOnOrAfter + .seconds(clockSkewSeconds + 1)
        entries[key] = until
        return Entry(issuer: response.issuer, assertionID: response.assertionID, until: until)
    }

    private mutating func sweep(_ now: WallTime) {
        guard nextSweep.map({ $0 <= now }) ?? true else { return }
        entries = entries.filter { $0.value > now }
        nextSweep = now + .seconds(60)
    }
}

/// Where somebody may be led after a sign-in.
public enum LocalPath {
    /// The path that a RelayState of a stranger names, if it is one on this gateway and nothing else; `/` otherwise.
    public static func from(relayState: String?) -> String {
        guard let text = relayState, text.hasPrefix("/"), !text.hasPrefix("//"), text.utf8.count <= 200,
            text.utf8.allSatisfy({
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || "/-_".utf8.contains($0)
            }), !text.contains("//")
        else { return "/" }
        return text
    }
}
