public import Base
public import Cryptography
internal import Profiles
internal import Yams

/// What a connector by hand starts from for one kind of peer: terms that the peer takes as it comes from its vendor.
/// Read from the `template` of `Profiles/ipsec/*.yaml`, where every value names its source.
public struct ConnectorTemplate: Hashable, Sendable {
    /// The name in `--template`, such as `azure`.
    public var name: String
    public var title: String
    public var terms: Terms

    /// The terms with what an administrator must know of them.
    public struct Terms: Hashable, Codable, Sendable {
        /// One line.
        public var summary: String
        public var selectors: Selectors
        public var phase1: IKETerms
        public var phase2: ESPTerms
        public var notes: [String]
    }

    /// What a phase 2 negotiates: everything to everything, or just the networks that it joins.
    public enum Selectors: String, Hashable, Codable, Sendable, CaseIterable { case any, networks }

    public struct IKETerms: Hashable, Codable, Sendable {
        public var encryption: [EncryptionAlgorithm]
        public var integrity: [IntegrityAlgorithm]
        public var dhGroups: [DHGroup]
        public var lifetimeSeconds: Int
        public var rekeyMarginSeconds: Int?
        public var dpd: Phase1.DPD
        /// Whether MOBIKE is offered; absent means yes.
        public var mobike: Bool?
    }

    public struct ESPTerms: Hashable, Codable, Sendable {
        public var encryption: [EncryptionAlgorithm]
        public var integrity: [IntegrityAlgorithm]
        /// Empty means no PFS.
        public var pfsGroups: [DHGroup]
        public var lifetimeSeconds: Int
        public var rekeyMarginSeconds: Int?
    }

    /// Every template, by name, AWS first.
    ///
    /// - Throws: ``VendorProfile/Invalid`` where one cannot be read: a fault of the program.
    public static func all() throws(VendorProfile.Invalid) -> [ConnectorTemplate] { try embedded.get() }

    private static let embedded: Result<[ConnectorTemplate], VendorProfile.Invalid> = Result {
        () throws(VendorProfile.Invalid) in
        let texts = [Profiles.aws, Profiles.azure, Profiles.fortigate, Profiles.googleCloud, Profiles.strongswan]
        var templates: [ConnectorTemplate] = []
        for text in texts { templates.append(try ConnectorTemplate(yaml: text)) }
        return templates
    }

    private struct File: Decodable {
        var vendor: String
        var title: String
        var template: Terms
    }

    /// Reads and checks the template of one profile.
    public init(yaml: String) throws(VendorProfile.Invalid) {
        do {
            let file = try YAMLDecoder().decode(File.self, from: yaml)
            (name, title, terms) = (file.vendor, file.title, file.template)
        } catch {
            throw VendorProfile.Invalid("a connector template cannot be read: \(error)")
        }
        let (phase1, phase2) = (terms.phase1, terms.phase2)
        func isSet<Value: Hashable>(_ values: [Value]) -> Bool { Set(values).count == values.count }
        let isSound =
            !phase1.encryption.isEmpty && !phase1.integrity.isEmpty && !phase1.dhGroups.isEmpty
            && !phase2.encryption.isEmpty
            && (phase2.encryption.allSatisfy(\.isAEAD) || !phase2.integrity.isEmpty)
            && isSet(phase1.encryption) && isSet(phase1.integrity) && isSet(phase1.dhGroups)
            && isSet(phase2.encryption) && isSet(phase2.integrity) && isSet(phase2.pfsGroups)
            && (phase1.rekeyMarginSeconds ?? 0) < phase1.lifetimeSeconds
            && (phase2.rekeyMarginSeconds ?? 0) < phase2.lifetimeSeconds
            && phase1.dpd.delaySeconds <= phase1.dpd.timeoutSeconds
        guard isSound else { throw VendorProfile.Invalid("the connector template '\(name)' contradicts itself") }
    }

    /// What a connector by hand starts from without a template: sound with any modern peer.
    public static let modern = Terms(
        summary: "modern ciphers for a peer that is set up to match", selectors: .networks,
        phase1: IKETerms(
            encryption: [.aes256gcm16, .aes256], integrity: [.sha384, .sha256],
            dhGroups: [.ecp256, .ecp384, .curve25519, .modp2048], lifetimeSeconds: 28_800, rekeyMarginSeconds: nil,
            dpd: Phase1.DPD(delaySeconds: 10, timeoutSeconds: 30, action: .restart)),
        phase2: ESPTerms(
            encryption: [.aes256gcm16, .aes256], integrity: [.sha256],
            pfsGroups: [.ecp256, .ecp384, .curve25519, .modp2048], lifetimeSeconds: 3600, rekeyMarginSeconds: nil),
        notes: [])
}

extension ConnectorTemplate.Terms {
    /// A phase 2 with these terms.
    public func phase2(name: String?, local: [IPPrefix], remote: [IPPrefix]) -> Phase2 {
        Phase2(
            name: name, encryption: phase2.encryption, integrity: phase2.integrity, pfsGroups: phase2.pfsGroups,
            lifetimeSeconds: phase2.lifetimeSeconds, localSelectors: local, remoteSelectors: remote,
            rekeyMarginSeconds: phase2.rekeyMarginSeconds)
    }
}
