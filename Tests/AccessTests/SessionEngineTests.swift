import Base
import Testing

@testable import Access
@testable import Identity

/// An engine with a clock that stands still until it is moved.
struct Scene {
    var engine: SessionEngine
    var now = Moment(Tick(nanoseconds: 1_000_000_000_000), WallTime(nanoseconds: 1_795_521_600_000_000_000))

    init(_ change: (inout AccessSettings) -> Void = { _ in }) {
        var settings = AccessSettings()
        change(&settings)
        engine = SessionEngine(settings: settings, sites: ["a", "b"])
    }

    mutating func pass(_ seconds: Int) {
        now.tick = now.tick + .seconds(seconds)
        now.wall = now.wall + .seconds(seconds)
    }

    mutating func signIn(
        _ email: String?, at text: String = "10.1.0.10", isIdPInitiated: Bool = true, mayCreate: Bool = false,
        until: WallTime? = nil, groups: [String] = [], sites: SiteChoice = .all
    ) throws(AdmissionRefusal) -> [SessionEffect] {
        let subject = VerifiedSubject(
            provider: "okta", nameID: email ?? "00u1", email: email, firstName: "Ada", groups: groups,
            sessionIndex: "i1", sessionNotOnOrAfter: until, isIdPInitiated: isIdPInitiated)
        return try engine.receive(
            .signIn(SignIn(subject: subject, address: address(text), mayCreateUser: mayCreate, sites: sites)), now: now)
    }

    mutating func receive(_ input: SessionInput) -> [SessionEffect] {
        (try? engine.receive(input, now: now)) ?? []
    }
}

extension [SessionEffect] {
    var ends: [SessionEnd] { compactMap { if case .close(_, let end, _) = $0 { end } else { nil } } }
    var opened: [Session] { compactMap { if case .open(let session, _, _) = $0 { session } else { nil } } }
    var isCutting: [Bool] { compactMap { if case .close(_, _, let cuts) = $0 { cuts } else { nil } } }
    var reaches: [Set<String>] { compactMap { if case .reach(_, let sites, _, _) = $0 { sites } else { nil } } }
}

@Suite struct SessionEngineTests {
    @Test func firstSignInFromTheProviderMakesTheUser() throws {
        var scene = Scene()
        let effects = try scene.signIn("Ada@Example.org", groups: ["Finance"])
        guard case .addUser(let user, _) = effects[0], case .open(let session, let sites, let until) = effects[1] else {
            Issue.record("\(effects)")
            return
        }
        #expect(user.email == "ada@example.org" && user.groups == ["Finance"] && user.source == "okta")
        #expect(session.user == "ada@example.org" && sites == ["a", "b"] && session.id == 1)
        #expect(until == scene.now.tick + .seconds(12 * 3600) + SessionEngine.kernelMargin)
        #expect(scene.engine.deadline == Deadline(scene.now.tick + .seconds(12 * 3600), "a session is over"))
    }

