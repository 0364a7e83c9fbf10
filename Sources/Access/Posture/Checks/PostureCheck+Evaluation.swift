public import Base

extension PostureCheck {
    /// What a check says of a device.
    public enum Verdict: String, Hashable, Codable, Sendable {
        case passes, fails
        /// All is missing, and the check does not fail for that.
        case unknown
        /// The device has another operating system.
        case notApplicable
    }

    /// Why: one line for each requirement.
    public struct Explanation: Hashable, Codable, Sendable {
        public var check: String
        public var verdict: Verdict
        public var lines: [Line]

        public struct Line: Hashable, Codable, Sendable {
            /// What is required, in words.
            public var requirement: String
            public var attribute: PostureAttribute
            public var source: String
            public var outcome: PostureOutcome
            /// The source's own word.
            public var raw: String?
            public var note: String?
            /// Nil where the value is missing.
            public var isMet: Bool?
        }

        /// What stands in the way, in words; empty for a check that passes.
        public var reasons: [String] { obstacles.map { $0.words(isForPerson: false) } }

        /// The same for the person who sits before the device.
        public var advice: [String] { obstacles.map { $0.words(isForPerson: true) } }

        private var obstacles: [Line] {
            verdict == .passes || verdict == .notApplicable ? [] : lines.filter { $0.isMet != true }
        }
    }

    /// What the check says of a device at a moment, and until when that holds if no fact changes.
    ///
    /// A device whose system is not known may be any: the check applies to it.
    public func evaluate(_ device: DeviceFacts, now: WallTime) -> (verdict: Verdict, until: WallTime?) {
        var until: WallTime?
        let system = device.system(now: now)
        if let system {
            until = system.until
            if system.family != self.system { return (.notApplicable, until) }
        }
        var missing = 0
        for requirement in requirements {
            let (outcome, change) = device.outcome(requirement.attribute, of: requirement.source, now: now)
            until = WallTime.earlier(until, change)
            switch requirement.isMet(by: outcome) {
            case true: break
            case false: return (.fails, until)
            case nil:
                if failsIfMissing { return (.fails, until) }
                missing += 1
            }
        }
        return (missing == requirements.count ? .unknown : .passes, until)
    }

    /// The same with every requirement's answer.
    public func explain(_ device: DeviceFacts, now: WallTime) -> Explanation {
        Explanation(
            check: name, verdict: evaluate(device, now: now).verdict,
            lines: requirements.map { requirement in
                let outcome = device.outcome(requirement.attribute, of: requirement.source, now: now).outcome
                let fact = device.fact(requirement.attribute, of: requirement.source)
                return Explanation.Line(
                    requirement: requirement.words, attribute: requirement.attribute, source: requirement.source,
                    outcome: outcome, raw: fact?.raw, note: fact?.note, isMet: requirement.isMet(by: outcome))
            })
    }
}

extension PostureCheck.Explanation.Line {
    fileprivate func words(isForPerson: Bool) -> String {
        switch outcome {
        case .value(let value, let observedAt):
            "\(attribute.label) is \(value)" + (isForPerson ? "" : " (\(source), observed at \(observedAt.rfc3339))")
        case .unknown(let missing):
            "\(attribute.label) is not known" + (isForPerson ? "" : ": \(missing.words) (\(source))")
        case .notSupported: "\(attribute.label) is nothing that \(source) can tell"
        }
    }
}

extension PostureCheck.Requirement {
    /// Nil where the value is missing.
    func isMet(by outcome: PostureOutcome) -> Bool? {
        guard case .value(let value, _) = outcome else { return nil }
        return values.contains { $0.accepts(value) }
    }
}

extension WallTime {
    /// The earlier of two moments, either of which may be never.
    static func earlier(_ a: WallTime?, _ b: WallTime?) -> WallTime? {
        guard let a else { return b }
        guard let b else { return a }
        return min(a, b)
    }
}
