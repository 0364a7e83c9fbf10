import Base
import Cryptography
import Testing

@testable import IKE

/// Several child SAs on one IKE SA: each stands or falls by itself.
@Suite struct SeveralChildrenTests {
    private static let esp = [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [.curve25519])]

    private static func child(_ local: String, _ remote: String) -> ChildConfiguration {
        ChildConfiguration(
            espProposals: esp, localSelectors: [Pair.selector(local)], remoteSelectors: [Pair.selector(remote)])
    }

    /// A and B with three children: 10.1 to 10.2, 10.1 to 10.3, 10.4 to 10.2.
    private func pair(
        a changeA: (inout ConnectionConfiguration) -> Void = { _ in },
        b changeB: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> Pair {
        var (a, b) = (Pair.configuration(.a), Pair.configuration(.b))
        a.furtherChildren = [Self.child("10.1.0.0/16", "10.3.0.0/16"), Self.child("10.4.0.0/16", "10.2.0.0/16")]
        b.furtherChildren = [Self.child("10.3.0.0/16", "10.1.0.0/16"), Self.child("10.2.0.0/16", "10.4.0.0/16")]
        changeA(&a)
        changeB(&b)
        return Pair(a: a, b: b)
    }

    private func places(_ pair: Pair, _ side: Pair.Side) -> [Int] {
        pair[side].children.values.map(\.child.place).sorted()
    }

    /// Every child of one side is known to the other, with the same keys and mirrored selectors.
    private func expectMatched(_ pair: Pair, _ sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(pair.a.children.count == pair.b.children.count, sourceLocation: sourceLocation)
        for installed in pair.a.children.values {
            guard let other = pair.b.children[installed.child.spiOut]?.child else {
                Issue.record("a child that the other end does not know", sourceLocation: sourceLocation)
                continue
            }
            #expect(other.encryptionKeyIn == installed.child.encryptionKeyOut, sourceLocation: sourceLocation)
            #expect(other.localSelectors == installed.child.remoteSelectors, sourceLocation: sourceLocation)
            #expect(other.place == installed.child.place, sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: [false, true])
    func allComeUp(isChildless: Bool) throws {
        var pair = pair(a: { $0.prefersChildless = isChildless })
        pair.connect()
        #expect(places(pair, .a) == [0, 1, 2] && places(pair, .b) == [0, 1, 2])
        expectMatched(pair)
        #expect(pair.failures(.a).isEmpty && pair.failures(.b).isEmpty)
        // Asked again there is nothing to do.
        let sent = pair.a.sent.count
        pair.give(.a, .initiate(Pair.id))
        #expect(pair.a.sent.count == sent)
    }

    @Test(arguments: [Pair.Side.a, .b])
    func eachIsRekeyed(_ side: Pair.Side) throws {
        var pair = pair()
        pair.connect()
        let before = Set(pair.a.children.keys)
        pair.give(side, .rekeyChild(Pair.id))
        pair.drive(.seconds(30))
        #expect(places(pair, .a) == [0, 1, 2] && places(pair, .b) == [0, 1, 2])
        #expect(before.isDisjoint(with: pair.a.children.keys))
        #expect(pair.childRekeys(.a) == 3 && pair.childRekeys(.b) == 3)
        expectMatched(pair)
        pair.give(side, .rekeyIKE(Pair.id))
        pair.drive(.seconds(60))
        #expect(places(pair, .a) == [0, 1, 2])
        expectMatched(pair)
        #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
    }

    @Test func theyLiveOnThroughTheirLifetimes() throws {
        var pair = pair(
            a: { $0.furtherChildren[0].lifetime = .seconds(900) },
            b: { $0.furtherChildren[1].lifetime = .seconds(1200) })
        pair.connect()
        pair.drive(.seconds(20_000))
        #expect(places(pair, .a) == [0, 1, 2])
        expectMatched(pair)
        #expect(pair.childClosed(.a).isEmpty && pair.closed(.a).isEmpty)
    }

    @Test(arguments: 0..<3)
    func oneThatIsRefusedTakesNoOtherDown(_ place: Int) throws {
        let other = ESPProposal(encryption: [.aes256], integrity: [.sha512], groups: [])
        var pair = pair(b: {
            if place == 0 {
                $0.child.espProposals = [other]
            } else {
                $0.furtherChildren[place - 1].espProposals = [other]
            }
        })
        pair.connect()
        #expect(places(pair, .a) == [0, 1, 2].filter { $0 != place })
        expectMatched(pair)
        #expect(pair.failures(.a).count == 1)
        #expect(pair.closed(.a).isEmpty && pair.closed(.b).isEmpty)
        // Asked again, it alone is tried, and refused again.
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(2))
        #expect(pair.failures(.a).count == 2)
        #expect(places(pair, .a) == [0, 1, 2].filter { $0 != place })
        // The peer learns to take it: then it comes up beside the others.
        pair.give(.b, .configure(Pair.id, self.pair().b.engine.connections[Pair.id]!.configuration))
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(2))
        #expect(places(pair, .a) == [0, 1, 2])
    }

    /// The child that the peer's networks mean says why there is none, not one that has nothing to do with them
    /// (RFC 7296 §2.9, §3.10.1).
    @Test(arguments: 0..<3)
    func refusalNamesTheReasonOfTheChildThatIsMeant(_ place: Int) throws {
        let other = [ESPProposal(encryption: [.aes256], integrity: [.sha512], groups: [])]
        let asked = [("10.1.0.0/16", "10.2.0.0/16"), ("10.1.0.0/16", "10.3.0.0/16"), ("10.4.0.0/16", "10.2.0.0/16")]
        var pair = pair(
            a: {
                $0.child = Self.child(asked[place].0, asked[place].1)
                $0.furtherChildren = []
            },
            b: {
                if place == 0 {
                    $0.child.espProposals = other
                } else {
                    $0.furtherChildren[place - 1].espProposals = other
                }
            })
        pair.connect()
        #expect(pair.failures(.a).map(\.reason) == [.noProposalChosen])
        #expect(pair.failures(.b).map(\.reason) == [.noProposalChosen])
    }

    @Test func networksOfNoChildAreRefusedAsSuch() throws {
        let other = [ESPProposal(encryption: [.aes256], integrity: [.sha512], groups: [])]
        var pair = pair(
            a: {
                $0.child = Self.child("10.8.0.0/16", "10.9.0.0/16")
                $0.furtherChildren = []
            },
            b: { $0.child.espProposals = other })
        pair.connect()
        #expect(pair.failures(.a).map(\.reason) == [.selectorsUnacceptable])
        #expect(pair.failures(.b).map(\.reason) == [.selectorsUnacceptable])
    }

    @Test func withoutAnyTheIKESAGoes() throws {
        let other = [ESPProposal(encryption: [.aes256], integrity: [.sha512], groups: [])]
        var pair = pair(b: {
            $0.child.espProposals = other
            for index in $0.furtherChildren.indices { $0.furtherChildren[index].espProposals = other }
        })
        pair.connect()
        #expect(pair.failures(.a).count == 3)
        #expect(pair.closed(.a).map(\.reason) == [.noProposalChosen])
        pair.drive(.seconds(20))
        pair.expectNothingLeft()
    }

    @Test func oneThatThePeerDeletesIsTheOnlyOneThatGoes() throws {
        var pair = pair()
        pair.connect()
        let victim = try #require(pair.b.children.values.first { $0.child.place == 1 }?.child.spiIn)
        pair.b.engine.with(try #require(pair.b.engine.table.spis.first)) { $0.deleteChild(&$1, victim) }
        pair.drive(.seconds(10))
        #expect(places(pair, .a) == [0, 2] && places(pair, .b) == [0, 2])
        #expect(pair.childClosed(.a).map(\.reason) == [.deletedByPeer])
        pair.give(.a, .initiate(Pair.id))
        pair.drive(.seconds(2))
        #expect(places(pair, .a) == [0, 1, 2])
        expectMatched(pair)
    }

    /// Our one phase 2 is wide; the peer, policy-based, has a child for each pair of networks.
    @Test func aPeerMaySplitOurSelectorsAmongSeveral() throws {
        var pair = pair(b: {
            $0.furtherChildren = []
            $0.localSelectors = [Pair.selector("10.0.0.0/8")]
            $0.remoteSelectors = [Pair.selector("10.0.0.0/8")]
        })
        pair.connect()
        #expect(places(pair, .a) == [0, 1, 2])
        #expect(places(pair, .b) == [0, 0, 0])
        let selectors = Set(pair.b.children.values.map(\.child.localSelectors)).count
        #expect(selectors == 2)
        // A rekey of each stays what it was.
        pair.give(.b, .rekeyChild(Pair.id))
        pair.drive(.seconds(30))
        #expect(places(pair, .a) == [0, 1, 2])
        #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
    }

    @Test func theSameAgainIsRefused() throws {
        var pair = pair()
        pair.connect()
        pair.a.engine.with(try #require(pair.a.engine.table.spis.first)) { $0.startChild(&$1, 0, replacing: nil) }
        let effects = pair.a.engine.wake(now: pair.now)
        for case .send(let bytes, let path) in effects {
            let seen = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
            pair.give(.b, .datagram(bytes, seen))
        }
        pair.drive(.seconds(2))
        #expect(places(pair, .a) == [0, 1, 2] && places(pair, .b) == [0, 1, 2])
        #expect(pair.notices(.b).contains { $0.contains("a second child SA with the same selectors") })
        #expect(pair.closed(.a).isEmpty)
    }
}

/// Lifetimes in bytes and packets.
@Suite struct ChildLimitTests {
    private func pair(bytes: UInt64? = nil, packets: UInt64? = nil, fuzz: Int = 0) -> Pair {
        var configuration = Pair.configuration(.a)
        (configuration.child.lifetimeBytes, configuration.child.lifetimePackets) = (bytes, packets)
        configuration.rekeyFuzzPercent = fuzz
        var pair = Pair(a: configuration)
        pair.connect()
        return pair
    }

    @Test func theDataPathIsToldWhatAnSAMayCarry() throws {
        let limits = try #require(pair(bytes: 1_000_000, packets: 5_000).a.sending?.child.limits)
        #expect(limits.softBytes == 900_000 && limits.hardBytes == 1_000_000)
        #expect(limits.softPackets == 4_500 && limits.hardPackets == 5_000)
        #expect(try #require(pair().a.sending?.child.limits) == ChildLimits())
    }

    @Test func theFuzzMakesTheMarginLonger() throws {
        let limits = try #require(pair(bytes: 1_000_000, fuzz: 100).a.sending?.child.limits)
        #expect((800_000..<900_000).contains(limits.softBytes))
    }

    @Test func theSoftLimitRekeysAndTheHardOneEnds() throws {
        var pair = pair(bytes: 1_000_000)
        let first = try #require(pair.a.sending?.child.spiIn)
        pair.give(.a, .childExhausted(spiIn: first))
        pair.drive(.seconds(10))
        let second = try #require(pair.a.sending?.child.spiIn)
        #expect(second != first)
        pair.expectConnected()
        pair.expectOnlyOne()
        pair.give(.a, .childSpent(spiIn: second))
        #expect(pair.childClosed(.a).map(\.reason) == [.lifetimeExpired])
        pair.drive(.seconds(10))
        #expect(pair.a.children.isEmpty && pair.b.children.isEmpty)
        #expect(pair.childClosed(.b).map(\.reason) == [.deletedByPeer])
    }

    @Test func anOldSAThatIsSpentIsNoLoss() throws {
        var pair = pair(bytes: 1_000_000)
        let first = try #require(pair.a.sending?.child.spiIn)
        pair.give(.a, .childExhausted(spiIn: first))
        pair.driveMilliseconds(60)
        pair.give(.a, .childSpent(spiIn: first))
        pair.drive(.seconds(10))
        #expect(pair.childClosed(.a).isEmpty && pair.childClosed(.b).isEmpty)
        pair.expectConnected()
        pair.expectOnlyOne()
    }
}
