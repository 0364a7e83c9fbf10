import Base
public import Cryptography
public import JSONText

/// A statement of ours under our RSA key: a compact JWS with RS256 (RFC 7515 §3.1, RFC 7518 §3.3), as token endpoints
/// want it in the place of a secret (RFC 7523).
public enum SignedAssertion {
    /// - Parameters:
    ///   - header: members beside `alg` and `typ`.
    ///   - claims: all of the payload.
    public static func text(
        header: [JSON.Member], claims: [JSON.Member], key: RSAPrivateKey
    ) throws(CryptographyError) -> String {
        let fixed: [JSON.Member] = [.init("alg", .string("RS256")), .init("typ", .string("JWT"))]
        let signed = [JSON.object(fixed + header), .object(claims)]
            .map { Base64URL.encode(Array($0.text().utf8)) }.joined(separator: ".")
        return signed + "." + Base64URL.encode(try key.signPKCS1(Array(signed.utf8), hash: .sha256))
    }
}
