import Base
import Cryptography

/// A ``CertificateCredential`` made ready: read, checked, and with what verifying needs.
final class Credentials: Sendable {
    let credential: CertificateCredential
    let key: PrivateKey
    let trust: CertificateTrust

    /// Throws what could never work.
    init(_ credential: CertificateCredential, localID: IKEIdentity?) throws(CertificateFault) {
        guard let own = credential.certificates.first else {
            throw .unreadable(what: "certificate", reason: "we have none of our own")
        }
        guard credential.certificates.count <= CertificateTrust.mostCertificates else {
            throw .other(
                subject: own.subject.description,
                reason: "\(credential.certificates.count) certificates are more than \(CertificateTrust.mostCertificates)")
        }
        key = try PrivateKey(credential.privateKey)
        try own.require(key)
        guard !credential.authorities.isEmpty else {
            throw .unreadable(what: "CA certificate", reason: "there is none to verify the peer's certificate with")
        }
        if let localID, !localID.isNamed(by: own) {
            throw .wrongIdentity(
                localID.description, subject: own.subject.description, names: own.alternativeNames.map(\.description))
        }
        trust = try CertificateTrust(
            authorities: credential.authorities, revocationLists: credential.revocationLists,
            policy: credential.revocation)
        self.credential = credential
    }

    /// CERT payloads in their order; a root that signs itself the peer has, or does not trust.
    var sent: [[UInt8]] {
        credential.certificates.enumerated().filter { $0.offset == 0 || !$0.element.isSelfIssued }.map(\.element.der)
    }

    /// How we sign for a peer that takes these hashes, with the AUTH method that says so. Nil when nothing fits.
    ///
    /// - Parameters:
    ///   - hashes: what the peer announced; empty when it knows nothing of RFC 7427.
    ///   - theirs: how the peer signed, where it went first.
    func scheme(
        hashes: [HashAlgorithm], following theirs: SignatureScheme?
    ) -> (method: UInt8, scheme: SignatureScheme)? {
        guard !hashes.isEmpty else { return classicScheme(following: theirs) }
        var wanted = [key.kind.hash, .sha256, .sha384, .sha512]
        if credential.allowsSHA1 { wanted.append(.sha1) }
        guard let hash = wanted.first(where: hashes.contains) else { return nil }
        switch key.kind {
        case .p256, .p384, .p521: return (AuthenticationMethod.signature, .ecdsa(hash))
        case .rsa(_, let isPSSOnly):
            let follows = if case .pss = theirs { true } else { false }
            let usesPSS = isPSSOnly || follows || credential.rsaPadding == .pss
            return (AuthenticationMethod.signature, usesPSS ? .pss(hash) : .pkcs1(hash))
        }
    }

    /// RFC 7296 §3.8 and RFC 4754. An RSA signature names its hash itself: SHA-1 is what every old peer verifies, and
    /// some verify others.
    private func classicScheme(following theirs: SignatureScheme?) -> (method: UInt8, scheme: SignatureScheme)? {
        switch key.kind {
        case .p256: return (AuthenticationMethod.ecdsa256, .ecdsa(.sha256))
        case .p384: return (AuthenticationMethod.ecdsa384, .ecdsa(.sha384))
        case .p521: return (AuthenticationMethod.ecdsa521, .ecdsa(.sha512))
        case .rsa(_, isPSSOnly: true): return nil
        case .rsa(_, isPSSOnly: false):
            if case .pkcs1(let hash) = theirs { return (AuthenticationMethod.rsa, .pkcs1(hash)) }
            return (AuthenticationMethod.rsa, .pkcs1(credential.allowsSHA1 ? .sha1 : .sha256))
        }
    }
}

/// What both sides proved, kept with the IKE SA and its successors.
final class Authenticated: Sendable, Codable {
    let summary: AuthenticationSummary
    /// The peer's certificate and what else it sent, for when the CAs or CRLs change; empty with a pre-shared key.
    let certificates: [Certificate]

    init(_ summary: AuthenticationSummary, _ certificates: [Certificate]) {
        self.summary = summary
        self.certificates = certificates
    }
}

/// The hashes that we verify signatures with, as SIGNATURE_HASH_ALGORITHMS names them (RFC 7427 §4).
enum SignatureHashes {
    static let ours: [HashAlgorithm] = [.sha256, .sha384, .sha512]

    static var notify: Notify {
        Notify(
            .signatureHashAlgorithms,
            data: ours.flatMap { [UInt8($0.signatureNumber >> 8), UInt8(truncatingIfNeeded: $0.signatureNumber)] })
    }

    /// The peer's, those that we know; empty when it sent none.
    static func of(_ payloads: Payloads) -> [HashAlgorithm] {
        guard let data = payloads.notify(.signatureHashAlgorithms)?.data else { return [] }
        let numbers = stride(from: 0, to: data.count - data.count % 2, by: 2).map {
            UInt16(data[$0]) << 8 | UInt16(data[$0 + 1])
        }
        return HashAlgorithm.allCases.filter { numbers.contains($0.signatureNumber) }
    }
}
