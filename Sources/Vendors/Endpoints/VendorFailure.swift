public import HTTP
import JSONText

/// Why a vendor gave no answer that can be used: which connection, what was asked, what came back, what to do. Holds nothing
/// secret.
public struct VendorFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The key is refused (401).
        case authentication
        /// The key may not ask this (403).
        case permission
        /// The vendor wants a pause (429).
        case throttled
        /// The vendor is in trouble (5xx), or says so in an answer.
        case unavailable
        /// Not what was asked for: HTML, half an answer, other JSON.
        case unreadable
        /// Another refusal.
        case refused
        /// There is no such endpoint.
        case gone
        /// No answer at all.
        case unreachable
        /// What the administrator gave does not make a call.
        case configuration
    }

    public var kind: Kind
    public var connection: String
    /// Host and port.
    public var host: String
    /// One clause, without a full stop.
    public var detail: String
    /// What to do, in a sentence; empty where nothing helps but waiting.
    public var advice: String

    public init(_ kind: Kind, connection: String, host: String, detail: String, advice: String = "") {
        self.kind = kind
        self.connection = connection
        self.host = host
        self.detail = detail
        self.advice = advice
    }

    /// A call that had no answer.
    public init(_ failure: HTTPFailure, connection: String) {
        self.init(.unreachable, connection: connection, host: failure.host, detail: "\(failure)")
    }

    public init(_ refusal: OAuthRefusal) {
        self.init(
            refusal.isFinal ? .authentication : .unavailable, connection: refusal.connection, host: refusal.host,
            detail: "\(refusal)")
    }

    /// Whether it stays so until somebody does something.
    public var needsAttention: Bool {
        switch kind {
        case .authentication, .refused, .configuration: true
        case .permission, .throttled, .unavailable, .unreadable, .gone, .unreachable: false
        }
    }

    public var description: String {
        // These speak in whole sentences already.
        let text = detail.hasSuffix(".") ? detail : "\(host) \(detail)."
        return advice.isEmpty ? text : text + " " + advice
    }
}
