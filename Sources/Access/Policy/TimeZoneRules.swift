internal import Base

/// How far local time is from UTC at any moment: one zone of the time zone database (RFC 9636).
public struct TimeZoneRules: Hashable, Sendable {
    /// UTC itself.
    public static let utc = TimeZoneRules(transitions: [], first: 0, footer: nil)

    /// Moments, in seconds since 1970, and the seconds east of UTC from then on.
    private var transitions: [Transition]
    /// Before the first transition.
    private var first: Int64
    /// After the last.
    private var footer: Footer?

    private struct Transition: Hashable, Sendable {
        var at: Int64
        var offset: Int64
    }

    /// A file that is no time zone.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        public var offset: Int
        public var reason: String
        public var description: String { "at byte \(offset): \(reason)" }
    }

    private init(transitions: [Transition], first: Int64, footer: Footer?) {
        self.transitions = transitions
        self.first = first
        self.footer = footer
    }

    /// Reads a TZif file, such as those in `/usr/share/zoneinfo`, of version 2 or later.
    public init(_ bytes: [UInt8]) throws(Fault) {
        var reader = ByteReader(bytes)
        func fail(_ reason: String, _ reader: ByteReader) -> Fault { Fault(offset: reader.offset, reason: reason) }
        do {
            // The block of version 1 has 32-bit times and is passed over.
            let old = try Self.header(&reader)
            guard old.version >= UInt8(ascii: "2") else { throw fail("version 1 has no 64-bit times", reader) }
            _ = try reader.slice(old.count(timeSize: 4))
            let counts = try Self.header(&reader)
            var times: [Int64] = []
            for _ in 0..<counts.times { times.append(Int64(bitPattern: try reader.uint64())) }
            let indexes = try Array(reader.slice(counts.times))
            var offsets: [Int64] = []
            for _ in 0..<counts.types {
                offsets.append(Int64(Int32(bitPattern: try reader.uint32())))
                _ = try reader.uint16()  // whether it is summer time, and its name
            }
            _ = try reader.slice(counts.characters + counts.leaps * 12 + counts.standards + counts.universals)
            guard let initial = offsets.first, offsets.allSatisfy({ abs($0) < 26 * 3600 }) else {
                throw fail("it names no offset from UTC, or one of more than a day", reader)
            }
            first = initial
            transitions = []
            for (time, index) in zip(times, indexes) {
                guard Int(index) < offsets.count else { throw fail("a transition to an offset that is not there", reader) }
                guard transitions.last.map({ $0.at < time }) ?? true else { throw fail("transitions out of order", reader) }
                transitions.append(Transition(at: time, offset: offsets[Int(index)]))
            }
            let rest = Array(reader.rest())
            guard rest.first == 0x0A, let end = rest.dropFirst().firstIndex(of: 0x0A) else {
                throw fail("the footer does not stand between two line ends", reader)
            }
            let text = String(decoding: rest[1..<end], as: UTF8.self)
            if text.isEmpty {
                footer = nil
            } else {
                guard let rule = Footer(text) else { throw fail("the footer '\(text.prefix(80))' is no rule", reader) }
                footer = rule
            }
        } catch let fault as Fault {
            throw fault
        } catch {
            throw Fault(offset: reader.offset, reason: "it ends too early")
        }
    }

    private struct Header {
        var version: UInt8
        var universals, standards, leaps, times, types, characters: Int

        /// The bytes behind the header.
        func count(timeSize: Int) -> Int {
            times * timeSize + times + types * 6 + characters + leaps * (timeSize + 4) + standards + universals
        }
    }

    private static func header(_ reader: inout ByteReader) throws -> Header {
        let start = reader.offset
        guard try reader.slice(4).elementsEqual("TZif".utf8) else {
            throw Fault(offset: start, reason: "no TZif header stands here")
        }
        let version = try reader.uint8()
        _ = try reader.slice(15)
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = Int(try reader.uint32())
            guard count <= 100_000 else { throw Fault(offset: reader.offset, reason: "\(count) entries are too many") }
            counts.append(count)
        }
        return Header(
            version: version, universals: counts[0], standards: counts[1], leaps: counts[2], times: counts[3],
            types: counts[4], characters: counts[5])
    }

    /// Seconds east of UTC at a moment in seconds since 1970.
    public func offset(at second: Int64) -> Int64 {
        guard let last = transitions.last, second < last.at else {
            return footer?.offset(at: second) ?? transitions.last?.offset ?? first
        }
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].at <= second { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? first : transitions[low - 1].offset
    }

    /// The first moment at which clocks in the zone show a local time, in seconds since 1970 as if it were UTC, or a
    /// later one where that time is left out.
    func second(ofLocal local: Int64) -> Int64 {
        // The offset lies among those of the days around.
        let offsets = Set([offset(at: local - 86_400), offset(at: local), offset(at: local + 86_400)])
        let exact = offsets.map { local - $0 }.filter { $0 + offset(at: $0) == local }.min()
        return exact ?? local - offset(at: local - 86_400)
    }
}

extension TimeZoneRules {
    /// The rule for all later years: a TZ string of POSIX, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    fileprivate struct Footer: Hashable, Sendable {
        var standard: Int64
        var summer: Summer?

