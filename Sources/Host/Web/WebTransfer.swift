import Base
import CCurl
import Cryptography
import Glibc
import HTTP

/// One call under way in libcurl.
///
/// Proof of Sendable: made on the caller's task, then handed to the thread of one ``WebLoop``, which alone touches it.
final class WebTransfer: @unchecked Sendable {
    /// Bytes of headers that are read.
    static let headerLimit = 64 * 1024

    let number: UInt64
    let request: HTTPRequest
    let finish: @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    private let settings: OutgoingSettings
    private let proxy: OutgoingSettings.Proxy?

    private(set) var handle: UnsafeMutableRawPointer?
    private var list: UnsafeMutablePointer<curl_slist>?
    private let reason: UnsafeMutablePointer<CChar>
    private var headers: [HTTPResponse.Header] = []
    private var headerBytes = 0
    private var body: [UInt8] = []
    private var sent = 0
    private var refused: IPAddress?
    private var isTooLong = false

    init(
        number: UInt64, request: HTTPRequest, settings: OutgoingSettings,
        finish: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) {
        self.number = number
        self.request = request
        self.settings = settings
        self.finish = finish
        proxy = settings.proxy(for: request.url)
        reason = .allocate(capacity: Int(CURL_ERROR_SIZE))
        reason.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        if let handle { curl_easy_cleanup(handle) }
        curl_slist_free_all(list)
        reason.deallocate()
    }

