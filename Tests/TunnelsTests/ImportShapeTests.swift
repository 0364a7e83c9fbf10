import Base
import Cryptography
import Testing
import Tunnels

/// The shapes that files come in: wrapped, cut, copied by hand, several at once.
@Suite struct ImportShapeTests {
    private let xml: String
    private let json: String
    private let generic: String
    private let options: String

    init() throws {
        xml = try Sample.text("xml/vgw-bgp.xml")
        json = try Sample.text("json/describe-vpn-connections-static.json")
        options = try Sample.text("json/describe-vpn-connections-tgw-tunneloptions-DERIVED.json")
        generic = try Sample.text("generic/ikev1-bgp.txt")
    }

    /// The one connection object of a describe answer.
    private func object(_ text: String) throws -> Substring {
        let start = try #require(text.firstRange(of: "[")).upperBound
        let end = try #require(text.lastIndex(of: "]"))
        return text[start..<end]
    }

    private func encoded(_ text: String) -> String {
        "\""
            + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            .replacing("\t", with: "\\t") + "\""
    }

    @Test func readsEveryShapeOfTheJSON() throws {
        let one = try object(json)
        let plan = try #require(Outcome(json).plan).json()
        for shape in ["{\"VpnConnection\": \(one)}", "\(one)", "[\(one)]"] {
            #expect(Outcome(shape).plan?.json() == plan)
        }
        for bare in ["\"Options\": {}", "\"Options\": []", "\"Options\": null", "\"Options\": {\"TunnelOptions\": []}"]
        {
            let text = json.replacing("\"Options\": {\n        \"StaticRoutesOnly\": true\n      }", with: bare)
            #expect(text != json)
            #expect(Outcome(text).plan?.routing == .static)
        }
    }

    @Test func unwrapsADeviceSampleConfiguration() throws {
        let wrapped = "{\n  \"VpnConnectionDeviceSampleConfiguration\": \(encoded(generic))\n}"
        #expect(Outcome(wrapped).plan?.json() == Outcome(generic).plan?.json())
        let broken =
            "{\n  \"VpnConnectionDeviceSampleConfiguration\": \(encoded(generic.replacing("sha1\n", with: "md4\n")))\n}"
        let error = try #require(Outcome(broken).error)
        #expect(error.line == 2)
        #expect(error.place?.innerLine == 32)
        let nested = "{\"VpnConnectionDeviceSampleConfiguration\": \(encoded(wrapped))}"
        #expect(Outcome(nested).error?.kind == .malformed)
    }

