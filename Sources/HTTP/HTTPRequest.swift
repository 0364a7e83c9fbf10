public import Base
public import Cryptography

/// An outgoing call, as a value: what is asked of whom, and within which limits.
public struct HTTPRequest: Sendable {
    public enum Method: String, Hashable, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    /// What a call may cost.
    public struct Limits: Hashable, Sendable {
        /// From the first packet to the last byte of the answer.
        public var time = Tick.Span.seconds(30)
        /// For the connection to stand, TLS included.
        public var connectTime = Tick.Span.seconds(10)
        /// Bytes of the answer's body, unpacked.
        public var bodyBytes = 8 << 20
        /// Redirects that are followed, each under the same rules. A call with credentials follows none.
        public var redirects = 0

        public init() {}

        /// For a person who waits in front of a browser.
        public static var signIn: Limits {
            var limits = Limits()
            limits.time = .seconds(10)
            limits.connectTime = .seconds(5)
            limits.bodyBytes = 1 << 20
            return limits
        }
    }

    public var method: Method
    public var url: WebURL
    /// In the order in which they are sent. Nothing secret: that is ``authorization`` and ``body``.
    public var headers: [(name: String, value: String)] = []
    /// The value of the `Authorization` header.
    public var authorization: Secret?
    public var body: Secret?
    public var limits = Limits()
    public var addresses = AddressPolicy.publicOnly
    public var retries: RetryPolicy
    /// What the call is for, in the words of logs and errors: "the key set of 'okta'". Nothing secret.
    public var purpose: String

    public init(_ method: Method, _ url: WebURL, purpose: String, retries: RetryPolicy = .none) {
        self.method = method
        self.url = url
        self.purpose = purpose
        self.retries = retries
    }

    /// Whether redirects may be followed: never with anything that only the first host should see.
    public var followsRedirects: Bool { limits.redirects > 0 && method == .get && authorization == nil && body == nil }

    /// The request that a redirect leads to; nil where it is not followed (RFC 9110 §15.4).
    public func redirected(by response: HTTPResponse) -> HTTPRequest? {
        guard followsRedirects, [301, 302, 303, 307, 308].contains(response.status),
            let target = response["location"].flatMap(url.resolving)
        else { return nil }
        var next = self
        next.limits.redirects -= 1
        // The administrator named the first host, not where it leads.
        if target.authority != url.authority { next.addresses = .publicOnly }
        next.url = target
        return next
    }
}

extension HTTPRequest: CustomStringConvertible {
    /// Neither query nor header nor body: each may hold a secret.
    public var description: String { "\(method.rawValue) \(url.origin)\(url.path)" }
}

/// What came back.
public struct HTTPResponse: Hashable, Sendable {
    public var status: Int
    /// Names in lower case, in the order in which they came.
    public var headers: [Header]
    public var body: [UInt8]

    public struct Header: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name.lowercased()
            self.value = value
        }
    }

    public init(status: Int, headers: [Header] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first header of a name in lower case.
    public subscript(name: String) -> String? { headers.first { $0.name == name }?.value }

    /// The media type without parameters, in lower case.
    public var contentType: String? {
        self["content-type"].map { value in
            String(value.prefix { $0 != ";" }.filter { !$0.isWhitespace }).lowercased()
        }
    }

    /// Seconds that this answer may be kept (RFC 9111 §5.2.2.1); nil where nothing is said.
    public var maxAge: Int? {
        for header in headers where header.name == "cache-control" {
            for directive in header.value.split(separator: ",") {
                let word = directive.filter { !$0.isWhitespace && $0 != "\"" }.lowercased()
                if word == "no-store" || word == "no-cache" { return 0 }
                guard word.hasPrefix("max-age=") else { continue }
                let digits = word.dropFirst("max-age=".count)
                guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { continue }
                // What no Int holds is for ever.
                return Int(digits) ?? .max
            }
        }
        return nil
    }
}
