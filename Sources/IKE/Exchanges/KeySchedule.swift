import Base
import Cryptography

/// The keys of an IKE SA (RFC 7296 §2.14), named by what we do with them.
struct IKEKeys: Sendable, Codable, Hashable {
    /// SK_d: children and the next IKE SA are derived from it.
    var derivation: Secret
    var encryptionOut: Secret
    var encryptionIn: Secret
    /// Nil with an AEAD cipher.
    var integrityOut: Secret?
    var integrityIn: Secret?
    /// SK_p of ours and the peer's, needed until IKE_AUTH is over.
    var authenticationLocal: Secret?
    var authenticationRemote: Secret?
}

/// Key derivation (RFC 7296 §2.13 to §2.18).
enum KeySchedule {
    /// SKEYSEED of a first IKE SA: `prf(Ni | Nr, g^ir)`.
    static func seed(_ prf: PRFAlgorithm, nonceI: [UInt8], nonceR: [UInt8], shared: Secret) -> Secret {
        PRF.compute(prf, key: Secret(nonceI + nonceR), [shared])
    }

    /// SKEYSEED of an IKE SA that replaces another, with the old one's PRF: `prf(SK_d, g^ir | Ni | Nr)` (RFC 7296 §2.18).
    static func seed(
        rekeying old: Secret, _ prf: PRFAlgorithm, nonceI: [UInt8], nonceR: [UInt8], shared: Secret
    ) -> Secret {
        PRF.compute(prf, key: old, [shared, nonceI, nonceR])
    }

    /// The seven keys out of SKEYSEED.
    static func keys(
        _ suite: IKESuite, seed: Secret, nonceI: [UInt8], nonceR: [UInt8], spiI: UInt64, spiR: UInt64,
        isInitiator: Bool
    ) -> IKEKeys {
        let prfLength = suite.prf.outputLength
        let integrityLength = suite.integrity?.keyLength ?? 0
        let encryptionLength = suite.encryption.keyLength + suite.encryption.saltLength
        let material = PRF.expand(
            suite.prf, key: seed, seed: [nonceI, nonceR, bytes(spiI), bytes(spiR)],
            count: 3 * prfLength + 2 * integrityLength + 2 * encryptionLength)
        var cursor = SecretCursor(material)
        let derivation = cursor.next(prfLength)
        let integrityI = cursor.next(integrityLength)
        let integrityR = cursor.next(integrityLength)
        let encryptionI = cursor.next(encryptionLength)
        let encryptionR = cursor.next(encryptionLength)
        let authenticationI = cursor.next(prfLength)
        let authenticationR = cursor.next(prfLength)
        let hasIntegrity = integrityLength > 0
        return IKEKeys(
            derivation: derivation, encryptionOut: isInitiator ? encryptionI : encryptionR,
            encryptionIn: isInitiator ? encryptionR : encryptionI,
            integrityOut: hasIntegrity ? (isInitiator ? integrityI : integrityR) : nil,
            integrityIn: hasIntegrity ? (isInitiator ? integrityR : integrityI) : nil,
            authenticationLocal: isInitiator ? authenticationI : authenticationR,
            authenticationRemote: isInitiator ? authenticationR : authenticationI)
    }

    /// The keys of one child, from the exchange's initiator to its responder first (RFC 7296 §2.17).
    struct ChildKeys {
        var encryptionI, integrityI, encryptionR, integrityR: Secret
    }

    /// `shared` is the child's own Diffie-Hellman secret, with PFS.
    static func childKeys(
        _ suite: ESPSuite, prf: PRFAlgorithm, derivation: Secret, shared: Secret?, nonceI: [UInt8], nonceR: [UInt8]
    ) -> ChildKeys {
        let encryptionLength = suite.encryption.keyLength + suite.encryption.saltLength
        let integrityLength = suite.integrity?.keyLength ?? 0
        let seed: [any ByteSource] = if let shared { [shared, nonceI, nonceR] } else { [nonceI, nonceR] }
        let material = PRF.expand(
            prf, key: derivation, seed: seed, count: 2 * (encryptionLength + integrityLength))
        var cursor = SecretCursor(material)
        let encryptionI = cursor.next(encryptionLength)
        let integrityI = cursor.next(integrityLength)
        let encryptionR = cursor.next(encryptionLength)
        let integrityR = cursor.next(integrityLength)
        return ChildKeys(
            encryptionI: encryptionI, integrityI: integrityI, encryptionR: encryptionR, integrityR: integrityR)
    }

    /// What a signature in AUTH covers (RFC 7296 §2.15): the signer's first message, the other's nonce, the signer's
    /// identity.
    static func signedOctets(
        _ prf: PRFAlgorithm, message: [UInt8], nonce: [UInt8], identityKey: Secret, identity: [UInt8]
    ) -> [any ByteSource] {
        [message, nonce, PRF.compute(prf, key: identityKey, [identity])]
    }

    /// AUTH with a shared key (RFC 7296 §2.15): the signer's first message, the other's nonce, the signer's identity.
    static func sharedKeyAuthentication(
        _ prf: PRFAlgorithm, psk: Secret, message: [UInt8], nonce: [UInt8], identityKey: Secret, identity: [UInt8]
    ) -> Secret {
        let pad = PRF.compute(prf, key: psk, [Array("Key Pad for IKEv2".utf8)])
        return PRF.compute(
            prf, key: pad,
            signedOctets(prf, message: message, nonce: nonce, identityKey: identityKey, identity: identity))
    }

    /// The keys with a post-quantum pre-shared key in them: SK_d, SK_pi and SK_pr become `prf+(PPK, key)` (RFC 8784 §3).
    /// Those that encrypt this IKE SA stay; its children and successors have the PPK in theirs.
    static func mixing(_ ppk: Secret, into keys: IKEKeys, _ prf: PRFAlgorithm) -> IKEKeys {
        func mixed(_ key: Secret) -> Secret { PRF.expand(prf, key: ppk, seed: [key], count: key.count) }
        var keys = keys
        keys.derivation = mixed(keys.derivation)
        keys.authenticationLocal = keys.authenticationLocal.map(mixed)
        keys.authenticationRemote = keys.authenticationRemote.map(mixed)
        return keys
    }

    static func bytes(_ spi: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: spi >> UInt64(56 - 8 * $0)) }
    }
}

/// Cuts key material into keys.
private struct SecretCursor {
    private let material: Secret
    private var offset = 0

    init(_ material: Secret) { self.material = material }

    mutating func next(_ count: Int) -> Secret {
        let start = offset
        offset += count
        return material.withUnsafeBytes { whole in
            Secret(count: count) { key in
                if count > 0 { key.copyMemory(from: UnsafeRawBufferPointer(rebasing: whole[start..<start + count])) }
            }
        }
    }
}
