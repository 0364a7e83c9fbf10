public import Base
internal import COpenSSL

/// An X.509 certificate (RFC 5280). What it says is believed only once a ``CertificateTrust`` has verified it.
///
/// Encodes as PEM text.
// Proof of Sendable: OpenSSL's form is made in `init` and freed in `deinit`; in between it is only read, and what
// OpenSSL works out lazily about it, it guards with a lock of its own.
public final class Certificate: @unchecked Sendable {
    let pointer: OpaquePointer
    public let der: [UInt8]
    public let subject: DistinguishedName
    public let issuer: DistinguishedName
    public let notBefore: WallTime
    public let notAfter: WallTime
    public let key: PublicKey
    /// What the certificate names beside its subject.
    public let alternativeNames: [AlternativeName]
    /// Whether it may issue certificates: basicConstraints say CA.
    public let isAuthority: Bool
    /// SHA-1 of the subject's public key with its algorithm, by which CERTREQ names a CA (RFC 7296 §3.7).
    public let keyHash: [UInt8]

    /// Bytes of the largest certificate that is taken.
    public static let longest = 16_384

    /// A name in subjectAltName.
    public enum AlternativeName: Hashable, Sendable, CustomStringConvertible {
        case dns(String)
        case email(String)
        case address(IPAddress)

        public var description: String {
            switch self {
            case .dns(let name), .email(let name): name
            case .address(let address): address.description
            }
        }
    }

