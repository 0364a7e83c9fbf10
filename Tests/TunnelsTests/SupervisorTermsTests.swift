import Base
import Cryptography
import IKE
import Testing
@testable import Tunnels

@Suite struct SupervisorTermsTests {
    private func terms(_ change: (inout Tunnel) -> Void = { _ in }) -> ConnectionConfiguration {
        var tunnel = awsLike().tunnels[0]
        change(&tunnel)
        return tunnel.connectionConfiguration(SupervisorConfiguration())
    }

    @Test func AEADAndOtherCiphersAreOfferedApart() {
        #expect(
            terms().ikeProposals == [
                IKEProposal(
                    encryption: [.aes256gcm16], integrity: [], prf: [.sha384, .sha1], groups: [.ecp384, .modp1024]),
                IKEProposal(
                    encryption: [.aes128], integrity: [.sha384, .sha1], prf: [.sha384, .sha1],
                    groups: [.ecp384, .modp1024]),
            ])
        #expect(
            terms().espProposals == [
                ESPProposal(encryption: [.aes256gcm16], integrity: [], groups: [.ecp384], esn: [false]),
                ESPProposal(encryption: [.aes128], integrity: [.sha1], groups: [.ecp384], esn: [false]),
            ])
    }

    @Test func AEADWithoutIntegrityStillHasPRFs() {
        let terms = terms {
            $0.phase1.encryption = [.aes128gcm16]
            $0.phase1.integrity = []
            $0.phase2.esn = true
        }
        #expect(terms.ikeProposals.map(\.prf) == [[.sha256, .sha384, .sha512]])
        #expect(terms.espProposals.allSatisfy { $0.esn == [true, false] })
    }

    @Test func weAreThePublicAddressAlsoBehindNAT() {
        let terms = terms { $0.phase1.bindAddress = IPAddress("10.1.1.1") }
        #expect(terms.localAddress == IPAddress("10.1.1.1"))
        #expect(terms.localID == .ipv4(IPAddress("198.51.100.1")!))
        #expect(terms.remoteID == .ipv4(IPAddress("203.0.113.1")!))
        #expect(self.terms().localAddress == .any(.ipv4))
    }

    /// AWS may start 540 seconds before the end, or earlier by its share where lifetimes are its shortest.
    @Test(arguments: [900, 1200, 1800, 3600, 28_800])
    func weRekeyBeforeAWS(_ lifetime: Int) {
        let terms = terms {
            $0.phase1.lifetimeSeconds = lifetime
            $0.phase2.lifetimeSeconds = lifetime
        }
        for margin in [terms.ikeRekeyMargin, terms.childRekeyMargin] {
            let fuzz = margin.seconds * Double(terms.rekeyFuzzPercent) / 100
            #expect(margin.seconds > 540)
            #expect(margin.seconds + fuzz < Double(lifetime) - 60)
        }
    }

    @Test func usualLifetimesAreRekeyedWhereOthersDo() {
        let terms = terms()
        #expect((terms.ikeLifetime - terms.ikeRekeyMargin).seconds == 28_000)
        #expect((terms.childLifetime - terms.childRekeyMargin).seconds == 3000)
    }

    @Test func aPeerIsDeadSoLongAfterItsLastSignOfLife() {
        #expect(terms().dpdDelay == .seconds(10) && terms().dpdTimeout == .seconds(20))
        #expect(terms { $0.phase1.dpd.action = .none }.dpdDelay == .zero)
        let short = terms { $0.phase1.dpd = .init(delaySeconds: 30, timeoutSeconds: 30, action: .restart) }
        #expect(short.dpdTimeout > .zero)
    }

    @Test func marginThatWouldEatTheLifetimeIsCut() {
        let terms = terms {
            $0.phase2.lifetimeSeconds = 600
            $0.phase2.rekeyMarginSeconds = 900
        }
        #expect(terms.childRekeyMargin == .seconds(400))
    }

    @Test func probeTakesThePairThatTheSelectorsLetThrough() {
        var tunnel = awsLike().tunnels[0]
        #expect(tunnel.probeAddresses?.to == IPAddress("169.254.6.1"))
        tunnel.phase2.remoteSelectors = [IPPrefix("10.0.0.0/8")!]
        #expect(tunnel.probeAddresses == nil)
        tunnel.inside?.localAddress6 = IPPrefix("fd00::2/126")
        tunnel.inside?.remoteAddress6 = IPPrefix("fd00::1/126")
        tunnel.phase2.localSelectors = [.all(.ipv6)]
        tunnel.phase2.remoteSelectors = [.all(.ipv6)]
        #expect(tunnel.probeAddresses?.to == IPAddress("fd00::1"))
        tunnel.inside = nil
        #expect(tunnel.probeAddresses == nil)
    }
}
