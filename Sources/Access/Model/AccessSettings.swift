public import Base

/// What an administrator sets about sign-in and the gate, as it stands among the gateway's settings.
public struct AccessSettings: Hashable, Sendable {
    /// Off: everyone on the local networks passes, as without sign-in.
    public var isGateEnabled = false
    /// Addresses that need no sign-in.
    public var exempt: [IPPrefix] = []
    /// See ``GatePlan/interfaces``.
    public var interfaces: [String] = []
    public var inbound = GatePlan.Inbound.replies
    /// The port of the page that leads people to sign in; nil leads nobody there.
    public var redirectPort: UInt16?
    /// Seconds that a session lasts at most.
    public var sessionSeconds = 12 * 3600
    /// Seconds without a packet that end a session; nil means none do.
    public var idleSeconds: Int?
    /// What users reach for whom nothing else is set.
    public var sites = SiteChoice.all
    /// How sure it must be which device someone comes with, for posture checks to count.
    public var leastMatch = MatchLevel.hostName
    /// Where the DHCP server keeps its leases; nil where there is none on this machine.
    public var leaseFile: String?

    public init() {}

    /// The setting's name, what may stand in it, and how it is read and written. One row for each field above.
    struct Field: Sendable {
        var name: String
        var hint: String
        var read: @Sendable (String, inout AccessSettings) -> Bool
        var write: @Sendable (AccessSettings) -> String?
    }

    static let sessionSecondsRange = 60...31 * 86_400

    static let fields: [Field] = [
        Field(name: "gate.enabled", hint: "on or off") { text, settings in
            settings.isGateEnabled = text == "on"
            return text == "on" || text == "off"
        } write: { $0.isGateEnabled ? "on" : nil },
        Field(name: "gate.exempt", hint: "addresses and networks with commas, such as 10.1.0.5,10.1.9.0/24") { text, settings in
            let parts = words(text)
            settings.exempt = parts.compactMap { IPPrefix($0)?.network }
            return settings.exempt.count == parts.count
        } write: { $0.exempt.isEmpty ? nil : $0.exempt.map(\.description).joined(separator: ",") },
        Field(name: "gate.interfaces", hint: "names of interfaces with commas, such as eth1,eth2") { text, settings in
            settings.interfaces = words(text)
            return settings.interfaces.allSatisfy(isInterface)
        } write: { $0.interfaces.isEmpty ? nil : $0.interfaces.joined(separator: ",") },
        Field(name: "gate.inbound", hint: "replies or all") { text, settings in
            guard let inbound = GatePlan.Inbound(rawValue: text) else { return false }
            settings.inbound = inbound
            return true
        } write: { $0.inbound == .replies ? nil : $0.inbound.rawValue },
        Field(name: "gate.redirect-port", hint: "a port from 1 to 65535") { text, settings in
            guard let port = UInt16(text), port > 0 else { return false }
            settings.redirectPort = port
            return true
        } write: { $0.redirectPort.map(String.init) },
        Field(name: "session.limit", hint: "seconds, from a minute to 31 days") { text, settings in
            guard let seconds = Int(text), sessionSecondsRange.contains(seconds) else { return false }
            settings.sessionSeconds = seconds
            return true
        } write: { $0.sessionSeconds == 12 * 3600 ? nil : String($0.sessionSeconds) },
        Field(name: "session.idle-limit", hint: "seconds, from a minute to 31 days") { text, settings in
            guard let seconds = Int(text), sessionSecondsRange.contains(seconds) else { return false }
            settings.idleSeconds = seconds
            return true
        } write: { $0.idleSeconds.map(String.init) },
        Field(name: "session.sites", hint: "all, none, or IDs of connectors with commas") { text, settings in
            guard let sites = SiteChoice(text) else { return false }
            settings.sites = sites
            return true
        } write: { $0.sites == .all ? nil : $0.sites.description },
        Field(name: "posture.least-match", hint: "mac, address, host-name or user") { text, settings in
            guard let level = MatchLevel(rawValue: text), level != .session else { return false }
            settings.leastMatch = level
            return true
        } write: { $0.leastMatch == .hostName ? nil : $0.leastMatch.rawValue },
        Field(name: "posture.lease-file", hint: "the path of a file, such as /var/lib/misc/dnsmasq.leases") { text, settings in
            settings.leaseFile = text
            return text.hasPrefix("/") && text.utf8.count < 4096
        } write: { $0.leaseFile },
    ]

    private static func words(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.split(separator: " ").joined(separator: " ") }.filter { !$0.isEmpty }
    }

    private static func isInterface(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && !name.contains("/") && !name.contains("\"") && !name.contains(" ")
    }

    /// What is in force in the place of a setting that cannot be read, where its default might let someone in who was
    /// meant to stay out.
    private static func close(_ name: String, _ text: String, _ settings: inout AccessSettings) {
        switch name {
        case "gate.enabled": settings.isGateEnabled = true
        case "gate.interfaces":
            let readable = words(text).filter(isInterface)
            // Nobody comes in by the loopback, and no name at all would mean every interface.
            settings.interfaces = readable.isEmpty ? ["lo"] : readable
        case "session.sites": settings.sites = .only([])
        default: break
        }
    }

    /// Reads the gateway's settings. One that cannot be read is told of. It keeps its default, unless that would be more
    /// open than what may have been meant: then the gate is on, no interface is added to those that can be read, and
    /// users reach nothing.
    public static func read(_ settings: [String: String]) -> (AccessSettings, faults: [String]) {
        var result = AccessSettings()
        var faults: [String] = []
        for field in fields {
            guard let text = settings[field.name] else { continue }
            var changed = result
            if field.read(text, &changed) {
                result = changed
            } else {
                close(field.name, text, &result)
                faults.append("The setting \(field.name) is '\(text)'; it must be \(field.hint).")
            }
        }
        return (result, faults)
    }

    /// The settings that say the same, by name; nil where a setting is at its default.
    public var stored: [(name: String, value: String?)] { Self.fields.map { ($0.name, $0.write(self)) } }
}
