import Access
import Base
import JSONText

/// How one attribute is read from the rows that one call has for an endpoint.
struct AttributeRule: Hashable, Sendable {
    /// The call whose rows it reads.
    var call: String
    var reading: Reading
    /// Where the time of the fact stands, the first that is there; empty means the call's own.
    var observed: [FieldPath] = []
    /// For people, beside every value, such as `inferred`.
    var note: String?
    /// Holds only where the connection asks for inferences.
    var isInferred = false

    indirect enum Reading: Hashable, Sendable {
        /// A Boolean field; inverted where true is the other way round. `texts` takes "True" and "False" too.
        case flag(FieldPath, isInverted: Bool, texts: Bool)
        /// The first case that holds.
        case cases([Case])
        /// A number from 0 to 100, also as text and with a percent sign.
        case percent(FieldPath)
        /// A level of risk by the vendor's word.
        case level(FieldPath, words: [String: RiskScore.Level])
        case system(family: FieldPath?, words: [String: OperatingSystem.Family], name: FieldPath?, version: FieldPath?)
        /// A version with dots: older than the newest of all endpoints, or than the one that the connection states, is
        /// outdated.
        case version(FieldPath, option: String)
        /// A time: more than so many days ago is outdated. The connection may state another number.
        case days(FieldPath, option: String, usual: Int)
        /// The first reading that gives a value.
        case first([Reading])
    }

    struct Case: Hashable, Sendable {
        var when: Condition
        var then: Result
        /// The value is good because nothing was found: it counts only while the agent is installed.
        var isAbsence = false
        /// What an explanation shows of the row that decided.
        var show: FieldPath?
    }

    enum Result: Hashable, Sendable {
        case value(PostureValue)
        case unknown(PostureOutcome.Missing)
    }
}

/// What a rule made of rows, before it has a time.
struct Reading {
    enum Result {
        case value(PostureValue)
        case unknown(PostureOutcome.Missing)
    }
    var result: Result
    var raw: String?
    var isAbsence = false

    static func noData(_ raw: String? = nil) -> Reading { Reading(result: .unknown(.noData), raw: raw) }
    static func schema(_ raw: String) -> Reading { Reading(result: .unknown(.schema), raw: raw) }
}

/// What rules need beside the rows.
struct RuleContext {
    var now: WallTime
    /// The connection's options, by name.
    var options: [String: String] = [:]
    /// The newest version of all endpoints, by path.
    var newest: [FieldPath: VersionNumber] = [:]
}

extension AttributeRule.Reading {
    /// Words by which vendors say that they do not know.
    static let blanks: Set<String> = ["", "unknown", "notreporting", "notsupported"]

    func read(_ rows: [JSONTree], _ context: RuleContext) -> Reading {
        let row = rows.first
        switch self {
        case .flag(let path, let isInverted, let texts):
            guard let value = row.flatMap({ path.first(in: $0) }) else { return .noData() }
            switch value.value {
            case .bool(let flag): return Reading(result: .value(.flag(flag != isInverted)), raw: value.shown)
            case .string(let text) where texts:
                switch text.lowercased() {
                case "true": return Reading(result: .value(.flag(!isInverted)), raw: value.shown)
                case "false": return Reading(result: .value(.flag(isInverted)), raw: value.shown)
                default: return .noData(value.shown)
                }
            case .string(let text) where Self.blanks.contains(text.lowercased()): return .noData(value.shown)
            default: return .schema(value.shown)
            }
        case .cases(let cases): return Self.read(cases, rows, context)
        case .percent(let path):
            guard let value = row.flatMap({ path.first(in: $0) }) else { return .noData() }
            guard let text = value.scalar else { return .schema(value.shown) }
            if Self.blanks.contains(text.lowercased()) { return .noData(value.shown) }
            let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
            guard let number = Double(digits), (0...100).contains(number) else { return .schema(value.shown) }
            return Reading(result: .value(.risk(.number(Int(number.rounded(.up))))), raw: value.shown)
        case .level(let path, let words):
            guard let value = row.flatMap({ path.first(in: $0) }) else { return .noData() }
            guard let text = value.string else { return .schema(value.shown) }
            guard let level = words[text.lowercased()] else { return .noData(value.shown) }
            return Reading(result: .value(.risk(.level(level))), raw: value.shown)
        case .system(let family, let words, let name, let version):
            return row.map { Self.system($0, family, words, name, version) } ?? .noData()
        case .version(let path, let option):
            guard let value = row.flatMap({ path.first(in: $0) }) else { return .noData() }
            guard let given = value.string.flatMap(VersionNumber.init) else { return .schema(value.shown) }
            guard let wanted = context.options[option].flatMap(VersionNumber.init) ?? context.newest[path] else {
                return .noData(value.shown)
            }
            return Reading(
                result: .value(.flag(given < wanted)), raw: "\(value.shown), the newest is \(wanted)")
        case .days(let path, let option, let usual):
            guard let value = row.flatMap({ path.first(in: $0) }) else { return .noData() }
            guard let time = value.string.flatMap(VendorTime.init)?.time else { return .schema(value.shown) }
            let days = min(max(0, context.options[option].flatMap { Int($0) } ?? usual), 3650)
            return Reading(result: .value(.flag(time + .seconds(days * 86_400) < context.now)), raw: value.shown)
        case .first(let readings):
            var last = Reading.noData()
            for reading in readings {
                last = reading.read(rows, context)
                if case .value = last.result { break }
            }
            return last
        }
    }

