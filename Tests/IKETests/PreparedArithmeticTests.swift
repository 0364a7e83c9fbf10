import Base
import Cryptography
import Testing

@testable import IKE

/// Arithmetic that is done beside the engine.
struct PreparedArithmeticTests {
    private func pair(_ group: DHGroup) -> Pair {
        let offer = IKEProposal(encryption: [.aes128], integrity: [.sha256], prf: [.sha256], groups: [group])
        return Pair(a: Pair.configuration(.a, ike: [offer]), b: Pair.configuration(.b, ike: [offer]))
    }

    @Test(arguments: [DHGroup.modp1024, .modp2048, .ecp256, .ecp384, .curve25519])
    func whatComesOfItIsTheSame(_ group: DHGroup) {
        var alone = pair(group)
        alone.connect()
        var helped = pair(group)
        var jobs = 0
        helped.helps = { job in
            jobs += 1
            return job.run()
        }
        helped.connect()
        helped.expectConnected()
        #expect(jobs == 2)
        #expect(helped.a.sent.map(\.0) == alone.a.sent.map(\.0) && helped.b.sent.map(\.0) == alone.b.sent.map(\.0))
    }

    /// The engine believes what it is handed for this very exchange, and nothing else.
    @Test func whatIsHandedOverIsUsedForItsOwnExchangeAlone() {
        func events(_ change: @escaping (PreparedSecret) -> PreparedSecret) -> Bool {
            var pair = pair(.curve25519)
            pair.helps = { $0.run().map(change) }
            pair.connect()
            return pair.established(.a) == 1
        }
        // Another one at each end.
        func wrong(_ prepared: PreparedSecret) -> Secret { Secret(prepared.publicValue) }
        #expect(events { $0 })
        #expect(!events { PreparedSecret(publicValue: $0.publicValue, peerValue: $0.peerValue, secret: wrong($0)) })
        #expect(events { PreparedSecret(publicValue: $0.publicValue, peerValue: $0.publicValue, secret: wrong($0)) })
        #expect(events { PreparedSecret(publicValue: $0.peerValue, peerValue: $0.peerValue, secret: wrong($0)) })
    }

    @Test func onlyHandshakesHaveArithmetic() throws {
        var pair = pair(.curve25519)
        pair.connect()
        let standing = pair
        // Neither what was sent before nor what is sent now, nor bytes that are no message.
        for (bytes, path) in standing.a.sent {
            #expect(standing.b.engine.sharedSecretJob(bytes, Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)) == nil)
        }
        for (bytes, path) in standing.b.sent {
            #expect(standing.a.engine.sharedSecretJob(bytes, Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)) == nil)
        }
        pair.give(.a, .checkLiveness(Pair.id))
        let (bytes, path) = try #require(pair.a.sent.last)
        for count in 0...bytes.count { #expect(pair.b.engine.sharedSecretJob(Array(bytes.prefix(count)), path) == nil) }
    }

    @Test func aValueThatIsNoneIsFoundByTheEngine() {
        func failures(_ helps: ((SharedSecretJob) -> PreparedSecret?)?) -> ([String], [String]) {
            var pair = pair(.curve25519)
            pair.helps = helps
            pair.give(.a, .initiate(Pair.id))
            // The point at infinity in the place of A's value: the shared secret would be zero (RFC 7748 §6.1).
            var first = pair.network[0].bytes
            let value = pair.a.sent[0].0.count
            let place = first.indices.first { index in
                index + 40 <= value && first[index + 2] == 0 && first[index + 3] == 40 && first[index + 5] == 31
            }
            for offset in 0..<32 { first[(place ?? 0) + 8 + offset] = 0 }
            pair.network[0].bytes = first
            pair.drive(.seconds(5))
            return (pair.a.events.map { "\($0)" }, pair.b.events.map { "\($0)" })
        }
        let alone = failures(nil)
        let helped = failures { $0.run() }
        #expect(alone.1.contains { $0.contains("KE") } && alone.0 == helped.0 && alone.1 == helped.1, "\(alone) \(helped)")
    }

    @Test func eachKeyPairIsUsedOnceAndMoreAreAskedForAsTheyAreUsed() throws {
        var random = SeededRandom(seed: [9])
        let made = try (0..<3).map { _ in try DHKeyPair(group: .curve25519, random: &random) }
        var pair = pair(.curve25519)
        #expect(pair.a.engine.keyPairShortages().isEmpty)
        for one in made { pair.a.engine.stock(one) }
        pair.a.engine.stock(try DHKeyPair(group: .ecp256, random: &random))
        pair.connect()
        #expect(pair.a.sent[0].0.containsBytes(made[2].publicValue))
        #expect(pair.a.engine.keyPairShortages().isEmpty && pair.b.engine.keyPairShortages() == [.curve25519: 2])
        #expect(pair.b.engine.keyPairShortages().isEmpty)
        // IKE rekeys take the others, and then the engine makes its own.
        for _ in 0..<3 {
            pair.give(.a, .rekeyIKE(Pair.id))
            pair.drive(.seconds(10))
        }
        pair.expectConnected()
        #expect(pair.a.engine.keyPairShortages() == [.curve25519: 6])
    }

    @Test func theStockHasABound() throws {
        var random = SeededRandom(seed: [9])
        var stock = KeyPairStock()
        let pair = try DHKeyPair(group: .curve25519, random: &random)
        for _ in 0..<200 { stock.add(pair) }
        for _ in 0..<KeyPairStock.most { #expect(stock.take(.curve25519) != nil) }
        #expect(stock.take(.curve25519) == nil && stock.shortages() == [.curve25519: KeyPairStock.most])
        // They are on their way: however many are taken meanwhile, no more are asked for until some have come.
        for _ in 0..<10 { #expect(stock.take(.curve25519) == nil) }
        #expect(stock.shortages().isEmpty)
        for _ in 0..<5 { stock.add(pair) }
        for _ in 0..<20 { _ = stock.take(.curve25519) }
        #expect(stock.shortages() == [.curve25519: 5])
    }
}

extension [UInt8] {
    fileprivate func containsBytes(_ part: [UInt8]) -> Bool {
        indices.contains { self[$0...].starts(with: part) }
    }
}
