/// Why a token was refused: a code for programs and a sentence for the administrator. Neither holds the token.
public struct TokenRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// Not three base64url parts with JSON objects in them, or larger than any ID token.
        case malformed
        /// `none`, a shared-key algorithm, or one that the provider's key is not for.
        case algorithmNotAllowed = "algorithm-not-allowed"
        /// An extension that must be understood (RFC 7515 §4.1.11), such as an unencoded payload.
        case criticalHeader = "critical-header"
        /// A token of another kind: an access token, a log-out token.
        case wrongType = "wrong-type"
        case keyUnknown = "key-unknown"
        /// No key is named and more than one fits.
        case keyAmbiguous = "key-ambiguous"
        /// The key named is for encryption, too short, or malformed.
        case keyUnusable = "key-unusable"
        case signatureInvalid = "signature-invalid"
        case issuerMismatch = "issuer-mismatch"
        case tenantNotAllowed = "tenant-not-allowed"
        case audienceMismatch = "audience-mismatch"
        case authorizedPartyMismatch = "authorized-party-mismatch"
        case expired
        case issuedInFuture = "issued-in-future"
        case notYetValid = "not-yet-valid"
        /// A claim that must be there is missing or of the wrong kind.
        case claimInvalid = "claim-invalid"
        case nonceMismatch = "nonce-mismatch"
        case accessTokenMismatch = "access-token-mismatch"
        case hostedDomainMismatch = "hosted-domain-mismatch"
        case emailMissing = "email-missing"
        case emailUnverified = "email-unverified"
        /// The user-info answer is about somebody else.
        case userInfoMismatch = "user-info-mismatch"
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

/// A value of the token, short and printable enough for a sentence.
func shown(_ text: String) -> String {
    let limit = 120
    var result = ""
    for scalar in text.unicodeScalars.prefix(limit) {
        let isPlain = scalar.value >= 0x20 && scalar.value != 0x7f && scalar.properties.generalCategory != .format
        result.unicodeScalars.append(isPlain ? scalar : "\u{fffd}")
    }
    return "'" + result + (text.unicodeScalars.count > limit ? "…" : "") + "'"
}
