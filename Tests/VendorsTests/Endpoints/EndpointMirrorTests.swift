import Access
import Base
import JSONText
import Testing

@testable import Vendors

@Suite struct EndpointMirrorTests {
    private static let start = WallTime.at("2026-01-15T10:00:00Z")
    private func at(_ seconds: Int) -> WallTime { Self.start + .seconds(seconds) }

    /// An agent of SentinelOne.
    private func agent(_ id: Int, _ more: String = "", seen: Int = 0) -> JSONTree {
        let text = """
            {"id":"\(id)","computerName":"host-\(id)","isActive":true,"operationalState":"na","isUpToDate":true,"osType":"windows",
            "osName":"Windows 11 Pro","infected":false,"encryptedApplications":true,"isDecommissioned":false,
            "lastActiveDate":"\(at(seen).rfc3339)"\(more.isEmpty ? "" : "," + more)}
            """
        // A later member takes the place of an earlier one, which the parser would refuse.
        return (try? JSONTree.parse(text)) ?? JSONTree(value: .null, line: 0)
    }

    private func infected(_ id: Int, seen: Int = 0) -> JSONTree {
        var tree = agent(id, seen: seen)
        if case .object(var members) = tree.value {
            members["infected"] = JSONTree(value: .bool(true), line: 1)
            tree.value = .object(members)
        }
        return tree
    }

    private func decommissioned(_ id: Int) -> JSONTree {
        var tree = agent(id)
        if case .object(var members) = tree.value {
            members["isDecommissioned"] = JSONTree(value: .bool(true), line: 1)
            tree.value = .object(members)
        }
        return tree
    }

    private func mirror(_ kind: String = "sentinelone") throws -> EndpointMirror {
        let connection = EndpointConnection.example(kind)
        return EndpointMirror(connection, try connection.profile())
    }

    private func agents(_ range: Range<Int>, seen: Int = 0) -> [JSONTree] { range.map { agent($0, seen: seen) } }

    private func flag(_ mirror: EndpointMirror, _ id: String, _ attribute: PostureAttribute) -> Bool? {
        if case .value(.flag(let flag), _)? = mirror.record(id)?.facts[attribute]?.outcome { return flag }
        return nil
    }

    @Test func aListingMakesTheMirror() throws {
        var mirror = try mirror()
        #expect(mirror.completedAt == nil)
        let first = mirror.take(listing: agents(0..<20), isComplete: true, now: at(0))
        #expect(first.change.changed.count == 20 && first.change.removed.isEmpty && first.shrinkage == nil)
        #expect(mirror.completedAt == at(0))
        // The same again is no news, though all were seen meanwhile.
        let second = mirror.take(listing: agents(0..<20, seen: 60), isComplete: true, now: at(60))
        #expect(second.change.isEmpty && mirror.completedAt == at(60))
        // After a quarter of an hour it is.
        let third = mirror.take(listing: agents(0..<20, seen: 1000), isComplete: true, now: at(1000))
        #expect(third.change.changed.count == 20)
        // An infection always.
        let fourth = mirror.take(
            listing: agents(0..<19, seen: 1001) + [infected(19, seen: 1001)], isComplete: true, now: at(1060))
        #expect(fourth.change.changed.map(\.id) == ["19"] && flag(mirror, "19", .infected) == true)
    }

    @Test func aListingThatWasCutShortRemovesNobody() throws {
        var mirror = try mirror()
        _ = mirror.take(listing: agents(0..<20), isComplete: true, now: at(0))
        let result = mirror.take(listing: [infected(3)] + agents(20..<22), isComplete: false, now: at(60))
        #expect(result.change.removed.isEmpty && mirror.count == 22)
        #expect(mirror.completedAt == at(0))
        #expect(flag(mirror, "3", .infected) == true)
    }

