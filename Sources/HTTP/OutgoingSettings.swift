import Base
public import Cryptography

/// How calls leave this gateway: what is trusted besides the system's CAs, and the proxy.
public struct OutgoingSettings: Hashable, Sendable {
    /// Certificates in PEM of CAs that are trusted besides the system's.
    public var extraCA: [UInt8]
    public var proxy: Proxy?

    public init(extraCA: [UInt8] = [], proxy: Proxy? = nil) {
        self.extraCA = extraCA
        self.proxy = proxy
    }

    /// A proxy that is asked for a tunnel to each host (RFC 9110 §9.3.6).
    public struct Proxy: Hashable, Sendable {
        /// `http` or `https`.
        public let scheme: String
        public let host: String
        public let port: UInt16
        /// `name:password`.
        public var login: Secret?
        /// Hosts that are called without it: names, which stand for what is below them too, addresses, networks; `*` is
        /// all.
        public var exceptions: [String]

        /// Reads `http://host:port`, also with `name:password@` before the host. Nil for anything else.
        public init?(_ text: String, exceptions: [String] = []) {
            guard let colon = text.firstRange(of: "://") else { return nil }
            scheme = text[..<colon.lowerBound].lowercased()
            guard ["http", "https"].contains(scheme) else { return nil }
            var rest = text[colon.upperBound...]
            if rest.hasSuffix("/") { rest.removeLast() }
            if let at = rest.lastIndex(of: "@") {
                login = Secret(Array(rest[..<at].utf8))
                rest = rest[rest.index(after: at)...]
            }
            // A proxy's place has the form of an https URL's; without a port it is 3128 by custom.
            guard let place = WebURL("https://" + rest), place.path == "/", place.query == nil else { return nil }
            host = place.host
            port = rest.hasSuffix(":\(place.port)") ? place.port : 3128
            self.exceptions = exceptions
        }

        /// Without the login.
        public var url: String { "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

        /// Whether a host is called without the proxy.
        public func excepts(_ host: String) -> Bool {
            exceptions.contains { entry in
                let name = entry.lowercased().drop { $0 == "." || $0 == " " }
                if name == "*" { return true }
                if let address = IPAddress(host) { return IPPrefix(String(name))?.contains(address) ?? false }
                return !name.isEmpty && (host == name || host.hasSuffix("." + name))
            }
        }
    }

    /// The proxy for a URL; nil goes straight.
    public func proxy(for url: WebURL) -> Proxy? { proxy.flatMap { $0.excepts(url.host) ? nil : $0 } }

    /// What the environment's `HTTPS_PROXY` and `NO_PROXY` say (also in lower case).
    public static func proxy(environment: (String) -> String?) -> Proxy? {
        func value(_ name: String) -> String? {
            (environment(name) ?? environment(name.lowercased())).flatMap { $0.isEmpty ? nil : $0 }
        }
        guard let text = value("HTTPS_PROXY") else { return nil }
        let exceptions = value("NO_PROXY")?.split(separator: ",").map { String($0.filter { $0 != " " }) } ?? []
        return Proxy(text.contains("://") ? text : "http://" + text, exceptions: exceptions)
    }
}
