import Base
import Glibc
public import HTTP
import Synchronization

/// The one way out: calls over TLS that are verified, bounded, tried again as their policy says, and counted by host.
public final class HTTPClient: Sendable {
    private struct Loops {
        var publicOnly: WebLoop?
        var anywhere: WebLoop?
        var isStopped = false
    }

    private let settings: OutgoingSettings
    private let clock: SystemClock
    private let ledger = Mutex(HostLedger())
    /// One for each address policy: a connection that was allowed under the one is never used under the other.
    private let loops = Mutex(Loops())

    public init(_ settings: OutgoingSettings, clock: SystemClock = SystemClock()) {
        self.settings = settings
        self.clock = clock
    }

    deinit { stop() }

    /// The hosts that were called, and how that went.
    public var hosts: [HostLedger.Report] { ledger.withLock { $0.reports } }

    /// Makes a call, and tries it again as far as its policy allows. Any status is an answer.
    ///
    /// - Throws: ``HTTPFailure`` where there is none, the task is cancelled, or the host is being left alone.
    public func send(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        var request = request
        while true {
            let response = try await tries(request)
            guard let next = request.redirected(by: response) else { return response }
            request = next
        }
    }

    /// Gives up every call and ends the threads.
    public func stop() {
        let (first, second) = loops.withLock { loops in
            loops.isStopped = true
            return (loops.publicOnly.take(), loops.anywhere.take())
        }
        first?.stop()
        second?.stop()
    }

    private func tries(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        let host = request.url.authority
        let start = clock.now
        var schedule = RetrySchedule(request.retries, start: start)
        if let address = request.url.address, !request.addresses.permits(address) {
            throw failure(.addressRefused(address.description), request)
        }
        while true {
            try await leave(host, request, isRetry: schedule.count > 0, start: start)
            let began = clock.now
            let result = await once(request)
            let now = clock.now
            let outcome: RetrySchedule.Outcome
            let random = Self.random()
            switch result {
            case .success(let response):
                let pause = RetryAfter.pause(response, wall: clock.wall)
                ledger.withLock {
                    $0.answered(
                        host, status: response.status, bytes: response.body.count, took: now - began, pause: pause,
                        now: now, random: random)
                }
                outcome = .answered(status: response.status, pause: pause)
            case .failure(let failure):
                ledger.withLock { $0.failed(host, failure, took: now - began, now: now, random: random) }
                outcome = .failed(isTransient: failure.isTransient)
            }
            switch schedule.next(after: outcome, now: now, random: random) {
            case .done: return try result.get()
            case .retry(let at): try await wait(until: at, request)
            }
        }
    }

    /// Returns when the host may be called.
    private func leave(_ host: String, _ request: HTTPRequest, isRetry: Bool, start: Tick) async throws(HTTPFailure) {
        while true {
            let now = clock.now
            let refusal: HostLedger.Refusal? = ledger.withLock { ledger in
                do throws(HostLedger.Refusal) {
                    try ledger.ask(host, isRetry: isRetry, now: now)
                    return nil
                } catch {
                    return error
                }
            }
            switch refusal {
            case nil: return
            case .pause(let left)? where now + left - start <= request.retries.total:
                try await wait(until: now + left, request)
            case .pause(let left)?: throw failure(.throttled(seconds: Self.roundedUp(left)), request)
            case .circuit(let left)?: throw failure(.circuitOpen(seconds: Self.roundedUp(left)), request)
            case .tooManyRetries?: throw failure(.circuitOpen(seconds: 60), request)
            }
        }
    }

    private func once(_ request: HTTPRequest) async -> Result<HTTPResponse, HTTPFailure> {
        let loop: WebLoop
        do throws(HostFailure) {
            guard let ready = try readyLoop(request.addresses) else { return .failure(failure(.cancelled, request)) }
            loop = ready
        } catch {
            return .failure(failure(.connection("\(error)"), request))
        }
        return await loop.call(request)
    }

    /// Nil once the client has been stopped.
    private func readyLoop(_ policy: AddressPolicy) throws(HostFailure) -> WebLoop? {
        try loops.withLock { loops throws(HostFailure) in
            guard !loops.isStopped else { return nil }
            let place: WritableKeyPath<Loops, WebLoop?> = policy == .publicOnly ? \.publicOnly : \.anywhere
            if let loop = loops[keyPath: place] { return loop }
            let loop = try WebLoop(settings)
            loops[keyPath: place] = loop
            return loop
        }
    }

    private func wait(until tick: Tick, _ request: HTTPRequest) async throws(HTTPFailure) {
        let left = tick - clock.now
        guard left > .zero else { return }
        do {
            try await Task.sleep(for: .nanoseconds(left.nanoseconds))
        } catch {
            throw failure(.cancelled, request)
        }
    }

    private func failure(_ kind: HTTPFailure.Kind, _ request: HTTPRequest) -> HTTPFailure {
        HTTPFailure(kind, host: request.url.authority, purpose: request.purpose)
    }

    private static func random() -> UInt64 { SystemRandom.bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }

    private static func roundedUp(_ span: Tick.Span) -> Int { Int((span.nanoseconds + 999_999_999) / 1_000_000_000) }
}

extension OutgoingSettings.Proxy {
    /// What this process's environment names.
    public static var ofEnvironment: OutgoingSettings.Proxy? {
        OutgoingSettings.proxy { name in getenv(name).map { String(cString: $0) } }
    }
}
