internal import Base

/// Certificates as people paste them: PEM with or without what stands around it, base64 of the DER, hexadecimal of the
/// DER with or without colons, or the DER itself.
public enum CertificateText {
    /// Why a text holds no certificate: a sentence for whoever pasted it. Nothing of the text is in it.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String

        init(_ description: String) { self.description = description }
    }

    /// All certificates of the text, at least one, in order.
    public static func read(_ bytes: [UInt8]) throws(Fault) -> [PinnedCertificate] {
        // The DER itself: a SEQUENCE of more than 255 bytes.
        if bytes.starts(with: [0x30, 0x82]) || bytes.starts(with: [0x30, 0x83]) { return [try certificate(bytes)] }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw Fault("it is neither text nor a certificate in DER")
        }
        if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
        if text.contains("-----BEGIN") { return try pem(text) }
        let characters = text.utf8.filter { $0 > 32 }
        guard !characters.isEmpty else { throw Fault("it is empty") }
        // Every hexadecimal text is made of base64's characters, too. A certificate begins with the byte 30, which
        // in base64 is written M.
        let isHexadecimal = characters.allSatisfy {
            (48...58).contains($0) || (65...70).contains($0) || (97...102).contains($0)
        }
        if isHexadecimal, characters.starts(with: "30".utf8) {
            guard let der = [UInt8](hexadecimal: String(decoding: characters, as: UTF8.self)) else {
                throw Fault("it looks like hexadecimal, but has an odd number of digits: some are missing")
            }
            return [try certificate(der)]
        }
        guard let der = [UInt8](base64: characters) else {
            throw Fault("it is no PEM, and neither base64 nor hexadecimal: characters are missing or too many")
        }
        return [try certificate(der)]
    }

    private static func certificate(_ der: [UInt8]) throws(Fault) -> PinnedCertificate {
        do throws(CryptographyError) {
            return try PinnedCertificate(der: der)
        } catch {
            if case .openSSL(_, "it is no RSA key") = error {
                throw Fault("its key is no RSA key, which is what SAML signatures are made with")
            }
            // A SubjectPublicKeyInfo begins with two sequences, of which the second holds an object identifier first.
            let isPublicKey = der.count > 4 && der[0] == 0x30 && der[1] < 0x80 && der[2] == 0x30 && der[4] == 0x06
            if isPublicKey { throw Fault("it is a bare public key; the certificate around it is wanted") }
            throw Fault("it is no X.509 certificate, or one that is cut short or has something behind it")
        }
    }

    private static func pem(_ text: String) throws(Fault) -> [PinnedCertificate] {
        var found: [PinnedCertificate] = []
        var rest = text[...]
        while let begin = rest.firstRange(of: "-----BEGIN ") {
            let afterBegin = rest[begin.upperBound...]
            guard let labelEnd = afterBegin.firstRange(of: "-----") else { throw Fault("a BEGIN line is cut short") }
            let label = String(afterBegin[..<labelEnd.lowerBound])
            let body = afterBegin[labelEnd.upperBound...]
            guard let end = body.firstRange(of: "-----END \(label)-----") else {
                throw Fault("the part that begins with BEGIN \(label) has no END: it is cut short")
            }
            rest = body[end.upperBound...]
            switch label {
            case "CERTIFICATE", "X509 CERTIFICATE":
                guard let der = [UInt8](base64: body[..<end.lowerBound].utf8) else {
                    throw Fault("what stands between BEGIN and END is no base64")
                }
                found.append(try certificate(der))
            case _ where label.hasSuffix("PRIVATE KEY"):
                throw Fault("it holds a private key, which does not belong here: only the certificate is wanted")
            case _ where label.hasSuffix("PUBLIC KEY"):
                throw Fault("it is a bare public key; the certificate around it is wanted")
            default: throw Fault("it holds a '\(label)', and a CERTIFICATE is wanted")
            }
        }
        guard !found.isEmpty else { throw Fault("it holds no certificate") }
        return found
    }
}
