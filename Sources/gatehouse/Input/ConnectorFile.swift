import Base
import Cryptography
import FoundationEssentials
import IKE
import Portal
import Tunnels
import Yams

/// A connector written by hand, in YAML or JSON: the connector's own names, with defaults where they make sense.
enum ConnectorFile {
    /// The form, for `gatehouse connector add --help`.
    static let manual = """
        The keys are those that 'gatehouse connector show' prints. What must be
        there:

          id: branch-office              # lower case; names the tunnels too
          localNetworks: [10.1.0.0/16]   # ours
          remoteNetworks: [10.2.0.0/16]  # behind the peer
          tunnels:
            - phase1:
                remoteAddress: 203.0.113.1
                psk: "the pre-shared key"  # or pskHexadecimal: 00ff…, or certificate

        What may be there beside it, with its default:

          name: the id
          isEnabled: true
          initiation: initiate           # or respond
          routing: static
          tunnels:
            - name: the id and a number  # branch-office-1
              phase1:
                localAddress:            # ours, as the peer sees it
                bindAddress:             # ours, to send from
                localID: localAddress    # address, name or user@name
                remoteID: remoteAddress
                encryption: [aes256gcm16, aes256]
                integrity: [sha384, sha256]  # names the PRF too
                dhGroups: [19, 20, 31, 14]
                lifetimeSeconds: 28800
                rekeyMarginSeconds:
                dpd: {delaySeconds: 10, timeoutSeconds: 30, action: restart}
                forceUDPEncapsulation: false
                mobike: true               # follow a change of addresses
                childless: false           # first child with a key exchange
              phase2:
                encryption: [aes256gcm16, aes256]
                integrity: [sha256]
                pfsGroups: [19, 20, 31, 14]  # [] for no PFS
                lifetimeSeconds: 3600
                rekeyMarginSeconds:
                lifetimeBytes:             # 1000000 or more, such as 50G
                lifetimePackets:           # 1000 or more, such as 100M
                localSelectors: [0.0.0.0/0]
                remoteSelectors: [0.0.0.0/0]
                esn: false
                replayWindow: 1024

        phase2 may be a list, each with a name and selectors of its own:
        they become child SAs of one IKE SA. A responder may leave
        remoteAddress out and answer a peer at any address.

        With addresses inside the tunnel, which has none by default:

            - phase1: as above
              inside:
                localAddress: 169.254.10.2/30
                remoteAddress: 169.254.10.1/30
                mtu: 1436                # may be left out, as mss may
                mss: 1379

        With certificates, in the place of psk:

              phase1:
                remoteID: peer.example.org   # must stand in the peer's certificate
                certificate:
                  certificateFile: us.pem    # ours, and intermediates behind it
                  privateKeyFile: us.key     # PKCS#8, PKCS#1 or EC, no passphrase
                  authorityFiles: [ca.pem]   # who may have issued the peer's
                  revocationListFiles: []
                  revocation: relaxed        # or strict: a current CRL is a must
                  rsaPadding: pkcs1          # or pss
                  allowSHA1: false           # for peers without RFC 7427

        Files are looked for beside this one; certificates, privateKey,
        authorities and revocationLists hold PEM text itself. localID is the
        subject of the certificate, unless it is given. Beside either, a
        post-quantum pre-shared key (RFC 8784):

                ppk: {identity: name, key: "text", isRequired: true}
        """

    /// Reads the file.
    ///
    /// - Parameter keepsHidden: a key that says `(hidden)` is read as an empty one, which keeps what is stored.
    /// - Throws: ``CommandFailure`` naming the file, the line and the key that is wrong, never a secret.
    static func read(_ bytes: [UInt8], file: String, keepsHidden: Bool = false) throws -> Connector {
        let root = try compose(bytes, file: file)
        do {
            return try connector(
                FileEntry(root, "the connector", keepsHidden: keepsHidden, folder: folder(of: file)))
        } catch let fault as FileEntry.Fault {
            throw CommandFailure("\(file): \(fault.line.map { "line \($0): " } ?? "")\(fault.text)")
        }
    }

    /// The folder of a file's path, with which the paths in it begin.
    static func folder(of file: String) -> String {
        file.lastIndex(of: "/").map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? ""
    }

