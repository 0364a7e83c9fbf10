public import Base

extension EndpointRecord {
    /// What is known of an attribute at a moment: a value that is too old is none.
    ///
    /// - Returns: the outcome, and the moment at which it becomes another by age alone; nil for never.
    public func outcome(
        _ attribute: PostureAttribute, of source: PostureSource, now: WallTime
    ) -> (outcome: PostureOutcome, until: WallTime?) {
        guard source.supports.contains(attribute) else { return (.notSupported, nil) }
        guard let fact = facts[attribute] else { return (.unknown(.noData), nil) }
        guard case .value(_, let observedAt) = fact.outcome else { return (fact.outcome, nil) }
        // A clock ahead of ours makes nothing younger than now.
        let observedUntil = min(observedAt, now) + .seconds(source.maximumAgeSeconds(attribute))
        let fetchedUntil = max(fetchedAt, source.completedAt ?? fetchedAt) + .seconds(source.staleSeconds)
        if fetchedUntil <= now { return (.unknown(.sourceUnavailable), nil) }
        if observedUntil <= now { return (.unknown(.stale), nil) }
        let until = min(observedUntil, fetchedUntil)
        guard fact.restsOnAbsence, attribute != .agentInstalled else { return (fact.outcome, until) }
        let installed = outcome(.agentInstalled, of: source, now: now)
        switch installed.outcome {
        case .value(.flag(true), _): return (fact.outcome, min(until, installed.until ?? until))
        case .value, .notSupported: return (.unknown(.notEnrolled), nil)
        case .unknown(let missing): return (.unknown(missing), nil)
        }
    }
}
