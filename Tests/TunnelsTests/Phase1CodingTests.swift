import Base
import Cryptography
import Foundation
import IKE
import Testing
import Tunnels

/// Phase 1 in the store's JSON.
struct Phase1CodingTests {
    private let phase1 = Phase1(
        localAddress: .v4(0xC633_6407), remoteAddress: .v4(0xCB00_7101), localID: .fqdn("gw.example.org"),
        authentication: .psk(Secret(Array("first.key".utf8))), encryption: [.aes256], integrity: [.sha256],
        dhGroups: [.modp2048], lifetimeSeconds: 28_800,
        dpd: Phase1.DPD(delaySeconds: 10, timeoutSeconds: 30, action: .restart), forceUDPEncapsulation: true,
        rekeyMarginSeconds: 500)

    private func encoded() throws -> String {
        let encoder = JSONEncoder()
        encoder.userInfo[Secret.revealSecrets] = true
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(phase1), as: UTF8.self)
    }

    @Test func allOfItComesBack() throws {
        #expect(try JSONDecoder().decode(Phase1.self, from: Data(encoded().utf8)) == phase1)
    }

    @Test func theWordForTheMethodStandsBesideTheKey() throws {
        let text = try encoded()
        #expect(text.contains(#""authentication":"psk""#))
        #expect(text.contains(#""psk":"\#(Array("first.key".utf8).hexadecimal)""#))
    }

    @Test func aDefinitionWithoutAMethodHasAPreSharedKey() throws {
        let old = try encoded().replacingOccurrences(of: #""authentication":"psk","#, with: "")
        #expect(try JSONDecoder().decode(Phase1.self, from: Data(old.utf8)) == phase1)
    }

    @Test func anUnknownMethodIsRefused() throws {
        let odd = try encoded().replacingOccurrences(of: #""authentication":"psk""#, with: #""authentication":"eap""#)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Phase1.self, from: Data(odd.utf8)) }
    }
}
