/// Why a sign-in with an OpenID provider ended before there was a token to judge: a code for programs and a sentence for
/// the administrator. Neither holds a code, a token or a secret.
public struct OpenIDRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// The discovery document is none, or lacks something.
        case discovery
        /// It is another issuer's.
        case discoveryIssuer = "discovery-issuer"
        /// The answer at our redirect URI is not one, or contradicts itself.
        case answer
        /// No sign-in of this browser waits for it: too late, twice, or another's.
        case state
        /// The answer is another provider's (RFC 9207).
        case mixUp = "mix-up"
        /// The provider or the person said no.
        case denied
        /// The token endpoint refused or answered nonsense.
        case token
        /// The user-info endpoint did.
        case userInfo = "user-info"
        /// This configuration cannot do what is needed.
        case configuration
    }

    public var code: Code
    /// One sentence.
    public var detail: String

    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}
