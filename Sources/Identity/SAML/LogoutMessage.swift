public import Base
internal import Cryptography
internal import XML

/// A log-out message that the browser brings from a provider by the redirect binding (SAML bindings §3.4, profiles
/// §4.4). Nothing of it is to be believed before ``verify(for:logoutURL:now:)``.
public struct LogoutMessage: Sendable {
    public enum Content: Hashable, Sendable {
        /// The provider has ended somebody's sessions: those of the indexes, or all of that name when there is none.
        case request(id: String, nameID: String, sessionIndexes: [String])
        /// The answer to a request of ours.
        case response
    }

    public let content: Content
    public let issuer: String?
    public let relayState: String?
    private let destination: String?
    private let issued: WallTime?
    private let expires: WallTime?
    private let signature: Signature?

    private struct Signature: Sendable {
        var algorithm: String
        /// The query as it was signed.
        var signed: [UInt8]
        var value: [UInt8]
    }

    /// Bytes beyond which no message is read, after it was unpacked: a log-out message has a kilobyte or two.
    public static let sizeLimit = 64 << 10
    /// Seconds for which a signed request is taken when it names no end itself.
    public static let lifetimeSeconds = 300

    /// Reads the query of a request, as it stands in its address and without the question mark.
    public init(query: String) throws(SAMLRefusal) {
        var fields: [String: Substring] = [:]
        for part in query.split(separator: "&") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(halves[0])
            guard fields[name] == nil else {
                throw SAMLRefusal(.structure, "The log-out message has the field \(name.quoted) twice.")
            }
            fields[name] = halves.count > 1 ? halves[1] : ""
        }
        let kinds = ["SAMLRequest", "SAMLResponse"].filter { fields[$0] != nil }
        guard kinds.count == 1, let kind = kinds.first, let packed = fields[kind] else {
            throw SAMLRefusal(.structure, "The address holds no log-out message: one SAMLRequest or SAMLResponse is wanted.")
        }
        let document = try Self.unpack(packed)
        relayState = try fields["RelayState"].map { (text) throws(SAMLRefusal) in
            guard let value = String(validating: try Self.decoded(text), as: UTF8.self), value.utf8.count <= 1024 else {
                throw SAMLRefusal(.structure, "The RelayState is no text of at most 1024 bytes.")
            }
            return value
        }
        if let value = fields["Signature"], let algorithm = fields["SigAlg"] {
            guard let bytes = [UInt8](base64: try Self.decoded(value)) else {
                throw SAMLRefusal(.signature, "The Signature of the log-out message is no base64.")
            }
            // Over the very bytes that came, in the order of the binding (§3.4.4.1).
            let signed = [kind, "RelayState", "SigAlg"].compactMap { name in fields[name].map { "\(name)=\($0)" } }
            signature = Signature(
                algorithm: String(decoding: try Self.decoded(algorithm), as: UTF8.self),
                signed: Array(signed.joined(separator: "&").utf8), value: bytes)
        } else {
            signature = nil
        }

        let root: XMLNode
        do throws(XMLError) {
            root = try XMLTree(document, limits: .message(size: Self.sizeLimit)).root
        } catch {
            throw SAMLRefusal(.malformed, "The log-out message is no XML that is accepted: \(error.description).")
        }
        issuer = root.children("Issuer", Names.assertion).first?.text.collapsed
        destination = root.attribute("Destination")?.collapsed
        issued = root.attribute("IssueInstant").flatMap(WallTime.init(rfc3339:))
        expires = try root.attribute("NotOnOrAfter").map { (text) throws(SAMLRefusal) in
            guard let time = WallTime(rfc3339: text) else {
                throw SAMLRefusal(.condition, "NotOnOrAfter of the log-out message is no time: \(text.quoted).")
            }
            return time
        }
        switch kind {
        case "SAMLRequest":
            guard root.matches("LogoutRequest", Names.protocolMessages), let id = root.attribute("ID"), !id.isEmpty,
                id.utf8.count <= 256
            else { throw SAMLRefusal(.structure, "The SAMLRequest is no LogoutRequest with an ID.") }
            let names = root.children("NameID", Names.assertion)
            guard names.count == 1, let name = names[0].onlyText?.collapsed, !name.isEmpty else {
                throw SAMLRefusal(
                    .nameID, "The LogoutRequest must name one person by a NameID that is not encrypted.")
            }
            let indexes = root.children("SessionIndex", Names.protocolMessages).map { $0.text.collapsed }
            content = .request(id: id, nameID: name, sessionIndexes: indexes)
        default:
            guard root.matches("LogoutResponse", Names.protocolMessages) else {
                throw SAMLRefusal(.structure, "The SAMLResponse is no LogoutResponse.")
            }
            content = .response
        }
    }

    /// Proves that it comes from `provider`, is for us, and is fresh. An unsigned one proves nothing, for anyone can
    /// send a browser anywhere (SAML profiles §4.4.3.1).
    public func verify(
        for provider: IdentityProvider, logoutURL: String, now: WallTime
    ) throws(SAMLRefusal) {
        guard issuer == provider.issuer else {
            throw SAMLRefusal(
                .issuer, "The log-out message is from \((issuer ?? "nobody").quoted), and \(provider.issuer.quoted) is "
                    + "expected.")
        }
        guard let signature else {
            throw SAMLRefusal(
                .unsigned, "The log-out message is not signed. Have the provider sign its log-out requests.")
        }
        let hash = try XMLSignature.hash(ofSignature: signature.algorithm, allowsSHA1: provider.allowsSHA1)
        guard
            provider.certificates.contains(where: {
                $0.publicKey.verifiesPKCS1(signature.value, of: signature.signed, hash: hash)
            })
        else {
            throw SAMLRefusal(.signature, "The log-out message was not signed with the key of a configured certificate.")
        }
        guard destination == logoutURL else {
            throw SAMLRefusal(
                .destination, "The log-out message was meant for \((destination ?? "no address").quoted), and this "
                    + "service is \(logoutURL.quoted).")
        }
        let skew = Tick.Span.seconds(provider.clockSkewSeconds)
        guard let issued, issued < now + skew else {
            throw SAMLRefusal(.notYetValid, "The log-out message says no time, or one to come: are the clocks right?")
        }
        let end = expires ?? issued + .seconds(Self.lifetimeSeconds)
        guard now < end + skew else {
            throw SAMLRefusal(.expired, "The log-out message is too old: it was good until \(end.rfc3339).")
        }
    }

    private static func unpack(_ text: Substring) throws(SAMLRefusal) -> [UInt8] {
        guard text.utf8.count <= sizeLimit, let packed = [UInt8](base64: try decoded(text)) else {
            throw SAMLRefusal(.malformed, "The log-out message is too long, or no base64.")
        }
        do throws(Deflate.Fault) {
            return try Deflate.inflate(packed, limit: sizeLimit)
        } catch {
            switch error {
            case .tooLarge(let limit):
                throw SAMLRefusal(.size, "The log-out message is larger than \(limit) bytes when unpacked.")
            case .truncated, .malformed, .trailing:
                throw SAMLRefusal(.malformed, "The log-out message is not packed as DEFLATE.")
            }
        }
    }

    private static func decoded(_ text: Substring) throws(SAMLRefusal) -> [UInt8] {
        guard let bytes = FormEncoding.decoded(Array(text.utf8)[...]) else {
            throw SAMLRefusal(.malformed, "The log-out message is not encoded as an address is.")
        }
        return bytes
    }
}
