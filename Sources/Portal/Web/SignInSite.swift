import Base
import Cryptography
import Identity
import JSONText
import Synchronization

/// Where the sign-in pages are, as browsers and identity providers know them.
public struct SiteAddress: Hashable, Sendable {
    /// Scheme, host and port, such as `https://gate.example.com` or `https://10.0.0.1:8443`.
    public let origin: String
    /// Host and port as a `Host` header says them.
    public let host: String
    /// The host alone.
    public let name: String
    public let port: UInt16

    /// Reads an address of `https` without a path. Nil for anything else.
    public init?(_ text: String) {
        let scheme = "https://"
        guard text.lowercased().hasPrefix(scheme) else { return nil }
        var rest = text.dropFirst(scheme.utf8.count).lowercased()
        if rest.hasSuffix("/") { rest.removeLast() }
        guard !rest.isEmpty, rest.utf8.count <= 255,
            rest.utf8.allSatisfy({
                (48...57).contains($0) || (97...122).contains($0) || "-.:[]".utf8.contains($0)
            })
        else { return nil }
        let end = rest.lastIndex(of: "]").map { rest.index(after: $0) } ?? rest.lastIndex(of: ":") ?? rest.endIndex
        let portText = rest[end...]
        if portText.isEmpty {
            port = 443
        } else {
            guard portText.hasPrefix(":"), let number = UInt16(portText.dropFirst()), number > 0 else { return nil }
            port = number
        }
        name = rest[..<end].filter { $0 != "[" && $0 != "]" }
        guard !name.isEmpty else { return nil }
        host = String(rest[..<end]) + (port == 443 ? "" : ":\(port)")
        origin = scheme + host
    }

    public var acsURL: String { origin + "/user/external/saml" }
    public var logoutURL: String { origin + "/user/external/saml/logout" }
    /// Where OpenID providers send browsers back to, exactly as it is registered there.
    public var redirectURI: String { origin + "/user/external" }
    public var backChannelLogoutURL: String { origin + "/user/external/oidc/logout" }
    public func metadataURL(_ provider: String) -> String { origin + "/user/external/saml/metadata/" + provider }
}

/// The sign-in pages: from a request to an answer. Holds nothing of anybody, but how often an address came.
final class SignInSite: Sendable {
    private struct Limits {
        var pages = AddressLimit(burst: 120, perMinute: 120)
        var signIns = AddressLimit(burst: 20, perMinute: 20)
    }

    let address: SiteAddress
    private let api: any SignInAPI
    private let random: @Sendable (Int) -> [UInt8]
    private let wall: @Sendable () -> WallTime
    private let tick: @Sendable () -> Tick
    /// Makes tokens out of cookies; new with every start.
    private let key: Secret
    private let limits = Mutex(Limits())

    /// Says who asks when a form comes from our own pages.
    private static let visitorCookie = "__Host-gatehouse"
    /// Binds a request to the browser that it went through. Must survive the provider's post from its own site.
    private static let requestCookie = "__Host-gatehouse-request"
    /// Below it are the requests of directory agents.
    static let agentPath = "/api/v1/"

    init(
        address: SiteAddress, api: any SignInAPI, random: @escaping @Sendable (Int) -> [UInt8],
        wall: @escaping @Sendable () -> WallTime, tick: @escaping @Sendable () -> Tick
    ) {
        self.address = address
        self.api = api
        self.random = random
        self.wall = wall
        self.tick = tick
        key = Secret(random(32))
    }

