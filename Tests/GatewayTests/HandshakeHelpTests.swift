import Base
import Cryptography
import Host
import IKE
import Synchronization
import Testing

@testable import Gateway

/// Handshakes whose arithmetic other cores do.
struct HandshakeHelpTests {
    private let now = Tick(nanoseconds: 1_000_000_000)
    private let here = IPAddress.v4(0x0A00_0001)

    private func configuration(_ local: IPAddress, _ remote: IPAddress?) -> ConnectionConfiguration {
        let everything = TrafficSelector(first: .v4(0), last: .v4(.max))
        return ConnectionConfiguration(
            name: "test", localAddress: local, remoteAddress: remote, authentication: .psk(Secret(Array("secret".utf8))),
            ikeProposals: [IKEProposal(encryption: [.aes128], integrity: [.sha256], prf: [.sha256], groups: [.curve25519])],
            espProposals: [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [])],
            localSelectors: [everything], remoteSelectors: [everything])
    }

    private func sent(_ effects: [Effect]) -> [(datagram: [UInt8], path: Path)] {
        effects.compactMap {
            guard case .send(let bytes, let path) = $0 else { return nil }
            return (bytes, Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort))
        }
    }

    /// An engine that has asked so many peers, and their answers on the way to it.
    private func asked(_ count: UInt32) -> (engine: Engine, answers: [(datagram: [UInt8], path: Path)]) {
        var engine = Engine(configuration: EngineConfiguration(), seed: [1], now: now)
        var answers: [(datagram: [UInt8], path: Path)] = []
        for number in 1...count {
            let there = IPAddress.v4(0x0A00_0100 + number)
            var peer = Engine(configuration: EngineConfiguration(), seed: [2, UInt8(number)], now: now)
            _ = peer.receive(.configure(ConnectionID(1), configuration(there, here)), now: now)
            _ = engine.receive(.configure(ConnectionID(number), configuration(here, there)), now: now)
            for (bytes, path) in sent(engine.receive(.initiate(ConnectionID(number)), now: now)) {
                answers += sent(peer.receive(.datagram(bytes, path), now: now))
            }
        }
        return (engine, answers)
    }

    @Test func datagramsWaitForTheirSecretsInOrder() async throws {
        let cores = try SpareCores(cores: 3)
        defer { cores.stop() }
        var help = HandshakeHelp(cores, usable: { 3 })
        var (engine, answers) = asked(6)
        #expect(answers.count == 6)
        help.begin(12)
        for (bytes, path) in answers {
            // The same again waits behind it.
            let isWaiting = [help.take(bytes, path, engine), help.take(bytes, path, engine)]
            #expect(isWaiting == [true, true])
        }
        let (stream, continuation) = AsyncStream<HandshakeHelp.Result>.makeStream()
        help.handOut(&engine, prepared: { continuation.yield($0) }, made: { _ in })
        var done = 0
        for await (id, secret) in stream {
            #expect(secret != nil)
            let waited = help.finish(id)
            #expect(waited.count == 2)
            let effects = waited.map { engine.receive(datagram: $0.datagram, $0.path, with: secret, now: now) }
            #expect(sent(effects[0]).count == 1 && sent(effects[1]).isEmpty)
            let again = help.finish(id)
            #expect(again.isEmpty)
            done += 1
            if done == 6 { break }
        }
        // What was taken is being made again.
        let missing = engine.keyPairShortages()
        #expect(missing.isEmpty)
    }

    @Test func keyPairsAreMadeAheadOnceSomeWereUsed() async throws {
        let cores = try SpareCores(cores: 2)
        defer { cores.stop() }
        var help = HandshakeHelp(cores, usable: { 2 })
        var (engine, _) = asked(5)
        help.begin(5)
        let (stream, continuation) = AsyncStream<DHKeyPair>.makeStream()
        help.handOut(&engine, prepared: { _ in }, made: { continuation.yield($0) })
        var made: [DHKeyPair] = []
        for await pair in stream {
            made.append(pair)
            if made.count == 10 { break }
        }
        // No more than that: stopping does what still waits.
        cores.stop()
        continuation.finish()
        for await pair in stream { made.append(pair) }
        #expect(made.count == 10 && Set(made.map(\.publicValue)).count == 10 && made.allSatisfy { $0.group == .curve25519 })
    }

    @Test(arguments: [(1, 1, 8), (3, 1, 8), (3, 3, 1)] as [(Int, Int, Int)])
    func withOneCoreOrOneMessageTheEngineIsLeftAlone(cores: Int, usable: Int, batch: Int) throws {
        let spare = try SpareCores(cores: cores)
        defer { spare.stop() }
        var help = HandshakeHelp(spare, usable: { usable })
        var (engine, answers) = asked(2)
        help.begin(batch)
        let isWaiting = answers.map { help.take($0.datagram, $0.path, engine) }
        #expect(isWaiting == [false, false])
        help.handOut(&engine, prepared: { _ in Issue.record("nothing was asked") }, made: { _ in })
    }

    /// One datagram is no load, unless it comes while others wait.
    @Test func oneDatagramBesideOthersIsHandedOutToo() throws {
        let cores = try SpareCores(cores: 2)
        defer { cores.stop() }
        var help = HandshakeHelp(cores, usable: { 2 })
        var (engine, answers) = asked(3)
        help.begin(2)
        let areWaiting = answers.prefix(2).map { help.take($0.datagram, $0.path, engine) }
        help.handOut(&engine, prepared: { _ in }, made: { _ in })
        help.begin(1)
        let isWaiting = help.take(answers[2].datagram, answers[2].path, engine)
        #expect(areWaiting == [true, true] && isWaiting)
        for (bytes, path) in answers { if let job = engine.sharedSecretJob(bytes, path) { _ = help.finish(job.ikeSA) } }
        help.begin(1)
        let isAgain = help.take(answers[2].datagram, answers[2].path, engine)
        #expect(!isAgain)
    }

    /// Cores that have stopped do not keep a handshake waiting.
    @Test func coresThatHaveStoppedGiveEverythingBack() throws {
        let cores = try SpareCores(cores: 2)
        cores.stop()
        var help = HandshakeHelp(cores, usable: { 2 })
        var (engine, answers) = asked(3)
        help.begin(3)
        let isWaiting = answers.map { help.take($0.datagram, $0.path, engine) }
        #expect(isWaiting == [true, true, true])
        let back = Mutex(0)
        help.handOut(&engine, prepared: { result in back.withLock { if result.secret == nil { $0 += 1 } } }, made: { _ in })
        #expect(back.withLock { $0 } == 3)
    }
}
