public import Base

/// A ``PolicySet`` made ready for many decisions. Pure: the same circumstances at the same time give the same decision.
public struct PolicyRules: Sendable {
    public let set: PolicySet
    private let rules: [Rule]
    private let behaviours: [CompiledBehaviour]
    /// Which policies are for someone, as bits in the order of the policies.
    private let everyone: Bits
    private let byUser: [String: Bits]
    private let byGroup: [String: Bits]
    private let byTag: [String: Bits]
    private let anyProvider: Bits
    private let byProvider: [String: Bits]

    private struct Rule: Sendable {
        var policy: SignInPolicy
        /// Places in ``behaviours``.
        var behaviours: [Int]
    }

    private struct CompiledBehaviour: Sendable {
        var behaviour: Behaviour
        /// Places among the set's checks.
        var checks: [Int]
        var zone: TimeZoneRules
    }

    /// - Parameter zones: the time zones that behaviours are in. A behaviour whose zone is not among them goes by UTC.
    public init(_ set: PolicySet, zones: [String: TimeZoneRules] = [:]) {
        self.set = set
        let checkPlaces = Dictionary(set.checks.enumerated().map { ($1.name, $0) }) { first, _ in first }
        behaviours = set.behaviours.map { behaviour in
            var compiled = CompiledBehaviour(behaviour: behaviour, checks: [], zone: .utc)
            switch behaviour.trigger {
            case .posture(let names, _): compiled.checks = names.compactMap { checkPlaces[$0] }
            case .time(let window, _): compiled.zone = zones[window.timeZone] ?? .utc
            default: break
            }
            return compiled
        }
        let places = Dictionary(set.behaviours.enumerated().map { ($1.name, $0) }) { first, _ in first }
        var rules: [Rule] = []
        var (everyone, anyProvider) = (Bits(), Bits())
        var (byUser, byGroup, byTag, byProvider): ([String: Bits], [String: Bits], [String: Bits], [String: Bits]) =
            ([:], [:], [:], [:])
        for policy in set.policies where policy.isEnabled {
            let place = rules.count
            let audience = policy.audience
            // A behaviour that is gone never holds.
            rules.append(Rule(policy: policy, behaviours: policy.behaviours.map { places[$0] ?? -1 }))
            if audience.isEveryone { everyone.insert(place) }
            for user in audience.users { byUser[user, default: Bits()].insert(place) }
            for group in audience.groups { byGroup[Self.key(group), default: Bits()].insert(place) }
            for tag in audience.tags { byTag[Self.key(tag), default: Bits()].insert(place) }
            if audience.providers.isEmpty { anyProvider.insert(place) }
            for provider in audience.providers { byProvider[provider, default: Bits()].insert(place) }
        }
        self.rules = rules
        (self.everyone, self.anyProvider) = (everyone, anyProvider)
        (self.byUser, self.byGroup, self.byTag, self.byProvider) = (byUser, byGroup, byTag, byProvider)
    }

    /// Teams and tags are the same whatever their case.
    static func key(_ word: String) -> String { word.lowercased() }

    /// Decides about some sites: the first policy that is for the user, on the site, and whose behaviours all hold has
    /// the say about the site; where there is none, the default has.
    ///
    /// - Parameter trace: filled with how it came about, if it is not nil; that costs time.
    public func decide(
        _ circumstances: Circumstances, sites: Set<String>, now: WallTime, trace: inout PolicyTrace?
    ) -> PolicyDecision {
        var decision = PolicyDecision()
        var open = sites
        var memory = Memory(checks: set.checks.count, behaviours: behaviours.count)
        let candidates = candidates(circumstances)
        if trace != nil { noteStrangers(circumstances, candidates, &trace) }
        for place in candidates where !open.isEmpty {
            let rule = rules[place]
            let here = rule.policy.sites == .all ? open : rule.policy.sites.among(open)
            guard !here.isEmpty else {
                trace?.note(place, rule.policy.name, "is for none of the sites that are left", [])
                continue
            }
            var holds = true
            var states: [PolicyTrace.BehaviourState] = []
            for index in rule.behaviours {
                let (state, until) = index < 0 ? (false, nil) : state(of: index, circumstances, now, &memory)
                decision.until = WallTime.earlier(decision.until, until)
                if trace != nil, index >= 0 { states.append(explain(index, state, circumstances, now, &trace)) }
                if !state {
                    holds = false
                    break
                }
            }
            guard holds else {
                let name = states.last.map { "behaviour \"\($0.name)\" does not hold" } ?? "a behaviour is missing"
                trace?.note(place, rule.policy.name, name, states)
                continue
            }
            open.subtract(here)
            let ruling = PolicyDecision.Ruling(policy: rule.policy.name, action: rule.policy.action, sites: here)
            decision.take(ruling)
            trace?.match(place, ruling, states)
        }
        if !open.isEmpty {
            let ruling = PolicyDecision.Ruling(policy: nil, action: set.defaultAction, sites: open)
            decision.take(ruling)
            trace?.match(rules.count, ruling, [])
        }
        trace?.sort()
        return decision
    }

