import Base
import Cryptography
import FoundationEssentials
import IKE
import Testing
import Tunnels

@Suite struct ImportSampleTests {
    @Test(arguments: Sample.importable)
    func givesThePlanOnFile(path: String) throws {
        let plan = try AWSImport.read(try Sample.bytes(path))
        let golden = Sample.plans + path.replacing("/", with: "-") + ".json"
        #expect(plan.json() + "\n" == (try Sample.text(golden)))
    }

    @Test func givesThePlanOnFileWithOptions() throws {
        let plan = try AWSImport.read(
            try Sample.bytes("xml/vgw-bgp.xml"),
            options: ImportOptions(
                localNetworks: [try #require(IPPrefix("192.168.7.0/24"))],
                remoteNetworks: [try #require(IPPrefix("10.20.0.0/16"))], localAddress: IPAddress("192.168.7.2"),
                name: "Head office", now: WallTime(rfc3339: "2026-11-24T00:00:00Z")))
        #expect(plan.json() + "\n" == (try Sample.text(Sample.plans + "with-options.json")))
        #expect(plan.table() == (try Sample.text(Sample.plans + "with-options.table.txt")))
    }

    @Test(arguments: Sample.importable)
    func planIsJSONWithTheNamesThatToolsDependOn(path: String) throws {
        struct Plan: Decodable {
            struct Tunnel: Decodable {
                struct One: Decodable {
                    struct DPD: Decodable { let delaySeconds: Int, timeoutSeconds: Int, action: String }
                    let ikeVersion: Int, localAddress: String?, remoteAddress: String, localID: String?,
                        remoteID: String?
                    let authentication: String, psk: String, encryption: [String], integrity: [String], dhGroups: [Int]
                    let lifetimeSeconds: Int, dpd: DPD
                }
                struct Two: Decodable {
                    let `protocol`: String, mode: String, encryption: [String], integrity: [String], pfsGroups: [Int]
                    let lifetimeSeconds: Int, localNetworks: [String], remoteNetworks: [String]
                    let localSelectors: [String], remoteSelectors: [String]
                }
                struct Inside: Decodable { let localAddress: String, remoteAddress: String, mtu: Int, mss: Int }
                struct BGP: Decodable { let localASN: Int, remoteASN: Int, neighbor: String, holdTimeSeconds: Int }
                let name: String, phase1: One, phase2: Two, inside: Inside?, bgp: BGP?, origins: [String: String]
            }
            let format: String, connectionID: String?, customerGatewayID: String?, vpnGatewayID: String?,
                routing: String
            let staticRoutes: [String], localNetworks: [String], remoteNetworks: [String], warnings: [String]
            let tunnels: [Tunnel]
        }
        let plan = try AWSImport.read(try Sample.bytes(path))
        let decoded = try JSONDecoder().decode(Plan.self, from: Data(plan.json().utf8))
        #expect(decoded.tunnels.count == 2)
        #expect((decoded.routing == "bgp") == (decoded.tunnels[0].bgp != nil))
        for tunnel in decoded.tunnels {
            #expect(tunnel.phase1.psk == "(hidden)")
            #expect(tunnel.phase1.ikeVersion == 2)
            #expect(tunnel.phase2.remoteNetworks.isEmpty, "no AWS file names the networks behind AWS")
            for name in ["phase1.encryption", "phase1.psk", "phase2.pfsGroups", "phase2.localSelectors"] {
                #expect(tunnel.origins[name] != nil)
            }
            #expect((tunnel.inside != nil) == (tunnel.origins["inside.mtu"] != nil))
            #expect((tunnel.phase1.localAddress != nil) == (tunnel.origins["phase1.localAddress"] != nil))
            #expect(tunnel.origins.values.allSatisfy { Origin(rawValue: $0) != nil })
        }
        let lines = plan.json().split(separator: "\n")
        #expect(lines.contains("      \"bgp\": null,") == (decoded.tunnels[0].bgp == nil))
        #expect(lines.contains("        \"localID\": null,"))
    }

    @Test(arguments: Sample.importable + Sample.moto)
    func hidesKeysUnlessAskedToShowThem(path: String) throws {
        let outcome = Outcome(try Sample.bytes(path))
        #expect(!Sample.holdsKey(outcome.visible))
        if let plan = outcome.plan {
            #expect(Sample.holdsKey(plan.json(showSecrets: true)))
            #expect(Sample.holdsKey(plan.table(showSecrets: true)))
        }
    }

    @Test(arguments: Sample.importable)
    func tableFitsEightyColumns(path: String) throws {
        let plan = try AWSImport.read(try Sample.bytes(path))
        #expect(plan.table().split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test func tunnelOptionsWinOverTheXMLAndAreJoinedByAddress() throws {
        let plan = try AWSImport.read(
            try Sample.bytes("json/describe-vpn-connections-tgw-tunneloptions-DERIVED.json"))
        // The options list the two tunnels in the other order than the XML does.
        #expect(plan.tunnels.map { $0.tunnel.phase1.remoteAddress?.description } == ["203.0.113.130", "203.0.113.133"])
        let first = plan.tunnels[0].tunnel
        #expect(String(decoding: first.phase1.psk?.exposedBytes ?? [], as: UTF8.self) == "7RjxLBD7a.fbGdNbIN1A09MVrpNg08xE")
        #expect(first.phase1.encryption == [.aes256gcm16, .aes256])
        #expect(first.phase1.integrity == [.sha384, .sha256])
        #expect(first.phase1.dhGroups == [.ecp384, .modp2048])
        #expect(plan.tunnels[0].prf == [.sha384, .sha256])
        #expect(first.phase1.lifetimeSeconds == 14_400)
        #expect(first.phase2.encryption == [.aes256gcm16])
        #expect(first.phase2.pfsGroups == [.ecp384])
        #expect(first.phase2.lifetimeSeconds == 1800)
        #expect(first.phase1.dpd == Phase1.DPD(delaySeconds: 10, timeoutSeconds: 40, action: .restart))
        #expect(plan.tunnels[0].origin(of: "phase1.ikeVersion") == .file)
        #expect(!plan.warnings.contains { $0.contains("minimum set") || $0.contains("weak") })
    }

    @Test func connectorNeedsRemoteNetworksAndThenIsReadyToStore() throws {
        let bytes = try Sample.bytes("json/describe-vpn-connections-static.json")
        let error = #expect(throws: ImportError.self) { try AWSImport.read(bytes).connector() }
        #expect(error?.remedy.contains("--remote-network") == true)
        let remote = try #require(IPPrefix("10.20.0.0/16"))
        let connector = try AWSImport.read(bytes, options: ImportOptions(remoteNetworks: [remote])).connector()
        #expect(connector.id == "vpn-05044757278685fd3")
        #expect(connector.source.format == "aws-json")
        #expect(connector.source.customerGatewayID == "cgw-0e0d620a3ae284684")
        #expect(connector.routing == .static)
        #expect(connector.localNetworks.map(\.description) == ["192.168.0.0/16"])
        #expect(connector.remoteNetworks == [remote])
        #expect(connector.tunnels.map(\.name) == ["vpn-05044757278685fd3-1", "vpn-05044757278685fd3-2"])
        let tunnel = connector.tunnels[0]
        #expect(tunnel.phase1.dpd == Phase1.DPD(delaySeconds: 10, timeoutSeconds: 30, action: .restart))
        #expect(tunnel.phase1.lifetimeSeconds == 28_800)
        #expect(tunnel.phase1.rekeyMarginSeconds == 800)
        #expect(tunnel.phase2.rekeyMarginSeconds == 600)
        #expect(tunnel.phase2.replayWindow == 1024)
        #expect(tunnel.phase2.localSelectors == [.all(.ipv4)])
        #expect(tunnel.phase2.remoteSelectors == [.all(.ipv4)])
    }

    @Test func refusesAPolicyBasedConfigurationByNameAndSaysWhatToUse() throws {
        let path = "cisco-asa/ikev1-policy-based-static-PLACEHOLDERS.txt"
        let error = try #require(Outcome(try Sample.bytes(path)).error)
        #expect(error.kind == .unreadableFormat)
        #expect(error.reason.contains("policy-based Cisco ASA"))
        #expect(error.reason.contains("line 58 still holds the placeholder AWS_ENDPOINT_1"))
        #expect(error.remedy.contains("Generic or strongSwan"))
        #expect(error.remedy.contains("describe-vpn-connections"))
        // Also where the map is not AWS's own.
        let filled = try Sample.text(path).replacing("amzn_vpn_map", with: "outside_map")
            .replacing("AWS_ENDPOINT_1", with: "203.0.113.43").replacing("AWS_ENDPOINT_2", with: "203.0.113.137")
            .replacing("plain-text-password1", with: "Aa1.Bb2_Cc3").replacing(
                "plain-text-password2", with: "Dd4.Ee5_Ff6")
        let other = try #require(Outcome(filled).error)
        #expect(other.kind == .unreadableFormat)
        #expect(other.reason.contains("policy-based Cisco ASA"))
    }

    @Test func namesThePlaceholderInAPublishedExample() throws {
        let error = try #require(Outcome(try Sample.bytes("pfsense/ikev1-static-PLACEHOLDERS.txt")).error)
        #expect(error.kind == .placeholder)
        #expect(error.reason.contains("AWS_ENPOINT_1"))
        #expect(error.line == 39)
    }

    @Test func reportsAllFaultsOfThePublishedPANOSExample() throws {
        let error = try #require(Outcome(try Sample.bytes("palo-alto/ikev1-bgp.txt")).error)
        #expect(error.kind == .contradiction)
        #expect(error.line == 127)
        #expect(error.reason.contains("169.254.255.2 is not in the network of our address 169.254.255.5/30 (line 124)"))
        #expect(error.reason.contains("line 268: '169.254.255.6.113' is not an IP address"))
    }

    @Test func refusesAClientVPNProfile() throws {
        let error = try #require(Outcome(try Sample.bytes("client-vpn-REFUSE/downloaded-client-config.ovpn")).error)
        #expect(error.kind == .clientVPN)
        #expect(error.reason.contains("Client VPN (OpenVPN) profile for one user's computer"))
        #expect(error.reason.contains("cvpn-endpoint-123456789123abcde"))
        #expect(error.remedy.contains("Site-to-Site VPN connections"))
        #expect(!error.description.contains("MIIC"))
    }

    @Test(arguments: Sample.moto)
    func saysWhatIsWrongWithTheMock(path: String) throws {
        let error = try #require(Outcome(try Sample.bytes(path)).error)
        #expect(error.kind == .contradiction)
        #expect(error.reason.contains("both tunnels are identical"))
        #expect(error.reason.contains("52.2.144.13"))
        #expect(error.line != nil)
    }

    @Test(arguments: Sample.importable)
    func lineEndsMarksAndLostIndentsDoNotMatter(path: String) throws {
        let text = try Sample.text(path).replacing("\r\n", with: "\n")
        let plan = try AWSImport.read(Array(text.utf8)).json()
        func same(_ bytes: [UInt8], _ what: Comment) { #expect(Outcome(bytes).plan?.json() == plan, what) }
        same(Array(text.replacing("\n", with: "\r\n").utf8), "CRLF")
        same(Array(text.replacing("\n", with: "\r").utf8), "CR")
        same([0xEF, 0xBB, 0xBF] + Array(text.utf8), "byte order mark")
        same([0xFF, 0xFE] + text.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }, "UTF-16, little end first")
        same([0xFE, 0xFF] + text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }, "UTF-16, big end first")
        same(Array(text.replacing("\t", with: " ").utf8), "tabs made blanks")
        same(Array(("\n\n  \n" + text + "\n\n").utf8), "blank lines around")
    }

    @Test(arguments: Sample.importable.filter { $0.hasSuffix(".txt") })
    func textThatWentThroughAWebPageMailOrATerminalIsTheSame(path: String) throws {
        let text = try Sample.text(path).replacing("\r\n", with: "\n")
        let plan = try AWSImport.read(Array(text.utf8)).json()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        func same(_ lines: [String], _ what: Comment) {
            let outcome = Outcome(lines.joined(separator: "\n"))
            #expect(outcome.plan?.json() == plan, "\(what): \(outcome.error?.description ?? "another plan")")
        }
        same(lines.map { String($0.trimmingPrefix { $0 == " " || $0 == "\t" }) }, "indents lost")
        same(lines.map { $0 + "\n! a comment of somebody else\n---" }, "foreign lines")
        same([text.replacing(" : ", with: "\u{A0}: ")], "no-break spaces")
        same(lines.enumerated().map { "\($0.offset + 1): \($0.element)" }, "line numbers with a colon")
        same(lines.enumerated().map { "  \($0.offset + 7)\t\($0.element)" }, "line numbers of an editor")
        same(lines.map { "> " + $0 }, "a quotation")
        same(["```"] + lines.map(String.init) + ["```"], "a block of Markdown")
        for prompt in ["Router(config)#", "admin@gateway# ", "FGT60 (phase1-interface) # ", "user@srx> "] {
            same(lines.map { $0.allSatisfy(\.isWhitespace) ? "" : prompt + $0 }, "the prompt \(prompt)")
        }
        same([text.replacing("_", with: "\\_").replacing(".", with: "\\.")], "Markdown's backslashes")
        same(
            [text.replacing("\"", with: "&quot;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")],
            "the source of a web page")
        if Sample.devices.contains(path) {
            same(lines.map { String($0.trimmingPrefix { " \t!#".contains($0) }) }, "comment marks lost")
        }
        var isOpen = false
        let typographic = text.map { character -> Character in
            guard character == "\"" else { return character }
            isOpen.toggle()
            return isOpen ? "\u{201C}" : "\u{201D}"
        }
        same([String(typographic)], "typographic quotation marks")
        same([text.replacing("'", with: "\u{2019}")], "typographic apostrophes")
    }
}
