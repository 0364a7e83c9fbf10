import Base
import Cryptography
import Testing

@testable import IKE

/// Quick crash detection (RFC 6290): a peer that has lost its state proves it, and nobody else can.
@Suite struct CrashDetectionTests {
    private static let secret = Secret(Array(repeating: 7, count: 32))

    private func engineConfiguration() -> EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.crashDetectionSecret = Self.secret
        return configuration
    }

    private func connected() -> Pair {
        var pair = Pair(engine: engineConfiguration())
        pair.connect()
        pair.expectConnected()
        return pair
    }

    /// B forgets everything, and goes on with the same secret or another.
    private func restartB(_ pair: inout Pair, secret: Secret? = CrashDetectionTests.secret) {
        var configuration = EngineConfiguration()
        configuration.crashDetectionSecret = secret
        pair.b = Pair.End(engine: Engine(configuration: configuration, seed: [66], now: pair.now))
        pair.give(.b, .configure(Pair.id, Pair.configuration(.b)))
    }

    @Test func theFirstMessageAfterARestartTells() throws {
        var pair = connected()
        restartB(&pair)
        pair.give(.a, .checkLiveness(Pair.id))
        pair.driveMilliseconds(50)
        #expect(pair.closed(.a).map(\.reason) == [.peerRestarted])
        #expect(pair.childClosed(.a).map(\.reason) == [.peerRestarted])
        #expect(pair.a.engine.ikeSACount == 0 && pair.a.children.isEmpty)
        #expect(pair.a.engine.deadline == nil)
        pair.connect()
        pair.expectConnected()
    }

    @Test(arguments: [Pair.Side.a, .b])
    func aRekeyBringsTokensOfItsOwn(_ side: Pair.Side) throws {
        var pair = connected()
        pair.give(side, .rekeyIKE(Pair.id))
        pair.drive(.seconds(3))
        for end in [pair.a, pair.b] {
            let sa = try #require(end.engine.table.only)
            #expect(sa.crashToken == end.engine.crashToken(sa).map { Secret($0) })
        }
        restartB(&pair)
        pair.give(.a, .checkLiveness(Pair.id))
        pair.driveMilliseconds(50)
        #expect(pair.closed(.a).map(\.reason) == [.peerRestarted])
    }

    @Test func anotherSecretIsNoProof() throws {
        var pair = connected()
        for secret in [nil, Secret(Array(repeating: 8, count: 32))] {
            restartB(&pair, secret: secret)
            pair.give(.a, .checkLiveness(Pair.id))
            pair.driveMilliseconds(50)
            #expect(pair.closed(.a).isEmpty)
            #expect(pair.a.engine.ikeSACount == 1)
        }
        pair.drive(.seconds(40))
        #expect(pair.closed(.a).map(\.reason) == [.silence])
    }

    /// A stranger that has seen the SPIs asks B for the token in every way that it can.
    @Test func theTokenOfALivingSAIsNeverShown() throws {
        var pair = connected()
        let sa = try #require(pair.b.engine.table.only)
        let token = try #require(pair.b.engine.crashToken(sa))
        let path = Path(local: sa.path.local, remote: Endpoint(.v4(0x0102_0304), 500), isNATPort: sa.path.isNATPort)
        let spis = [sa.initiatorSPI, sa.responderSPI, 77]
        for (initiator, responder) in spis.flatMap({ a in spis.map { (a, $0) } }) {
            for flags in [0, Header.initiatorFlag] {
                let header = Header(
                    initiatorSPI: initiator, responderSPI: responder, exchange: 37, flags: flags, messageID: 5)
                pair.now = pair.now + .seconds(1)
                pair.give(.b, .datagram(MessageWriter(header).finish(), path))
            }
        }
        #expect(!pair.b.sent.contains { $0.1.remote == path.remote && $0.0.contains(token) })
        // It does answer, where it has nothing of that name.
        #expect(pair.b.sent.contains { $0.1.remote == path.remote })
        #expect(pair.b.engine.ikeSACount == 1)
        pair.drive(.seconds(30))
        pair.expectConnected()
    }

    @Test func aForgedTokenChangesNothing() throws {
        var pair = connected()
        pair.loses = { _ in true }
        pair.give(.a, .checkLiveness(Pair.id))
        let sa = try #require(pair.a.engine.table.only)
        let header = Header(
            initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI, exchange: 37, flags: Header.responseFlag,
            messageID: try #require(sa.request?.messageID))
        var message = MessageWriter(header)
        message.add(.invalidIKESPI)
        message.add(.quickCrashDetection, [UInt8](repeating: 1, count: 32))
        pair.give(.a, .datagram(message.finish(), sa.path))
        #expect(pair.closed(.a).isEmpty)
        pair.loses = { _ in false }
        pair.drive(.seconds(5))
        pair.expectConnected()
    }

    /// A flood for unknown SAs gets few answers.
    @Test func answersAreFew() throws {
        var pair = connected()
        let path = Path(
            local: Endpoint(Pair.addressB, 500), remote: Endpoint(.v4(0x0102_0304), 500), isNATPort: false)
        let sent = pair.b.sent.count
        for number in 0..<1000 {
            let header = Header(
                initiatorSPI: UInt64(number + 1), responderSPI: 9, exchange: 37, flags: Header.initiatorFlag,
                messageID: 1)
            pair.give(.b, .datagram(MessageWriter(header).finish(), path))
        }
        #expect(pair.b.sent.count - sent == pair.b.engine.configuration.unknownSPIAnswersPerSecond)
    }
}

extension [UInt8] {
    /// Whether `part` stands somewhere in it.
    fileprivate func contains(_ part: [UInt8]) -> Bool {
        guard count >= part.count else { return false }
        return (0...count - part.count).contains { self[$0..<$0 + part.count].elementsEqual(part) }
    }
}