    @Test func policiesNarrowAndWidenAtOnceAndNoOneElse() throws {
        var scene = Scene()
        let subject = VerifiedSubject(
            provider: "okta", nameID: "a@b", email: "a@b", groups: [], isIdPInitiated: true)
        var signIn = SignIn(subject: subject, address: address("10.1.0.10"))
        signIn.allowed = ["a"]
        #expect(try scene.engine.receive(.signIn(signIn), now: scene.now).opened.count == 1)
        let session = try #require(scene.engine.sessions[address("10.1.0.10")])
        #expect(scene.engine.reach(of: session) == ["a"] && scene.engine.claim(of: session) == ["a", "b"])
        // A connector that comes is closed until the policies have been asked.
        #expect(scene.receive(.sites(["a", "b", "c"])).reaches.isEmpty)
        #expect(scene.receive(.allowed(session.address, ["a", "c"])).reaches == [["a", "c"]])
        let narrowed = scene.receive(.allowed(session.address, ["c"]))
        guard case .reach(_, let sites, _, let cuts) = narrowed.first else {
            Issue.record("\(narrowed)")
            return
        }
        #expect(sites == ["c"] && cuts)
        #expect(scene.receive(.allowed(session.address, ["c"])).isEmpty)
        #expect(scene.receive(.allowed(address("10.9.9.9"), ["a"])).isEmpty)
        // What they allow is no more than the user's own sites.
        var user = try #require(scene.engine.users["a@b"])
        user.sites = .only(["b", "c"])
        #expect(scene.receive(.user(user)).reaches.isEmpty)
        #expect(scene.receive(.allowed(session.address, ["a", "b", "c"])).reaches == [["b", "c"]])
        signIn.allowed = []
        #expect(throws: AdmissionRefusal.nothingAllowed("a@b")) {
            try scene.engine.receive(.signIn(signIn), now: scene.now)
        }
        // Whom an administrator admits is not asked about.
        let admitted = scene.receive(.admit(ManualAdmission(address: address("10.1.0.11")), by: "root")).opened
        #expect(scene.engine.reach(of: admitted[0]) == ["a", "b", "c"])
    }

    @Test func unknownUserMayNotBeginHereUnlessTheProvidersSettingSaysSo() throws {
        var scene = Scene()
        #expect(throws: AdmissionRefusal.unknownUser("eve@example.org", provider: "okta")) {
            try scene.signIn("eve@example.org", isIdPInitiated: false)
        }
        #expect(scene.engine.users.isEmpty && scene.engine.sessions.isEmpty)
        #expect(try scene.signIn("eve@example.org", isIdPInitiated: false, mayCreate: true).opened.count == 1)
        #expect(try scene.signIn("eve@example.org", isIdPInitiated: false).opened.count == 1)
    }

    @Test func refusalsChangeNothing() throws {
        var scene = Scene()
        #expect(throws: AdmissionRefusal.noEmail(nameID: "00u1")) { try scene.signIn(nil) }
        #expect(throws: AdmissionRefusal.unusableAddress(address("127.0.0.1"))) {
            try scene.signIn("a@b", at: "127.0.0.1")
        }
        #expect(throws: AdmissionRefusal.providerSessionOver("a@b")) { try scene.signIn("a@b", until: scene.now.wall) }
        #expect(throws: AdmissionRefusal.nothingAllowed("a@b")) { try scene.signIn("a@b", sites: .only(["c"])) }
        #expect(throws: AdmissionRefusal.noSuchUser("a@b")) {
            try scene.engine.receive(.admit(ManualAdmission(address: address("10.1.0.1"), user: "a@b"), by: "root"), now: scene.now)
        }
        #expect(scene.engine.users.isEmpty && scene.engine.sessions.isEmpty && scene.engine.deadline == nil)
    }

    @Test func sessionEndsAtTheEarlierOfOurLimitAndTheProviders() throws {
        var scene = Scene { $0.sessionSeconds = 3600 }
        _ = try scene.signIn("a@b", at: "10.1.0.1", until: scene.now.wall + .seconds(600))
        _ = try scene.signIn("a@b", at: "10.1.0.2")
        scene.pass(599)
        #expect(scene.engine.wake(now: scene.now).isEmpty)
        scene.pass(1)
        #expect(scene.engine.wake(now: scene.now).ends == [.expired])
        scene.pass(3000)
        #expect(scene.engine.wake(now: scene.now).ends == [.expired])
        #expect(scene.engine.deadline == nil)
    }

    @Test func idleSessionEndsAndABusyOneGoesOn() throws {
        var scene = Scene { $0.idleSeconds = 60 }
        _ = try scene.signIn("a@b", at: "10.1.0.1")
        _ = try scene.signIn("c@d", at: "10.1.0.2")
        var packets: UInt64 = 0
        var ends: [SessionEnd] = []
        for _ in 0..<8 {
            let deadline = try #require(scene.engine.deadline)
            #expect(deadline.reason == "read the sessions' counters")
            scene.now.wall = scene.now.wall + (deadline.tick - scene.now.tick)
            scene.now.tick = deadline.tick
            #expect(scene.engine.wake(now: scene.now) == [.readTraffic])
            packets += 1
            ends += scene.receive(.traffic([address("10.1.0.1"): packets, address("10.1.0.2"): 0])).ends
        }
        #expect(ends == [.idle(seconds: 60)])
        #expect(Array(scene.engine.sessions.keys) == [address("10.1.0.1")])
    }

    @Test func disabledUserIsOutAndStaysOut() throws {
        var scene = Scene()
        _ = try scene.signIn("a@b", at: "10.1.0.1")
        _ = try scene.signIn("a@b", at: "10.1.0.2")
        var user = try #require(scene.engine.users["a@b"])
        user.isEnabled = false
        #expect(scene.receive(.userDisabled(user, by: "root")).ends.count == 2)
        #expect(throws: AdmissionRefusal.userDisabled("a@b")) { try scene.signIn("a@b") }
        user.isEnabled = true
        #expect(scene.receive(.user(user)).isEmpty)
        #expect(try scene.signIn("a@b").opened.count == 1)
        #expect(scene.receive(.userRemoved("a@b", by: "root")).ends == [.userRemoved(by: "root")])
        #expect(throws: AdmissionRefusal.self) { try scene.signIn("a@b", isIdPInitiated: false) }
    }

    @Test func addressInOtherHandsEndsTheSession() throws {
        var scene = Scene()
        let (mine, other) = (MACAddress("02:00:00:00:00:01")!, MACAddress("02:00:00:00:00:02")!)
        _ = try scene.signIn("a@b")
        // Behind a router at first; then the card is seen.
        guard case .learn(let session)? = scene.receive(.neighbour(address("10.1.0.10"), mine)).first else {
            Issue.record("the card was not noted")
            return
        }
        #expect(session.mac == mine)
        #expect(scene.receive(.neighbour(address("10.1.0.10"), mine)).isEmpty)
        #expect(scene.receive(.neighbour(address("10.1.0.10"), other)).ends == [.addressChangedHands(to: other)])
        #expect(try scene.signIn("a@b").opened[0].mac == other)
    }

    @Test func anotherSignInFromTheSameAddressTakesItsPlace() throws {
        var scene = Scene()
        _ = try scene.signIn("a@b")
        let again = try scene.signIn("a@b")
        #expect(again.ends == [.replaced(by: "a@b")] && again.isCutting == [false], "the same user is cut off")
        let other = try scene.signIn("c@d")
        #expect(other.ends == [.replaced(by: "c@d")] && other.isCutting == [true], "another user inherits connections")
        #expect(scene.engine.sessions.count == 1 && scene.engine.sessions(ofUser: "a@b").isEmpty)
    }

    @Test func sitesAreNarrowedAtOnceAndWidened() throws {
        var scene = Scene()
        _ = try scene.signIn("a@b")
        var user = try #require(scene.engine.users["a@b"])
        user.sites = .only(["a"])
        #expect(scene.receive(.user(user)).reaches == [["a"]])
        #expect(scene.receive(.user(user)).isEmpty)
        #expect(scene.receive(.sites(["b"])).reaches == [[]])
        #expect(scene.receive(.sites(["a", "b", "c"])).reaches == [["a"]])
        user.sites = nil
        #expect(scene.receive(.user(user)).reaches == [["a", "b", "c"]])
        user.sites = .only([])
        #expect(scene.receive(.user(user)).ends == [.nothingAllowed])
    }

    @Test func restartKeepsWhoMayStayAndClosesTheOthers() throws {
        var scene = Scene()
        let sessions = try ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"].enumerated().map { number, text in
            try scene.signIn("u\(number)@b", at: text, until: scene.now.wall + .seconds(number == 1 ? 10 : 1000)).opened[0]
        }
        var users = Array(scene.engine.users.values)
        users.removeAll { $0.email == "u2@b" }
        let index = try #require(users.firstIndex { $0.email == "u3@b" })
        users[index].isEnabled = false
        // Another boot: the monotonic clock starts again.
        var later = Scene()
        later.now = Moment(Tick(nanoseconds: 5), scene.now.wall + .seconds(20))
        let effects = later.engine.restore(users: users, sessions: sessions, now: later.now)
        #expect(effects.ends == [.expired, .userRemoved(by: "gatehoused"), .userDisabled(by: "gatehoused")])
        #expect(later.engine.deadline?.tick == later.now.tick + .seconds(980))
        #expect(try later.signIn("u9@b", at: "10.1.0.9").opened[0].id == 5)
    }

    @Test func logOutAtTheProviderEndsItsSessionOnly() throws {
        var scene = Scene()
        _ = try scene.signIn("a@b", at: "10.1.0.1")
        #expect(scene.receive(.end(.provider("okta", nameID: "a@b", sessionIndex: "i2"), .signedOutAtProvider)).isEmpty)
        #expect(
            scene.receive(.end(.provider("okta", nameID: "a@b", sessionIndex: "i1"), .signedOutAtProvider)).ends
                == [.signedOutAtProvider])
        // OpenID providers may name the session alone.
        _ = try scene.signIn("a@b", at: "10.1.0.1")
        #expect(scene.receive(.end(.provider("okta", nameID: nil, sessionIndex: "i2"), .signedOutAtProvider)).isEmpty)
        #expect(
            scene.receive(.end(.provider("okta", nameID: nil, sessionIndex: "i1"), .signedOutAtProvider)).ends
                == [.signedOutAtProvider])
    }

    /// Thousands of random inputs: after each, the engine's own books agree, nobody is in who should not be, and what is
    /// due has a deadline.
    @Test(arguments: 1...20) func randomLives(seed: Int) throws {
        var random = SmallRandom(UInt64(seed))
        var scene = Scene { $0.idleSeconds = seed % 2 == 0 ? 300 : nil }
        var open: [IPAddress: Session] = [:]
        func note(_ effects: [SessionEffect]) {
            for effect in effects {
                switch effect {
                case .open(let session, let sites, _):
                    #expect(open.updateValue(session, forKey: session.address) == nil, "two sessions at one address")
                    #expect(!sites.isEmpty)
                case .close(let session, _, _): #expect(open.removeValue(forKey: session.address)?.id == session.id)
                case .reach(let session, let sites, _, _):
                    #expect(open[session.address] != nil)
                    #expect(sites == scene.engine.reach(of: session))
                default: break
                }
            }
        }
        for _ in 0..<1500 {
            let email = "u\(random.next() % 6)@b"
            let place = "10.1.0.\(1 + random.next() % 8)"
            switch random.next() % 11 {
            case 0...3:
                if let effects = try? scene.signIn(email, at: place, isIdPInitiated: random.next() % 2 == 0) { note(effects) }
            case 4: note(scene.receive(.end(.address(address(place)), .signedOut)))
            case 5:
                guard var user = scene.engine.users[email] else { continue }
                user.isEnabled = random.next() % 3 > 0
                user.sites = [nil, .only(["a"]), .only(["b", "c"]), .only([])][Int(random.next() % 4)]
                note(scene.receive(user.isEnabled ? .user(user) : .userDisabled(user, by: "root")))
            case 6: note(scene.receive(.sites(Set(["a", "b", "c"].filter { _ in random.next() % 3 > 0 }))))
            case 7: note(scene.receive(.neighbour(address(place), MACAddress(bytes: [2, 0, 0, 0, 0, UInt8(random.next() % 3)])!)))
            case 8: note(scene.receive(.traffic([address(place): random.next() % 9])))
            case 9: note(scene.receive(.neighbourGone(address(place))))
            default:
                scene.pass(Int(random.next() % 9000))
                note(scene.engine.wake(now: scene.now))
            }
            #expect(open == scene.engine.sessions.mapValues { var s = $0; s.mac = open[s.address]?.mac; return s })
            for (_, session) in scene.engine.sessions {
                let user = try #require(session.user)
                #expect(scene.engine.users[user]?.isEnabled == true)
                #expect(scene.engine.session(id: session.id) == session)
                #expect(scene.engine.sessions(ofUser: user).contains(session))
            }
            if let first = scene.engine.sessions.values.map(\.expiresAt).min() {
                let deadline = try #require(scene.engine.deadline)
                #expect(deadline.tick <= scene.now.tick + Tick.Span(nanoseconds: max(0, first.nanoseconds - scene.now.wall.nanoseconds)))
            }
        }
    }
}