    func answer(_ request: WebRequest) async -> WebAnswer {
        let isPost = request.method == "POST"
        guard isPost || request.method == "GET" || request.method == "HEAD" else {
            return .page(Pages.plain("Not like that", "This page does not take such requests.", status: 405))
        }
        switch request.path {
        case "/style.css":
            return WebAnswer(status: 200, contentType: "text/css; charset=utf-8", body: Assets.style, isLasting: true)
        case "/icon.svg", "/favicon.ico":
            return WebAnswer(status: 200, contentType: "image/svg+xml", body: Assets.icon, isLasting: true)
        default: break
        }
        // A provider sends its log-outs from few addresses, perhaps many at a time.
        let isBackChannel = isPost && request.path == "/user/external/oidc/logout"
        let isSignIn = request.path.hasPrefix("/user/") && !isBackChannel
        let isAdmitted = limits.withLock { limits in
            let now = tick()
            return limits.pages.admits(request.address, now: now)
                && (!isSignIn || limits.signIns.admits(request.address, now: now))
        }
        guard isAdmitted else {
            return .page(
                Pages.plain(
                    "Slow down, please", "Too many requests came from your address. Wait a minute and try again.",
                    status: 429))
        }
        // Cookies belong to one name: whoever came by another is led to the one that providers know.
        let isAgent = request.path.hasPrefix(Self.agentPath)
        guard request.host?.lowercased() == address.host || isHealthQuestion(request) || isAgent else {
            return isPost
                ? .page(Pages.plain("Wrong address", "This gateway is at \(address.origin).", status: 421))
                : WebAnswer(status: 307, location: address.origin + (request.path == "/" ? "/" : request.path))
        }
        if isAgent {
            guard isPost else { return .json(#"{"error":"invalid_request"}"#, status: 405) }
            let answer = await api.agentRequest(
                AgentRequest(
                    name: String(request.path.dropFirst(Self.agentPath.count)), authorization: request.authorization,
                    form: request.form(), body: request.body, address: request.address))
            return .json(answer.body, status: answer.status)
        }
        switch (request.method, request.path) {
        case ("POST", "/user/external/saml"): return await finish(request)
        case ("GET", "/user/external"): return await finishOpenID(request)
        case ("POST", "/user/external/oidc/logout"): return await receiveBackChannelLogout(request)
        case ("POST", "/user/sign-out"): return await signOut(request)
        case (_, "/"): return await home(request)
        case (_, "/user/external/saml"):
            return .page(
                Pages.plain(
                    "Nothing to see here", "Identity providers post their answers to this address.", status: 405))
        case (_, "/user/signed-out"): return .page(Pages.signedOut)
        case ("GET", "/user/external/saml/logout"): return await receiveLogout(request)
        case (_, "/captive-portal/api"): return await captive(request)
        default: break
        }
        if !isPost, let provider = tail(request.path, "/user/sign-in/") { return await begin(provider, request) }
        if !isPost, let provider = tail(request.path, "/user/external/saml/metadata/") {
            guard let metadata = await api.metadata(provider: provider) else {
                return .page(Pages.plain("No such page", "There is no identity provider of that name.", status: 404))
            }
            return WebAnswer(status: 200, contentType: "application/samlmetadata+xml", body: metadata)
        }
        return .page(Pages.plain("No such page", "There is nothing at this address.", status: 404))
    }

    private func isHealthQuestion(_ request: WebRequest) -> Bool { request.path == "/captive-portal/api" }

    private func tail(_ path: String, _ prefix: String) -> String? {
        guard path.hasPrefix(prefix), path.utf8.count > prefix.utf8.count else { return nil }
        return String(path.dropFirst(prefix.count))
    }

    // MARK: - Pages

    private func home(_ request: WebRequest) async -> WebAnswer {
        guard let standing = await api.standing(at: request.address) else {
            return .page(Pages.signIn(await api.signInChoices()))
        }
        var answer: WebAnswer
        if let visitor = request.cookies[Self.visitorCookie], visitor.utf8.count == 32 {
            answer = .page(Pages.connected(standing, token: token(visitor), now: wall()))
        } else {
            let visitor = random(16).hexadecimal
            answer = .page(Pages.connected(standing, token: token(visitor), now: wall()))
            answer.cookies = ["\(Self.visitorCookie)=\(visitor); Path=/; Secure; HttpOnly; SameSite=Strict"]
        }
        return answer
    }

    private func begin(_ provider: String, _ request: WebRequest) async -> WebAnswer {
        // One secret for all that this browser begins: several windows may sign in at once.
        let known = request.cookies[Self.requestCookie].flatMap { $0.utf8.count == 64 ? $0 : nil }
        let browser = known ?? random(32).hexadecimal
        var answer: WebAnswer
        do throws(SignInProblem) {
            switch try await api.beginSignIn(provider: provider, browser: browser, address: request.address) {
            case .redirect(let location): answer = .seeOther(location)
            case .form(let action, let fields):
                let choice = await api.signInChoices().first { $0.id == provider }
                answer = .page(
                    Pages.handOver(
                        choice?.title ?? provider, action: action, fields: fields, origin: choice?.formOrigin ?? "'none'"))
            }
        } catch {
            return .page(Pages.problem(error))
        }
        answer.cookies = [
            "\(Self.requestCookie)=\(browser); Path=/; Max-Age=900; Secure; HttpOnly; SameSite=None"
        ]
        return answer
    }

    private func finish(_ request: WebRequest) async -> WebAnswer {
        guard let form = request.form(), let message = form["SAMLResponse"], !message.isEmpty else {
            return .page(
                Pages.plain("Nothing came", "The identity provider’s answer is missing or damaged.", status: 400))
        }
        let relayState = form["RelayState"].map { String(decoding: $0, as: UTF8.self) }.flatMap { $0.isEmpty ? nil : $0 }
        do throws(SignInProblem) {
            try await api.finishSignIn(
                message: message, relayState: relayState, browser: request.cookies[Self.requestCookie],
                address: request.address)
        } catch {
            return .page(Pages.problem(error))
        }
        return .seeOther(LocalPath.from(relayState: relayState))
    }

    private func finishOpenID(_ request: WebRequest) async -> WebAnswer {
        do throws(SignInProblem) {
            try await api.finishSignIn(
                query: request.query, browser: request.cookies[Self.requestCookie], address: request.address)
        } catch {
            return .page(Pages.problem(error))
        }
        return .seeOther("/")
    }

    /// The answer is for a program (OpenID Connect Back-Channel Logout 1.0 §2.8).
    private func receiveBackChannelLogout(_ request: WebRequest) async -> WebAnswer {
        if let token = request.form()?["logout_token"].flatMap({ String(validating: $0, as: UTF8.self) }),
            await api.receiveLogout(token: token)
        {
            return WebAnswer(status: 200, contentType: "application/json", body: "{}\n")
        }
        return WebAnswer(
            status: 400, contentType: "application/json", body: #"{"error":"invalid_request"}"# + "\n")
    }

    private func signOut(_ request: WebRequest) async -> WebAnswer {
        guard let form = request.form(), let visitor = request.cookies[Self.visitorCookie], let given = form["token"],
            Secret(given) == Secret(Array(token(visitor).utf8))
        else {
            return .page(
                Pages.plain(
                    "Please try again", "This page was too old to sign you out. Go back and press the button again.",
                    status: 403))
        }
        let location = await api.signOut(at: request.address)
        return .seeOther(location ?? "/user/signed-out")
    }

    private func receiveLogout(_ request: WebRequest) async -> WebAnswer {
        do throws(SignInProblem) {
            return try await api.receiveLogout(query: request.query).map { .seeOther($0) } ?? .page(Pages.signedOut)
        } catch {
            return .page(Pages.problem(error))
        }
    }

    /// RFC 8908.
    private func captive(_ request: WebRequest) async -> WebAnswer {
        let standing = await api.standing(at: request.address)
        var members = [
            JSON.Member("captive", .bool(standing == nil)), JSON.Member("user-portal-url", .string(address.origin + "/")),
        ]
        if let standing {
            let left = max(0, (standing.expiresAt.nanoseconds &- wall().nanoseconds) / 1_000_000_000)
            members.append(JSON.Member("seconds-remaining", .number(String(left))))
        }
        return WebAnswer(
            status: 200, contentType: "application/captive+json", body: JSON.object(members).text() + "\n")
    }

    /// A form with it was made for the browser with this cookie.
    private func token(_ visitor: String) -> String {
        PRF.compute(.sha256, key: key, [Array(visitor.utf8)]).exposedBytes.hexadecimal
    }
}
