import Base
import Cryptography
import IKE
import Testing
import Tunnels

/// What the device texts have of their own: wrong references, shared groups, missing values, contradictions.
@Suite struct ImportDeviceTests {
    func text(_ path: String) throws -> String {
        try Sample.text(path).replacing("\r\n", with: "\n")
    }

    func changed(_ path: String, _ old: String, _ new: String) throws -> String {
        let text = try text(path)
        let other = text.replacing(old, with: new)
        try #require(other != text, "nothing was changed")
        return other
    }

    func line(of part: String, in text: String) throws -> Int {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return try #require(lines.firstIndex { $0.contains(part) }) + 1
    }

    let ios = "cisco-ios/ikev1-bgp.txt"
    let asa = "cisco-asa/ikev1-vti-bgp.txt"
    let junos = "juniper-junos-srx/ikev1-bgp.txt"
    let forti = "fortinet/ikev1-bgp-cli.txt"
    let vyatta = "vyatta-vyos/ikev1-bgp.txt"
    let panos = "palo-alto/ikev1-bgp.txt"
    let sonicos = "sonicwall/ikev1-static.txt"
    let yamaha = "yamaha/ikev1-bgp.txt"
    let windows = "windows-server/ikev1-static.txt"
    let firstKey = "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"

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

    func mendedPANOS() throws -> String {
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
}
