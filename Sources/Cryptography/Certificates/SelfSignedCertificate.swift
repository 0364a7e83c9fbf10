public import Base
internal import COpenSSL

extension RSAPrivateKey {
    /// A new key of so many bits, from OpenSSL's own random numbers.
    public static func generate(bits: Int = 2048) throws(CryptographyError) -> RSAPrivateKey {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "RSA", nil) else { throw .fromOpenSSL("make a key") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_rsa_keygen_bits(context, Int32(bits)) == 1,
            EVP_PKEY_generate(context, &key) == 1, let key
        else { throw .fromOpenSSL("make a key") }
        return try RSAPrivateKey(owning: key)
    }

    /// The key as PKCS #8 in PEM, without encryption: for a file that only its owner reads.
    public var pem: Secret {
        get throws(CryptographyError) {
            let text = Array(try pkcs8.exposedBytes.base64)
            let lines = stride(from: 0, to: text.count, by: 64).map { String(text[$0..<min($0 + 64, text.count)]) }
            let all = ["-----BEGIN PRIVATE KEY-----"] + lines + ["-----END PRIVATE KEY-----", ""]
            return Secret(Array(all.joined(separator: "\n").utf8))
        }
    }

    /// A certificate that the key signs itself, for what pins it or warns of it.
    ///
    /// - Parameters:
    ///   - names: host names and addresses for the subjectAltName; the first is also the common name.
    ///   - serial: 8 random bytes.
    public func selfSigned(
        for names: [String], serial: [UInt8], from start: WallTime, days: Int
    ) throws(CryptographyError) -> PinnedCertificate {
        guard let certificate = X509_new() else { throw .fromOpenSSL("make a certificate") }
        defer { X509_free(certificate) }
        let failed = "make a certificate"
        let seconds = start.nanoseconds / 1_000_000_000
        let number = serial.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } >> 1
        guard X509_set_version(certificate, 2) == 1,
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), max(1, number)) == 1,
            // A day earlier, for clocks that are behind.
            ASN1_TIME_set(X509_getm_notBefore(certificate), time_t(seconds - 86_400)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(certificate), time_t(seconds + Int64(days) * 86_400)) != nil,
            X509_set_pubkey(certificate, pointer) == 1, let subject = X509_get_subject_name(certificate)
        else { throw .fromOpenSSL(failed) }
        let common = Array((names.first ?? "gatehouse").utf8.prefix(64))
        guard X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_FLAG | 0, common, Int32(common.count), -1, 0) == 1,
            X509_set_issuer_name(certificate, subject) == 1
        else { throw .fromOpenSSL(failed) }
        let alternatives = names.map { (IPAddress($0) == nil ? "DNS:" : "IP:") + $0 }.joined(separator: ",")
        var extensions = [
            (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature,keyEncipherment"),
            (NID_ext_key_usage, "serverAuth"),
        ]
        if !names.isEmpty { extensions.append((NID_subject_alt_name, alternatives)) }
        for (kind, value) in extensions {
            guard let one = X509V3_EXT_conf_nid(nil, nil, kind, value) else { throw .fromOpenSSL(failed) }
            defer { X509_EXTENSION_free(one) }
            guard X509_add_ext(certificate, one, -1) == 1 else { throw .fromOpenSSL(failed) }
        }
        guard X509_sign(certificate, pointer, EVP_sha256()) > 0 else { throw .fromOpenSSL(failed) }
        var written: UnsafeMutablePointer<UInt8>?
        let count = Int(i2d_X509(certificate, &written))
        defer { gh_openssl_free(written) }
        guard count > 0, let written else { throw .fromOpenSSL(failed) }
        return try PinnedCertificate(der: Array(UnsafeBufferPointer(start: written, count: count)))
    }
}
