import Base
import Testing

@testable import Access

/// A TZif file of version 2 (RFC 9636 §3) with these transitions and this rule for later years.
func zoneFile(_ transitions: [(at: Int64, offset: Int32)] = [], first: Int32 = 0, footer: String) -> [UInt8] {
    func number(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    func header(_ times: Int, _ types: Int) -> [UInt8] {
        var bytes = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
        for count in [0, 0, 0, times, types, 4] { bytes += number(UInt32(count)) }
        return bytes
    }
    // The block of version 1 has one type and nothing else.
    var bytes = header(0, 1) + number(Int32(0)) + [0, 0] + Array("UTC\0".utf8)
    bytes += header(transitions.count, transitions.count + 1)
    for transition in transitions { bytes += number(transition.at) }
    bytes += (0..<transitions.count).map { UInt8($0 + 1) }
    for offset in [first] + transitions.map(\.offset) { bytes += number(offset) + [0, 0] }
    bytes += Array("UTC\0".utf8)
    return bytes + [10] + Array(footer.utf8) + [10]
}

@Suite struct TimeWindowTests {
    static let berlin = try! TimeZoneRules(zoneFile(first: 3600, footer: "CET-1CEST,M3.5.0,M10.5.0/3"))

    private func time(_ text: String) -> WallTime { WallTime(rfc3339: text)! }

    @Test(arguments: [
        ("2026-03-29T00:59:59Z", 3600), ("2026-03-29T01:00:00Z", 7200), ("2026-10-25T00:59:59Z", 7200),
        ("2026-10-25T01:00:00Z", 3600), ("2030-07-01T00:00:00Z", 7200), ("2026-12-31T23:59:59Z", 3600),
    ] as [(String, Int64)])
    func berlinHasSummerTime(_ text: String, _ offset: Int64) {
        #expect(Self.berlin.offset(at: time(text).nanoseconds / 1_000_000_000) == offset)
    }

    @Test(arguments: [
        // The southern summer goes over the new year.
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-10T00:00:00Z", 39600),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-07-10T00:00:00Z", 36000),
        ("<-03>3", "2026-07-10T00:00:00Z", -10800), ("<+0545>-5:45", "2026-07-10T00:00:00Z", 20700),
        ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T06:59:59Z", -18000),
        ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00:00Z", -14400),
        ("AAA0BBB,J60/0,J300/0", "2028-03-01T00:00:00Z", 3600), ("AAA0BBB,59/0,300/0", "2028-02-29T00:00:00Z", 3600),
    ] as [(String, String, Int64)])
    func rulesAreReadAsPOSIXWritesThem(_ footer: String, _ text: String, _ offset: Int64) throws {
        let zone = try TimeZoneRules(zoneFile(footer: footer))
        #expect(zone.offset(at: time(text).nanoseconds / 1_000_000_000) == offset)
    }

    @Test func transitionsGoBeforeTheRule() throws {
        let zone = try TimeZoneRules(
            zoneFile([(at: 1000, offset: 60), (at: 2000, offset: 120)], first: 7, footer: "AAA-1"))
        #expect([999, 1000, 1999, 2000].map { zone.offset(at: $0) } == [7, 60, 60, 3600])
    }

    @Test func brokenFilesAreRefusedAndNothingTraps() throws {
        let good = zoneFile([(at: 1000, offset: 60)], footer: "CET-1CEST,M3.5.0,M10.5.0/3")
        for count in 0..<good.count {
            #expect(throws: TimeZoneRules.Fault.self) { try TimeZoneRules(Array(good.prefix(count))) }
        }
        for place in good.indices {
            for byte: UInt8 in [0, 1, 0x7F, 0xFF] {
                var bytes = good
                bytes[place] = byte
                if let zone = try? TimeZoneRules(bytes) { _ = zone.offset(at: 1_795_600_000) }
            }
        }
        for footer in ["CET", "CET-1CEST,M13.5.0,M10.5.0", "C-1", "CET-1CEST,M3.5.0", "CET-9999999999999999999"] {
            #expect(throws: TimeZoneRules.Fault.self) { try TimeZoneRules(zoneFile(footer: footer)) }
        }
    }

    /// Minute by minute over the weeks in which the clocks change, against the obvious definition.
    @Test func windowsAreWhatClocksOnTheWallSay() {
        var random = SmallRandom(23)
        for _ in 0..<5 {
            let minutes = [0, 30, 360, 480, 719, 1080, 1320, 1439]
            let from = random.pick(minutes)
            let to = random.pick(minutes.filter { $0 > 0 } + [1440])
            var days = Set(random.some(TimeWindow.Day.allCases))
            if days.isEmpty { days = [.monday] }
            let window = TimeWindow(days: days, from: from, to: to, timeZone: "Europe/Berlin")
            for start in ["2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z"] {
                let first = time(start).nanoseconds / 1_000_000_000
                var promised: (isIn: Bool, until: Int64)?
                for minute in 0..<Int64(4 * 1440) {
                    let second = first + minute * 60
                    let local = second + Self.berlin.offset(at: second)
                    let day = (local.flooredQuotient(86_400) + 4).flooredRemainder(7)
                    let clock = Int(local.flooredRemainder(86_400) / 60)
                    let today = days.contains { $0.number == day }
                    let yesterday = days.contains { $0.number == (day + 6) % 7 }
                    let isIn = to > from
                        ? today && (from..<to).contains(clock) : (today && clock >= from) || (yesterday && clock < to)
                    let state = window.state(at: WallTime(nanoseconds: second * 1_000_000_000), Self.berlin)
                    #expect(state.isIn == isIn, "\(window) at \(WallTime(nanoseconds: second * 1_000_000_000).rfc3339)")
                    // What was promised holds until then, and not for longer than it should.
                    if let old = promised, second < old.until { #expect(old.isIn == isIn) }
                    let until = state.until!.nanoseconds / 1_000_000_000
                    #expect(until > second)
                    promised = (isIn, until)
                }
            }
        }
    }

    @Test func theNextChangeIsFound() {
        let office = TimeWindow(
            days: [.monday, .tuesday, .wednesday, .thursday, .friday], from: 480, to: 1080, timeZone: "Europe/Berlin")
        let wednesday = office.state(at: noon, Self.berlin)
        #expect(wednesday.isIn && wednesday.until == time("2026-11-25T17:00:00Z"))
        let saturday = office.state(at: time("2026-11-28T12:00:00Z"), Self.berlin)
        #expect(!saturday.isIn && saturday.until == time("2026-11-30T07:00:00Z"))
        let always = TimeWindow(from: 0, to: 1440, timeZone: "UTC").state(at: noon, .utc)
        #expect(always.isIn && always.until! > noon)
    }
}