    /// Makes the handle. Nil when libcurl cannot do what is needed; nothing is sent then.
    func prepare() -> UnsafeMutableRawPointer? {
        guard let easy = curl_easy_init() else { return nil }
        handle = easy
        // A setting that is not taken must not become its default: certificates unchecked, say.
        var isSet = true
        func number(_ option: CURLoption, _ value: Int) {
            isSet = gh_curl_set_number(easy, option, value) == CURLE_OK && isSet
        }
        func text(_ option: CURLoption, _ value: String) {
            isSet = gh_curl_set_text(easy, option, value) == CURLE_OK && isSet
        }
        let context = Unmanaged.passUnretained(self).toOpaque()
        func pointer(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) {
            isSet = gh_curl_set_pointer(easy, option, value) == CURLE_OK && isSet
        }

        text(CURLOPT_URL, request.url.description)
        text(CURLOPT_PROTOCOLS_STR, "https")
        number(CURLOPT_FOLLOWLOCATION, 0)
        number(CURLOPT_NOSIGNAL, 1)
        // A call that is given up must not wait for a name server that is silent: all others would wait with it.
        number(CURLOPT_QUICK_EXIT, 1)
        number(CURLOPT_SSL_VERIFYPEER, 1)
        number(CURLOPT_SSL_VERIFYHOST, 2)
        number(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        number(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        number(CURLOPT_TIMEOUT_MS, max(1, Int(request.limits.time.milliseconds)))
        number(CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(request.limits.connectTime.milliseconds)))
        number(CURLOPT_LOW_SPEED_LIMIT, 1)
        number(CURLOPT_LOW_SPEED_TIME, 20)
        number(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        // All that this build of libcurl can unpack.
        text(CURLOPT_ACCEPT_ENCODING, "")
        text(CURLOPT_USERAGENT, "Gatehouse/" + gatehouseVersion)
        pointer(CURLOPT_ERRORBUFFER, reason)
        pointer(CURLOPT_PRIVATE, context)

        if !settings.extraCA.isEmpty {
            isSet = gh_curl_set_bytes(easy, CURLOPT_CAINFO_BLOB, settings.extraCA, settings.extraCA.count) == CURLE_OK
                && isSet
            // Named, since the bundle that is the default gives way to the bytes above.
            text(CURLOPT_CAPATH, "/etc/ssl/certs")
        }
        if let proxy {
            text(CURLOPT_PROXY, proxy.url)
            number(CURLOPT_HTTPPROXYTUNNEL, 1)
            number(CURLOPT_PROXY_SSL_VERIFYPEER, 1)
            number(CURLOPT_PROXY_SSL_VERIFYHOST, 2)
            if !settings.extraCA.isEmpty {
                isSet =
                    gh_curl_set_bytes(easy, CURLOPT_PROXY_CAINFO_BLOB, settings.extraCA, settings.extraCA.count)
                    == CURLE_OK && isSet
                text(CURLOPT_PROXY_CAPATH, "/etc/ssl/certs")
            }
            if let login = proxy.login { text(CURLOPT_PROXYUSERPWD, String(decoding: login.exposedBytes, as: UTF8.self)) }
        } else {
            // Not what the environment says: that has been asked where the settings say so.
            text(CURLOPT_PROXY, "")
        }

        setMethod(number, text)
        isSet = setHeaders(easy) && isSet
        pointer(CURLOPT_WRITEDATA, context)
        pointer(CURLOPT_HEADERDATA, context)
        pointer(CURLOPT_OPENSOCKETDATA, context)
        isSet = gh_curl_set_flow(easy, CURLOPT_WRITEFUNCTION, Self.takeBody) == CURLE_OK && isSet
        isSet = gh_curl_set_flow(easy, CURLOPT_HEADERFUNCTION, Self.takeHeader) == CURLE_OK && isSet
        isSet = gh_curl_set_opensocket(easy, Self.openSocket) == CURLE_OK && isSet
        if request.body != nil {
            pointer(CURLOPT_READDATA, context)
            pointer(CURLOPT_SEEKDATA, context)
            isSet = gh_curl_set_flow(easy, CURLOPT_READFUNCTION, Self.giveBody) == CURLE_OK && isSet
            isSet = gh_curl_set_seek(easy, Self.rewindBody) == CURLE_OK && isSet
        }
        return isSet ? easy : nil
    }

    private func setMethod(_ number: (CURLoption, Int) -> Void, _ text: (CURLoption, String) -> Void) {
        if request.method == .get {
            number(CURLOPT_HTTPGET, 1)
        } else {
            number(CURLOPT_POST, 1)
            number(CURLOPT_POSTFIELDSIZE, request.body?.count ?? 0)
            if request.method != .post { text(CURLOPT_CUSTOMREQUEST, request.method.rawValue) }
        }
    }

    private func setHeaders(_ easy: UnsafeMutableRawPointer) -> Bool {
        // libcurl would wait for a go-ahead before longer bodies.
        var lines = ["Expect:"] + request.headers.map { "\($0.name): \($0.value)" }
        if let authorization = request.authorization {
            lines.append("Authorization: " + String(decoding: authorization.exposedBytes, as: UTF8.self))
        }
        for line in lines {
            // A line break would begin another header.
            let clean = String(decoding: line.utf8.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self)
            guard let longer = curl_slist_append(list, clean) else { return false }
            list = longer
        }
        return gh_curl_set_list(easy, CURLOPT_HTTPHEADER, list) == CURLE_OK
    }

    // MARK: - What libcurl calls, on the loop's thread

    private static func transfer(_ context: UnsafeMutableRawPointer?) -> WebTransfer? {
        context.map { Unmanaged<WebTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Returns how many bytes were taken; fewer than came ends the call.
    private static let takeBody: curl_write_callback = { bytes, size, count, context in
        guard let transfer = WebTransfer.transfer(context), let bytes else { return 0 }
        let length = size * count
        guard transfer.body.count + length <= transfer.request.limits.bodyBytes else {
            transfer.isTooLong = true
            return 0
        }
        transfer.body.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: length))
        return length
    }

    private static let takeHeader: curl_write_callback = { bytes, size, count, context in
        guard let transfer = WebTransfer.transfer(context), let bytes else { return 0 }
        let length = size * count
        transfer.headerBytes += length
        guard transfer.headerBytes <= WebTransfer.headerLimit else {
            transfer.isTooLong = true
            return 0
        }
        let line = String(decoding: UnsafeRawBufferPointer(start: bytes, count: length), as: UTF8.self)
        if line.hasPrefix("HTTP/") {
            // The head of the next answer: what came before was provisional.
            transfer.headers = []
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].split(whereSeparator: \.isNewline).joined(separator: " ")
            transfer.headers.append(HTTPResponse.Header(String(line[..<colon]), WebTransfer.trimmed(value)))
        }
        return length
    }

    private static let giveBody: curl_write_callback = { bytes, size, count, context in
        guard let transfer = WebTransfer.transfer(context), let bytes, let body = transfer.request.body else { return 0 }
        let length = min(size * count, body.count - transfer.sent)
        body.withUnsafeBytes { source in
            UnsafeMutableRawPointer(bytes).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: source[transfer.sent..<transfer.sent + length]).baseAddress
                    ?? UnsafeRawPointer(bytes), byteCount: length)
        }
        transfer.sent += length
        return length
    }

    /// A connection that turns out to be dead is replaced, and the body sent again from its start.
    private static let rewindBody: curl_seek_callback = { context, offset, origin in
        guard let transfer = WebTransfer.transfer(context), origin == SEEK_SET, offset == 0 else {
            return CURL_SEEKFUNC_FAIL
        }
        transfer.sent = 0
        return CURL_SEEKFUNC_OK
    }

    /// The address is judged here, where the connection is made, so that a name cannot mean another one a moment later.
    private static let openSocket: curl_opensocket_callback = { context, purpose, address in
        guard let transfer = WebTransfer.transfer(context), let address, purpose == CURLSOCKTYPE_IPCXN else { return -1 }
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = Int(gh_curl_address(address, &bytes))
        guard let target = IPAddress(bytes: bytes.prefix(count)) else { return -1 }
        // The administrator named the proxy.
        guard transfer.proxy != nil || transfer.request.addresses.permits(target) else {
            transfer.refused = target
            return -1
        }
        return gh_curl_socket(address)
    }

    private static func trimmed(_ text: String) -> String {
        let start = text.drop { $0 == " " || $0 == "\t" }
        let end = start.lastIndex { $0 != " " && $0 != "\t" }
        return end.map { String(start[...$0]) } ?? ""
    }

    // MARK: - The end

    func result(_ code: CURLcode) -> Result<HTTPResponse, HTTPFailure> {
        guard code != CURLE_OK else {
            let status = handle.map { gh_curl_number($0, CURLINFO_RESPONSE_CODE) } ?? 0
            return .success(HTTPResponse(status: status, headers: headers, body: body))
        }
        return .failure(failure(kind(code)))
    }

    func failure(_ kind: HTTPFailure.Kind) -> HTTPFailure {
        HTTPFailure(kind, host: request.url.authority, purpose: request.purpose)
    }

    private func kind(_ code: CURLcode) -> HTTPFailure.Kind {
        let said = String(cString: reason)
        let detail = said.isEmpty ? String(cString: curl_easy_strerror(code)) : said
        let answer = handle.map { gh_curl_number($0, CURLINFO_HTTP_CONNECTCODE) } ?? 0
        if proxy != nil, answer >= 300 {
            return .proxy(answer == 407 ? "it wants a login (407)" : "it answered with status \(answer)")
        }
        switch code {
        case CURLE_WRITE_ERROR where isTooLong: return .tooLong(limit: request.limits.bodyBytes)
        case CURLE_COULDNT_CONNECT:
            return refused.map { .addressRefused($0.description) } ?? .connection(detail)
        case CURLE_COULDNT_RESOLVE_HOST: return .unknownHost
        case CURLE_COULDNT_RESOLVE_PROXY: return .proxy("its name is not known")
        case CURLE_OPERATION_TIMEDOUT: return .timeOut
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_HTTP2_STREAM:
            return .cutOff
        // A handshake that is broken off by the network is no statement about trust.
        case CURLE_SSL_CONNECT_ERROR where detail.contains("SYSCALL") || detail.contains("reset"):
            return .connection(detail)
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS:
            return .insecure(detail)
        case CURLE_PROXY: return .proxy(detail)
        default: return .malformed(detail)
        }
    }
}
