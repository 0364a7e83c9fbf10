import Base
import Testing

@testable import Access
@testable import Identity

/// What a restart makes of an open session when the clock is not what it was.
@Suite struct SessionRestartTests {
    private struct Restart {
        var engine: SessionEngine
        var now: Moment
        var effects: [SessionEffect]
        /// How long the session still lasts; nil when it does not.
        var left: Tick.Span? { engine.deadline.map { $0.tick - now.tick } }
    }

    /// A session of an hour, taken up when the clock shows so many seconds after its beginning.
    private func restart(
        after seconds: Int, at wall: WallTime? = nil, _ change: (inout Session) -> Void = { _ in }
    ) throws -> Restart {
        var scene = Scene { $0.sessionSeconds = 3600 }
        var session = try #require(try scene.signIn("a@b").opened.first)
        change(&session)
        let now = Moment(Tick(nanoseconds: 5), wall ?? scene.now.wall + .seconds(seconds))
        var later = Scene()
        let effects = later.engine.restore(users: Array(scene.engine.users.values), sessions: [session], now: now)
        return Restart(engine: later.engine, now: now, effects: effects)
    }

    @Test func whatIsLeftIsLeft() throws {
        let restart = try restart(after: 1800)
        #expect(restart.effects.ends.isEmpty && restart.left == .seconds(1800))
        #expect(try self.restart(after: 3600).effects.ends == [.expired])
    }

    /// Clocks are set, and a session that has just begun is not thrown out for that; it lasts no longer either.
    @Test(arguments: [-1, -60, -300]) func aClockThatIsALittleBehindGivesTheWholeTimeAndNoMore(_ seconds: Int) throws {
        let restart = try restart(after: seconds)
        #expect(restart.effects.ends.isEmpty && restart.effects.reaches == [["a", "b"]])
        #expect(restart.left == .seconds(3600))
    }

    /// A board without a battery begins in 1970.
    @Test(arguments: [-301, -86_400, -1_795_000_000]) func aClockInThePastEndsTheSession(_ seconds: Int) throws {
        let restart = try restart(after: seconds)
        let end = try #require(restart.effects.ends.first)
        #expect(restart.effects.ends.count == 1 && end.code == "revoked" && end.words.contains("the clock shows a time before"))
        #expect(restart.engine.sessions.isEmpty && restart.left == nil)
    }

    @Test func timesThatNoSessionHasDoNoHarm() throws {
        let (first, last) = (WallTime(nanoseconds: .min), WallTime(nanoseconds: .max))
        let endless = try restart(after: 60) { ($0.startedAt, $0.expiresAt) = (first, last) }
        #expect(endless.effects.ends.isEmpty && endless.left == .seconds(31 * 86_400))
        #expect(try restart(after: 60) { ($0.startedAt, $0.expiresAt) = (last, first) }.effects.ends == [.expired])
        #expect(try restart(after: 0, at: first).effects.ends.map(\.code) == ["revoked"])
        #expect(try restart(after: 0, at: last).effects.ends == [.expired])
    }
}
