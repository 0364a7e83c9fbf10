import Base
import Testing

@testable import Access

@Suite struct PolicyRulesTests {
    static let windows = PostureCheck(
        name: "windows", system: .windows,
        requirements: [
            .init(source: "s1", attribute: .avAgentOutdated, condition: .isEqualTo, values: [.flag(false)]),
            .init(source: "s1", attribute: .infected, condition: .isEqualTo, values: [.flag(false)]),
        ])

    /// "Windows machines must have an up-to-date agent and no infection, by SentinelOne; people in Finance may only come
    /// from such machines."
    static let example = PolicySet(
        checks: [windows],
        behaviours: [
            Behaviour(name: "healthy Windows", trigger: .posture(checks: ["windows"], trigger: .passes)),
            Behaviour(name: "unhealthy Windows", trigger: .posture(checks: ["windows"], trigger: .fails)),
        ],
        policies: [
            SignInPolicy(name: "Windows must be healthy", behaviours: ["unhealthy Windows"], action: .deny),
            SignInPolicy(
                name: "Finance from healthy Windows", audience: .init(groups: ["Finance"]),
                behaviours: ["healthy Windows"], action: .allow),
            SignInPolicy(name: "Finance, else", audience: .init(groups: ["Finance"]), action: .denyAndNotify),
        ])

    private func circumstances(
        _ record: EndpointRecord?, groups: [String] = [], isCertain: Bool = true
    ) -> Circumstances {
        Circumstances(
            user: "ann@example.org", groups: groups, address: address("10.1.0.10"),
            device: DeviceFacts(sources: [
                .init(
                    source: .sample(),
                    match: record.map { .found($0, by: .mac) } ?? .none(isCertain: isCertain))
            ]))
    }

    @Test func theExampleHoldsAsItIsWritten() {
        let rules = PolicyRules(Self.example)
        func decide(_ record: EndpointRecord?, _ groups: [String] = []) -> PolicyDecision {
            rules.decide(circumstances(record, groups: groups), sites: ["a", "b"], now: noon)
        }
        let (good, infected) = (EndpointRecord.sample("1"), EndpointRecord.sample("1", infected: true))
        let (old, mac) = (EndpointRecord.sample("1", outdated: true), EndpointRecord.sample("2", os: .macOS))
        #expect(decide(good).sites == ["a", "b"] && decide(good, ["finance"]).sites == ["a", "b"])
        #expect(decide(infected).sites.isEmpty && decide(old).sites.isEmpty && decide(infected, ["Finance"]).sites.isEmpty)
        // Others may come from a Mac, people in Finance not.
        #expect(decide(mac).sites == ["a", "b"] && decide(mac, ["Finance"]).sites.isEmpty)
        #expect(decide(mac, ["Finance"]).notifies && !decide(infected, ["Finance"]).notifies)
        // A device that nobody knows may be a Windows machine.
        #expect(decide(nil).sites.isEmpty)

        let asked = circumstances(infected, groups: ["Finance"])
        let refusal = rules.refusal(decide(infected, ["Finance"]), asked, sites: ["a", "b"], now: noon)
        #expect(refusal.policy == "Windows must be healthy" && refusal.advice == ["Device Infected is yes"])
        #expect(refusal.reason.contains("Device Infected is yes (s1, observed at 2026-11-25T11:59:00"))
        let other = rules.refusal(decide(mac, ["Finance"]), circumstances(mac, groups: ["Finance"]), sites: ["a"], now: noon)
        #expect(other.reason.contains("\"Finance from healthy Windows\" does not allow it"))
    }

    @Test func theFirstThatMatchesDecidesSiteBySite() {
        let set = PolicySet(
            policies: [
                SignInPolicy(name: "off", isEnabled: false, action: .deny),
                SignInPolicy(name: "b is closed", sites: .only(["b"]), action: .deny),
                SignInPolicy(
                    name: "fewer", audience: .init(tags: ["guest"]), action: .allowOnly(sites: .only(["a", "b"]))),
            ], defaultAction: .allow)
        let rules = PolicyRules(set)
        func decide(_ tags: [String]) -> PolicyDecision {
            rules.decide(
                Circumstances(user: "u@x", tags: tags, address: address("10.0.0.1")), sites: ["a", "b", "c"], now: noon)
        }
        #expect(decide([]).sites == ["a", "c"] && decide(["Guest"]).sites == ["a"])
        #expect(decide([]).grounds == "the default policy" && decide(["guest"]).grounds == "policy \"fewer\"")
        #expect(decide([]).denial?.policy == "b is closed")
    }

    @Test func providersNarrowAndDoNotWiden() {
        let set = PolicySet(
            policies: [
                SignInPolicy(name: "p", audience: .init(groups: ["Finance"], providers: ["okta"]), action: .deny)
            ])
        let rules = PolicyRules(set)
        func isIn(_ group: String, _ provider: String?) -> Bool {
            let who = Circumstances(user: "u@x", groups: [group], provider: provider, address: address("10.0.0.1"))
            return !rules.decide(who, sites: ["a"], now: noon).sites.isEmpty
        }
        #expect(!isIn("Finance", "okta") && isIn("Finance", "entra") && isIn("Finance", nil) && isIn("Sales", "okta"))
    }

