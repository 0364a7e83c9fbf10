import Access
import Base
import JSONText
import Testing

@testable import Vendors

@Suite struct VendorTimeTests {
    @Test(arguments: [
        ("2026-01-15T10:00:00Z", "2026-01-15T10:00:00.000Z"), ("2026-01-15 09:31:38.853", "2026-01-15T09:31:38.853Z"),
        ("1677-09-21T00:12:44Z", "1970-01-01T00:00:00.000Z"), ("1900-01-01T00:00:00", "1970-01-01T00:00:00.000Z"),
        ("2262-04-11T23:47:16Z", "2200-01-01T00:00:00.000Z"),
    ])
    func staysWhereItCanBeReckonedWith(_ text: String, _ time: String) {
        #expect(VendorTime(text)?.time.rfc3339 == time)
    }

    /// The last second that a time can hold: it must not become the first one when a day is added.
    @Test func whatIsFarAheadIsNotLongPast() throws {
        let date = try JSONTree.parse(#""2262-04-11T23:47:16Z""#)
        let now = WallTime.at("2026-01-15T10:00:00Z")
        let recent = Condition.Test.isWithin(seconds: 86_400)
        if case .holds = recent.verdict([date], now) {} else { Issue.record("it was more than a day ago") }
        let row = try JSONTree.parse(#"{"vdf": "2262-04-11T23:47:16Z"}"#)
        let path = try #require(FieldPath("vdf"))
        let reading = AttributeRule.Reading.days(path, option: "days", usual: 3).read([row], RuleContext(now: now))
        if case .value(.flag(false)) = reading.result {} else { Issue.record("it is outdated: \(reading)") }
    }

    /// A device that was last seen before there were any is no device that was seen just now.
    @Test func whatIsLongPastIsOld() throws {
        let row = try JSONTree.parse(#"{"seen": "1900-01-01T00:00:00Z"}"#)
        let time = try #require([FieldPath("seen")].compactMap(\.self).time(row))
        #expect(time == WallTime(nanoseconds: 0))
    }
}
