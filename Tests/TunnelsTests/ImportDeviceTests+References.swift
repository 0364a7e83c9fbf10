import Base
import Cryptography
import IKE
import Testing
import Tunnels

/// References between the objects of a device, and what its text lacks.
extension ImportDeviceTests {
    // MARK: Names and references

    @Test func joinsByNumberWhereJunOSReferencesAreMixedUp() throws {
        let swapped = try changed(junos, "ike-policy ike-pol-vpn-44a8938f-1", "ike-policy ike-pol-vpn-44a8938f-X")
            .replacing("ike-policy ike-pol-vpn-44a8938f-2", with: "ike-policy ike-pol-vpn-44a8938f-1")
            .replacing("ike-policy ike-pol-vpn-44a8938f-X", with: "ike-policy ike-pol-vpn-44a8938f-2")
        let plan = try #require(Outcome(swapped).plan)
        #expect(plan.tunnels[0].tunnel.phase1.psk == Secret(Array(firstKey.utf8)))
        #expect(plan.tunnels[0].tunnel.phase1.remoteAddress == IPAddress("203.0.113.225"))
        #expect(plan.warnings.contains { $0.contains("refers to another tunnel's object") })
    }

    @Test func sharesNamedObjectsWithoutNumbers() throws {
        let text = try text(junos)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let shared = lines.filter { !$0.contains("set security ike proposal ike-prop-vpn-44a8938f-2") }
            .joined(separator: "\n").replacing("ike-prop-vpn-44a8938f-1", with: "aws").replacing(
                "ike-prop-vpn-44a8938f-2", with: "aws")
        let plan = try #require(Outcome(shared).plan)
        #expect(plan.tunnels[1].origin(of: "phase1.encryption") == .file)
        #expect(plan.tunnels[1].tunnel.phase1.dhGroups.map(\.rawValue) == [2])
    }

