public import Base

/// An absolute `https` URL (RFC 3986, RFC 9110 §4.2.2), taken apart once: what any code here calls is one of these.
///
/// Refused are other schemes, user information, fragments, and characters that have no place in a URL.
public struct WebURL: Hashable, Sendable, LosslessStringConvertible {
    /// Bytes of the longest URL that is read.
    public static let sizeLimit = 4096

    /// The host in lower case, an IPv6 address without its brackets.
    public let host: String
    public let port: UInt16
    /// Begins with `/`.
    public let path: String
    /// Without the question mark; nil where there is none.
    public let query: String?

    init(host: String, port: UInt16, path: String, query: String?) {
        self.host = host
        self.port = port
        self.path = path
        self.query = query
    }

    /// Nil for what is not such a URL.
    public init?(_ text: String) {
        let scheme = "https://"
        guard text.utf8.count <= Self.sizeLimit, text.utf8.allSatisfy(Self.isOrdinary),
            text.prefix(scheme.count).lowercased() == scheme
        else { return nil }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var tail = rest.dropFirst(authority.count)
        guard !tail.contains("#"), let (host, port) = Self.hostAndPort(authority.lowercased()) else { return nil }
        self.host = host
        self.port = port
        if let mark = tail.firstIndex(of: "?") {
            query = String(tail[tail.index(after: mark)...])
            tail = tail[..<mark]
        } else {
            query = nil
        }
        path = tail.isEmpty ? "/" : String(tail)
    }

    /// The address, where the host is one.
    public var address: IPAddress? { IPAddress(host) }

    /// Scheme, host and port; the port only where it is not 443.
    public var origin: String { "https://" + authority }

    /// Host and port as a `Host` header says them.
    public var authority: String {
        (host.contains(":") ? "[\(host)]" : host) + (port == 443 ? "" : ":\(port)")
    }

    public var description: String { origin + path + (query.map { "?" + $0 } ?? "") }

    /// The same URL with more of a query: `name=value` pairs, escaped.
    public func adding(_ pairs: [(String, String)]) -> WebURL {
        let more = FormEncoding.encode(pairs)
        let whole = (query.map { $0.isEmpty ? more : $0 + "&" + more }) ?? more
        return WebURL(host: host, port: port, path: path, query: whole)
    }

    /// The URL that a `Location` or `Link` names when it is read here (RFC 3986 §5.2, without dot segments, which are
    /// left to the server). Nil where that is no `https` URL.
    public func resolving(_ reference: String) -> WebURL? {
        let bare = String(reference.prefix { $0 != "#" })
        if bare.hasPrefix("//") { return WebURL("https:" + bare) }
        if bare.hasPrefix("/") { return WebURL(origin + bare) }
        if bare.hasPrefix("?") { return WebURL(origin + path + bare) }
        let scheme = bare.prefix { $0 != ":" && $0 != "/" && $0 != "?" }
        if scheme.endIndex < bare.endIndex, bare[scheme.endIndex] == ":" { return WebURL(bare) }
        if bare.isEmpty { return self }
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
        return WebURL(origin + folder + bare)
    }

    /// Printable ASCII without what a URL never holds raw.
    private static func isOrdinary(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && !"\"<>\\^`{|}".utf8.contains(byte)
    }

    private static func hostAndPort(_ authority: String) -> (String, UInt16)? {
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        var host = authority[...]
        var digits: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { return nil }
            digits = after.isEmpty ? nil : after.dropFirst()
            host = authority[authority.index(after: authority.startIndex)..<end]
            guard case .v6? = IPAddress(String(host)) else { return nil }
            // One spelling for each address.
            host = (IPAddress(String(host))?.description ?? "")[...]
        } else {
            if let colon = authority.firstIndex(of: ":") {
                digits = authority[authority.index(after: colon)...]
                host = authority[..<colon]
            }
            guard isHostName(host) else { return nil }
        }
        guard let digits else { return (String(host), 443) }
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(digits), port > 0 else { return nil }
        return (String(host), port)
    }

    /// Labels of letters, digits, `-` and `_`, or a dotted quad. Names that end in a number and are no dotted quad are
    /// other spellings of addresses (`127.1`, `0x7f000001`) to some resolvers, and refused.
    private static func isHostName(_ host: Substring) -> Bool {
        guard (1...253).contains(host.utf8.count) else { return false }
        var labels = host.split(separator: ".", omittingEmptySubsequences: false)
        if labels.count > 1, labels.last?.isEmpty == true { labels.removeLast() }
        let areLabels = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 95 }
        }
        guard areLabels, let last = labels.last else { return false }
        let endsInNumber = last.utf8.allSatisfy { (48...57).contains($0) } || last.hasPrefix("0x")
        return !endsInNumber || IPAddress(String(host)) != nil
    }
}
