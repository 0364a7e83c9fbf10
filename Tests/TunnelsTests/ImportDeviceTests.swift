import Base
import Cryptography
import IKE
import Testing
import Tunnels

/// What the device texts have of their own: wrong references, shared groups, missing values, contradictions.
@Suite struct ImportDeviceTests {
    private func text(_ path: String) throws -> String {
        try Sample.text(path).replacing("\r\n", with: "\n")
    }

    private func changed(_ path: String, _ old: String, _ new: String) throws -> String {
        let text = try text(path)
        let other = text.replacing(old, with: new)
        try #require(other != text, "nothing was changed")
        return other
    }

    private func line(of part: String, in text: String) throws -> Int {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return try #require(lines.firstIndex { $0.contains(part) }) + 1
    }

    private let ios = "cisco-ios/ikev1-bgp.txt"
    private let asa = "cisco-asa/ikev1-vti-bgp.txt"
    private let junos = "juniper-junos-srx/ikev1-bgp.txt"
    private let forti = "fortinet/ikev1-bgp-cli.txt"
    private let vyatta = "vyatta-vyos/ikev1-bgp.txt"
    private let panos = "palo-alto/ikev1-bgp.txt"
    private let sonicos = "sonicwall/ikev1-static.txt"
    private let yamaha = "yamaha/ikev1-bgp.txt"
    private let windows = "windows-server/ikev1-static.txt"
    private let firstKey = "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"

    // MARK: Keys

    @Test(arguments: Sample.devices)
    func refusesAFaultyKeyWithItsLineAndWithoutShowingIt(path: String) throws {
        let text = try text(path)
        let key = try #require(Sample.keys.first { text.contains($0) })
        for (bad, reason) in [
            ("short77", "has 7 characters"), (String(key.dropLast()) + "*", "an asterisk"),
            (String(repeating: "k", count: 65), "has 65 characters"), ("0" + key.dropFirst(), "begins with 0"),
        ] {
            let other = text.replacing(key, with: bad)
            let error = try #require(Outcome(other).error)
            #expect(error.kind == .invalidKey)
            #expect(error.reason.contains(reason))
            #expect(error.line == (try line(of: bad, in: other)))
            #expect(!Sample.holdsKey(error.description))
            #expect(!error.description.contains(bad))
        }
    }

    @Test(arguments: Sample.devices)
    func stopsWhereTheSameKeyLineSaysSomethingElse(path: String) throws {
        let text = try text(path)
        let key = try #require(Sample.keys.first { text.contains($0) })
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let index = try #require(lines.firstIndex { $0.contains(key) })
        var twice = lines
        twice.insert(lines[index].replacing(key, with: "Another.key_of_32_characters.123"), at: index + 1)
        let error = try #require(Outcome(twice.joined(separator: "\n")).error)
        #expect(error.kind == .contradiction)
        #expect(error.line == index + 2)
        #expect(error.reason.contains("line \(index + 1)"))
        #expect(!error.description.contains("Another.key"))
        // The same line once more is no contradiction.
        twice[index + 1] = lines[index]
        #expect(Outcome(twice.joined(separator: "\n")).plan != nil)
    }

    @Test(arguments: Sample.devices)
    func refusesPlaceholdersForKeysByName(path: String) throws {
        let text = try text(path)
        let key = try #require(Sample.keys.first { text.contains($0) })
        let other = text.replacing(key, with: "plain-text-password1")
        let error = try #require(Outcome(other).error)
        #expect(error.kind == .placeholder)
        #expect(error.reason.contains("plain-text-password1"))
        #expect(error.line == (try line(of: "plain-text-password1", in: other)))
    }

