import Base
import Glibc
import HTTP
import Host

/// Reads a document from the web, as metadata of identity providers is offered.
enum WebFetch {
    /// The document at an address. Follows up to five redirects, never away from https, and uses the proxy that the
    /// environment names.
    static func document(_ address: String) async throws -> [UInt8] {
        guard let url = WebURL(address) else {
            throw CommandFailure("'\(address)' is no address that begins with https://", isUsage: true)
        }
        let proxy = OutgoingSettings.proxy { name in getenv(name).map { String(cString: $0) } }
        let client = HTTPClient(OutgoingSettings(proxy: proxy))
        defer { client.stop() }
        var request = HTTPRequest(.get, url, purpose: "to read \(address)", retries: .signIn)
        request.headers = [("Accept", "application/samlmetadata+xml, application/xml, text/xml")]
        request.limits.redirects = 5
        request.limits.bodyBytes = 4 << 20
        // Whoever types an address means it.
        request.addresses = .anywhere
        let answer: HTTPResponse
        do throws(HTTPFailure) {
            answer = try await client.send(request)
        } catch {
            throw CommandFailure(error.description)
        }
        guard (200..<300).contains(answer.status) else {
            throw CommandFailure("\(address) answered with the status \(answer.status)")
        }
        return answer.body
    }
}
