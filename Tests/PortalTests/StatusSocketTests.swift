import Base
import Logging
import Portal
import PortalFake
import Testing
import Tunnels

/// A portal over real sockets with a fake gateway behind it.
struct Site {
    let gateway = FakeGateway()
    let directory = ScratchDirectory()
    let portal: Portal
    var status: String { directory.path + "/status.sock" }
    var control: String { directory.path + "/control.sock" }

    init(limits: PortalConfiguration.Limits = PortalConfiguration.Limits()) async throws {
        portal = try await Portal.start(
            PortalConfiguration(runtimeDirectory: directory.path, limits: limits, wall: { .example(60) }), api: gateway,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}

@Suite struct StatusSocketTests {
    @Test func statusTellsEveryTunnelInDeclaredOrderWithNullsAndPlainSlashes() async throws {
        let site = try await Site()
        site.gateway.with { $0.status.tunnels = [.example(1), .example(2, state: .offline)] }
        let reply = try await RawClient.exchange(site.status, "GET", "/v1/status")
        await site.portal.stop()
        #expect(reply.status == 200)
        #expect(reply.reason == "OK")
        #expect(reply.headers["content-type"] == "application/json")
        #expect(reply.headers["cache-control"] == "no-store")
        #expect(
            reply.body.hasPrefix(
                #"{"version":"1.0","startedAt":"2026-11-24T12:00:00.000Z","dataPath":"userspace","tunnels":[{"connector":"#
                    + #""vpn-0a1b","tunnel":"vpn-0a1b-1","state":"online","isActive":true,"#))
        #expect(reply.body.contains(#""localNetworks":["0.0.0.0/0"],"remoteNetworks":["10.0.0.0/16"]"#))
        #expect(reply.body.contains(#""roundTripMilliseconds":1.25,"#))
        #expect(reply.body.contains(#""ike":null,"children":[],"dpd":{"lastSeen":null,"#))
        #expect(reply.body.hasSuffix(#""lastError":null}],"services":null}"# + "\n"))
    }

    @Test func tunnelsAreAnArrayAndOneCanBeAskedFor() async throws {
        let site = try await Site()
        site.gateway.with { $0.status.tunnels = [.example(1), .example(2)] }
        let all = try await RawClient.exchange(site.status, "GET", "/v1/tunnels")
        let one = try await RawClient.exchange(site.status, "GET", "/v1/tunnels/vpn%2D0a1b-2")
        let none = try await RawClient.exchange(site.status, "GET", "/v1/tunnels/other")
        await site.portal.stop()
        #expect(all.body.hasPrefix(#"[{"connector":"#))
        #expect(one.body.hasPrefix(#"{"connector":"vpn-0a1b","tunnel":"vpn-0a1b-2","#))
        #expect(none.status == 404)
        #expect(
            none.body
                == #"{"error":{"code":"not-found","message":"there is no tunnel 'other'; 'gatehouse status' lists them"}}"#
                + "\n")
    }

    @Test func aWrongPathListsTheRightOnes() async throws {
        let site = try await Site()
        let reply = try await RawClient.exchange(site.status, "GET", "/v1/nowhere")
        await site.portal.stop()
        #expect(reply.status == 404)
        #expect(reply.body.contains("status.sock has no path /v1/nowhere. It has /v1/status, /v1/tunnels, "))
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    func onlyReadingIsAllowed(method: String) async throws {
        let site = try await Site()
        let reply = try await RawClient.exchange(site.status, method, "/v1/status", body: "{}")
        await site.portal.stop()
        #expect(reply.status == 405)
        #expect(reply.headers["allow"] == "GET, HEAD")
    }

    @Test func controlPathsAreNotOnTheStatusSocket() async throws {
        let site = try await Site()
        let list = try await RawClient.exchange(site.status, "GET", "/v1/connectors")
        let reload = try await RawClient.exchange(site.status, "POST", "/v1/reload")
        await site.portal.stop()
        #expect(list.status == 404)
        #expect(reload.status == 404)
        #expect(site.gateway.with { $0.calls } == [])
    }

    @Test func headHasTheHeadersOfGetAndNoBody() async throws {
        let site = try await Site()
        let get = try await RawClient.exchange(site.status, "GET", "/v1/status")
        let head = try await RawClient.exchange(site.status, "HEAD", "/v1/status")
        await site.portal.stop()
        #expect(head.status == 200)
        #expect(head.headers["content-length"] == get.headers["content-length"])
        #expect(head.body.isEmpty)
    }

    @Test func severalRequestsShareAConnection() async throws {
        let site = try await Site()
        let client = try RawClient(site.status)
        client.send("GET /v1/tunnels HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(await client.read { $0.hasSuffix("[]\n") }.hasPrefix("HTTP/1.1 200 OK\r\n"))
        client.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(await client.read { $0.hasSuffix("}\n") }.contains(#"{"isHealthy":true,"reasons":[]}"#))
        await site.portal.stop()
    }

    @Test func aClientThatEndsItsSideStillGetsTheAnswer() async throws {
        let site = try await Site()
        let client = try RawClient(site.status)
        client.send("GET /v1/tunnels HTTP/1.1\r\nHost: a\r\n\r\n")
        client.endSending()
        #expect(await client.read().hasSuffix("[]\n"))
        await site.portal.stop()
    }

    @Test func anUnknownParameterIsRefused() async throws {
        let site = try await Site()
        let reply = try await RawClient.exchange(site.status, "GET", "/v1/events/recent?limt=3")
        let number = try await RawClient.exchange(site.status, "GET", "/v1/events/recent?limit=-3")
        await site.portal.stop()
        #expect(reply.status == 400)
        #expect(reply.body.contains("there is no parameter 'limt' here; known are limit"))
        #expect(number.body.contains("?limit=-3 must be a whole number from 1 to 100000"))
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nbad header\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ])
    func nonsenseIsABadRequest(text: String) async throws {
        let site = try await Site()
        let client = try RawClient(site.status)
        client.send(text)
        client.endSending()
        #expect(Reply(await client.read()).status == 400)
        await site.portal.stop()
    }

    @Test func healthIs503WithReasonsWhenAConnectorHasNoTunnelOnline() async throws {
        let site = try await Site()
        site.gateway.with {
            $0.status.tunnels = [
                .example(1, state: .offline, lastError: "the peer is silent"), .example(2, state: .connecting),
            ]
        }
        let down = try await RawClient.exchange(site.status, "GET", "/health")
        site.gateway.with { $0.status.tunnels[1] = .example(2, state: .degraded) }
        let half = try await RawClient.exchange(site.status, "GET", "/health")
        site.gateway.with { $0.status.tunnels = [.example(1, state: .disabled)] }
        let disabled = try await RawClient.exchange(site.status, "GET", "/health")
        site.gateway.with { $0.problems = ["the store cannot be written"] }
        let problem = try await RawClient.exchange(site.status, "GET", "/health")
        await site.portal.stop()
        #expect(down.status == 503)
        #expect(
            down.body
                == #"{"isHealthy":false,"reasons":["connector vpn-0a1b has no tunnel online: vpn-0a1b-1 is offline (the peer is silent), vpn-0a1b-2 is connecting"]}"#
                + "\n")
        #expect(half.status == 200)
        #expect(disabled.status == 200)
        #expect(problem.status == 503)
        #expect(problem.body.contains("the store cannot be written"))
    }

    @Test func connectionsBeyondTheLimitAreToldSo() async throws {
        var limits = PortalConfiguration.Limits()
        limits.connections = 1
        let site = try await Site(limits: limits)
        let first = try RawClient(site.status)
        first.send("GET /v1/tunnels HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = await first.read { $0.hasSuffix("[]\n") }
        let second = try await RawClient.exchange(site.status, "GET", "/v1/status")
        #expect(second.status == 503)
        #expect(second.body.contains("all 1 connections in use"))
        first.send("GET /v1/tunnels HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(await first.read { $0.hasSuffix("[]\n") }.hasPrefix("HTTP/1.1 200"))
        await site.portal.stop()
    }

    @Test func aConnectionThatNeverFinishesItsRequestIsClosed() async throws {
        var limits = PortalConfiguration.Limits()
        limits.requestMilliseconds = 50
        let site = try await Site(limits: limits)
        let client = try RawClient(site.status)
        client.send("GET /v1/status HTTP/1.1\r\nHost")
        #expect(await client.read() == "")
        let body = try RawClient(site.control)
        body.send("POST /v1/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        #expect(await body.read() == "")
        #expect(site.gateway.with { $0.calls } == [])
        await site.portal.stop()
    }
}
