import Base
import Cryptography
import Host
import HTTP
import Vendors

/// Fetches and keeps the access tokens of all connections to vendors, and makes calls with them.
actor TokenSource {
    private let web: HTTPClient
    private let clock: SystemClock
    private let random: @Sendable (Int) -> [UInt8]
    private var cache = TokenCache()
    /// Fetches under way: whoever wants the same token waits for the same answer.
    private var underWay: [OAuthGrant: Task<AccessToken, any Error>] = [:]

    init(web: HTTPClient, clock: SystemClock, random: @escaping @Sendable (Int) -> [UInt8]) {
        self.web = web
        self.clock = clock
        self.random = random
    }

    /// A token that serves now.
    ///
    /// - Parameter retries: for the call that fetches one, where one must be fetched.
    /// - Throws: ``OAuthRefusal``, or ``HTTPFailure`` where nobody answers.
    func token(for grant: OAuthGrant, retries: RetryPolicy = .background) async throws -> AccessToken {
        switch cache.plan(grant, now: clock.now) {
        case .use(let token): return token
        case .refused(let refusal): throw refusal
        case .wait:
            guard let task = underWay[grant] else { throw CancellationError() }
            return try await task.value
        case .fetch:
            // Not the first asker's own: that one may go away while others wait.
            let task = Task { [self] in try await fetch(grant, retries) }
            underWay[grant] = task
            return try await task.value
        }
    }

    /// Makes a call with a token of the grant in its `Authorization` header. A token that is refused (401) is dropped,
    /// and the call repeated once with a new one; a second 401 is the answer.
    func send(_ request: HTTPRequest, with grant: OAuthGrant) async throws -> HTTPResponse {
        var request = request
        let token = try await token(for: grant, retries: request.retries)
        request.authorization = token.header
        let response = try await web.send(request)
        guard response.status == 401 else { return response }
        cache.drop(token.value, for: grant)
        let fresh = try await self.token(for: grant, retries: request.retries)
        guard fresh.value != token.value else { return response }
        request.authorization = fresh.header
        return try await web.send(request)
    }

    /// Forgets the tokens and refusals of a connection that was changed or removed.
    func forget(connection: String) { cache.forget(connection: connection) }

    private func fetch(_ grant: OAuthGrant, _ retries: RetryPolicy) async throws -> AccessToken {
        defer { underWay[grant] = nil }
        do {
            let askedAt = clock.now
            let request = try grant.request(
                entropy: random(OAuthGrant.entropyLength), now: clock.wall, retries: retries)
            let token = try AccessToken(
                await web.send(request), grant: grant, askedAt: askedAt, wall: clock.wall)
            cache.store(token, for: grant)
            return token
        } catch {
            if let old = cache.fail(error as? OAuthRefusal, for: grant, now: clock.now) { return old }
            throw error
        }
    }
}

extension AccessToken {
    /// As a value of the `Authorization` header (RFC 6750 §2.1).
    fileprivate var header: Secret { Secret(Array("Bearer ".utf8) + value.exposedBytes) }
}
