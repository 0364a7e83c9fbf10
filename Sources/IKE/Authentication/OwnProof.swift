import Base
import Cryptography

/// Our AUTH payload and what goes with it.
struct OwnProof: Sendable, Codable {
    var method: UInt8
    var data: [UInt8]
    /// DER, for CERT payloads.
    var certificates: [[UInt8]] = []
    /// `psk` or the scheme of the signature.
    var name: String
}

/// What one side's AUTH covers, apart from its identity and key (RFC 7296 §2.15).
struct AuthenticationContext {
    var prf: PRFAlgorithm
    /// The signer's own IKE_SA_INIT message.
    var message: [UInt8]
    /// The other side's nonce.
    var nonce: [UInt8]
    /// SK_pi or SK_pr, the signer's.
    var identityKey: Secret
    /// The body of the signer's ID payload.
    var identity: [UInt8]

    var octets: [any ByteSource] {
        KeySchedule.signedOctets(prf, message: message, nonce: nonce, identityKey: identityKey, identity: identity)
    }
}

extension Engine {
    /// Proves our identity to the peer.
    ///
    /// - Parameters:
    ///   - hashes: what the peer announced for signatures.
    ///   - theirs: how the peer signed, where it went first.
    func ownProof(
        _ id: ConnectionID, _ context: AuthenticationContext, hashes: [HashAlgorithm],
        following theirs: SignatureScheme? = nil
    ) throws(Failure) -> OwnProof {
        guard let connection = connections[id] else {
            throw Failure(.noSuchConnection, "The connection was removed meanwhile.")
        }
        if let psk = connection.configuration.authentication.psk {
            let data = KeySchedule.sharedKeyAuthentication(
                context.prf, psk: psk, message: context.message, nonce: context.nonce,
                identityKey: context.identityKey, identity: context.identity)
            return OwnProof(method: AuthenticationMethod.sharedKey, data: data.exposedBytes, name: "psk")
        }
        let credentials = try credentials(of: connection)
        guard let (method, scheme) = credentials.scheme(hashes: hashes, following: theirs) else {
            let why =
                hashes.isEmpty
                ? "it announces no hash algorithms (RFC 7427), and our key signs with RSA-PSS alone"
                : "it takes signatures with \(hashes.map(\.rawValue).joined(separator: ", ")) only"
            throw Failure(.authenticationFailed, "We have no signature that the peer takes: \(why).")
        }
        let signature: [UInt8]
        do throws(CryptographyError) {
            signature = try credentials.key.sign(scheme, context.octets)
        } catch {
            throw Failure(.authenticationFailed, "Our private key does not sign: \(error).")
        }
        var data = signature
        switch method {
        case AuthenticationMethod.signature:
            let algorithm = scheme.algorithmIdentifier
            data = [UInt8(algorithm.count)] + algorithm + signature
        case AuthenticationMethod.rsa: break
        default: data = credentials.key.kind.plainECDSA(signature) ?? []
        }
        return OwnProof(method: method, data: data, certificates: credentials.sent, name: scheme.description)
    }

    /// The credentials of a connection with certificates, or why it cannot work.
    func credentials(of connection: Connection) throws(Failure) -> Credentials {
        switch connection.credentials {
        case .success(let credentials): return credentials
        case .failure(let fault):
            throw Failure(
                .authenticationFailed, "'\(connection.configuration.name)' cannot authenticate: \(fault).")
        case nil: throw Failure(.authenticationFailed, "'\(connection.configuration.name)' has no certificate.")
        }
    }
}

extension ConnectionConfiguration {
    /// Who we say we are: what is configured, or the subject of our certificate, or else our address.
    func ownIdentity(_ path: Path) -> IKEIdentity {
        let subject = authentication.credential?.subject
        // A name that was typed may have other string types than the certificate; the certificate's own bytes go out.
        if let localID { return subject.flatMap { $0.matches(localID) ? $0 : nil } ?? localID }
        return subject ?? IKEIdentity(path.local.address)
    }
}
