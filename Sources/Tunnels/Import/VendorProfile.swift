public import Base
public import Cryptography
internal import Profiles
internal import Yams

/// One vendor's IPsec as data: what its endpoints permit and assume, and what we choose. Read from
/// `Profiles/ipsec/*.yaml`, and checked: a profile that loads is complete and consistent.
public struct VendorProfile: Sendable, Hashable {
    /// Why a profile cannot be used. It is part of the program, so this is a fault of ours and not of a file.
    public struct Invalid: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String
        init(_ description: String) { self.description = description }
    }

    /// One algorithm with the vendor's own words for it.
    public struct Named<Algorithm: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
        public var name: Algorithm
        public var `as`: [String]
    }

    public struct Range: Hashable, Sendable, Codable {
        public var minimum: Int
        public var maximum: Int
        public func contains(_ value: Int) -> Bool { minimum <= value && value <= maximum }
    }

    public struct KeyRule: Hashable, Sendable, Codable {
        /// Characters.
        public var minimum: Int
        public var maximum: Int
        /// What a key may hold beside ASCII letters and digits.
        public var punctuation: String
        /// What it may not begin with.
        public var notFirst: String
    }

    /// Lists of algorithms stand best first.
    public struct Permitted: Hashable, Sendable, Codable {
        public var ikeVersions: [Int]
        public var encryption: [Named<EncryptionAlgorithm>]
        public var integrity: [Named<IntegrityAlgorithm>]
        public var phase1Groups: [DHGroup]
        public var phase2Groups: [DHGroup]
        public var phase1LifetimeSeconds: Range
        public var phase2LifetimeSeconds: Range
        public var replayWindow: Range
        public var dpdTimeoutSeconds: Range
        public var psk: KeyRule
        public var asn: Range
    }

    public struct Defaults: Hashable, Sendable, Codable {
        public var phase1LifetimeSeconds: Int
        public var phase2LifetimeSeconds: Int
        public var rekeyMarginSeconds: Int
        public var rekeyFuzzPercent: Int
        public var replayWindow: Int
        public var bgpHoldTimeSeconds: Int
        public var selectorsIPv4: IPPrefix
        public var selectorsIPv6: IPPrefix
    }

    public struct MinimumSet: Hashable, Sendable, Codable {
        public var encryption: EncryptionAlgorithm
        public var integrity: IntegrityAlgorithm
        public var group: DHGroup
    }

    public struct Ours: Hashable, Sendable, Codable {
        public var ikeVersion: Int
        public var dpd: Phase1.DPD
        public var phase1RekeyMarginSeconds: Int
        public var phase2RekeyMarginSeconds: Int
        public var esn: Bool
    }

    public struct TunnelInterface: Hashable, Sendable, Codable {
        /// Bytes.
        public var mtu: Int
        public var maximumMTU: Int
        public var insideNetwork: IPPrefix
        public var insideLength: Int
        public var insideLength6: Int
        public var reservedInside: [IPPrefix]
    }

    /// One published row: bytes of tunnel MTU with and without UDP encapsulation.
    public struct MTURow: Hashable, Sendable, Codable {
        public var encryption: EncryptionAlgorithm
        public var integrity: IntegrityAlgorithm?
        public var plain: Int
        public var natTraversal: Int
    }

    public var vendor: String
    public var title: String
    public var permitted: Permitted
    public var defaults: Defaults
    public var minimumSet: MinimumSet
    public var ours: Ours
    public var tunnelInterface: TunnelInterface
    public var mtuTable: [MTURow]
    public var placeholders: [String]

    /// `Profiles/ipsec/aws.yaml`.
    public static func aws() throws(Invalid) -> VendorProfile { try awsProfile.get() }

    private static let awsProfile: Result<VendorProfile, Invalid> = Result { () throws(Invalid) in
        try VendorProfile(yaml: Profiles.aws)
    }

    /// Reads and checks a profile.
    public init(yaml: String) throws(Invalid) {
        do {
            self = try YAMLDecoder().decode(VendorProfile.self, from: yaml)
        } catch {
            throw Invalid("the vendor profile cannot be read: \(error)")
        }
        try check()
    }

    private func check() throws(Invalid) {
        func demand(_ isTrue: Bool, _ what: String) throws(Invalid) {
            guard isTrue else { throw Invalid("the vendor profile '\(vendor)': \(what)") }
        }
        func isSet<Value: Hashable>(_ values: [Value]) -> Bool { !values.isEmpty && Set(values).count == values.count }
        try demand(isSet(permitted.encryption.map(\.name)), "encryption is empty or names one twice")
        try demand(isSet(permitted.integrity.map(\.name)), "integrity is empty or names one twice")
        try demand(isSet(permitted.phase1Groups), "phase1Groups is empty or names one twice")
        try demand(isSet(permitted.phase2Groups), "phase2Groups is empty or names one twice")
        try demand(
            isSet((permitted.encryption.flatMap(\.as) + permitted.integrity.flatMap(\.as)).map { $0.lowercased() }),
            "one of the vendor's words stands for two algorithms")
        for (name, range) in [
            ("phase1LifetimeSeconds", permitted.phase1LifetimeSeconds),
            ("phase2LifetimeSeconds", permitted.phase2LifetimeSeconds), ("replayWindow", permitted.replayWindow),
            ("dpdTimeoutSeconds", permitted.dpdTimeoutSeconds), ("asn", permitted.asn),
        ] { try demand(0 < range.minimum && range.minimum <= range.maximum, "the range \(name) is empty") }
        try demand(0 < permitted.psk.minimum && permitted.psk.minimum <= permitted.psk.maximum, "psk lengths")
        try demand(
            permitted.phase1LifetimeSeconds.contains(defaults.phase1LifetimeSeconds), "the default phase 1 lifetime")
        try demand(
            permitted.phase2LifetimeSeconds.contains(defaults.phase2LifetimeSeconds), "the default phase 2 lifetime")
        try demand(permitted.replayWindow.contains(defaults.replayWindow), "the default replay window")
        try demand(defaults.selectorsIPv4.family == .ipv4 && defaults.selectorsIPv6.family == .ipv6, "the selectors")
        try demand(permitted.ikeVersions.contains(ours.ikeVersion), "our IKE version is not permitted")
        let awsRekeys = defaults.rekeyMarginSeconds * (100 + defaults.rekeyFuzzPercent) / 100
        try demand(
            min(ours.phase1RekeyMarginSeconds, ours.phase2RekeyMarginSeconds) > awsRekeys,
            "our rekey margins are not ahead of the vendor's")
        try demand(
            ours.dpd.delaySeconds > 0 && ours.dpd.timeoutSeconds >= ours.dpd.delaySeconds, "our DPD terms")
        try demand(
            (576...1500).contains(tunnelInterface.mtu) && tunnelInterface.mtu <= tunnelInterface.maximumMTU, "the MTU")
        try demand(
            (0...32).contains(tunnelInterface.insideLength) && (0...128).contains(tunnelInterface.insideLength6),
            "the inside prefix lengths")
    }

    /// The algorithm that one of the vendor's words, or ours, stands for. Case does not matter.
    public func encryption(_ word: String) -> EncryptionAlgorithm? {
        let word = word.lowercased()
        return permitted.encryption.first { $0.name.rawValue == word || $0.as.contains { $0.lowercased() == word } }?
            .name
    }

    public func integrity(_ word: String) -> IntegrityAlgorithm? {
        let word = word.lowercased()
        return permitted.integrity.first { $0.name.rawValue == word || $0.as.contains { $0.lowercased() == word } }?
            .name
    }
}

extension VendorProfile: Codable {}
