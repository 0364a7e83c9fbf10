internal import Base
internal import Cryptography
internal import XML

/// An `EncryptedAssertion` (SAML core §2.3.4, xmlenc-core1): AES in CBC or GCM under a key that RSA-OAEP carries.
struct EncryptedAssertion {
    /// A content key under the service provider's public key.
    private struct CarriedKey {
        var ciphertext: [UInt8]
        var hash: HashAlgorithm
        var maskHash: HashAlgorithm
    }

    private let element: XMLNode
    private let cipher: EncryptionAlgorithm
    private let ciphertext: [UInt8]
    private let keys: [CarriedKey]

    /// Reads the parts; nothing is decrypted yet.
    init(_ element: XMLNode) throws(SAMLRefusal) {
        self.element = element
        let data = element.children("EncryptedData", Names.encryption)
        guard data.count == 1, let data = data.first,
            (data.attribute("Type") ?? Names.encryption + "Element") == Names.encryption + "Element"
        else { throw SAMLRefusal(.structure, "EncryptedAssertion must hold one EncryptedData, of an element.") }
        cipher = try Self.cipher(Self.method(data))
        ciphertext = try Self.cipherValue(data)
        // The key stands within the data's KeyInfo or beside the data. References to it are not followed.
        let candidates =
            data.children("KeyInfo", Names.signature).flatMap { $0.children("EncryptedKey", Names.encryption) }
            + element.children("EncryptedKey", Names.encryption)
        guard !candidates.isEmpty else {
            throw SAMLRefusal(.structure, "The assertion is encrypted and no EncryptedKey is with it.")
        }
        var keys: [CarriedKey] = []
        var fault: SAMLRefusal?
        for candidate in candidates.prefix(4) {
            do throws(SAMLRefusal) {
                keys.append(try Self.carriedKey(candidate))
            } catch {
                fault = error
            }
        }
        if keys.isEmpty, let fault { throw fault }
        self.keys = keys
    }

    /// Decrypts with the first key that fits and parses what comes out as a document of its own.
    func decrypt(_ privateKeys: [RSAPrivateKey]) throws(SAMLRefusal) -> XMLTree {
        guard !privateKeys.isEmpty else {
            throw SAMLRefusal(
                .decryption, "The assertion is encrypted, and no key to decrypt it is configured for this provider.")
        }
        for key in keys {
            for privateKey in privateKeys {
                guard
                    let content = try? privateKey.decryptOAEP(
                        key.ciphertext, hash: key.hash, maskHash: key.maskHash),
                    let plaintext = try? ContentCipher.open(ciphertext, with: cipher, key: content),
                    let tree = tree(plaintext)
                else { continue }
                return tree
            }
        }
        // Whatever failed: who tries ciphertexts out learns nothing from the answer.
        throw SAMLRefusal(
            .decryption, "The assertion could not be decrypted. Has the provider the certificate of this gateway's key?")
    }

    private func tree(_ plaintext: [UInt8]) -> XMLTree? {
        // Anyone can encrypt to us.
        let limits = XMLTree.Limits.message(size: ResponseVerifier.sizeLimit)
        if let tree = try? XMLTree(plaintext, limits: limits), tree.root.matches("Assertion", Names.assertion) {
            return tree
        }
        // Some toolkits encrypt the element without the declarations that it takes from what stands around it
        // (xmlenc-core1 §4.5.3): they are repeated on a wrapper.
        let declarations = element.namespacesInScope.map { declaration in
            (declaration.prefix.map { " xmlns:" + $0 } ?? " xmlns") + "=\"" + declaration.uri.xmlEscaped + "\""
        }
        let wrapped =
            Array("<EncryptedAssertion\(declarations.joined())>".utf8) + plaintext + Array("</EncryptedAssertion>".utf8)
        guard let tree = try? XMLTree(wrapped, limits: limits), tree.root.children.count == 1,
            tree.root.children[0].matches("Assertion", Names.assertion)
        else { return nil }
        return tree
    }

    private static func method(_ element: XMLNode) throws(SAMLRefusal) -> XMLNode {
        let methods = element.children("EncryptionMethod", Names.encryption)
        guard methods.count == 1, let method = methods.first else {
            throw SAMLRefusal(.structure, "\(element.name) must name one EncryptionMethod.")
        }
        return method
    }

    private static func cipherValue(_ element: XMLNode) throws(SAMLRefusal) -> [UInt8] {
        let data = element.children("CipherData", Names.encryption)
        guard data.count == 1, let data = data.first, data.children.count == 1, let value = data.children.first,
            value.matches("CipherValue", Names.encryption), let text = value.onlyText,
            let bytes = [UInt8](base64: text.utf8)
        else { throw SAMLRefusal(.structure, "\(element.name) must hold its ciphertext in one CipherValue, as base64.") }
        return bytes
    }

    private static func cipher(_ method: XMLNode) throws(SAMLRefusal) -> EncryptionAlgorithm {
        let name = method.attribute("Algorithm") ?? ""
        switch name {
        case Names.encryption + "aes128-cbc": return .aes128
        case Names.encryption + "aes192-cbc": return .aes192
        case Names.encryption + "aes256-cbc": return .aes256
        case Names.encryption11 + "aes128-gcm": return .aes128gcm16
        case Names.encryption11 + "aes192-gcm": return .aes192gcm16
        case Names.encryption11 + "aes256-gcm": return .aes256gcm16
        default:
            throw SAMLRefusal(
                .algorithm, "The assertion is encrypted with \(name.quoted), which is not accepted. Set the provider to "
                    + "AES-256.")
        }
    }

    private static func carriedKey(_ element: XMLNode) throws(SAMLRefusal) -> CarriedKey {
        let method = try method(element)
        let name = method.attribute("Algorithm") ?? ""
        guard name == Names.encryption + "rsa-oaep-mgf1p" || name == Names.encryption11 + "rsa-oaep" else {
            throw SAMLRefusal(
                .algorithm, "The assertion's key is encrypted with \(name.quoted), which is not accepted. Set the provider "
                    + "to RSA-OAEP.")
        }
        var hash = HashAlgorithm.sha1
        var maskHash = HashAlgorithm.sha1
        for child in method.children {
            let algorithm = child.attribute("Algorithm") ?? ""
            if child.matches("DigestMethod", Names.signature) {
                hash = try oaepHash(algorithm, [
                    "http://www.w3.org/2000/09/xmldsig#sha1": .sha1, Names.encryption + "sha256": .sha256,
                    "http://www.w3.org/2001/04/xmldsig-more#sha384": .sha384, Names.encryption + "sha512": .sha512,
                ])
            } else if child.matches("MGF", Names.encryption11), name == Names.encryption11 + "rsa-oaep" {
                maskHash = try oaepHash(algorithm, [
                    Names.encryption11 + "mgf1sha1": .sha1, Names.encryption11 + "mgf1sha256": .sha256,
                    Names.encryption11 + "mgf1sha384": .sha384, Names.encryption11 + "mgf1sha512": .sha512,
                ])
            } else if !child.matches("KeySize", Names.encryption) {
                throw SAMLRefusal(.algorithm, "RSA-OAEP comes with \(child.name.quoted), which is not accepted.")
            }
        }
        return CarriedKey(ciphertext: try cipherValue(element), hash: hash, maskHash: maskHash)
    }

    private static func oaepHash(
        _ name: String, _ known: [String: HashAlgorithm]
    ) throws(SAMLRefusal) -> HashAlgorithm {
        guard let hash = known[name] else {
            throw SAMLRefusal(.algorithm, "RSA-OAEP with \(name.quoted) is not accepted.")
        }
        return hash
    }
}
