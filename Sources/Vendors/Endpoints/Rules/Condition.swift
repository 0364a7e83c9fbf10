import Base
import JSONText

/// What must hold for a case of a rule: a test of the fields of one row, or of the rows that a call has for an endpoint.
indirect enum Condition: Hashable, Sendable {
    case all([Condition])
    case any([Condition])
    /// A field and what it must be.
    case field(FieldPath, Test)
    /// One of the endpoint's rows fulfils it. True and false of fields are of the row.
    case some(Condition)

    enum Test: Hashable, Sendable {
        /// One of these.
        case isAny([Literal])
        /// There, and none of these; of none, just there.
        case isNone([Literal])
        /// One of the values there is none of these, or there is no value.
        case isAnyBut([Literal])
        case isAbsent
        case isAbove(Double)
        /// A time in the last so many seconds.
        case isWithin(seconds: Int)
    }

    enum Literal: Hashable, Sendable {
        case bool(Bool)
        case number(Double)
        /// Compared without regard to case.
        case text(String)
    }
}

/// What rules are asked about: the rows of an endpoint, and the time.
struct RuleInput {
    /// Of the call that the rule is about; one row, but for calls that have several for each endpoint.
    var rows: [JSONTree]
    var now: WallTime
}

/// How a test of a field ended. A value of another kind than the test is for is told of, for it is no answer.
enum Verdict {
    case holds
    case fails
    case strange(raw: String)
}

extension Condition {
    /// Whether it holds. A strange value spoils a conjunction unless another part of it fails anyway.
    func verdict(_ row: JSONTree?, _ input: RuleInput) -> Verdict {
        switch self {
        case .all(let parts):
            var strange: Verdict?
            for part in parts {
                switch part.verdict(row, input) {
                case .holds: continue
                case .fails: return .fails
                case .strange(let raw): strange = strange ?? .strange(raw: raw)
                }
            }
            return strange ?? .holds
        case .any(let parts):
            var strange: Verdict?
            for part in parts {
                switch part.verdict(row, input) {
                case .holds: return .holds
                case .fails: continue
                case .strange(let raw): strange = strange ?? .strange(raw: raw)
                }
            }
            return strange ?? .fails
        case .some(let inner):
            var strange: Verdict?
            for row in input.rows {
                switch inner.verdict(row, input) {
                case .holds: return .holds
                case .fails: continue
                case .strange(let raw): strange = strange ?? .strange(raw: raw)
                }
            }
            return strange ?? .fails
        case .field(let path, let test):
            guard let row else { return test == .isAbsent ? .holds : .fails }
            return test.verdict(path.values(in: row), input.now)
        }
    }
}

extension Condition.Test {
    func verdict(_ values: [JSONTree], _ now: WallTime) -> Verdict {
        switch self {
        case .isAbsent: return values.isEmpty ? .holds : .fails
        case .isAny(let literals):
            var strange: String?
            for value in values {
                switch Self.compare(value, literals) {
                case true?: return .holds
                case false?: continue
                case nil: strange = strange ?? value.shown
                }
            }
            return strange.map { .strange(raw: $0) } ?? .fails
        case .isNone(let literals):
            guard !values.isEmpty else { return .fails }
            guard !literals.isEmpty else { return .holds }
            for value in values {
                switch Self.compare(value, literals) {
                case true?: return .fails
                case false?: continue
                case nil: return .strange(raw: value.shown)
                }
            }
            return .holds
        case .isAnyBut(let literals):
            return values.isEmpty || values.contains { Self.compare($0, literals) != true } ? .holds : .fails
        case .isAbove(let limit):
            guard let value = values.first else { return .fails }
            guard case .number(let digits) = value.value, let number = Double(digits) else {
                return .strange(raw: value.shown)
            }
            return number > limit ? .holds : .fails
        case .isWithin(let seconds):
            guard let value = values.first else { return .fails }
            guard let time = value.string.flatMap(VendorTime.init)?.time else { return .strange(raw: value.shown) }
            return time + .seconds(seconds) > now ? .holds : .fails
        }
    }

    /// Nil where none of the literals is of the value's kind.
    private static func compare(_ value: JSONTree, _ literals: [Condition.Literal]) -> Bool? {
        var isKnown = false
        for literal in literals {
            switch (literal, value.value) {
            case (.bool(let wanted), .bool(let given)):
                isKnown = true
                if wanted == given { return true }
            case (.number(let wanted), .number(let digits)):
                isKnown = true
                if Double(digits) == wanted { return true }
            case (.text(let wanted), .string(let given)):
                isKnown = true
                if wanted.lowercased() == given.lowercased() { return true }
            default: continue
            }
        }
        return isKnown ? false : nil
    }
}

extension JSONTree {
    /// Short enough for an explanation.
    var shown: String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let digits): String(digits.prefix(40))
        case .string(let text): "\"" + String(text.prefix(60)).filter { !$0.isNewline } + "\""
        case .array: "a list"
        case .object: "an object"
        }
    }
}

/// A time as vendors write it: RFC 3339, a blank in the place of the T, with up to nine digits of a fraction, and UTC where
/// no zone is said.
struct VendorTime {
    var time: WallTime

    /// 1970 to 2200. What is said of other years is long past or far ahead in any case, and near the ends of what a
    /// ``WallTime`` holds no span can be added to it.
    private static let range = WallTime(nanoseconds: 0)...WallTime(nanoseconds: 7_258_118_400_000_000_000)

    init?(_ text: String) {
        guard let time = WallTime(rfc3339: text) ?? WallTime(rfc3339: text + "Z") else { return nil }
        self.time = min(max(time, Self.range.lowerBound), Self.range.upperBound)
    }
}