    /// Reads one certificate that fills the bytes.
    public init(der bytes: some Collection<UInt8>) throws(CertificateFault) {
        let bytes = Array(bytes)
        guard bytes.count <= Self.longest else {
            throw .unreadable(what: "certificate", reason: "\(bytes.count) bytes are more than \(Self.longest)")
        }
        let (read, used) = bytes.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            let read = d2i_X509(nil, &start, buffer.count)
            return (read, buffer.baseAddress.flatMap { from in start.map { $0 - from } } ?? 0)
        }
        guard let read else {
            ERR_clear_error()
            throw .unreadable(what: "certificate", reason: "the bytes are no X.509 certificate in DER")
        }
        var isKept = false
        defer { if !isKept { X509_free(read) } }
        guard used == bytes.count else {
            throw .unreadable(what: "certificate", reason: "\(bytes.count - used) bytes stand behind it")
        }
        guard let subject = X509_get_subject_name(read), let issuer = X509_get_issuer_name(read),
            let notBefore = WallTime(X509_get0_notBefore(read)), let notAfter = WallTime(X509_get0_notAfter(read)),
            let publicKey = X509_get_pubkey(read)
        else {
            ERR_clear_error()
            throw .unreadable(what: "certificate", reason: "its names, times or key are damaged")
        }
        key = try PublicKey(taking: publicKey)
        der = bytes
        self.subject = DistinguishedName(subject)
        self.issuer = DistinguishedName(issuer)
        self.notBefore = notBefore
        self.notAfter = notAfter
        alternativeNames = Self.alternativeNames(read)
        isAuthority = X509_check_ca(read) == 1
        keyHash = Self.keyHash(read)
        ERR_clear_error()
        pointer = read
        isKept = true
    }

    deinit { X509_free(pointer) }

    /// Every certificate of a PEM text, in order; or the one that the bytes are in DER.
    public static func list(_ bytes: [UInt8]) throws(CertificateFault) -> [Certificate] {
        if bytes.first == DER.sequenceTag { return [try Certificate(der: bytes)] }
        var list: [Certificate] = []
        for block in PEM.blocks(bytes)
        where ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(block.label) {
            list.append(try Certificate(der: block.bytes.exposedBytes))
        }
        guard !list.isEmpty else {
            throw .unreadable(what: "certificate", reason: "there is no '-----BEGIN CERTIFICATE-----'")
        }
        return list
    }

    public var pem: String { PEM.text("CERTIFICATE", der) }

    /// Whether it names itself as its issuer.
    public var isSelfIssued: Bool { subject.matches(issuer) }

    /// The serial number in hexadecimal.
    public var serialNumber: String {
        guard let serial = X509_get0_serialNumber(pointer), let number = ASN1_INTEGER_to_BN(serial, nil) else {
            return ""
        }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return "" }
        defer { CRYPTO_free(text, nil, 0) }
        return String(cString: text).lowercased()
    }

    /// Refuses a private key that is not this certificate's.
    public func require(_ key: PrivateKey) throws(CertificateFault) {
        guard self.key.belongs(to: key) else { throw .keyMismatch(subject: subject.description) }
    }

    // MARK: - Reading

    private static func alternativeNames(_ certificate: OpaquePointer) -> [AlternativeName] {
        guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(raw)
        defer { GENERAL_NAMES_free(names) }
        return (0..<max(0, OPENSSL_sk_num(names))).compactMap { index in
            guard let name = OPENSSL_sk_value(names, index)?.assumingMemoryBound(to: GENERAL_NAME.self).pointee,
                let text = name.d.ia5
            else { return nil }
            switch name.type {
            case GEN_DNS: return Self.text(text).map { .dns($0) }
            case GEN_EMAIL: return Self.text(text).map { .email($0) }
            case GEN_IPADD: return IPAddress(bytes: Self.bytes(text)[...]).map { .address($0) }
            default: return nil
            }
        }
    }

    private static func bytes(_ string: UnsafeMutablePointer<ASN1_STRING>) -> [UInt8] {
        Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
    }

    /// Printable ASCII only: a zero in the middle would make `a.example\0.b.example` look like another name.
    private static func text(_ string: UnsafeMutablePointer<ASN1_STRING>) -> String? {
        let bytes = bytes(string)
        guard !bytes.isEmpty, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func keyHash(_ certificate: OpaquePointer) -> [UInt8] {
        guard let key = X509_get_X509_PUBKEY(certificate) else { return [] }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_PUBKEY(key, &bytes)
        guard count > 0, let bytes else { return [] }
        defer { CRYPTO_free(bytes, nil, 0) }
        return Hash.digest(.sha1, [UnsafeRawBufferPointer(start: bytes, count: Int(count))])
    }

    // MARK: - Fitness

    /// Whether an IPsec peer may prove itself by it: the key usage permits signatures, the extended key usage IPsec,
    /// TLS or anything, where they are there at all (RFC 4945 §5.1.3.2, §5.1.3.12).
    func requirePeerUsage() throws(CertificateFault) {
        let usage = X509_get_key_usage(pointer)
        if usage != UInt32.max, usage & UInt32(KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION) == 0 {
            throw .wrongUsage(
                subject: subject.description, reason: "its key usage permits neither digitalSignature nor nonRepudiation")
        }
        guard let raw = X509_get_ext_d2i(pointer, NID_ext_key_usage, nil, nil) else { return ERR_clear_error() }
        let purposes = OpaquePointer(raw)
        defer { EXTENDED_KEY_USAGE_free(purposes) }
        let named = (0..<max(0, OPENSSL_sk_num(purposes))).compactMap { index -> String? in
            guard let object = OPENSSL_sk_value(purposes, index) else { return nil }
            var text = [CChar](repeating: 0, count: 128)
            OBJ_obj2txt(&text, Int32(text.count), OpaquePointer(object), 1)
            return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
        }
        guard named.contains(where: Self.purposes.contains) else {
            throw .wrongUsage(
                subject: subject.description,
                reason: "its extended key usage (\(named.joined(separator: ", "))) has nothing for IPsec, such as ipsecIKE "
                    + "or serverAuth")
        }
    }

    /// anyExtendedKeyUsage; serverAuth and clientAuth; ipsecEndSystem, ipsecTunnel, ipsecUser; ipsecIKE; and
    /// iKEIntermediate, which macOS asks for.
    private static let purposes: Set<String> = [
        "2.5.29.37.0", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.6",
        "1.3.6.1.5.5.7.3.7", "1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.8.2.2",
    ]
}

extension Certificate: Hashable {
    public static func == (a: Certificate, b: Certificate) -> Bool { a === b || a.der == b.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
}

extension Certificate: CustomStringConvertible {
    public var description: String { subject.description }
}

extension Certificate: Codable {
    public convenience init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do throws(CertificateFault) {
            let list = try Certificate.list(Array(text.utf8))
            guard list.count == 1 else {
                throw .unreadable(what: "certificate", reason: "there are \(list.count) in one place")
            }
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

extension WallTime {
    /// A time of ASN.1, in seconds.
    init?(_ time: UnsafePointer<ASN1_TIME>?) {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
        let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
        if let time = WallTime(rfc3339: "\(date)T\(clock)Z") {
            self = time
        } else {
            // Years beyond those that nanoseconds reach, such as 9999 for "no end" (RFC 5280 §4.1.2.5).
            self.init(nanoseconds: parts.tm_year + 1900 > 2000 ? .max : .min)
        }
    }

    /// Seconds since 1970, rounded down.
    var seconds: Int {
        let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Int(remainder < 0 ? quotient - 1 : quotient)
    }
}
