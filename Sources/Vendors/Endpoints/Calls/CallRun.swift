public import Access
public import Base
import Cryptography
public import HTTP
public import JSONText

/// One call with all its pages: gives requests, takes answers, and knows when it is through. No I/O.
public struct CallRun: Sendable {
    /// What is asked for.
    public enum Purpose: Hashable, Sendable {
        /// Everything.
        case all
        /// What has changed since.
        case changes(since: WallTime)
        /// One endpoint by the vendor's ID.
        case endpoint(id: String)
        /// Endpoints with something of a device's.
        case mac(MACAddress)
        case host(String)
        case address(IPAddress)
    }

    private let connection: EndpointConnection
    private let profile: EndpointProfile
    private let call: CallTemplate
    private let purpose: Purpose
    private let base: WebURL
    private let now: WallTime
    private let retries: RetryPolicy
    /// For the number of each request, which some answers repeat.
    private let entropy: String
    private let items: FieldPath

    /// The request that is due; nil when the call is through.
    public private(set) var request: HTTPRequest?
    private var number = 0
    private var page = 1
    private var offset = 0
    private var received = 0
    /// How many rows there are, as the vendor said last; nil where it does not.
    public private(set) var total: Int?
    /// How many rows the vendor first said there are: those that come to be while pages are read are another call's matter.
    private var expected: Int?
    /// What led to the pages so far, so that none comes twice.
    private var seen: Set<String> = []
    private var lastPage: [String] = []

    /// - Parameters:
    ///   - name: the profile's name of the call.
    ///   - entropy: random bytes.
    ///   - now: the time of day.
    /// - Throws: ``VendorFailure`` where the profile has no such call, or the connection cannot make it.
    public init(
        _ connection: EndpointConnection, _ profile: EndpointProfile, call name: String, _ purpose: Purpose,
        entropy: [UInt8], now: WallTime, retries: RetryPolicy = .background
    ) throws(VendorFailure) {
        guard let call = profile.call(name) else {
            throw VendorFailure(.configuration, connection: connection.id, host: "", detail: "has no call '\(name)'")
        }
        try self.init(connection, profile, call, purpose, entropy: entropy, now: now, retries: retries)
    }

    init(
        _ connection: EndpointConnection, _ profile: EndpointProfile, _ call: CallTemplate, _ purpose: Purpose,
        entropy: [UInt8], now: WallTime, retries: RetryPolicy
    ) throws(VendorFailure) {
        self.connection = connection
        self.profile = profile
        self.call = call
        self.purpose = purpose
        self.now = now
        self.retries = retries
        self.entropy = Array(entropy).hexadecimal
        base = try connection.base(profile).get()
        items = call.lookUp(for: purpose)?.items ?? call.items
        request = try makeRequest()
    }

    // MARK: - Requests

    private func makeRequest() throws(VendorFailure) -> HTTPRequest {
        guard let substitution else {
            throw VendorFailure(
                .configuration, connection: connection.id, host: base.authority,
                detail: "cannot be asked for an endpoint by that")
        }
        let lookUp = call.lookUp(for: purpose)
        let isByID = if case .endpoint = purpose { true } else { false }
        var inPath = substitution
        if isByID { inPath.values["id"] = substitution.values["id"].map(FormEncoding.escape) }
        let path = inPath.text(lookUp?.path ?? call.path)
        guard let url = WebURL(base.origin + (base.path == "/" ? "" : base.path) + path) else {
            throw VendorFailure(
                .configuration, connection: connection.id, host: base.authority, detail: "has no place '\(path)'")
        }
        var pairs = lookUp?.isAlone == true ? [] : call.query
        if case .changes = purpose { pairs += call.changes?.query ?? [] }
        pairs += lookUp?.query ?? []
        var query = pairs.map { ($0.name, substitution.text($0.value)) }
        switch call.paging {
        case .cursor(_, let parameter):
            if let cursor = substitution.values["cursor"] { query.append((parameter, cursor)) }
        case .link(_, let parameter?, _):
            if offset > 0 { query.append((parameter, String(offset))) }
        default: break
        }
        var request = request(to: query.isEmpty ? url : url.adding(query))
        if let body = lookUp?.body ?? call.body {
            request.headers.append(("Content-Type", "application/json"))
            request.body = Secret(Array(substitution.json(body).text().utf8))
        }
        return request
    }

