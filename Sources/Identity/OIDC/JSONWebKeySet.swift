import Base
internal import JWTKit
import JSONText

/// The signature keys that a provider publishes (RFC 7517), by name. What cannot verify a signature is left out, with
/// the reason.
public struct JSONWebKeySet: Sendable {
    /// Keys that are read from one document; providers publish two to ten.
    static let keyLimit = 64
    /// Bits of the shortest RSA modulus that is used (RFC 7518 §3.3).
    static let shortestRSA = 2048

    struct Key: Sendable {
        var id: String?
        /// The one algorithm that this key verifies: what the provider pins, or what the kind of key implies.
        var algorithm: String
        /// The one issuer that the key may sign for (Entra's common key set); nil means any that this set is used for.
        var issuer: String?
        fileprivate var verifier: any JWTAlgorithm

        /// Whether the signature over `bytes` was made with the private half.
        func verifies(_ signature: [UInt8], over bytes: [UInt8]) -> Bool {
            (try? verifier.verify(signature, signs: bytes)) == true
        }
    }

    private(set) var keys: [Key] = []
    /// Why keys with these names are not used.
    private(set) var unusable: [String: String] = [:]

    /// Reads a key set document.
    ///
    /// A key that is malformed spoils itself, not the set.
    /// - Throws: ``TokenRefusal`` for a text that is no key set at all.
    public init(_ text: String) async throws(TokenRefusal) {
        let tree: JSONTree
        do {
            tree = try JSONTree.parse(text)
        } catch {
            throw TokenRefusal(.malformed, "The key set is not JSON: \(error.description).")
        }
        guard let members = tree["keys"]?.array else {
            throw TokenRefusal(.malformed, "The key set has no list 'keys'.")
        }
        guard members.count <= Self.keyLimit else {
            throw TokenRefusal(.malformed, "The key set holds \(members.count) keys; \(Self.keyLimit) are read at most.")
        }
        for member in members {
            let id = member["kid"]?.string
            do throws(Unusable) {
                let key = try await Self.key(member, id)
                if let id, keys.contains(where: { $0.id == id }) {
                    throw Unusable(reason: "two keys of the set have the same kid")
                }
                keys.append(key)
            } catch {
                if let id { unusable[id] = error.reason }
            }
        }
        // Of two keys with one name, neither is certain.
        keys.removeAll { key in key.id.map { unusable[$0] != nil } ?? false }
    }

    /// The keys that can verify signatures, each with its algorithm and its name.
    public var summary: [String] { keys.map { key in key.algorithm + (key.id.map { " " + shown($0) } ?? "") } }

    /// The key for a token's header.
    func key(for jws: CompactJWS) throws(TokenRefusal) -> Key {
        guard let id = jws.keyID else {
            let fitting = keys.filter { $0.algorithm == jws.algorithm }
            if let only = fitting.first, fitting.count == 1 { return only }
            guard fitting.isEmpty else {
                throw TokenRefusal(
                    .keyAmbiguous, "The token names no key (kid) and \(fitting.count) keys of the provider fit.")
            }
            throw TokenRefusal(.keyUnknown, "The token names no key (kid) and none of the provider's fits.")
        }
        guard let key = keys.first(where: { $0.id == id }) else {
            if let reason = unusable[id] {
                throw TokenRefusal(.keyUnusable, "The key \(shown(id)) cannot verify signatures: \(reason).")
            }
            throw TokenRefusal(.keyUnknown, "The provider publishes no key \(shown(id)).")
        }
        guard key.algorithm == jws.algorithm else {
            throw TokenRefusal(
                .algorithmNotAllowed,
                "The token is signed with \(shown(jws.algorithm)); the key \(shown(id)) is for \(key.algorithm).")
        }
        return key
    }

    // MARK: - One key

    private struct Unusable: Error { var reason: String }

    private static func key(_ member: JSONTree, _ id: String?) async throws(Unusable) -> Key {
        if let use = member["use"] {
            guard use.string == "sig" else { throw Unusable(reason: "it is not for signatures") }
        }
        if let operations = member["key_ops"] {
            guard operations.array?.contains(where: { $0.string == "verify" }) == true else {
                throw Unusable(reason: "its operations do not include 'verify'")
            }
        }
        let pinned = member["alg"]?.string
        let issuer = member["issuer"]?.string
        let collection = JWTKeyCollection()
        let name: String
        switch member["kty"]?.string {
        case "RSA":
            name = pinned ?? "RS256"
            let digest: DigestAlgorithm
            switch name {
            case "RS256", "PS256": digest = .sha256
            case "RS384", "PS384": digest = .sha384
            case "RS512", "PS512": digest = .sha512
            default: throw Unusable(reason: "it is for an algorithm that is not used")
            }
            let key = try rsa(member)
            if name.hasPrefix("PS") {
                await collection.add(pss: key, digestAlgorithm: digest)
            } else {
                await collection.add(rsa: key, digestAlgorithm: digest)
            }
        case "EC":
            switch member["crv"]?.string {
            case "P-256":
                name = "ES256"
                await collection.add(ecdsa: try ellipticCurve(member, width: 32, ES256PublicKey.init(parameters:)))
            case "P-384":
                name = "ES384"
                await collection.add(ecdsa: try ellipticCurve(member, width: 48, ES384PublicKey.init(parameters:)))
            default: throw Unusable(reason: "its curve is not used")
            }
            guard pinned == nil || pinned == name else {
                throw Unusable(reason: "its curve does not fit its algorithm")
            }
        default: throw Unusable(reason: "it is neither RSA nor EC")
        }
        guard let verifier = try? await collection.getKey() else {
            throw Unusable(reason: "it is malformed")
        }
        return Key(id: id, algorithm: name, issuer: issuer, verifier: verifier)
    }

    private static func rsa(_ member: JSONTree) throws(Unusable) -> Insecure.RSA.PublicKey {
        guard let modulus = member["n"]?.string, let exponent = member["e"]?.string,
            let modulusBytes = Base64URL.decode(modulus.utf8), let exponentBytes = Base64URL.decode(exponent.utf8)
        else { throw Unusable(reason: "its modulus or exponent is missing or malformed") }
        let significant = modulusBytes.drop { $0 == 0 }
        let bits = significant.count * 8 - (significant.first?.leadingZeroBitCount ?? 0)
        guard bits >= shortestRSA else { throw Unusable(reason: "it has only \(bits) bits") }
        guard bits <= 16_384, let last = exponentBytes.last, last & 1 == 1, exponentBytes.drop(while: { $0 == 0 }) != [1]
        else { throw Unusable(reason: "its modulus or exponent is out of range") }
        do {
            return try Insecure.RSA.PublicKey(modulus: modulus, exponent: exponent)
        } catch {
            throw Unusable(reason: "it is malformed")
        }
    }

    private static func ellipticCurve<Key>(
        _ member: JSONTree, width: Int, _ make: (ECDSAParameters) throws -> Key
    ) throws(Unusable) -> Key {
        guard let x = member["x"]?.string, let y = member["y"]?.string,
            Base64URL.decode(x.utf8)?.count == width, Base64URL.decode(y.utf8)?.count == width
        else { throw Unusable(reason: "its coordinates are missing or malformed") }
        do {
            // Decoding checks that the point lies on the curve.
            return try make((x: x, y: y))
        } catch {
            throw Unusable(reason: "its coordinates are not a point of its curve")
        }
    }
}
