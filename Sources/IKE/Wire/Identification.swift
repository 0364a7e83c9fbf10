import Base
import Cryptography

/// The ID payload (RFC 7296 §3.5) on the wire.
extension IKEIdentity {
    private enum Number {
        static let ipv4: UInt8 = 1
        static let fqdn: UInt8 = 2
        static let email: UInt8 = 3
        static let ipv6: UInt8 = 5
        static let distinguishedName: UInt8 = 9
        static let keyID: UInt8 = 11
    }

    /// The payload's body: type, three reserved bytes, data. AUTH covers exactly these bytes.
    var payloadBody: [UInt8] {
        let (type, data): (UInt8, [UInt8]) =
            switch self {
            case .ipv4(let address): (Number.ipv4, address.bytes)
            case .ipv6(let address): (Number.ipv6, address.bytes)
            case .fqdn(let name): (Number.fqdn, Array(name.utf8))
            case .email(let name): (Number.email, Array(name.utf8))
            case .keyID(let bytes): (Number.keyID, bytes)
            case .distinguishedName(let name): (Number.distinguishedName, name.der)
            }
        return [type, 0, 0, 0] + data
    }

    /// Reads the body of an ID payload.
    init(parsing body: ArraySlice<UInt8>, _ field: String) throws(MessageError) {
        let start = body.startIndex
        guard body.count >= 4 else { throw .malformed(field, at: start, "needs 4 bytes, has \(body.count)") }
        let data = body[(start + 4)...]
        switch body[start] {
        case Number.ipv4:
            guard data.count == 4, let address = IPAddress(bytes: data) else {
                throw .malformed(field, at: start + 4, "an IPv4 address of \(data.count) bytes")
            }
            self = .ipv4(address)
        case Number.ipv6:
            guard data.count == 16, let address = IPAddress(bytes: data) else {
                throw .malformed(field, at: start + 4, "an IPv6 address of \(data.count) bytes")
            }
            self = .ipv6(address)
        case Number.fqdn: self = .fqdn(try Self.text(data, field))
        case Number.email: self = .email(try Self.text(data, field))
        case Number.keyID: self = .keyID(Array(data))
        case Number.distinguishedName:
            guard let name = DistinguishedName(der: data) else {
                throw .malformed(field, at: start + 4, "\(data.count) bytes that are no distinguished name")
            }
            self = .distinguishedName(name)
        case let other:
            throw MessageError(
                .incompatible, field, at: start,
                "identities of type \(other) are not supported; use an address, a name, an e-mail address or a distinguished name",
                answer: .authenticationFailed)
        }
    }

    private static func text(_ data: ArraySlice<UInt8>, _ field: String) throws(MessageError) -> String {
        guard !data.isEmpty, data.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .malformed(field, at: data.startIndex, "a name must be printable ASCII without blanks")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// Whether a certificate names this identity: the subject for a distinguished name, else subjectAltName alone
    /// (RFC 4945 §3.1).
    func isNamed(by certificate: Certificate) -> Bool {
        if case .distinguishedName(let name) = self { return name.matches(certificate.subject) }
        return certificate.alternativeNames.contains { name in
            switch name {
            case .dns(let name): matches(.fqdn(name))
            case .email(let name): matches(.email(name))
            case .address(let address): matches(IKEIdentity(address))
            }
        }
    }

    /// Whether both name the same peer: names compare without regard to case.
    func matches(_ other: IKEIdentity) -> Bool {
        switch (self, other) {
        case (.fqdn(let a), .fqdn(let b)), (.email(let a), .email(let b)):
            a == b || a.lowercased() == b.lowercased()
        case (.distinguishedName(let a), .distinguishedName(let b)): a.matches(b)
        default: self == other
        }
    }

    /// A form that is equal for identities that match.
    var canonical: IKEIdentity {
        switch self {
        case .fqdn(let name): .fqdn(name.lowercased())
        case .email(let name): .email(name.lowercased())
        case .distinguishedName(let name): .distinguishedName(name.canonical)
        default: self
        }
    }
}
