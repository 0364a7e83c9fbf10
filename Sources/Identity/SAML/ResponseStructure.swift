internal import XML

/// How a response is put together, checked on the whole tree before any cryptography: one response, one assertion where
/// it belongs, signatures where they belong, IDs that name one element each. Wrapping a signed part into another message
/// fails here, whatever its signature says.
struct ResponseStructure {
    let response: XMLNode
    let responseID: String
    let responseSignature: XMLNode?
    /// `Assertion` or `EncryptedAssertion`.
    let assertion: XMLNode
    let isEncrypted: Bool
    /// Of a plain assertion.
    let assertionSignature: XMLNode?

    init(_ root: XMLNode) throws(SAMLRefusal) {
        guard root.matches("Response", Names.protocolMessages) else {
            throw SAMLRefusal(.structure, "The document is no SAML 2.0 Response; its root is \(root.name.quoted).")
        }
        guard root.attribute("Version") == "2.0" else {
            throw SAMLRefusal(.version, "The Response is of version \((root.attribute("Version") ?? "").quoted), not 2.0.")
        }
        guard let id = root.attribute("ID"), !id.isEmpty else {
            throw SAMLRefusal(.structure, "The Response has no ID.")
        }
        // A failure comes without an assertion, and its reason is worth more than that.
        try Self.checkStatus(root)
        let parts = try Self.parts(root)
        guard parts.responses == 1 else { throw SAMLRefusal(.structure, "A Response stands within the Response.") }
        guard parts.assertions.count == 1, let assertion = parts.assertions.first else {
            throw SAMLRefusal(
                .structure, parts.assertions.isEmpty
                    ? "The Response holds no assertion."
                    : "The Response holds \(parts.assertions.count) assertions; exactly one is accepted.")
        }
        guard assertion.parent == root else {
            throw SAMLRefusal(.structure, "The assertion does not stand directly in the Response.")
        }
        isEncrypted = assertion.name == "EncryptedAssertion"
        var ofResponse: XMLNode?
        var ofAssertion: XMLNode?
        for signature in parts.signatures {
            if signature.parent == root, ofResponse == nil {
                ofResponse = signature
            } else if signature.parent == assertion, !isEncrypted, ofAssertion == nil {
                ofAssertion = signature
            } else {
                throw SAMLRefusal(
                    .structure, "A Signature stands where none belongs: one is accepted in the Response and one in its "
                        + "Assertion.")
            }
        }
        response = root
        responseID = id
        responseSignature = ofResponse
        self.assertion = assertion
        assertionSignature = ofAssertion
    }

    /// The signature of a decrypted assertion, if it has one; throws where the document holds anything else.
    static func decryptedSignature(_ assertion: XMLNode) throws(SAMLRefusal) -> XMLNode? {
        let parts = try parts(assertion)
        guard parts.responses == 0, parts.assertions == [assertion] else {
            throw SAMLRefusal(.structure, "The encrypted assertion holds another assertion or response.")
        }
        guard parts.signatures.count <= 1, parts.signatures.allSatisfy({ $0.parent == assertion }) else {
            throw SAMLRefusal(.structure, "A Signature stands where none belongs in the encrypted assertion.")
        }
        return parts.signatures.first
    }

    private struct Parts {
        var responses = 0
        var assertions: [XMLNode] = []
        var signatures: [XMLNode] = []
    }

    private static func parts(_ root: XMLNode) throws(SAMLRefusal) -> Parts {
        var parts = Parts()
        var ids: Set<String> = []
        try root.walk { (node) throws(SAMLRefusal) in
            switch node.name {
            case "Response" where node.namespace == Names.protocolMessages: parts.responses += 1
            case "Assertion" where node.namespace == Names.assertion,
                "EncryptedAssertion" where node.namespace == Names.assertion:
                parts.assertions.append(node)
            case "Signature" where node.namespace == Names.signature: parts.signatures.append(node)
            default: break
            }
            for (name, value) in node.attributes where name.count == 2 && name.lowercased() == "id" {
                guard ids.insert(value).inserted else {
                    throw SAMLRefusal(.structure, "The ID \(value.quoted) is given to more than one element.")
                }
            }
        }
        return parts
    }

    private static func checkStatus(_ root: XMLNode) throws(SAMLRefusal) {
        let statuses = root.children("Status", Names.protocolMessages)
        guard statuses.count == 1, let status = statuses.first else {
            throw SAMLRefusal(.structure, "The Response must say its Status once.")
        }
        let codes = status.children("StatusCode", Names.protocolMessages)
        guard codes.count == 1, let code = codes.first, let value = code.attribute("Value") else {
            throw SAMLRefusal(.structure, "The Status must hold one StatusCode.")
        }
        guard value != Names.success else { return }
        func short(_ value: String) -> String { value.split(separator: ":").last.map(String.init) ?? value }
        var text = "The provider refused: \(short(value).quoted)"
        if let nested = code.children("StatusCode", Names.protocolMessages).first?.attribute("Value") {
            text += ", \(short(nested).quoted)"
        }
        if let message = status.children("StatusMessage", Names.protocolMessages).first?.text.collapsed,
            !message.isEmpty
        {
            text += ", saying \(message.quoted)"
        }
        throw SAMLRefusal(.status, text + ".")
    }
}