    private func request(to url: WebURL) -> HTTPRequest {
        var request = HTTPRequest(
            call.method, url, purpose: "the \(call.name) of '\(connection.id)'", retries: retries)
        request.headers = [("Accept", "application/json")]
        request.authorization = profile.authorizationHeader(connection)
        request.addresses = connection.addresses(for: url, base)
        request.limits.bodyBytes = call.bodyBytes
        if retries == .signIn { request.limits.time = .seconds(5) }
        if call.bodyBytes > 8 << 20 { request.limits.time = .seconds(120) }
        return request
    }

    /// Nil where the profile has no way to ask for that, or what is asked for holds signs that no device's name has.
    private var substitution: Substitution? {
        var values = connection.values
        if call.usesKey, let key = connection.key { values["key"] = String(decoding: key.exposedBytes, as: UTF8.self) }
        values["request"] = "\(entropy)-\(number)"
        values["page"] = String(page)
        values["offset"] = String(offset)
        var since: WallTime?
        switch purpose {
        case .all: break
        case .changes(let last):
            guard let changes = call.changes else { return nil }
            since = last + .seconds(-changes.overlap)
        case .endpoint(let id):
            guard call.isPerEndpoint || call.lookUp(for: purpose) != nil, !id.contains("'") else { return nil }
            values["id"] = id
        case .mac(let mac):
            guard call.lookUp(for: purpose) != nil else { return nil }
            values["mac"] = mac.description
            values["mac-dashes"] = mac.description.split(separator: ":").joined(separator: "-")
            values["mac-plain"] = mac.description.filter { $0 != ":" }
        case .host(let host):
            guard call.lookUp(for: purpose) != nil, host.hasOnlyNameCharacters else { return nil }
            values["host"] = host
        case .address(let address):
            guard call.lookUp(for: purpose) != nil else { return nil }
            values["address"] = address.description
        }
        if let cursor { values["cursor"] = cursor }
        values.merge(Substitution.times(now, since: since)) { _, time in time }
        return Substitution(values: values)
    }

    private var cursor: String?

    // MARK: - Answers

    /// Takes an answer; ``request`` is then the next one, if there is one.
    ///
    /// - Returns: the rows of this page.
    public mutating func receive(_ response: HTTPResponse) throws(VendorFailure) -> [JSONTree] {
        let sent = substitution?.values["request"]
        request = nil
        guard let document = try document(response) else { return [] }
        if let echo = call.echo, let sent, echo.first(in: document)?.scalar != sent {
            throw failure(.unreadable, "answered another question than this one")
        }
        let isRow = items.description.hasSuffix("[]")
        guard items.hasList(in: document) else {
            throw failure(.unreadable, "answered without '\(items)', where its rows should be")
        }
        let rows = items.values(in: document).filter(\.isObject)
        // A page without rows knows nothing of the whole: some say zero there.
        if let said = call.total?.first(in: document)?.scalar.flatMap({ Int($0) }), said >= 0, total == nil || !rows.isEmpty {
            total = said
        }
        expected = expected ?? total
        received += rows.count
        number += 1
        if isRow { try turn(document, rows) }
        return rows
    }

    /// All came in one answer, so that nothing moved meanwhile.
    public var isAtomic: Bool { number <= 1 }

    /// Of a call that is through: that it has fewer rows than the vendor said there are; nil where nothing is known to be
    /// missing.
    public var shortage: VendorFailure? {
        guard let expected, received < expected else { return nil }
        return failure(.unreadable, "gave \(received) of \(expected) rows of \(call.name)")
    }

