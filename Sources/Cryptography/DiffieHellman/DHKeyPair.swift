/// One side's keys of one Diffie-Hellman exchange: every group of ``DHGroup``, in the forms that IKE's KE payload has.
///
/// Made from the random bytes alone, so that a simulation replays. Encodes its private key hidden, unless the
/// encoder says ``Secret/revealSecrets``.
public struct DHKeyPair: Sendable {
    public let group: DHGroup
    /// What goes to the peer: as long as ``DHGroup/publicValueLength`` says, leading zeros kept. Curves give x, then y
    /// (RFC 5903 §7), curve25519 its 32 bytes (RFC 8031 §3.1).
    public let publicValue: [UInt8]

    private let privateKey: Secret
    private let method: Method

    /// How the group computes.
    private enum Method: Sendable {
        case finiteField(FiniteField)
        case ellipticCurve(EllipticCurve)
        case curve25519(Curve25519Key)
    }

    /// Fails only when OpenSSL lacks memory or the algorithm.
    public init(group: DHGroup, random: inout SeededRandom) throws(CryptographyError) {
        if let field = FiniteField.of(group) {
            try self.init(group, privateKey: field.get().makePrivate(&random))
        } else if let curve = EllipticCurve.of(group) {
            try self.init(group, privateKey: curve.get().makePrivate(&random))
        } else {
            try self.init(group, privateKey: random.secret(Curve25519Key.length))
        }
    }

    /// From a private key in the group's own form: a big-endian number, or 32 bytes for curve25519.
    init(_ group: DHGroup, privateKey: Secret) throws(CryptographyError) {
        self.group = group
        self.privateKey = privateKey
        if let field = FiniteField.of(group) {
            let field = try field.get()
            publicValue = try field.publicValue(privateKey)
            method = .finiteField(field)
        } else if let curve = EllipticCurve.of(group) {
            let curve = try curve.get()
            publicValue = try curve.publicValue(privateKey)
            method = .ellipticCurve(curve)
        } else {
            let key = try Curve25519Key(privateKey: privateKey)
            publicValue = try key.publicValue()
            method = .curve25519(key)
        }
    }

    /// The secret shared with the peer whose public value is given: as long as the modulus or the x coordinate
    /// (RFC 7296 §2.14, RFC 5903 §7), leading zeros kept.
    ///
    /// Throws ``CryptographyError/invalidPublicValue(_:_:)`` for a value that fails RFC 6989 §2.
    public func sharedSecret(peer: ArraySlice<UInt8>) throws(CryptographyError) -> Secret {
        guard peer.count == group.publicValueLength else {
            throw .invalidPublicValue(group, .wrongLength(expected: group.publicValueLength, given: peer.count))
        }
        switch method {
        case .finiteField(let field): return try field.sharedSecret(privateKey, peer: peer)
        case .ellipticCurve(let curve): return try curve.sharedSecret(privateKey, peer: peer)
        case .curve25519(let key): return try key.sharedSecret(peer: peer)
        }
    }

    /// As ``sharedSecret(peer:)`` of the slice.
    public func sharedSecret(peer: [UInt8]) throws(CryptographyError) -> Secret { try sharedSecret(peer: peer[...]) }
}

extension DHKeyPair: Codable {
    private enum CodingKeys: String, CodingKey { case group, privateKey }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(group, forKey: .group)
        try container.encode(privateKey, forKey: .privateKey)
    }

    /// Computes the public value anew.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let group = try container.decode(DHGroup.self, forKey: .group)
        let privateKey = try container.decode(Secret.self, forKey: .privateKey)
        do throws(CryptographyError) {
            try self.init(group, privateKey: privateKey)
        } catch {
            throw DecodingError.dataCorruptedError(forKey: .privateKey, in: container, debugDescription: "\(error)")
        }
    }
}

extension DHKeyPair: Equatable {
    public static func == (a: DHKeyPair, b: DHKeyPair) -> Bool { a.group == b.group && a.privateKey == b.privateKey }
}

extension DHKeyPair: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "\(group.name) key pair (hidden)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