    // MARK: - Properties

    private static let groups = ["Finance", "Sales"]
    private static let tags = ["guest"]
    private static let users = ["ann@x", "bob@x"]
    private static let providers = ["okta", "entra"]
    private static let sites = ["a", "b", "c"]
    private static let zones = ["Europe/Berlin": TimeWindowTests.berlin]

    private static func someSet(_ random: inout SmallRandom) -> PolicySet {
        var set = PolicySet()
        set.checks = ["windows", "mac"].map { name in
            let attributes: [PostureAttribute] = [.infected, .avAgentOutdated, .agentInstalled]
            var chosen = random.some(attributes)
            if chosen.isEmpty { chosen = [.infected] }
            return PostureCheck(
                name: name, system: name == "mac" ? .macOS : .windows,
                requirements: chosen.map {
                    .init(source: "s1", attribute: $0, condition: .isEqualTo, values: [.flag($0.goodFlag!)])
                }, failsIfMissing: random.chance(2))
        }
        let triggers: [Behaviour.Trigger] = [
            .posture(checks: ["windows", "mac"], trigger: .passes), .posture(checks: ["windows"], trigger: .fails),
            .network(networks: [prefix("10.1.0.0/16")], isInside: true),
            .network(networks: [prefix("10.1.0.0/16")], isInside: false),
            .time(
                window: TimeWindow(
                    days: Set(random.some(TimeWindow.Day.allCases) + [.monday]), from: 480, to: random.pick([1080, 360]),
                    timeZone: "Europe/Berlin"), isInside: random.chance(2)),
            .newDevice(isNew: random.chance(2)), .risk(users: ["BOB@x"], groups: ["sales"]),
        ]
        set.behaviours = triggers.enumerated().map { Behaviour(name: "b\($0)", trigger: $1) }
        func choice() -> SiteChoice { random.chance(2) ? .all : .only(Set(random.some(sites))) }
        set.policies = (0..<Int(random.next() % 6)).map { index in
            SignInPolicy(
                name: "p\(index)", isEnabled: !random.chance(8),
                audience: .init(
                    users: random.chance(4) ? random.some(users) : [], groups: random.chance(2) ? random.some(groups) : [],
                    tags: random.chance(4) ? random.some(tags) : [],
                    providers: random.chance(4) ? random.some(providers) : []),
                sites: choice(), behaviours: random.chance(3) ? [] : [random.pick(set.behaviours).name],
                action: random.pick([.allow, .allowOnly(sites: choice()), .deny, .denyAndNotify]))
        }
        set.defaultAction = random.pick([.allow, .deny, .allowOnly(sites: choice())])
        return set
    }

    private static func someCircumstances(_ random: inout SmallRandom) -> Circumstances {
        let flag = { (random: inout SmallRandom) -> Bool? in random.pick([true, false, nil]) }
        let record = EndpointRecord.sample(
            "d", os: random.pick([.windows, .macOS, .linux, nil]), infected: flag(&random), outdated: flag(&random),
            observedAt: noon.later(-random.pick([60, 3000, 80_000, 90_000])))
        let match: DeviceFacts.Match = random.pick([
            .found(record, by: .mac), .found(record, by: .address), .none(isCertain: true), .none(isCertain: false),
            .ambiguous([record.key], by: .mac), .tooWeak(record.key, by: .user),
        ])
        return Circumstances(
            user: random.pick(users), groups: random.some(groups), tags: random.some(tags),
            provider: random.pick(providers + [nil]), address: address(random.pick(["10.1.0.5", "10.2.0.5"])),
            device: DeviceFacts(sources: [.init(source: .sample(), match: match)]), isNewDevice: random.chance(2))
    }

    /// The definition, site by site and word by word.
    private static func obvious(
        _ set: PolicySet, _ who: Circumstances, _ site: String, _ now: WallTime
    ) -> (isAllowed: Bool, policy: String?) {
        func holds(_ name: String) -> Bool {
            let behaviour = set.behaviours.first { $0.name == name }!
            switch behaviour.trigger {
            case .posture(let names, let trigger):
                let verdicts = names.map { name in
                    set.checks.first { $0.name == name }!.evaluate(who.device, now: now).verdict
                }
                return trigger == .fails
                    ? verdicts.contains(.fails)
                    : verdicts.contains(.passes) && !verdicts.contains(.fails) && !verdicts.contains(.unknown)
            case .network(let networks, let isInside):
                return networks.contains { $0.contains(who.address) } == isInside
            case .time(let window, let isInside): return window.state(at: now, TimeWindowTests.berlin).isIn == isInside
            case .newDevice(let isNew): return who.isNewDevice == isNew
            case .risk(let users, let groups):
                return users.map { $0.lowercased() }.contains(who.user)
                    || !Set(groups.map { $0.lowercased() }).isDisjoint(with: who.groups.map { $0.lowercased() })
            }
        }
        func does(_ action: SignInPolicy.Action) -> Bool {
            switch action {
            case .allow: true
            case .allowOnly(let sites): sites.contains(site)
            case .deny, .denyAndNotify: false
            }
        }
        for policy in set.policies where policy.isEnabled && policy.sites.contains(site) {
            let audience = policy.audience
            let isMeant =
                audience.isEveryone || audience.users.contains(who.user)
                || !Set(audience.groups).isDisjoint(with: who.groups) || !Set(audience.tags).isDisjoint(with: who.tags)
            let comesBy = audience.providers.isEmpty || who.provider.map(audience.providers.contains) == true
            if isMeant, comesBy, policy.behaviours.allSatisfy(holds) { return (does(policy.action), policy.name) }
        }
        return (does(set.defaultAction), nil)
    }

