import Base
import Cryptography
import IKE
import Testing
import Tunnels

/// Connections that AWS could have made, written in every format and read back.
@Suite struct ImportRoundTripTests {
    @Test(arguments: ImportRenderer.all)
    func whatIsWrittenIsRead(renderer: ImportRenderer) throws {
        var numbers = SeededNumbers(state: 0xA1_5EED)
        for round in 0..<40 {
            let connection = RandomConnection(&numbers, sharesTerms: renderer.sharesTerms, gcm: renderer.gcm)
            let text = renderer.text(connection)
            let outcome = Outcome(text)
            let plan = try #require(
                outcome.plan, "round \(round): \(outcome.error?.description ?? "")\n\(round == 0 ? text : "")")
            if renderer.has(.identifiers) {
                #expect(plan.connectionID == connection.id)
                #expect(plan.customerGatewayID == connection.customer)
            }
            #expect(plan.vpnGatewayID == connection.gateway)
            #expect(plan.remoteNetworks.isEmpty)
            #expect(plan.routing == (renderer.has(.bgp) ? .bgp : .static))
            try #require(plan.tunnels.count == connection.tunnels.count)
            for (planned, tunnel) in zip(plan.tunnels, connection.tunnels) {
                check(planned, tunnel, connection, renderer)
            }
            #expect(
                Outcome("{\"VpnConnectionDeviceSampleConfiguration\": \(encoded(text))}").plan?.json() == plan.json())
        }
    }

    private func encoded(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\r\n", with: "\\r\\n")
            .replacing("\n", with: "\\n").replacing("\t", with: "\\t")
        return "\"\(escaped)\""
    }

    private func check(
        _ planned: ImportPlan.Planned, _ tunnel: RandomConnection.Tunnel, _ connection: RandomConnection,
        _ renderer: ImportRenderer
    ) {
        let (phase1, phase2) = (planned.tunnel.phase1, planned.tunnel.phase2)
        /// The value of the file, or a default that says so.
        func expect<Value: Equatable>(
            _ has: ImportRenderer.Value, _ name: String, _ value: Value, _ wanted: Value
        ) {
            if renderer.has(has) {
                #expect(value == wanted, "\(name)")
                #expect(planned.origin(of: name) != .default, "\(name)")
            } else {
                #expect(planned.origin(of: name) == .default, "\(name)")
            }
        }
        #expect(phase1.remoteAddress?.description == tunnel.remote)
        #expect(phase1.psk == Secret(Array(tunnel.key.utf8)))
        #expect(phase1.localAddress?.description == (renderer.has(.local) ? connection.local : nil))
        #expect(phase1.ikeVersion == 2)
        if renderer.has(.version) {
            #expect((planned.origin(of: "phase1.ikeVersion") == .file) == (connection.version == 2))
        }
        expect(.phase1, "phase1.encryption", phase1.encryption, [tunnel.encryption1])
        expect(.phase1, "phase1.integrity", phase1.integrity, [tunnel.integrity1])
        expect(.phase1, "phase1.dhGroups", phase1.dhGroups, [tunnel.group1])
        expect(.lifetime1, "phase1.lifetimeSeconds", phase1.lifetimeSeconds, tunnel.lifetime1)
        expect(.phase2, "phase2.encryption", phase2.encryption, [tunnel.encryption2])
        expect(.phase2, "phase2.integrity", phase2.integrity, [tunnel.integrity2])
        // Yamaha's "pfs on" is the group of phase 1, and Windows counts in minutes.
        let group2 = renderer.name == "Yamaha" ? tunnel.group1 : tunnel.group2
        let lifetime2 = renderer.name == "Windows Server" ? tunnel.lifetime2 / 60 * 60 : tunnel.lifetime2
        expect(.phase2, "phase2.pfsGroups", phase2.pfsGroups, [group2])
        expect(.lifetime2, "phase2.lifetimeSeconds", phase2.lifetimeSeconds, lifetime2)
        expect(.dpdInterval, "phase1.dpd.delaySeconds", phase1.dpd.delaySeconds, connection.dpdInterval)
        let timeout = connection.dpdInterval * connection.dpdRetries
        expect(.dpdTimeout, "phase1.dpd.timeoutSeconds", phase1.dpd.timeoutSeconds, timeout)
        guard renderer.has(.inside) else {
            #expect(planned.tunnel.inside == nil)
            return
        }
        #expect(planned.tunnel.inside?.localAddress.description == tunnel.ours + "/30")
        #expect(planned.tunnel.inside?.remoteAddress.description == tunnel.theirs + "/30")
        expect(.mtu, "inside.mtu", planned.tunnel.inside?.mtu, connection.mtu)
        if renderer.has(.mss) { #expect(planned.tunnel.inside?.mss == connection.mss) }
        guard renderer.has(.bgp) else { return #expect(planned.tunnel.bgp == nil) }
        #expect(planned.tunnel.bgp?.localASN == UInt32(connection.localASN))
        #expect(planned.tunnel.bgp?.remoteASN == UInt32(connection.remoteASN))
        #expect(planned.tunnel.bgp?.neighbor.description == tunnel.theirs)
        expect(.hold, "bgp.holdTimeSeconds", planned.tunnel.bgp?.holdTimeSeconds, connection.hold)
    }
}