    @Test func asksWhichOfSeveralConnections() throws {
        let a = try object(json)
        let b = try object(options)
        let gone = "{\"VpnConnectionId\": \"vpn-0deadbeef0deadbee\", \"State\": \"deleted\"}"
        let both = "{\"VpnConnections\": [\(a), \(b), \(gone)]}"
        let error = try #require(Outcome(both).error)
        #expect(error.kind == .choice)
        #expect(error.reason.contains("vpn-05044757278685fd3 (available), vpn-034885b776a3f8a80 (available)"))
        #expect(!error.reason.contains("deadbeef"))
        #expect(error.remedy.contains("--connection"))

        let chosen = try #require(Outcome(both, ImportOptions(connection: "vpn-034885b776a3f8a80")).plan)
        #expect(chosen.connectionID == "vpn-034885b776a3f8a80")
        #expect(chosen.warnings.first?.contains("vpn-0deadbeef0deadbee (deleted)") == true)

        let alone = try #require(Outcome("{\"VpnConnections\": [\(gone), \(b)]}").plan)
        #expect(alone.connectionID == "vpn-034885b776a3f8a80")
        #expect(
            Outcome(both, ImportOptions(connection: "vpn-0deadbeef0deadbee")).error?.reason.contains("no longer exists")
                == true)
        #expect(Outcome(both, ImportOptions(connection: "vpn-1")).error?.kind == .choice)
        #expect(Outcome("{\"VpnConnections\": [\(gone)]}").error?.kind == .unsupported)
        #expect(Outcome("{\"VpnConnections\": []}").error?.kind == .missingValue)
        #expect(
            Outcome("{\"VpnConnections\": [\(a), \(a)]}", ImportOptions(connection: "vpn-05044757278685fd3")).error?
                .kind
                == .contradiction)
    }

    @Test func namesTheConnectionByItsTag() throws {
        let tagged = json.replacing("\"Tags\": []", with: "\"Tags\": [{\"Key\": \"Name\", \"Value\": \"Head office\"}]")
        #expect(Outcome(tagged).plan?.name == "Head office")
        #expect(Outcome(tagged, ImportOptions(name: "hq")).plan?.name == "hq")
    }

    @Test func warnsOfStatesAndOldTelemetry() throws {
        let pending = json.replacing(
            "\"State\": \"available\",\n      \"Tags\"", with: "\"State\": \"pending\",\n      \"Tags\"")
        #expect(Outcome(pending).plan?.warnings.contains { $0.contains("'pending' and not 'available'") } == true)
        let now = WallTime(rfc3339: "2026-01-01T00:00:00Z")
        #expect(
            Outcome(json, ImportOptions(now: now)).plan?.warnings.contains { $0.contains("no live status") } == true)
        let soon = WallTime(rfc3339: "2019-08-08T12:00:00Z")
        #expect(Outcome(json, ImportOptions(now: soon)).plan?.warnings.contains { $0.contains("live status") } == false)
    }

    @Test func readsTunnelOptionsWithoutXML() throws {
        let start = try #require(options.firstRange(of: "\"CustomerGatewayConfiguration\""))
        let end = try #require(options[start.lowerBound...].firstIndex(of: "\n"))
        let bare = options.replacingCharacters(in: start.lowerBound..<end, with: "\"X\": 1,")
        #expect(Outcome(bare).error?.remedy.contains("--local-address") == true)
        let plan = try #require(Outcome(bare, ImportOptions(localAddress: IPAddress("198.51.100.7"))).plan)
        #expect(plan.tunnels[0].tunnel.inside?.localAddress.description == "169.254.70.162/30")
        #expect(plan.tunnels[0].tunnel.inside?.remoteAddress.description == "169.254.70.161/30")
        #expect(plan.tunnels[0].origin(of: "inside.localAddress") == .derived)
        #expect(plan.warnings.contains { $0.contains("no AS numbers") })
    }

    @Test func readsIPv6InsideFromOptionsAlone() throws {
        let start = try #require(options.firstRange(of: "\"CustomerGatewayConfiguration\""))
        let end = try #require(options[start.lowerBound...].firstIndex(of: "\n"))
        let six = options.replacingCharacters(in: start.lowerBound..<end, with: "\"X\": 1,")
            .replacing("\"TunnelInsideIpVersion\": \"ipv4\"", with: "\"TunnelInsideIpVersion\": \"ipv6\"")
            .replacing(
                "\"TunnelInsideCidr\": \"169.254.70.160/30\"", with: "\"TunnelInsideIpv6Cidr\": \"fd00:1::10/126\""
            )
            .replacing(
                "\"TunnelInsideCidr\": \"169.254.195.140/30\"", with: "\"TunnelInsideIpv6Cidr\": \"fd00:1::20/126\"")
        let plan = try #require(Outcome(six, ImportOptions(localAddress: IPAddress("198.51.100.7"))).plan)
        let tunnel = plan.tunnels[0].tunnel
        #expect(tunnel.inside?.localAddress.description == "fd00:1::12/126")
        #expect(tunnel.inside?.remoteAddress.description == "fd00:1::11/126")
        #expect(tunnel.inside?.mss == 1376)
        #expect(tunnel.phase2.localSelectors.contains(.all(.ipv6)))
    }

    @Test func refusesOptionsOfAnotherConnection() throws {
        let wrong = options.replacing(
            "\"OutsideIpAddress\": \"203.0.113.133\",\n                        \"Tunnel",
            with: "\"OutsideIpAddress\": \"203.0.113.99\",\n                        \"Tunnel")
        let error = try #require(Outcome(wrong).error)
        #expect(error.kind == .contradiction)
        #expect(error.reason.contains("203.0.113.99"))
        let otherID = options.replacing("\"VpnConnectionId\": \"vpn-0", with: "\"VpnConnectionId\": \"vpn-1")
        #expect(Outcome(otherID).error?.kind == .contradiction)
    }

    @Test func refusesCertificateConnections() throws {
        let certificate = json.replacing("\"StatusMessage\": \"\"", with: "\"CertificateArn\": \"arn:aws:acm:x\"")
        #expect(Outcome(certificate).error?.reason.contains("certificate") == true)
    }

    @Test func mendsACopyWithWrittenOutLineBreaksOnceAndSaysSo() throws {
        let literal = xml.replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        let plan = try #require(Outcome(literal).plan)
        #expect(plan.warnings.first?.contains("broken copy") == true)
        #expect(plan.tunnels.count == 2)
        #expect(Outcome("\"" + literal + "\"").plan != nil)
        let text = generic.replacing("\n", with: "\\n")
        #expect(Outcome(text).plan?.warnings.first?.contains("broken copy") == true)
        // Twice escaped is not mended.
        #expect(Outcome(literal.replacing("\\", with: "\\\\")).plan == nil)
        let inJSON = json.replacing("\\n", with: "\\\\n").replacing("\\\"", with: "\\\\\\\"")
        #expect(Outcome(inJSON).plan?.warnings.first?.contains("broken copy") == true)
    }

    @Test func readsOneTunnelWithAWarning() throws {
        let start = try #require(xml.firstRange(of: "  <ipsec_tunnel>"))
        let end = try #require(xml.firstRange(of: "</ipsec_tunnel>\n"))
        let one = xml.replacingCharacters(in: start.lowerBound..<end.upperBound, with: "")
        let plan = try #require(Outcome(one).plan)
        #expect(plan.tunnels.count == 1)
        #expect(plan.warnings.first?.contains("one tunnel only") == true)
    }

    @Test func refusesXMLWithLineAndReason() throws {
        let unclosed = xml.replacing("</ike>", with: "")
        #expect(Outcome(unclosed).error?.kind == .malformed)
        #expect(Outcome(unclosed).error?.line != nil)
        let cut = String(xml.prefix(xml.count / 2))
        #expect(Outcome(cut).error?.description.contains("cut short") == true)
        #expect(Outcome("<vpn_connection id=\"vpn-12345678\"/>").error?.reason.contains("no ipsec_tunnel") == true)
        #expect(Outcome("<html><body>Sign in</body></html>").error?.kind == .unknownFormat)
        let dots = xml.replacing("  <ipsec_tunnel>", with: "  ...\n  <ipsec_tunnel>")
        #expect(Outcome(dots).error?.reason.contains("ellipsis") == true)
    }

    @Test func refusesHostileXML() throws {
        let bomb = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>"
        let error = try #require(Outcome(xml.replacing("<vpn_connection id", with: bomb + "<vpn_connection id")).error)
        #expect(error.reason.contains("DOCTYPE"))
        #expect(error.line == 2)
        let file = "<!DOCTYPE v SYSTEM \"file:///etc/passwd\"><vpn_connection/>"
        #expect(Outcome(file).error?.reason.contains("DOCTYPE") == true)
        #expect(Outcome("<vpn_connection>&xxe;</vpn_connection>").error?.kind == .malformed)
        let deep = "<vpn_connection>" + String(repeating: "<a>", count: 200_000)
        #expect(Outcome(deep).error?.reason.contains("nested deeper") == true)
        let wide = "<vpn_connection " + (0..<60_000).map { "a\($0)=\"1\"" }.joined(separator: " ") + "/>"
        #expect(Outcome(wide).error?.reason.contains("attributes") == true)
        let inJSON =
            "{\"VpnConnectionId\": \"vpn-12345678\",\n"
            + " \"CustomerGatewayConfiguration\": \"<!DOCTYPE x><vpn_connection/>\"}"
        #expect(Outcome(inJSON).error?.line == 2)
    }

    @Test func refusesHostileJSON() throws {
        for open in ["[", "{\"a\":", "[{\"VpnConnections\":["] {
            let error = try #require(Outcome(String(repeating: open, count: 50_000)).error)
            #expect(error.kind == .malformed)
            #expect(error.reason.contains("nested deeper than 64"))
        }
        let twice = try #require(Outcome("{\"VpnConnection\": 1,\n\"VpnConnection\": 2}").error)
        #expect(twice.line == 2)
        #expect(twice.reason.contains("twice"))
    }

    @Test(arguments: [
        ("{\n\"a\": tru}", 2), ("{\n\n\"a\" 1}", 3), ("{\"a\": 1,\n}", 2), ("[1,\n2", 2), ("{\"a\": \"x\ny\"}", 1),
        ("{\"a\": \"\\q\"}", 1), ("{\"a\": \"\\ud800\"}", 1), ("{\"a\": \"\\u12\"}", 1), ("{\"a\": 1.}", 1),
        ("{}\n{}", 2),
        ("{\"a\": -}", 1), ("[\r\n1,\r\nx]", 3),
    ])
    func namesTheLineOfFaultyJSON(text: String, line: Int) throws {
        let error = try #require(Outcome(text).error)
        #expect(error.kind == .malformed)
        #expect(error.line == line)
        #expect(error.reason.hasPrefix("not valid JSON"))
    }

    @Test func refusesWhatIsTooLargeOrNoText() throws {
        #expect(Outcome([UInt8](repeating: 65, count: (1 << 20) + 1)).error?.kind == .tooLarge)
        let lines = Outcome([UInt8](repeating: 10, count: 300_000)).error
        #expect(lines?.kind == .tooLarge)
        #expect(lines?.reason.contains("300000 lines") == true)
        #expect(Outcome([65, 10, 0xFF, 0xC0]).error?.kind == .notText)
        #expect(Outcome([65, 10, 0xFF, 0xC0]).error?.line == 2)
        #expect(Outcome([65, 10, 0, 66]).error?.line == 2)
        #expect(Outcome([0xFF, 0xFE, 0x00, 0xD8]).error?.kind == .notText)
        #expect(Outcome([]).error?.reason == "the file is empty")
        #expect(Outcome("hello").error?.kind == .unknownFormat)
    }

    @Test func saysThatADownloadIsForAnUnknownDevice() throws {
        let error = try #require(Outcome("! Your VPN Connection ID : vpn-44a8938f\nrouteros things\n").error)
        #expect(error.kind == .unknownFormat)
        #expect(error.reason.contains("a type of device that Gatehouse does not know"))
        #expect(error.remedy.contains("Generic or strongSwan"))
    }

    @Test func readsTheHeaderInAnyCase() throws {
        let error = try #require(Outcome("! Your VPN connection ID : vpn-44a8938f\n! IPSec Tunnel #1\n").error)
        #expect(error.reason.contains("a type of device that Gatehouse does not know"))
        #expect(error.line == 1)
        let other = generic.replacing("Your VPN Connection ID", with: "Your VPN connection ID")
        #expect(Outcome(other).plan?.connectionID == Outcome(generic).plan?.connectionID)
    }

    @Test(arguments: ["...", "…", "<snip>", "[...]"])
    func refusesShortenedText(mark: String) throws {
        let error = try #require(Outcome(generic.replacing("#2: IPsec Configuration", with: mark)).error)
        #expect(error.reason.contains("left out"))
    }

    @Test func refusesTwoConnectionsInOneText() throws {
        let second = generic.replacing("vpn-44a8938f", with: "vpn-55555555")
        #expect(Outcome(generic + second).error?.kind == .contradiction)
        #expect(Outcome(generic + generic).error?.reason.contains("a second time") == true)
    }

    @Test func reportsAContradictionWithBothPlaces() throws {
        let error = try #require(
            Outcome(
                generic.replacing(
                    "#2: IPsec Configuration\n", with: "- Lifetime : 14400 seconds\n#2: IPsec Configuration\n")
            ).error)
        #expect(error.kind == .contradiction)
        #expect(error.line == 38)
        #expect(error.reason.contains("line 34"))
    }

    @Test func acceptsOldAndOddLabels() throws {
        let old = generic.replacing("Virtual Private Gateway", with: "VPN Gateway")
            .replacing("Diffie-Hellman           : Group 2", with: "Perfect Forward Secrecy  : Diffie-Hellman Group 2")
            .replacing("- IKE version              : IKEv1\n", with: "")
        let plan = try #require(Outcome(old).plan)
        #expect(plan.vpnGatewayID == "vgw-8db04f81")
        #expect(plan.tunnels[0].tunnel.phase1.dhGroups.map(\.rawValue) == [2])
        #expect(plan.tunnels[0].tunnel.phase2.pfsGroups.map(\.rawValue) == [2])
        #expect(plan.warnings.contains { $0.contains("names no IKE version") })
        let bullets = generic.replacing("\n- ", with: "\n• ")
        #expect(Outcome(bullets).plan?.json() == Outcome(generic).plan?.json())
    }

    @Test func warnsOfIdentifiersOfOddLength() throws {
        #expect(
            Outcome(generic.replacing("vpn-44a8938f", with: "vpn-44a8938fab")).plan?.warnings
                .contains { $0.contains("8 or 17 hexadecimal digits") } == true)
        #expect(
            Outcome(generic.replacing(": vpn-44a8938f", with: ": ftp-44a8938f")).error?.field
                == "Your VPN Connection ID")
        #expect(Outcome(generic.replacing(": vgw-8db04f81", with: ": ")).plan?.vpnGatewayID == nil)
    }
}
