import Base
import Foundation
import JSONText
import Testing

@testable import Identity

/// A sample of `Samples/oidc`.
func oidcSample(_ name: String) throws -> JSONTree {
    let url = try #require(Bundle.module.url(forResource: "Samples/oidc/" + name, withExtension: nil))
    return try JSONTree.parse(String(decoding: try Data(contentsOf: url), as: UTF8.self))
}

/// 81 recorded ID tokens with a verdict each, see `Samples/oidc/README.md`.
@Suite struct IDTokenVectorTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String
        var token: String
        var isGood: Bool
        var config: JSONTree?
        var testDescription: String { name }
    }

    static let vectors: [Vector] = {
        let list = (try? oidcSample("id-token-vectors.json"))?["vectors"]?.array ?? []
        return list.compactMap { entry in
            guard let name = entry["name"]?.string, let token = entry["token"]?.string else { return nil }
            return Vector(name: name, token: token, isGood: entry["expect"]?.string == "accept", config: entry["config"])
        }
    }()

    static let now = WallTime(nanoseconds: 1_795_476_000 * 1_000_000_000)

    /// The configuration of a vector: the file's defaults, and what the vector has instead.
    static func party(_ config: JSONTree?) -> RelyingParty {
        func texts(_ name: String) -> Set<String> { Set((config?[name]?.array ?? []).compactMap(\.string)) }
        let provider: RelyingParty.Provider =
            switch config?["provider"]?.string {
            case "entra"?: .entra(tenants: texts("allowed_tenants"))
            case "google"?: .google(hostedDomains: Set([config?["hosted_domain"]?.string].compactMap { $0 }))
            default: .generic
            }
        return RelyingParty(
            name: "lab", provider: provider, issuer: config?["issuer"]?.string ?? "https://op.lab.example",
            clientID: "gatehouse-client")
    }

    @Test func everyVectorIsThere() {
        #expect(Self.vectors.count == 81)
        #expect(Self.vectors.filter(\.isGood).count == 14)
    }

    @Test(arguments: vectors) func verdictIsTheVectors(_ vector: Vector) async throws {
        let keys = try await JSONWebKeySet(JSON(try oidcSample("lab-jwks.json")).text())
        do throws(TokenRefusal) {
            let token = try Self.party(vector.config).verify(
                vector.token, keys: keys, nonce: "n-0S6_WzA2Mj", accessToken: vector.config?["access_token"]?.string,
                now: Self.now)
            let person = try token.person()
            #expect(vector.isGood, "accepted for \(person.email ?? "-")")
            #expect(person.provider == "lab" && !person.nameID.isEmpty && person.email?.contains("@") == true)
        } catch {
            #expect(!vector.isGood, "\(error)")
            #expect(!error.detail.contains(vector.token.suffix(40)))
        }
    }

    /// That the right check fires: any refusal would do for an attacker, but not for the administrator who reads it.
    @Test(arguments: [
        ("alg-none", TokenRefusal.Code.algorithmNotAllowed), ("alg-none-case", .algorithmNotAllowed),
        ("hs256-public-key-pem", .algorithmNotAllowed), ("hs256-client-secret", .algorithmNotAllowed),
        ("signature-stripped", .signatureInvalid), ("wrong-key-same-kid", .signatureInvalid),
        ("embedded-jwk", .signatureInvalid), ("kid-path", .algorithmNotAllowed), ("kid-sql", .keyUnknown),
        ("kid-unknown", .keyUnknown), ("kid-absent-many-keys", .keyAmbiguous), ("kid-of-encryption-key", .keyUnusable),
        ("short-rsa-key", .keyUnusable), ("alg-mismatch-es256-with-rsa-kid", .algorithmNotAllowed),
        ("alg-rs512-against-jwk-rs256", .algorithmNotAllowed), ("tampered-payload", .signatureInvalid),
        ("es256-der-signature", .signatureInvalid), ("es256-zero-signature", .signatureInvalid),
        ("crit-unknown", .criticalHeader), ("b64-false", .criticalHeader), ("typ-access-token", .wrongType),
        ("typ-logout-token", .wrongType), ("iss-wrong", .issuerMismatch), ("iss-trailing-slash", .issuerMismatch),
        ("iss-case", .issuerMismatch), ("iss-missing", .claimInvalid), ("aud-wrong", .audienceMismatch),
        ("aud-prefix", .audienceMismatch), ("aud-array-without-client", .audienceMismatch),
        ("aud-missing", .claimInvalid), ("aud-array-azp-other", .authorizedPartyMismatch),
        ("aud-array-no-azp", .authorizedPartyMismatch), ("azp-other-single-aud", .authorizedPartyMismatch),
        ("exp-past", .expired), ("exp-missing", .claimInvalid), ("exp-string", .claimInvalid),
        ("exp-huge", .claimInvalid), ("iat-future", .issuedInFuture), ("iat-missing", .claimInvalid),
        ("nbf-future", .notYetValid), ("nonce-missing", .nonceMismatch), ("nonce-wrong", .nonceMismatch),
        ("sub-missing", .claimInvalid), ("sub-empty", .claimInvalid), ("sub-not-string", .claimInvalid),
        ("at_hash-wrong", .accessTokenMismatch), ("duplicate-claim", .malformed), ("payload-array", .malformed),
        ("payload-not-json", .malformed), ("four-parts", .malformed), ("two-parts", .malformed),
        ("padding-characters", .malformed), ("email-unverified", .emailUnverified), ("email-missing", .emailMissing),
        ("entra-template-literal", .issuerMismatch), ("entra-other-tenant", .tenantNotAllowed),
        ("entra-tid-iss-mismatch", .issuerMismatch), ("entra-tid-missing", .claimInvalid),
        ("entra-v1-issuer", .issuerMismatch), ("google-hd-missing", .hostedDomainMismatch),
        ("google-hd-other", .hostedDomainMismatch), ("google-hd-email-only", .hostedDomainMismatch),
        ("legacy-iss-for-others", .issuerMismatch),
    ])
    func refusalNamesItsCheck(_ name: String, _ code: TokenRefusal.Code) async throws {
        let vector = try #require(Self.vectors.first { $0.name == name })
        let keys = try await JSONWebKeySet(JSON(try oidcSample("lab-jwks.json")).text())
        let error = #expect(throws: TokenRefusal.self) {
            try Self.party(vector.config).verify(
                vector.token, keys: keys, nonce: "n-0S6_WzA2Mj", accessToken: vector.config?["access_token"]?.string,
                now: Self.now
            ).person()
        }
        #expect(error?.code == code, "\(error?.detail ?? "")")
    }

    /// Cut off anywhere, or with any one character changed, a good token is none.
    @Test func damagedTokensAreRefused() async throws {
        let keys = try await JSONWebKeySet(JSON(try oidcSample("lab-jwks.json")).text())
        let token = Array(try #require(Self.vectors.first { $0.name == "valid-es256" }).token.utf8)
        func isGood(_ bytes: [UInt8]) -> Bool {
            let text = String(decoding: bytes, as: UTF8.self)
            return (try? Self.party(nil).verify(text, keys: keys, nonce: "n-0S6_WzA2Mj", now: Self.now)) != nil
        }
        #expect(isGood(token))
        for index in token.indices {
            #expect(!isGood(Array(token[..<index])), "cut at \(index)")
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(!isGood(changed), "changed at \(index)")
        }
    }
}
