import Base
import Portal
import PortalFake
import Testing
import Tunnels

@Suite struct EventStreamTests {
    private func open(_ site: Site, _ target: String = "/v1/events", headers: [String] = []) throws -> RawClient {
        let client = try RawClient(site.status)
        client.send((["GET \(target) HTTP/1.1", "Host: a"] + headers).joined(separator: "\r\n") + "\r\n\r\n")
        return client
    }

    @Test func eventsAreReplayedAndThenFollowAsTheyHappen() async throws {
        let site = try await Site()
        for kind in ["one", "two", "three"] { site.gateway.emit(kind, tunnel: "t", message: "line\nbreak") }
        let client = try open(site, "/v1/events?after=1")
        let first = await client.read { $0.contains("id: 3") && $0.hasSuffix("\n\n\r\n") }
        #expect(
            first.contains("content-type: text/event-stream; charset=utf-8\r\n")
                || first.contains("Content-Type: text/event-stream; charset=utf-8\r\n"))
        #expect(!first.contains("id: 1\n"))
        #expect(
            first.contains(
                "id: 2\nevent: two\ndata: {\"number\":2,\"time\":\"2026-11-24T12:00:01.000Z\",\"level\":\"info\",\"kind\":\"two\",\"connector\":null,\"tunnel\":\"t\",\"message\":\"line\\nbreak\"}\n\n"
            ))
        site.gateway.emit("four", message: "")
        #expect(await client.read { $0.contains("id: 4\nevent: four\n") }.contains("id: 4"))
        await site.portal.stop()
    }

    @Test func lastEventIDResumesAndWinsOverTheQuery() async throws {
        let site = try await Site()
        for kind in ["one", "two", "three"] { site.gateway.emit(kind, message: "") }
        let client = try open(site, "/v1/events?after=0", headers: ["Last-Event-ID: 2"])
        let text = await client.read { $0.contains("id: 3") }
        #expect(!text.contains("id: 2\n"))
        await site.portal.stop()
    }

    @Test func aReaderFromBeforeARestartGetsEverythingThereIs() async throws {
        let site = try await Site()
        site.gateway.emit("one", message: "")
        let client = try open(site, headers: ["Last-Event-ID: 5000"])
        #expect(await client.read { $0.contains("id: 1\n") }.contains("event: one"))
        await site.portal.stop()
    }

    @Test func anIdleStreamIsKeptAlive() async throws {
        var limits = PortalConfiguration.Limits()
        limits.keepAliveMilliseconds = 5
        let site = try await Site(limits: limits)
        let client = try open(site)
        let text = await client.read { $0.components(of: ": keep-alive\n\n") >= 3 }
        #expect(text.components(of: ": keep-alive\n\n") >= 3)
        await site.portal.stop()
    }

    @Test func stoppingEndsAStreamInOrder() async throws {
        let site = try await Site()
        let client = try open(site)
        _ = await client.read { $0.contains("retry: 2000") }
        async let rest = client.read()
        await site.portal.stop()
        // The last chunk of a chunked body: the stream ended, and was not cut.
        #expect(await rest.hasSuffix("0\r\n\r\n"))
        await site.gateway.waitForFollowers(0)
    }

    @Test func aReaderThatGoesIsForgotten() async throws {
        let site = try await Site()
        var client: RawClient? = try open(site)
        _ = await client?.read { $0.contains("retry: 2000") }
        await site.gateway.waitForFollowers(1)
        client = nil
        await site.gateway.waitForFollowers(0)
        #expect(site.gateway.with { $0.followers.isEmpty })
        await site.portal.stop()
    }

    @Test func aReaderThatDoesNotReadIsCutOff() async throws {
        var limits = PortalConfiguration.Limits()
        limits.writeMilliseconds = 50
        limits.waitingEvents = 8
        let site = try await Site(limits: limits)
        let client = try open(site)
        await site.gateway.waitForFollowers(1)
        let long = String(repeating: "x", count: 50_000)
        for _ in 0..<40 { site.gateway.emit("long", message: long) }
        await site.gateway.waitForFollowers(0)
        // What was sent before is whole as far as it goes; then the connection ends.
        let text = await client.read()
        #expect(text.utf8.count < 40 * 50_000)
        await site.portal.stop()
    }

    @Test func recentEventsAreAnArray() async throws {
        let site = try await Site()
        for kind in ["one", "two", "three"] { site.gateway.emit(kind, message: "") }
        let reply = try await RawClient.exchange(site.status, "GET", "/v1/events/recent?limit=2")
        await site.portal.stop()
        #expect(reply.body.hasPrefix(#"[{"number":2,"#))
        #expect(reply.body.components(of: #""number":"#) == 2)
    }
}

extension String {
    /// How often a text occurs.
    fileprivate func components(of needle: String) -> Int { ranges(of: needle).count }
}