@Suite struct AccessSettingsTests {
    @Test func whatIsWrittenIsReadAgain() {
        var settings = AccessSettings()
        settings.isGateEnabled = true
        settings.exempt = [prefix("10.1.0.5/32"), prefix("fd00::/64")]
        settings.interfaces = ["eth1", "eth2"]
        settings.inbound = .all
        settings.redirectPort = 8080
        settings.sessionSeconds = 3600
        settings.idleSeconds = 600
        settings.sites = .only(["a", "b"])
        for value in [AccessSettings(), settings] {
            let stored = Dictionary(uniqueKeysWithValues: value.stored.compactMap { item in item.value.map { (item.name, $0) } })
            let (again, faults) = AccessSettings.read(stored)
            #expect(again == value && faults.isEmpty)
        }
    }

    @Test func whatCannotBeReadIsToldAndClosesTheGate() {
        let (settings, faults) = AccessSettings.read([
            "gate.enabled": "maybe", "gate.exempt": "10.1.0.5,nonsense", "session.limit": "5", "unknown": "x",
        ])
        #expect(settings.isGateEnabled && settings.exempt.isEmpty && settings.sessionSeconds == 12 * 3600)
        #expect(faults.count == 3 && faults.contains { $0.contains("gate.exempt") && $0.contains("nonsense") })
    }
}
