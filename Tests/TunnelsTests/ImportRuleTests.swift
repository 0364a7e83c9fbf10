import Base
import Cryptography
import IKE
import Testing
import Tunnels

/// Changes to good files, and what is said about them.
@Suite struct ImportRuleTests {
    private let xml: String
    private let json: String
    private let generic: String
    private let swan: String
    private let options: String

    init() throws {
        xml = try Sample.text("xml/vgw-bgp.xml")
        json = try Sample.text("json/describe-vpn-connections-static.json")
        options = try Sample.text("json/describe-vpn-connections-tgw-tunneloptions-DERIVED.json")
        generic = try Sample.text("generic/ikev1-bgp.txt")
        swan = try Sample.text("strongswan/ikev1.txt")
    }

    private func refusal(_ text: String, _ options: ImportOptions = ImportOptions()) throws -> ImportError {
        try #require(Outcome(text, options).error)
    }

    private func warnings(_ text: String, _ options: ImportOptions = ImportOptions()) throws -> [String] {
        try #require(Outcome(text, options).plan).warnings
    }

    // MARK: Keys

    @Test(arguments: [
        ("short7!", "punctuation"), ("seven77", "has 7 characters"), ("with blank in it", "a blank"),
        ("0startswithzero", "begins with 0"), ("abcd*efgh", "an asterisk"), ("ключключключ", "outside ASCII"),
        (String(repeating: "k", count: 65), "has 65 characters"),
    ])
    func refusesKeysOutsideTheRulesWithoutShowingThem(key: String, reason: String) throws {
        for text in [
            xml.replacing("9HiFKtafbbWAFKysLIcMi6evsMHepKfI", with: key),
            generic.replacing("XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t", with: key),
            swan.replacing("XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t", with: key),
            options.replacing("ejHOoSw1.3p5J8WXKa_Rp5nVDaBzqaBa", with: key),
        ] {
            let error = try refusal(text)
            #expect(error.kind == .invalidKey)
            #expect(error.reason.contains(reason))
            #expect(!error.description.contains(key))
            #expect(error.line != nil)
        }
    }

    @Test(arguments: [".dotfirst_", "_8.chars", String(repeating: "Zz9._aB1", count: 8)])
    func acceptsKeysWithinTheRules(key: String) throws {
        let plan = try #require(Outcome(xml.replacing("9HiFKtafbbWAFKysLIcMi6evsMHepKfI", with: key)).plan)
        #expect(plan.tunnels[0].tunnel.phase1.psk == Secret(Array(key.utf8)))
    }

    @Test func stopsWhenTheTwoKeysOfOneTunnelDiffer() throws {
        // Only in TunnelOptions; the XML keeps the old one.
        let changed = options.replacing("\"PreSharedKey\": \"ejHO", with: "\"PreSharedKey\": \"AAHO")
        let error = try refusal(changed)
        #expect(error.kind == .contradiction)
        #expect(error.reason.contains("differs from the one in the CustomerGatewayConfiguration"))
        #expect(error.line == 18)
    }

    @Test func saysThatAMissingKeyMayBeElsewhere() throws {
        let error = try refusal(
            xml.replacing("<pre_shared_key>9HiFKtafbbWAFKysLIcMi6evsMHepKfI</pre_shared_key>", with: ""))
        #expect(error.kind == .missingValue)
        #expect(error.description.contains("Secrets Manager"))
    }

    @Test(arguments: ["plain-text-password1", "&lt;PRE-SHARED KEY&gt;", "pre-shared-key"])
    func refusesPlaceholdersForKeys(word: String) throws {
        #expect(try refusal(xml.replacing("9HiFKtafbbWAFKysLIcMi6evsMHepKfI", with: word)).kind == .placeholder)
    }

