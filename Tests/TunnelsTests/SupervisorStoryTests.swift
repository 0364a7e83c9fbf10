import Base
import Cryptography
import IKE
import Testing
@testable import Tunnels

/// Stories in virtual time; the world checks its invariants after every turn.
@Suite struct SupervisorStoryTests {
    let first = IPAddress("203.0.113.1")!
    let second = IPAddress("203.0.113.2")!

    func online() -> SupervisorWorld {
        var world = SupervisorWorld()
        world.want([awsLike()])
        world.run(10)
        return world
    }

    // MARK: - Coming up

    @Test func bothTunnelsComeOnlineAndTheFirstCarriesTheTraffic() {
        let world = online()
        #expect(world.state("vpn-1") == .online && world.state("vpn-2") == .online)
        #expect(world.active == ["vpn-1"])
        let sources = [IPPrefix("192.168.0.0/16")!]
        #expect(
            world.routes == [
                TunnelRoute(destination: IPPrefix("10.0.0.0/24")!, interface: "gh0", metric: 100, sources: sources),
                TunnelRoute(destination: IPPrefix("10.0.0.0/24")!, interface: "gh1", metric: 201, sources: sources),
                .unreachable(IPPrefix("10.0.0.0/24")!, metric: 4_000_000),
            ])
        #expect(world.count("tunnel-connecting") == 2 && world.count("tunnel-online") == 2)
        #expect(world.count("failover") == 0)
        #expect(world.messages("tunnel-online")[0].contains("aes256gcm16-prfsha256-ecp256"))
        #expect(world.links["gh0"]?.addresses == [IPPrefix("169.254.6.2/30")!])
        #expect(world.status("vpn-1")?.probe?.lastAnswer != nil)
        #expect(world.status("vpn-1")?.lastError == nil)
    }

    @Test func networkIsUnreachableBeforeAnyTunnelIsUp() {
        var world = SupervisorWorld()
        world.peers[first] = .init(isAlive: false)
        world.peers[second] = .init(isAlive: false)
        world.want([awsLike()])
        #expect(world.routes == [.unreachable(IPPrefix("10.0.0.0/24")!, metric: 4_000_000)])
        world.run(300)
        #expect(world.routes.allSatisfy { $0.isUnreachable })
        #expect(world.status("vpn-1")?.lastError?.contains("No answer") == true)
    }

    @Test func linkFitsTheNegotiatedSuiteBeforeTheChildIsInstalled() {
        var world = SupervisorWorld()
        world.childSuite = ESPSuite(encryption: .aes128, integrity: .sha512, group: nil, esn: false)
        world.isNATPort = true
        world.want([awsLike()])
        #expect(world.links["gh0"]?.mtu == 1436)
        world.run(5)
        #expect(world.links["gh0"]?.mtu == 1406 && world.links["gh0"]?.mss == 1366)
        #expect(world.state("vpn-1") == .online)
    }

    @Test func weAnswerAndDoNotCallWhenToldToRespond() {
        var world = SupervisorWorld()
        world.want([awsLike(initiation: .respond)])
        world.run(3600)
        #expect(world.initiations.isEmpty && world.state("vpn-1") == .offline)
        #expect(world.supervisor.deadline == nil)
        #expect(world.supervisor.explain(tunnel: "vpn-1").contains { $0.contains("waits for the peer") })
    }

    @Test func weakAlgorithmsAreNamedOnce() {
        var world = SupervisorWorld()
        world.childSuite = ESPSuite(encryption: .aes128, integrity: .sha1, group: nil, esn: false)
        world.want([awsLike(tunnels: 1)])
        world.run(5)
        world.receive(.rekey("vpn", .child))
        world.run(100)
        world.peerDeletes("vpn-1")
        world.run(100)
        #expect(world.count("weak-algorithms") == 1 && world.count("tunnel-online") == 2)
        #expect(world.status("vpn-1")?.weaknesses == ["sha1"])
    }

    // MARK: - Failing and coming back

    @Test func silentPeerIsLeftBeforeDPDGivesUpAndComesBackAfterTheHoldTime() {
        var world = online()
        world.peers[first]?.isAlive = false
        let death = world.now
        world.run(20)
        // Not dead yet, but suspect: the traffic has moved.
        #expect(world.state("vpn-1") == .degraded && world.active == ["vpn-2"])
        #expect(world.routes.first { $0.interface == "gh1" }?.metric == 100)
        #expect(world.count("failover") == 1)
        world.run(30)
        #expect(world.state("vpn-1") != .online && world.state("vpn-1") != .degraded)
        #expect(!world.routes.contains { $0.interface == "gh0" })
        #expect(world.status("vpn-1")?.lastError?.contains("28 seconds") == true)
        // It tries at once when it finds the peer dead.
        let soon = death + .seconds(40)
        #expect(world.initiations.contains { $0.tunnel == "vpn-1" && $0.tick > death && $0.tick < soon })
        world.run(120)
        world.peers[first]?.isAlive = true
        let healed = world.now
        while world.state("vpn-1") != .online { world.run(1) }
        #expect((world.now - healed).seconds <= 106)
        #expect(world.active == ["vpn-2"])
        world.run(28)
        #expect(world.active == ["vpn-2"])
        world.run(4)
        #expect(world.active == ["vpn-1"])
        #expect(world.count("failback") == 1 && world.count("failover") == 1)
        #expect(world.status("vpn-1")?.lastError == nil)
    }

    @Test func peersDeleteIsAnsweredByAnAttemptAtOnce() {
        var world = online()
        world.run(100)
        let calls = world.initiations.count
        world.peerDeletes("vpn-1")
        world.run(until: world.now + .milliseconds(1))
        #expect(world.initiations.count == calls + 1)
        #expect(world.active == ["vpn-2"])
        world.run(1)
        #expect(world.state("vpn-1") == .online)
        #expect(world.messages("tunnel-offline").contains { $0.contains("The peer deleted") })
    }

    @Test func tunnelThatKeepsFailingIsTriedLessAndLessOften() {
        var world = SupervisorWorld()
        world.want([awsLike(tunnels: 1)])
        world.peers[first]?.refusal = Failure(.noProposalChosen, "The peer accepts none of our proposals.")
        world.run(600)
        let gaps = zip(world.initiations.dropFirst(), world.initiations).map { ($0.tick - $1.tick).seconds }
        for (index, gap) in gaps.enumerated() {
            let pause = min(60, Double(1 << min(index, 6)))
            #expect(gap >= pause * 0.75 && gap <= pause * 1.25 + 0.1, "pause \(index) was \(gap)")
        }
        #expect(gaps.count > 10)
        // Told once, and once more with a count, not at every attempt.
        #expect(world.count("tunnel-connecting") == 1 && world.count("tunnel-failed") == 1)
        world.run(120)
        #expect(world.count("tunnel-failed") == 2)
        #expect(world.messages("tunnel-failed")[1].contains("more times"))
    }

    @Test func refusedAuthenticationDoesNotHammerThePeer() {
        var world = SupervisorWorld()
        world.want([awsLike(tunnels: 1)])
        world.peers[first]?.refusal = Failure(.authenticationFailed, "The peer refused our pre-shared key.")
        world.run(60)
        #expect((2...4).contains(world.initiations.count))
        #expect((world.initiations[1].tick - world.initiations[0].tick).seconds >= 7.5)
        #expect(world.status("vpn-1")?.lastError == "The peer refused our pre-shared key.")
        world.peers[first]?.refusal = nil
        world.run(76)
        #expect(world.state("vpn-1") == .online && world.status("vpn-1")?.lastError == nil)
    }

    @Test func pauseStartsAnewOnlyAfterAStableTime() {
        var world = SupervisorWorld()
        world.want([awsLike(tunnels: 1)])
        world.run(5)
        // Deleted whenever it has been up for ten seconds: the pauses grow.
        for _ in 0..<6 {
            world.peerDeletes("vpn-1")
            world.run(10)
            while world.state("vpn-1") != .online { world.run(1) }
            world.run(10)
        }
        let last = world.initiations.suffix(2).map(\.tick)
        let gap = (last[1] - last[0]).seconds
        #expect(gap > 10 + 6)
        world.run(120)
        let calls = world.initiations.count
        world.peerDeletes("vpn-1")
        world.run(until: world.now + .milliseconds(1))
        #expect(world.initiations.count == calls + 1)
    }

    @Test func clearLeavesADeadTunnelUntilItIsRestarted() {
        var world = SupervisorWorld()
        world.want([awsLike(tunnels: 1, action: .clear)])
        world.run(5)
        world.peers[first]?.isAlive = false
        world.run(60)
        world.peers[first]?.isAlive = true
        world.run(3600)
        #expect(world.state("vpn-1") == .offline && world.initiations.count == 1)
        #expect(world.supervisor.explain(tunnel: "vpn-1").contains { $0.contains("clear") })
        world.receive(.restart("vpn-1"))
        world.run(5)
        #expect(world.state("vpn-1") == .online)
    }

    @Test func lostChildUnderAStandingIKESABringsTheTunnelUpAnew() {
        var world = online()
        let id = world.connections.first { $0.value.terms.name == "vpn-1" }!.key
        let child = world.connections[id]!.sa!.child!
        world.connections[id]?.sa?.child = nil
        world.installed[child] = nil
        let failure = Failure(.deletedByPeer, "The peer deleted the child SA.")
        world.receive(.ike(Event(.childClosed(spiIn: child, failure), connection: id)))
        #expect(world.state("vpn-1") == .connecting && world.active == ["vpn-2"])
        world.run(5)
        #expect(world.state("vpn-1") == .online && world.connections[id]?.sa?.child != nil)
        #expect(world.initiations.count == 2)
    }

    /// What was replaced still receives for a while, and nothing can be sent on it.
    @Test func lossOfTheChildThatSendsCountsWhileAReplacedOneStillReceives() {
        var world = online()
        let id = world.connections.first { $0.value.terms.name == "vpn-1" }!.key
        let old = world.connections[id]!.sa!.child!
        world.receive(.rekey("vpn-1", .child))
        world.run(0)
        let new = world.connections[id]!.sa!.child!
        #expect(new != old && world.installed[old] != nil && world.installed[new] != nil)
        world.connections[id]?.sa?.child = nil
        world.installed[new] = nil
        let failure = Failure(.lifetimeExpired, "It had carried all that it may.")
        world.receive(.ike(Event(.childClosed(spiIn: new, failure), connection: id)))
        #expect(world.state("vpn-1") == .connecting && world.active == ["vpn-2"])
        world.run(5)
        #expect(world.state("vpn-1") == .online)
    }

    /// A rekey that the peer takes back leaves the old child to send on.
    @Test func childWhoseReplacementIsTakenBackCarriesOn() {
        var world = online()
        let id = world.connections.first { $0.value.terms.name == "vpn-1" }!.key
        let old = world.connections[id]!.sa!.child!
        world.receive(.rekey("vpn-1", .child))
        world.run(0)
        let new = world.connections[id]!.sa!.child!
        world.connections[id]?.sa?.child = old
        world.installed[new] = nil
        world.receive(.ike(Event(.childRekeyed(spiIn: old, previous: new), connection: id)))
        world.receive(.childRemoved(spiIn: new))
        #expect(world.state("vpn-1") == .online && world.active == ["vpn-1"])
        #expect(world.status("vpn-1")?.children.count == 1)
    }

    @Test func standingIKESAThatTakesNoChildIsReplaced() {
        var world = online()
        world.addsChildren = false
        let id = world.connections.first { $0.value.terms.name == "vpn-1" }!.key
        let child = world.connections[id]!.sa!.child!
        world.connections[id]?.sa?.child = nil
        world.installed[child] = nil
        world.receive(.childRemoved(spiIn: child))
        world.run(30)
        #expect(world.state("vpn-1") == .online && world.initiations.count == 3)
    }

    @Test func childThatVanishesWithoutAWordIsMissed() {
        var world = online()
        let id = world.connections.first { $0.value.terms.name == "vpn-1" }!.key
        let child = world.connections[id]!.sa!.child!
        world.connections[id]?.sa?.child = nil
        world.installed[child] = nil
        world.receive(.childRemoved(spiIn: child))
        #expect(world.active == ["vpn-2"])
        world.run(10)
        #expect(world.state("vpn-1") == .online && world.count("tunnel-offline", "vpn-1") == 1)
    }

    @Test func childThatIsRefusedCountsAsOneFailureThoughItsIKESAEndsLater() {
        var world = SupervisorWorld()
        world.want([awsLike(tunnels: 1)])
        world.peers[first]?.refusal = Failure(.temporaryFailure, "Busy.")
        world.run(1)
        let id = world.connections.keys.first!
        let calls = world.initiations.count
        // As the engine tells it: the IKE SA stands, the child is refused, and the IKE SA is deleted.
        let failure = Failure(.selectorsUnacceptable, "The peer refused the networks.")
        world.run(120)
        let failures = world.supervisor.keepers[0]!.failures
        while world.supervisor.keepers[0]!.attempt != .underway { world.run(until: world.now + .milliseconds(10)) }
        world.connections[id]?.attempt = nil
        let summary = IKESummary(
            initiatorSPI: 77, responderSPI: 78, isInitiator: true,
            suite: IKESuite(encryption: .aes128gcm16, integrity: nil, prf: .sha256, group: .ecp256),
            localID: .fqdn("us"), remoteID: .fqdn("them"),
            path: Path(local: Endpoint(.v4(2), 500), remote: Endpoint(first, 500), isNATPort: false),
            isBehindNAT: false, isPeerBehindNAT: false, establishedAt: world.now, rekeyAt: world.now + .seconds(9))
        world.receive(.ike(Event(.ikeEstablished(summary), connection: id, ikeSA: IKESAID(77))))
        world.receive(.ike(Event(.failed(failure), connection: id, ikeSA: IKESAID(77))))
        #expect(world.supervisor.keepers[0]!.failures == failures + 1 && world.initiations.count > calls)
        // The next attempt is under way when the peer acknowledges the deletion of the last.
        while world.supervisor.keepers[0]!.attempt != .underway { world.run(until: world.now + .milliseconds(10)) }
        world.receive(.ike(Event(.ikeClosed(failure), connection: id, ikeSA: IKESAID(77))))
        #expect(world.supervisor.keepers[0]!.attempt == .underway)
        #expect(world.supervisor.keepers[0]!.failures == failures + 1)
        #expect(world.status("vpn-1")?.lastError == failure.explanation)
    }

    @Test func engineThatOwesAnOutcomeIsAskedAgain() {
        var world = SupervisorWorld()
        world.want([awsLike(tunnels: 1)])
        world.run(until: world.now + .milliseconds(10))
        // The attempt is lost without a word.
        for id in world.connections.keys { world.connections[id]?.attempt = -1 }
        world.run(69)
        #expect(world.state("vpn-1") == .connecting)
        world.run(3)
        #expect(world.state("vpn-1") == .online)
    }

    @Test func lostInterfaceIsOpenedAgain() {
        var world = online()
        world.links["gh0"] = nil
        world.installed = world.installed.filter { $0.value != "gh0" }
        world.receive(.linkFailed(interface: "gh0", reason: "someone deleted it"))
        #expect(world.active == ["vpn-2"])
        world.run(5)
        #expect(world.state("vpn-1") == .online && world.links["gh0"] != nil)
    }

    @Test func interfaceThatCannotBeOpenedIsSaidAndTriedAgain() {
        var world = SupervisorWorld()
        world.brokenLinks = ["gh0"]
        world.want([awsLike()])
        world.run(120)
        #expect(world.state("vpn-1") == .offline)
        #expect(world.status("vpn-1")?.lastError?.contains("no such device") == true)
        #expect(world.state("vpn-2") == .online && world.active == ["vpn-2"])
        world.brokenLinks = []
        world.run(76)
        #expect(world.state("vpn-1") == .online)
    }

    // MARK: - Probes and failover

    @Test func unansweredProbesCountOnlyOnceThePeerHasAnswered() {
        var world = SupervisorWorld()
        world.peers[first] = .init(answersProbes: false)
        world.want([awsLike()])
        world.run(600)
        #expect(world.state("vpn-1") == .online && world.active == ["vpn-1"])
        #expect(world.status("vpn-1")!.probe!.lost > 50)
        world.peers[first]?.answersProbes = true
        world.run(10)
        world.peers[first]?.answersProbes = false
        world.run(25)
        #expect(world.state("vpn-1") == .degraded && world.active == ["vpn-2"] && world.count("probe-lost") == 1)
        world.peers[first]?.answersProbes = true
        world.run(10)
        #expect(world.state("vpn-1") == .online && world.count("probe-answers") == 1)
        world.run(35)
        #expect(world.active == ["vpn-1"])
    }

    @Test func unansweredRequestMovesTheTrafficOnlyWhenTheTunnelIsDumbToo() {
        var world = online()
        let (id, sa) = silenced("vpn-1", &world)
        for attempt in 1...4 { tell(.retransmitted(exchange: "INFORMATIONAL", attempt: attempt), id, sa, &world) }
        world.run(30)
        #expect(world.state("vpn-1") == .online && world.active == ["vpn-1"] && world.count("peer-silent") == 1)
        #expect(world.status("vpn-1")?.dpd.retransmits == 4)
        world.peers[first]?.answersProbes = false
        world.run(16)
        #expect(world.state("vpn-1") == .degraded && world.active == ["vpn-2"])
        #expect(world.count("probe-lost") == 0)
        tell(.answered(roundTrip: .milliseconds(9), retransmits: 4), id, sa, &world)
        #expect(world.state("vpn-1") == .online && world.count("peer-answers") == 1)
    }

    /// From now on the engine says nothing of a tunnel but what the test says.
    private func silenced(_ tunnel: String, _ world: inout SupervisorWorld) -> (ConnectionID, UInt64) {
        let (id, connection) = world.connections.first { $0.value.terms.name == tunnel }!
        world.agenda.removeAll { if case .checkLiveness(id, _, _) = $0.what { true } else { false } }
        return (id, connection.sa!.id)
    }

    private func tell(_ kind: IKE.Event.Kind, _ id: ConnectionID, _ sa: UInt64, _ world: inout SupervisorWorld) {
        world.receive(.ike(Event(kind, connection: id, ikeSA: IKESAID(sa))))
    }

    @Test func doubtGoesOverToTheIKESAThatTakesOverAndEndsWithItsAnswer() {
        var world = online()
        let (id, sa) = silenced("vpn-1", &world)
        world.peers[first]?.answersProbes = false
        world.run(12)
        tell(.retransmitted(exchange: "INFORMATIONAL", attempt: 2), id, sa, &world)
        #expect(world.state("vpn-1") == .degraded)
        tell(.ikeRekeyed(world.summary(id, sa + 1), previous: IKESAID(sa)), id, sa + 1, &world)
        #expect(world.state("vpn-1") == .degraded)
        tell(.answered(roundTrip: .milliseconds(9), retransmits: 0), id, sa + 1, &world)
        #expect(world.status("vpn-1")?.dpd.retransmits == 0 && world.count("peer-answers") == 1)
        // What is still sent for the old one is no doubt about the new one.
        tell(.retransmitted(exchange: "INFORMATIONAL", attempt: 5), id, sa, &world)
        #expect(world.count("peer-silent") == 1)
    }

    @Test func doubtEndsWithTheIKESAItIsAbout() {
        var world = online()
        let (id, sa) = silenced("vpn-1", &world)
        tell(.ikeEstablished(world.summary(id, sa + 1)), id, sa + 1, &world)
        tell(.retransmitted(exchange: "INFORMATIONAL", attempt: 2), id, sa, &world)
        #expect(world.count("peer-silent") == 1)
        tell(.ikeClosed(Failure(.replaced, "A newer IKE SA has taken its place.")), id, sa, &world)
        tell(.retransmitted(exchange: "INFORMATIONAL", attempt: 2), id, sa + 1, &world)
        #expect(world.count("peer-silent") == 2)
    }

    @Test func degradedTunnelKeepsTheTrafficWhenNoneIsBetter() {
        var world = online()
        world.peers[first]?.answersProbes = false
        world.peers[second]?.answersProbes = false
        world.run(60)
        #expect(world.state("vpn-1") == .degraded && world.state("vpn-2") == .degraded)
        #expect(world.active.count == 1 && world.routes.count { $0.metric == 100 } == 1)
        let moves = world.count("failover")
        world.run(600)
        #expect(world.count("failover") == moves)
    }

    @Test func standbyTakesOverAtOnceAlsoWithinItsOwnHoldTime() {
        var world = online()
        world.peerDeletes("vpn-2")
        world.run(2)
        #expect(world.state("vpn-2") == .online && world.active == ["vpn-1"])
        world.peers[first]?.answersProbes = false
        while world.state("vpn-1") == .online { world.run(1) }
        #expect((world.now - Tick.zero).seconds < 32 && world.active == ["vpn-2"])
    }

    @Test func tunnelThatFailsPeriodicallyDoesNotDragTheTrafficAlong() {
        var world = online()
        for _ in 0..<60 {
            world.peerDeletes("vpn-1")
            world.run(50)
        }
        // 50 minutes of failures: the hold time grows past the period after two of them.
        #expect(world.count("failover") <= 3 && world.count("failback") <= 2)
        #expect(world.active == ["vpn-2"])
        world.run(700)
        #expect(world.active == ["vpn-1"])
    }

    @Test func withdrawnTunnelLeavesNoRoute() {
        var world = online()
        world.peers[first]?.isAlive = false
        world.peers[second]?.isAlive = false
        world.run(60)
        #expect(world.routes == [.unreachable(IPPrefix("10.0.0.0/24")!, metric: 4_000_000)])
        #expect(world.count("no-tunnel") == 1)
    }

    @Test func bothFamiliesAreRouted() {
        var world = SupervisorWorld()
        var connector = awsLike()
        connector.remoteNetworks.append(IPPrefix("fd00:1::/64")!)
        world.want([connector])
        world.run(5)
        #expect(world.routes.count { $0.destination.family == .ipv6 && !$0.isUnreachable } == 2)
        #expect(world.routes.count { $0.destination.family == .ipv6 && $0.isUnreachable } == 1)
    }

    @Test func connectorsWithTheSameNetworkNeverShareAMetric() {
        var world = SupervisorWorld()
        world.want([awsLike("a", remote: "10.9.0.0/16"), awsLike("b", number: 1, remote: "10.9.0.0/16")])
        world.run(5)
        #expect(world.routes.map(\.metric) == [100, 201, 4_000_000, 1100, 1201])
        #expect(world.count("networks-overlap") == 1)
        world.want([awsLike("b", number: 1, remote: "10.9.0.0/16")])
        #expect(world.routes.map(\.metric) == [100, 201, 4_000_000])
        #expect(world.count("tunnel-offline") == 2)
    }
}