        struct Summer: Hashable, Sendable {
            var offset: Int64
            var begins: Day
            var ends: Day
        }

        /// A day of the year and a second of it in local time.
        struct Day: Hashable, Sendable {
            enum Kind: Hashable, Sendable {
                /// From 1 to 365; the 29th of February is not counted.
                case julian(Int64)
                /// From 0 to 365.
                case ordinal(Int64)
                /// Month 1 to 12, week 1 to 5 (5 is the last), day of the week from Sunday, 0.
                case weekday(month: Int64, week: Int64, day: Int64)
            }
            var kind: Kind
            var second: Int64
        }

        init?(_ text: String) {
            var rest = Substring(text)
            guard Self.name(&rest), let west = Self.time(&rest) else { return nil }
            standard = -west
            if rest.isEmpty { return }
            guard Self.name(&rest) else { return nil }
            var offset = standard + 3600
            if rest.first != "," {
                guard let west = Self.time(&rest) else { return nil }
                offset = -west
            }
            guard let begins = Self.day(&rest), let ends = Self.day(&rest), rest.isEmpty else { return nil }
            summer = Summer(offset: offset, begins: begins, ends: ends)
        }

        func offset(at second: Int64) -> Int64 {
            guard let summer else { return standard }
            let year = WallTime.date(ofDay: (second + standard).flooredQuotient(86_400)).year
            let begins = Self.second(summer.begins, year) - standard
            let ends = Self.second(summer.ends, year) - summer.offset
            let isSummer =
                begins < ends ? (begins..<ends).contains(second) : !(ends..<begins).contains(second)
            return isSummer ? summer.offset : standard
        }

        /// The local second since 1970 at which a day of the rule comes in a year.
        private static func second(_ day: Day, _ year: Int64) -> Int64 {
            let date: Int64
            switch day.kind {
            case .julian(let number):
                let isLeap = WallTime.day(year: year, month: 3, day: 1) - WallTime.day(year: year, month: 2, day: 1) == 29
                date = WallTime.day(year: year, month: 1, day: 1) + number - 1 + (isLeap && number >= 60 ? 1 : 0)
            case .ordinal(let number): date = WallTime.day(year: year, month: 1, day: 1) + number
            case .weekday(let month, let week, let weekday):
                let first = WallTime.day(year: year, month: month, day: 1)
                // The first of January 1970 was a Thursday.
                let ahead = (weekday - (first + 4).flooredRemainder(7)).flooredRemainder(7)
                let next = month == 12
                    ? WallTime.day(year: year + 1, month: 1, day: 1) : WallTime.day(year: year, month: month + 1, day: 1)
                var found = first + ahead + (week - 1) * 7
                while found >= next { found -= 7 }
                date = found
            }
            return date * 86_400 + day.second
        }

        /// Letters, or anything between `<` and `>`.
        private static func name(_ rest: inout Substring) -> Bool {
            if rest.first == "<" {
                guard let end = rest.firstIndex(of: ">") else { return false }
                rest = rest[rest.index(after: end)...]
                return true
            }
            let letters = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest[letters.endIndex...]
            return letters.count >= 3
        }

        private static func number(_ rest: inout Substring) -> Int64? {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest[digits.endIndex...]
            return digits.count <= 4 ? Int64(digits) : nil
        }

        /// `[+-]hours[:minutes[:seconds]]`, in seconds.
        private static func time(_ rest: inout Substring) -> Int64? {
            var sign: Int64 = 1
            if rest.first == "-" || rest.first == "+" { sign = rest.removeFirst() == "-" ? -1 : 1 }
            guard var seconds = number(&rest).map({ $0 * 3600 }), seconds <= 167 * 3600 else { return nil }
            for unit: Int64 in [60, 1] where rest.first == ":" {
                rest.removeFirst()
                guard let part = number(&rest), part < 60 else { return nil }
                seconds += part * unit
            }
            return sign * seconds
        }

        private static func day(_ rest: inout Substring) -> Day? {
            guard rest.first == "," else { return nil }
            rest.removeFirst()
            let kind: Day.Kind
            switch rest.first {
            case "M":
                rest.removeFirst()
                guard let month = number(&rest), (1...12).contains(month), rest.first == "." else { return nil }
                rest.removeFirst()
                guard let week = number(&rest), (1...5).contains(week), rest.first == "." else { return nil }
                rest.removeFirst()
                guard let day = number(&rest), (0...6).contains(day) else { return nil }
                kind = .weekday(month: month, week: week, day: day)
            case "J":
                rest.removeFirst()
                guard let number = number(&rest), (1...365).contains(number) else { return nil }
                kind = .julian(number)
            default:
                guard let number = number(&rest), (0...365).contains(number) else { return nil }
                kind = .ordinal(number)
            }
            var second: Int64 = 2 * 3600
            if rest.first == "/" {
                rest.removeFirst()
                guard let time = time(&rest) else { return nil }
                second = time
            }
            return Day(kind: kind, second: second)
        }
    }
}

extension Int64 {
    func flooredQuotient(_ divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    func flooredRemainder(_ divisor: Int64) -> Int64 { self - flooredQuotient(divisor) * divisor }
}
