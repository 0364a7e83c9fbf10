import ArgumentParser
import Base
import Cryptography
import IKE
import Tunnels

/// The options of phase 1: the peer, who each side is, and the terms of the IKE SA. What is not given stays as it is.
struct IKEOptions: ParsableArguments {
    @Option(help: "The kind of tunnel: ikev2.", transform: OptionValue.type)
    var type: Int?
    @Option(
        help: ArgumentHelp(
            "initiate (the default of a new connector): we bring the tunnel up. respond: we wait for the peer.",
            valueName: "who"),
        transform: OptionValue.initiation)
    var initiation: Connector.Initiation?
    @Option(
        help: ArgumentHelp(
            "The local peer interface: its name, or the address of this host to send from; 'any' leaves it to the "
                + "routes.", valueName: "name-or-ip"))
    var interface: String?
    @Option(
        help: ArgumentHelp("Our outside address as the peer knows it, where a NAT is in between.", valueName: "ip"),
        transform: OptionValue.address)
    var localAddress: IPAddress?
    @Option(
        help: ArgumentHelp("Our own identifier; '' for our address.", valueName: "id"),
        transform: OptionValue.identity)
    var localID: BlankOr<IKEIdentity>?
    @Option(
        name: [.customLong("remote-id"), .customLong("peer-id")],
        help: ArgumentHelp("The peer identifier; '' for the peer's address.", valueName: "id"),
        transform: OptionValue.identity)
    var remoteID: BlankOr<IKEIdentity>?
    @Option(
        help: ArgumentHelp("Ciphers of phase 1, best first: aes256gcm16,aes256.", valueName: "list"),
        transform: OptionValue.encryption)
    var ikeEncryption: [EncryptionAlgorithm]?
    @Option(
        name: [.customLong("ike-integrity"), .customLong("ike-hash")],
        help: ArgumentHelp("Hashes of phase 1, which name the PRF too: sha384,sha256.", valueName: "list"),
        transform: OptionValue.integrity)
    var ikeIntegrity: [IntegrityAlgorithm]?
    @Option(
        name: [.customLong("ike-groups"), .customLong("dh-groups")],
        help: ArgumentHelp("Diffie-Hellman groups of phase 1, by number or name: 19,14.", valueName: "list"),
        transform: OptionValue.groups)
    var ikeGroups: [DHGroup]?
    @Option(
        help: ArgumentHelp("Lifetime of the IKE SA: 28800, 8h.", valueName: "time"),
        transform: OptionValue.seconds(from: 60))
    var ikeLifetime: Int?
    @Option(
        help: ArgumentHelp("How long before its end the IKE SA is rekeyed.", valueName: "time"),
        transform: OptionValue.seconds(from: 1))
    var ikeRekeyMargin: Int?
    @Option(
        help: ArgumentHelp("Silence after which the peer is asked whether it lives.", valueName: "time"),
        transform: OptionValue.seconds(from: 1))
    var dpdDelay: Int?
    @Option(
        help: ArgumentHelp("Silence after which it is taken for dead.", valueName: "time"),
        transform: OptionValue.seconds(from: 1))
    var dpdTimeout: Int?
    @Option(
        help: ArgumentHelp("What follows: restart, clear, or none for no DPD.", valueName: "action"),
        transform: OptionValue.dpdAction)
    var dpdAction: Phase1.DPD.Action?
    @Option(
        help: ArgumentHelp("ESP always in UDP 4500: yes or no.", valueName: "yes-or-no"),
        transform: OptionValue.yesOrNo)
    var forceUDPEncapsulation: Bool?
    @Option(
        help: ArgumentHelp("Follow a change of addresses, if the peer can (MOBIKE): yes or no.", valueName: "yes-or-no"),
        transform: OptionValue.yesOrNo)
    var mobike: Bool?
    @Option(
        help: ArgumentHelp(
            "Begin without a child SA where the peer offers it, so that the first one has PFS: yes or no.",
            valueName: "yes-or-no"),
        transform: OptionValue.yesOrNo)
    var childless: Bool?

