/// What a device with one operating system must be like.
public struct PostureCheck: Hashable, Codable, Sendable {
    public var name: String
    /// Devices with other systems are none of its business.
    public var system: OperatingSystem.Family
    public var requirements: [Requirement]
    /// Whether a device fails of which any of the values is missing. Otherwise what is missing is passed over, and a
    /// device of which all is missing neither passes nor fails.
    public var failsIfMissing: Bool

    public init(
        name: String, system: OperatingSystem.Family, requirements: [Requirement], failsIfMissing: Bool = true
    ) {
        self.name = name
        self.system = system
        self.requirements = requirements
        self.failsIfMissing = failsIfMissing
    }

    /// The systems for which there can be checks.
    public static let systems: [OperatingSystem.Family] = [
        .windows, .macOS, .linux, .windowsServer, .iOS, .android,
    ]

    public enum Condition: String, Hashable, Codable, CaseIterable, Sendable {
        case isEqualTo = "is"
        case isAnyOf = "any"

        public var label: String {
            switch self {
            case .isEqualTo: "is equal to"
            case .isAnyOf: "is any of"
            }
        }
    }

    /// One attribute from one source, and the values with which it passes.
    public struct Requirement: Hashable, Codable, Sendable {
        /// The name of a connection to an endpoint protection platform.
        public var source: String
        public var attribute: PostureAttribute
        public var condition: Condition
        public var values: [PassValue]

        public init(source: String, attribute: PostureAttribute, condition: Condition, values: [PassValue]) {
            self.source = source
            self.attribute = attribute
            self.condition = condition
            self.values = values
        }

        /// `Device Infected is equal to no, by s1`.
        public var words: String {
            "\(attribute.label) \(condition.label) \(values.map(\.description).joined(separator: ", ")), by \(source)"
        }

        /// What keeps it from being used; nil when it can be.
        public var fault: String? {
            if values.isEmpty { return "\(attribute.label) has no value to pass with" }
            if condition == .isEqualTo, values.count != 1 {
                return "\(attribute.label) \(condition.label) \(values.count) values; `any` is for several"
            }
            for value in values where value.kind != attribute.kind {
                return "\(attribute.label) can never be '\(value)'"
            }
            return nil
        }
    }
}

/// A value that an attribute passes with.
public enum PassValue: Hashable, Sendable {
    case flag(Bool)
    case family(OperatingSystem.Family)
    /// The system's name begins with these words, such as `Windows 11`.
    case systemName(String)
    /// The system's version is this one or a later one.
    case systemVersion([Int])
    case risk(RiskScore)
    /// No more than this.
    case riskAtMost(RiskScore)

    public var kind: PostureAttribute.Kind {
        switch self {
        case .flag: .flag
        case .family, .systemName, .systemVersion: .operatingSystem
        case .risk, .riskAtMost: .risk
        }
    }

    /// Reads the value that an attribute of this kind passes with: `yes` or `no`; a family such as `windows`, words
    /// that the name begins with, `>=10.0.22631`; a risk such as `low` or `30`, `<=medium`.
    public init?(_ text: String, for kind: PostureAttribute.Kind) {
        let text = text.split(separator: " ").joined(separator: " ")
        switch kind {
        case .flag:
            switch text.lowercased() {
            case "yes", "true", "on": self = .flag(true)
            case "no", "false", "off": self = .flag(false)
            default: return nil
            }
        case .operatingSystem:
            if text.hasPrefix(">=") {
                guard let version = Self.version(text.dropFirst(2)) else { return nil }
                self = .systemVersion(version)
            } else if let family = OperatingSystem.Family(rawValue: text.lowercased()) {
                self = .family(family)
            } else {
                guard !text.isEmpty else { return nil }
                self = .systemName(text)
            }
        case .risk:
            if text.hasPrefix("<=") {
                guard let risk = RiskScore(Self.trimmed(text.dropFirst(2))) else { return nil }
                self = .riskAtMost(risk)
            } else {
                guard let risk = RiskScore(text) else { return nil }
                self = .risk(risk)
            }
        }
    }

    /// Whether a value passes with it.
    func accepts(_ value: PostureValue) -> Bool {
        switch (self, value) {
        case (.flag(let wanted), .flag(let flag)): wanted == flag
        case (.family(let family), .operatingSystem(let system)): system.family == family
        case (.systemName(let words), .operatingSystem(let system)):
            Self.begins(system.description.lowercased(), with: words.lowercased())
        case (.systemVersion(let least), .operatingSystem(let system)):
            system.version.flatMap { Self.version($0[...]) }.map { !Self.isEarlier($0, than: least) } ?? false
        case (.risk(let wanted), .risk(let risk)): wanted == risk
        case (.riskAtMost(.number(let most)), .risk(.number(let number))): number <= most
        case (.riskAtMost(.level(let most)), .risk(.level(let level))): level <= most
        default: false
        }
    }

    private static func trimmed(_ text: Substring) -> String { text.split(separator: " ").joined(separator: " ") }

    private static func begins(_ text: String, with words: String) -> Bool {
        text == words || text.hasPrefix(words + " ") || text.hasPrefix(words + ".")
    }

    /// Numbers with dots; what comes behind a number of another kind is left out, as in `14.5 (23F79)`.
    private static func version(_ text: Substring) -> [Int]? {
        var parts: [Int] = []
        for part in trimmed(text).split(separator: " ").first?.split(separator: ".") ?? [] {
            guard let number = Int(part), number >= 0 else { return parts.isEmpty ? nil : parts }
            parts.append(number)
        }
        return parts.isEmpty ? nil : parts
    }

    private static func isEarlier(_ a: [Int], than b: [Int]) -> Bool {
        for index in 0..<max(a.count, b.count) {
            let (left, right) = (index < a.count ? a[index] : 0, index < b.count ? b[index] : 0)
            if left != right { return left < right }
        }
        return false
    }
}

extension PassValue: CustomStringConvertible {
    public var description: String {
        switch self {
        case .flag(let flag): flag ? "yes" : "no"
        case .family(let family): family.rawValue
        case .systemName(let words): words
        case .systemVersion(let version): ">=" + version.map(String.init).joined(separator: ".")
        case .risk(let risk): risk.description
        case .riskAtMost(let risk): "<=\(risk)"
        }
    }
}

extension PostureCheck.Requirement {
    private enum CodingKeys: String, CodingKey { case source, attribute, condition, values }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        source = try container.decode(String.self, forKey: .source)
        attribute = try container.decode(PostureAttribute.self, forKey: .attribute)
        condition = try container.decode(PostureCheck.Condition.self, forKey: .condition)
        let attribute = attribute
        values = try container.decode([String].self, forKey: .values).map { text in
            guard let value = PassValue(text, for: attribute.kind) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .values, in: container,
                    debugDescription: "'\(text)' is nothing that \(attribute.label) can be")
            }
            return value
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(source, forKey: .source)
        try container.encode(attribute, forKey: .attribute)
        try container.encode(condition, forKey: .condition)
        try container.encode(values.map(\.description), forKey: .values)
    }
}
