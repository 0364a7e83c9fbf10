import Base
import Cryptography
import GRDB
import Testing
import Tunnels

@testable import Store

@Suite struct SiteTests {
    private let root = Change(actor: "root (uid 0)")

    @Test func aPlanIsCarriedOutWhole() throws {
        let store = try TemporaryFolder().store()
        for id in ["a", "b", "c"] { try store.add(sample(id), by: root) }
        var changed = sample("b", psk: "another.key.entirely")
        changed.isEnabled = false
        let order = SiteOrder(connectors: [sample("d"), changed, sample("a")], settings: ["x": "1"])
        let plan = try store.plan(order, keepsOthers: false)
        #expect(plan.difference.added.map(\.connector) == ["d"])
        #expect(plan.difference.changed.map(\.changes) == [["b-1: another pre-shared key", "is disabled"]])
        #expect(plan.difference.removed == ["c"])
        #expect(plan.difference.unchanged == ["a"])
        #expect(try store.connectors().map(\.id) == ["a", "b", "c"], "a plan changes nothing")
        try store.carryOut(plan, by: root)
        #expect(try store.connectors() == order.connectors)
        #expect(try store.settings() == ["x": "1"])
        #expect(Set(try store.audit(limit: 4).map(\.action)) == [
            "site-applied", "connector-removed", "connector-replaced", "connector-added",
        ])
        #expect(try store.plan(order, keepsOthers: false).difference.isEmpty, "the second time nothing differs")
    }

    @Test func aFailureInTheMiddleLeavesEverything() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        for id in ["a", "b"] { try store.add(sample(id), by: root) }
        let before = try store.site()
        let trail = try store.audit(limit: 99)
        let plan = try store.plan(SiteOrder(connectors: [sample("b", psk: "other"), sample("z")]), keepsOthers: false)
        try store.writingAll { database in
            try database.execute(
                sql: """
                    CREATE TRIGGER stop BEFORE INSERT ON connector WHEN NEW.id = 'z'
                    BEGIN SELECT RAISE(ABORT, 'no'); END
                    """)
        }
        #expect(throws: StoreError.self) { try store.carryOut(plan, by: root) }
        let after = try store.site()
        #expect(after.site == before.site)
        #expect(after.version == before.version)
        #expect(try store.audit(limit: 99) == trail)
    }

    @Test func aChangeInBetweenIsNoticed() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("a"), by: root)
        let plan = try store.plan(SiteOrder(connectors: [sample("b")]), keepsOthers: false)
        try store.setEnabled("a", false, by: root)
        #expect(throws: StoreError.siteChanged) { try store.carryOut(plan, by: root) }
        #expect(try store.connectors().map(\.id) == ["a"])
    }

    @Test func anEmptySecretKeepsTheStoredOneAndAMissingOneIsNamed() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("a", psk: "stored.key"), by: root)
        let kept = try store.plan(SiteOrder(connectors: [sample("a", psk: "")]), keepsOthers: false)
        #expect(kept.difference.isEmpty)
        #expect(kept.after.connectors == [sample("a", psk: "stored.key")])
        do {
            _ = try store.plan(SiteOrder(connectors: [sample("b", psk: ""), sample("c", psk: "")]), keepsOthers: false)
            Issue.record("rubbish was planned")
        } catch {
            #expect(error.description.contains("tunnel b-1 in connector b"))
            #expect(error.description.contains("tunnel c-1 in connector c"), "all of them in one go")
        }
    }

    @Test func tunnelNamesMayBeExchangedAndNotShared() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("a", tunnel: "one"), by: root)
        try store.add(sample("b", tunnel: "two"), by: root)
        let swapped = [sample("a", tunnel: "two"), sample("b", tunnel: "one")]
        try store.carryOut(try store.plan(SiteOrder(connectors: swapped), keepsOthers: false), by: root)
        #expect(try store.connectors() == swapped)
        #expect(throws: StoreError.siteRefused(["Two tunnels are called one, in b and c."])) {
            try store.plan(SiteOrder(connectors: [sample("c", tunnel: "one")]), keepsOthers: true)
        }
    }

    @Test func othersAreKeptInTheirPlaces() throws {
        let store = try TemporaryFolder().store()
        for id in ["a", "b", "c"] { try store.add(sample(id), by: root) }
        let order = SiteOrder(connectors: [sample("d"), sample("b", psk: "other")])
        try store.carryOut(try store.plan(order, keepsOthers: true), by: root)
        #expect(try store.connectors().map(\.id) == ["a", "b", "c", "d"])
    }

    @Test func aFileThatSaysNothingOfItLeavesAConnectorDisabled() throws {
        let store = try TemporaryFolder().store()
        try store.add(sample("a"), by: root)
        try store.setEnabled("a", false, by: root)
        try store.replace(sample("a", psk: "other"), keepsEnabled: true, by: root)
        #expect(try store.connectors().first?.isEnabled == false)
    }
}
