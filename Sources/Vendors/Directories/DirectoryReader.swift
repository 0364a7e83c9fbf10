public import Base
public import HTTP
public import Identity
internal import JSONText

/// Reads one directory: everything, or what changed since the last time. A value: it says what is to be asked next, takes
/// the answer, and puts what it learns into a mirror. It does no I/O and can stop at any answer and go on later.
public protocol DirectoryReader: Sendable {
    /// What is to be asked next; nil when everything is read.
    var question: DirectoryQuestion? { get }
    /// How long to wait before that, so that others who use the same directory are not held up.
    var pause: Tick.Span { get }

    /// Takes the answer to ``question``.
    ///
    /// - Throws: ``DirectoryFault``. With ``DirectoryFault/Kind/throttled(_:)`` and ``DirectoryFault/Kind/transient`` the same
    ///   question can be asked again.
    mutating func receive(
        _ answer: DirectoryAnswer, into mirror: inout DirectoryMirror, now: WallTime
    ) throws(DirectoryFault)

    /// Where the next reading begins, once this one is whole. Nothing secret.
    var cursor: [String: String] { get }
    /// When what proves us ends, as far as the directory says.
    var secretEndsAt: WallTime? { get }
    /// Where this reading is, to go on there after a restart; nil where the directory's pages do not outlive a connection.
    var bookmark: DirectoryBookmark? { get }
}

/// Where a reading is, in its reader's own words. Nothing secret.
public typealias DirectoryBookmark = [String: [String]]

/// What a reader asks: one request over the web, without the proof of who we are, or one search in an LDAP directory.
public enum DirectoryQuestion: Sendable {
    case web(HTTPRequest)
    case search(LDAPSearch)
}

/// What came back.
public enum DirectoryAnswer: Sendable {
    case web(HTTPResponse)
    case search(LDAPResult)
}

extension Directory {
    /// A reader for it.
    ///
    /// - Parameters:
    ///   - cursor: where the last reading ended; nil reads everything.
    ///   - onlyGroups: reads the names of the groups alone, to choose from.
    /// - Throws: ``DirectoryFault`` where the definition cannot be used.
    public func reader(
        since cursor: [String: String]?, onlyGroups: Bool = false
    ) throws(DirectoryFault) -> any DirectoryReader {
        switch kind {
        case .entra: try EntraReader(self, since: cursor, onlyGroups: onlyGroups)
        case .okta: try OktaReader(self, since: cursor, onlyGroups: onlyGroups)
        case .google: try GoogleReader(self, onlyGroups: onlyGroups)
        case .activeDirectory: ActiveDirectoryReader(self, since: cursor, onlyGroups: onlyGroups)
        case .agent:
            throw DirectoryFault(.refused, "An agent brings what is in '\(id)'; it is not asked.")
        }
    }

    /// A reader that goes on where another one was.
    ///
    /// - Returns: nil where it cannot: then everything is read anew.
    public func reader(at bookmark: DirectoryBookmark) -> (any DirectoryReader)? {
        switch kind {
        case .entra: EntraReader.resumed(self, at: bookmark)
        case .okta: OktaReader.resumed(self, at: bookmark)
        case .google: GoogleReader.resumed(self, at: bookmark)
        case .activeDirectory, .agent: nil
        }
    }

    /// Where its API is.
    func api(_ standard: String) throws(DirectoryFault) -> WebURL {
        let text = apiURL ?? standard
        guard let url = WebURL(text.hasSuffix("/") ? String(text.dropLast()) : text), url.query == nil else {
            throw DirectoryFault(.refused, "The API address of '\(id)', \(text), is no https:// URL without a query.")
        }
        return url
    }

    /// A page that a bookmark names; it is none of ours on another host.
    func page(_ bookmark: DirectoryBookmark, on base: WebURL) -> WebURL? {
        (bookmark["next"]?.first).flatMap(WebURL.init).flatMap { $0.authority == base.authority ? $0 : nil }
    }

    /// A request to its API; the proof of who we are is added by whoever sends it.
    func request(_ url: WebURL, _ what: String) -> HTTPRequest {
        var request = HTTPRequest(
            .get, url, purpose: "\(what) of the directory '\(id)'", retries: .background)
        request.headers = [("Accept", "application/json")]
        request.limits.time = .seconds(60)
        request.limits.bodyBytes = 32 << 20
        // Only an address that an administrator typed may be a private one.
        request.addresses = apiURL != nil || kind == .okta ? .anywhere : .publicOnly
        return request
    }
}

/// What answers of all vendors have in common.
struct DirectoryResponse {
    var response: HTTPResponse
    /// Such as `Microsoft Graph`.
    var vendor: String

    /// The body as JSON.
    func tree() throws(DirectoryFault) -> JSONTree {
        guard let text = String(validating: response.body, as: UTF8.self) else {
            throw malformed("the answer is not UTF-8 text")
        }
        do {
            return try JSONTree.parse(text)
        } catch {
            throw malformed("the answer is no JSON (\(error))")
        }
    }

    func malformed(_ reason: String) -> DirectoryFault {
        DirectoryFault(.malformed, "\(vendor) sent something that cannot be used: \(reason).")
    }

    /// What every vendor means by a status; nil where the vendor's own words are needed.
    func commonFault(_ now: WallTime) -> DirectoryFault? {
        let status = response.status
        switch status {
        case 200: return nil
        case 401: return DirectoryFault(.unauthorised, "\(vendor) does not accept the token (401).")
        case 429:
            let pause = RetryAfter.pause(response, wall: now) ?? .seconds(30)
            return DirectoryFault(.throttled(pause), "\(vendor) asks for a pause of \(Int(pause.seconds.rounded(.up))) s.")
        case 408, 500, 502, 503, 504:
            if let pause = RetryAfter.pause(response, wall: now) {
                return DirectoryFault(.throttled(pause), "\(vendor) has a bad moment (status \(status)) and asks for a pause.")
            }
            return DirectoryFault(.transient, "\(vendor) has a bad moment (status \(status)).")
        default: return nil
        }
    }

    /// A clause of the vendor's own, short and printable.
    static func clause(_ text: String?) -> String {
        guard let text, !text.isEmpty else { return "" }
        let line = text.prefix { $0 != "\n" && $0 != "\r" }
        return ": \(String(line.prefix(200)).quotedForPeople)"
    }
}

extension String {
    /// Without characters that do not print.
    var quotedForPeople: String {
        String(String.UnicodeScalarView(unicodeScalars.filter { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }))
    }
}
