/// The value of a posture attribute.
public enum PostureValue: Hashable, Codable, Sendable {
    case flag(Bool)
    case operatingSystem(OperatingSystem)
    case risk(RiskScore)

    public var kind: PostureAttribute.Kind {
        switch self {
        case .flag: .flag
        case .operatingSystem: .operatingSystem
        case .risk: .risk
        }
    }
}

extension PostureValue: CustomStringConvertible {
    /// For people: `yes`, `Windows 11 Pro 10.0.22631`, `81`, `medium`.
    public var description: String {
        switch self {
        case .flag(let flag): flag ? "yes" : "no"
        case .operatingSystem(let system): system.description
        case .risk(let risk): risk.description
        }
    }
}

/// What runs on a device.
public struct OperatingSystem: Hashable, Codable, Sendable {
    /// The systems for which there are posture checks, and all others.
    public enum Family: String, Codable, CaseIterable, Sendable {
        case windows, macOS = "macos", linux, windowsServer = "windows-server", iOS = "ios", android, other

        public var label: String {
            switch self {
            case .windows: "Windows"
            case .macOS: "macOS"
            case .linux: "Linux"
            case .windowsServer: "Windows Server"
            case .iOS: "iOS"
            case .android: "Android"
            case .other: "another system"
            }
        }

        /// The family that a vendor's free text means, such as `Microsoft Windows Server 2022 Standard`.
        public init(describing text: String) {
            let text = text.lowercased()
            func has(_ words: String...) -> Bool { words.contains { text.contains($0) } }
            self =
                if has("windows") {
                    has("server") ? .windowsServer : .windows
                } else if has("ipados", "iphone", "ipad") || text == "ios" || text.hasPrefix("ios ") {
                    .iOS
                } else if has("mac", "os x") {
                    .macOS
                } else if has("android") {
                    .android
                } else if has(
                    "linux", "ubuntu", "debian", "red hat", "redhat", "centos", "suse", "fedora", "rocky", "oracle")
                {
                    .linux
                } else {
                    .other
                }
        }
    }

    public var family: Family
    /// As the vendor writes it, such as `Windows 11 Pro`.
    public var name: String?
    /// Numbers with dots, such as `10.0.22631`.
    public var version: String?

    public init(family: Family, name: String? = nil, version: String? = nil) {
        self.family = family
        self.name = name
        self.version = version
    }
}

extension OperatingSystem: CustomStringConvertible {
    public var description: String {
        [name ?? family.label, version].compactMap(\.self).filter { !$0.isEmpty }.joined(separator: " ")
    }
}

/// How endangered a device is in its vendor's eyes: a number or a level, which do not compare with each other.
public enum RiskScore: Hashable, Codable, Sendable {
    /// From 0, no risk, to 100.
    case number(Int)
    case level(Level)

    /// In rising order. `none` is a level: the vendor looked and found no risk.
    public enum Level: String, Codable, CaseIterable, Comparable, Sendable {
        case none, informational, low, medium, high

        private var rank: Int {
            switch self {
            case .none: 0
            case .informational: 1
            case .low: 2
            case .medium: 3
            case .high: 4
            }
        }

        public static func < (a: Level, b: Level) -> Bool { a.rank < b.rank }
    }
}

extension RiskScore: LosslessStringConvertible {
    /// A number from 0 to 100 or the name of a level.
    public init?(_ text: String) {
        if let number = Int(text) {
            guard (0...100).contains(number) else { return nil }
            self = .number(number)
        } else {
            guard let level = Level(rawValue: text.lowercased()) else { return nil }
            self = .level(level)
        }
    }

    public var description: String {
        switch self {
        case .number(let number): String(number)
        case .level(let level): level.rawValue
        }
    }
}
