import Base
import Cryptography
@testable import IKE
import Testing

/// One suite's known answers, in hexadecimal by name.
struct ExchangeVector: Sendable, CustomTestStringConvertible {
    var encryption: EncryptionAlgorithm
    var integrity: IntegrityAlgorithm?
    var prf: PRFAlgorithm
    var values: [String: String]

    subscript(name: String) -> [UInt8] { [UInt8](hexadecimal: values[name] ?? "") ?? [] }
    func secret(_ name: String) -> Secret { Secret(self[name]) }
    func spi(_ name: String) -> UInt64 { self[name].reduce(0) { $0 << 8 | UInt64($1) } }

    var suite: IKESuite {
        IKESuite(encryption: encryption, integrity: integrity, prf: prf, group: .curve25519)
    }
    var testDescription: String { suite.description }
}

struct VectorTests {
    @Test(arguments: exchangeVectors)
    func theKeyScheduleGivesTheKnownKeys(_ vector: ExchangeVector) {
        #expect(vector.values.count == 27)
        let seed = KeySchedule.seed(
            vector.prf, nonceI: vector["nonceI"], nonceR: vector["nonceR"], shared: vector.secret("shared"))
        #expect(seed.exposedBytes == vector["seed"])
        for isInitiator in [true, false] {
            let keys = keys(vector, seed, isInitiator: isInitiator)
            #expect(keys.derivation.exposedBytes == vector["derivation"])
            let (out, into) = isInitiator ? ("I", "R") : ("R", "I")
            #expect(keys.encryptionOut.exposedBytes == vector["encryption" + out])
            #expect(keys.encryptionIn.exposedBytes == vector["encryption" + into])
            #expect((keys.integrityOut?.exposedBytes ?? []) == vector["integrity" + out])
            #expect((keys.integrityIn?.exposedBytes ?? []) == vector["integrity" + into])
            #expect(keys.authenticationLocal?.exposedBytes == vector["authentication" + out])
            #expect(keys.authenticationRemote?.exposedBytes == vector["authentication" + into])
        }
    }

    private func keys(_ vector: ExchangeVector, _ seed: Secret, isInitiator: Bool) -> IKEKeys {
        KeySchedule.keys(
            vector.suite, seed: seed, nonceI: vector["nonceI"], nonceR: vector["nonceR"], spiI: vector.spi("spiI"),
            spiR: vector.spi("spiR"), isInitiator: isInitiator)
    }

    @Test(arguments: exchangeVectors)
    func sharedKeyAuthenticationGivesTheKnownValues(_ vector: ExchangeVector) {
        let initiator = KeySchedule.sharedKeyAuthentication(
            vector.prf, psk: vector.secret("psk"), message: vector["first"], nonce: vector["nonceR"],
            identityKey: vector.secret("authenticationI"), identity: IKEIdentity.fqdn("site.example.org").payloadBody)
        #expect(initiator.exposedBytes == vector["authI"])
        let responder = KeySchedule.sharedKeyAuthentication(
            vector.prf, psk: vector.secret("psk"), message: vector["answer"], nonce: vector["nonceI"],
            identityKey: vector.secret("authenticationR"), identity: IKEIdentity(Pair.addressB).payloadBody)
        #expect(responder.exposedBytes == vector["authR"])
    }

    @Test(arguments: exchangeVectors)
    func childrenGetTheKnownKeys(_ vector: ExchangeVector) {
        let suite = ESPSuite(encryption: vector.encryption, integrity: vector.integrity, group: nil, esn: false)
        for (name, shared) in [("child", nil), ("childWithPFS", vector.secret("shared2"))] as [(String, Secret?)] {
            let keys = KeySchedule.childKeys(
                suite, prf: vector.prf, derivation: vector.secret("derivation"), shared: shared,
                nonceI: vector["nonceI"], nonceR: vector["nonceR"])
            let all = [keys.encryptionI, keys.integrityI, keys.encryptionR, keys.integrityR].flatMap(\.exposedBytes)
            #expect(all == vector[name])
        }
    }

