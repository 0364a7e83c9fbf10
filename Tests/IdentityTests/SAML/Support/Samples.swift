import Base
import Cryptography
import Foundation
import Testing

@testable import Identity

/// The recorded responses and attacks beside these tests.
struct Sample: Decodable, Sendable, CustomTestStringConvertible {
    var file: String
    var certificate: String
    var sp_key: String?
    var issuer: String?
    var audience: String
    var acs: String
    var in_response_to: String?
    var valid_at: String
    var expect: String
    var reason: String?
    var signed: String?
    var name_id: String?
    var attributes: [String: [String]]?

    var testDescription: String { file }

    static let all: [Sample] = {
        let bytes = try! Data(contentsOf: url("manifest.json"))
        return try! JSONDecoder().decode([Sample].self, from: bytes)
    }()

    static let accepted = all.filter { $0.expect == "accept" }

    static func url(_ name: String) -> URL {
        Bundle.module.bundleURL.appending(path: "Samples/saml").appending(path: name)
    }

    static func bytes(_ name: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: url(name))) }

    static func named(_ file: String) throws -> Sample { try #require(all.first { $0.file == file }) }

    var document: [UInt8] { get throws { try Self.bytes(file) } }

    var time: WallTime { get throws { try #require(WallTime(rfc3339: valid_at)) } }

    var expectation: SAMLExpectation { in_response_to.map { .answer(to: $0) } ?? .unsolicited }

    func trust() throws -> SAMLTrust {
        SAMLTrust(
            provider: "test", issuer: issuer ?? "none",
            certificates: try CertificateText.read(Self.bytes(certificate)), audiences: [audience], acsURL: acs,
            decryptionKeys: try sp_key.map { [try RSAPrivateKey(Secret(Self.bytes($0)))] } ?? [])
    }

    /// The verdict on the sample with what the test changed.
    func verdict(
        _ document: [UInt8]? = nil, trust: SAMLTrust? = nil, expecting: SAMLExpectation? = nil, at time: WallTime? = nil
    ) throws -> Result<VerifiedResponse, SAMLRefusal> {
        let document = try document ?? self.document
        let trust = try trust ?? self.trust()
        let time = try time ?? self.time
        do throws(SAMLRefusal) {
            return .success(
                try ResponseVerifier.verify(document, trust: trust, expecting: expecting ?? expectation, now: time))
        } catch {
            return .failure(error)
        }
    }

    /// Why it is refused; nil when it is accepted.
    func refusal(
        _ document: [UInt8]? = nil, trust: SAMLTrust? = nil, expecting: SAMLExpectation? = nil, at time: WallTime? = nil
    ) throws -> SAMLRefusal.Reason? {
        guard case .failure(let refusal) = try verdict(document, trust: trust, expecting: expecting, at: time) else {
            return nil
        }
        #expect(!refusal.detail.isEmpty && refusal.detail.utf8.count < 2000)
        return refusal.reason
    }
}

extension String {
    func replacing(once target: String, with replacement: String) throws -> String {
        let range = try #require(firstRange(of: target), "'\(target)' is not there")
        return replacingCharacters(in: range, with: replacement)
    }
}
