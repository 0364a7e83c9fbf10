import Base
import JSONText

/// A signed token in its compact form (RFC 7515 §3.1), taken apart and not yet believed.
struct CompactJWS: Sendable {
    /// More than any provider's ID token has.
    static let sizeLimit = 16 * 1024

    /// The header's members.
    var header: JSONTree
    var algorithm: String
    /// The name of the key; a key of the dictionary and nothing else.
    var keyID: String?
    var type: String?
    /// The bytes that are signed: both first parts as they came, with the dot.
    var signed: [UInt8]
    var payload: [UInt8]
    var signature: [UInt8]

    /// - Throws: ``TokenRefusal`` for what is no compact JWS with a JSON object as its header, or makes demands that
    ///   we do not know.
    init(_ token: String) throws(TokenRefusal) {
        let bytes = Array(token.utf8)
        guard bytes.count <= Self.sizeLimit else {
            throw TokenRefusal(
                .malformed, "The token has \(bytes.count) bytes; no more than \(Self.sizeLimit) are read.")
        }
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else {
            throw TokenRefusal(
                .malformed, "A signed token has three parts with dots between them; this one has \(parts.count).")
        }
        guard let headerBytes = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else {
            throw TokenRefusal(.malformed, "A part of the token is not base64url without padding.")
        }
        let header = try Self.object(headerBytes, "header")
        guard case .string(let algorithm)? = header["alg"]?.value else {
            throw TokenRefusal(.malformed, "The token's header names no algorithm.")
        }
        // RFC 7797 §6: b64 is never valid without crit, and an ID token has no use for either.
        for name in ["crit", "b64"] where Self.has(header, name) {
            throw TokenRefusal(.criticalHeader, "The token's header demands an extension (\(name)) that is not known.")
        }
        keyID = try Self.text(header, "kid")
        type = try Self.text(header, "typ")
        self.header = header
        self.algorithm = algorithm
        self.payload = payload
        self.signature = signature
        signed = Array(bytes[..<(parts[1].endIndex)])
    }

    /// Reads one of the parts, which must be a JSON object in UTF-8 whose members stand once.
    static func object(_ bytes: [UInt8], _ name: String) throws(TokenRefusal) -> JSONTree {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw TokenRefusal(.malformed, "The token's \(name) is not UTF-8.")
        }
        let tree: JSONTree
        do {
            tree = try JSONTree.parse(text)
        } catch {
            throw TokenRefusal(.malformed, "The token's \(name) is not JSON: \(error.reason).")
        }
        guard tree.isObject else { throw TokenRefusal(.malformed, "The token's \(name) is not a JSON object.") }
        return tree
    }

    /// Whether the member is there at all, with null as well.
    private static func has(_ tree: JSONTree, _ name: String) -> Bool {
        if case .object(let members) = tree.value { return members[name] != nil }
        return false
    }

    private static func text(_ header: JSONTree, _ name: String) throws(TokenRefusal) -> String? {
        guard let member = header[name] else { return nil }
        guard let text = member.string else {
            throw TokenRefusal(.malformed, "The \(name) of the token's header is not a text.")
        }
        return text
    }
}