    private static func read(_ cases: [AttributeRule.Case], _ rows: [JSONTree], _ context: RuleContext) -> Reading {
        let input = RuleInput(rows: rows, now: context.now)
        var strange: String?
        for item in cases {
            switch item.when.verdict(rows.first, input) {
            case .fails: continue
            case .strange(let raw): strange = strange ?? raw
            case .holds:
                let raw = item.shown(rows, input)
                switch item.then {
                // A strange value before a good one: it might have been a bad one.
                case .value where strange != nil: return .schema(strange ?? "")
                case .value(let value): return Reading(result: .value(value), raw: raw, isAbsence: item.isAbsence)
                case .unknown(let missing): return Reading(result: .unknown(missing), raw: raw)
                }
            }
        }
        return strange.map { .schema($0) } ?? .noData()
    }

    private static func system(
        _ row: JSONTree, _ family: FieldPath?, _ words: [String: OperatingSystem.Family], _ name: FieldPath?,
        _ version: FieldPath?
    ) -> Reading {
        func text(_ path: FieldPath?) -> String? {
            path?.first(in: row)?.scalar.flatMap { blanks.contains($0.lowercased()) ? nil : $0 }
        }
        let (kind, title) = (text(family), text(name))
        guard kind != nil || title != nil else {
            let there = [family, name].compactMap { $0?.first(in: row) }.first
            return there.map { $0.scalar == nil ? .schema($0.shown) : .noData($0.shown) } ?? .noData()
        }
        var system = OperatingSystem(
            family: kind.map { words[$0.lowercased()] ?? .init(describing: $0) } ?? .init(describing: title ?? ""),
            name: title ?? kind, version: text(version))
        // Vendors name the family without saying that it is the server's edition.
        if system.family == .windows, OperatingSystem.Family(describing: title ?? "") == .windowsServer {
            system.family = .windowsServer
        }
        return Reading(result: .value(.operatingSystem(system)), raw: title ?? kind)
    }
}

extension AttributeRule.Case {
    /// The vendor's words that decided.
    fileprivate func shown(_ rows: [JSONTree], _ input: RuleInput) -> String? {
        guard let path = show ?? when.firstPath else { return nil }
        var row = rows.first
        if case .some(let inner) = when {
            row = rows.first { if case .holds = inner.verdict($0, input) { true } else { false } }
        }
        return row.flatMap { path.first(in: $0) }?.shown
    }
}

extension Condition {
    /// The field that it asks for first: what an explanation shows.
    var firstPath: FieldPath? {
        switch self {
        case .all(let parts), .any(let parts): parts.lazy.compactMap(\.firstPath).first
        case .field(let path, _): path
        case .some: nil
        }
    }
}

/// A version as numbers: `4.6.10` is newer than `4.6.2`. Words behind the numbers are left out.
struct VersionNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    private let numbers: [Int]

    init?(_ text: String) {
        let head = text.prefix { $0 == "." || ("0"..."9").contains($0) }
        let numbers = head.split(separator: ".").compactMap { Int($0) }
        guard !numbers.isEmpty else { return nil }
        self.numbers = numbers
    }

    static func < (a: VersionNumber, b: VersionNumber) -> Bool {
        for place in 0..<max(a.numbers.count, b.numbers.count) {
            let (x, y) = (place < a.numbers.count ? a.numbers[place] : 0, place < b.numbers.count ? b.numbers[place] : 0)
            if x != y { return x < y }
        }
        return false
    }

    static func == (a: VersionNumber, b: VersionNumber) -> Bool { !(a < b) && !(b < a) }

    func hash(into hasher: inout Hasher) {
        // Zeros at the end say nothing.
        for number in numbers[..<((numbers.lastIndex { $0 != 0 } ?? -1) + 1)] { hasher.combine(number) }
    }

    var description: String { numbers.map(String.init).joined(separator: ".") }
}