    /// The next page, where there is one.
    private mutating func turn(_ document: JSONTree, _ rows: [JSONTree]) throws(VendorFailure) {
        guard number < CallTemplate.pageLimit else { throw failure(.unreadable, "has pages without end") }
        switch call.paging {
        case .none: return
        case .cursor(let at, _):
            guard let next = at.first(in: document)?.scalar, !next.isEmpty else { return }
            try note(next)
            cursor = next
        case .pages(let count, let size):
            let last = count?.first(in: document)?.scalar.flatMap { Int($0) }
            guard !rows.isEmpty else { return }
            // A server that does not know the parameter gives the first page for ever: what is all there is, where it
            // neither says that there is more nor could mean a page.
            let ids = rows.map { profile.endpoint.id($0) ?? JSON($0).text() }
            if ids == lastPage, last == nil, total == nil, rows.count != size { return }
            guard ids != lastPage else { throw failure(.unreadable, "gives the same page again and again") }
            lastPage = ids
            // Where nobody says how much there is, what follows a full page is known by asking alone.
            guard last.map({ page < $0 }) ?? total.map({ received < $0 }) ?? (rows.count >= size) else { return }
            page += 1
        case .offset(let size):
            guard rows.count >= size else { return }
            offset += rows.count
        case .link(let at, let parameter, let size):
            if let link = at.first(in: document)?.string {
                try note(link)
                guard let url = base.resolving(link), url.authority == base.authority else {
                    throw failure(.unreadable, "leads on to another host, where its credentials must not go")
                }
                request = request(to: url)
                return
            }
            guard parameter != nil, size > 0, rows.count >= size else { return }
            offset += rows.count
        }
        request = try makeRequest()
    }

    /// A page that was asked for because nobody says how many there are.
    private var isBehindTheEnd: Bool {
        guard case .pages = call.paging else { return false }
        return number > 0 && total == nil
    }

    private mutating func note(_ next: String) throws(VendorFailure) {
        guard seen.insert(next).inserted else { throw failure(.unreadable, "gives the same page again and again") }
    }

    /// The answer as JSON; nil where its status says that there are no rows.
    private func document(_ response: HTTPResponse) throws(VendorFailure) -> JSONTree? {
        let tree = String(validating: response.body, as: UTF8.self).flatMap { try? JSONTree.parse($0) }
        let error = tree.flatMap { profile.errors.read($0) }
        if (200..<300).contains(response.status) {
            guard let tree else {
                throw failure(.unreadable, "answered with \(response.kindOfBody) in the place of JSON")
            }
            guard let error else { return tree }
            throw failure(error.kind, "refuses \(call.name): \(error.words)", error.advice)
        }
        if call.emptyStatuses.contains(response.status) || (response.status == 404 && (isForOne || isBehindTheEnd)) {
            return nil
        }
        let words = error.map { " (\(response.status), \($0.words))" } ?? " (\(response.status))"
        switch response.status {
        case 401: throw failure(.authentication, "refused the \(profile.keyLabel)\(words)", profile.keyAdvice)
        case 403:
            throw failure(
                .permission, "does not permit this \(profile.keyLabel) to read \(call.name)\(words)",
                call.permission.map { "Grant it: \($0)." } ?? "")
        case 429: throw failure(.throttled, "asks for a pause\(words)")
        case 300..<400:
            // A dead key leads to a page to sign in.
            throw failure(.authentication, "leads elsewhere in the place of an answer\(words)", profile.keyAdvice)
        case 408, 500...: throw failure(.unavailable, "is in trouble\(words)")
        default: throw failure(error?.kind ?? .refused, "refuses \(call.name)\(words)", error?.advice ?? "")
        }
    }

    private var isForOne: Bool {
        switch purpose {
        case .all, .changes: false
        case .endpoint, .mac, .host, .address: true
        }
    }

    private func failure(_ kind: VendorFailure.Kind, _ detail: String, _ advice: String = "") -> VendorFailure {
        VendorFailure(kind, connection: connection.id, host: base.authority, detail: detail, advice: advice)
    }
}

