import Base
import Testing

@testable import Access

@Suite struct PolicyEngineTests {
    private static let macs = (0..<8).map { "00:00:5e:00:53:0\($0)" }
    private static let hosts = ["one", "two", "three"]
    private static let people = ["ann@x", "bob@x", "cyd@x"]

    private struct Scene {
        var engine = PolicyEngine()
        var sessions: [IPAddress: PolicyEngine.Subject] = [:]
        var now = Moment(Tick(nanoseconds: 1_000_000_000_000), noon)

        func decision(_ address: IPAddress) -> PolicyDecision {
            engine.decide(sessions[address]!, sites: ["a", "b"], now: now.wall).decision
        }

        mutating func hold(_ address: IPAddress) {
            let (decision, circumstances) = engine.decide(sessions[address]!, sites: ["a", "b"], now: now.wall)
            if sessions[address]!.since == nil {
                sessions[address]!.since = now.wall
                sessions[address]!.pinned = circumstances.device.endpoints
            }
            let subject = sessions[address]!
            engine.hold(address, decision, circumstances, mac: subject.mac, pinned: subject.pinned, now: now)
        }
    }

    private static func scene(_ set: PolicySet, _ random: inout SmallRandom, sessions: Int = 6) -> Scene {
        var scene = Scene()
        scene.engine.use(PolicyRules(set))
        scene.engine.receive(.source(.sample()), now: noon)
        scene.engine.receive(.changed((0..<5).map { record($0, &random) }), now: noon)
        for number in 0..<sessions {
            let address = IPAddress.v4(0x0A01_000A + UInt32(number))
            let user = User(
                email: random.pick(people), source: "okta", groups: random.some(["Finance"]), createdAt: noon)
            scene.sessions[address] = PolicyEngine.Subject(
                user: user, provider: "okta", address: address,
                mac: random.chance(3) ? nil : MACAddress(random.pick(macs)))
        }
        for address in scene.sessions.keys.sorted() { scene.hold(address) }
        _ = scene.engine.takeTouched(now: scene.now.tick)
        return scene
    }

    private static func record(_ id: Int, _ random: inout SmallRandom) -> EndpointRecord {
        .sample(
            "\(id)", host: random.pick(hosts), macs: random.some(macs).prefix(2).map(\.self),
            addresses: ["10.1.0.1\(random.next() % 6)"], user: random.pick(["ann", "bob@x", nil]),
            os: random.pick([.windows, .macOS]), infected: random.chance(3), outdated: random.chance(4))
    }

    /// No change of a fact slips by: whoever's decision is another one was touched.
    @Test func whoeverIsDecidedOtherwiseWasTouched() {
        var random = SmallRandom(97)
        var (changes, touches) = (0, 0)
        for _ in 0..<300 {
            var scene = Self.scene(PolicyRulesTests.example, &random)
            for _ in 0..<6 {
                let before = Dictionary(uniqueKeysWithValues: scene.sessions.keys.map { ($0, scene.decision($0)) })
                switch random.next() % 5 {
                case 0: scene.engine.receive(.removed([EndpointKey(source: "s1", id: "\(random.next() % 5)")]), now: noon)
                case 1: scene.engine.receive(.sourceRemoved("s1"), now: noon)
                case 2: scene.engine.receive(.source(.sample()), now: noon)
                default: scene.engine.receive(.changed([Self.record(Int(random.next() % 5), &random)]), now: noon)
                }
                let touched = scene.engine.takeTouched(now: scene.now.tick)
                touches += touched.count
                for address in scene.sessions.keys where scene.decision(address).rulings != before[address]!.rulings {
                    changes += 1
                    #expect(touched.contains(address))
                }
                for address in touched { scene.hold(address) }
            }
        }
        // The test means nothing if nothing changes, and touching everyone would be no index.
        #expect(changes > 200 && touches < 300 * 6 * 6 * 3 / 4, "\(changes) \(touches)")
    }

