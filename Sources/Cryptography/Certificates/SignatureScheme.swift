internal import Base

/// How an AUTH payload is signed (RFC 7427): the padding or curve and the hash.
public enum SignatureScheme: Hashable, Codable, Sendable {
    /// RSASSA-PKCS1-v1_5.
    case pkcs1(HashAlgorithm)
    /// RSASSA-PSS with MGF1 of the same hash and a salt as long as its digest.
    case pss(HashAlgorithm)
    /// ECDSA, on the curve of whoever's key it is.
    case ecdsa(HashAlgorithm)

    public var hash: HashAlgorithm {
        switch self {
        case .pkcs1(let hash), .pss(let hash), .ecdsa(let hash): hash
        }
    }
}

extension SignatureScheme: CustomStringConvertible {
    /// Such as `rsa-pss-sha256` or `ecdsa-sha384`.
    public var description: String {
        switch self {
        case .pkcs1(let hash): "rsa-\(hash.rawValue)"
        case .pss(let hash): "rsa-pss-\(hash.rawValue)"
        case .ecdsa(let hash): "ecdsa-\(hash.rawValue)"
        }
    }
}

// MARK: - On the wire

extension SignatureScheme {
    /// The DER of the AlgorithmIdentifier that stands in front of a signature (RFC 7427 §3, appendix A).
    public var algorithmIdentifier: [UInt8] {
        switch self {
        case .pkcs1(let hash): DER.sequence([DER.object(hash.rsaObject), DER.null])
        case .ecdsa(let hash): DER.sequence([DER.object(hash.ecdsaObject)])
        case .pss(let hash):
            DER.sequence([
                DER.object(Self.pssObject),
                DER.sequence([
                    DER.tagged(0, hash.identifier),
                    DER.tagged(1, DER.sequence([DER.object(Self.maskObject), hash.identifier])),
                    DER.tagged(2, [0x02, 1, UInt8(hash.digestLength)]),
                ]),
            ])
        }
    }

    /// Reads an AlgorithmIdentifier; nil for one that we do not verify.
    public init?(algorithmIdentifier der: ArraySlice<UInt8>) {
        guard let parts = DER.parts(der, of: DER.sequenceTag), let object = parts.first.flatMap(DER.objectBody) else {
            return nil
        }
        let parameters = Array(parts.dropFirst())
        if object == Self.pssObject[...] {
            guard parameters.count == 1, let hash = Self.pssHash(parameters[0]) else { return nil }
            self = .pss(hash)
            return
        }
        let isPlain = parameters.isEmpty || (parameters.count == 1 && parameters[0] == DER.null[...])
        guard isPlain else { return nil }
        for hash in HashAlgorithm.allCases {
            if object == hash.rsaObject[...] { self = .pkcs1(hash); return }
            if object == hash.ecdsaObject[...] { self = .ecdsa(hash); return }
        }
        return nil
    }

    /// RSASSA-PSS-params (RFC 4055 §3.1). Defaults would mean SHA-1, so that all must be there and agree.
    private static func pssHash(_ der: ArraySlice<UInt8>) -> HashAlgorithm? {
        guard let fields = DER.parts(der, of: DER.sequenceTag), (3...4).contains(fields.count),
            let hashField = DER.parts(fields[0], of: 0xA0), hashField.count == 1,
            let maskField = DER.parts(fields[1], of: 0xA1), maskField.count == 1,
            let hash = HashAlgorithm.allCases.first(where: { $0.isIdentified(by: hashField[0]) }),
            let mask = DER.parts(maskField[0], of: DER.sequenceTag), mask.count == 2,
            DER.objectBody(mask[0]) == maskObject[...], hash.isIdentified(by: mask[1]),
            fields[2] == DER.tagged(2, [0x02, 1, UInt8(hash.digestLength)])[...]
        else { return nil }
        // The trailer field has one value only, and RFC 7427's own example writes it out.
        if fields.count == 4, fields[3] != [0xA3, 3, 2, 1, 1] { return nil }
        return hash
    }

    private static let pssObject: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 10]
    private static let maskObject: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 8]
}

extension HashAlgorithm {
    /// The number in a SIGNATURE_HASH_ALGORITHMS notify (RFC 7427 §7).
    public var signatureNumber: UInt16 {
        switch self {
        case .sha1: 1
        case .sha256: 2
        case .sha384: 3
        case .sha512: 4
        }
    }

    /// sha1WithRSAEncryption to sha512WithRSAEncryption (RFC 8017 appendix C).
    fileprivate var rsaObject: [UInt8] {
        let last: UInt8 =
            switch self {
            case .sha1: 5
            case .sha256: 11
            case .sha384: 12
            case .sha512: 13
            }
        return [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, last]
    }

    /// ecdsa-with-SHA1 to ecdsa-with-SHA512 (RFC 3279 §2.2.3, RFC 5758 §3.2).
    fileprivate var ecdsaObject: [UInt8] {
        switch self {
        case .sha1: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 1]
        case .sha256: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2]
        case .sha384: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3]
        case .sha512: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 4]
        }
    }

    private var object: [UInt8] {
        switch self {
        case .sha1: [0x2B, 14, 3, 2, 26]
        case .sha256: [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]
        case .sha384: [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2]
        case .sha512: [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]
        }
    }

    /// The AlgorithmIdentifier of the hash itself.
    fileprivate var identifier: [UInt8] { DER.sequence([DER.object(object), DER.null]) }

    /// With NULL parameters or none (RFC 4055 §2.1).
    fileprivate func isIdentified(by der: ArraySlice<UInt8>) -> Bool {
        der == identifier[...] || der == DER.sequence([DER.object(object)])[...]
    }
}

/// As much of DER (X.690) as an AlgorithmIdentifier needs.
enum DER {
    static let sequenceTag: UInt8 = 0x30
    static let null: [UInt8] = [5, 0]

    static func object(_ body: [UInt8]) -> [UInt8] { value(6, body) }
    static func sequence(_ parts: [[UInt8]]) -> [UInt8] { value(sequenceTag, parts.flatMap { $0 }) }
    static func tagged(_ number: UInt8, _ body: [UInt8]) -> [UInt8] { value(0xA0 | number, body) }

    /// Contents here are shorter than 128 bytes.
    private static func value(_ tag: UInt8, _ body: [UInt8]) -> [UInt8] { [tag, UInt8(body.count)] + body }

    /// The values inside a value that fills `der` and has that tag; nil if it does not.
    static func parts(_ der: ArraySlice<UInt8>, of tag: UInt8) -> [ArraySlice<UInt8>]? {
        guard der.first == tag, let body = body(of: der) else { return nil }
        var parts: [ArraySlice<UInt8>] = []
        var rest = body
        while !rest.isEmpty {
            guard let length = length(of: rest) else { return nil }
            parts.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return parts
    }

    /// The body of an OBJECT IDENTIFIER.
    static func objectBody(_ der: ArraySlice<UInt8>) -> ArraySlice<UInt8>? { der.first == 6 ? body(of: der) : nil }

    private static func body(of der: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        length(of: der) == der.count ? der.dropFirst(2) : nil
    }

    /// The whole length of the value that `der` begins with, in the short form alone.
    private static func length(of der: ArraySlice<UInt8>) -> Int? {
        guard der.count >= 2, case let length = der[der.startIndex + 1], length < 128, der.count >= 2 + Int(length)
        else { return nil }
        return 2 + Int(length)
    }
}