    @Test func aListingThatHasLostTooManyIsNotBelieved() throws {
        var mirror = try mirror()
        _ = mirror.take(listing: agents(0..<20), isComplete: true, now: at(0))
        // A fifth may go.
        let some = mirror.take(listing: agents(0..<16), isComplete: true, now: at(60))
        #expect(some.shrinkage == nil && some.change.removed.count == 4)
        let many = mirror.take(listing: agents(0..<12), isComplete: true, now: at(120))
        #expect(many.shrinkage == .init(before: 16, after: 12))
        #expect(mirror.count == 16 && mirror.completedAt == at(60))
        let none = mirror.take(listing: [], isComplete: true, now: at(180))
        #expect(none.shrinkage == .init(before: 16, after: 0) && mirror.count == 16)
        // Those that the vendor itself calls gone are no riddle.
        let named = mirror.take(
            listing: agents(0..<12) + (12..<16).map(decommissioned), isComplete: true, now: at(240))
        #expect(named.shrinkage == nil && mirror.count == 12)
        let accepted = mirror.take(listing: agents(0..<2), isComplete: true, acceptsLoss: true, now: at(300))
        #expect(accepted.shrinkage == nil && mirror.count == 2 && mirror.completedAt == at(300))
    }

    @Test func aListingOfSeveralPagesMustLackItTwice() throws {
        var mirror = try mirror()
        _ = mirror.take(listing: agents(0..<20), isComplete: true, now: at(0))
        func look(_ rows: [JSONTree], _ seconds: Int) -> EndpointMirror.Result {
            var listing = EndpointMirror.Listing(mirror, now: at(seconds))
            listing.take(rows, mirror)
            return mirror.take(listing, isComplete: true, isAtomic: false, now: at(seconds))
        }
        // A row that moved to a page that we had read already.
        #expect(look(agents(1..<20), 60).missed == 1 && mirror.count == 20)
        #expect(look(agents(0..<20), 75).missed == 0)
        #expect(look(agents(1..<20), 90).missed == 1)
        let second = look(agents(1..<20), 105)
        #expect(second.missed == 0 && second.change.removed.map(\.id) == ["0"])
    }

    @Test func changesCompleteWhatAListingBegan() throws {
        var mirror = try mirror()
        _ = mirror.take(changes: [agent(1)], now: at(0))
        #expect(mirror.completedAt == nil && mirror.count == 1)
        _ = mirror.take(listing: agents(0..<5), isComplete: true, now: at(10))
        let change = mirror.take(changes: [infected(2), decommissioned(4)], now: at(70))
        #expect(change.changed.map(\.id) == ["2"] && change.removed.map(\.id) == ["4"])
        #expect(mirror.completedAt == at(70) && mirror.count == 4)
        _ = mirror.take(changes: [], completes: false, now: at(130))
        #expect(mirror.completedAt == at(70))
    }

    @Test func aLookUpThatOvertookTheListingKnowsBetter() throws {
        var mirror = try mirror()
        _ = mirror.take(listing: agents(0..<5), isComplete: true, now: at(0))
        var listing = EndpointMirror.Listing(mirror, now: at(60))
        listing.take(agents(0..<5), mirror)
        // Meanwhile somebody signs in.
        let found = mirror.take(lookUp: [infected(2)], now: at(61))
        #expect(found.changed.map(\.id) == ["2"])
        _ = mirror.take(listing, isComplete: true, now: at(60))
        #expect(flag(mirror, "2", .infected) == true)
        #expect(mirror.asOf("2") == at(61) && mirror.asOf("1") == at(60))
        // A look-up is news even where it brings none: it holds from now on.
        #expect(mirror.take(lookUp: [infected(2)], now: at(90)).changed.first?.fetchedAt == at(90))
    }

    @Test func theNewestOfTwoRowsCounts() throws {
        var mirror = try mirror()
        _ = mirror.take(listing: [infected(1, seen: 50), agent(1, seen: 10)], isComplete: true, now: at(60))
        #expect(mirror.count == 1 && flag(mirror, "1", .infected) == true)
    }

    // MARK: Several calls