    @Test func anEditTouchesThoseForWhomItIsMeant() {
        var random = SmallRandom(3)
        for _ in 0..<200 {
            var scene = Self.scene(PolicyRulesTests.example, &random)
            let before = Dictionary(uniqueKeysWithValues: scene.sessions.keys.map { ($0, scene.decision($0)) })
            var set = PolicyRulesTests.example
            let isForFinance: Bool
            switch random.next() % 4 {
            case 0:
                set.policies[2].action = .allow
                isForFinance = true
            case 1:
                set.policies.swapAt(1, 2)
                isForFinance = true
            case 2:
                set.checks[0].failsIfMissing = false
                isForFinance = false
            default:
                set.defaultAction = .deny
                isForFinance = false
            }
            scene.engine.use(PolicyRules(set))
            let touched = scene.engine.takeTouched(now: scene.now.tick)
            for (address, subject) in scene.sessions {
                if scene.decision(address).rulings != before[address]!.rulings { #expect(touched.contains(address)) }
                if isForFinance { #expect(touched.contains(address) == subject.user.groups.contains("Finance")) }
            }
        }
    }

    /// A refresh that brings nothing new touches nobody; a source that falls silent is found out when its word is old.
    @Test func silenceIsFoundOutWhenTheLastWordIsOld() {
        var random = SmallRandom(1)
        var scene = Self.scene(PolicyRulesTests.example, &random, sessions: 0)
        let address = IPAddress("10.1.0.99")!
        scene.engine.receive(.changed([.sample("9", macs: [Self.macs[7]])]), now: noon)
        scene.engine.receive(.removed((0..<5).map { EndpointKey(source: "s1", id: "\($0)") }), now: noon)
        scene.sessions[address] = PolicyEngine.Subject(
            user: User(email: "ann@x", source: "okta", createdAt: noon), provider: "okta", address: address,
            mac: MACAddress(Self.macs[7]))
        scene.hold(address)
        #expect(scene.decision(address).sites == ["a", "b"])
        // An hour after the last complete inventory, a minute before noon.
        #expect(scene.engine.deadline?.tick == scene.now.tick + .seconds(3540))

        var source = PostureSource.sample()
        source.completedAt = noon.later(1800)
        scene.engine.receive(.source(source), now: noon.later(1800))
        #expect(scene.engine.takeTouched(now: scene.now.tick).isEmpty)

        scene.now = Moment(scene.now.tick + .seconds(3540), noon.later(3540))
        #expect(scene.engine.takeTouched(now: scene.now.tick) == [address])
        scene.hold(address)
        #expect(scene.decision(address).sites == ["a", "b"])
        #expect(scene.engine.deadline?.tick == scene.now.tick + .seconds(1800 + 3600 - 3540))
        scene.now = Moment(scene.now.tick + .seconds(1860), noon.later(5400))
        #expect(scene.engine.takeTouched(now: scene.now.tick) == [address])
        #expect(scene.decision(address).sites.isEmpty)

        // It speaks again: the session is looked at anew, at once.
        scene.hold(address)
        source.completedAt = noon.later(5500)
        scene.engine.receive(.source(source), now: noon.later(5500))
        #expect(scene.engine.takeTouched(now: scene.now.tick) == [address])
    }

    @Test func aDeviceIsNewOnceAndStaysNewForItsSession() {
        var engine = PolicyEngine()
        let user = User(email: "ann@x", source: "okta", createdAt: noon)
        func subject(_ card: String, since: WallTime? = nil) -> PolicyEngine.Subject {
            PolicyEngine.Subject(
                user: user, provider: "okta", address: address("10.0.0.1"), mac: MACAddress(card), since: since)
        }
        #expect(engine.circumstances(of: subject(Self.macs[0]), now: noon).isNewDevice)
        #expect(engine.remember(["mac/\(Self.macs[0])"], of: "ann@x", at: noon) == ["mac/\(Self.macs[0])"])
        #expect(engine.remember(["mac/\(Self.macs[0])"], of: "ann@x", at: noon.later(9)).isEmpty)
        #expect(engine.circumstances(of: subject(Self.macs[0], since: noon), now: noon.later(60)).isNewDevice)
        #expect(!engine.circumstances(of: subject(Self.macs[0]), now: noon.later(60)).isNewDevice)
        #expect(engine.circumstances(of: subject(Self.macs[1]), now: noon.later(60)).isNewDevice)
        engine.forgetDevices(of: "ann@x")
        #expect(engine.circumstances(of: subject(Self.macs[0]), now: noon.later(60)).isNewDevice)
    }

    @Test func leasesSayWhoIsBehindARouter() throws {
        var engine = PolicyEngine()
        engine.use(try DHCPLeases(Array("0 \(Self.macs[2]) 10.7.0.5 fin-lt-042 *\n".utf8)))
        let place = engine.whereabouts(address("10.7.0.5"), mac: nil, user: nil, now: noon)
        #expect(place.mac == MACAddress(Self.macs[2]) && place.hostName == "fin-lt-042")
        // The neighbour table knows better: the lease is another device's.
        let other = engine.whereabouts(address("10.7.0.5"), mac: MACAddress(Self.macs[3]), user: nil, now: noon)
        #expect(other.mac == MACAddress(Self.macs[3]) && other.hostName == nil)
    }
}
