public import Base

/// By what it is known which device is at an address, the surest first.
public enum MatchLevel: String, Hashable, Codable, CaseIterable, Comparable, Sendable {
    /// The hardware address of the card.
    case mac
    /// The device of the sign-in, and nothing speaks against it.
    case session
    /// The source saw the device at the address within the hour.
    case address
    /// The name that the device gave to the DHCP server.
    case hostName = "host-name"
    /// The source says that the user was the last to sign in on it.
    case user

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    /// The surer is the greater.
    public static func < (a: MatchLevel, b: MatchLevel) -> Bool { a.rank > b.rank }

    public var confidence: String {
        switch self {
        case .mac: "certain"
        case .session: "as at the sign-in"
        case .address: "likely"
        case .hostName: "weak"
        case .user: "a guess"
        }
    }

    public var words: String {
        switch self {
        case .mac: "by MAC address"
        case .session: "as at the sign-in"
        case .address: "by the address that it was seen at lately"
        case .hostName: "by host name"
        case .user: "by its last signed-in user"
        }
    }
}

/// What is known of the device at an address, from every source.
public struct DeviceFacts: Hashable, Codable, Sendable {
    /// In the order of their names.
    public var sources: [SourceFacts]

    public init(sources: [SourceFacts] = []) { self.sources = sources }

    /// What one source knows.
    public struct SourceFacts: Hashable, Codable, Sendable {
        public var source: PostureSource
        public var match: Match

        public init(source: PostureSource, match: Match) {
            self.source = source
            self.match = match
        }
    }

    public enum Match: Hashable, Codable, Sendable {
        case found(EndpointRecord, by: MatchLevel)
        /// Found, but less surely than is asked for.
        case tooWeak(EndpointKey, by: MatchLevel)
        case ambiguous([EndpointKey], by: MatchLevel)
        /// None; `isCertain` when the hardware address is known, so that it can be said that it is none of the source's.
        case none(isCertain: Bool)
    }

    /// What a source has of an attribute, without regard to age.
    public func fact(_ attribute: PostureAttribute, of source: String) -> PostureFact? {
        guard let facts = sources.first(where: { $0.source.name == source }), case .found(let record, _) = facts.match
        else { return nil }
        return record.facts[attribute]
    }

    /// What is known of an attribute from one source, and until when that holds by age.
    public func outcome(
        _ attribute: PostureAttribute, of source: String, now: WallTime
    ) -> (outcome: PostureOutcome, until: WallTime?) {
        guard let facts = sources.first(where: { $0.source.name == source }) else {
            return (.unknown(.sourceUnavailable), nil)
        }
        return facts.outcome(attribute, now: now)
    }

    /// The family of the operating system, by the first source that knows it; nil where none does.
    public func system(now: WallTime) -> (family: OperatingSystem.Family, until: WallTime?)? {
        for facts in sources {
            let (outcome, until) = facts.outcome(.os, now: now)
            if case .value(.operatingSystem(let system), _) = outcome { return (system.family, until) }
        }
        return nil
    }

    /// The devices of the sources that were found.
    public var endpoints: [EndpointKey] {
        sources.compactMap { if case .found(let record, _) = $0.match { record.key } else { nil } }
    }

    /// The same facts as if they had been observed later by the same span as the question is asked later.
    public func aged(from now: WallTime, to time: WallTime) -> DeviceFacts {
        let span = Tick.Span(nanoseconds: time.nanoseconds &- now.nanoseconds)
        var result = self
        for index in result.sources.indices {
            result.sources[index].source.completedAt = result.sources[index].source.completedAt.map { $0 + span }
            guard case .found(var record, let level) = result.sources[index].match else { continue }
            record.fetchedAt = record.fetchedAt + span
            record.facts = record.facts.mapValues { fact in
                guard case .value(let value, let observedAt) = fact.outcome else { return fact }
                return PostureFact(.value(value, observedAt: observedAt + span), raw: fact.raw, note: fact.note)
            }
            result.sources[index].match = .found(record, by: level)
        }
        return result
    }

    /// What people call the device: the host name that is surest, else the vendor's ID.
    public var name: String? {
        var best: (record: EndpointRecord, level: MatchLevel)?
        for case .found(let record, let level) in sources.map(\.match) where best.map({ level > $0.level }) ?? true {
            best = (record, level)
        }
        return best.map { $0.record.hostName ?? $0.record.key.description }
    }
}

extension DeviceFacts.SourceFacts {
    func outcome(_ attribute: PostureAttribute, now: WallTime) -> (outcome: PostureOutcome, until: WallTime?) {
        guard source.supports.contains(attribute) else { return (.notSupported, nil) }
        switch match {
        case .found(let record, _): return record.outcome(attribute, of: source, now: now)
        case .tooWeak, .none(isCertain: false): return (.unknown(.notIdentified), nil)
        case .ambiguous: return (.unknown(.ambiguous), nil)
        case .none(isCertain: true):
            // That it is not there is known only from a complete answer, and ages with it.
            guard let completedAt = source.completedAt else { return (.unknown(.sourceUnavailable), nil) }
            let until = completedAt + .seconds(source.staleSeconds)
            guard until > now else { return (.unknown(.sourceUnavailable), nil) }
            let outcome: PostureOutcome =
                attribute == .agentInstalled
                ? .value(.flag(false), observedAt: completedAt) : .unknown(.notEnrolled)
            return (outcome, until)
        }
    }
}
