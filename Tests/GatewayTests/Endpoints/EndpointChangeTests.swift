import Access
import Base
import Portal
import Store
import Testing
import Vendors

@testable import Gateway

/// Connections that are edited and removed while something of theirs is under way.
@Suite(.serialized) struct EndpointChangeTests {
    private static func with(_ body: (EndpointLab, EndpointKeeper) async throws -> Void) async throws {
        try await EndpointLab.with("sentinelone", devices: EndpointKeeperTests.devices, body)
    }

    /// What the old place answers after the edit is stored nowhere and told to nobody.
    @Test func aPollThatIsUnderWayAtAnEditLeavesNothing() async throws {
        try await Self.with { lab, keeper in
            let old = try await lab.source(keeper)
            // The next answer takes seconds, and has news.
            try await lab.control(
                #"{"device": {"id": "1003", "name": "new", "infected": true}, "faults": {"agents": "slow"}}"#)
            let before = lab.calls
            let sync = Task { await old.sync(acceptsLoss: false) }
            // The simulator counts calls and tells of none: it is looked at until the poll is under way.
            while lab.calls == before { try await Task.sleep(for: .milliseconds(5)) }
            var edited = lab.connection
            edited.values["customer"] = "another"
            edited.isEnabled = false
            try await keeper.put(edited) { [edited] in
                try lab.store.save(edited, replacing: true, forgets: true, by: Change(actor: "test"))
            }
            #expect(lab.news().last == .sourceRemoved("lab"))
            // The old poll has come to its end, however that was.
            await sync.value
            #expect(lab.news().isEmpty)
            let stored = try lab.store.endpoints(of: "lab")
            #expect(stored.records.isEmpty && stored.answered.isEmpty, "\(stored)")
            #expect(await keeper.source("lab") == nil)
        }
    }

    /// The one that follows under the same name begins with what is stored then.
    @Test func theNextOneBeginsWithNothingOfTheOld() async throws {
        try await Self.with { lab, keeper in
            let old = try await lab.source(keeper)
            try await lab.control(
                #"{"device": {"id": "1003", "name": "new", "infected": true}, "faults": {"agents": "slow"}}"#)
            _ = lab.news()
            let before = lab.calls
            let sync = Task { await old.sync(acceptsLoss: false) }
            // The simulator counts calls and tells of none: it is looked at until the poll is under way.
            while lab.calls == before { try await Task.sleep(for: .milliseconds(5)) }
            var edited = lab.connection
            edited.values["customer"] = "another"
            try await keeper.put(edited) { [edited] in
                try lab.store.save(edited, replacing: true, forgets: true, by: Change(actor: "test"))
            }
            await sync.value
            let new = try await lab.source(keeper)
            #expect(new !== old && new.connection.values["customer"] == "another")
            // Its own first answer takes seconds, too.
            let mirror = await new.mirror
            #expect(mirror.count == 0 && mirror.completedAt == nil)
            let told = lab.news().flatMap { change in
                if case .changed(let records) = change { records } else { [EndpointRecord]() }
            }
            #expect(told.isEmpty, "\(told)")
            #expect(try lab.store.endpoints(of: "lab").records.isEmpty)
        }
    }

    @Test func whatIsBeingToldIsToldBeforeTheEnd() async throws {
        try await Self.with { lab, keeper in
            let source = try await lab.source(keeper)
            let (reached, reach) = AsyncStream<Void>.makeStream()
            let (gate, key) = AsyncStream<Void>.makeStream()
            lab.holdTelling { changes in
                guard changes.contains(where: { if case .changed = $0 { true } else { false } }) else { return }
                reach.yield()
                for await _ in gate {}
            }
            try await lab.control(#"{"device": {"id": "1001", "infected": true}}"#)
            let sync = Task { await source.sync(acceptsLoss: false) }
            for await _ in reached { break }
            _ = lab.news()
            let removal = Task { await keeper.remove("lab") }
            while await keeper.source("lab") != nil { await Task.yield() }
            // Time enough for one that does not wait.
            for _ in 0..<1000 { await Task.yield() }
            #expect(lab.news().isEmpty)
            key.finish()
            await removal.value
            await sync.value
            let news = lab.news()
            #expect(news.count == 2 && news.last == .sourceRemoved("lab"), "\(news)")
        }
    }

    @Test func editsWaitForEachOther() async throws {
        try await Self.with { lab, keeper in
            _ = lab.news()
            async let first: Void = keeper.put(lab.connection)
            async let second: Void = keeper.put(lab.connection)
            _ = await (first, second)
            // None is left behind that nobody knows of.
            let removals = lab.news().count { $0 == .sourceRemoved("lab") }
            #expect(removals == 2)
            #expect(await keeper.running.count == 1)
            let synced = try await lab.synced(keeper)
            #expect(synced.endpoints == 2)
        }
    }

    @Test func anEditThatIsNotStoredChangesNothing() async throws {
        try await Self.with { lab, keeper in
            _ = lab.news()
            await #expect(throws: StoreError.endpointSourceExists("lab")) {
                try await keeper.put(lab.connection) {
                    try lab.store.save(lab.connection, replacing: false, by: Change(actor: "test"))
                }
            }
            let status = try await lab.synced(keeper)
            #expect(status.state == .ok && status.endpoints == 2)
            #expect(!lab.news().contains(.sourceRemoved("lab")))
        }
    }
}