    @Test func decisionsAreWhatTheDefinitionSays() {
        var random = SmallRandom(41)
        for _ in 0..<3000 {
            let set = Self.someSet(&random)
            let rules = PolicyRules(set, zones: Self.zones)
            let who = Self.someCircumstances(&random)
            let now = noon.later(Int(random.next() % 600_000))
            let asked = Set(random.some(Self.sites))
            var trace: PolicyTrace? = PolicyTrace()
            let decision = rules.decide(who, sites: asked, now: now, trace: &trace)
            #expect(decision == rules.decide(who, sites: asked, now: now))
            for site in asked {
                let (isAllowed, policy) = Self.obvious(set, who, site, now)
                #expect(decision.sites.contains(site) == isAllowed)
                #expect(decision.rulings.first { $0.sites.contains(site) }?.policy == policy)
            }
            #expect(decision.sites.isSubset(of: asked))
            // Every ruling stands in the trace, in its order.
            #expect(trace!.steps.filter(\.isMatch).map(\.policy) == decision.rulings.map(\.policy))
            if decision.sites != asked {
                let refusal = rules.refusal(decision, who, sites: asked, now: now)
                #expect(refusal.policy == decision.denial!.policy && !refusal.reason.isEmpty)
            }
        }
    }

    /// A decision holds until it says so: no moment before that decides otherwise.
    @Test func decisionsHoldUntilTheySaySo() {
        var random = SmallRandom(43)
        for _ in 0..<1500 {
            let set = Self.someSet(&random)
            let rules = PolicyRules(set, zones: Self.zones)
            let who = Self.someCircumstances(&random)
            let now = noon.later(Int(random.next() % 600_000))
            let decision = rules.decide(who, sites: ["a", "b", "c"], now: now)
            let end = decision.until ?? now.later(30 * 86_400)
            #expect(end > now)
            let span = end.nanoseconds - now.nanoseconds
            for part: Int64 in [1, span / 3, span / 2, span - 1] {
                let moment = WallTime(nanoseconds: now.nanoseconds + part)
                #expect(rules.decide(who, sites: ["a", "b", "c"], now: moment).rulings == decision.rulings)
            }
        }
    }

    // MARK: - Edits

    @Test func editsKeepWhatIsUsed() throws {
        var set = Self.example
        #expect(throws: PolicyEdit.Fault.inUse(
            what: "posture check", name: "windows", by: "the behaviour 'healthy Windows'")
        ) { try set.apply(.removeCheck(name: "windows")) }
        #expect(throws: PolicyEdit.Fault.self) { try set.apply(.removeBehaviour(name: "healthy Windows")) }
        #expect(throws: PolicyEdit.Fault.self) { try set.apply(.saveCheck(check: Self.windows, isReplacing: false)) }
        #expect(set == Self.example)
        try set.apply(.movePolicy(name: "Finance, else", place: 1))
        #expect(set.policies.map(\.name).first == "Finance, else" && set.policies.count == 3)
        #expect(set.deeds(since: Self.example).map(\.action) == ["policies-reordered"])
        try set.apply(.movePolicy(name: "Finance, else", place: 99))
        #expect(set == Self.example)
        try set.apply(.removePolicy(name: "Finance, else"))
        try set.apply(.setDefault(action: .deny))
        #expect(set.deeds(since: Self.example).map(\.action) == ["policy-removed", "policy-default-changed"])
    }

    @Test func whatCannotBeIsRefusedWhenItIsSaved() {
        var set = Self.example
        let world = PolicySet.World(
            sources: [.sample(supports: [.infected, .os])], sites: ["a"], providers: ["okta"],
            hasTimeZone: { $0 == "UTC" })
        #expect(set.faults(in: world) == [
            "Posture check windows: s1 (sentinelone) cannot tell Antivirus Agent Outdated."
        ])
        set.checks = []
        set.behaviours.append(
            Behaviour(
                name: "t", trigger: .time(window: TimeWindow(from: 0, to: 60, timeZone: "Mars/X"), isInside: true)))
        set.policies.append(
            SignInPolicy(
                name: "q", audience: .init(providers: ["gone"]), sites: .only(["z"]), behaviours: ["nothing"],
                action: .allowOnly(sites: .only(["y"]))))
        let faults = set.faults(in: world)
        #expect(faults.count == 7, "\(faults)")
    }
}
