import Base
import Host
import HTTP
import Identity

/// Fetches and keeps what OpenID providers publish: discovery documents and key sets.
actor OpenIDDocuments {
    private let web: HTTPClient
    private let clock: SystemClock
    private var configurations = DocumentCache<OpenIDConfiguration>()
    private var keySets = DocumentCache<JSONWebKeySet>()
    /// Fetches under way by URL: whoever wants the same document waits for the same answer.
    private var underWay: [String: Task<HTTPResponse, any Error>] = [:]
    /// Why the last fetch of a provider failed.
    private var failures: [String: String] = [:]

    init(web: HTTPClient, clock: SystemClock) {
        self.web = web
        self.clock = clock
    }

    /// What the provider publishes of itself, as fresh as its own word for it demands.
    ///
    /// - Throws: ``OpenIDRefusal``, or ``HTTPFailure`` where there is neither an answer nor an older document.
    func configuration(of provider: OpenIDProvider) async throws -> OpenIDConfiguration {
        guard let request = provider.discoveryRequest else {
            throw OpenIDRefusal(.configuration, "The issuer of '\(provider.id)' is no URL.")
        }
        let source = "\(request.url) \(provider.issuer)"
        switch configurations.plan(provider.id, source: source, now: clock.now) {
        case .use(let document): return document
        case .wait: throw OpenIDRefusal(.discovery, failures[provider.id] ?? "It could not be read a moment ago.")
        case .fetch(let old):
            do {
                let response = try await fetch(request)
                let fresh = try OpenIDConfiguration(response.body, issuer: provider.issuer)
                configurations.store(fresh, provider.id, source: source, maxAge: response.maxAge, now: clock.now)
                return fresh
            } catch {
                configurations.fail(provider.id, source: source, now: clock.now)
                failures[provider.id] = "\(error)"
                if let old { return old }
                throw error
            }
        }
    }

    /// The provider's keys, asked for anew, within bounds, when the one that `token` names is not among them.
    func keys(
        of provider: OpenIDProvider, _ configuration: OpenIDConfiguration, for token: String
    ) async throws -> JSONWebKeySet {
        let request = provider.keySetRequest(configuration)
        let source = request.url.description
        let plan = keySets.plan(provider.id, source: source, now: clock.now) { $0.mayHaveKey(of: token) }
        switch plan {
        case .use(let keys): return keys
        case .wait: throw OpenIDRefusal(.discovery, "The key set of '\(provider.id)' could not be read a moment ago.")
        case .fetch(let old):
            do {
                let response = try await fetch(request)
                let fresh = try await JSONWebKeySet(String(decoding: response.body, as: UTF8.self))
                keySets.store(fresh, provider.id, source: source, maxAge: response.maxAge, now: clock.now)
                return fresh
            } catch {
                keySets.fail(provider.id, source: source, now: clock.now)
                if let old { return old }
                throw error
            }
        }
    }

    private func fetch(_ request: HTTPRequest) async throws -> HTTPResponse {
        let key = request.url.description
        if let task = underWay[key] { return try await task.value }
        // Not the first asker's own: that one may go away while others wait.
        let task = Task { [web] () async throws -> HTTPResponse in
            let response = try await web.send(request)
            guard response.status == 200 else {
                throw OpenIDRefusal(
                    .discovery, "\(request.url.authority) answered with status \(response.status) when asked for "
                        + "\(request.purpose).")
            }
            return response
        }
        underWay[key] = task
        defer { underWay[key] = nil }
        return try await task.value
    }
}
