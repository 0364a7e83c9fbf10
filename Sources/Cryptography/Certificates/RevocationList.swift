public import Base
internal import COpenSSL

/// A certificate revocation list (RFC 5280 §5): the certificates that a CA has taken back before their time.
///
/// Encodes as PEM text.
// Proof of Sendable: as ``Certificate``.
public final class RevocationList: @unchecked Sendable {
    let pointer: OpaquePointer
    public let der: [UInt8]
    public let issuer: DistinguishedName
    public let thisUpdate: WallTime
    /// When the CA will have published the next one.
    public let nextUpdate: WallTime?

    /// Bytes of the largest list that is taken.
    public static let longest = 4 << 20

    public init(der bytes: some Collection<UInt8>) throws(CertificateFault) {
        let bytes = Array(bytes)
        guard bytes.count <= Self.longest else {
            throw .unreadable(what: "CRL", reason: "\(bytes.count) bytes are more than \(Self.longest)")
        }
        let read = bytes.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            return d2i_X509_CRL(nil, &start, buffer.count)
        }
        guard let read, let issuer = X509_CRL_get_issuer(read),
            let thisUpdate = WallTime(X509_CRL_get0_lastUpdate(read))
        else {
            read.map { X509_CRL_free($0) }
            ERR_clear_error()
            throw .unreadable(what: "CRL", reason: "the bytes are no X.509 CRL in DER")
        }
        pointer = read
        der = bytes
        self.issuer = DistinguishedName(issuer)
        self.thisUpdate = thisUpdate
        nextUpdate = WallTime(X509_CRL_get0_nextUpdate(read))
    }

    deinit { X509_CRL_free(pointer) }

    /// Every list of a PEM text; or the one that the bytes are in DER.
    public static func list(_ bytes: [UInt8]) throws(CertificateFault) -> [RevocationList] {
        if bytes.first == DER.sequenceTag { return [try RevocationList(der: bytes)] }
        var list: [RevocationList] = []
        for block in PEM.blocks(bytes) where block.label == "X509 CRL" {
            list.append(try RevocationList(der: block.bytes.exposedBytes))
        }
        guard !list.isEmpty else { throw .unreadable(what: "CRL", reason: "there is no '-----BEGIN X509 CRL-----'") }
        return list
    }

    public var pem: String { PEM.text("X509 CRL", der) }
}

extension RevocationList: Hashable {
    public static func == (a: RevocationList, b: RevocationList) -> Bool { a === b || a.der == b.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
}

extension RevocationList: Codable {
    public convenience init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do throws(CertificateFault) {
            let list = try RevocationList.list(Array(text.utf8))
            guard list.count == 1 else { throw .unreadable(what: "CRL", reason: "there are \(list.count) in one place") }
            try self.init(der: list[0].der)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(pem)
    }
}
