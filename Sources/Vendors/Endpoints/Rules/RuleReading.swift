import Access
import Base

extension AttributeRule {
    /// Reads one rule of a profile.
    ///
    /// - Parameter usualCall: the call that it is about where it names none.
    init(_ node: ProfileNode, of attribute: PostureAttribute, usualCall: String) throws(ProfileFault) {
        let fields = try node.fields(
            "call", "observed", "note", "inferred", "flag", "inverted", "texts", "cases", "percent", "level", "words",
            "system", "version", "days", "option", "usual", "first")
        call = try fields["call"]?.text() ?? usualCall
        observed = try fields["observed"]?.paths() ?? []
        note = try fields["note"]?.text()
        isInferred = try fields["inferred"]?.flag() ?? false
        reading = try Self.reading(node, fields, attribute)
    }

    private static func reading(
        _ node: ProfileNode, _ fields: [String: ProfileNode], _ attribute: PostureAttribute
    ) throws(ProfileFault) -> Reading {
        let kinds = ["flag", "cases", "percent", "level", "system", "version", "days", "first"]
        let given = kinds.filter { fields[$0] != nil }
        guard let kind = given.first, given.count == 1, let value = fields[kind] else {
            throw node.fault("give one of \(kinds.joined(separator: ", ")) for \(attribute.rawValue)")
        }
        let fits =
            switch kind {
            case "flag", "version", "days": attribute.kind == .flag
            case "percent", "level": attribute.kind == .risk
            case "system": attribute.kind == .operatingSystem
            default: true
            }
        guard fits else { throw value.fault("'\(kind)' gives no value that \(attribute.rawValue) can have") }
        switch kind {
        case "flag":
            return .flag(
                try value.path(), isInverted: try fields["inverted"]?.flag() ?? false,
                texts: try fields["texts"]?.flag() ?? false)
        case "cases":
            var cases: [Case] = []
            for item in value.list() { cases.append(try Case(item, of: attribute)) }
            return .cases(cases)
        case "percent": return .percent(try value.path())
        case "level":
            var words: [String: RiskScore.Level] = [:]
            for level in RiskScore.Level.allCases { words[level.rawValue] = level }
            for (word, level) in try fields["words"]?.members() ?? [] {
                guard let known = RiskScore.Level(rawValue: try level.text()) else {
                    throw level.fault(
                        "a level is one of \(RiskScore.Level.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                words[word.lowercased()] = known
            }
            return .level(try value.path(), words: words)
        case "system":
            let parts = try value.fields("family", "words", "name", "version")
            var words: [String: OperatingSystem.Family] = [:]
            for (word, family) in try parts["words"]?.members() ?? [] {
                guard let known = OperatingSystem.Family(rawValue: try family.text()) else {
                    throw family.fault(
                        "a family is one of \(OperatingSystem.Family.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                words[word.lowercased()] = known
            }
            return .system(
                family: try parts["family"]?.path(), words: words, name: try parts["name"]?.path(),
                version: try parts["version"]?.path())
        case "version": return .version(try value.path(), option: try fields["option"]?.text() ?? "minimum-version")
        case "days":
            return .days(
                try value.path(), option: try fields["option"]?.text() ?? "signature-days",
                usual: try fields["usual"]?.number() ?? 3)
        default:
            var readings: [Reading] = []
            for item in value.list() {
                let inner = try item.fields(
                    "flag", "inverted", "texts", "cases", "percent", "level", "words", "system", "version", "days",
                    "option", "usual")
                readings.append(try reading(item, inner, attribute))
            }
            return .first(readings)
        }
    }
}

extension AttributeRule.Case {
    init(_ node: ProfileNode, of attribute: PostureAttribute) throws(ProfileFault) {
        let fields = try node.fields("when", "then", "absence", "show")
        when = try fields["when"].map(Condition.init) ?? .all([])
        isAbsence = try fields["absence"]?.flag() ?? false
        show = try fields["show"]?.path()
        guard let result = fields["then"] else { throw node.fault("a case needs a 'then'") }
        if result.isMapping {
            let word = try result.fields("unknown")["unknown"]
            guard let missing = PostureOutcome.Missing(rawValue: try word?.text() ?? "") else {
                throw result.fault(
                    "'unknown' is one of "
                        + PostureOutcome.Missing.allCases.map(\.rawValue).joined(separator: ", "))
            }
            then = .unknown(missing)
            return
        }
        switch attribute.kind {
        case .flag: then = .value(.flag(try result.flag()))
        case .risk:
            guard let risk = RiskScore(try result.text()) else {
                throw result.fault("a risk is a number from 0 to 100 or a level")
            }
            then = .value(.risk(risk))
        case .operatingSystem: throw result.fault("an operating system is read with 'system'")
        }
    }
}

extension Condition {
    init(_ node: ProfileNode) throws(ProfileFault) {
        var parts: [Condition] = []
        for (key, value) in try node.members() {
            switch key {
            case "any", "all":
                var inner: [Condition] = []
                for item in value.list() { inner.append(try Condition(item)) }
                parts.append(key == "any" ? .any(inner) : .all(inner))
            case "some": parts.append(.some(try Condition(value)))
            default:
                guard let path = FieldPath(key) else { throw value.fault("'\(key)' is no place in a JSON object") }
                parts.append(.field(path, try Test(value)))
            }
        }
        self = parts.count == 1 ? parts[0] : .all(parts)
    }
}

extension Condition.Test {
    init(_ node: ProfileNode) throws(ProfileFault) {
        guard node.isMapping else {
            self = .isAny(try Self.literals(node))
            return
        }
        let members = try node.members()
        guard members.count == 1, let (word, value) = members.first else {
            throw node.fault("one test was expected: not, any-but, absent, above or within")
        }
        switch word {
        case "not": self = .isNone(try Self.literals(value))
        case "any-but": self = .isAnyBut(try Self.literals(value))
        case "absent": self = try value.flag() ? .isAbsent : .isNone([])
        case "above": self = .isAbove(Double(try value.number()))
        case "within": self = .isWithin(seconds: try value.number())
        default: throw value.fault("'\(word)' is no test; there are not, any-but, absent, above and within")
        }
    }

    /// Numbers and Booleans as they are written; what stands in quotation marks is a text.
    private static func literals(_ node: ProfileNode) throws(ProfileFault) -> [Condition.Literal] {
        var literals: [Condition.Literal] = []
        for item in node.list() {
            if let flag = item.literalFlag {
                literals.append(.bool(flag))
            } else if let number = item.literalNumber {
                literals.append(.number(number))
            } else {
                literals.append(.text(try item.text()))
            }
        }
        return literals
    }
}