    /// The same without a trace.
    public func decide(_ circumstances: Circumstances, sites: Set<String>, now: WallTime) -> PolicyDecision {
        var trace: PolicyTrace?
        return decide(circumstances, sites: sites, now: now, trace: &trace)
    }

    /// The places of the policies that are for someone, in order.
    private func candidates(_ circumstances: Circumstances) -> Bits {
        var bits = everyone
        if !byUser.isEmpty, let more = byUser[circumstances.user] { bits.formUnion(more) }
        if !byGroup.isEmpty {
            for group in circumstances.groups { if let more = byGroup[Self.key(group)] { bits.formUnion(more) } }
        }
        if !byTag.isEmpty {
            for tag in circumstances.tags { if let more = byTag[Self.key(tag)] { bits.formUnion(more) } }
        }
        var providers = anyProvider
        if !byProvider.isEmpty, let provider = circumstances.provider, let more = byProvider[provider] {
            providers.formUnion(more)
        }
        return bits.intersection(providers)
    }

    /// The places of policies by name.
    func places(of names: Set<String>) -> Bits {
        var bits = Bits()
        for (place, rule) in rules.enumerated() where names.contains(rule.policy.name) { bits.insert(place) }
        return bits
    }

    func isAny(of places: Bits, for circumstances: Circumstances) -> Bool {
        candidates(circumstances).intersection(places).contains { _ in true }
    }

    // MARK: - Behaviours

    /// What was found in one decision: no check is asked twice.
    private struct Memory {
        var checks: [(verdict: PostureCheck.Verdict, until: WallTime?)?]
        var behaviours: [(Bool, WallTime?)?]

        init(checks: Int, behaviours: Int) {
            self.checks = Array(repeating: nil, count: checks)
            self.behaviours = Array(repeating: nil, count: behaviours)
        }
    }

    private func state(
        of index: Int, _ circumstances: Circumstances, _ now: WallTime, _ memory: inout Memory
    ) -> (Bool, WallTime?) {
        if let known = memory.behaviours[index] { return known }
        let compiled = behaviours[index]
        let result: (Bool, WallTime?)
        switch compiled.behaviour.trigger {
        case .posture(_, let trigger):
            var until: WallTime?
            var (passes, fails) = (0, 0)
            for place in compiled.checks {
                let (verdict, change) = self.verdict(place, circumstances.device, now, &memory)
                until = WallTime.earlier(until, change)
                if verdict == .passes { passes += 1 }
                if verdict == .fails { fails += 1 }
                if verdict == .unknown, trigger == .passes { fails += 1 }
            }
            result = (trigger == .passes ? passes > 0 && fails == 0 : fails > 0, until)
        case .network(let networks, let isInside):
            result = (networks.contains { $0.contains(circumstances.address) } == isInside, nil)
        case .time(let window, let isInside):
            let (isIn, until) = window.state(at: now, compiled.zone)
            result = (isIn == isInside, until)
        case .newDevice(let isNew): result = (circumstances.isNewDevice == isNew, nil)
        case .risk(let users, let groups):
            let isListed =
                users.contains { User.key($0) == circumstances.user }
                || groups.contains { listed in circumstances.groups.contains { Self.key($0) == Self.key(listed) } }
            result = (isListed, nil)
        }
        memory.behaviours[index] = result
        return result
    }

    private func verdict(
        _ place: Int, _ device: DeviceFacts, _ now: WallTime, _ memory: inout Memory
    ) -> (verdict: PostureCheck.Verdict, until: WallTime?) {
        if let known = memory.checks[place] { return known }
        let result = set.checks[place].evaluate(device, now: now)
        memory.checks[place] = result
        return result
    }

