public import Base
public import Cryptography

/// Who a peer says it is: the ID payload (RFC 7296 §3.5).
public enum IKEIdentity: Hashable, Sendable {
    case ipv4(IPAddress)
    case ipv6(IPAddress)
    case fqdn(String)
    case email(String)
    /// ID_KEY_ID: opaque bytes.
    case keyID([UInt8])
    /// ID_DER_ASN1_DN: the subject of a certificate.
    case distinguishedName(DistinguishedName)

    /// The identity of an address.
    public init(_ address: IPAddress) { self = address.isIPv4 ? .ipv4(address) : .ipv6(address) }
}

extension IKEIdentity: LosslessStringConvertible, Codable {
    /// `203.0.113.1`, `2001:db8::1`, `vpn.example.org`, `ops@example.org`, `keyid:hex` or `C=CH, CN=gateway`.
    public var description: String {
        switch self {
        case .ipv4(let address), .ipv6(let address): address.description
        case .fqdn(let name): name
        case .email(let name): name
        case .keyID(let bytes): "keyid:" + bytes.hexadecimal
        case .distinguishedName(let name): name.description
        }
    }

    /// Reads the forms that ``description`` writes. Nil for an empty text.
    public init?(_ text: String) {
        guard !text.isEmpty else { return nil }
        if let address = IPAddress(text) {
            self.init(address)
        } else if text.hasPrefix("keyid:") {
            guard let bytes = [UInt8](hexadecimal: String(text.dropFirst(6))), !bytes.isEmpty else { return nil }
            self = .keyID(bytes)
        } else if text.contains("=") || text.hasPrefix("asn1dn:#") {
            guard let name = DistinguishedName(text) else { return nil }
            self = .distinguishedName(name)
        } else {
            self = text.contains("@") ? .email(text) : .fqdn(text)
        }
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let identity = IKEIdentity(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "'\(text)' is no IKE identity"))
        }
        self = identity
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