    var isEmpty: Bool {
        [
            type == nil, initiation == nil, interface == nil, localAddress == nil, localID == nil, remoteID == nil,
            ikeEncryption == nil, ikeIntegrity == nil, ikeGroups == nil, ikeLifetime == nil, ikeRekeyMargin == nil,
            dpdDelay == nil, dpdTimeout == nil, dpdAction == nil, forceUDPEncapsulation == nil, mobike == nil,
            childless == nil,
        ].allSatisfy { $0 }
    }

    /// Puts what was given into a phase 1.
    ///
    /// - Parameter send: the address that `--interface` stands for, given the family that the peer has.
    func apply(
        to phase1: inout Phase1, send: (String, IPAddress.Family) throws -> IPAddress?
    ) throws {
        if let interface {
            phase1.bindAddress = try send(interface, phase1.remoteAddress?.family ?? .ipv4)
        }
        if let localAddress { phase1.localAddress = localAddress }
        if let localID { phase1.localID = localID.value }
        if let remoteID { phase1.remoteID = remoteID.value }
        if let ikeEncryption { phase1.encryption = ikeEncryption }
        if let ikeIntegrity { phase1.integrity = ikeIntegrity }
        if let ikeGroups { phase1.dhGroups = ikeGroups }
        if let ikeLifetime { phase1.lifetimeSeconds = ikeLifetime }
        if let ikeRekeyMargin { phase1.rekeyMarginSeconds = ikeRekeyMargin }
        if let dpdDelay { phase1.dpd.delaySeconds = dpdDelay }
        if let dpdTimeout { phase1.dpd.timeoutSeconds = dpdTimeout }
        if let dpdAction { phase1.dpd.action = dpdAction }
        if let forceUDPEncapsulation { phase1.forceUDPEncapsulation = forceUDPEncapsulation }
        if let mobike { phase1.isMobile = mobike }
        if let childless { phase1.prefersChildless = childless }
        guard !phase1.integrity.isEmpty else {
            throw CommandFailure(
                "--ike-integrity: phase 1 needs at least one of sha1, sha256, sha384, sha512; beside gcm and poly1305 "
                    + "ciphers it names the PRF", isUsage: true)
        }
        guard phase1.dpd.timeoutSeconds >= phase1.dpd.delaySeconds else {
            throw CommandFailure(
                "--dpd-timeout \(phase1.dpd.timeoutSeconds) is shorter than --dpd-delay \(phase1.dpd.delaySeconds): "
                    + "the peer would be dead before it was asked", isUsage: true)
        }
        if let margin = phase1.rekeyMarginSeconds, margin >= phase1.lifetimeSeconds {
            throw Self.margin("--ike-rekey-margin", margin, "--ike-lifetime", phase1.lifetimeSeconds)
        }
    }

    fileprivate static func margin(_ name: String, _ margin: Int, _ other: String, _ lifetime: Int) -> CommandFailure {
        CommandFailure("\(name) \(margin) must be shorter than \(other) \(lifetime)", isUsage: true)
    }
}