    @Test func refusesKeysThatOnlyTheDeviceCanRead() throws {
        for (path, form) in [
            (forti, "ENC AbCdEfGhIjKlMnOpQrStUvWx=="), (ios, "6 AbCdEfGhIjKlMnOpQrStUvWx"),
            (junos, "\"$9$AbCdEfGhIjKlMnOpQrStUvWx\""),
        ] {
            let error = try #require(Outcome(try changed(path, firstKey, form)).error)
            #expect(error.kind == .invalidKey)
            #expect(!error.description.contains("AbCdEf"))
            if path != junos { #expect(error.reason.contains("only the device can read")) }
        }
        // IOS's 0 says that the key stands in the clear.
        let plan = try #require(Outcome(try changed(ios, "key \(firstKey)", "key 0 \(firstKey)")).plan)
        #expect(plan.tunnels[0].tunnel.phase1.psk == Secret(Array(firstKey.utf8)))
    }

    // MARK: Our outside address

    @Test(arguments: ["cisco-asa/ikev1-vti-bgp.txt", "yamaha/ikev1-bgp.txt"])
    func takesOurAddressFromTheOptionWhereTheFormatHasNone(path: String) throws {
        let bytes = try Sample.bytes(path)
        let without = try AWSImport.read(bytes)
        #expect(without.tunnels[0].tunnel.phase1.localAddress == nil)
        #expect(without.warnings.contains { $0.contains("does not name our outside address") })
        let plan = try AWSImport.read(bytes, options: ImportOptions(localAddress: IPAddress("198.51.100.9")))
        #expect(plan.tunnels[1].tunnel.phase1.localAddress == IPAddress("198.51.100.9"))
        #expect(plan.tunnels[1].origin(of: "phase1.localAddress") == .option)
        #expect(!plan.warnings.contains { $0.contains("does not name our outside address") })
    }

    @Test func leavesOutAnInterfaceOrAPrivateAddressForOurs() throws {
        let named = try changed(ios, "198.51.100.7", "GigabitEthernet1")
        #expect(Outcome(named).plan?.tunnels[0].tunnel.phase1.localAddress == nil)
        let inside = try changed(ios, "198.51.100.7", "10.1.2.3")
        let plan = try #require(Outcome(inside).plan)
        #expect(plan.tunnels[0].tunnel.phase1.localAddress == nil)
        #expect(plan.warnings.contains { $0.contains("10.1.2.3 is private") && $0.contains("line") })
        let private1 = try changed(yamaha, "YOUR_LOCAL_NETWORK_ADDRESS", "192.168.0.1")
        #expect(Outcome(private1).plan?.tunnels[0].tunnel.phase1.localAddress == nil)
    }

    @Test func reportsTwoCustomerAddressesWithBothLines() throws {
        let text = try text(forti)
        let first = try #require(text.firstRange(of: "198.51.100.7"))
        let other = text.replacingCharacters(in: first, with: "198.51.100.8")
        let plan = try #require(Outcome(other).plan)
        let warning = try #require(plan.warnings.first { $0.contains("different customer gateway addresses") })
        #expect(warning.contains("198.51.100.7, 198.51.100.8"))
        #expect(warning.contains("line \(try line(of: "local-gw 198.51.100.8", in: other))"))
        #expect(warning.contains("line \(try line(of: "local-gw 198.51.100.7", in: other))"))
    }

    // MARK: Inside addresses and BGP

    @Test func reportsANeighbourThatIsOurselves() throws {
        let error = try #require(Outcome(try changed(ios, "neighbor 169.254.255.1 ", "neighbor 169.254.255.2 ")).error)
        #expect(error.kind == .contradiction)
        #expect(error.reason.contains("169.254.255.2 is our own inside address of line 120"))
    }

    @Test func reportsAnInsidePairOutsideOneNetworkWithBothLines() throws {
        let other = try changed(
            yamaha, "ip tunnel remote address 169.254.255.1 ", "ip tunnel remote address 169.254.255.9 ")
        let plan = try #require(Outcome(other).plan)
        let warning = try #require(plan.warnings.first { $0.contains("not in one /30") })
        #expect(warning.contains("line \(try line(of: "ip tunnel address 169.254.255.2", in: other))"))
        #expect(warning.contains("line \(try line(of: "remote address 169.254.255.9", in: other))"))
    }

    @Test func derivesThePeerOfAStaticTunnelFromItsNetwork() throws {
        let text = try text(ios)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.contains("neighbor") && !$0.contains("router bgp") && !$0.contains("#4:") }
        let plan = try #require(
            Outcome(lines.joined(separator: "\n") + "\n! #4: Static Route Configuration\n").plan)
        #expect(plan.routing == .static)
        #expect(plan.routingOrigin == .file)
        #expect(plan.tunnels[0].tunnel.bgp == nil)
        #expect(plan.tunnels[0].tunnel.inside?.remoteAddress.description == "169.254.255.1/30")
        #expect(plan.tunnels[0].origin(of: "inside.remoteAddress") == .derived)
        #expect(plan.localNetworks.isEmpty && plan.remoteNetworks.isEmpty)
    }

    @Test func mendsAWrongNeighbourOfSonicOSAndSaysSo() throws {
        let plan = try #require(
            Outcome(try text(sonicos) + "\nrouter bgp 65000\nneighbor 169.254.255.6 remote-as 7224\n").plan)
        #expect(plan.tunnels[0].tunnel.bgp?.neighbor == IPAddress("169.254.255.5"))
        #expect(plan.warnings.contains { $0.contains("169.254.255.6 is our own inside address") })
    }

    /// AWS's BGP text for SonicOS: both policies have one name, and each neighbour is our own address.
    @Test func tellsSonicOSPoliciesOfOneNameApartByTheirSections() throws {
        func section(_ number: Int, _ remote: String, _ key: String, _ inside: String) -> String {
            """
            ! IPSec Tunnel !\(number)
            vpn policy tunnel-interface vpn-44a8938f-1
            gateway primary \(remote)
            auth-method shared-secret
            shared-secret \(key)
            ike-id local ip 198.51.100.7
            end
            proposal ipsec lifetime 3600
            proposal ipsec encryption aes128
            tunnel-interface vpn T\(number)
            ip \(inside) netmask 255.255.255.252
            router bgp 65000
            neighbor \(inside) remote-as 7224

            """
        }
        let one = section(1, "203.0.113.193", "firstKey_0123456789", "169.254.44.242")
        let two = section(2, "203.0.113.225", "secondKey_0123456789", "169.254.44.114")
        let plan = try #require(Outcome(one + two).plan)
        #expect(plan.tunnels.map(\.tunnel.phase1.remoteAddress?.description) == ["203.0.113.193", "203.0.113.225"])
        #expect(plan.tunnels[1].tunnel.phase1.psk == Secret(Array("secondKey_0123456789".utf8)))
        #expect(plan.tunnels[1].tunnel.inside?.localAddress.description == "169.254.44.114/30")
        #expect(plan.tunnels[1].tunnel.bgp?.neighbor == IPAddress("169.254.44.113"))
        #expect(plan.warnings.contains { $0.contains("line 16, gateway") && $0.contains("line 3") })
        // In one section it is a contradiction.
        #expect(Outcome(one + two.replacing("! IPSec Tunnel !2\n", with: "")).error?.kind == .contradiction)
    }

    /// VyOS 1.4 names its peers, and behind a NAT it says who it is apart from its address.
    @Test func takesTheIdentityOfVyOSForOurAddressBehindANAT() throws {
        let text = """
            set vpn ipsec ike-group AWS lifetime '28800'
            set vpn ipsec site-to-site peer AWS_1 authentication local-id '198.51.100.7'
            set vpn ipsec site-to-site peer AWS_1 authentication mode 'pre-shared-secret'
            set vpn ipsec site-to-site peer AWS_1 authentication pre-shared-secret 'firstKey_0123456789'
            set vpn ipsec site-to-site peer AWS_1 authentication remote-id '203.0.113.5'
            set vpn ipsec site-to-site peer AWS_1 local-address '10.0.2.15'
            set vpn ipsec site-to-site peer AWS_1 remote-address '203.0.113.5'
            set vpn ipsec site-to-site peer AWS_1 vti bind 'vti0'
            set interfaces vti vti0 address '169.254.61.114/30'
            """
        let plan = try #require(Outcome(text).plan)
        #expect(plan.tunnels[0].tunnel.phase1.localAddress == IPAddress("198.51.100.7"))
        #expect(!plan.warnings.contains { $0.contains("is private") })
    }

    /// Notes show the settings alone, without the lines that say where to click.
    @Test func readsPfSenseSettingsWithoutTheStepsAroundThem() throws {
        func settings(_ number: Int, _ remote: String, _ key: String) -> String {
            """
            General information
             b. Key Exchange version :V2
             e. Remote Gateway: \(remote)
             f. Description: Amazon-IKE-vpn-0a1b2c3d4e5f60718-\(number)
             Phase 1 proposal (Authentication)
             a. Authentication Method: Mutual PSK
             e. Pre-Shared Key: \(key)
             Phase 1 proposal (Algorithms)
             a. Encryption algorithm : aes256
             b. Hash algorithm : sha256
             c. DH key group : 14
             d. Lifetime : 28800 seconds
            Then the second phase:
             Phase 2 proposal (SA/Key Exchange)
             b. Encryption algorithms : aes128
             c. Hash algorithms : hmac-sha1-96
             d. PFS key group :   2
            e. Lifetime : 3600 seconds

            """
        }
        let plan = try #require(
            Outcome(
                settings(0, "203.0.113.5", "firstKey_0123456789") + settings(1, "203.0.113.9", "otherKey_0123456789")
            ).plan)
        #expect(plan.tunnels.map(\.tunnel.phase1.remoteAddress?.description) == ["203.0.113.5", "203.0.113.9"])
        #expect(plan.tunnels[0].tunnel.phase1.encryption == [.aes256])
        #expect(plan.tunnels[0].tunnel.phase2.encryption == [.aes128])
        #expect(plan.tunnels[1].tunnel.phase2.lifetimeSeconds == 3600)
    }

    /// AWS's steps for FortiOS mark some lines with a number sign.
    @Test func readsStepsBehindANumberSign() throws {
        let text = """
            ! IPSec Tunnel #1
            Go to VPN-->IPSec--> AutoKey, create Phase 1
             c. IP address: 203.0.113.5
             g. Pre-Shared Key: firstKey_0123456789
             h. Select "Enable IPsec Interface Mode"
             j. Local-gateway: Select Specify and enter 198.51.100.7
             n. Keylife: 28800 seconds
            Go to VPN-->IPSec--> AutoKey, create Phase 2
             c. Encryption: aes128
             #e. Select Enable Replay Detection
             #h. Keylife: 1800 seconds
            ! #3: Tunnel Interface Configuration
             a. IP : 169.254.191.238
             b. Remote IP: 169.254.191.237
            """
        let tunnel = try #require(Outcome(text).plan?.tunnels.first)
        #expect(tunnel.tunnel.phase2.lifetimeSeconds == 1800)
        #expect(tunnel.origin(of: "phase2.lifetimeSeconds") == .file)
    }

    private func mendedPANOS() throws -> String {
        try changed(panos, "169.254.255.5/30", "169.254.255.2/30")
            .replacing("peer-address ip 169.254.255.2", with: "peer-address ip 169.254.255.1")
            .replacing("169.254.255.1/30", with: "169.254.255.6/30")
            .replacing("169.254.255.6.113", with: "169.254.255.5")
    }

    @Test func importsAPANOSTextWhoseAddressesAreRight() throws {
        let mended = try mendedPANOS()
        let plan = try #require(Outcome(mended).plan)
        #expect(
            plan.tunnels.map { $0.tunnel.inside?.localAddress.description } == ["169.254.255.2/30", "169.254.255.6/30"])
        #expect(plan.tunnels.map { $0.tunnel.bgp?.neighbor.description } == ["169.254.255.1", "169.254.255.5"])
        // The second gateway refers to a profile that does not exist; its number decides.
        #expect(plan.tunnels[1].tunnel.phase1.encryption == [.aes128])
        #expect(plan.tunnels[1].origin(of: "phase1.encryption") == .file)
        #expect(plan.tunnels[0].tunnel.phase1.dpd.timeoutSeconds == 30)
        #expect(plan.tunnels[0].tunnel.inside?.mtu == 1427)
    }

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
