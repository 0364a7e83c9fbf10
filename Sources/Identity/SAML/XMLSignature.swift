internal import Base
internal import Cryptography
internal import XML

/// An enveloped XML signature in the one form that SAML allows (SAML core §5.4): over the element that it stands in,
/// named by that element's ID, with the enveloped-signature transform and exclusive canonicalization, RSA and SHA-2.
///
/// Made from the tree before anything is verified. The reference is compared as text and never looked up, and what
/// `KeyInfo` says is not read.
struct XMLSignature {
    private let element: XMLNode
    private let parent: XMLNode
    private let signedInfo: XMLNode
    private let signedInfoPrefixes: [String]
    private let prefixes: [String]
    private let hash: HashAlgorithm
    private let digestHash: HashAlgorithm
    private let digest: [UInt8]
    private let value: [UInt8]

    /// Whether SHA-1 takes part, in the signature or the digest.
    var usesSHA1: Bool { hash == .sha1 || digestHash == .sha1 }

    /// Reads the signature of `parent`, whose ID is `id`.
    init(_ element: XMLNode, of parent: XMLNode, id: String, allowsSHA1: Bool) throws(SAMLRefusal) {
        self.element = element
        self.parent = parent
        let parts = element.children
        guard parts.allSatisfy({ ["SignedInfo", "SignatureValue", "KeyInfo"].contains(Self.name($0)) }),
            parts.count(where: { Self.name($0) == "SignedInfo" }) == 1,
            parts.count(where: { Self.name($0) == "SignatureValue" }) == 1,
            parts.count(where: { Self.name($0) == "KeyInfo" }) <= 1,
            let signedInfo = parts.first(where: { Self.name($0) == "SignedInfo" }),
            let signatureValue = parts.first(where: { Self.name($0) == "SignatureValue" })
        else { throw SAMLRefusal(.structure, "A Signature must hold one SignedInfo, one SignatureValue and no Object.") }
        self.signedInfo = signedInfo
        let steps = signedInfo.children
        guard steps.map(Self.name) == ["CanonicalizationMethod", "SignatureMethod", "Reference"] else {
            throw SAMLRefusal(
                .structure, "SignedInfo must hold one CanonicalizationMethod, SignatureMethod and Reference each.")
        }
        let reference = steps[2].children
        guard reference.map(Self.name) == ["Transforms", "DigestMethod", "DigestValue"] else {
            throw SAMLRefusal(.structure, "Reference must hold one Transforms, DigestMethod and DigestValue each.")
        }

        let canonicalization = steps[0].attribute("Algorithm") ?? ""
        guard canonicalization == Names.exclusiveCanonicalization else {
            throw SAMLRefusal(
                .algorithm, "The canonicalization method \(canonicalization.quoted) is not accepted; SAML signatures use "
                    + "exclusive canonicalization (\(Names.exclusiveCanonicalization)).")
        }
        signedInfoPrefixes = try Self.inclusivePrefixes(steps[0])
        hash = try Self.signatureHash(steps[1], allowsSHA1)
        let transforms = reference[0].children
        guard transforms.map(Self.name) == ["Transform", "Transform"],
            transforms[0].attribute("Algorithm") == Names.envelopedSignature, transforms[0].children.isEmpty,
            transforms[1].attribute("Algorithm") == Names.exclusiveCanonicalization
        else {
            throw SAMLRefusal(
                .transform, "A signature's transforms must be the enveloped signature and then exclusive "
                    + "canonicalization, and nothing else: any other could leave part of the message unsigned.")
        }
        prefixes = try Self.inclusivePrefixes(transforms[1])
        digestHash = try Self.digestHash(reference[1], allowsSHA1)
        guard let text = reference[2].onlyText, let digest = [UInt8](base64: text.utf8) else {
            throw SAMLRefusal(.digest, "DigestValue must hold base64 and nothing else.")
        }
        self.digest = digest
        guard let text = signatureValue.onlyText, let value = [UInt8](base64: text.utf8) else {
            throw SAMLRefusal(.signature, "SignatureValue must hold base64 and nothing else.")
        }
        self.value = value
        guard steps[2].attribute("URI") == "#" + id else {
            throw SAMLRefusal(
                .structure, "A signature must refer to the very element that it stands in, and this one refers to "
                    + "\((steps[2].attribute("URI") ?? "nothing").quoted) and stands in '#\(id)'.")
        }
    }

