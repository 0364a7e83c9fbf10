public import Cryptography

/// How the two ends of a connection prove to each other who they are.
public enum Authentication: Hashable, Codable, Sendable {
    /// A key that both ends know (RFC 7296 §2.15).
    case psk(Secret)

    /// The word for files, answers and plans.
    public enum Method: String, Codable, Sendable, CaseIterable { case psk }

    public var method: Method {
        switch self {
        case .psk: .psk
        }
    }

    /// The pre-shared key; nil with certificates.
    public var psk: Secret? {
        switch self {
        case .psk(let key): key
        }
    }
}
