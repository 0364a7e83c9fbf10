/// What an endpoint protection platform can say of a device, whatever words its vendor uses.
public enum PostureAttribute: String, Codable, CodingKeyRepresentable, CaseIterable, Sendable {
    case avAgentOutdated, avSignatureOutdated, avSignatureUpdateDisabled, avAgentUpdateDisabled
    case infected, malwareDetected
    case diskEncrypted, agentInstalled
    case os, risk

    /// The kinds of value that attributes have.
    public enum Kind: String, Sendable { case flag, operatingSystem, risk }

    public var kind: Kind {
        switch self {
        case .os: .operatingSystem
        case .risk: .risk
        default: .flag
        }
    }

    /// As people read it.
    public var label: String {
        switch self {
        case .avAgentOutdated: "Antivirus Agent Outdated"
        case .avSignatureOutdated: "Antivirus Agent Signature Outdated"
        case .avSignatureUpdateDisabled: "Antivirus Agent Signature Update Disabled"
        case .avAgentUpdateDisabled: "Antivirus Agent Update Disabled"
        case .infected: "Device Infected"
        case .malwareDetected: "Malware Detected"
        case .diskEncrypted: "Disk Encryption"
        case .agentInstalled: "Agent Installed"
        case .os: "Operating System"
        case .risk: "Risk Score"
        }
    }

    /// The value of a flag that a healthy device has; nil for what is no flag.
    public var goodFlag: Bool? {
        switch self {
        case .diskEncrypted, .agentInstalled: true
        case .os, .risk: nil
        default: false
        }
    }

    /// How long a value holds after it was observed, in seconds, where a source says nothing else: what seldom changes
    /// holds for a week.
    public var maximumAgeSeconds: Int {
        switch self {
        case .diskEncrypted, .os: 7 * 86_400
        default: 86_400
        }
    }
}