extension CallTemplate {
    func lookUp(for purpose: CallRun.Purpose) -> LookUp? {
        let key: LookUp.Key
        switch purpose {
        case .all, .changes: return nil
        case .endpoint: key = .id
        case .mac: key = .mac
        case .host: key = .host
        case .address: key = .address
        }
        return lookUps.first { $0.by == key }
    }

    /// Whether the key itself stands in the body.
    var usesKey: Bool { body?.text().contains("{key}") ?? false }
}

extension HTTPResponse {
    /// What stands in the body, as an administrator would call it.
    fileprivate var kindOfBody: String {
        if body.isEmpty { return "nothing" }
        let start = String(decoding: body.prefix(200), as: UTF8.self).lowercased()
        return start.contains("<html") || start.contains("<!doctype") ? "a web page" : "half an answer or something else"
    }
}

extension ErrorShape {
    /// The error that an answer holds, if it holds one.
    func read(_ tree: JSONTree) -> (kind: VendorFailure.Kind, words: String, advice: String)? {
        guard let error = at?.first(in: tree) else { return nil }
        let code = code?.first(in: error)?.scalar
        let parts = [code, message?.first(in: error)?.scalar, detail?.first(in: error)?.scalar]
        let words = parts.compactMap(\.self).map { $0.filter { !$0.isNewline }.prefix(200) }.joined(separator: ": ")
        let kind: VendorFailure.Kind =
            code.map { transient.contains($0) ? .unavailable : gone.contains($0) ? .gone : .refused } ?? .refused
        return (kind, words.isEmpty ? "without a word" : words, code.flatMap { advice[$0] } ?? "")
    }
}

extension EndpointProfile {
    /// The header that shows who we are; nil with OAuth, where a token does.
    func authorizationHeader(_ connection: EndpointConnection) -> Secret? {
        guard let key = connection.key else { return nil }
        var substitution = Substitution(values: connection.values)
        substitution.values["key"] = String(decoding: key.exposedBytes, as: UTF8.self)
        switch authorization {
        case .header(let template): return Secret(Array(substitution.text(template).utf8))
        case .basic(let template):
            return Secret(Array(("Basic " + Array(substitution.text(template).utf8).base64).utf8))
        case .oauth: return nil
        }
    }

    /// How a connection gets its token; nil where it needs none.
    public func grant(_ connection: EndpointConnection) throws(VendorFailure) -> OAuthGrant? {
        guard case .oauth(let endpoint, let client, let scopes) = authorization else { return nil }
        let usual = Substitution(values: connection.values).text(endpoint)
        let typed = connection.values["token-url"]
        let isTyped = typed != nil
        let text = typed ?? usual
        // A host alone, such as that of another cloud, has the same path as the usual one.
        let url = WebURL(text).flatMap { url in
            url.path == "/" && url.query == nil ? WebURL(usual).flatMap { WebURL(url.origin + $0.path) } : url
        }
        guard let url, let key = connection.key else {
            throw VendorFailure(
                .configuration, connection: connection.id, host: "", detail: "'\(text)' is no place to ask for tokens.")
        }
        return OAuthGrant(
            connection: connection.id, endpoint: url, clientID: connection.values[client] ?? "", proof: .secret(key),
            scopes: scopes, addresses: isTyped && connection.allowsAnyHost ? .anywhere : .publicOnly)
    }

    /// Asks for nothing but a sign of life; nil where the profile has no such call.
    public func testRun(
        _ connection: EndpointConnection, entropy: [UInt8], now: WallTime
    ) throws(VendorFailure) -> CallRun? {
        guard let test else { return nil }
        return try CallRun(connection, self, test, .all, entropy: entropy, now: now, retries: .signIn)
    }

    /// Asks when the key ends; nil where the profile has no such call.
    public func keyEndRun(
        _ connection: EndpointConnection, entropy: [UInt8], now: WallTime
    ) throws(VendorFailure) -> CallRun? {
        guard let keyEnd else { return nil }
        return try CallRun(connection, self, keyEnd.call, .all, entropy: entropy, now: now, retries: .signIn)
    }
}
