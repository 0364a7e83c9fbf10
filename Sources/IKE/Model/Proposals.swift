public import Cryptography

/// One phase-1 offer: every combination of the listed algorithms is acceptable, in order of preference.
///
/// AEAD ciphers and the others never share an SA proposal on the wire (RFC 7296 §3.3); the engine splits them.
public struct IKEProposal: Hashable, Codable, Sendable {
    public var encryption: [EncryptionAlgorithm]
    /// Empty only when every cipher is AEAD.
    public var integrity: [IntegrityAlgorithm]
    public var prf: [PRFAlgorithm]
    public var groups: [DHGroup]

    public init(
        encryption: [EncryptionAlgorithm], integrity: [IntegrityAlgorithm], prf: [PRFAlgorithm], groups: [DHGroup]
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.prf = prf
        self.groups = groups
    }
}

/// One phase-2 offer. `groups` are the PFS groups used when a child is rekeyed or added; empty means no PFS.
public struct ESPProposal: Hashable, Codable, Sendable {
    public var encryption: [EncryptionAlgorithm]
    public var integrity: [IntegrityAlgorithm]
    public var groups: [DHGroup]
    public var esn: [Bool]

    public init(
        encryption: [EncryptionAlgorithm], integrity: [IntegrityAlgorithm], groups: [DHGroup], esn: [Bool] = [false]
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.groups = groups
        self.esn = esn
    }
}

/// What phase 1 agreed on.
public struct IKESuite: Hashable, Codable, Sendable, CustomStringConvertible {
    public var encryption: EncryptionAlgorithm
    /// Nil with an AEAD cipher.
    public var integrity: IntegrityAlgorithm?
    public var prf: PRFAlgorithm
    public var group: DHGroup

    public init(encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, prf: PRFAlgorithm, group: DHGroup) {
        self.encryption = encryption
        self.integrity = integrity
        self.prf = prf
        self.group = group
    }

    /// As strongSwan writes it: `aes128-sha1-modp1024`, `aes128gcm16-prfsha256-ecp256`.
    public var description: String {
        encryption.rawValue + "-" + (integrity?.rawValue ?? "prf" + prf.rawValue) + "-" + group.name
    }

    /// The parts of the suite that are weak by today's measure (RFC 8247), by name; empty when none is.
    public var weaknesses: [String] {
        (group.isWeak ? [group.name] : []) + (integrity == .sha1 || prf == .sha1 ? ["sha1"] : [])
    }
}

/// What phase 2 agreed on.
public struct ESPSuite: Hashable, Codable, Sendable, CustomStringConvertible {
    public var encryption: EncryptionAlgorithm
    public var integrity: IntegrityAlgorithm?
    /// The PFS group of this SA; nil for the first child, whose keys come from the IKE SA.
    public var group: DHGroup?
    /// 64-bit extended sequence numbers (RFC 4304).
    public var esn: Bool

    public init(encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, group: DHGroup?, esn: Bool) {
        self.encryption = encryption
        self.integrity = integrity
        self.group = group
        self.esn = esn
    }

    public var description: String {
        encryption.rawValue + (integrity.map { "-" + $0.rawValue } ?? "") + (group.map { "-" + $0.name } ?? "")
            + (esn ? "-esn" : "")
    }

    public var weaknesses: [String] {
        (group.map { $0.isWeak ? [$0.name] : [] } ?? []) + (integrity == .sha1 ? ["sha1"] : [])
    }
}
