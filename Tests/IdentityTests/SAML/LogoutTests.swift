import Base
import Cryptography
import Testing

@testable import Identity

/// Single log-out by redirect, both ways.
@Suite struct LogoutTests {
    private static let logoutURL = "https://gw.example/user/external/saml/logout"
    private let provider = RequestTests.provider()

    /// What the provider's browser brings: made by our own code with the roles exchanged.
    private func query(
        signedBy pair: TestProvider.KeyPair? = TestProvider.idp, issuer: String = TestProvider.issuer,
        to url: String = logoutURL, index: String? = "s1", at time: WallTime = TestProvider.now
    ) throws -> String {
        var sender = IdentityProvider(id: "x", issuer: issuer, serviceURL: url, certificates: [])
        sender.logoutURL = url
        sender.key = try pair.map { try $0.key.pkcs8 }
        let location = try #require(
            try LogoutRequest.location(
                for: sender, nameID: "alice@corp.example", sessionIndex: index, entropy: Array(0..<16), now: time))
        return String(location.dropFirst(url.count + 1))
    }

    private func verify(_ query: String, at time: WallTime = TestProvider.now) throws(SAMLRefusal) -> LogoutMessage {
        let message = try LogoutMessage(query: query)
        try message.verify(for: provider, logoutURL: Self.logoutURL, now: time)
        return message
    }

    private func refusal(_ query: String, at time: WallTime = TestProvider.now) -> SAMLRefusal.Reason? {
        do throws(SAMLRefusal) {
            _ = try verify(query, at: time)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func aSignedRequestNamesWhoseSessionsEnd() throws {
        let message = try verify(try query())
        #expect(
            message.content
                == .request(
                    id: "_000102030405060708090a0b0c0d0e0f", nameID: "alice@corp.example", sessionIndexes: ["s1"]))
        guard case .request(_, _, let indexes) = try verify(try query(index: nil)).content else { return }
        #expect(indexes.isEmpty)
    }

    @Test func whatIsNotProvedIsRefused() throws {
        #expect(refusal(try query(signedBy: nil)) == .unsigned)
        #expect(refusal(try query(signedBy: TestProvider.next)) == .signature)
        #expect(refusal(try query(issuer: "https://evil.example")) == .issuer)
        #expect(refusal(try query(to: "https://other.example/slo")) == .destination)
        let good = try query()
        #expect(refusal(good.replacing("SAMLRequest=", with: "RelayState=x&SAMLRequest=")) == .signature)
        #expect(refusal(good + "&RelayState=x") == .signature)
        #expect(refusal(good.replacing("rsa-sha256", with: "rsa-sha1")) == .algorithm)
        #expect(refusal(good.replacing("rsa-sha256", with: "hmac-sha256")) == .algorithm)
        // Another algorithm of those that are accepted is not that of the signature.
        #expect(refusal(good.replacing("rsa-sha256", with: "rsa-sha512")) == .signature)
    }

    @Test func aRequestIsGoodForAWhile() throws {
        let good = try query()
        let skew = Int64(provider.clockSkewSeconds)
        func later(_ seconds: Int64) -> WallTime {
            WallTime(nanoseconds: TestProvider.now.nanoseconds + seconds * 1_000_000_000)
        }
        #expect(refusal(good, at: later(300 + skew - 1)) == nil)
        #expect(refusal(good, at: later(300 + skew)) == .expired)
        #expect(refusal(good, at: later(-skew + 1)) == nil)
        #expect(refusal(good, at: later(-skew)) == .notYetValid)
    }

    @Test(arguments: [
        ("", SAMLRefusal.Reason.structure), ("SAMLRequest=a&SAMLResponse=b", .structure),
        ("SAMLRequest=a&SAMLRequest=b", .structure), ("SAMLRequest=%zz", .malformed), ("SAMLRequest=!", .malformed),
        ("SAMLRequest=AAAA", .malformed), ("SAMLRequest=" + Deflate.store(Array("<a>".utf8)).base64, .malformed),
        ("SAMLRequest=" + Deflate.store(Array("<a/>".utf8)).base64, .structure),
        ("SAMLResponse=" + Deflate.store(Array("<a/>".utf8)).base64, .structure),
        ("SAMLRequest=" + Deflate.store([UInt8](repeating: 32, count: 50_000)).base64, .malformed),
    ])
    func whatIsNoLogoutMessageIsRefused(_ query: String, _ reason: SAMLRefusal.Reason) throws {
        let error = #expect(throws: SAMLRefusal.self) { try LogoutMessage(query: query.replacing("+", with: "%2B")) }
        #expect(error?.reason == reason, "\(error?.description ?? "")")
    }

    /// A kilobyte that unpacks to a megabyte.
    @Test func aBombIsRefused() throws {
        // Fixed codes: one zero byte, then 4,000 copies of 258 bytes from one back, then the end.
        var bits: [Bool] = [true, true, false]
        func code(_ value: Int, _ length: Int) { for bit in (0..<length).reversed() { bits.append(value >> bit & 1 == 1) } }
        code(0x30, 8)
        for _ in 0..<4000 {
            code(0b1100_0101, 8)
            code(0, 5)
        }
        code(0, 7)
        let bytes = stride(from: 0, to: bits.count, by: 8).map { start in
            bits[start..<min(start + 8, bits.count)].enumerated().reduce(UInt8(0)) {
                $0 | ($1.element ? 1 << UInt8($1.offset) : 0)
            }
        }
        #expect(try Deflate.inflate(bytes, limit: 2_000_000).count == 1 + 4000 * 258)
        let query = "SAMLRequest=" + bytes.base64.replacing("+", with: "%2B")
        let error = #expect(throws: SAMLRefusal.self) { try LogoutMessage(query: query) }
        #expect(error?.reason == .size)
    }

    @Test func ourAnswerNamesTheRequest() throws {
        let signing = RequestTests.provider(RequestTests.signing)
        let location = try #require(
            try LogoutResponse.location(
                for: signing, answering: "_q<1>", relayState: "r&s", entropy: Array(0..<16), now: TestProvider.now))
        #expect(location.hasPrefix("https://idp.example/slo?SAMLResponse=") && location.contains("&Signature="))
        let message = try LogoutMessage(query: String(location.dropFirst("https://idp.example/slo?".count)))
        #expect(message.content == .response && message.relayState == "r&s" && message.issuer == TestProvider.issuer)
        #expect(
            try LogoutResponse.location(
                for: RequestTests.provider { $0.logoutURL = nil }, answering: "_q", relayState: nil, entropy: [],
                now: TestProvider.now) == nil)
    }
}
