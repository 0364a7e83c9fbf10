import JSONText
import Tunnels

/// A request as an endpoint sees it: already matched, decoded and bounded.
struct Call: Sendable {
    /// The values of the `{…}` segments, by name.
    var arguments: [String: String]
    var query: Query
    /// The `Last-Event-ID` header of a client that resumes an event stream.
    var lastEventID: String?
    var body: [UInt8]
    var caller: Caller

    func argument(_ name: String) -> String { arguments[name] ?? "" }
}

/// What an endpoint answers.
enum Answer: Sendable {
    case json(JSON, status: Int = 200)
    case text(String, contentType: String)
    /// A stream of server-sent events.
    case events(AsyncStream<GatewayEvent>)

    static func encoded(_ value: some Encodable, status: Int = 200) throws -> Answer {
        .json(try JSON(encoding: value), status: status)
    }
}

/// One method on one path.
struct Endpoint: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    var method: Method
    /// Such as `/v1/connectors/{id}`.
    var path: String
    /// One line for the index.
    var summary: String
    /// The query parameters that it knows; others are refused, so that a slip of the pen is noticed.
    var parameters: [String]
    var handle: @Sendable (Call) async throws -> Answer

    init(
        _ method: Method, _ path: String, _ summary: String, parameters: [String] = [],
        handle: @escaping @Sendable (Call) async throws -> Answer
    ) {
        self.method = method
        self.path = path
        self.summary = summary
        self.parameters = parameters
        self.handle = handle
    }

    /// The arguments when the path matches.
    fileprivate func match(_ segments: [String]) -> [String: String]? {
        let pattern = path.split(separator: "/")
        guard pattern.count == segments.count else { return nil }
        var arguments: [String: String] = [:]
        for (part, segment) in zip(pattern, segments) {
            if part.hasPrefix("{") {
                arguments[String(part.dropFirst().dropLast())] = segment
            } else if part != segment {
                return nil
            }
        }
        return arguments
    }
}

/// The endpoints of one socket.
struct Routes: Sendable {
    private let endpoints: [Endpoint]
    /// The socket's name, for messages.
    private let socket: String

    init(_ endpoints: [Endpoint], socket: String) {
        self.endpoints = endpoints
        self.socket = socket
    }

    /// A request's endpoint with the arguments of its path, or why there is none.
    func find(_ method: String, _ target: RequestTarget) throws(Refusal) -> (Endpoint, [String: String]) {
        if target.segments.isEmpty, method == "GET" || method == "HEAD" { return (index, [:]) }
        var allowed: [String] = []
        for endpoint in endpoints {
            guard let arguments = endpoint.match(target.segments) else { continue }
            if method == endpoint.method.rawValue || (method == "HEAD" && endpoint.method == .get) {
                return (endpoint, arguments)
            }
            if !allowed.contains(endpoint.method.rawValue) { allowed.append(endpoint.method.rawValue) }
            if endpoint.method == .get { allowed.append("HEAD") }
        }
        guard allowed.isEmpty else {
            throw Refusal(
                APIError(
                    status: 405, code: "method-not-allowed",
                    message:
                        "\(method) does not work on \(target.path) of \(socket); \(allowed.joined(separator: ", ")) "
                        + (allowed.count == 1 ? "does" : "do")),
                allow: allowed)
        }
        var paths: [String] = []
        for endpoint in endpoints where !paths.contains(endpoint.path) { paths.append(endpoint.path) }
        throw Refusal(
            .notFound("\(socket) has no path \(target.path). It has \(paths.joined(separator: ", "))"))
    }

    /// `GET /`: what there is.
    private var index: Endpoint {
        Endpoint(.get, "/", "what this socket answers") { _ in
            .json(
                .array(
                    endpoints.map { endpoint in
                        .object([
                            JSON.Member("method", .string(endpoint.method.rawValue)),
                            JSON.Member("path", .string(endpoint.path)),
                            JSON.Member("summary", .string(endpoint.summary)),
                            JSON.Member("parameters", .array(endpoint.parameters.map(JSON.string))),
                        ])
                    }))
        }
    }
}

/// An error with the headers that belong to it.
struct Refusal: Error {
    var error: APIError
    /// The methods that a path knows, for the `Allow` header.
    var allow: [String]

    init(_ error: APIError, allow: [String] = []) {
        self.error = error
        self.allow = allow
    }
}

/// The path and query of a request line, percent-decoded (RFC 3986 §2.1).
struct RequestTarget: Sendable {
    let path: String
    let segments: [String]
    let query: Query

    init(_ text: String) throws(APIError) {
        // A whole URI is allowed in the request line too (RFC 9112 §3.2.2).
        var rest = Substring(text)
        if rest.hasPrefix("http://") {
            rest = rest.dropFirst(7)
            rest = rest.firstIndex { $0 == "/" || $0 == "?" }.map { rest[$0...] } ?? "/"
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "/")
        var segments: [String] = []
        for part in (parts.first ?? "").split(separator: "/") { segments.append(try Self.decoded(part, "the path")) }
        self.segments = segments
        var pairs: [(String, String)] = []
        for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            pairs.append(
                (
                    try Self.decoded(sides[0], "the query"),
                    sides.count > 1 ? try Self.decoded(sides[1], "the query") : ""
                ))
        }
        query = Query(pairs: pairs)
    }

    private static func decoded(_ text: Substring, _ place: String) throws(APIError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimalValue),
                let low = rest.popFirst().flatMap(hexadecimalValue)
            else { throw .badRequest("\(place) has a % that two hexadecimal digits do not follow") }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw .badRequest("\(place) is not UTF-8 text")
        }
        return decoded
    }

    private static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The query parameters of a request, in order.
struct Query: Sendable {
    var pairs: [(String, String)]

    func all(_ name: String) -> [String] { pairs.filter { $0.0 == name }.map(\.1) }

    /// The value of a parameter that may be there once.
    func one(_ name: String) throws(APIError) -> String? {
        let values = all(name)
        guard values.count <= 1 else { throw .badRequest("?\(name)= is there \(values.count) times; give it once") }
        return values.first
    }

    /// `?name`, `?name=1` and `?name=true` are true.
    func flag(_ name: String) throws(APIError) -> Bool {
        switch try one(name) {
        case nil, "0", "false": false
        case "", "1", "true": true
        case .some(let value): throw .badRequest("?\(name)=\(value) must be 1 or 0")
        }
    }

    func number<Number: FixedWidthInteger>(_ name: String, in range: ClosedRange<Number>) throws(APIError) -> Number? {
        guard let text = try one(name) else { return nil }
        guard let number = Number(text), range.contains(number) else {
            throw .badRequest("?\(name)=\(text) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Refuses parameters that `known` does not name.
    func check(_ known: [String]) throws(APIError) {
        guard let stranger = pairs.first(where: { !known.contains($0.0) }) else { return }
        throw .badRequest(
            "there is no parameter '\(stranger.0)' here; "
                + (known.isEmpty ? "this path takes none" : "known are \(known.joined(separator: ", "))"))
    }
}
