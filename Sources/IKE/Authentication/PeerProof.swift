import Base
import Cryptography

/// Proof that the peer is who it says: only ``PeerProof/check(_:_:)`` and its siblings make one, and an SA is
/// established with one only.
struct PeerProof: Sendable, Codable {
    let identity: IKEIdentity
    /// How it was proven; nil by a shared key.
    let scheme: SignatureScheme?
    /// The peer's certificate and the intermediates that came with it.
    let certificates: [Certificate]

    private init(_ identity: IKEIdentity, _ scheme: SignatureScheme? = nil, _ certificates: [Certificate] = []) {
        self.identity = identity
        self.scheme = scheme
        self.certificates = certificates
    }

    /// Compares AUTH with what the shared key gives, in constant time.
    static func check(
        _ authentication: Payloads.Authentication, _ identity: IKEIdentity, expected: Secret
    ) -> PeerProof? {
        guard authentication.method == AuthenticationMethod.sharedKey, Secret(authentication.data) == expected else {
            return nil
        }
        return PeerProof(identity)
    }

    /// Verifies a certificate and the signature that its key has made.
    static func check(
        _ authentication: Payloads.Authentication, _ identity: IKEIdentity, _ received: [Payloads.CertificateData],
        _ octets: [any ByteSource], _ credentials: Credentials, at time: WallTime
    ) throws(ProofFault) -> PeerProof {
        if received.contains(where: { Payloads.CertificateData.hashAndURL.contains($0.encoding) }) {
            throw .hashAndURL
        }
        var certificates: [Certificate] = []
        for data in received where data.encoding == Payloads.CertificateData.x509 {
            do throws(CertificateFault) {
                certificates.append(try Certificate(der: data.data))
            } catch {
                // Of a kind that we do not use; the chain may do without.
                if certificates.isEmpty { throw .certificate(error) }
            }
        }
        guard let end = certificates.first else { throw .noCertificate }
        guard identity.isNamed(by: end) else {
            throw .certificate(
                .wrongIdentity(
                    identity.description, subject: end.subject.description,
                    names: end.alternativeNames.map(\.description)))
        }
        do throws(CertificateFault) {
            _ = try credentials.trust.verify(end, intermediates: Array(certificates.dropFirst()), at: time)
        } catch {
            throw .certificate(error)
        }
        let scheme = try verify(authentication, end.key, octets, allowsSHA1: credentials.credential.allowsSHA1)
        return PeerProof(identity, scheme, certificates)
    }

    /// Verifies the signature in AUTH and says how it was made.
    private static func verify(
        _ authentication: Payloads.Authentication, _ key: PublicKey, _ octets: [any ByteSource], allowsSHA1: Bool
    ) throws(ProofFault) -> SignatureScheme {
        let data = authentication.data
        switch authentication.method {
        case AuthenticationMethod.signature:
            guard let length = data.first, data.count > 1 + Int(length) else { throw .malformed }
            guard let scheme = SignatureScheme(algorithmIdentifier: data[1..<1 + Int(length)]) else {
                throw .unknownAlgorithm
            }
            guard scheme.hash != .sha1 || allowsSHA1 else { throw .sha1 }
            guard key.kind.permits(scheme) else { throw .otherKey(scheme.description, key.kind.description) }
            guard key.verify(Array(data[(1 + Int(length))...]), scheme, octets) else { throw .wrongSignature }
            return scheme
        case AuthenticationMethod.rsa:
            guard key.kind.permits(.pkcs1(.sha256)) else { throw .otherKey("RSA", key.kind.description) }
            for hash in SignatureHashes.ours where key.verify(data, .pkcs1(hash), octets) { return .pkcs1(hash) }
            guard key.verify(data, .pkcs1(.sha1), octets) else { throw .wrongSignature }
            guard allowsSHA1 else { throw .sha1 }
            return .pkcs1(.sha1)
        case AuthenticationMethod.ecdsa256, AuthenticationMethod.ecdsa384, AuthenticationMethod.ecdsa521:
            let kinds: [UInt8: SignatureKeyKind] = [
                AuthenticationMethod.ecdsa256: .p256, AuthenticationMethod.ecdsa384: .p384,
                AuthenticationMethod.ecdsa521: .p521,
            ]
            guard let kind = kinds[authentication.method], kind == key.kind else {
                throw .otherKey("ECDSA of another curve", key.kind.description)
            }
            let scheme = SignatureScheme.ecdsa(kind.hash)
            guard let signature = kind.derECDSA(data), key.verify(signature, scheme, octets) else {
                throw .wrongSignature
            }
            return scheme
        default: throw .unknownMethod(authentication.method)
        }
    }
}

