internal import COpenSSL

/// A certificate made for a test, with its key.
// Proof of Sendable: written in `init` and `deinit` alone.
public final class TestCertificate: @unchecked Sendable {
    /// What a certificate says.
    public struct Terms: Sendable {
        /// Attributes and their values, such as `[("C", "CH"), ("CN", "gateway")]`.
        public var subject: [(String, String)]
        /// OpenSSL's words for subjectAltName, such as `DNS:gateway.example.org,IP:192.0.2.1`.
        public var names: String?
        public var isAuthority = false
        public var pathLength: Int?
        /// Seconds since 1970.
        public var notBefore = TestCertificate.time - 86_400
        public var notAfter = TestCertificate.time + 365 * 86_400
        public var keyUsage: String?
        public var extendedKeyUsage: String?
        public var hash = "sha256"
        /// Leaves basicConstraints out, whatever ``isAuthority`` says.
        public var lacksConstraints = false
        /// The number and value of an extension that nobody knows, critical.
        public var unknownExtension = false

        public init(_ name: String, names: String? = nil) {
            subject = [("C", "CH"), ("O", "Gatehouse"), ("CN", name)]
            self.names = names
        }

        public static func authority(_ name: String) -> Terms {
            var terms = Terms(name)
            terms.isAuthority = true
            terms.keyUsage = "critical,keyCertSign,cRLSign"
            return terms
        }
    }

    /// The time that tests take place at: 2026-11-24 12:00 UTC.
    public static let time = 1_795_521_600

    public let key: TestKey
    let pointer: OpaquePointer

    /// - Parameter issuer: nil signs itself.
    public init(_ terms: Terms, key: TestKey, issuer: TestCertificate? = nil) {
        let certificate = X509_new()!
        X509_set_version(certificate, 2)
        let number = BN_new()
        defer { BN_free(number) }
        BN_rand(number, 100, 0, 0)
        BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate))
        let name = X509_get_subject_name(certificate)
        for (type, value) in terms.subject {
            let bytes = Array(value.utf8)
            precondition(
                X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1)
        }
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0.pointer) } ?? name)
        ASN1_TIME_set(X509_getm_notBefore(certificate), terms.notBefore)
        ASN1_TIME_set(X509_getm_notAfter(certificate), terms.notAfter)
        X509_set_pubkey(certificate, key.pointer)
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer?.pointer ?? certificate, certificate, nil, nil, 0)
        func add(_ number: Int32, _ value: String) {
            let fresh = X509V3_EXT_conf_nid(nil, &context, number, value)
            precondition(fresh != nil, "no extension of '\(value)'")
            X509_add_ext(certificate, fresh, -1)
            X509_EXTENSION_free(fresh)
        }
        if !terms.lacksConstraints {
            let length = terms.pathLength.map { ",pathlen:\($0)" } ?? ""
            add(NID_basic_constraints, terms.isAuthority ? "critical,CA:TRUE\(length)" : "CA:FALSE")
        }
        add(NID_subject_key_identifier, "hash")
        if issuer != nil { add(NID_authority_key_identifier, "keyid") }
        if let usage = terms.keyUsage { add(NID_key_usage, usage) }
        if let usage = terms.extendedKeyUsage { add(NID_ext_key_usage, usage) }
        if let names = terms.names { add(NID_subject_alt_name, names) }
        if terms.unknownExtension {
            let object = OBJ_txt2obj("1.3.6.1.4.1.32473.1", 1)
            let value = ASN1_OCTET_STRING_new()
            ASN1_OCTET_STRING_set(value, [5, 0], 2)
            let fresh = X509_EXTENSION_create_by_OBJ(nil, object, 1, value)
            X509_add_ext(certificate, fresh, -1)
            X509_EXTENSION_free(fresh)
            ASN1_OCTET_STRING_free(value)
            ASN1_OBJECT_free(object)
        }
        let signer = (issuer?.key ?? key)
        let digest = signer.kind == .ed25519 ? nil : EVP_get_digestbyname(terms.hash)
        precondition(X509_sign(certificate, signer.pointer, digest) > 0)
        pointer = certificate
        self.key = key
    }

    deinit { X509_free(pointer) }

    public var pem: String { text { PEM_write_bio_X509($0, pointer) } }

    /// The certificate with another signature under it.
    public var forgedPEM: String {
        let copy = X509_dup(pointer)!
        defer { X509_free(copy) }
        var der: UnsafeMutablePointer<UInt8>?
        let count = Int(i2d_X509(copy, &der))
        defer { CRYPTO_free(der, nil, 0) }
        // The last bytes are the signature's.
        der![count - 3] ^= 0x55
        var start: UnsafePointer<UInt8>? = UnsafePointer(der)
        let forged = d2i_X509(nil, &start, count)!
        defer { X509_free(forged) }
        return text { PEM_write_bio_X509($0, forged) }
    }

    /// A list of what this CA has revoked.
    ///
    /// - Parameters:
    ///   - signer: signs it in the place of this CA.
    ///   - nextUpdate: seconds since 1970.
    public func revocationList(
        _ revoked: [TestCertificate], nextUpdate: Int = TestCertificate.time + 30 * 86_400, signer: TestKey? = nil
    ) -> String {
        let list = X509_CRL_new()!
        defer { X509_CRL_free(list) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(pointer))
        func time(_ seconds: Int) -> UnsafeMutablePointer<ASN1_TIME>? { ASN1_TIME_set(nil, seconds) }
        X509_CRL_set1_lastUpdate(list, time(min(nextUpdate, TestCertificate.time) - 86_400))
        X509_CRL_set1_nextUpdate(list, time(nextUpdate))
        for certificate in revoked {
            let entry = X509_REVOKED_new()
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.pointer))
            X509_REVOKED_set_revocationDate(entry, time(TestCertificate.time - 3600))
            X509_CRL_add0_revoked(list, entry)
        }
        X509_CRL_sort(list)
        // strongSwan finds a CRL by its issuer's key.
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, pointer, nil, nil, list, 0)
        let issuerKey = X509V3_EXT_conf_nid(nil, &context, NID_authority_key_identifier, "keyid")
        X509_CRL_add_ext(list, issuerKey, -1)
        X509_EXTENSION_free(issuerKey)
        precondition(X509_CRL_sign(list, (signer ?? key).pointer, EVP_sha256()) > 0)
        return text { PEM_write_bio_X509_CRL($0, list) }
    }
}