    // MARK: - Why

    private func explain(
        _ index: Int, _ holds: Bool, _ circumstances: Circumstances, _ now: WallTime, _ trace: inout PolicyTrace?
    ) -> PolicyTrace.BehaviourState {
        let compiled = behaviours[index]
        let checks = compiled.checks.map { set.checks[$0] }
        for check in checks where trace?.checks.contains(where: { $0.check == check.name }) == false {
            trace?.checks.append(check.explain(circumstances.device, now: now))
        }
        return PolicyTrace.BehaviourState(
            name: compiled.behaviour.name, holds: holds, words: compiled.behaviour.words, checks: checks.map(\.name))
    }

    private func noteStrangers(_ circumstances: Circumstances, _ candidates: Bits, _ trace: inout PolicyTrace?) {
        for (place, rule) in rules.enumerated() where !candidates.contains(place) {
            trace?.note(place, rule.policy.name, "is for \(rule.policy.audience.words)", [])
        }
    }

    /// Why a decision keeps something back: the ruling, the behaviours that it rests on, and what of the device would
    /// have to be otherwise.
    public func refusal(
        _ decision: PolicyDecision, _ circumstances: Circumstances, sites: Set<String>, now: WallTime
    ) -> PolicyRefusal {
        var trace: PolicyTrace? = PolicyTrace()
        _ = decide(circumstances, sites: sites, now: now, trace: &trace)
        guard let denial = decision.denial, let trace else {
            return PolicyRefusal(policy: nil, reason: "no policy allows it")
        }
        let explanations = Dictionary(trace.checks.map { ($0.check, $0) }) { first, _ in first }
        var advice: [String] = []
        var grounds: [String] = []
        var unmet: [String] = []
        func asked(_ state: PolicyTrace.BehaviourState) -> [PostureCheck.Explanation] {
            state.checks.compactMap { explanations[$0] }
        }
        for step in trace.steps {
            if step.policy == denial.policy, step.isMatch {
                for state in step.behaviours {
                    let why = asked(state).flatMap(\.reasons)
                    grounds.append(state.words + (why.isEmpty ? "" : ": \(why.joined(separator: "; "))"))
                    advice += asked(state).flatMap(\.advice)
                }
                break
            }
            // What would have let in before it came to that.
            guard let last = step.behaviours.last, !last.holds, let policy = step.policy,
                let action = set.policies.first(where: { $0.name == policy })?.action, !action.isDenial
            else { continue }
            let why = asked(last).flatMap(\.reasons)
            unmet.append(
                "policy \"\(policy)\" does not allow it, since not \(last.words)"
                    + (why.isEmpty ? "" : ": \(why.joined(separator: "; "))"))
            advice += asked(last).flatMap(\.advice)
        }
        var reason = denial.words + (denial.action.isDenial ? " denies it" : " allows less")
        if !grounds.isEmpty { reason += ", since \(grounds.joined(separator: ", and "))" }
        if !unmet.isEmpty { reason += " (\(unmet.joined(separator: "; ")))" }
        var seen: Set<String> = []
        return PolicyRefusal(
            policy: denial.policy, reason: reason, advice: advice.filter { seen.insert($0).inserted },
            notifies: decision.notifies)
    }
}

extension PolicyDecision {
    fileprivate mutating func take(_ ruling: Ruling) {
        rulings.append(ruling)
        switch ruling.action {
        case .allow: sites.formUnion(ruling.sites)
        case .allowOnly(let some): sites.formUnion(some.among(ruling.sites))
        case .deny, .denyAndNotify: break
        }
    }
}

extension PolicyTrace {
    fileprivate mutating func note(_ place: Int, _ policy: String, _ words: String, _ states: [BehaviourState]) {
        steps.append(Step(policy: policy, isMatch: false, words: words, behaviours: states))
        places.append(place)
    }

    fileprivate mutating func match(_ place: Int, _ ruling: PolicyDecision.Ruling, _ states: [BehaviourState]) {
        steps.append(
            Step(
                policy: ruling.policy, isMatch: true,
                words: "\(ruling.action.words), for \(ruling.sites.sorted().joined(separator: ", "))", behaviours: states))
        places.append(place)
    }

    /// In the order of the policies.
    fileprivate mutating func sort() {
        steps = zip(places, steps).sorted { $0.0 < $1.0 }.map(\.1)
        places = []
    }
}
