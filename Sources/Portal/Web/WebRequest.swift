import Base
import Cryptography

/// A request of a browser, with what the pages read of it.
struct WebRequest: Sendable {
    var method: String
    /// Without the query.
    var path: String
    var query: String
    /// The `Host` header.
    var host: String?
    var cookies: [String: String]
    var isForm: Bool
    /// The `Authorization` header.
    var authorization: Secret?
    var body: [UInt8]
    var address: IPAddress

    /// The fields of a form, each of which may come once; nil when one comes twice or the form cannot be read.
    func form() -> [String: [UInt8]]? { isForm ? FormEncoding.fields(body) : nil }

    /// The cookies of a `Cookie` header (RFC 6265 §5.4); of two with one name the first counts.
    static func cookies(_ header: String) -> [String: String] {
        var cookies: [String: String] = [:]
        for part in header.split(separator: ";").prefix(64) {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2 else { continue }
            let name = halves[0].drop { $0 == " " }
            if cookies[String(name)] == nil { cookies[String(name)] = String(halves[1]) }
        }
        return cookies
    }
}

/// What a browser gets.
struct WebAnswer: Sendable {
    var status: Int
    var contentType = "text/html; charset=utf-8"
    var body = ""
    var location: String?
    var cookies: [String] = []
    var formOrigins: [String] = []
    /// Whether a browser may keep it.
    var isLasting = false

    static func page(_ page: Page) -> WebAnswer {
        WebAnswer(status: page.status, body: page.html, formOrigins: page.formOrigins)
    }

    /// For a program.
    static func json(_ text: String, status: Int) -> WebAnswer {
        WebAnswer(status: status, contentType: "application/json", body: text + "\n")
    }

    /// Go there, by GET.
    static func seeOther(_ location: String) -> WebAnswer { WebAnswer(status: 303, location: location) }

    /// All header fields but the length.
    ///
    /// - Parameter isSecure: without encryption a browser must not be told to insist on it (RFC 6797 §7.2).
    func fields(isSecure: Bool) -> [(String, String)] {
        let forms = (["'self'"] + formOrigins).joined(separator: " ")
        var fields = [
            ("Content-Type", contentType),
            ("Cache-Control", isLasting ? "public, max-age=3600" : "no-store"),
            (
                "Content-Security-Policy",
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action \(forms); frame-ancestors 'none'; "
                    + "base-uri 'none'"
            ),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
        ]
        if isSecure { fields.append(("Strict-Transport-Security", "max-age=31536000")) }
        if let location { fields.append(("Location", location)) }
        return fields + cookies.map { ("Set-Cookie", $0) }
    }
}
