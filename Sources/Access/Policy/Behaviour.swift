public import Base

/// Something about a sign-in that holds or not, which policies name.
public struct Behaviour: Hashable, Codable, Sendable {
    public var name: String
    public var trigger: Trigger

    public init(name: String, trigger: Trigger) {
        self.name = name
        self.trigger = trigger
    }

    public enum Trigger: Hashable, Codable, Sendable {
        /// Of the checks for the device's operating system, all pass, or any fails. Where the system is not known,
        /// every check is for it.
        case posture(checks: [String], trigger: PostureTrigger)
        /// The address lies in one of the networks, or in none.
        case network(networks: [IPPrefix], isInside: Bool)
        /// The time lies in the window, or outside.
        case time(window: TimeWindow, isInside: Bool)
        /// The user has not signed in from this device before, or has. A device that cannot be told from others is new.
        case newDevice(isNew: Bool)
        /// The user is on a list, by address or by a team.
        case risk(users: [String], groups: [String])

        /// The type's name, for people.
        public var type: String {
            switch self {
            case .posture: "device posture check"
            case .network: "source network"
            case .time: "time of day and week"
            case .newDevice: "new device"
            case .risk: "risk list"
            }
        }
    }

    public enum PostureTrigger: String, Hashable, Codable, CaseIterable, Sendable { case passes, fails }

    /// When it holds, in words.
    public var words: String {
        switch trigger {
        case .posture(let checks, .passes): "the device passes \(checks.joined(separator: ", "))"
        case .posture(let checks, .fails): "the device fails \(checks.joined(separator: ", "))"
        case .network(let networks, let isInside):
            "the address is \(isInside ? "" : "not ")in \(networks.map(\.description).joined(separator: ", "))"
        case .time(let window, let isInside): "the time is \(isInside ? "" : "not ")within \(window)"
        case .newDevice(let isNew): isNew ? "the device is new to the user" : "the user has come from the device before"
        case .risk(let users, let groups):
            "the user is on the list: \((users + groups.map { "group \($0)" }).joined(separator: ", "))"
        }
    }
}
