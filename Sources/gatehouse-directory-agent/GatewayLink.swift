import Base
import CCurl
import Cryptography
import Foundation
import Identity

/// The way to the gateway: signs in with the API access and brings parts of the directory, over TLS that is verified.
///
/// libcurl, which is there on every system; it waits in the thread that calls it, which has nothing else to do here.
actor GatewayLink {
    private let base: String
    private let clientID: String
    private let secret: Secret
    private let authorityFile: String?
    private var token: String?

    private static let timeLimit = 60
    /// How often a request is sent again that the gateway puts off, and after how many seconds.
    private static let patience = (tries: 10, seconds: 5)

    static func address(_ text: String) -> String? {
        guard let url = URL(string: text), url.scheme == "https", url.host != nil, url.query == nil else { return nil }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// - Parameter authorityFile: certificates in PEM to trust in the place of the system's.
    init(_ gateway: String, clientID: String, secret: Secret, authorityFile: String?) throws {
        guard let base = Self.address(gateway) else { throw AgentFailure("'\(gateway)' is no address of a gateway.") }
        self.base = base
        self.clientID = clientID
        self.secret = secret
        self.authorityFile = authorityFile
        if let authorityFile, !FileManager.default.isReadableFile(atPath: authorityFile) {
            throw AgentFailure("The file \(authorityFile) cannot be read.")
        }
    }

    /// Brings all parts in their order.
    ///
    /// - Throws: ``AgentFailure`` with the gateway's own words.
    func bring(_ parts: [DirectoryPush]) async throws {
        let encoder = JSONEncoder()
        for part in parts {
            let body = [UInt8](try encoder.encode(part))
            var answer = try push(body)
            if answer.status == 401 {
                token = nil
                answer = try push(body)
            }
            var tries = 0
            while answer.status == 429, tries < Self.patience.tries {
                // Requests of one address are bounded.
                tries += 1
                try await Task.sleep(for: .seconds(Self.patience.seconds))
                answer = try push(body)
            }
            guard (200..<300).contains(answer.status) else { throw Self.failure(answer) }
        }
    }

    private func push(_ body: [UInt8]) throws -> Answer {
        let token = try token ?? signIn()
        return try post("directory", body, ["Content-Type: application/json", "Authorization: Bearer " + token])
    }

    private func signIn() throws -> String {
        let form = FormEncoding.encode([
            ("grant_type", "client_credentials"), ("client_id", clientID),
            ("client_secret", String(decoding: secret.exposedBytes, as: UTF8.self)),
        ])
        let answer = try post("token", Array(form.utf8), ["Content-Type: application/x-www-form-urlencoded"])
        struct Body: Decodable {
            var access_token: String
        }
        guard answer.status == 200, let fresh = try? JSONDecoder().decode(Body.self, from: Data(answer.body)) else {
            throw Self.failure(answer)
        }
        token = fresh.access_token
        return fresh.access_token
    }

    private struct Answer {
        var status: Int
        var body: [UInt8]
    }

    /// Where libcurl puts what comes.
    private final class Sink {
        var bytes: [UInt8] = []
        /// More is no answer of a gateway.
        static let limit = 1 << 20
    }

    private func post(_ name: String, _ body: [UInt8], _ headers: [String]) throws -> Answer {
        guard let easy = curl_easy_init() else { throw AgentFailure("libcurl cannot be used.") }
        defer { curl_easy_cleanup(easy) }
        var list: UnsafeMutablePointer<curl_slist>?
        // Without "Expect", which the gateway would have to answer first.
        for header in headers + ["Expect:"] { list = curl_slist_append(list, header) }
        defer { curl_slist_free_all(list) }
        let sink = Sink()
        _ = gh_curl_set_text(easy, CURLOPT_URL, base + "/api/v1/" + name)
        _ = gh_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "https")
        _ = gh_curl_set_text(easy, CURLOPT_USERAGENT, "gatehouse-directory-agent/" + gatehouseVersion)
        _ = gh_curl_set_number(easy, CURLOPT_SSL_VERIFYPEER, 1)
        _ = gh_curl_set_number(easy, CURLOPT_SSL_VERIFYHOST, 2)
        _ = gh_curl_set_number(easy, CURLOPT_NOSIGNAL, 1)
        _ = gh_curl_set_number(easy, CURLOPT_CONNECTTIMEOUT, 10)
        _ = gh_curl_set_number(easy, CURLOPT_TIMEOUT, Self.timeLimit)
        if let authorityFile { _ = gh_curl_set_text(easy, CURLOPT_CAINFO, authorityFile) }
        _ = gh_curl_set_list(easy, CURLOPT_HTTPHEADER, list)
        _ = gh_curl_set_large(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
        _ = gh_curl_set_pointer(easy, CURLOPT_WRITEDATA, Unmanaged.passUnretained(sink).toOpaque())
        _ = gh_curl_set_flow(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            let sink = Unmanaged<Sink>.fromOpaque(context).takeUnretainedValue()
            guard sink.bytes.count + size * count <= Sink.limit else { return 0 }
            sink.bytes += UnsafeRawBufferPointer(start: bytes, count: size * count)
            return size * count
        }
        // The body must stay where it is until the call is over.
        let code = body.withUnsafeBytes { bytes in
            _ = gh_curl_set_pointer(easy, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return curl_easy_perform(easy)
        }
        guard code == CURLE_OK else {
            throw AgentFailure("The gateway \(base) cannot be reached: \(String(cString: curl_easy_strerror(code))).")
        }
        return Answer(status: gh_curl_number(easy, CURLINFO_RESPONSE_CODE), body: sink.bytes)
    }

    private static func failure(_ answer: Answer) -> AgentFailure {
        struct Body: Decodable {
            var error_description: String
        }
        let words = (try? JSONDecoder().decode(Body.self, from: Data(answer.body)))?.error_description
        return AgentFailure("The gateway refused (\(answer.status))" + (words.map { ": \($0)" } ?? "."))
    }
}
