import Access
import Base
import GRDB
import Testing

@testable import Store

@Suite struct PolicyStoreTests {
    private let set = PolicySet(
        checks: [
            PostureCheck(
                name: "windows", system: .windows,
                requirements: [
                    .init(source: "s1", attribute: .os, condition: .isAnyOf, values: [.systemName("Windows 11"), .systemVersion([10, 0])])
                ], failsIfMissing: false)
        ],
        behaviours: [
            Behaviour(name: "hours", trigger: .time(window: TimeWindow(days: [.monday], from: 480, to: 60, timeZone: "UTC"), isInside: false)),
            Behaviour(name: "healthy", trigger: .posture(checks: ["windows"], trigger: .passes)),
        ],
        policies: [
            SignInPolicy(name: "b", audience: .init(groups: ["Finance"]), behaviours: ["healthy"], action: .allow),
            SignInPolicy(name: "a", sites: .only(["x"]), action: .allowOnly(sites: .only([]))),
        ], defaultAction: .denyAndNotify)

    @Test func policiesComeBackInTheirOrderAndEachChangeIsInTheTrail() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        let empty = try store.policies()
        #expect(empty.set == PolicySet())
        try store.save(set, against: empty.version, by: Change(actor: "root"))
        try store.close()
        let again = try folder.store()
        let (stored, version) = try again.policies()
        #expect(stored == set && version != empty.version)
        let trail = try again.audit(limit: 10)
        #expect(Set(trail.map(\.action)) == [
            "posture-check-added", "behaviour-added", "policy-added", "policy-default-changed",
        ])
        #expect(trail.allSatisfy { $0.definition != nil })

        // Whoever looked before somebody else's change does not overwrite it.
        #expect(throws: StoreError.policiesChanged) {
            try again.save(PolicySet(), against: empty.version, by: Change(actor: "root"))
        }
        var edited = set
        edited.policies.swapAt(0, 1)
        try again.save(edited, against: version, by: Change(actor: "root"))
        #expect(try again.policies().set == edited)
        #expect(try again.audit(limit: 1).map(\.action) == ["policies-reordered"])
        try again.close()
    }

    /// Policies hold whole or not at all, and a whole set takes the place of one that cannot be read.
    @Test func whatCannotBeReadIsSaidAndCanBeReplaced() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.save(set, against: store.policies().version, by: Change(actor: "root"))
        try store.database.write { database in
            try database.execute(sql: "UPDATE policyItem SET definition = '{\"name\":1}' WHERE kind = 'policy' AND name = 'b'")
        }
        #expect(throws: StoreError.self) { try store.policies() }
        try store.save(PolicySet(defaultAction: .deny), against: "", by: Change(actor: "root"))
        #expect(try store.policies().set == PolicySet(defaultAction: .deny))
        try store.close()
    }

    @Test func signInsAreKeptWithWhatTheyRestedOnAndNotForEver() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        func signIn(_ day: Int) -> JudgedSignIn {
            let record = EndpointRecord(
                key: EndpointKey(source: "s1", id: "1"), vendor: "sentinelone", hostName: "h",
                macs: [MACAddress("02:00:00:00:00:01")!], seenAt: WallTime(nanoseconds: 5),
                facts: [.infected: PostureFact(.value(.flag(false), observedAt: WallTime(nanoseconds: 5_000_000)), raw: "false")],
                fetchedAt: WallTime(nanoseconds: 6_000_000))
            let device = DeviceFacts(sources: [
                .init(
                    source: PostureSource(name: "s1", vendor: "sentinelone", supports: [.infected]),
                    match: .found(record, by: .hostName))
            ])
            return JudgedSignIn(
                time: WallTime(nanoseconds: Int64(day) * 86_400_000_000_000),
                circumstances: Circumstances(
                    user: "ann@x", groups: ["Finance"], provider: "okta", address: .v4(0x0A01_000A), device: device,
                    isNewDevice: true), asked: ["x", "y"], allowed: ["y"], refusal: "since")
        }
        for day in [20_000, 20_001, 20_100] {
            try store.write([(record: .judged(signIn(day)), actor: "gatehoused")])
        }
        // The first two are more than ninety days older than the third.
        let kept = try store.signIns(since: WallTime(nanoseconds: 0), limit: 10)
        #expect(kept.unreadable == 0 && kept.signIns.count == 1)
        var wanted = signIn(20_100)
        // Times are stored to the millisecond.
        wanted.circumstances.device.sources[0].match = kept.signIns[0].circumstances.device.sources[0].match
        #expect(kept.signIns[0] == wanted)
        let device = kept.signIns[0].circumstances.device
        #expect(device.name == "h" && device.fact(.infected, of: "s1")?.raw == "false")
        try store.close()
    }

    @Test func knownDevicesGoWithTheirUser() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        let first = WallTime(rfc3339: "2026-11-25T12:00:00Z")!
        try store.write([
            (record: .knownDevices(["s1/1", "mac/02:00:00:00:00:01"], user: "ann@x", since: first), actor: "g"),
            (record: .knownDevices(["s1/1"], user: "ann@x", since: first + .seconds(9)), actor: "g"),
            (record: .knownDevices(["s1/1"], user: "bob@x", since: first), actor: "g"),
        ])
        #expect(try store.knownDevices().filter { $0.user == "ann@x" }.map(\.firstSeenAt) == [first, first])
        try store.write([(record: .userRemoved("ann@x", detail: nil), actor: "g")])
        #expect(try store.knownDevices().map(\.user) == ["bob@x"])
        try store.close()
    }
}
