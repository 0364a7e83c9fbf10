/// All that decides about sign-ins: checks, behaviours and policies in their order, and what holds where none of them
/// decides.
public struct PolicySet: Hashable, Codable, Sendable {
    public var checks: [PostureCheck]
    public var behaviours: [Behaviour]
    /// The first that matches decides.
    public var policies: [SignInPolicy]
    /// For whom and where no policy matches.
    public var defaultAction: SignInPolicy.Action

    public init(
        checks: [PostureCheck] = [], behaviours: [Behaviour] = [], policies: [SignInPolicy] = [],
        defaultAction: SignInPolicy.Action = .allow
    ) {
        self.checks = checks
        self.behaviours = behaviours
        self.policies = policies
        self.defaultAction = defaultAction
    }

    /// What a set is judged against before it is used.
    public struct World: Sendable {
        public var sources: [PostureSource]
        /// Connectors, by ID.
        public var sites: Set<String>
        /// Identity providers, by ID.
        public var providers: Set<String>
        /// Whether there is a time zone of that name.
        public var hasTimeZone: @Sendable (String) -> Bool

        public init(
            sources: [PostureSource], sites: Set<String>, providers: Set<String>,
            hasTimeZone: @escaping @Sendable (String) -> Bool
        ) {
            self.sources = sources
            self.sites = sites
            self.providers = providers
            self.hasTimeZone = hasTimeZone
        }
    }

    /// Everything that keeps the set from being used, one sentence each.
    public func faults(in world: World) -> [String] {
        var faults: [String] = []
        func name(_ name: String, _ what: String) {
            if name.isEmpty || name.utf8.count > 64
                || name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
            {
                faults.append("'\(name)' is no name for a \(what): 1 to 64 characters that print.")
            }
        }
        func unique(_ names: [String], _ what: String) {
            var seen: Set<String> = []
            for name in names where !seen.insert(name).inserted { faults.append("The \(what) \(name) is there twice.") }
        }
        unique(checks.map(\.name), "posture check")
        unique(behaviours.map(\.name), "behaviour")
        unique(policies.map(\.name), "policy")
        let sources = Dictionary(world.sources.map { ($0.name, $0) }) { first, _ in first }
        for check in checks {
            name(check.name, "posture check")
            faults += self.faults(of: check, sources)
        }
        let known = Set(checks.map(\.name))
        for behaviour in behaviours {
            name(behaviour.name, "behaviour")
            if let fault = Self.fault(of: behaviour, checks: known, world) {
                faults.append("Behaviour \(behaviour.name) \(fault).")
            }
        }
        let names = Set(behaviours.map(\.name))
        for policy in policies {
            name(policy.name, "policy")
            for missing in policy.behaviours where !names.contains(missing) {
                faults.append("Policy \(policy.name) names the behaviour \(missing), which does not exist.")
            }
            for missing in policy.audience.providers where !world.providers.contains(missing) {
                faults.append("Policy \(policy.name) names the identity provider \(missing), which does not exist.")
            }
            var named = [policy.sites]
            if case .allowOnly(let sites) = policy.action { named.append(sites) }
            for case .only(let sites) in named {
                for site in sites.sorted() where !world.sites.contains(site) {
                    faults.append("Policy \(policy.name) names the site \(site), which does not exist.")
                }
            }
        }
        if case .allowOnly(let sites) = defaultAction, case .only(let some) = sites {
            for site in some.sorted() where !world.sites.contains(site) {
                faults.append("The default names the site \(site), which does not exist.")
            }
        }
        return faults
    }