    /// What people write over a key before they show a file; most of it would pass for a key.
    @Test(arguments: [
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "a mask of 29 characters"), ("********", "a mask of 8 characters"),
        ("XXXXXXXX_XXXXXXXX", "a mask of 17 characters"), ("ab12XXXXXXXXXXXXXXXX", "a mask of 20 characters"),
        ("________", "a mask"), ("<REDACTED-PSK-1>", "in brackets"), ("[ hidden ]", "in brackets"),
        ("REDACTED_KEY_12", "'redacted'"), ("PASSWORD", "'password'"), ("Pre-Shared-Key2", "'presharedkey'"),
        ("removed", "'removed'"), ("YOUR_PSK_HERE", "asks for a key"), ("PRE-SHARED-KEY-IN-PLAIN-TEXT", "PLAIN-TEXT"),
    ])
    func refusesMaskedKeysByName(word: String, name: String) throws {
        for text in [
            generic.replacing("XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t", with: word),
            swan.replacing("XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t", with: word),
            options.replacing("ejHOoSw1.3p5J8WXKa_Rp5nVDaBzqaBa", with: word.replacing("<", with: "&lt;")),
        ] {
            let error = try refusal(text)
            #expect(error.kind == .placeholder)
            #expect(error.reason.contains(name))
            #expect(error.line != nil)
        }
    }

    /// Weak, but somebody's.
    @Test(arguments: ["password2024", "MySecret.Key1", "mask_of_zorro", "hiddenvalley99", "axxxxxb12"])
    func acceptsKeysThatResembleStandIns(key: String) throws {
        #expect(Outcome(xml.replacing("9HiFKtafbbWAFKysLIcMi6evsMHepKfI", with: key)).plan != nil)
    }

    @Test func refusesPlaceholdersByNameAndLine() throws {
        let error = try refusal(generic.replacing("ASN        : 65000", with: "ASN        : YOUR_BGP_ASN"))
        #expect(error.kind == .placeholder)
        #expect(error.reason.contains("YOUR_BGP_ASN"))
        #expect(error.line == 100)
    }

    // MARK: Addresses

    @Test(arguments: ["203.0.113.300", "none", "203.0.113", ""])
    func refusesWhatIsNoAddress(word: String) throws {
        for text in [xml, generic] {
            let outside = text == xml ? "203.0.113.39" : "203.0.113.193"
            let error = try refusal(text.replacing(outside, with: word))
            #expect(error.kind == .invalidValue || error.kind == .missingValue)
            #expect(error.line != nil)
        }
    }

    @Test(arguments: ["10.1.2.3", "192.168.1.1", "127.0.0.1", "0.0.0.0", "224.0.0.5", "169.254.1.9"])
    func refusesOutsideAddressesThatCannotBeOne(address: String) throws {
        #expect(try refusal(xml.replacing("198.51.100.7", with: address)).kind == .invalidValue)
        #expect(try refusal(xml.replacing("203.0.113.39", with: address)).kind == .invalidValue)
    }

    @Test func acceptsPrivateOutsideAddressesWhereAWSSaysSo() throws {
        let private4 = options.replacing("PublicIpv4", with: "PrivateIpv4").replacing("203.0.113.", with: "10.9.8.")
            .replacing("198.51.100.7", with: "10.1.1.1")
        let plan = try #require(Outcome(private4).plan)
        #expect(plan.tunnels[0].tunnel.phase1.remoteAddress == IPAddress("10.9.8.130"))
        #expect(Outcome(private4.replacing("PrivateIpv4", with: "PublicIpv4")).error?.kind == .invalidValue)
    }

    @Test func refusesEqualEnds() throws {
        #expect(try refusal(xml.replacing("203.0.113.39", with: "198.51.100.7")).reason.contains("both ends"))
        #expect(try refusal(xml.replacing("203.0.113.142", with: "203.0.113.39")).reason.contains("both tunnels"))
        #expect(
            try refusal(
                xml.replacing("169.254.68.26", with: "169.254.225.10").replacing("169.254.68.25", with: "169.254.225.9")
            ).reason.contains("inside network"))
        #expect(try refusal(xml.replacing("169.254.225.9<", with: "169.254.225.10<")).reason.contains("inside address"))
    }

    @Test func warnsOfUnusualInsideAddresses() throws {
        #expect(
            try warnings(xml.replacing("169.254.225.9<", with: "169.254.225.13<")).contains {
                $0.contains("not in one /30")
            })
        #expect(
            try warnings(
                xml.replacing("169.254.225.10<", with: "169.254.0.2<").replacing("169.254.225.9<", with: "169.254.0.1<")
            ).contains { $0.contains("reserved") })
        #expect(
            try warnings(
                xml.replacing("169.254.225.10<", with: "10.0.0.2<").replacing("169.254.225.9<", with: "10.0.0.1<")
            ).contains { $0.contains("outside 169.254.0.0/16") })
        #expect(
            try warnings(
                xml.replacing("169.254.225.10<", with: "X").replacing("169.254.225.9<", with: "169.254.225.10<")
                    .replacing("X", with: "169.254.225.9<")
            ).contains { $0.contains("swapped") })
    }

    @Test func warnsOfTwoCustomerAddresses() throws {
        let first = try #require(xml.firstRange(of: "198.51.100.7"))
        #expect(
            try warnings(xml.replacingCharacters(in: first, with: "198.51.100.8"))
                .contains { $0.contains("different customer gateway addresses: 198.51.100.7, 198.51.100.8") })
    }

    @Test func takesItsOwnAddressFromTheOptionWhereTheFileHasNone() throws {
        let without = xml.replacing("<ip_address>198.51.100.7</ip_address>", with: "")
        #expect(try refusal(without).remedy.contains("--local-address"))
        let plan = try #require(Outcome(without, ImportOptions(localAddress: IPAddress("198.51.100.9"))).plan)
        #expect(plan.tunnels[0].tunnel.phase1.localAddress == IPAddress("198.51.100.9"))
        #expect(plan.tunnels[0].origin(of: "phase1.localAddress") == .option)
    }

    @Test func keepsThePublicIdentityBehindANAT() throws {
        let plan = try #require(Outcome(xml, ImportOptions(localAddress: IPAddress("192.168.1.2"))).plan)
        #expect(plan.tunnels[0].tunnel.phase1.localAddress == IPAddress("198.51.100.7"))
        #expect(plan.tunnels[0].tunnel.phase1.bindAddress == IPAddress("192.168.1.2"))
    }

    // MARK: Versions and algorithms

    @Test func usesIKEv2AndSaysSo() throws {
        #expect(try warnings(xml).contains { $0.contains("names no IKE version") })
        #expect(try warnings(generic).contains { $0.contains("says IKEv1") })
        #expect(try warnings(swan).contains { $0.contains("says IKEv1") })
        #expect(try !warnings(generic.replacing("IKEv1", with: "IKEv2")).contains { $0.contains("IKEv1") })
        #expect(try !warnings(options).contains { $0.contains("IKE version") })
    }

    @Test func refusesTunnelOptionsThatForbidIKEv2() throws {
        let error = try refusal(options.replacing("\"ikev2\"", with: "\"ikev1\""))
        #expect(error.kind == .unsupported)
        #expect(error.remedy.contains("Permit ikev2"))
    }

    @Test func readsTheSpellingOfRequestsToo() throws {
        let requests = options.replacing("IkeVersions", with: "IKEVersions").replacing("DpdTimeout", with: "DPDTimeout")
        #expect(Outcome(requests).plan?.json() == Outcome(options).plan?.json())
    }

    @Test func takesAnAbsentOptionListAsAllThatAWSPermits() throws {
        let without = options.replacing("Phase1EncryptionAlgorithms", with: "Ignored1")
            .replacing("Phase2DHGroupNumbers", with: "Ignored2").replacing(
                "Phase1IntegrityAlgorithms", with: "Ignored3")
        let plan = try #require(Outcome(without).plan)
        let tunnel = plan.tunnels[0].tunnel
        #expect(tunnel.phase1.encryption == [.aes256gcm16, .aes128gcm16, .aes256, .aes128])
        #expect(tunnel.phase1.integrity == [.sha384, .sha512, .sha256, .sha1])
        #expect(tunnel.phase2.pfsGroups.first == .ecp384)
        #expect(tunnel.phase2.pfsGroups.last == .modp1024)
        #expect(tunnel.phase2.pfsGroups.count == 13)
        #expect(plan.tunnels[0].origin(of: "phase1.encryption") == .default)
        #expect(plan.tunnels[0].origin(of: "phase2.pfsGroups") == .default)
        #expect(plan.warnings.contains { $0.contains("lowest value that both sides offer") && $0.contains("SHA-1") })
    }

    @Test func leavesOutUnknownOptionValuesAndSaysSo() throws {
        let odd = options.replacing("\"Value\": \"AES256\"", with: "\"Value\": \"AES512\"")
        let plan = try #require(Outcome(odd).plan)
        #expect(plan.tunnels[0].tunnel.phase1.encryption == [.aes256gcm16])
        #expect(plan.warnings.contains { $0.contains("'AES512' is unknown") })
        #expect(
            try refusal(
                options.replacing("\"Value\": 20", with: "\"Value\": 99")
                    .replacing("\"Value\": 14", with: "\"Value\": 98")
            ).kind == .unsupported)
    }

    @Test(arguments: [
        ("aes-128-cbc", "aes-256-cbc", EncryptionAlgorithm.aes256), ("aes-128-cbc", "aes-256-gcm-16", .aes256gcm16),
        ("aes-128-cbc", "AES128-GCM-16", .aes128gcm16), ("aes-128-cbc", "aes 128", .aes128),
    ])
    func readsOtherCiphersInTheXML(old: String, new: String, expected: EncryptionAlgorithm) throws {
        let plan = try #require(Outcome(xml.replacing(old, with: new)).plan)
        #expect(plan.tunnels[0].tunnel.phase1.encryption == [expected])
        #expect(plan.tunnels[1].tunnel.phase2.encryption == [expected])
        #expect(plan.warnings.contains { $0.contains("minimum set") } == (expected == .aes128))
    }

    @Test func readsOtherGroupsAndHashes() throws {
        let govCloud = xml.replacing("group2", with: "group14").replacing(">sha1<", with: ">sha2-256<")
            .replacing("hmac-sha1-96", with: "hmac-sha2-256-128")
        let tunnel = try #require(Outcome(govCloud).plan).tunnels[0].tunnel
        #expect(tunnel.phase1.dhGroups == [.modp2048])
        #expect(tunnel.phase1.integrity == [.sha256])
        #expect(tunnel.phase2.integrity == [.sha256])
        #expect(tunnel.phase2.pfsGroups == [.modp2048])
        #expect(try !warnings(govCloud).contains { $0.contains("weak") })
    }

    @Test func namesTheLineOfAnUnknownAlgorithm() throws {
        let error = try refusal(generic.replacing("sha1\n", with: "md4\n"))
        #expect(error.description.hasPrefix("line 32, Authentication Algorithm: 'md4' is no authentication algorithm"))
        #expect(try refusal(swan.replacing("ike=aes128-sha1-modp1024", with: "ike=rot13-sha1")).field == "ike")
    }

    @Test func readsProposalListsOfStrongSwan() throws {
        let rich = swan.replacing(
            "ike=aes128-sha1-modp1024", with: "ike = aes256gcm16-prfsha384-ecp384, aes128-sha256-modp2048!"
        )
        .replacing("keyexchange=ikev1", with: "keyexchange=ikev2").replacing(
            "ikelifetime=8h", with: "ikelifetime=14400s")
        let plan = try #require(Outcome(rich).plan)
        let phase1 = plan.tunnels[0].tunnel.phase1
        #expect(phase1.encryption == [.aes256gcm16, .aes128])
        #expect(phase1.integrity == [.sha384, .sha256])
        #expect(phase1.dhGroups == [.ecp384, .modp2048])
        #expect(phase1.lifetimeSeconds == 14_400)
        #expect(plan.tunnels[0].origin(of: "phase1.ikeVersion") == .file)
    }

    // MARK: Numbers

    @Test func warnsOfNumbersThatAWSDoesNotPermit() throws {
        #expect(
            try warnings(xml.replacing(">28800<", with: ">86400<")).contains {
                $0.contains("phase 1 lifetime of 86400 s is outside")
            })
        #expect(
            try warnings(xml.replacing(">3600<", with: ">30000<")).contains {
                $0.contains("not below the phase 1 lifetime")
            })
        #expect(
            try warnings(xml.replacing(">1379<", with: ">1460<")).contains {
                $0.contains("segment size of 1460 does not fit")
            })
        #expect(
            try warnings(generic.replacing("1436 bytes", with: "1500 bytes")).contains {
                $0.contains("above AWS's maximum; 1446")
            })
        #expect(
            try warnings(options.replacing("\"DpdTimeoutSeconds\": 40", with: "\"DpdTimeoutSeconds\": 20"))
                .contains { $0.contains("below three times") })
        #expect(
            try warnings(options.replacing("\"ReplayWindowSize\": 1024", with: "\"ReplayWindowSize\": 4096"))
                .contains { $0.contains("replay window of 4096") })
    }

    @Test func segmentSizeNeverExceedsThePacket() throws {
        let plan = try #require(Outcome(generic.replacing("1436 bytes", with: "1400 bytes")).plan)
        #expect(plan.tunnels[0].tunnel.inside?.mtu == 1400)
        #expect(plan.tunnels[0].tunnel.inside?.mss == 1360)
    }

    @Test(arguments: ["-1", "99999999999999999999", "0", "eight hours", "1e9", ""])
    func refusesLifetimesThatAreNone(word: String) throws {
        let outcome = Outcome(xml.replacing(">28800<", with: ">\(word)<"))
        if word.isEmpty {
            #expect(outcome.plan?.tunnels[0].origin(of: "phase1.lifetimeSeconds") == .default)
        } else {
            #expect(outcome.error?.field == "lifetime")
            #expect(outcome.error?.line == 38)
        }
    }

    @Test func rekeysAheadOfAWSAlsoWithShortLifetimesAndWideMargins() throws {
        let short = options.replacing("\"Phase2LifetimeSeconds\": 1800", with: "\"Phase2LifetimeSeconds\": 900")
        #expect(try #require(Outcome(short).plan).tunnels[0].tunnel.phase2.rekeyMarginSeconds == 600)
        let wide = options.replacing("\"RekeyMarginTimeSeconds\": 270", with: "\"RekeyMarginTimeSeconds\": 500")
        let tunnel = try #require(Outcome(wide).plan).tunnels[0].tunnel
        #expect(tunnel.phase1.rekeyMarginSeconds == 1060)
        #expect(tunnel.phase2.rekeyMarginSeconds == 1060)
    }

    // MARK: Routing and networks

    @Test func neverGuessesTheNetworksBehindAWS() throws {
        for text in [xml, json, generic, swan, options] {
            let plan = try #require(Outcome(text).plan)
            #expect(plan.remoteNetworks.isEmpty)
            #expect(plan.warnings.contains { $0.contains("--remote-network") })
        }
    }

    @Test func takesConfiguredNetworkCIDRs() throws {
        let narrow = options.replacing(
            "\"RemoteIpv4NetworkCidr\": \"0.0.0.0/0\"", with: "\"RemoteIpv4NetworkCidr\": \"10.1.0.0/16\""
        )
        .replacing("\"LocalIpv4NetworkCidr\": \"0.0.0.0/0\"", with: "\"LocalIpv4NetworkCidr\": \"192.168.5.0/24\"")
        let plan = try #require(Outcome(narrow).plan)
        #expect(plan.remoteNetworks.map(\.description) == ["10.1.0.0/16"])
        #expect(plan.localNetworks.map(\.description) == ["192.168.5.0/24"])
        #expect(plan.tunnels[0].tunnel.phase2.remoteSelectors.map(\.description) == ["10.1.0.0/16"])
        let outside = ImportOptions(remoteNetworks: [try #require(IPPrefix("10.2.0.0/16"))])
        #expect(try warnings(narrow, outside).contains { $0.contains("10.2.0.0/16 is outside what AWS lets through") })
    }

    @Test func warnsOfNetworksThatCannotBeMeant() throws {
        let lan = try #require(IPPrefix("10.0.0.0/8"))
        let odd = try #require(IPPrefix("10.1.2.3/16"))
        let all = try #require(IPPrefix("0.0.0.0/0"))
        #expect(
            try warnings(xml, ImportOptions(localNetworks: [lan], remoteNetworks: [odd])).contains {
                $0.contains("overlap")
            })
        #expect(
            try warnings(xml, ImportOptions(remoteNetworks: [odd])).contains {
                $0.contains("taken as the network 10.1.0.0/16")
            })
        #expect(
            try warnings(xml, ImportOptions(remoteNetworks: [all])).contains {
                $0.contains("contains AWS's outside address")
            })
    }

    @Test func warnsOfBGPOnOneSide() throws {
        let half = xml.replacing("<asn>64513</asn>", with: "")
        let plan = try #require(Outcome(half).plan)
        #expect(plan.tunnels[0].tunnel.bgp == nil)
        #expect(plan.warnings.contains { $0.contains("only one side") })
        #expect(try warnings(xml.replacing("64513", with: "64512")).contains { $0.contains("which AWS refuses") })
        #expect(
            try refusal(
                generic.replacing("Address         : 169.254.255.1\n", with: "Address         : 169.254.255.2\n")
            )
            .reason.contains("our own inside address"))
    }

    @Test func acceleratedConnectionsAlwaysUseUDP() throws {
        let fast = options.replacing("\"EnableAcceleration\": false", with: "\"EnableAcceleration\": true")
        let plan = try #require(Outcome(fast).plan)
        #expect(plan.tunnels.allSatisfy { $0.tunnel.phase1.forceUDPEncapsulation })
        #expect(plan.warnings.contains { $0.contains("accelerated") })
    }
}
