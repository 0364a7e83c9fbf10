import Base
import Cryptography
import Foundation
import HTTP
import Testing

@testable import Host

/// Calls to a real TLS server on this host, with the faults that servers have.
@Suite(.timeLimit(.minutes(5)))
struct HTTPClientTests {
    private let server: FaultyServer
    private let client: HTTPClient

    init() throws {
        server = try FaultyServer.shared.get()
        client = HTTPClient(OutgoingSettings(extraCA: server.authority))
    }

    private func request(
        _ path: String, _ method: HTTPRequest.Method = .get, certificate: FaultyServer.Certificate = .good,
        host: String = "localhost", retries: RetryPolicy = .none
    ) -> HTTPRequest {
        var request = HTTPRequest(
            method, server.url(path, certificate, host: host), purpose: "a test", retries: retries)
        request.addresses = .anywhere
        return request
    }

    /// Retries without a wait worth speaking of.
    private var quick: RetryPolicy {
        var policy = RetryPolicy(tries: 3, total: .seconds(60))
        policy.base = .milliseconds(1)
        return policy
    }

    private func failure(_ request: HTTPRequest, _ client: HTTPClient? = nil) async -> HTTPFailure.Kind? {
        do throws(HTTPFailure) {
            _ = try await (client ?? self.client).send(request)
            return nil
        } catch {
            #expect(!error.description.contains("hidden"))
            return error.kind
        }
    }

    private struct Echo: Decodable {
        var method: String
        var path: String
        var body: String
        var headers: [String: String]
    }

    private func echo(_ request: HTTPRequest, _ client: HTTPClient? = nil) async throws -> Echo {
        let response = try await (client ?? self.client).send(request)
        #expect(response.status == 200)
        return try JSONDecoder().decode(Echo.self, from: Data(response.body))
    }

    /// How often the server was asked for a path.
    private func visits(_ path: String) async throws -> Int {
        let seen = try await client.send(request("/seen"))
        return try JSONDecoder().decode([String: Int].self, from: Data(seen.body))[path] ?? 0
    }

    // MARK: - What is sent and what comes

    @Test func aGetCarriesItsHeaders() async throws {
        var request = request("/echo?q=1")
        request.headers = [("Accept", "application/json"), ("X-Sly", "a\r\nX-More: b")]
        request.authorization = Secret(Array("Bearer hidden".utf8))
        let said = try await echo(request)
        #expect(said.method == "GET" && said.path == "/echo?q=1" && said.headers["accept"] == "application/json")
        #expect(said.headers["authorization"] == "Bearer hidden")
        #expect(said.headers["user-agent"] == "Gatehouse/" + gatehouseVersion)
        #expect(said.headers["x-more"] == nil && said.headers["x-sly"] == "aX-More: b")
        let response = try await client.send(request)
        #expect(response.contentType == "application/json" && response.maxAge == 60)
    }

    @Test(arguments: [HTTPRequest.Method.post, .put, .patch]) func aBodyIsSent(_ method: HTTPRequest.Method) async throws {
        var request = request("/echo", method)
        let text = String(repeating: "0123456789", count: 20_000)
        request.body = Secret(Array(text.utf8))
        let said = try await echo(request)
        #expect(said.method == method.rawValue && said.body == text && said.headers["expect"] == nil)
    }

    @Test func aDeleteHasNoBody() async throws {
        let said = try await echo(request("/echo", .delete))
        #expect(said.method == "DELETE" && said.body.isEmpty)
    }

    @Test func everyStatusIsAnAnswer() async throws {
        #expect(try await client.send(request("/missing")).status == 404)
    }

