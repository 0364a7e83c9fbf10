import Base
import Cryptography
import IKE
import Testing
import Tunnels

/// Files that passed through a page, a terminal or another tool on their way.
@Suite struct ImportPastedTests {
    private let xml: String
    private let json: String
    private let options: String
    private let generic: String

    init() throws {
        xml = try Sample.text("xml/vgw-bgp.xml")
        json = try Sample.text("json/describe-vpn-connections-static.json")
        options = try Sample.text("json/describe-vpn-connections-tgw-tunneloptions-DERIVED.json")
        generic = try Sample.text("generic/ikev1-static.txt")
    }

    private func each(_ text: String, _ change: (Int, Substring) -> String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map(change).joined(separator: "\n")
    }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }

    private func expectSame(_ text: String, as original: String, warnings: Int = 0) throws {
        let wanted = try #require(Outcome(original).plan)
        let outcome = Outcome(text)
        let plan = try #require(outcome.plan, "\(outcome.error?.description ?? "")")
        #expect(plan.tunnels.map(\.tunnel) == wanted.tunnels.map(\.tunnel))
        #expect(plan.connectionID == wanted.connectionID)
        #expect(plan.warnings.count == wanted.warnings.count + warnings)
    }

    @Test func takesOffWhatStandsBeforeEveryLine() throws {
        try expectSame(each(generic) { "+" + $1 }, as: generic)
        try expectSame(each(generic) { "> > " + $1 }, as: generic)
        try expectSame(each(generic) { "| \($1) |" }, as: generic)
        try expectSame(each(generic) { "\u{1B}[1;32m\($1)\u{1B}[0m" }, as: generic)
    }

    @Test func readsXMLInsideOtherText() throws {
        try expectSame("# Our page\n\n```xml\n\(xml)\n```\nAsk Anna.\n", as: xml, warnings: 1)
        try expectSame("<html><body><pre>\n\(escaped(xml))</pre></body></html>", as: xml, warnings: 1)
        try expectSame(each(xml) { "> " + $1 }, as: xml, warnings: 1)
        try expectSame(each(xml) { "\($0 + 1)  \($1)" }, as: xml, warnings: 1)
        try expectSame("configuration = <<-EOT\n\(xml)\nEOT\n", as: xml, warnings: 1)
        try expectSame("VPNCONNECTIONS\tVPN\t\(xml)\tcgw-03cf0ff0c8d3727f9\tavailable\n", as: xml, warnings: 1)
        let answer =
            "<?xml version=\"1.0\"?><DescribeVpnConnectionsResponse><vpnConnectionSet><item>"
            + "<customerGatewayConfiguration>\(escaped(xml))</customerGatewayConfiguration></item>"
            + "</vpnConnectionSet></DescribeVpnConnectionsResponse>"
        try expectSame(answer, as: xml, warnings: 1)
    }

    @Test func keepsTheLinesOfEnclosedXML() throws {
        let text =
            "One\nTwo\nThree\n"
            + xml.replacing("<encryption_protocol>aes-128-cbc<", with: "<encryption_protocol>rot13<")
        let plain = try #require(xml.split(separator: "\n").firstIndex { $0.contains("encryption_protocol") })
        #expect(Outcome(text).error?.line == plain + 1 + 3)
    }

    @Test func asksWhichOfTwoEnclosedDocuments() throws {
        let other = xml.replacing("vpn-0ecb2a2698b33f4ee", with: "vpn-0a1b2c3d4e5f60718")
        let text = "A:\n\(xml)\nB:\n\(other)\n"
        #expect(Outcome(text).error?.kind == .choice)
        let plan = Outcome(text, ImportOptions(connection: "vpn-0a1b2c3d4e5f60718")).plan
        #expect(plan?.connectionID == "vpn-0a1b2c3d4e5f60718")
        #expect(plan?.tunnels.count == 2)
    }

    @Test func readsJSONInsideOtherText() throws {
        try expectSame("The output:\n```json\n\(options)\n```\nThat is all.\n", as: options)
    }

    private func document(_ text: String) throws -> String {
        let start = try #require(text.firstRange(of: "\"CustomerGatewayConfiguration\": ")).upperBound
        let end = try #require(text[start...].firstRange(of: "</vpn_connection>")).upperBound
        let close = try #require(text[end...].firstIndex(of: "\""))
        return String(text[start...close])
    }

    @Test func readsTerraformStateWithItsTunnelOptions() throws {
        let attributes = """
            "id": "vpn-034885b776a3f8a80", "type": "ipsec.1",
            "customer_gateway_configuration": \(try document(options)),
            "tunnel1_address": "203.0.113.133", "tunnel1_ike_versions": ["ikev2"],
            "tunnel1_phase1_encryption_algorithms": ["AES256-GCM-16"], "tunnel1_phase1_lifetime_seconds": 0,
            "tunnel1_preshared_key": "ejHOoSw1.3p5J8WXKa_Rp5nVDaBzqaBa",
            "tunnel2_address": "203.0.113.130", "tunnel2_ike_versions": [], "tunnel2_phase1_lifetime_seconds": 3600
            """
        let state = """
            {"version": 4, "resources": [{"type": "aws_vpn_connection",
            "instances": [{"attributes": {\(attributes)}}]}]}
            """
        let plan = try #require(Outcome(state).plan, "\(Outcome(state).error?.description ?? "")")
        #expect(plan.connectionID == "vpn-034885b776a3f8a80")
        let tunnels = plan.tunnels.map(\.tunnel.phase1)
        // By address, not by number: the document has them the other way round.
        #expect(tunnels.map { $0.remoteAddress?.description } == ["203.0.113.130", "203.0.113.133"])
        #expect(tunnels[1].encryption == [.aes256gcm16])
        #expect(tunnels[1].lifetimeSeconds == 28800)
        #expect(tunnels[0].lifetimeSeconds == 3600)
        #expect(tunnels[0].encryption.count > 1)
        let changed = state.replacing(
            "\"tunnel1_preshared_key\": \"ejHOoSw1", with: "\"tunnel1_preshared_key\": \"ejHOoSw2")
        #expect(Outcome(changed).error?.kind == .contradiction)
        #expect(!Sample.holdsKey(Outcome(changed).visible))
    }

    @Test func readsOutputsAndOtherSpellings() throws {
        let text = try document(json)
        let output = "{\"vpn\": {\"sensitive\": true, \"type\": \"string\", \"value\": \(text)}}"
        #expect(Outcome(output).plan?.tunnels.count == 2)
        for key in ["customer_gateway_configuration", "customerGatewayConfiguration"] {
            let other = "{\"connections\": [{\"\(key)\": \(text), \"options\": {\"static_routes_only\": true}}]}"
            #expect(Outcome(other).plan?.routing == .static)
            #expect(Outcome(other).plan?.tunnels.count == 2)
        }
    }

    @Test(arguments: [
        ("VpnConnections:\n- Category: VPN\n  CustomerGatewayConfiguration: abc\n", "--output json"),
        ("---------------\n|  DescribeVpnConnections  |\n+-----+\n|| VpnConnections ||\n", "--output json"),
        ("{'VpnConnections': [{'VpnConnectionId': 'vpn-1'}]}", "json.dumps"),
    ])
    func namesTheOptionForAnAnswerInAnotherForm(text: String, remedy: String) {
        let error = Outcome(text).error
        #expect(error?.kind == .unreadableFormat)
        #expect(error?.remedy.contains(remedy) == true)
    }

    @Test(arguments: ["MikroTik", "WatchGuard", "ZyXEL", "BIG-IP", "Barracuda", "Sophos", "Meraki", "Check Point"])
    func refusesDevicesWithoutReaderByName(device: String) {
        let text = """
            ! Amazon Web Services
            ! Virtual Private Cloud
            ! Your VPN Connection ID : vpn-0a1b2c3d4e5f60718
            ! Configuration for \(device)
            - Pre-Shared Key : abcdefgh_12345678
            """
        let error = Outcome(text).error
        #expect(error?.kind == .unreadableFormat)
        #expect(error?.line == 4)
        #expect(error?.reason.contains(device == "ZyXEL" ? "Zyxel" : device) == true)
        #expect(error?.remedy.contains("Generic") == true)
        #expect(Outcome(generic + "\nfor our \(device)\n").plan != nil)
    }

    @Test(arguments: [
        ("add vpn tunnel 1 type numbered local 169.254.44.234 remote 169.254.44.233 peer AWS_1", "Check Point"),
        ("/ip/ipsec/peer add address=203.0.113.5/32", "MikroTik"),
    ])
    func refusesCommandsOfDevicesWithoutReaderByName(command: String, device: String) {
        let error = Outcome("! from our wiki\n\(command)\n").error
        #expect(error?.kind == .unreadableFormat)
        #expect(error?.line == 2)
        #expect(error?.reason.contains(device) == true)
    }

    @Test func refusesAPolicyBasedIOSConfigurationByName() {
        let text = "crypto isakmp policy 10\ncrypto map VPN 10 ipsec-isakmp\n set peer 203.0.113.5\n"
        let error = Outcome(text).error
        #expect(error?.kind == .unreadableFormat)
        #expect(error?.line == 2)
        #expect(error?.reason.contains("policy-based Cisco IOS") == true)
    }

    /// A character that goes on and on costs whoever compares it, so it is refused before that.
    @Test func aCharacterWithoutEndIsRefused() throws {
        let marks = String(repeating: "\u{301}", count: 40)
        let error = #expect(throws: ImportError.self) { try ImportDocument(Array("IPSec\nTunnel e\(marks)".utf8)) }
        #expect(error?.kind == .notText && error?.line == 2)
        // What people write has a few.
        _ = try ImportDocument(Array("Zu\u{308}rich, Vie\u{302}\u{323}t Nam".utf8))
    }
}