    @Test(arguments: exchangeVectors)
    func aRekeyedIKESAGetsTheKnownKeys(_ vector: ExchangeVector) {
        let seed = KeySchedule.seed(
            rekeying: vector.secret("derivation"), vector.prf, nonceI: vector["nonceI"], nonceR: vector["nonceR"],
            shared: vector.secret("shared2"))
        // The SPIs of the new SA stand the other way round in the vector, to tell them from the old.
        let keys = KeySchedule.keys(
            vector.suite, seed: seed, nonceI: vector["nonceI"], nonceR: vector["nonceR"], spiI: vector.spi("spiR"),
            spiR: vector.spi("spiI"), isInitiator: true)
        #expect(keys.derivation.exposedBytes == vector["rekeyedDerivation"])
        #expect(keys.encryptionOut.exposedBytes == vector["rekeyedEncryptionI"])
        #expect(keys.encryptionIn.exposedBytes == vector["rekeyedEncryptionR"])
    }

    private func responder(_ vector: ExchangeVector) -> IKESA {
        let path = Path(local: Endpoint(Pair.addressB, 500), remote: Endpoint(Pair.addressA, 500), isNATPort: false)
        var sa = IKESA(spi: vector.spi("spiR"), isInitiator: false, path: path, state: .established)
        sa.peerSPI = vector.spi("spiI")
        sa.suite = vector.suite
        sa.keys = keys(vector, vector.secret("seed"), isInitiator: false)
        return sa
    }

    @Test(arguments: exchangeVectors)
    func aSealedMessageMadeElsewhereOpens(_ vector: ExchangeVector) throws {
        let message = vector["deleteMessage"]
        let header = try Header(message[...])
        let outer = try Payloads(first: header.nextPayload, message[28...])
        let inner = try responder(vector).open(message[...], outer)
        #expect(inner.deletes == [Delete(protocolID: SecurityProtocol.esp, spis: [0x1122_3344])])
        for index in message.indices {
            var damaged = message
            damaged[index] ^= 4
            // Flags, length and SPIs are under the tag like everything else.
            #expect(throws: MessageError.self) {
                let outer = try Payloads(first: damaged[16], damaged[28...])
                _ = try responder(vector).open(damaged[...], outer)
            }
        }
    }

    @Test(arguments: exchangeVectors)
    func whatIsSealedOpensAtTheOtherEnd(_ vector: ExchangeVector) throws {
        var receiver = responder(vector)
        var sender = IKESA(spi: vector.spi("spiI"), isInitiator: true, path: receiver.path, state: .established)
        sender.peerSPI = vector.spi("spiR")
        sender.suite = vector.suite
        sender.keys = keys(vector, vector.secret("seed"), isInitiator: true)
        var random = SeededRandom(seed: [1])
        for length in 0..<40 {
            let sealed = try #require(
                sender.seal(.informational, messageID: 7, isResponse: false, random: &random) {
                    $0.add(.initialContact, [UInt8](repeating: 9, count: length))
                })
            let outer = try Payloads(first: sealed[16], sealed[28...])
            let inner = try receiver.open(sealed[...], outer)
            #expect(inner.notifies == [Notify(.initialContact, data: [UInt8](repeating: 9, count: length))])
        }
        receiver.peerSPI = 0
    }

    /// The whole story of a tunnel from fixed seeds, as a digest of all that was sent: any change on the wire shows.
    @Test func theSameSeedsGiveTheSameConversation() {
        func digest(_ seed: UInt8) -> String {
            var pair = Pair(seedA: [seed], seedB: [2])
            pair.connect()
            pair.give(.a, .rekeyChild(Pair.id))
            pair.drive(.seconds(2))
            pair.give(.b, .rekeyIKE(Pair.id))
            pair.drive(.seconds(30))
            pair.give(.b, .terminate(Pair.id))
            pair.drive(.seconds(2))
            let all = (pair.a.sent + pair.b.sent).map { $0.0 }
            return Hash.digest(.sha256, all.map { $0 as any ByteSource }).hexadecimal
        }
        #expect(digest(1) == digest(1))
        #expect(digest(1) != digest(3))
        #expect(digest(1) == "444ef74b6c1ff81b74f106acb944577d6345a397b3442ec94265f5852c89fb14")
    }
}