/// Why a peer's certificate and signature prove nothing.
enum ProofFault: Error, Hashable, Sendable, CustomStringConvertible {
    case certificate(CertificateFault)
    case noCertificate
    case hashAndURL
    case malformed
    case unknownMethod(UInt8)
    case unknownAlgorithm
    case otherKey(String, String)
    case sha1
    case wrongSignature

    var description: String {
        switch self {
        case .certificate(let fault): fault.description
        case .noCertificate: "it sent no certificate; have it send one (strongSwan: send_cert = always)"
        case .hashAndURL:
            "it sent the address of a certificate instead of the certificate (hash and URL), and nothing is fetched "
                + "for a peer that is not known yet; turn that off there"
        case .malformed: "its signature is cut short"
        case .unknownMethod(let method): "it authenticates by method \(method), which is not supported"
        case .unknownAlgorithm: "its signature is of an algorithm that is not supported"
        case .otherKey(let used, let kind): "it signed with \(used), and the key of its certificate is \(kind)"
        case .sha1: "it signed with SHA-1, which is refused unless the connector allows it (allowSHA1)"
        case .wrongSignature:
            "its signature is wrong: it does not hold the private key of its certificate, or the messages were changed "
                + "on their way"
        }
    }
}

extension Engine {
    /// Verifies the peer's AUTH by the terms of a connection.
    func peerProof(
        _ id: ConnectionID, _ authentication: Payloads.Authentication, _ identity: IKEIdentity,
        _ payloads: Payloads, _ context: AuthenticationContext, from remote: IPAddress
    ) throws(Failure) -> PeerProof {
        guard let connection = connections[id] else {
            throw Failure(.noSuchConnection, "The connection was removed meanwhile.")
        }
        let configuration = connection.configuration
        guard (authentication.method == AuthenticationMethod.sharedKey) == (configuration.authentication.psk != nil)
        else { throw authMethodMismatch(remote, configuration, isSharedKey: configuration.authentication.psk == nil) }
        if let psk = configuration.authentication.psk {
            let expected = KeySchedule.sharedKeyAuthentication(
                context.prf, psk: psk, message: context.message, nonce: context.nonce,
                identityKey: context.identityKey, identity: context.identity)
            guard let proof = PeerProof.check(authentication, identity, expected: expected) else {
                throw wrongKey(remote, identity, hasPPK: configuration.ppk != nil)
            }
            return proof
        }
        let credentials = try credentials(of: connection)
        guard let time = wallTime else {
            throw Failure(.authenticationFailed, "The time of day is not known yet, and certificates need it.")
        }
        do throws(ProofFault) {
            return try PeerProof.check(
                authentication, identity, payloads.certificates, context.octets, credentials, at: time)
        } catch {
            throw Failure(.authenticationFailed, "\(remote) calls itself '\(identity)', and is refused: \(error).")
        }
    }

    /// The certificate by which a peer proved itself once may since have been revoked, or its CA dropped.
    func peerFault(_ sa: IKESA) -> Failure? {
        guard let certificates = sa.authenticated?.certificates, let end = certificates.first, let id = sa.connection,
            let connection = connections[id], let time = wallTime
        else { return nil }
        guard connection.configuration.authentication.credential != nil else {
            return Failure(.authenticationFailed, "The connection no longer takes certificates.")
        }
        do throws(CertificateFault) {
            guard case .success(let credentials) = connection.credentials else { return nil }
            _ = try credentials.trust.verify(end, intermediates: Array(certificates.dropFirst()), at: time)
            return nil
        } catch {
            return Failure(
                .authenticationFailed, "The certificate by which the peer proved itself holds no longer: \(error).")
        }
    }

    /// Ends an SA whose peer would be refused today.
    mutating func checkPeerAgain(_ sa: inout IKESA) {
        guard sa.isEstablished, let failure = peerFault(sa) else { return }
        emit(.failed(failure), sa)
        beginDeletion(&sa, failure)
    }
}
