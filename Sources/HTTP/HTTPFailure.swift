/// Why a call has no answer. Says whom it was for and what to do, and holds nothing that was sent.
public struct HTTPFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The URL leads to an address that only an administrator may name.
        case addressRefused(String)
        /// The name is not known.
        case unknownHost
        /// Nothing answers there, or the connection broke; the detail is the library's.
        case connection(String)
        /// The certificate or the handshake is not acceptable.
        case insecure(String)
        case timeOut
        /// The answer is longer than the limit, in bytes.
        case tooLong(limit: Int)
        /// The answer ended before it was whole.
        case cutOff
        /// Something that is no HTTP came back.
        case malformed(String)
        /// The proxy refused.
        case proxy(String)
        /// The host failed too often and is left alone for a while.
        case circuitOpen(seconds: Int)
        /// The host asked for a pause longer than this call can wait.
        case throttled(seconds: Int)
        case cancelled
    }

    public var kind: Kind
    /// Host and port.
    public var host: String
    /// What the call was for.
    public var purpose: String

    public init(_ kind: Kind, host: String, purpose: String) {
        self.kind = kind
        self.host = host
        self.purpose = purpose
    }

    public var description: String {
        switch kind {
        case .addressRefused(let address):
            "\(host) has the address \(address), which is not a public one. A URL that was not typed here must not lead "
                + "there (\(purpose))."
        case .unknownHost: "The name \(host) is not known to the DNS (\(purpose)). Is it spelled right, does DNS work?"
        case .connection(let detail): "\(host) cannot be reached (\(purpose)): \(detail)."
        case .insecure(let detail):
            "The TLS connection to \(host) is not to be trusted (\(purpose)): \(detail). If its certificate comes from "
                + "a private CA, or a proxy opens TLS, name that CA in the boot file ('outgoingCA')."
        case .timeOut: "\(host) took too long to answer (\(purpose))."
        case .tooLong(let limit): "\(host) sends more than \(limit) bytes, which is no proper answer (\(purpose))."
        case .cutOff: "\(host) ended the connection before its answer was whole (\(purpose))."
        case .malformed(let detail): "\(host) does not speak HTTP (\(purpose)): \(detail)."
        case .proxy(let detail): "The proxy refused the way to \(host) (\(purpose)): \(detail)."
        case .circuitOpen(let seconds):
            "\(host) failed too often and is asked again in \(seconds) s at the earliest (\(purpose))."
        case .throttled(let seconds): "\(host) asks for a pause of \(seconds) s (\(purpose))."
        case .cancelled: "The call to \(host) was given up (\(purpose))."
        }
    }

    /// Whether another try may help.
    public var isTransient: Bool {
        switch kind {
        case .unknownHost, .connection, .timeOut, .cutOff: true
        case .addressRefused, .insecure, .tooLong, .malformed, .proxy, .circuitOpen, .throttled, .cancelled: false
        }
    }
}