/// The options of phase 2 that every command with a phase 2 has.
struct ESPOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Ciphers of phase 2, best first: aes256gcm16,aes256.", valueName: "list"),
        transform: OptionValue.encryption)
    var espEncryption: [EncryptionAlgorithm]?
    @Option(
        name: [.customLong("esp-integrity"), .customLong("esp-hash")],
        help: ArgumentHelp("Hashes of phase 2: sha256; none with gcm or poly1305 alone.", valueName: "list"),
        transform: OptionValue.integrity)
    var espIntegrity: [IntegrityAlgorithm]?
    @Option(
        name: [.customLong("pfs"), .customLong("pfs-groups")],
        help: ArgumentHelp("Groups of perfect forward secrecy: 19,14; or none.", valueName: "list"),
        transform: OptionValue.pfs)
    var pfs: [DHGroup]?
    @Option(
        help: ArgumentHelp("Lifetime of the child SA: 3600, 1h.", valueName: "time"),
        transform: OptionValue.seconds(from: 60))
    var espLifetime: Int?
    @Option(
        help: ArgumentHelp("How long before its end the child SA is rekeyed.", valueName: "time"),
        transform: OptionValue.seconds(from: 1))
    var espRekeyMargin: Int?
    @Option(
        help: ArgumentHelp("What a child SA may carry in one direction: 50G; or none.", valueName: "bytes"),
        transform: OptionValue.limit(from: OptionValue.fewestBytes))
    var espLifetimeBytes: BlankOr<UInt64>?
    @Option(
        help: ArgumentHelp("The same in packets: 100M; or none.", valueName: "packets"),
        transform: OptionValue.limit(from: OptionValue.fewestPackets))
    var espLifetimePackets: BlankOr<UInt64>?
    @Option(
        help: ArgumentHelp("Offer extended sequence numbers: yes or no.", valueName: "yes-or-no"),
        transform: OptionValue.yesOrNo)
    var esn: Bool?
    @Option(help: "Packets in the replay window, 32 to 2048.", transform: OptionValue.replayWindow)
    var replayWindow: Int?

    var isEmpty: Bool {
        [
            espEncryption == nil, espIntegrity == nil, pfs == nil, espLifetime == nil, espRekeyMargin == nil,
            espLifetimeBytes == nil, espLifetimePackets == nil, esn == nil, replayWindow == nil,
        ].allSatisfy { $0 }
    }

    /// Puts what was given into a phase 2. Ciphers without a word on integrity get what they need.
    func apply(to phase2: inout Phase2) throws {
        if let espEncryption {
            phase2.encryption = espEncryption
            if espIntegrity == nil {
                if espEncryption.allSatisfy(\.isAEAD) { phase2.integrity = [] }
                else if phase2.integrity.isEmpty { phase2.integrity = [.sha256] }
            }
        }
        if let espIntegrity { phase2.integrity = espIntegrity }
        if let pfs { phase2.pfsGroups = pfs }
        if let espLifetime { phase2.lifetimeSeconds = espLifetime }
        if let espRekeyMargin { phase2.rekeyMarginSeconds = espRekeyMargin }
        if let espLifetimeBytes { phase2.lifetimeBytes = espLifetimeBytes.value }
        if let espLifetimePackets { phase2.lifetimePackets = espLifetimePackets.value }
        if let esn { phase2.esn = esn }
        if let replayWindow { phase2.replayWindow = replayWindow }
        if let cipher = phase2.encryption.first(where: { !$0.isAEAD }), phase2.integrity.isEmpty {
            throw CommandFailure(
                "--esp-integrity: \(cipher.rawValue) has no integrity of its own and needs at least one of sha1, "
                    + "sha256, sha384, sha512", isUsage: true)
        }
        if let margin = phase2.rekeyMarginSeconds, margin >= phase2.lifetimeSeconds {
            throw IKEOptions.margin("--esp-rekey-margin", margin, "--esp-lifetime", phase2.lifetimeSeconds)
        }
    }
}

/// The networks on both sides.
struct NetworkOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("A network on our side that may use the tunnels; may be repeated.", valueName: "cidr"),
        transform: OptionValue.networks)
    var localNetwork: [[IPPrefix]] = []
    @Option(
        help: ArgumentHelp("A network behind the peer; may be repeated.", valueName: "cidr"),
        transform: OptionValue.networks)
    var remoteNetwork: [[IPPrefix]] = []

    var local: [IPPrefix] { localNetwork.flatMap { $0 } }
    var remote: [IPPrefix] { remoteNetwork.flatMap { $0 } }
    var isEmpty: Bool { localNetwork.isEmpty && remoteNetwork.isEmpty }
}
