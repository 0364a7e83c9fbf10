import Base
import Cryptography
import HTTP
import Testing

private let start = Tick(nanoseconds: 1_000_000_000_000)

@Suite struct RetryScheduleTests {
    @Test func delaysDoubleAndAreCapped() {
        var policy = RetryPolicy(tries: 10, total: .seconds(100_000))
        policy.cap = .seconds(8)
        var schedule = RetrySchedule(policy, start: start)
        var delays: [Double] = []
        for _ in 0..<6 {
            guard case .retry(let at) = schedule.next(after: .failed(isTransient: true), now: start, random: .max) else {
                Issue.record("gave up early")
                return
            }
            delays.append(((at - start).seconds * 10).rounded() / 10)
        }
        #expect(delays == [1, 2, 4, 8, 8, 8])
    }

    @Test func jitterIsFull() {
        var schedule = RetrySchedule(.background, start: start)
        #expect(schedule.next(after: .failed(isTransient: true), now: start, random: 0) == .retry(at: start))
        #expect(
            schedule.next(after: .failed(isTransient: true), now: start, random: 1 << 63) == .retry(at: start + .seconds(1)))
    }

    @Test func triesAndTimeAreBounded() {
        var schedule = RetrySchedule(.signIn, start: start)
        #expect(schedule.next(after: .failed(isTransient: true), now: start, random: 0) == .retry(at: start))
        #expect(schedule.next(after: .failed(isTransient: true), now: start, random: 0) == .done)
        var late = RetrySchedule(.signIn, start: start)
        #expect(late.next(after: .failed(isTransient: true), now: start + .seconds(6), random: 0) == .done)
        var never = RetrySchedule(.none, start: start)
        #expect(never.next(after: .failed(isTransient: true), now: start, random: 0) == .done)
    }

    @Test(arguments: [408, 429, 500, 502, 503, 504]) func passingStatesAreTriedAgain(_ status: Int) {
        var schedule = RetrySchedule(.background, start: start)
        #expect(schedule.next(after: .answered(status: status, pause: nil), now: start, random: 0) == .retry(at: start))
    }

    @Test(arguments: [200, 204, 301, 400, 401, 403, 404, 409, 410, 422, 501])
    func finalAnswersAreFinal(_ status: Int) {
        var schedule = RetrySchedule(.background, start: start)
        #expect(schedule.next(after: .answered(status: status, pause: nil), now: start, random: 0) == .done)
    }

    @Test func aPauseIsKept() {
        var schedule = RetrySchedule(.background, start: start)
        #expect(
            schedule.next(after: .answered(status: 429, pause: .seconds(30)), now: start, random: 1 << 63)
                == .retry(at: start + .milliseconds(30_500)))
        var short = RetrySchedule(.signIn, start: start)
        #expect(short.next(after: .answered(status: 503, pause: .seconds(30)), now: start, random: 0) == .done)
    }
}

@Suite struct RetryAfterTests {
    private let wall = WallTime(rfc3339: "1994-11-06T08:49:37Z")!

    private func pause(_ value: String, date: String? = nil) -> Tick.Span? {
        var headers = [HTTPResponse.Header("Retry-After", value)]
        if let date { headers.append(HTTPResponse.Header("Date", date)) }
        return RetryAfter.pause(HTTPResponse(status: 429, headers: headers), wall: wall)
    }

    @Test func secondsAndDates() {
        #expect(pause("30") == .seconds(30))
        #expect(pause("1.5") == .milliseconds(1500))
        #expect(pause("0") == .zero)
        #expect(pause("99999999999") == RetryAfter.limit)
        #expect(pause("Sun, 06 Nov 1994 08:50:07 GMT") == .seconds(30))
        #expect(pause("Sun, 06 Nov 1994 08:00:00 GMT") == .zero)
        // The server's clock is what its date is meant by.
        #expect(pause("Sun, 06 Nov 1994 08:50:07 GMT", date: "Sun, 06 Nov 1994 08:50:00 GMT") == .seconds(7))
    }

