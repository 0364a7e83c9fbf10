import Access
import Base
import Host

/// Policies, endpoints and sessions as a middling company has them, the same in each run.
struct World {
    static let sources = ["s1", "gz"]
    static let systems: [OperatingSystem.Family] = [.windows, .macOS, .linux, .windowsServer]
    static let sites: Set<String> = ["a", "b", "c", "d"]

    struct Open {
        var subject: PolicyEngine.Subject
    }

    var engine = PolicyEngine()
    var records: [EndpointRecord] = []
    var sessions: [IPAddress: Open] = [:]
    var now: Moment

    init(endpoints: Int, sessions: Int) {
        now = Moment(Main.clock.now, Main.clock.wall)
        engine.use(PolicyRules(Self.policies, zones: ["UTC": .utc]))
        for name in Self.sources {
            engine.receive(
                .source(
                    PostureSource(
                        name: name, vendor: name, supports: Set(PostureAttribute.allCases), completedAt: now.wall)),
                now: now.wall)
        }
        records = Self.records(endpoints, at: now.wall)
        engine.receive(.changed(records), now: now.wall)
        open(sessions)
    }

    /// Opens sessions from the first devices there are.
    mutating func open(_ count: Int) {
        let all = engine.directory.records.values.sorted { $0.id < $1.id }.filter { $0.source == "s1" }
        for number in 0..<count {
            let address = Self.address(number)
            let user = User(
                email: "user\(number % 1000)@corp.example", source: "okta",
                groups: ["group\(number % 100)", "group\(number * 7 % 100)", "staff"], createdAt: now.wall)
            let mac = number < all.count ? all[number].macs.first : nil
            var subject = PolicyEngine.Subject(user: user, provider: "okta", address: address, mac: mac)
            let (decision, circumstances) = engine.decide(subject, sites: Self.sites, now: now.wall)
            subject.since = now.wall
            subject.pinned = circumstances.device.endpoints
            sessions[address] = Open(subject: subject)
            engine.hold(address, decision, circumstances, mac: mac, pinned: subject.pinned, now: now)
        }
        _ = engine.takeTouched(now: now.tick)
    }

    /// Takes a change in and decides anew about whom it touches.
    ///
    /// - Returns: how many those are.
    mutating func settle(_ change: InventoryChange) -> Int {
        engine.receive(change, now: now.wall)
        let touched = engine.takeTouched(now: now.tick)
        for address in touched { _ = redecide(address) }
        return touched.count
    }

    /// The same, with why for those who are out by it.
    mutating func deny(_ change: InventoryChange) -> [IPAddress: String] {
        engine.receive(change, now: now.wall)
        var denied: [IPAddress: String] = [:]
        for address in engine.takeTouched(now: now.tick) {
            guard let (decision, circumstances) = redecide(address), decision.sites.isEmpty else { continue }
            denied[address] =
                engine.rules.refusal(decision, circumstances, sites: Self.sites, now: now.wall).reason
            engine.drop(address)
            sessions[address] = nil
        }
        return denied
    }

    private mutating func redecide(_ address: IPAddress) -> (PolicyDecision, Circumstances)? {
        guard let open = sessions[address] else { return nil }
        let (decision, circumstances) = engine.decide(open.subject, sites: Self.sites, now: now.wall)
        engine.hold(
            address, decision, circumstances, mac: open.subject.mac, pinned: open.subject.pinned, now: now)
        return (decision, circumstances)
    }

    static func address(_ number: Int) -> IPAddress { .v4(0x0A10_0000 + UInt32(number)) }

    /// Every device is known to one of the two sources.
    static func records(_ count: Int, at time: WallTime) -> [EndpointRecord] {
        (0..<count).map { number in
            let seen = time + .seconds(-60)
            func fact(_ value: PostureValue) -> PostureFact { PostureFact(.value(value, observedAt: seen), raw: "\(value)") }
            return EndpointRecord(
                key: EndpointKey(source: "s1", id: "\(10_000_000 + number)"), vendor: "sentinelone",
                hostName: "host-\(number)",
                macs: [0, 1].compactMap { card in
                    MACAddress(bytes: [0, 0x50, UInt8(card), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)])
                },
                addresses: [address(number)], seenAt: seen, lastUser: "CORP\\user\(number % 1000)",
                facts: [
                    .os: fact(.operatingSystem(OperatingSystem(family: .windows, name: "Windows 11 Pro", version: "10.0.22631"))),
                    .infected: fact(.flag(false)), .avAgentOutdated: fact(.flag(false)),
                    .diskEncrypted: fact(.flag(true)), .agentInstalled: fact(.flag(true)),
                ], fetchedAt: time)
        }
    }

    /// With an agent that is old by one share and up to date by another, so that each change is one.
    static func aged(_ record: EndpointRecord, _ share: Int) -> EndpointRecord {
        var record = record
        record.facts[.avAgentOutdated] = PostureFact(
            .value(.flag(share != 10), observedAt: record.fetchedAt), raw: "\(share)")
        return record
    }

    static func infected(_ record: EndpointRecord) -> EndpointRecord {
        var record = record
        record.facts[.infected] = PostureFact(.value(.flag(true), observedAt: record.fetchedAt), raw: "true")
        return record
    }

    /// 50 checks, 60 behaviours and 200 policies. Most of those are for single groups and want something of the device, the
    /// place or the time; what decides for most people stands near the end.
    static let policies: PolicySet = {
        var set = PolicySet()
        set.checks = (0..<50).map { number in
            let attributes: [PostureAttribute] = [.infected, .avAgentOutdated, .diskEncrypted, .agentInstalled]
            return PostureCheck(
                name: "check\(number)", system: systems[number % systems.count],
                requirements: attributes.prefix(2 + number % 3).map {
                    PostureCheck.Requirement(
                        source: "s1", attribute: $0, condition: .isEqualTo, values: [.flag($0.goodFlag!)])
                })
        }
        set.behaviours = (0..<50).map { number in
            Behaviour(
                name: "posture\(number)",
                trigger: .posture(checks: ["check\(number)"], trigger: number % 2 == 0 ? .passes : .fails))
        }
        set.behaviours += (0..<10).map { number in
            switch number % 4 {
            case 0:
                Behaviour(name: "other\(number)", trigger: .network(networks: [IPPrefix("192.168.\(number).0/24")!], isInside: true))
            case 1:
                Behaviour(
                    name: "other\(number)",
                    trigger: .time(window: TimeWindow(days: [.sunday], from: number, to: number + 1, timeZone: "UTC"), isInside: true))
            case 2: Behaviour(name: "other\(number)", trigger: .newDevice(isNew: false))
            default: Behaviour(name: "other\(number)", trigger: .risk(users: ["eve\(number)@corp.example"], groups: []))
            }
        }
        set.policies = (0..<190).map { number in
            let isForUser = number % 10 == 9
            let names = number % 3 == 0 ? ["other\(number % 10)"] : ["posture\((number * 2 + 1) % 50)"]
            return SignInPolicy(
                name: "policy\(number)",
                audience: isForUser
                    ? .init(users: ["user\(number)@corp.example"])
                    : .init(groups: number % 20 == 0 ? ["staff"] : ["group\(number % 100)"]),
                behaviours: names, action: .deny)
        }
        set.policies += (0..<9).map { number in
            SignInPolicy(name: "unhealthy\(number)", behaviours: ["posture\(number * 4 + 1)"], action: .denyAndNotify)
        }
        set.policies.append(SignInPolicy(name: "healthy", behaviours: ["posture0"], action: .allow))
        set.defaultAction = .deny
        return set
    }()
}
