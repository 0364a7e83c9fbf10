import Access
import Base
import Foundation
import HTTP
import Host
import Portal
import Store
import Testing
import Tunnels
import Vendors

@testable import Gateway

/// The way from a vendor's API over TLS to what decisions are made by.
@Suite(.serialized) struct EndpointKeeperTests {
    static let vendors = ["sentinelone", "gravityzone", "defender", "heimdal"]
    /// Ada's laptop with two cards, and a server.
    static let devices = """
        [{"id": "1001", "name": "ada-laptop", "macs": ["02:00:00:00:00:0a", "02:00:00:00:00:0b"], "addresses": ["10.1.0.10"],
          "user": "ada", "infected": false},
         {"id": "1002", "name": "server", "macs": ["02:00:00:00:00:0c"], "addresses": ["10.1.0.12"], "encrypted": false}]
        """

    private static func custom(_ connection: inout EndpointConnection) throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../VendorsTests/Profiles/acorn.yaml")
        connection.profileText = try String(contentsOf: url, encoding: .utf8)
    }

    private static func with(
        _ vendor: String, devices: String = Self.devices, change: (inout EndpointConnection) -> Void = { _ in },
        _ body: (EndpointLab, EndpointKeeper) async throws -> Void
    ) async throws {
        try await EndpointLab.with(
            vendor, devices: devices,
            change: { connection in
                if vendor == "acorn" { try custom(&connection) }
                change(&connection)
            }, body)
    }

    @Test(arguments: vendors + ["acorn"]) func anInfectionIsTold(_ vendor: String) async throws {
        try await Self.with(vendor) { lab, keeper in
            let source = try await lab.source(keeper)
            let status = await source.status
            #expect(status.state == .ok && status.endpoints == 2, "\(status)")
            #expect(status.completedAt != nil && status.warnings.isEmpty)
            let before = try await lab.values(keeper, "ada-laptop")
            #expect(before[.infected] == "no" && before[.agentInstalled] == "yes" && before[.diskEncrypted] == "yes")
            #expect(try await lab.values(keeper, "server")[.diskEncrypted] == "no")
            let records = await source.records(matching: "ada-laptop")
            if vendor != "heimdal" { #expect(records[0].macs.first == MACAddress("02:00:00:00:00:0a")) }
            #expect(records[0].addresses == [try #require(IPAddress("10.1.0.10"))] && records[0].hostName?.lowercased() == "ada-laptop")
            _ = lab.news()
            try await lab.control(#"{"device": {"id": "1001", "infected": true}}"#)
            _ = try await lab.synced(keeper)
            let told = lab.news().flatMap { change in
                if case .changed(let records) = change { records } else { [EndpointRecord]() }
            }
            #expect(Set(told.map(\.id)) == ["1001"])
            let after = try await lab.values(keeper, "ada-laptop")
            #expect(after[.infected] == "yes")
            if vendor == "gravityzone" || vendor == "defender" || vendor == "heimdal" {
                #expect(after[.malwareDetected] == "yes")
            }
            // What was stored is what was told.
            let stored = try lab.store.endpoints(of: "lab").records.first { $0.id == "1001" }
            #expect(stored?.facts == told.last?.facts)
        }
    }

    @Test(arguments: vendors) func aTestSaysWhatIsRightAndWrong(_ vendor: String) async throws {
        try await Self.with(vendor) { lab, keeper in
            let source = try await lab.source(keeper)
            let good = await source.test(showsRecords: true)
            #expect(good.isGood, "\(good.findings)")
            #expect(good.records[source.profile.listingName]?.lowercased().contains("ada-laptop") == true)
            try await lab.control(#"{"token": "expired"}"#)
            let bad = await source.test(showsRecords: false)
            #expect(!bad.isGood && !"\(bad)".contains(EndpointLab.key))
        }
    }

    /// The list of what may come in the place of an inventory. None of it removes anyone or makes anything good.
    @Test(arguments: ["html", "half", "json", "down", "cut", "login"]) func noRubbishIsAnInventory(_ fault: String) async throws {
        try await Self.with("gravityzone") { lab, keeper in
            let source = try await lab.source(keeper)
            let before = await source.mirror.completedAt
            _ = lab.news()
            // One that passes is repeated by itself.
            try await lab.control(#"{"faults": {"endpoints": "\#(fault)", "details": "\#(fault)"}}"#)
            let status = try await lab.synced(keeper)
            let passes = fault == "cut"
            #expect(status.state == (passes ? .ok : fault == "login" ? .needsAttention : .failing), "\(status)")
            #expect(status.endpoints == 2)
            if !passes {
                #expect(await source.mirror.completedAt == before)
                #expect(status.lastError?.isEmpty == false && !lab.news().contains { if case .removed = $0 { true } else { false } })
            }
            let values = try await lab.values(keeper, "ada-laptop")
            #expect(values[.infected] == "no" && values[.agentInstalled] == "yes")
        }
    }

    @Test func aKeyThatEndedIsSaidAndWhatWasKnownHolds() async throws {
        try await Self.with("sentinelone") { lab, keeper in
            try await lab.control(#"{"token": "expired", "device": {"id": "1001", "infected": true}}"#)
            let status = try await lab.synced(keeper)
            #expect(status.state == .needsAttention)
            #expect(
                status.lastError
                    == "127.0.0.1:\(lab.port) refused the API token (401, 4010010: Authentication Failed). Make a new token for the "
                    + "service user (Settings, Users, Service Users) and give it with 'gatehouse epp edit'.")
            #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "no")
            #expect(lab.log.recent(limit: 10).contains { $0.kind == "endpoint-protection-failing" && $0.level == .error })
            // Somebody has made a new one.
            try await lab.control(#"{"token": "good"}"#)
            #expect(try await lab.synced(keeper).state == .ok)
            #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "yes")
        }
    }

    @Test func theEndOfAKeyIsWarnedOf() async throws {
        try await Self.with("sentinelone") { lab, keeper in
            #expect(try await lab.synced(keeper).warnings.isEmpty)
            let soon = WallTime(nanoseconds: SystemClock().wall.nanoseconds) + .seconds(2 * 86_400)
            try await lab.control(#"{"keyEnds": "\#(soon.rfc3339)"}"#)
            let status = try await lab.synced(keeper)
            #expect(status.keyEndsAt?.day == soon.day && status.state == .ok)
            #expect(status.warnings.first?.contains("ends in less than 3 days") == true, "\(status.warnings)")
            // A Viewer may not ask: then the administrator's word remains, here none.
            try await lab.control(#"{"detailless": true}"#)
            #expect(try await lab.synced(keeper).keyEndsAt == nil)
        }
        // One that lives for years, of whose end only the administrator knows.
        try await Self.with("defender", change: { $0.keyEndsAt = SystemClock().wall + .seconds(20 * 86_400) }) { lab, keeper in
            let warnings = try await lab.synced(keeper).warnings
            #expect(warnings.first?.contains("ends in less than 30 days") == true, "\(warnings)")
        }
    }

    @Test func tokensAreRenewedAndReplaced() async throws {
        try await Self.with("defender") { lab, keeper in
            // All that were given out are refused from now on: one new token, no more.
            try await lab.control(#"{"tokens": {}}"#)
            #expect(try await lab.synced(keeper).state == .ok)
            try await lab.control(#"{"token": "expired", "tokens": {}}"#)
            let status = try await lab.synced(keeper)
            #expect(status.state == .needsAttention)
            #expect(status.lastError?.contains("AADSTS7000222") == true && status.lastError?.contains(EndpointLab.key) == false)
        }
    }

    @Test func aPermissionThatLacksMakesItsAttributesMissing() async throws {
        try await Self.with("defender") { lab, keeper in
            try await lab.control(#"{"forbidden": ["alerts"]}"#)
            let status = try await lab.synced(keeper)
            #expect(status.state == .failing && status.warnings.contains { $0.contains("'alerts'") })
            let values = try await lab.values(keeper, "ada-laptop")
            #expect(values[.infected] == "(permission)" && values[.malwareDetected] == "(permission)")
            #expect(values[.agentInstalled] == "yes" && values[.risk] == "none")
        }
    }

    @Test func aLossOfManyStopsAndAsks() async throws {
        let devices = (0..<20).map { #"{"id": "\#(1000 + $0)", "name": "host-\#($0)"}"# }.joined(separator: ",")
        try await Self.with("sentinelone", devices: "[\(devices)]") { lab, keeper in
            let gone = (0..<8).map { #""\#(1000 + $0)""# }.joined(separator: ",")
            try await lab.control(#"{"remove": [\#(gone)]}"#)
            let held = try await lab.synced(keeper)
            #expect(held.state == .needsAttention && held.lostFrom == 20 && held.lostTo == 12 && held.endpoints == 20)
            #expect(held.lastError?.contains("gatehouse epp sync lab --accept-loss") == true)
            // News of the others are taken.
            try await lab.control(#"{"device": {"id": "1019", "infected": true}}"#)
            _ = try await lab.synced(keeper)
            #expect(try await lab.values(keeper, "host-19")[.infected] == "yes")
            let accepted = try await lab.synced(keeper, acceptsLoss: true)
            #expect(accepted.state == .ok && accepted.endpoints == 12 && accepted.lostFrom == nil)
            #expect(lab.news().contains { if case .removed(let keys) = $0 { keys.count == 8 } else { false } })
        }
    }

    /// Rows that vanish between pages shift the others: one is missed, and nobody is removed for that.
    @Test(arguments: ["sentinelone", "gravityzone", "heimdal"]) func aListThatMovesWhilePagingRemovesNobody(_ vendor: String) async throws {
        let devices = (0..<12).map { #"{"id": "\#(1000 + $0)", "name": "host-\#($0)"}"# }.joined(separator: ",")
        try await Self.with(vendor, devices: "[\(devices)]") { lab, keeper in
            let source = try await lab.source(keeper)
            try await lab.control(#"{"pageSize": 4, "shuffle": true}"#)
            _ = lab.news()
            _ = try await lab.synced(keeper)
            #expect(await source.mirror.count == 12)
            #expect(!lab.news().contains { if case .removed = $0 { true } else { false } })
            try await lab.control(#"{"shuffle": false}"#)
            #expect(try await lab.synced(keeper).state == .ok)
        }
    }

    @Test func aNewDeviceIsLookedUpAtItsSignIn() async throws {
        for vendor in ["sentinelone", "gravityzone", "defender", "acorn"] {
            try await Self.with(vendor) { lab, keeper in
                _ = lab.news()
                try await lab.control(
                    #"{"device": {"id": "1003", "name": "new", "macs": ["02:00:00:00:00:0d"], "addresses": ["10.1.0.13"], "infected": true}}"#)
                var query = EndpointQuery(mac: MACAddress("02:00:00:00:00:0d"))
                // Defender cannot be asked by a card.
                if vendor == "defender" { query.hostName = "new" }
                await keeper.refresh(query)
                let told = lab.news().flatMap { change in
                    if case .changed(let records) = change { records } else { [EndpointRecord]() }
                }
                #expect(told.contains { $0.id == "1003" }, "\(vendor)")
                if vendor == "sentinelone" || vendor == "gravityzone" {
                    #expect(try await lab.values(keeper, "1003")[.infected] == "yes", "\(vendor)")
                }
            }
        }
    }

    @Test func aKnownDeviceIsAskedForWhenItsRecordIsOld() async throws {
        for vendor in ["sentinelone", "gravityzone"] {
            // At once: nothing is young enough.
            try await Self.with(vendor, change: { $0.lookUpSeconds = 0 }) { lab, keeper in
                try await lab.control(#"{"device": {"id": "1001", "infected": true}}"#)
                await keeper.refresh(EndpointQuery(keys: [EndpointKey(source: "lab", id: "1001")]))
                #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "yes", "\(vendor)")
                // A source that is silent does not hold anyone up, and changes nothing.
                try await lab.control(#"{"faults": {"all": "down"}}"#)
                await keeper.refresh(EndpointQuery(keys: [EndpointKey(source: "lab", id: "1001")]))
                #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "yes", "\(vendor)")
            }
            // A record that is young is not asked for.
            try await Self.with(vendor, change: { $0.lookUpSeconds = 3600 }) { lab, keeper in
                try await lab.control(#"{"device": {"id": "1001", "infected": true}}"#)
                await keeper.refresh(EndpointQuery(keys: [EndpointKey(source: "lab", id: "1001")]))
                #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "no", "\(vendor)")
            }
        }
    }

    @Test func whatIsStoredServesUntilItIsTooOld() async throws {
        let lab = try await EndpointLab.start("sentinelone")
        try await lab.control(#"{"devices": \#(Self.devices)}"#)
        try lab.store.save(lab.connection, replacing: false, by: Change(actor: "test"))
        try await lab.withKeeper { keeper in _ = try await lab.synced(keeper) }
        try await lab.control(#"{"faults": {"all": "down"}}"#)
        _ = lab.news()
        try await lab.withKeeper { keeper in
            let source = try await lab.source(keeper)
            await source.sync(acceptsLoss: false)
            #expect(await source.state == .failing)
            let told = lab.news()
            #expect(told.contains { if case .changed(let records) = $0 { records.count == 2 } else { false } })
            let (records, posture) = await (source.records(matching: "ada"), source.posture)
            let record = try #require(records.first)
            let now = SystemClock().wall
            func outcome(_ later: Int) -> PostureOutcome {
                record.outcome(.infected, of: posture, now: now + .seconds(later)).outcome
            }
            // An hour without an answer.
            if case .value(.flag(false), _) = outcome(3500) {} else { Issue.record("\(outcome(3500))") }
            #expect(outcome(3700) == .unknown(.sourceUnavailable))
            #expect(posture.problem != nil)
        }
    }

    /// The profile takes a number of the first finding for how many there are, and so has more than come: as if the other
    /// pages were lost.
    @Test func aSideListThatIsCutShortIsNoSignOfHealth() async throws {
        let devices = #"[{"id": "1001", "name": "ada-laptop"}, {"id": "1002", "name": "server", "infected": true}]"#
        try await Self.with(
            "acorn", devices: devices,
            change: { connection in
                connection.profileText = connection.profileText?.replacing(
                    "key: machine.serial", with: "key: machine.serial\n    total: findings[].machine.serial")
            }
        ) { lab, keeper in
            let source = try await lab.source(keeper)
            #expect(await source.state == .failing)
            #expect(await source.lastError?.contains("gave 1 of 1002 rows of findings") == true)
            #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "(noData)")
            // Without findings there is no such number.
            try await lab.control(#"{"remove": ["1002"]}"#)
            #expect(try await lab.synced(keeper).state == .ok)
            #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "no")
            let answered = await source.mirror.lastAnswer("findings")
            try await lab.control(#"{"device": {"id": "1003", "name": "new", "infected": true}}"#)
            #expect(try await lab.synced(keeper).state == .failing)
            // What was known holds, and grows old.
            #expect(try await lab.values(keeper, "ada-laptop")[.infected] == "no")
            #expect(await source.mirror.lastAnswer("findings") == answered)
            var later = await source.mirror
            _ = later.expire(now: SystemClock().wall + .seconds(2 * 3600))
            #expect(later.record("1001")?.facts[.infected]?.outcome == .unknown(.sourceUnavailable))
        }
    }

    @Test func aDeafHeimdalIsNotAskedForEver() async throws {
        let devices = (0..<3).map { #"{"id": "\#(1000 + $0)", "name": "host-\#($0)"}"# }.joined(separator: ",")
        let lab = try await EndpointLab.start("heimdal")
        try await lab.control(#"{"devices": [\#(devices)], "pageSize": 2, "limits": false, "faults": {"clients": "deaf"}}"#)
        try lab.store.save(lab.connection, replacing: false, by: Change(actor: "test"))
        try await lab.withKeeper { keeper in
            let status = try await lab.synced(keeper)
            #expect(status.state == .failing && status.lastError?.contains("the same page again") == true, "\(status)")
            #expect(status.completedAt == nil)
        }
    }

    @Test func removingAConnectionIsTold() async throws {
        try await Self.with("sentinelone") { lab, keeper in
            try lab.store.removeEndpointSource("lab", by: Change(actor: "test"))
            await keeper.remove("lab")
            #expect(lab.news().contains(.sourceRemoved("lab")))
            #expect(try lab.store.endpoints(of: "lab").records.isEmpty)
            await keeper.refresh(EndpointQuery(mac: MACAddress("02:00:00:00:00:0a")))
            #expect(lab.news().isEmpty)
        }
    }
}
