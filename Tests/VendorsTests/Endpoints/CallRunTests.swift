import Access
import Base
import Cryptography
import HTTP
import JSONText
import Testing

@testable import Vendors

@Suite struct CallRunTests {
    private let now = WallTime.at("2026-01-15T10:00:00Z")

    private func run(
        _ kind: String, _ call: String, _ purpose: CallRun.Purpose = .all, change: (inout EndpointConnection) -> Void = { _ in }
    ) throws -> CallRun {
        var connection = EndpointConnection.example(kind)
        change(&connection)
        return try CallRun(
            connection, try connection.profile(), call: call, purpose, entropy: [0xAB], now: now, retries: .none)
    }

    private func answer(_ body: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, body: Array(body.utf8))
    }

    private func text(_ request: HTTPRequest?) -> String? {
        request?.authorization.map { String(decoding: $0.exposedBytes, as: UTF8.self) }
    }

    private func body(_ request: HTTPRequest?) throws -> JSONTree {
        try JSONTree.parse(String(decoding: try #require(request?.body).exposedBytes, as: UTF8.self))
    }

    @Test func sentinelOneGoesFromCursorToCursor() throws {
        var run = try run("sentinelone", "agents")
        #expect(run.request?.url.description == "https://acme.sentinelone.net/web/api/v2.1/agents?limit=1000")
        #expect(text(run.request) == "ApiToken k3y")
        #expect(run.request?.addresses == .publicOnly)
        #expect(try run.receive(try Sample("sentinelone/agents-page1").response).count == 2)
        // The cursor's equals sign must not end it.
        #expect(
            run.request?.url.description
                == "https://acme.sentinelone.net/web/api/v2.1/agents?limit=1000&cursor=YWdlbnRfaWQ6MTM0OTEyMzQ1MTIzNDY%3D")
        #expect(try run.receive(try Sample("sentinelone/agents-last-page").response).count == 1)
        #expect(run.request == nil && run.total == 3 && !run.isAtomic)
    }

    @Test func sentinelOneIsAskedForChangesAndForDevices() throws {
        let since = try run("sentinelone", "agents", .changes(since: .at("2026-01-15T09:59:00Z")))
        #expect(
            since.request?.url.query
                == "limit=1000&updatedAt__gte=2026-01-15T09%3A57%3A00Z&isDecommissioned=true%2Cfalse")
        let mac = try run("sentinelone", "agents", .mac(try #require(MACAddress("02:00:00:00:00:0a"))))
        #expect(
            mac.request?.url.query
                == "limit=1000&networkInterfacePhysical__contains=02%3A00%3A00%3A00%3A00%3A0a%2C02-00-00-00-00-0a")
        let id = try run("sentinelone", "agents", .endpoint(id: "1 2"))
        #expect(id.request?.url.query == "limit=1000&ids=1%202")
    }

    @Test func gravityZoneSpeaksInItsOwnWay() throws {
        var run = try run("gravityzone", "endpoints")
        #expect(
            run.request?.url.description == "https://cloud.gravityzone.bitdefender.com/api/v1.0/jsonrpc/network")
        // "k3y:" in base64.
        #expect(text(run.request) == "Basic azN5Og==" && run.request?.method == .post)
        let sent = try body(run.request)
        #expect(sent["method"]?.string == "getEndpointsList" && sent["id"]?.string == "ab-0")
        #expect(sent["params"]?["page"]?.scalar == "1")
        guard case .number? = sent["params"]?["page"]?.value else { Issue.record("the page is no number"); return }
        let page = #"{"id":"ab-0","jsonrpc":"2.0","result":{"page":1,"pagesCount":2,"total":3,"items":[{"id":"a"},{"id":"b"}]}}"#
        #expect(try run.receive(answer(page)).count == 2)
        #expect(try body(run.request)["params"]?["page"]?.scalar == "2" && body(run.request)["id"]?.string == "ab-1")
        // An answer to another question.
        #expect(throws: VendorFailure.self) {
            try run.receive(answer(page.replacing("ab-0", with: "ab-7")))
        }
        let mac = try self.run("gravityzone", "endpoints", .mac(try #require(MACAddress("02:00:00:00:00:0a"))))
        #expect(
            try body(mac.request)["params"]?["filters"]?["details"]?["macs"]?.array?.first?.string == "02000000000a")
    }

    @Test func defenderFollowsLinksOnItsOwnHostAlone() throws {
        var run = try run("defender", "machines")
        #expect(run.request?.url.description == "https://api.security.microsoft.com/api/machines?%24top=10000")
        #expect(run.request?.authorization == nil)
        let next = "https://api.security.microsoft.com/api/machines?$skiptoken=2"
        #expect(try run.receive(answer(#"{"value":[{"id":"a"}],"@odata.nextLink":"\#(next)"}"#)).count == 1)
        #expect(run.request?.url.description == next)
        do {
            _ = try run.receive(answer(#"{"value":[],"@odata.nextLink":"https://evil.example/api/machines"}"#))
            Issue.record("it went to another host")
        } catch {
            #expect(error.detail.contains("another host"))
        }
        // No machine at all is a 404.
        var empty = try self.run("defender", "machines")
        #expect(try empty.receive(try Sample("defender/error-not-found").response).isEmpty)
        let alerts = try self.run("defender", "alerts")
        #expect(alerts.request?.url.query?.contains("2026-01-14T10%3A00%3A00Z") == true)
    }

    @Test func heimdalHasTwoForms() throws {
        var run = try run("heimdal", "clients")
        #expect(
            run.request?.url.description
                == "https://rc-dashboard.heimdalsecurity.com/api/heimdalapi/2.0/activeclients?customerId=12345&pageNumber=1"
                + "&pageSize=1000")
        #expect(text(run.request) == "Bearer k3y")
        #expect(try run.receive(try Sample("heimdal/activeclients-2.0").response).count == 1)
        #expect(run.request == nil)
        var bare = try self.run("heimdal", "clients")
        #expect(try bare.receive(try Sample("heimdal/activeclients").response).count == 1)
        // A server that does not know the parameter.
        var deaf = try self.run("heimdal", "clients")
        let page = #"{"items":[{"clientInfoId":1}],"totalCount":3}"#
        #expect(try deaf.receive(answer(page)).count == 1)
        #expect(deaf.request?.url.query?.contains("pageNumber=2") == true)
        #expect(throws: VendorFailure.self) { try deaf.receive(answer(page)) }
    }

    // MARK: Pages

    private static let byPage = #"query: {page: "{page}"}"#

    /// The findings of a platform, with these lines in the profile's call.
    private func findings(_ lines: String...) throws -> CallRun {
        var connection = EndpointConnection.example(EndpointConnection.custom)
        connection.profileText = try file("Profiles/acorn.yaml").replacing(
            "key: machine.serial", with: (["key: machine.serial"] + lines).joined(separator: "\n    "))
        return try CallRun(
            connection, try connection.profile(), call: "findings", .all, entropy: [1], now: now, retries: .none)
    }

    private func page(_ serials: Range<Int>, _ more: String = "") -> HTTPResponse {
        let rows = serials.map { #"{"machine":{"serial":\#($0)}}"# }.joined(separator: ",")
        return answer(#"{"findings":[\#(rows)]\#(more)}"#)
    }

    @Test func withoutATotalAFullPageLeadsOn() throws {
        var run = try findings(Self.byPage, "paging: {page: true, size: 2}")
        #expect(try run.receive(page(0..<2)).count == 2)
        #expect(run.request?.url.query == "page=2")
        #expect(try run.receive(page(2..<3)).count == 1)
        #expect(run.request == nil && run.shortage == nil)
        // Where nobody knows what a full page is, one without rows is the end.
        var unsized = try findings(Self.byPage, "paging: {page: true}")
        #expect(try unsized.receive(page(0..<1)).count == 1)
        #expect(unsized.request?.url.query == "page=2")
        #expect(try unsized.receive(page(0..<0)).isEmpty)
        #expect(unsized.request == nil && unsized.shortage == nil)
    }

    /// A server that knows no pages, or has none behind the last.
    @Test(arguments: ["paging: {page: true}", "paging: {page: true, size: 2}"])
    func withoutATotalTheSameAgainIsTheEndUnlessItMayBeAPage(_ paging: String) throws {
        var whole = try findings(Self.byPage, paging)
        #expect(try whole.receive(page(0..<3)).count == 3)
        #expect(try whole.receive(page(0..<3)).count == 3)
        #expect(whole.request == nil && whole.shortage == nil)
        var none = try findings(Self.byPage, paging)
        _ = try none.receive(page(0..<2))
        #expect(try none.receive(answer("{}", status: 404)).isEmpty)
        #expect(none.request == nil)
        var paged = try findings(Self.byPage, "paging: {page: true, size: 2}")
        _ = try paged.receive(page(0..<2))
        #expect(throws: VendorFailure.self) { try paged.receive(page(0..<2)) }
    }

    /// However a vendor ends its pages too early.
    @Test(arguments: ["", #","total":5"#, #","total":0"#]) func rowsThatAreMissingAreSaid(_ end: String) throws {
        var run = try findings(Self.byPage, "total: total", "paging: {page: true, size: 2}")
        #expect(try run.receive(page(0..<2, #","total":5"#)).count == 2)
        #expect(try run.receive(page(0..<0, end)).isEmpty)
        #expect(run.request == nil && run.total == 5)
        let failure = try #require(run.shortage)
        #expect(failure.kind == .unreadable && !failure.needsAttention)
        #expect(failure.description == "console.acorn.example gave 2 of 5 rows of findings.")
    }

    @Test func heimdalsDetectionsMustAllBeThere() throws {
        var run = try run("heimdal", "detections")
        let first = #"{"items":[{"clientInfoId":1,"status":"Cleaned"}],"totalCount":1001}"#
        #expect(try run.receive(answer(first)).count == 1)
        #expect(run.request?.url.query?.contains("pageNumber=2") == true)
        #expect(try run.receive(answer(#"{"items":[],"totalCount":0}"#)).isEmpty)
        #expect(run.request == nil && run.shortage?.kind == .unreadable)
        // None at all is an answer.
        var none = try self.run("heimdal", "detections")
        #expect(try none.receive(answer(#"{"items":[],"totalCount":0}"#)).isEmpty)
        #expect(none.request == nil && none.shortage == nil)
    }

    @Test func whatComesWhilePagesAreReadIsNotMissing() throws {
        var run = try findings(Self.byPage, "total: total", "paging: {page: true, size: 2}")
        #expect(try run.receive(page(0..<2, #","total":3"#)).count == 2)
        #expect(try run.receive(page(2..<3, #","total":4"#)).count == 1)
        #expect(run.request?.url.query == "page=3")
        #expect(try run.receive(page(0..<0, #","total":4"#)).isEmpty)
        #expect(run.request == nil && run.shortage == nil)
    }

    @Test(arguments: ["-1", "-9223372036854775808", "99999999999999999999", "\"many\"", "null", "[]"])
    func aTotalThatIsNoneSaysNothing(_ total: String) throws {
        var run = try findings("total: total")
        #expect(try run.receive(page(0..<1, #","total":\#(total)"#)).count == 1)
        #expect(run.request == nil && run.total == nil && run.shortage == nil)
    }

    @Test func aTotalOfAnySizeIsRead() throws {
        var run = try findings("total: total")
        #expect(try run.receive(page(0..<1, #","total":9223372036854775807"#)).count == 1)
        #expect(run.total == Int.max && run.shortage != nil)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var kind: String
        var call: String
        var sample: String
        var failure: VendorFailure.Kind
        var words: String
        var testDescription: String { sample }
    }

    @Test(arguments: [
        Refusal(
            kind: "sentinelone", call: "agents", sample: "sentinelone/error-token", failure: .authentication,
            words: "acme.sentinelone.net refused the API token (401, 4010010: Authentication Failed). Make a new token"),
        Refusal(
            kind: "sentinelone", call: "agents", sample: "sentinelone/error-permission", failure: .permission,
            words: "Grant it: Endpoints, View."),
        Refusal(kind: "sentinelone", call: "agents", sample: "sentinelone/error-rate", failure: .throttled, words: "pause"),
        Refusal(
            kind: "sentinelone", call: "agents", sample: "sentinelone/error-input", failure: .refused,
            words: "limit: Must be between 1 and 1000."),
        Refusal(
            kind: "gravityzone", call: "endpoints", sample: "gravityzone/error-bad-key", failure: .authentication,
            words: "refused the API key (401)"),
        Refusal(
            kind: "gravityzone", call: "endpoints", sample: "gravityzone/error-area-not-enabled", failure: .permission,
            words: "Grant it: Network."),
        Refusal(
            kind: "gravityzone", call: "endpoints", sample: "gravityzone/error-rate-limit", failure: .throttled,
            words: "pause"),
        Refusal(
            kind: "gravityzone", call: "endpoints", sample: "gravityzone/error-server", failure: .unavailable,
            words: "-32000: Server error"),
        Refusal(
            kind: "gravityzone", call: "endpoints", sample: "gravityzone/error-invalid-params", failure: .gone,
            words: "endpointId"),
        Refusal(
            kind: "gravityzone", call: "endpoints", sample: "gravityzone/error-method-not-found", failure: .refused,
            words: "too old for the call"),
        Refusal(
            kind: "defender", call: "alerts", sample: "defender/error-forbidden", failure: .permission,
            words: "Grant it: Alert.Read.All."),
        Refusal(
            kind: "defender", call: "configurations", sample: "defender/error-disabled-feature", failure: .permission,
            words: "DisabledFeature"),
        Refusal(
            kind: "defender", call: "machines", sample: "defender/error-throttled", failure: .throttled,
            words: "TooManyRequests"),
        Refusal(
            kind: "defender", call: "machines", sample: "defender/error-odata", failure: .refused, words: "ODataError"),
        Refusal(
            kind: "heimdal", call: "clients", sample: "heimdal/error-unauthorized", failure: .authentication,
            words: "refused the personal API key (401"),
        Refusal(kind: "heimdal", call: "clients", sample: "heimdal/error-rate", failure: .throttled, words: "quota"),
    ])
    func aRefusalSaysWhatItIs(_ refusal: Refusal) throws {
        var run = try run(refusal.kind, refusal.call)
        do {
            _ = try run.receive(try Sample(refusal.sample).response)
            Issue.record("it was taken as an answer")
        } catch let error as VendorFailure {
            #expect(error.kind == refusal.failure)
            #expect(error.description.contains(refusal.words), "\(error)")
            #expect(!"\(error)".contains("k3y"))
        }
    }

    @Test(arguments: [
        (200, "<!DOCTYPE html><html>sign in</html>"), (200, #"{"data":[{"id":"1""#), (200, ""), (200, #"{"rows":[]}"#),
        (200, "[]"), (502, "<html>Bad gateway</html>"), (302, ""),
        (200, #"{"errors":[{"code":5000010,"title":"Internal"}]}"#),
    ])
    func whatIsNoAnswerIsNoInventory(_ status: Int, _ body: String) throws {
        var run = try run("sentinelone", "agents")
        #expect(throws: VendorFailure.self) { try run.receive(answer(body, status: status)) }
        #expect(run.request == nil)
    }

    @Test func aUrlMustBeTheVendors() throws {
        var connection = EndpointConnection.example("sentinelone")
        let profile = try connection.profile()
        #expect(connection.faults(profile).isEmpty)
        for (url, isGood) in [
            ("acme.sentinelone.net", true), ("https://acme.sentinelone.net/web/api/v2.1/", true),
            ("https://acme.sentinelone.net.evil.example", false), ("https://evilsentinelone.net", false),
            ("http://acme.sentinelone.net", false), ("https://user@acme.sentinelone.net", false),
            ("https://10.0.0.1", false), ("", false),
        ] {
            connection.url = url.isEmpty ? nil : url
            #expect(connection.faults(profile).isEmpty == isGood, "\(url)")
        }
        connection.url = "https://10.0.0.1:8443"
        connection.allowsAnyHost = true
        #expect(connection.faults(profile).isEmpty)
        let run = try CallRun(connection, profile, call: "agents", .all, entropy: [1], now: now)
        #expect(run.request?.addresses == .anywhere)
    }

    @Test func tokensAreAskedForAtTheTenant() throws {
        let connection = EndpointConnection.example("defender")
        let grant = try #require(try connection.profile().grant(connection))
        #expect(grant.endpoint.description == "https://login.microsoftonline.com/t/oauth2/v2.0/token")
        #expect(grant.clientID == "c" && grant.scopes == ["https://api.securitycenter.microsoft.com/.default"])
        let other = EndpointConnection.example("sentinelone")
        #expect(try other.profile().grant(other) == nil)
    }

    @Test func theKeyIsAskedWhenItEnds() throws {
        let connection = EndpointConnection.example("sentinelone")
        let profile = try connection.profile()
        var run = try #require(try profile.keyEndRun(connection, entropy: [1], now: now))
        #expect(run.request?.method == .post && run.request?.url.path == "/web/api/v2.1/users/api-token-details")
        #expect(try body(run.request)["data"]?["apiToken"]?.string == "k3y")
        let rows = try run.receive(try Sample("sentinelone/api-token-details").response)
        let end = try #require(KeyLife.end(in: rows, profile))
        #expect(end == .at("2026-01-31T10:00:00Z"))
        func warning(_ now: String) -> String? { KeyLife.warning(of: connection, profile, end: end, now: .at(now)) }
        #expect(warning("2026-01-24T09:59:59Z") == nil)
        #expect(warning("2026-01-24T10:00:00Z")?.contains("in less than 7 days, on 2026-01-31") == true)
        #expect(warning("2026-01-28T10:00:00Z")?.contains("in less than 3 days") == true)
        #expect(warning("2026-01-30T10:00:00Z")?.contains("within a day") == true)
        #expect(warning("2026-01-31T10:00:00Z")?.contains("ended on 2026-01-31") == true)
    }

    /// Of a secret's life Defender says nothing, and it may be years.
    @Test func aSecretOfTwoYearsIsWarnedOfAMonthAhead() throws {
        let connection = EndpointConnection.example("defender")
        let profile = try connection.profile()
        #expect(profile.keyLifeDays == nil)
        let end = WallTime.at("2028-01-15T10:00:00Z")
        func warning(_ now: String) -> String? { KeyLife.warning(of: connection, profile, end: end, now: .at(now)) }
        #expect(warning("2026-01-15T10:00:00Z") == nil && warning("2027-12-16T09:59:59Z") == nil)
        #expect(warning("2027-12-16T10:00:00Z")?.contains("in less than 30 days, on 2028-01-15") == true)
        #expect(warning("2028-01-01T10:00:00Z")?.contains("in less than 14 days") == true)
        #expect(warning("2028-01-08T10:00:00Z")?.contains("in less than 7 days") == true)
    }

    @Test func newerKeysSayTheirEndThemselves() {
        var connection = EndpointConnection.example("sentinelone")
        let claims = Base64URL.encode(Array(#"{"sub":"x","exp":1769853600}"#.utf8))
        connection.key = Secret(Array("eyJhbGciOiJFUzI1NiJ9.\(claims).sig".utf8))
        #expect(KeyLife.end(statedBy: connection) == .at("2026-01-31T10:00:00Z"))
        connection.key = Secret(Array("opaque".utf8))
        #expect(KeyLife.end(statedBy: connection) == nil)
    }
}