    /// Verifies with the first key that fits. Gives the bytes that were signed, and the certificate whose key it was.
    func verify(_ certificates: [PinnedCertificate]) throws(SAMLRefusal) -> (bytes: [UInt8], by: PinnedCertificate) {
        // The signature first: what follows is then work for what the provider made. Until then nothing is canonical but
        // SignedInfo, which holds the elements that were looked at above and no others.
        let signed = try canonical(signedInfo, without: nil, signedInfoPrefixes)
        guard
            let certificate = certificates.first(where: {
                $0.publicKey.verifiesPKCS1(value, of: signed, hash: hash)
            })
        else {
            throw SAMLRefusal(
                .signature, "The signature of the \(parent.name) was not made with the key of "
                    + (certificates.count == 1 ? "the configured certificate" : "any configured certificate")
                    + ". Has the provider a new one?")
        }
        let bytes = try canonical(parent, without: element, prefixes)
        guard Secret(Hash.digest(digestHash, [bytes])) == Secret(digest) else {
            throw SAMLRefusal(.digest, "The \(parent.name) was changed after it was signed.")
        }
        return (bytes, certificate)
    }

    private func canonical(_ node: XMLNode, without: XMLNode?, _ prefixes: [String]) throws(SAMLRefusal) -> [UInt8] {
        do throws(XMLError) {
            return try node.canonical(without: without, inclusivePrefixes: prefixes)
        } catch {
            throw SAMLRefusal(.structure, "The \(node.name) has no canonical form: \(error.explanation).")
        }
    }

    /// The local name of an element of the signature namespace; empty for another.
    private static func name(_ node: XMLNode) -> String {
        node.namespace == Names.signature ? node.name : ""
    }

    /// Prefixes that one list names, and bytes of each. libxml2 looks for every one of them at every element.
    private static let prefixLimit = 8
    private static let prefixLengthLimit = 64

    /// `InclusiveNamespaces/@PrefixList` (exclusive canonicalization §3), each prefix once.
    private static func inclusivePrefixes(_ method: XMLNode) throws(SAMLRefusal) -> [String] {
        let children = method.children
        guard let list = children.first else { return [] }
        guard children.count == 1, list.matches("InclusiveNamespaces", Names.exclusiveCanonicalization),
            list.children.isEmpty, let prefixes = list.attribute("PrefixList")
        else { throw SAMLRefusal(.transform, "Exclusive canonicalization takes InclusiveNamespaces and nothing else.") }
        var words: [String] = []
        for word in prefixes.split(whereSeparator: { $0.isWhitespace }) {
            guard word.utf8.count <= prefixLengthLimit else {
                throw SAMLRefusal(
                    .transform, "InclusiveNamespaces names a prefix of more than \(prefixLengthLimit) bytes.")
            }
            // Strings are equal that differ in bytes, and prefixes are not.
            guard !words.contains(where: { $0.utf8.elementsEqual(word.utf8) }) else { continue }
            guard words.count < prefixLimit else {
                throw SAMLRefusal(.transform, "InclusiveNamespaces names more than \(prefixLimit) prefixes.")
            }
            words.append(String(word))
        }
        return words
    }

    private static func signatureHash(_ method: XMLNode, _ allowsSHA1: Bool) throws(SAMLRefusal) -> HashAlgorithm {
        guard method.children.isEmpty else {
            throw SAMLRefusal(.algorithm, "SignatureMethod holds parameters, and RSA signatures have none.")
        }
        return try hash(ofSignature: method.attribute("Algorithm") ?? "", allowsSHA1: allowsSHA1)
    }

    /// The hash of a signature algorithm that is accepted (RFC 6931 §2.3).
    static func hash(ofSignature name: String, allowsSHA1: Bool) throws(SAMLRefusal) -> HashAlgorithm {
        switch name {
        case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": return .sha256
        case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": return .sha384
        case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": return .sha512
        case "http://www.w3.org/2000/09/xmldsig#rsa-sha1":
            if allowsSHA1 { return .sha1 }
            throw SAMLRefusal(
                .algorithm, "The signature uses rsa-sha1, which can be forged. Set the provider to RSA-SHA256; only if "
                    + "it cannot do that, allow SHA-1 for this provider.")
        default:
            throw SAMLRefusal(
                .algorithm, "The signature algorithm \(name.quoted) is not accepted. Set the provider to RSA-SHA256.")
        }
    }

    private static func digestHash(_ method: XMLNode, _ allowsSHA1: Bool) throws(SAMLRefusal) -> HashAlgorithm {
        let name = method.attribute("Algorithm") ?? ""
        guard method.children.isEmpty else {
            throw SAMLRefusal(.algorithm, "DigestMethod holds parameters, and these digests have none.")
        }
        switch name {
        case "http://www.w3.org/2001/04/xmlenc#sha256": return .sha256
        case "http://www.w3.org/2001/04/xmldsig-more#sha384": return .sha384
        case "http://www.w3.org/2001/04/xmlenc#sha512": return .sha512
        case "http://www.w3.org/2000/09/xmldsig#sha1":
            if allowsSHA1 { return .sha1 }
            throw SAMLRefusal(
                .algorithm, "The digest is SHA-1, which can be forged. Set the provider to SHA-256; only if it cannot do "
                    + "that, allow SHA-1 for this provider.")
        default:
            throw SAMLRefusal(
                .algorithm, "The digest algorithm \(name.quoted) is not accepted. Set the provider to SHA-256.")
        }
    }
}
