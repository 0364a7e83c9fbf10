internal import Base
internal import Cryptography
internal import IKE

/// The bare arithmetic of one side of a handshake: what no implementation can do without. IKE_SA_INIT and IKE_AUTH
/// with a pre-shared key and one child, as ``ConnectionConfiguration/bench(_:local:remote:)`` asks for.
enum Arithmetic {
    /// Microseconds of CPU a handshake, of `count`.
    static func run(_ options: Options, count: Int) throws -> Double {
        var random = SeededRandom(seed: Clock.seed())
        let peer = try DHKeyPair(group: options.group, random: &random)
        let psk = Secret(Array(options.psk.utf8))
        let message = random.bytes(400)
        let body = random.bytes(256)
        let start = Clock.cpu()
        for _ in 0..<count {
            let pair = try DHKeyPair(group: options.group, random: &random)
            let shared = try pair.sharedSecret(peer: peer.publicValue)
            let nonces = random.bytes(64)
            let seed = PRF.compute(.sha256, key: Secret(nonces), [shared])
            // SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi, SK_pr.
            let keys = PRF.expand(.sha256, key: seed, seed: [nonces, random.bytes(16)], count: 5 * 32 + 2 * 16)
            // The identity, the padded key and AUTH, of either side.
            for _ in 0..<2 {
                let identity = PRF.compute(.sha256, key: keys, [nonces])
                let pad = PRF.compute(.sha256, key: psk, [nonces])
                _ = PRF.compute(.sha256, key: pad, [message, nonces, identity])
            }
            // The child's four keys.
            _ = PRF.expand(.sha256, key: seed, seed: [nonces], count: 2 * 20)
            // IKE_AUTH in and out.
            let key = random.secret(16)
            let iv = random.bytes(16)
            let none: [UInt8] = []
            let sealed = try IKECipher.seal(.aes128, key: key, iv: iv, aad: none, plaintext: body)
            _ = IntegrityAlgorithm.sha256.tag(key: seed, [sealed])
            _ = IntegrityAlgorithm.sha256.tag(key: seed, [sealed])
            _ = try IKECipher.open(.aes128, key: key, iv: iv, aad: none, ciphertext: sealed)
        }
        return Double(Clock.cpu() - start) / 1000 / Double(count)
    }
}