    @Test func manyCallsGoTogether() async throws {
        try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<50 { group.addTask { try await echo(request("/echo?\(number)")).path } }
            var paths: Set<String> = []
            for try await path in group { paths.insert(path) }
            #expect(paths.count == 50)
        }
        let report = try #require(client.hosts.first)
        #expect(report.tally.calls == 50 && report.tally.answers == [2: 50] && report.tally.failures == 0)
        #expect(report.host == server.url("/").authority)
    }

    // MARK: - Trust

    @Test func aCertificateOfAnUnknownCAIsRefused() async {
        guard case .insecure = await failure(request("/echo"), HTTPClient(OutgoingSettings())) else {
            Issue.record("a CA that nobody named was trusted")
            return
        }
    }

    @Test(arguments: [FaultyServer.Certificate.otherName, .expired, .otherAuthority])
    func otherCertificatesAreRefused(_ certificate: FaultyServer.Certificate) async throws {
        guard case .insecure = await failure(request("/echo", certificate: certificate, retries: quick)) else {
            Issue.record("the certificate was accepted")
            return
        }
        #expect(client.hosts.first?.tally.calls == 1, "a bad certificate was tried again")
    }

    // MARK: - Where calls may go

    @Test func aPrivateAddressIsRefusedByNumber() async {
        var request = request("/echo", host: "127.0.0.1")
        request.addresses = .publicOnly
        #expect(await failure(request) == .addressRefused("127.0.0.1"))
        request.addresses = .anywhere
        #expect(await failure(request) == nil)
    }

    /// By what the name leads to when the connection is made, also while another call has a connection there.
    @Test func aPrivateAddressIsRefusedByName() async throws {
        #expect(try await client.send(request("/echo")).status == 200)
        var request = request("/echo/secret")
        #expect(try await visits("/echo/secret") == 0)
        request.addresses = .publicOnly
        guard case .addressRefused(let address)? = await failure(request) else {
            Issue.record("a public-only call reached this host")
            return
        }
        #expect(IPAddress(address)?.isLoopback == true)
        #expect(try await visits("/echo/secret") == 0)
    }

    @Test func aRedirectDoesNotLeadToPrivateAddresses() async throws {
        var request = request("/to/?to=" + server.url("/echo", .otherName).description)
        request.limits.redirects = 3
        guard case .addressRefused = await failure(request) else {
            Issue.record("a redirect led to this host")
            return
        }
    }

    @Test func redirectsAreFollowedWithinBounds() async throws {
        var request = request("/to/?to=/echo")
        request.limits.redirects = 3
        #expect(try await echo(request).path == "/echo")
        request.limits.redirects = 0
        #expect(try await client.send(request).status == 302)
        request.url = server.url("/loop")
        request.limits.redirects = 5
        #expect(try await client.send(request).status == 302)
        #expect(client.hosts.first?.tally.calls == 9)
        request.url = server.url("/to/?to=http://localhost/")
        #expect(try await client.send(request).status == 302, "a redirect led away from https")
    }

    // MARK: - Faults

    @Test(arguments: ["/slow", "/trickle"]) func slowServersTimeOut(_ path: String) async {
        var request = request(path)
        request.limits.time = .milliseconds(400)
        #expect(await failure(request) == .timeOut)
    }

    @Test(arguments: ["/cut", "/nothing"]) func halfAnAnswerIsNone(_ path: String) async {
        #expect(await failure(request(path)) == .cutOff)
    }

    @Test(arguments: ["/huge", "/bomb", "/headers"]) func endlessAnswersAreCutOff(_ path: String) async {
        var request = request(path)
        request.limits.bodyBytes = 1 << 20
        #expect(await failure(request) == .tooLong(limit: 1 << 20))
    }

    @Test func whatIsNoHTTPIsSaidToBe() async {
        guard case .malformed? = await failure(request("/garbage")) else {
            Issue.record("rubbish was taken for HTTP")
            return
        }
    }

    @Test func nobodyThereIsSaid() async {
        var request = request("/echo")
        // The discard port, which nothing serves.
        request.url = WebURL("https://localhost:9/")!
        guard case .connection? = await failure(request) else {
            Issue.record("something answers on port 9")
            return
        }
        request.url = WebURL("https://no-such-name.invalid/")!
        #expect(await failure(request) == .unknownHost)
    }

    // MARK: - Tries

    @Test func aFlakyServerIsAskedAgain() async throws {
        let response = try await client.send(request("/flaky/\(UUID())", retries: quick))
        #expect(response.status == 200 && response.body == Array("2".utf8))
        #expect(client.hosts.first?.tally.retries == 1)
    }

    @Test func aPauseIsWaitedFor() async throws {
        let response = try await client.send(request("/throttled/0.05/\(UUID())", retries: quick))
        #expect(response.status == 200 && response.body == Array("2".utf8))
    }

    @Test func aLongPauseIsHandedToTheCaller() async throws {
        #expect(try await client.send(request("/throttled/300/\(UUID())", retries: .signIn)).status == 429)
        guard case .throttled(let seconds)? = await failure(request("/echo", retries: .signIn)) else {
            Issue.record("the pause did not bind the next call")
            return
        }
        #expect(seconds > 200 && seconds <= 300)
    }

    @Test func aBrokenServerIsLeftAlone() async throws {
        for _ in 0..<5 { #expect(try await client.send(request("/broken")).status == 503) }
        guard case .circuitOpen? = await failure(request("/echo")) else {
            Issue.record("the circuit did not open")
            return
        }
        let report = try #require(client.hosts.first)
        #expect(report.tally.calls == 5 && report.tally.withheld == 1 && report.tally.answers == [5: 5])
    }

    // MARK: - Ends

    @Test func aCallEndsWithItsTask() async throws {
        let request = request("/slow", retries: quick)
        let client = client
        let call = Task { () async -> HTTPFailure.Kind? in
            do throws(HTTPFailure) {
                _ = try await client.send(request)
                return nil
            } catch {
                return error.kind
            }
        }
        while client.hosts.first?.tally.calls != 1 { await Task.yield() }
        call.cancel()
        #expect(await call.value == .cancelled)
    }

    @Test func aStoppedClientMakesNoCalls() async throws {
        let request = request("/slow")
        let client = client
        async let kind = failure(request, nil)
        while client.hosts.first?.tally.calls != 1 { await Task.yield() }
        client.stop()
        #expect(await kind == .cancelled)
        #expect(await failure(self.request("/echo")) == .cancelled)
    }

    // MARK: - The proxy

    private func throughProxy(_ login: String, except: [String] = []) throws -> HTTPClient {
        let proxy = try #require(
            OutgoingSettings.Proxy("http://\(login)@localhost:\(server.proxyPort)", exceptions: except))
        return HTTPClient(OutgoingSettings(extraCA: server.authority, proxy: proxy))
    }

    @Test func aProxyIsUsed() async throws {
        let client = try throughProxy("ada:hidden")
        let before = try await visits("proxy")
        let said = try await echo(request("/echo"), client)
        #expect(said.headers["proxy-authorization"] == nil)
        #expect(try await visits("proxy") > before)
    }

    @Test func aProxyThatRefusesIsNamed() async throws {
        guard case .proxy(let detail)? = await failure(request("/echo"), try throughProxy("eve:hidden")) else {
            Issue.record("the proxy's refusal is not told apart")
            return
        }
        #expect(detail.contains("407"))
    }

    @Test func exceptionsPassTheProxyBy() async throws {
        let client = try throughProxy("eve:hidden", except: ["localhost"])
        #expect(try await echo(request("/echo"), client).method == "GET")
    }
}
