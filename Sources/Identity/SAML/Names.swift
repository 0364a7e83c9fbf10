/// Namespaces and identifiers of SAML 2.0 and of the XML security standards under it.
enum Names {
    static let assertion = "urn:oasis:names:tc:SAML:2.0:assertion"
    static let protocolMessages = "urn:oasis:names:tc:SAML:2.0:protocol"
    static let metadata = "urn:oasis:names:tc:SAML:2.0:metadata"
    static let signature = "http://www.w3.org/2000/09/xmldsig#"
    static let encryption = "http://www.w3.org/2001/04/xmlenc#"
    static let encryption11 = "http://www.w3.org/2009/xmlenc11#"
    static let exclusiveCanonicalization = "http://www.w3.org/2001/10/xml-exc-c14n#"
    static let envelopedSignature = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
    static let schemaInstance = "http://www.w3.org/2001/XMLSchema-instance"

    static let success = "urn:oasis:names:tc:SAML:2.0:status:Success"
    static let bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    static let entityFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
    static let unspecifiedFormat = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
    static let emailFormat = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
    static let postBinding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    static let redirectBinding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
}

extension String {
    /// The text without the white space of XML around it.
    var collapsed: String {
        let isBlank: (UInt8) -> Bool = { $0 == 32 || $0 == 9 || $0 == 10 || $0 == 13 }
        guard let first = utf8.firstIndex(where: { !isBlank($0) }), let last = utf8.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(self[first...last])
    }

    /// What a message says, fit to stand in a sentence: quoted, of bounded length, without control characters.
    var quoted: String {
        var text = ""
        for scalar in unicodeScalars.prefix(200) {
            let isHarmless = scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
                && scalar.properties.generalCategory != .format && !scalar.properties.isBidiControl
            text.unicodeScalars.append(isHarmless ? scalar : "?")
        }
        return "'" + text + (unicodeScalars.count > 200 ? "…" : "") + "'"
    }
}
