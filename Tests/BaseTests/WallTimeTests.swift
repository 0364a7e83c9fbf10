import Base
import Testing

@Suite struct WallTimeTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (1_795_484_492_007, "2026-11-24T01:41:32.007Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
    ])
    func writesRFC3339(milliseconds: Int64, text: String) throws {
        let time = WallTime(nanoseconds: milliseconds * 1_000_000)
        #expect(time.rfc3339 == text)
        #expect(WallTime(rfc3339: text) == time)
    }

    @Test(arguments: [
        ("2026-11-24T01:41:32Z", "2026-11-24T01:41:32.000Z"), ("2026-11-24T03:41:32.5+02:00", "2026-11-24T01:41:32.500Z"),
        ("2026-11-23t20:11:32.123456789-05:30", "2026-11-24T01:41:32.123Z"),
    ])
    func readsOffsetsAndFractions(text: String, utc: String) throws {
        #expect(try #require(WallTime(rfc3339: text)).rfc3339 == utc)
    }

    @Test(arguments: [
        "", "2026", "2026-11-24", "2026-11-24T01:41:32", "2026-13-24T01:41:32Z", "2026-11-24T24:00:00Z",
        "2026-11-24T01:41:32.Z", "2026-11-24T01:41:32Zx", "9999-01-01T00:00:00Z", "2026-11-24T01:41:32+2:00",
    ])
    func refusesWhatIsNoTime(text: String) {
        #expect(WallTime(rfc3339: text) == nil)
    }
}

@Suite struct DeadlineTests {
    @Test func theEarlierOneWins() {
        let soon = Deadline(Tick(nanoseconds: 1), "soon")
        let later = Deadline(Tick(nanoseconds: 2), "later")
        #expect(Deadline.earlier(soon, later) == soon)
        #expect(Deadline.earlier(later, soon) == soon)
        #expect(Deadline.earlier(nil, later) == later)
        #expect(Deadline.earlier(nil, nil) == nil)
    }
}
