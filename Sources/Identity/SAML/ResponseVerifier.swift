public import Base
internal import Cryptography
internal import XML

/// Verifies SAML 2.0 responses (web browser SSO profile, SAML profiles §4.1.4.3) from bytes to a ``VerifiedSubject``.
///
/// What it does before a signature is known to be good is bounded, and grows with the size of the document alone.
/// Stores nothing: that an assertion is used once only is the receiver's to see, by
/// ``VerifiedResponse/assertionID`` and ``ReplayCache``.
public enum ResponseVerifier {
    /// Bytes beyond which no response is read.
    public static let sizeLimit = 1 << 20

    /// Verifies the XML of one response.
    public static func verify(
        _ document: [UInt8], trust: SAMLTrust, expecting: SAMLExpectation, now: WallTime
    ) throws(SAMLRefusal) -> VerifiedResponse {
        let tree = try parse(document)
        let posted = try ResponseStructure(tree.root)
        var warnings = Warnings(now: now)

        // All that is read of the message from here on is read from bytes that a signature covers, parsed anew.
        var response = posted.response
        var assertionSource = posted
        var isResponseSigned = false
        if let element = posted.responseSignature {
            let signature = try XMLSignature(
                element, of: posted.response, id: posted.responseID, allowsSHA1: trust.allowsSHA1)
            // The assertion's own signature is judged by the same rules before any key is used.
            if let inner = posted.assertionSignature { _ = try Self.signature(inner, posted.assertion, trust) }
            let verified = try signature.verify(trust.certificates)
            warnings.note(signature, verified.by)
            let signed = try parse(verified.bytes)
            response = signed.root
            assertionSource = try ResponseStructure(signed.root)
            isResponseSigned = true
        }

        var assertion = assertionSource.assertion
        var assertionSignature = posted.assertionSignature
        var signedElement = posted.assertion
        if posted.isEncrypted {
            let encrypted = try EncryptedAssertion(assertionSource.assertion)
            let plain = try encrypted.decrypt(trust.decryptionKeys)
            assertion =
                plain.root.matches("Assertion", Names.assertion) ? plain.root : plain.root.children.first ?? plain.root
            assertionSignature = try ResponseStructure.decryptedSignature(assertion)
            signedElement = assertion
        }
        var isAssertionSigned = false
        if let element = assertionSignature {
            let signature = try Self.signature(element, signedElement, trust)
            let verified = try signature.verify(trust.certificates)
            warnings.note(signature, verified.by)
            assertion = try parse(verified.bytes).root
            isAssertionSigned = true
        }
        let signed = try signedParts(response: isResponseSigned, assertion: isAssertionSigned, trust)

        let reader = AssertionReader(
            response: response, assertion: assertion, isResponseSigned: isResponseSigned, trust: trust,
            expecting: expecting, now: now)
        return try reader.read(signed, warnings.sentences)
    }

    /// What a response says of itself, unverified: good for finding the provider whose keys must then verify it.
    public struct Envelope: Hashable, Sendable {
        public var issuer: String?
        public var inResponseTo: String?
    }

    /// Reads the outside of a response.
    public static func envelope(of document: [UInt8]) throws(SAMLRefusal) -> Envelope {
        let root = try parse(document).root
        let places = [root] + root.children("Assertion", Names.assertion)
        return Envelope(
            issuer: places.lazy.compactMap { $0.children("Issuer", Names.assertion).first?.text.collapsed }.first,
            inResponseTo: root.attribute("InResponseTo"))
    }

    private static func parse(_ bytes: [UInt8]) throws(SAMLRefusal) -> XMLTree {
        do throws(XMLError) {
            return try XMLTree(bytes, limits: .message(size: sizeLimit))
        } catch {
            switch error.reason {
            case .documentType, .undefinedEntity:
                throw SAMLRefusal(.doctype, "The document is not accepted: \(error.description).")
            case .tooLarge, .tooDeep, .tooManyAttributes, .tooManyNamespaces, .tooManyElements, .nameTooLong:
                throw SAMLRefusal(.size, "The document is not accepted: \(error.description).")
            case .processingInstruction:
                throw SAMLRefusal(.structure, "The document is not accepted: \(error.description).")
            default: throw SAMLRefusal(.malformed, "The document is no XML that can be read: \(error.description).")
            }
        }
    }

    private static func signature(
        _ element: XMLNode, _ assertion: XMLNode, _ trust: SAMLTrust
    ) throws(SAMLRefusal) -> XMLSignature {
        guard let id = assertion.attribute("ID"), !id.isEmpty else {
            throw SAMLRefusal(.structure, "The Assertion has no ID.")
        }
        return try XMLSignature(element, of: assertion, id: id, allowsSHA1: trust.allowsSHA1)
    }

    private static func signedParts(
        response: Bool, assertion: Bool, _ trust: SAMLTrust
    ) throws(SAMLRefusal) -> SignedParts {
        let signed: SignedParts
        switch (response, assertion) {
        case (true, true): signed = .both
        case (true, false): signed = .response
        case (false, true): signed = .assertion
        case (false, false): throw SAMLRefusal(.unsigned, "Neither the Response nor its Assertion is signed.")
        }
        let isEnough =
            switch trust.requirement {
            case .any: true
            case .response: response
            case .assertion: assertion
            case .both: response && assertion
            }
        guard isEnough else {
            let wanted = trust.requirement == .both ? "both Response and Assertion" : "the \(trust.requirement.rawValue)"
            throw SAMLRefusal(
                .unsigned, "Only the \(signed.rawValue) is signed, and this provider is required to sign \(wanted). "
                    + "Switch that on at the provider, or require less of it.")
        }
        return signed
    }

    /// What is accepted and still not as it should be.
    private struct Warnings {
        let now: WallTime
        var sentences: [String] = []

        mutating func note(_ signature: XMLSignature, _ certificate: PinnedCertificate) {
            if signature.usesSHA1 { add("The signature rests on SHA-1, which can be forged.") }
            if certificate.publicKey.bits < 2048 {
                add("The provider signs with a key of only \(certificate.publicKey.bits) bits.")
            }
            if certificate.notAfter < now {
                add("The certificate that signed has expired (\(certificate.notAfter.rfc3339)).")
            }
        }

        private mutating func add(_ sentence: String) {
            if !sentences.contains(sentence) { sentences.append(sentence) }
        }
    }
}
