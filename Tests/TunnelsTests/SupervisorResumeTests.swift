import Base
import Cryptography
import IKE
import Testing

@testable import Tunnels

/// A supervisor that takes over what an earlier process left.
@Suite struct SupervisorResumeTests {
    private let connector = awsLike()
    private var first: Tunnel { connector.tunnels[0] }

    private func terms(_ tunnel: Tunnel) -> ConnectionConfiguration {
        var terms = tunnel.connectionConfiguration(SupervisorConfiguration())
        // An earlier process had this chosen by a route.
        if terms.localAddress.isUnspecified { terms.localAddress = .v4(0xC633_6402) }
        return terms
    }

    private func resumed(_ tunnel: Tunnel, interface: String = "gh7", _ terms: ConnectionConfiguration) -> ResumedTunnel {
        let path = Path(
            local: Endpoint(.v4(0xC633_6402), 500), remote: Endpoint(tunnel.phase1.remoteAddress!, 500), isNATPort: false)
        let id = IKESAID(77)
        let child = ChildSA(
            connection: ConnectionID(9), ikeSA: id, spiIn: 0x1000, spiOut: 0x2000,
            suite: ESPSuite(encryption: .aes256gcm16, integrity: nil, group: nil, esn: false),
            encryptionKeyIn: Secret([]), encryptionKeyOut: Secret([]), integrityKeyIn: Secret([]),
            integrityKeyOut: Secret([]), localSelectors: terms.localSelectors, remoteSelectors: terms.remoteSelectors,
            path: path, replayWindow: 1024, rekeyAt: .zero + .seconds(3000), expiresAt: .zero + .seconds(3600),
            replaces: nil)
        let summary = IKESummary(
            initiatorSPI: 77, responderSPI: 78, isInitiator: true,
            suite: IKESuite(encryption: .aes256gcm16, integrity: nil, prf: .sha384, group: .ecp384),
            localID: IKEIdentity(path.local.address), remoteID: IKEIdentity(path.remote.address), path: path,
            isBehindNAT: false, isPeerBehindNAT: false, establishedAt: .zero, rekeyAt: .zero + .seconds(20_000))
        return ResumedTunnel(
            tunnel: tunnel.name, interface: interface, connection: ConnectionID(9), terms: terms,
            phase1: [(id, summary)], children: [(child, false)])
    }

    private func supervisor(_ tunnels: [ResumedTunnel]) -> Supervisor {
        var supervisor = Supervisor(seed: [1], now: .zero)
        #expect(supervisor.receive(.resume(tunnels), now: .zero).isEmpty)
        return supervisor
    }

    private func inputs(_ effects: [SupervisorEffect]) -> [String] {
        effects.compactMap {
            switch $0 {
            case .ike(.configure(let id, _)): "configure \(id)"
            case .ike(.initiate(let id)): "initiate \(id)"
            case .ike(.remove(let id)): "remove \(id)"
            default: nil
            }
        }
    }

    private func links(_ effects: [SupervisorEffect]) -> [String: TunnelLink] {
        Dictionary(
            uniqueKeysWithValues: effects.compactMap { effect in
                if case .openLink(let link) = effect { (link.tunnel, link) } else { nil }
            })
    }

    @Test func aTunnelWithTheSameTermsGoesOn() throws {
        var supervisor = supervisor([resumed(first, terms(first))])
        let effects = supervisor.receive(.connectors([connector]), now: .zero)
        #expect(inputs(effects) == ["configure #9"])
        let link = try #require(links(effects)[first.name])
        // Sized for the suite that its SAs have.
        let suite = ESPSuite(encryption: .aes256gcm16, integrity: nil, group: nil, esn: false)
        let size = TunnelMTU.forSuite(suite, isUDPEncapsulated: false).limited(to: first.inside)
        #expect(link.interface == "gh7" && link.mtu == size.mtu)
        #expect(links(effects)[connector.tunnels[1].name]?.interface == "gh0")

        let opened = supervisor.receive(.linkOpened(interface: "gh7"), now: .zero)
        #expect(inputs(opened).isEmpty)
        #expect(supervisor.status(now: .zero, wall: { _ in WallTime(nanoseconds: 0) })[0].state == .online)
        let routes = opened.compactMap { effect -> [TunnelRoute]? in
            if case .setRoutes(let changes) = effect { changes[connector.id] } else { nil }
        }.last ?? []
        #expect(routes.contains { $0.interface == "gh7" && $0.metric == 100 })

        // The other tunnel gets a connection that the engine does not have yet.
        #expect(inputs(supervisor.receive(.linkOpened(interface: "gh0"), now: .zero)) == ["configure #10", "initiate #10"])
        // It is one of ours like any other: a rekey, and its end.
        #expect(inputs(supervisor.receive(.connectors([]), now: .zero)).sorted() == ["remove #10", "remove #9"])
    }

    @Test func aTunnelWithOtherTermsIsBroughtUpAnew() {
        var changed = terms(first)
        changed.childLifetime = .seconds(1234)
        var supervisor = supervisor([resumed(first, changed)])
        #expect(inputs(supervisor.receive(.connectors([connector]), now: .zero)) == ["remove #9"])
        #expect(inputs(supervisor.receive(.linkOpened(interface: "gh7"), now: .zero)) == ["configure #10", "initiate #10"])
    }

    @Test func aTunnelThatNobodyDefinesAnyMoreIsClosed() {
        var supervisor = supervisor([resumed(first, terms(first))])
        #expect(inputs(supervisor.receive(.connectors([]), now: .zero)) == ["remove #9"])
        // Its number is free again.
        #expect(links(supervisor.receive(.connectors([connector]), now: .zero)).values.map(\.interface).sorted() == ["gh0", "gh1"])
    }

    @Test func withoutItsChildATunnelWaitsForOneOnTheStandingSA() {
        var bare = resumed(first, terms(first))
        bare.children = []
        var supervisor = supervisor([bare])
        _ = supervisor.receive(.connectors([connector]), now: .zero)
        #expect(inputs(supervisor.receive(.linkOpened(interface: "gh7"), now: .zero)) == ["initiate #9"])
    }

    @Test func tunnelsKeepTheInterfacesOfAnEarlierRun() {
        var configuration = SupervisorConfiguration()
        configuration.keptInterfaces = [connector.tunnels[0].name: "gh5", connector.tunnels[1].name: "gh2", "gone": "gh0"]
        var supervisor = Supervisor(configuration: configuration, seed: [1], now: .zero)
        let effects = supervisor.receive(.connectors([connector]), now: .zero)
        #expect(links(effects).mapValues(\.interface) == [connector.tunnels[0].name: "gh5", connector.tunnels[1].name: "gh2"])
    }
}