    @Test(arguments: ["", "-1", "soon", "1e9", "nan", "inf", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:50:07 GMT"])
    func otherTextsSayNothing(_ text: String) { #expect(pause(text) == nil) }
}

@Suite struct CircuitBreakerTests {
    private func opened() -> CircuitBreaker {
        var breaker = CircuitBreaker(now: start)
        for _ in 0..<5 {
            #expect(breaker.ask(now: start) == nil)
            breaker.note(isFailure: true, now: start, random: 0)
        }
        return breaker
    }

    @Test func fiveFailuresInARowOpenIt() {
        var breaker = opened()
        #expect(breaker.state == .open(until: start + .seconds(30)))
        #expect(breaker.ask(now: start + .seconds(10)) == .seconds(20))
    }

    @Test func aSuccessInBetweenKeepsItClosed() {
        var breaker = CircuitBreaker(now: start)
        for index in 0..<8 { breaker.note(isFailure: index % 3 != 2, now: start, random: 0) }
        #expect(breaker.state == .closed)
    }

    @Test func halfOfTwentyOpenItToo() {
        var breaker = CircuitBreaker(now: start)
        for index in 0..<20 { breaker.note(isFailure: index % 2 == 1, now: start, random: 0) }
        #expect(breaker.state == .open(until: start + .seconds(30)))
    }

    @Test func oneProbeDecides() {
        var breaker = opened()
        let later = start + .seconds(30)
        #expect(breaker.ask(now: later) == nil)
        #expect(breaker.ask(now: later) != nil, "a second probe went out")
        var healed = breaker
        healed.note(isFailure: false, now: later, random: 0)
        #expect(healed.state == .closed && healed.ask(now: later) == nil)
        breaker.note(isFailure: true, now: later, random: 0)
        #expect(breaker.state == .open(until: later + .seconds(60)), "the pause doubles")
    }

    @Test func thePauseIsBoundedAndSpread() {
        var breaker = opened()
        var now = start
        for _ in 0..<20 {
            guard case .open(let until) = breaker.state else { return }
            #expect(until - now <= .seconds(600 + 120))
            now = until
            #expect(breaker.ask(now: now) == nil)
            breaker.note(isFailure: true, now: now, random: .max)
        }
        guard case .open(let until) = breaker.state else { return }
        #expect(until - now > .seconds(719))
    }

    @Test func aLostProbeLetsAnotherOut() {
        var breaker = opened()
        #expect(breaker.ask(now: start + .seconds(30)) == nil)
        #expect(breaker.ask(now: start + .seconds(149)) != nil)
        #expect(breaker.ask(now: start + .seconds(150)) == nil)
        breaker.forget(now: start + .seconds(151))
        #expect(breaker.ask(now: start + .seconds(151)) == nil)
    }
}

@Suite struct HostLedgerTests {
    private func answered(_ ledger: inout HostLedger, _ status: Int, pause: Tick.Span? = nil, now: Tick = start) {
        ledger.answered("a", status: status, bytes: 10, took: .seconds(1), pause: pause, now: now, random: 0)
    }

    @Test func aPauseBindsEveryCallToTheHost() throws {
        var ledger = HostLedger()
        try ledger.ask("a", isRetry: false, now: start)
        answered(&ledger, 429, pause: .seconds(20))
        #expect(throws: HostLedger.Refusal.pause(.seconds(15))) {
            try ledger.ask("a", isRetry: false, now: start + .seconds(5))
        }
        try ledger.ask("b", isRetry: false, now: start + .seconds(5))
        try ledger.ask("a", isRetry: false, now: start + .seconds(20))
        #expect(ledger.reports.first?.tally.withheld == 1 && ledger.reports.first?.tally.answers == [4: 1])
    }

    @Test func throttlingIsNoFailure() throws {
        var ledger = HostLedger()
        for _ in 0..<30 {
            try ledger.ask("a", isRetry: false, now: start)
            answered(&ledger, 429)
        }
        #expect(ledger.reports.first?.circuit == .closed)
    }

    @Test func failuresOpenTheCircuitOfTheirHostAlone() throws {
        var ledger = HostLedger()
        for _ in 0..<5 {
            try ledger.ask("a", isRetry: false, now: start)
            answered(&ledger, 502)
        }
        #expect(throws: HostLedger.Refusal.circuit(.seconds(30))) { try ledger.ask("a", isRetry: false, now: start) }
        try ledger.ask("b", isRetry: false, now: start)
        #expect(ledger.reports.map(\.host) == ["a", "b"])
        #expect(ledger.reports.first?.lastFailure == "HTTP status 502")
    }

    @Test func retriesAreATenthOfCalls() throws {
        var ledger = HostLedger()
        for _ in 0..<10 {
            try ledger.ask("a", isRetry: true, now: start)
            answered(&ledger, 200)
        }
        #expect(throws: HostLedger.Refusal.tooManyRetries) { try ledger.ask("a", isRetry: true, now: start) }
        for _ in 0..<110 {
            try ledger.ask("a", isRetry: false, now: start)
            answered(&ledger, 200)
        }
        try ledger.ask("a", isRetry: true, now: start)
        var later = ledger
        for _ in 0..<3 { try later.ask("a", isRetry: true, now: start + .seconds(60)) }
    }

    @Test func hostsAreBounded() throws {
        var ledger = HostLedger()
        for index in 0..<1000 { try ledger.ask("h\(index)", isRetry: false, now: start + .seconds(index)) }
        #expect(ledger.reports.count == 256)
        #expect(ledger.reports.contains { $0.host == "h999" } && !ledger.reports.contains { $0.host == "h0" })
    }
}

@Suite struct HTTPRequestTests {
    private func request(_ method: HTTPRequest.Method = .get) -> HTTPRequest {
        var request = HTTPRequest(method, WebURL("https://a.example/start?token=hidden")!, purpose: "a test")
        request.limits.redirects = 2
        request.addresses = .anywhere
        return request
    }

    private func redirect(_ location: String, status: Int = 302) -> HTTPResponse {
        HTTPResponse(status: status, headers: [.init("Location", location)])
    }

    @Test func redirectsAreBoundedAndLoseThePrivilegeOfTheFirstHost() throws {
        let same = try #require(request().redirected(by: redirect("/x")))
        #expect(same.url.description == "https://a.example/x" && same.addresses == .anywhere && same.limits.redirects == 1)
        let other = try #require(same.redirected(by: redirect("https://b.example/")))
        #expect(other.addresses == .publicOnly)
        #expect(other.redirected(by: redirect("/y")) == nil)
        #expect(request().redirected(by: redirect("http://a.example/")) == nil)
        #expect(request().redirected(by: redirect("/x", status: 200)) == nil)
        #expect(request().redirected(by: HTTPResponse(status: 302)) == nil)
    }

    @Test func credentialsNeverTravel() {
        var withHeader = request()
        withHeader.authorization = Secret(Array("Bearer x".utf8))
        #expect(withHeader.redirected(by: redirect("/x")) == nil)
        #expect(request(.post).redirected(by: redirect("/x", status: 307)) == nil)
    }

    @Test func nothingSecretIsPrinted() {
        var request = request()
        request.authorization = Secret(Array("Bearer hidden".utf8))
        request.body = Secret(Array("client_secret=hidden".utf8))
        #expect("\(request)" == "GET https://a.example/start")
    }

    @Test(arguments: [
        ("max-age=300", 300), ("public, max-age=60, must-revalidate", 60), ("no-store", 0), ("private, no-cache", 0),
        ("max-age=99999999999999999999999", Int.max), ("max-age=\"7\"", 7),
    ]) func ageIsRead(_ value: String, _ expected: Int) {
        #expect(HTTPResponse(status: 200, headers: [.init("Cache-Control", value)]).maxAge == expected)
    }

    @Test func ageIsOftenNotSaid() {
        #expect(HTTPResponse(status: 200).maxAge == nil)
        #expect(HTTPResponse(status: 200, headers: [.init("cache-control", "max-age=x, public")]).maxAge == nil)
        #expect(HTTPResponse(status: 200, headers: [.init("Content-Type", "Application/JSON; charset=x")]).contentType == "application/json")
    }
}
