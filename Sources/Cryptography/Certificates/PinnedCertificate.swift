public import Base
internal import COpenSSL

/// An X.509 certificate (RFC 5280) that is trusted because an administrator put it there, such as that of an identity
/// provider: what counts is its RSA key. Who issued it and what else it says is for people only.
public struct PinnedCertificate: Sendable {
    /// The certificate in DER.
    public let der: [UInt8]
    public let publicKey: RSAPublicKey
    /// The subject on one line, such as `/C=US/O=Example/CN=idp`.
    public let subject: String
    /// The first instant at which it is valid.
    public let notBefore: WallTime
    /// The last instant at which it is valid.
    public let notAfter: WallTime

    /// Reads DER, which must be exactly one certificate, with an RSA key.
    public init(der: [UInt8]) throws(CryptographyError) {
        let read = der.withUnsafeBufferPointer { bytes -> OpaquePointer? in
            var place = bytes.baseAddress
            guard let certificate = d2i_X509(nil, &place, bytes.count) else { return nil }
            guard place == bytes.baseAddress.map({ $0 + bytes.count }) else {
                X509_free(certificate)
                return nil
            }
            return certificate
        }
        guard let certificate = read else { throw .fromOpenSSL("read a certificate") }
        defer { X509_free(certificate) }
        guard let key = X509_get_pubkey(certificate) else { throw .fromOpenSSL("read a certificate's public key") }
        self.der = der
        publicKey = try RSAPublicKey(owning: key)
        var line = [CChar](repeating: 0, count: 512)
        X509_NAME_oneline(X509_get_subject_name(certificate), &line, Int32(line.count))
        subject = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        notBefore = try Self.time(X509_get0_notBefore(certificate))
        notAfter = try Self.time(X509_get0_notAfter(certificate))
    }

    /// SHA-256 of the DER, in hexadecimal.
    public var fingerprint: String { Hash.digest(.sha256, [der]).hexadecimal }

    /// The certificate in PEM (RFC 7468).
    public var pem: String {
        let text = Array(der.base64)
        let lines = stride(from: 0, to: text.count, by: 64).map { String(text[$0..<min($0 + 64, text.count)]) }
        return (["-----BEGIN CERTIFICATE-----"] + lines + ["-----END CERTIFICATE-----"]).joined(separator: "\n") + "\n"
    }

    private static func time(_ time: UnsafePointer<ASN1_TIME>?) throws(CryptographyError) -> WallTime {
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard let epoch = ASN1_TIME_set(nil, 0) else { throw .fromOpenSSL("read a certificate's dates") }
        defer { ASN1_TIME_free(epoch) }
        guard let time, ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else {
            throw .fromOpenSSL("read a certificate's dates")
        }
        let (nanoseconds, overflow) = (Int64(days) * 86_400 + Int64(seconds))
            .multipliedReportingOverflow(by: 1_000_000_000)
        // Dates that 64 bits of nanoseconds cannot hold, such as 9999-12-31, are as far away as it gets.
        return WallTime(nanoseconds: overflow ? (days < 0 ? Int64.min : Int64.max) : nanoseconds)
    }
}

extension PinnedCertificate: Hashable {
    public static func == (a: PinnedCertificate, b: PinnedCertificate) -> Bool { a.der == b.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
}

extension PinnedCertificate: Codable {
    /// Reads base64 of the DER.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let der = [UInt8](base64: text.utf8) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a certificate that is no base64"))
        }
        self = try PinnedCertificate(der: der)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(der.base64)
    }
}
