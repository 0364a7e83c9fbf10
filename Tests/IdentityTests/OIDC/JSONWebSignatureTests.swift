import JSONText
import Testing

@testable import Identity

/// The signature layer alone, with the project Wycheproof's JWS cases; their payloads need not be JSON.
@Suite struct JSONWebSignatureTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var comment: String
        var key: JSONTree
        var token: String
        var isValid: Bool
        var testDescription: String { comment }
    }

    static let cases: [Case] = {
        let groups = (try? oidcSample("wycheproof-jws-subset.json"))?["groups"]?.array ?? []
        return groups.flatMap { group in
            (group["tests"]?.array ?? []).compactMap { test in
                guard let key = group["public"], let token = test["jws"]?.string else { return nil }
                return Case(
                    comment: [group["comment"]?.string, test["comment"]?.string].compactMap { $0 }.joined(separator: ": "),
                    key: key, token: token, isValid: test["result"]?.string == "valid")
            }
        }
    }()

    @Test func everyCaseIsThere() { #expect(Self.cases.count == 54) }

    @Test(arguments: cases) func verdictIsWycheproofs(_ test: Case) async throws {
        let keys = try await JSONWebKeySet(JSON.object([.init("keys", .array([JSON(test.key)]))]).text())
        var isValid = false
        if let jws = try? CompactJWS(test.token), RelyingParty.algorithms.contains(jws.algorithm),
            let key = try? keys.key(for: jws)
        {
            isValid = key.verifies(jws.signature, over: jws.signed)
        }
        #expect(isValid == test.isValid)
    }

    @Test func recordedKeySetOfEntraHasKeysOfOneIssuer() async throws {
        let keys = try await JSONWebKeySet(JSON(try oidcSample("jwks-entra-common.json")).text())
        #expect(keys.keys.count >= 4)
        #expect(keys.keys.allSatisfy { $0.algorithm == "RS256" && $0.issuer != nil })
    }

    @Test(arguments: ["", "[]", "{}", #"{"keys":{}}"#, "null", #"{"keys":[1,null,"x",{}]}"#])
    func textThatIsNoKeySetGivesNoKey(_ text: String) async {
        let keys = try? await JSONWebKeySet(text)
        #expect(keys?.keys.isEmpty ?? true)
    }
}