    @Test func takesTheLastOfDifferingVyattaGroupsAndWarns() throws {
        let text = try text(vyatta)
        let first = try #require(text.firstRange(of: "proposal 1 encryption 'aes128'"))
        let plan = try #require(
            Outcome(text.replacingCharacters(in: first, with: "proposal 1 encryption 'aes256'")).plan)
        #expect(plan.tunnels[0].tunnel.phase1.encryption == [.aes128])
        #expect(plan.warnings.contains { $0.contains("differs from what line") && $0.contains("the last one is used") })
        let pfs = try #require(Outcome(try changed(vyatta, "pfs 'enable'", "pfs 'dh-group20'")).plan)
        #expect(pfs.tunnels[0].tunnel.phase2.pfsGroups.map(\.rawValue) == [20])
        #expect(pfs.tunnels[0].origin(of: "phase2.pfsGroups") == .file)
    }

    @Test func readsKeyringsAndProfilesThatBothTunnelsShare() throws {
        let shared = try changed(ios, "keyring-vpn-44a8938f-1", "keyring-vpn-44a8938f-0")
            .replacing("isakmp-vpn-44a8938f-1", with: "isakmp-vpn-44a8938f-0")
        let plan = try #require(Outcome(shared).plan)
        #expect(plan.tunnels.map(\.tunnel) == Outcome(try text(ios)).plan?.tunnels.map(\.tunnel))
        let ikev2 = """
            crypto ikev2 proposal AWS
             encryption aes-cbc-256 aes-cbc-128
             integrity sha384 sha256
             group 20 14
            crypto ikev2 keyring AWS
             peer ONE
              address 203.0.113.225
              pre-shared-key \(firstKey)
             peer TWO
              address 203.0.113.193
              pre-shared-key local LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl
            crypto ikev2 profile AWS
             match identity remote address 203.0.113.225 255.255.255.255
             match identity remote address 203.0.113.193 255.255.255.255
             identity local address 198.51.100.7
             keyring local AWS
             lifetime 14400
             dpd 15 3 periodic
            crypto ipsec transform-set AWS esp-gcm 256
            crypto ipsec profile AWS
             set pfs group20
             set transform-set AWS
             set ikev2-profile AWS
            interface Tunnel1
             ip address 169.254.255.2 255.255.255.252
             tunnel source GigabitEthernet1
             tunnel destination 203.0.113.225
             tunnel protection ipsec profile AWS
            interface Tunnel2
             ip address 169.254.255.6 255.255.255.252
             tunnel source GigabitEthernet1
             tunnel destination 203.0.113.193
             tunnel protection ipsec profile AWS
            """
        let modern = try #require(Outcome(ikev2).plan)
        #expect(modern.tunnels.map { $0.origin(of: "phase1.ikeVersion") } == [.file, .file])
        #expect(modern.tunnels[0].tunnel.phase1.psk == Secret(Array(firstKey.utf8)))
        #expect(modern.tunnels[1].tunnel.phase1.psk == Secret(Array("LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl".utf8)))
        for tunnel in modern.tunnels.map(\.tunnel) {
            #expect(tunnel.phase1.localAddress == IPAddress("198.51.100.7"))
            #expect(tunnel.phase1.encryption == [.aes256, .aes128])
            #expect(tunnel.phase1.dhGroups.map(\.rawValue) == [20, 14])
            #expect(tunnel.phase1.lifetimeSeconds == 14_400)
            #expect(tunnel.phase1.dpd.delaySeconds == 15)
            #expect(tunnel.phase2.encryption == [.aes256gcm16])
            #expect(tunnel.phase2.pfsGroups.map(\.rawValue) == [20])
        }
    }

    @Test func offersAllPoliciesWhereTheirNumberIsNotThatOfTheTunnels() throws {
        let more = try text(ios) + "\ncrypto isakmp policy 300\n encryption aes 256\n group 14\n hash sha256\nexit\n"
        let phase1 = try #require(Outcome(more).plan).tunnels[0].tunnel.phase1
        #expect(phase1.encryption == [.aes128, .aes256])
        #expect(phase1.dhGroups.map(\.rawValue) == [2, 14])
        #expect(phase1.integrity == [.sha1, .sha256])
    }

    @Test func takesListsOfAlgorithms() throws {
        let lists = try changed(
            forti, "set proposal aes128-sha1", "set proposal aes128-sha1 aes256-sha256 aes256gcm-prfsha384"
        )
        .replacing("set dhgrp 2", with: "set dhgrp 20 14")
        let plan = try #require(Outcome(lists).plan)
        #expect(plan.tunnels[0].tunnel.phase1.encryption == [.aes128, .aes256, .aes256gcm16])
        #expect(plan.tunnels[0].tunnel.phase1.integrity == [.sha1, .sha256, .sha384])
        #expect(plan.tunnels[0].tunnel.phase2.pfsGroups.map(\.rawValue) == [20, 14])
        let bracketed = try mendedPANOS().replacing(
            "set encryption aes128", with: "set encryption [ aes-256-gcm aes-128-cbc ]")
        let phase1 = Outcome(bracketed).plan?.tunnels[0].tunnel.phase1
        #expect(phase1?.encryption == [.aes256gcm16, .aes128])
        let unknown = try #require(
            Outcome(try changed(forti, "set proposal aes128-sha1", "set proposal 3des-md5")).error)
        #expect(unknown.kind == .invalidValue)
        #expect(unknown.reason.contains("'3des' is no algorithm"))
        #expect(unknown.line == 44)
    }

    // MARK: What formats lack

    @Test(arguments: ["openswan/ikev1-static.txt", "windows-server/ikev1-static.txt"])
    func plansWithoutInsideAddressesSayWhatFollows(path: String) throws {
        let remote = try #require(IPPrefix("10.20.0.0/16"))
        let plan = try AWSImport.read(try Sample.bytes(path), options: ImportOptions(remoteNetworks: [remote]))
        #expect(plan.tunnels.allSatisfy { $0.tunnel.inside == nil && $0.tunnel.bgp == nil })
        #expect(plan.json().contains("\"inside\": null"))
        #expect(plan.table().contains("(no addresses in the file)"))
        #expect(plan.warnings.contains { $0.contains("cannot be probed") && $0.contains("dead peer detection") })
        let connector = try plan.connector()
        #expect(connector.tunnels.count == 2)
        #expect(connector.tunnels[0].phase2.remoteSelectors == [.all(.ipv4)])
    }

    @Test func marksThePhase1ThatSonicOSLacksAsDefault() throws {
        let planned = try AWSImport.read(try Sample.bytes(sonicos)).tunnels[0]
        for name in ["encryption", "integrity", "dhGroups", "lifetimeSeconds"] {
            #expect(planned.origin(of: "phase1." + name) == .default)
            #expect(planned.origin(of: name == "dhGroups" ? "phase2.pfsGroups" : "phase2." + name) == .file)
        }
        #expect(
            try AWSImport.read(try Sample.bytes(yamaha)).tunnels[0].origin(of: "phase1.lifetimeSeconds") == .default)
    }

    @Test func readsFilledNetworksOfWindowsAndLeavesStandInsOut() throws {
        let filled = try changed(windows, "Your_Static_Route_IP_Prefix", "192.168.7.0/24")
            .replacing("Your_VPC_CIDR_Block", with: "10.20.0.0/16").replacing("[", with: "").replacing("]", with: "")
        let phase2 = try #require(Outcome(filled).plan).tunnels[0].tunnel.phase2
        #expect(phase2.localSelectors.map(\.description) == ["192.168.7.0/24"])
        #expect(phase2.remoteSelectors.map(\.description) == ["10.20.0.0/16"])
        let mainMode =
            try text(windows)
            + "\nnetsh advfirewall set global mainmode mmsecmethods dhgroup14:aes256-sha256,dhgroup2:aes128-sha1\n"
        let phase1 = try #require(Outcome(mainMode).plan).tunnels[1].tunnel.phase1
        #expect(phase1.dhGroups.map(\.rawValue) == [14, 2])
        #expect(phase1.encryption == [.aes256, .aes128])
        let differing = try changed(windows, "Auth1PSK=xCjN", "Auth1PSK=AAAA")
        let error = try #require(Outcome(differing).error)
        #expect(error.kind == .contradiction)
        #expect(error.reason.contains("line 7"))
    }

    @Test func readsTheInsideAddressOfALibreswanInterface() throws {
        let plan = try #require(
            Outcome(
                try changed("openswan/ikev1-static.txt", "\tauth=esp", "\tleftvti=169.254.9.2/30\n\tikev2=insist")
                    .replacingFirstAfter("conn Tunnel2", "169.254.9.2", with: "169.254.9.6")
            ).plan)
        #expect(plan.tunnels[0].tunnel.inside?.remoteAddress.description == "169.254.9.1/30")
        #expect(plan.tunnels[1].tunnel.inside?.remoteAddress.description == "169.254.9.5/30")
        #expect(plan.tunnels[0].origin(of: "phase1.ikeVersion") == .file)
    }

    @Test func refusesCertificatesAndOtherProtocols() throws {
        for (path, old, new) in [
            (ios, "authentication pre-share", "authentication rsa-sig"),
            (junos, "authentication-method pre-shared-keys", "authentication-method rsa-signatures"),
            (vyatta, "authentication mode 'pre-shared-secret'", "authentication mode 'x509'"),
            (forti, "set dpd enable", "set authmethod signature"),
            (sonicos, "auth-method shared-secret", "auth-method certificate"),
        ] {
            let error = try #require(Outcome(try changed(path, old, new)).error)
            #expect(error.kind == .unsupported)
            #expect(error.reason.contains("other than a pre-shared key"))
        }
        #expect(Outcome(try changed(junos, "protocol esp", "protocol ah")).error?.reason.contains("not ESP") == true)
        #expect(
            Outcome(try changed(ios, "   mode tunnel", "   mode transport")).error?.reason.contains("tunnel mode")
                == true)
    }

    // MARK: Shapes

    @Test(arguments: Sample.devices)
    func unwrapsEveryDeviceTextFromJSON(path: String) throws {
        let text = try text(path)
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            .replacing("\t", with: "\\t")
        let wrapped = "{\n\"VpnConnectionDeviceSampleConfiguration\": \"\(escaped)\"\n}"
        #expect(Outcome(wrapped).plan?.tunnels.map(\.tunnel) == Outcome(text).plan?.tunnels.map(\.tunnel))
        let key = try #require(Sample.keys.first { text.contains($0) })
        let error = try #require(Outcome(wrapped.replacing(key, with: "short77")).error)
        #expect(error.line == 2)
        #expect(error.place?.innerLine == (try line(of: key, in: text)))
    }

    @Test(arguments: Sample.devices)
    func aTextWithoutItsSecondHalfGivesOneTunnelOrARefusal(path: String) throws {
        let text = try text(path)
        let keys = Sample.keys.filter { text.contains($0) }
        let second = try #require(text.firstRange(of: keys[1]))
        let cut = String(text[..<second.lowerBound])
        switch Outcome(cut) {
        case .plan(let plan): #expect(plan.warnings.contains { $0.contains("one tunnel only") })
        case .refusal(let error):
            #expect([.missingValue, .invalidKey].contains(error.kind))
        }
    }
}

extension String {
    /// Replaces the first `old` behind the first `mark`.
    fileprivate func replacingFirstAfter(_ mark: String, _ old: String, with new: String) -> String {
        guard let start = firstRange(of: mark), let range = self[start.upperBound...].firstRange(of: old) else {
            return self
        }
        return replacingCharacters(in: range, with: new)
    }
}