    private func faults(of check: PostureCheck, _ sources: [String: PostureSource]) -> [String] {
        var faults: [String] = []
        if !PostureCheck.systems.contains(check.system) {
            faults.append("Posture check \(check.name) is for \(check.system.label), for which there are none.")
        }
        if check.requirements.isEmpty { faults.append("Posture check \(check.name) requires nothing.") }
        for requirement in check.requirements {
            if let fault = requirement.fault { faults.append("Posture check \(check.name): \(fault).") }
            guard let source = sources[requirement.source] else {
                faults.append(
                    "Posture check \(check.name) asks \(requirement.source), which is no connection to an endpoint "
                        + "protection platform. `gatehouse epp list` shows those there are.")
                continue
            }
            if !source.supports.contains(requirement.attribute) {
                faults.append(
                    "Posture check \(check.name): \(source.name) (\(source.vendor)) cannot tell "
                        + "\(requirement.attribute.label).")
            }
        }
        return faults
    }

    private static func fault(of behaviour: Behaviour, checks: Set<String>, _ world: World) -> String? {
        switch behaviour.trigger {
        case .posture(let names, _):
            if names.isEmpty { return "names no posture check" }
            return names.first { !checks.contains($0) }.map { "names the posture check \($0), which does not exist" }
        case .network(let networks, _): return networks.isEmpty ? "names no network" : nil
        case .time(let window, _):
            if let fault = window.fault { return fault }
            return world.hasTimeZone(window.timeZone)
                ? nil : "names the time zone \(window.timeZone), which this machine does not have (package tzdata)"
        case .newDevice: return nil
        case .risk(let users, let groups): return users.isEmpty && groups.isEmpty ? "lists nobody" : nil
        }
    }

    /// What an administrator should know of a set that can be used all the same, one sentence each: groups and tags that
    /// nobody has, by which a policy or a behaviour never holds. A user who comes later may have them, so they are no
    /// faults.
    ///
    /// - Parameters:
    ///   - groups: the groups of all users.
    ///   - tags: their tags.
    public func remarks(groups: Set<String>, tags: Set<String>) -> [String] {
        let (groups, tags) = (Set(groups.map(PolicyRules.key)), Set(tags.map(PolicyRules.key)))
        var remarks: [String] = []
        for policy in policies where policy.isEnabled {
            for group in policy.audience.groups where !groups.contains(PolicyRules.key(group)) {
                let advice =
                    tags.contains(PolicyRules.key(group))
                    ? "'\(group)' is a tag: name it with --tag." : Self.groupOrigins
                remarks.append("Policy \(policy.name) is for the group '\(group)', which no user is in; \(advice)")
            }
            for tag in policy.audience.tags where !tags.contains(PolicyRules.key(tag)) {
                let advice = groups.contains(PolicyRules.key(tag)) ? "; '\(tag)' is a group: name it with --group." : "."
                remarks.append("Policy \(policy.name) is for the tag '\(tag)', which no user has\(advice)")
            }
        }
        // What disabled policies alone ask is asked by nobody.
        let asked = Set(policies.filter(\.isEnabled).flatMap(\.behaviours))
        let idle = Set(policies.flatMap(\.behaviours)).subtracting(asked)
        for behaviour in behaviours where !idle.contains(behaviour.name) {
            guard case .risk(_, let listed) = behaviour.trigger else { continue }
            for group in listed where !groups.contains(PolicyRules.key(group)) {
                let advice =
                    tags.contains(PolicyRules.key(group))
                    ? "'\(group)' is a tag, which a policy names with --tag and a risk list does not know."
                    : Self.groupOrigins
                remarks.append("Behaviour \(behaviour.name) lists the group '\(group)', which no user is in; \(advice)")
            }
        }
        return remarks
    }

    private static let groupOrigins =
        "a group is a team, or one that an identity provider sends, and one chosen in a directory is a tag."

    /// The names of the time zones that behaviours are in.
    public var timeZones: Set<String> {
        Set(behaviours.compactMap { if case .time(let window, _) = $0.trigger { window.timeZone } else { nil } })
    }

    /// The checks that ask a source.
    public func checks(asking source: String) -> [String] {
        checks.filter { $0.requirements.contains { $0.source == source } }.map(\.name)
    }
}