    private func machine(_ id: String) -> JSONTree {
        let text = #"{"id":"\#(id)","computerDnsName":"\#(id).corp","onboardingStatus":"Onboarded","healthStatus":"Active","#
            + #""riskScore":"Low","osPlatform":"Windows11","lastSeen":"\#(at(0).rfc3339)"}"#
        return (try? JSONTree.parse(text)) ?? JSONTree(value: .null, line: 0)
    }

    private func antivirus(_ id: String) throws -> JSONTree {
        try JSONTree.parse(
            #"{"machineId":"\#(id)","avIsSignatureUpToDate":"True","dataRefreshTimestamp":"\#(at(0).rfc3339)"}"#)
    }

    private func outcome(_ mirror: EndpointMirror, _ id: String, _ attribute: PostureAttribute, _ seconds: Int) throws
        -> PostureOutcome
    {
        let connection = EndpointConnection.example("defender")
        let profile = try connection.profile()
        let source = PostureSource(
            name: "test", vendor: "defender", supports: profile.supports(infers: false),
            completedAt: mirror.completedAt, maximumAges: profile.maximumAges)
        return try #require(mirror.record(id)).outcome(attribute, of: source, now: at(seconds)).outcome
    }

    @Test func aRefusedCallIsMissingAndNotGood() throws {
        var mirror = try mirror("defender")
        _ = mirror.take(listing: [machine("a")], isComplete: true, now: at(0))
        let change = mirror.refuse("alerts", now: at(1))
        #expect(change.changed.count == 1 && mirror.refused == ["alerts"])
        #expect(try outcome(mirror, "a", .infected, 2) == .unknown(.permission))
        // One that comes later finds it so, too.
        _ = mirror.take(listing: [machine("a"), machine("b")], isComplete: true, now: at(60))
        #expect(try outcome(mirror, "b", .malwareDetected, 61) == .unknown(.permission))
        _ = mirror.take([], of: "alerts", now: at(120))
        #expect(mirror.refused.isEmpty)
        #expect(try outcome(mirror, "b", .infected, 121) == .value(.flag(false), observedAt: at(120)))
    }

    @Test func silenceOfACallEndsWhatItSaid() throws {
        var mirror = try mirror("defender")
        _ = mirror.take(listing: [machine("a")], isComplete: true, now: at(0))
        _ = mirror.take([], of: "alerts", now: at(0))
        _ = mirror.take(listing: [machine("a")], isComplete: true, now: at(3600))
        #expect(mirror.expire(now: at(3600)).isEmpty)
        #expect(mirror.expire(now: at(3601)).changed.count == 1)
        #expect(try outcome(mirror, "a", .infected, 3602) == .unknown(.sourceUnavailable))
        // The configurations come every four hours: they hold for twice that.
        #expect(try outcome(mirror, "a", .risk, 3602) == .value(.risk(.level(.low)), observedAt: at(0)))
    }

    @Test func aCallMayKnowAnEndpointBeforeTheListingDoes() throws {
        var mirror = try mirror("defender")
        _ = mirror.take([try antivirus("late"), try antivirus("never")], of: "antivirus", now: at(0))
        _ = mirror.take(listing: [machine("late")], isComplete: true, now: at(10))
        #expect(try outcome(mirror, "late", .avSignatureOutdated, 11) == .value(.flag(false), observedAt: at(0)))
        #expect(mirror.count == 1)
    }

    @Test func inferencesAreAskedFor() throws {
        let row = try JSONTree.parse(
            #"{"deviceId":"a","configurationId":"scid-2011","isApplicable":true,"isCompliant":false,"timestamp":"2026-01-15 09:31:38.853"}"#)
        var connection = EndpointConnection.example("defender")
        for infers in [false, true] {
            connection.infers = infers
            var mirror = EndpointMirror(connection, try connection.profile())
            _ = mirror.take(listing: [machine("a")], isComplete: true, now: at(0))
            _ = mirror.take([row], of: "configurations", now: at(0))
            let fact = mirror.record("a")?.facts[.avSignatureUpdateDisabled]
            #expect((fact != nil) == infers)
            if infers { #expect(fact?.note == "inferred" && flag(mirror, "a", .avSignatureUpdateDisabled) == true) }
        }
    }

    // MARK: One call an endpoint

    private func item(_ id: String, managed: Bool = true) throws -> JSONTree {
        try JSONTree.parse(#"{"id":"\#(id)","name":"\#(id)","isManaged":\#(managed),"operatingSystemVersion":"Windows 10"}"#)
    }

    private func details(_ id: String, licensed: Int = 1, infected: Bool = false) throws -> JSONTree {
        try JSONTree.parse(
            #"{"id":"\#(id)","operatingSystem":"Windows 11 Pro","lastSeen":"2026-01-15T09:59:00","agent":{"licensed":\#(licensed)},"#
                + #""malwareStatus":{"infected":\#(infected)}}"#)
    }

    @Test func theBetterCallHasTheLastWord() throws {
        var mirror = try mirror("gravityzone")
        _ = mirror.take(listing: [try item("a")], isComplete: true, now: at(0))
        #expect(flag(mirror, "a", .agentInstalled) == true)
        #expect(mirror.record("a")?.facts[.os]?.raw == "Windows 10")
        _ = mirror.take([try details("a", licensed: 2)], of: "details", endpoint: "a", now: at(1))
        #expect(flag(mirror, "a", .agentInstalled) == false && mirror.record("a")?.facts[.os]?.raw == "Windows 11 Pro")
        // The listing, which knows less, changes nothing of that; nor does a restart.
        _ = mirror.take(listing: [try item("a")], isComplete: true, now: at(60))
        #expect(flag(mirror, "a", .agentInstalled) == false)
        let connection = EndpointConnection.example("gravityzone")
        var second = EndpointMirror(connection, try connection.profile(), records: mirror.records)
        _ = second.take(listing: [try item("a")], isComplete: true, now: at(120))
        #expect(flag(second, "a", .agentInstalled) == false)
    }

    @Test func thoseWithASessionAreAskedForFirst() throws {
        var mirror = try mirror("gravityzone")
        _ = mirror.take(listing: try ["a", "b", "c"].map { try item($0) }, isComplete: true, now: at(0))
        #expect(mirror.due("details", watched: ["c"], limit: 1, now: at(0)) == ["c"])
        for id in ["a", "b", "c"] {
            _ = mirror.take([try details(id)], of: "details", endpoint: id, now: at(10))
        }
        #expect(mirror.due("details", watched: ["c"], limit: 9, now: at(69)).isEmpty)
        #expect(mirror.nextDue("details", watched: ["c"]) == at(70))
        #expect(mirror.due("details", watched: ["c"], limit: 9, now: at(70)) == ["c"])
        #expect(Set(mirror.due("details", watched: ["c"], limit: 9, now: at(910))) == ["a", "b", "c"])
        #expect(mirror.due("details", watched: ["c"], limit: 1, now: at(910)) == ["c"])
        // An answer for one that is gone meanwhile.
        #expect(mirror.take([try details("z")], of: "details", endpoint: "z", now: at(911)).isEmpty)
        // Twice the interval without an answer.
        #expect(mirror.expire(now: at(3609)).isEmpty)
        #expect(mirror.expire(now: at(3611)).changed.count == 3)
        #expect(mirror.record("a")?.facts[.infected]?.outcome == .unknown(.sourceUnavailable))
    }

    @Test func versionsAreComparedWithTheNewestOfAll() throws {
        var mirror = try mirror("heimdal")
        func client(_ id: Int, _ version: String) throws -> JSONTree {
            try JSONTree.parse(#"{"clientInfoId":\#(id),"hostname":"h\#(id)","status":"Active","agentVersion":"\#(version)"}"#)
        }
        _ = mirror.take(
            listing: try [client(1, "4.6.2"), client(2, "4.6.10"), client(3, "odd")], isComplete: true, now: at(0))
        #expect(flag(mirror, "1", .avAgentOutdated) == true && flag(mirror, "2", .avAgentOutdated) == false)
        #expect(mirror.record("3")?.facts[.avAgentOutdated]?.outcome == .unknown(.schema))
        var connection = EndpointConnection.example("heimdal")
        connection.values["minimum-version"] = "4.6"
        var other = EndpointMirror(connection, try connection.profile())
        _ = other.take(listing: [try client(1, "4.6.2")], isComplete: true, now: at(0))
        #expect(flag(other, "1", .avAgentOutdated) == false)
    }
}

@Suite struct PollPlanTests {
    private func at(_ seconds: Int) -> Tick { Tick.zero + .seconds(seconds) }
    private func plan(_ kind: String, refresh: Int? = nil) throws -> PollPlan {
        var connection = EndpointConnection.example(kind)
        connection.refreshSeconds = refresh
        return PollPlan(connection, try connection.profile(), now: at(0))
    }

    @Test func theListingComesFirstAndThenWhatIsDue() throws {
        var plan = try plan("sentinelone")
        #expect(plan.next == (.listing, at(0)))
        plan.finish(.listing, .done, now: at(1), random: 0)
        #expect(plan.next == (.keyEnd, at(0)))
        plan.finish(.keyEnd, .done, now: at(1), random: 0)
        #expect(plan.next == (.changes, at(61)))
        plan.finish(.changes, .done, now: at(62), random: .max)
        // Up to a tenth earlier.
        #expect(plan.next.at > at(115) && plan.next.at <= at(117))
    }

    @Test func failuresAreTriedAgainLaterAndLater() throws {
        var plan = try plan("defender")
        var waits: [Double] = []
        var now = at(0)
        for job in [PollPlan.Job.call("antivirus"), .call("alerts"), .call("configurations")] {
            plan.finish(job, .done, now: at(100_000), random: 0)
        }
        for _ in 0..<6 {
            plan.finish(.listing, .failed, now: now, random: 0)
            waits.append((plan.next.at - now).seconds)
            now = plan.next.at
        }
        #expect(waits == [30, 60, 120, 240, 300, 300])
        plan.finish(.listing, .needsAttention, now: now, random: 0)
        #expect((plan.next.at - now).seconds == 3600)
        plan.hurryAll(now: now)
        #expect(plan.next == (.listing, now))
    }

    @Test func theAdministratorsIntervalHolds() throws {
        var plan = try plan("sentinelone", refresh: 10)
        plan.finish(.listing, .done, now: at(0), random: 0)
        plan.finish(.keyEnd, .done, now: at(0), random: 0)
        #expect(plan.next == (.changes, at(10)))
        // One that failed is not hurried.
        plan.finish(.changes, .failed, now: at(10), random: 0)
        plan.hurry(.changes, to: at(11))
        #expect(plan.next.at == at(40))
    }

    @Test func theEndOfAKeyIsLookedAtWhereAnybodyKnowsIt() throws {
        #expect(try !plan("defender").jobs.contains(.keyEnd))
        var connection = EndpointConnection.example("defender")
        connection.keyEndsAt = .at("2028-01-15T10:00:00Z")
        #expect(try PollPlan(connection, connection.profile(), now: at(0)).jobs.last == .keyEnd)
    }

    @Test func thePaceIsKeptAndSomebodyWhoWaitsGoesFirst() {
        var pace = Pace(calls: 4, seconds: 60, now: at(0))
        #expect((0..<4).map { _ in pace.take(now: at(0)).seconds } == [0, 0, 0, 0])
        #expect(pace.take(now: at(0)).seconds == 15)
        pace.takeAtOnce(now: at(0))
        #expect(pace.take(now: at(0)).seconds == 45)
        #expect(pace.take(now: at(200)).seconds == 0)
    }
}
