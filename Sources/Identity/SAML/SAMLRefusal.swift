/// Why a SAML message is not accepted: a code for programs and a sentence for the administrator.
///
/// The sentence may quote the message. It is for the audit trail and the command line, never for the person who signs in.
public struct SAMLRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: String, Hashable, Sendable, Codable, CaseIterable {
        /// Larger than what is read.
        case size
        /// No well-formed XML in UTF-8, or no base64 of such.
        case malformed
        /// A document type declaration or an entity of its own.
        case doctype
        /// Well-formed, but not put together as a SAML response is; signature wrapping ends here.
        case structure
        /// What must be signed is not.
        case unsigned
        /// A signature, digest or encryption algorithm that is not accepted.
        case algorithm
        /// A transform other than the two of SAML core §5.4.4.
        case transform
        /// What was signed has been changed.
        case digest
        /// The signature is not that of a configured certificate's key.
        case signature
        /// An encrypted assertion that cannot be decrypted.
        case decryption
        /// The provider answered with something other than success.
        case status
        /// A SAML version other than 2.0.
        case version
        case issuer
        /// The response was sent to another address than ours.
        case destination
        /// The assertion is for another service address than ours.
        case recipient
        case audience
        /// A condition that we do not know, or one that cannot be read.
        case condition
        /// No subject confirmation that is a bearer's.
        case subjectConfirmation = "subject-confirmation"
        /// The response does not answer the request that was sent, or answers one that was not.
        case inResponseTo = "in-response-to"
        case expired
        case notYetValid = "not-yet-valid"
        /// The assertion has been used before.
        case replay
        /// No name, or one of a kind that is not accepted.
        case nameID = "name-id"
        /// Nothing says how and when the person proved who they are.
        case authnStatement = "authn-statement"
    }

    public var reason: Reason
    /// One or two sentences: what is wrong, and what to do where something can be done.
    public var detail: String

    public init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    public var description: String { "\(reason.rawValue): \(detail)" }
}
