import Foundation
import Testing

/// `gatehouse idp check-token`, with the recorded tokens of the Identity tests. It says its verdict as `check-response` does.
@Suite struct CheckTokenTests {
    private static let samples =
        (#filePath as NSString).deletingLastPathComponent + "/../IdentityTests/Samples/oidc"

    /// Runs the command on a recorded token, at the time for which it was made.
    private func check(_ name: String, _ words: [String] = []) async throws -> Output {
        let file = try #require(FileManager.default.contents(atPath: Self.samples + "/id-token-vectors.json"))
        let root = try #require(try JSONSerialization.jsonObject(with: file) as? [String: Any])
        let vectors = try #require(root["vectors"] as? [[String: Any]])
        let token = try #require(vectors.first { $0["name"] as? String == name }?["token"] as? String)
        return try await Command.run(
            [
                "idp", "check-token", "-", "--issuer", "https://op.lab.example", "--jwks", Self.samples + "/lab-jwks.json",
                "--client-id", "gatehouse-client", "--nonce", "n-0S6_WzA2Mj",
            ] + words, input: token + "\n")
    }

    @Test func aGoodTokenIsAcceptedWithoutAReason() async throws {
        let text = try await check("valid-rs256", ["--at", "1795476000"])
        #expect(text.status == 0 && text.out.hasPrefix("accepted: The token is good: alice@corp.example"), "\(text)")
        #expect(text.out.contains("248289761001"))
        let json = try await check("valid-rs256", ["--at", "1795476000", "--json"])
        #expect(json.out.contains("\"verdict\": \"accept\"") && json.out.contains("\"reason\": null"), "\(json)")
    }

    @Test func aRefusalNamesItsReason() async throws {
        let late = ["--at", "2027-11-23T23:20:00Z"]
        let text = try await check("valid-rs256", late)
        #expect(text.status == 1 && text.out.hasPrefix("refused (expired)\n  "), "\(text)")
        let json = try await check("valid-rs256", late + ["--json"])
        #expect(json.out.contains("\"verdict\": \"reject\"") && json.out.contains("\"reason\": \"expired\""), "\(json)")
    }
}