    /// The file as YAML.
    static func compose(_ bytes: [UInt8], file: String) throws -> Node {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(file) is not UTF-8 text")
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw CommandFailure("\(file): \(words(for: error))")
        } catch {
            throw CommandFailure("\(file) is not YAML")
        }
        guard let root else { throw CommandFailure("\(file) is empty") }
        return root
    }

    /// Yams quotes the lines around a fault, which may hold the key: only the place and the problem are said.
    private static func words(for error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping: "a key is there twice"
        default: "is not YAML"
        }
    }

    static func connector(_ entry: FileEntry) throws -> Connector {
        let map = try entry.map([
            "id", "initiation", "localNetworks", "remoteNetworks", "tunnels", "name", "isEnabled", "source",
            "routing",
        ])
        let id = try map.need("id").word()
        guard isID(id) else {
            throw try map.need("id").fault("must be at most 64 characters of a to z, 0 to 9, '-', '.' and '_'")
        }
        let initiation = try map["initiation"]?.choice(Connector.Initiation.self) ?? .initiate
        let local = try map.need("localNetworks").prefixes()
        let remote = try map.need("remoteNetworks").prefixes()
        guard !local.isEmpty else { throw try map.need("localNetworks").fault("must name at least one network") }
        guard !remote.isEmpty else { throw try map.need("remoteNetworks").fault("must name at least one network") }
        let families = Set((local + remote).map(\.family))
        let everything = IPAddress.Family.allCases.filter(families.contains).map(IPPrefix.all)
        let list = try map.need("tunnels")
        let tunnels = try list.items().enumerated().map { index, entry in
            try tunnel(entry, name: "\(id)-\(index + 1)", initiation: initiation, everything: everything)
        }
        guard !tunnels.isEmpty else { throw list.fault("must have at least one tunnel") }
        guard Set(tunnels.map(\.name)).count == tunnels.count else { throw list.fault("has two tunnels of one name") }
        return Connector(
            id: id, name: try map["name"]?.word() ?? id, isEnabled: try map["isEnabled"]?.bool() ?? true,
            initiation: initiation, source: try map["source"].map(source) ?? Connector.Source(format: "manual"),
            routing: try map["routing"]?.choice(Connector.Routing.self) ?? .static, localNetworks: local,
            remoteNetworks: remote, tunnels: tunnels)
    }

    /// Whether a text can be the ID of a connector.
    static func isID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                    UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private static func source(_ entry: FileEntry) throws -> Connector.Source {
        let map = try entry.map(["format", "connectionID", "customerGatewayID", "vpnGatewayID"])
        return Connector.Source(
            format: try map["format"]?.word() ?? "manual", connectionID: try map["connectionID"]?.word(),
            customerGatewayID: try map["customerGatewayID"]?.word(), vpnGatewayID: try map["vpnGatewayID"]?.word())
    }

    private static func tunnel(
        _ entry: FileEntry, name: String, initiation: Connector.Initiation, everything: [IPPrefix]
    ) throws -> Tunnel {
        let map = try entry.map(["name", "phase1", "phase2", "inside", "bgp"])
        let entries = try map["phase2"]?.items() ?? [entry.empty("phase2")]
        let all = try entries.map { try phase2($0, everything: everything) }
        guard let first = all.first else { throw entry.fault("needs at least one phase 2") }
        let tunnel = Tunnel(
            name: try map["name"]?.word() ?? name,
            phase1: try phase1(map.need("phase1"), initiation: initiation), phase2: first,
            furtherPhase2: Array(all.dropFirst()), inside: try map["inside"].map(inside),
            bgp: try map["bgp"].map(bgp))
        for case let fault? in [tunnel.phase2Fault, tunnel.authenticationFault] { throw entry.fault(fault) }
        return tunnel
    }

    private static func phase1(_ entry: FileEntry, initiation: Connector.Initiation) throws -> Phase1 {
        let map = try entry.map([
            "remoteAddress", "encryption", "integrity", "ikeVersion", "localAddress", "bindAddress", "localID",
            "remoteID", "psk", "pskHexadecimal", "dhGroups", "lifetimeSeconds", "dpd", "forceUDPEncapsulation",
            "rekeyMarginSeconds", "authentication", "mobike", "childless", "certificate", "ppk",
        ])
        let remote = try map["remoteAddress"]?.address()
        guard remote != nil || initiation == .respond else {
            throw entry.fault("needs remoteAddress: who initiates must know where the peer is")
        }
        let encryption = try map["encryption"]?.choices(EncryptionAlgorithm.self) ?? [.aes256gcm16, .aes256]
        let integrity = try map["integrity"]?.choices(IntegrityAlgorithm.self) ?? [.sha384, .sha256]
        guard !integrity.isEmpty else {
            throw entry.fault("needs integrity, such as [sha256]: beside gcm and poly1305 ciphers it names the PRF")
        }
        let version = try map["ikeVersion"]?.number(in: 1...2) ?? 2
        guard version == 2 else { throw entry.fault("has ikeVersion \(version), and Gatehouse speaks IKEv2 only") }
        let phase1 = Phase1(
            ikeVersion: version, localAddress: try map["localAddress"]?.address(),
            bindAddress: try map["bindAddress"]?.address(), remoteAddress: remote,
            localID: try map["localID"]?.identity(), remoteID: try map["remoteID"]?.identity(),
            authentication: try AuthenticationSection.authentication(entry, map),
            encryption: encryption, integrity: integrity,
            dhGroups: try map["dhGroups"]?.groups() ?? [.ecp256, .ecp384, .curve25519, .modp2048],
            lifetimeSeconds: try map["lifetimeSeconds"]?.number(in: 60...604_800) ?? 28_800,
            dpd: try dpd(map["dpd"] ?? entry.empty("dpd"), initiation: initiation),
            forceUDPEncapsulation: try map["forceUDPEncapsulation"]?.bool() ?? false,
            rekeyMarginSeconds: try map["rekeyMarginSeconds"]?.number(in: 0...604_800),
            isMobile: try map["mobike"]?.bool() ?? true, prefersChildless: try map["childless"]?.bool() ?? false,
            ppk: try map["ppk"].map(AuthenticationSection.ppk))
        guard !encryption.isEmpty else { throw entry.fault("needs at least one cipher under encryption") }
        guard !phase1.dhGroups.isEmpty else { throw entry.fault("needs at least one group under dhGroups") }
        return phase1
    }

    private static func dpd(_ entry: FileEntry, initiation: Connector.Initiation) throws -> Phase1.DPD {
        let map = try entry.map(["delaySeconds", "timeoutSeconds", "action"])
        return Phase1.DPD(
            delaySeconds: try map["delaySeconds"]?.number(in: 0...86_400) ?? 10,
            timeoutSeconds: try map["timeoutSeconds"]?.number(in: 1...86_400) ?? 30,
            action: try map["action"]?.choice(["restart": .restart, "clear": .clear, "none": Phase1.DPD.Action.none])
                ?? (initiation == .initiate ? .restart : .clear))
    }

    private static func phase2(_ entry: FileEntry, everything: [IPPrefix]) throws -> Phase2 {
        let map = try entry.map([
            "encryption", "integrity", "pfsGroups", "lifetimeSeconds", "localSelectors", "remoteSelectors", "esn",
            "replayWindow", "rekeyMarginSeconds", "protocol", "mode", "name", "lifetimeBytes", "lifetimePackets",
        ])
        let encryption = try map["encryption"]?.choices(EncryptionAlgorithm.self) ?? [.aes256gcm16, .aes256]
        let phase2 = Phase2(
            name: try map["name"]?.word(), encryption: encryption,
            integrity: try map["integrity"]?.choices(IntegrityAlgorithm.self)
                ?? (encryption.allSatisfy(\.isAEAD) ? [] : [.sha256]),
            pfsGroups: try map["pfsGroups"]?.groups() ?? [.ecp256, .ecp384, .curve25519, .modp2048],
            lifetimeSeconds: try map["lifetimeSeconds"]?.number(in: 60...604_800) ?? 3600,
            localSelectors: try map["localSelectors"]?.prefixes() ?? everything,
            remoteSelectors: try map["remoteSelectors"]?.prefixes() ?? everything,
            esn: try map["esn"]?.bool() ?? false, replayWindow: try map["replayWindow"]?.number(in: 32...2048) ?? 1024,
            rekeyMarginSeconds: try map["rekeyMarginSeconds"]?.number(in: 0...604_800),
            lifetimeBytes: try map["lifetimeBytes"]?.amount(from: OptionValue.fewestBytes),
            lifetimePackets: try map["lifetimePackets"]?.amount(from: OptionValue.fewestPackets))
        guard !encryption.isEmpty else { throw entry.fault("needs at least one cipher under encryption") }
        if let cipher = encryption.first(where: { !$0.isAEAD }), phase2.integrity.isEmpty {
            throw entry.fault("needs integrity, such as [sha256]: \(cipher.rawValue) has none of its own")
        }
        guard !phase2.localSelectors.isEmpty, !phase2.remoteSelectors.isEmpty else {
            throw entry.fault("needs a network under localSelectors and remoteSelectors; leave them out for everything")
        }
        if let name = try map["protocol"]?.word(), name != "esp" { throw entry.fault("can have protocol esp only") }
        if let name = try map["mode"]?.word(), name != "tunnel" { throw entry.fault("can have mode tunnel only") }
        return phase2
    }

    private static func inside(_ entry: FileEntry) throws -> Tunnel.Inside {
        let map = try entry.map(["localAddress", "remoteAddress", "localAddress6", "remoteAddress6", "mtu", "mss"])
        return Tunnel.Inside(
            localAddress: try map.need("localAddress").prefix(), remoteAddress: try map.need("remoteAddress").prefix(),
            localAddress6: try map["localAddress6"]?.prefix(), remoteAddress6: try map["remoteAddress6"]?.prefix(),
            mtu: try map["mtu"]?.number(in: 576...9000), mss: try map["mss"]?.number(in: 500...8960))
    }

    private static func bgp(_ entry: FileEntry) throws -> Tunnel.BGP {
        let map = try entry.map(["localASN", "remoteASN", "neighbor", "holdTimeSeconds"])
        return Tunnel.BGP(
            localASN: try map.need("localASN").number(in: 1...UInt32.max),
            remoteASN: try map.need("remoteASN").number(in: 1...UInt32.max),
            neighbor: try map.need("neighbor").address(),
            holdTimeSeconds: try map["holdTimeSeconds"]?.number(in: 0...65_535) ?? 30)
    }
}
