import Base
import Cryptography
import Glibc
import JSONText
import Portal
import PortalFake
import Testing
import Tunnels

@Suite struct ControlSocketTests {
    @Test func everyChangeReachesTheGatewayUnderTheCallersName() async throws {
        let site = try await Site()
        func ask(_ method: String, _ target: String, _ body: String = "") async throws -> Reply {
            try await RawClient.exchange(site.control, method, target, body: body)
        }
        #expect(try await ask("PATCH", "/v1/connectors/vpn-1", #"{"isEnabled":false}"#).body == "{\"done\":true}\n")
        #expect(try await ask("PATCH", "/v1/connectors/vpn-1", #"{"isEnabled":true}"#).status == 200)
        #expect(try await ask("DELETE", "/v1/connectors/vpn-1").status == 200)
        #expect(
            try await ask("POST", "/v1/connectors/vpn-1/rekey?phase=ike").body
                == "{\"tunnels\":[\"vpn-1-1\",\"vpn-1-2\"]}\n")
        #expect(try await ask("POST", "/v1/tunnels/vpn-1-1/rekey").status == 200)
        #expect(try await ask("POST", "/v1/tunnels/vpn-1-1/restart").status == 200)
        #expect(try await ask("POST", "/v1/reload").status == 200)
        await site.portal.stop()
        #expect(
            site.gateway.with { $0.calls } == [
                "disable vpn-1", "enable vpn-1", "remove vpn-1", "rekey vpn-1 ike", "rekey vpn-1-1 both",
                "restart vpn-1-1", "reload",
            ])
        let callers = site.gateway.with { $0.callers }
        #expect(callers.allSatisfy { $0.uid == getuid() && $0.pid == getpid() })
        #expect(callers.count == 7)
        if getuid() == 0 { #expect(callers.first?.description == "root (uid 0)") }
    }

    @Test func anImportCarriesTheFileAndItsOptions() async throws {
        let site = try await Site()
        let file = "<vpn_connection/>\r\n\u{feff}é"
        let reply = try await RawClient.exchange(
            site.control, "POST",
            "/v1/import/aws-vpn?name=Head+office&name2=", body: file)
        #expect(reply.status == 400)
        let good = try await RawClient.exchange(
            site.control, "POST",
            "/v1/import/aws-vpn?name=Head%20office&remote-network=10.0.0.0%2F16&remote-network=10.1.0.0/16"
                + "&local-network=192.168.0.0/24&local-address=10.9.8.7&connection=vpn-1&replace=1", body: file)
        await site.portal.stop()
        #expect(good.status == 201)
        #expect(
            good.body
                == #"{"connector":"vpn-1","tunnels":[],"warnings":[],"isStored":true,"isKnown":false,"changes":[]}"#
                + "\n")
        #expect(site.gateway.with { $0.importedFile } == Array(file.utf8))
        #expect(
            site.gateway.with { $0.importRequest }
                == ImportRequest(
                    name: "Head office", localNetworks: ["192.168.0.0/24"],
                    remoteNetworks: ["10.0.0.0/16", "10.1.0.0/16"], localAddress: "10.9.8.7", connection: "vpn-1",
                    isDryRun: false, isReplacing: true))
    }

    @Test func aConnectorTravelsWholeWithItsSecret() async throws {
        let site = try await Site()
        let connector = Connector.example()
        let body = try JSON(encoding: connector, revealsSecrets: true).text()
        let reply = try await RawClient.exchange(site.control, "POST", "/v1/connectors?replace=1", body: body)
        await site.portal.stop()
        #expect(reply.status == 201)
        #expect(reply.body.contains(#""psk":"(hidden)""#))
        #expect(site.gateway.with { $0.addedConnectors } == [connector])
        #expect(site.gateway.with { $0.calls } == ["add vpn-0a1b replacing"])
    }

    @Test func aConnectorThatCannotBeReadIsRefusedByTheNameOfItsMember() async throws {
        let site = try await Site()
        let body = try JSON(encoding: Connector.example(), revealsSecrets: true).text()
        func refusal(_ from: String, _ to: String) async throws -> Reply {
            try await RawClient.exchange(
                site.control, "POST", "/v1/connectors", body: body.replacing(from, with: to))
        }
        let hidden = try await refusal("636f727265637420686f727365", "(hidden)")
        let missing = try await refusal(#""encryption":["aes128"],"#, "")
        let type = try await refusal(#""lifetimeSeconds":3600"#, #""lifetimeSeconds":"long""#)
        let broken = try await RawClient.exchange(site.control, "POST", "/v1/connectors", body: "{")
        await site.portal.stop()
        #expect(hidden.status == 422)
        #expect(hidden.body.contains("tunnels[0].phase1.psk has a value that cannot be used"))
        #expect(missing.body.contains("tunnels[0].phase1.encryption is missing"))
        #expect(type.body.contains("tunnels[0].phase2.lifetimeSeconds must be a whole number"))
        #expect(broken.status == 400)
        #expect(site.gateway.with { $0.addedConnectors } == [])
    }

    @Test func secretsAreHiddenUnlessAskedForByName() async throws {
        let site = try await Site()
        site.gateway.with { $0.connectors = [.example()] }
        let hexadecimal = Array("correct horse".utf8).hexadecimal
        let list = try await RawClient.exchange(site.control, "GET", "/v1/connectors")
        let one = try await RawClient.exchange(site.control, "GET", "/v1/connectors/vpn-0a1b")
        let no = try await RawClient.exchange(site.control, "GET", "/v1/connectors/vpn-0a1b?show-secrets=0")
        #expect(site.gateway.with { $0.callers } == [])
        let shown = try await RawClient.exchange(site.control, "GET", "/v1/connectors/vpn-0a1b?show-secrets=1")
        await site.portal.stop()
        for reply in [list, one, no] {
            #expect(reply.body.contains("(hidden)"))
            #expect(!reply.body.contains(hexadecimal))
        }
        #expect(shown.body.contains(#""psk":"\#(hexadecimal)""#))
        #expect(site.gateway.with { $0.calls.last } == "reveal vpn-0a1b")
        #expect(site.gateway.with { $0.callers.map(\.uid) } == [getuid()])
    }

    @Test func theGatewaysRefusalIsTheAnswer() async throws {
        let site = try await Site()
        site.gateway.with { $0.failure = APIError.conflict("connector 'vpn-1' exists already") }
        let known = try await RawClient.exchange(site.control, "DELETE", "/v1/connectors/vpn-1")
        struct Strange: Error { var secret = "correct horse" }
        site.gateway.with { $0.failure = Strange() }
        let strange = try await RawClient.exchange(site.control, "DELETE", "/v1/connectors/vpn-1")
        await site.portal.stop()
        #expect(known.status == 409)
        #expect(known.body == #"{"error":{"code":"conflict","message":"connector 'vpn-1' exists already"}}"# + "\n")
        #expect(strange.status == 500)
        #expect(!strange.body.contains("horse"))
    }

    @Test func aWrongMethodNamesTheRightOnes() async throws {
        let site = try await Site()
        let reply = try await RawClient.exchange(site.control, "PUT", "/v1/connectors/vpn-1")
        await site.portal.stop()
        #expect(reply.status == 405)
        #expect(reply.headers["allow"] == "GET, HEAD, PATCH, DELETE")
    }

    @Test func aBodyThatIsTooLongIsRefused() async throws {
        var limits = PortalConfiguration.Limits()
        limits.bodyBytes = 1000
        let site = try await Site(limits: limits)
        let fits = try await RawClient.exchange(
            site.control, "POST", "/v1/import/aws-vpn", body: String(repeating: "x", count: 1000))
        let announced = try await RawClient.exchange(
            site.control, "POST", "/v1/import/aws-vpn", body: String(repeating: "x", count: 1001))
        let chunked = try RawClient(site.control)
        chunked.send("POST /v1/import/aws-vpn HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<3 { chunked.send("190\r\n" + String(repeating: "x", count: 400) + "\r\n") }
        let streamed = Reply(await chunked.read { $0.hasSuffix("}\n") })
        await site.portal.stop()
        #expect(fits.status == 201)
        #expect(announced.status == 413)
        #expect(streamed.status == 413)
        #expect(streamed.headers["connection"] == "close")
        #expect(site.gateway.with { $0.calls } == ["import"])
    }

    @Test func aClientThatWaitsForLeaveToSendItsBodyGetsIt() async throws {
        let site = try await Site()
        let client = try RawClient(site.control)
        client.send("POST /v1/import/aws-vpn HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        #expect(await client.read { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 100 Continue\r\n"))
        client.send("file")
        #expect(await client.read { $0.hasSuffix("}\n") }.hasPrefix("HTTP/1.1 201 Created\r\n"))
        await site.portal.stop()
    }
}
