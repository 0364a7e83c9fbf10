import Base
import Cryptography
import Testing
import TestCertificates

@testable import IKE

/// Post-quantum pre-shared keys (RFC 8784).
struct PPKTests {
    private static let key = Secret(Array("a secret of more than thirty-two bytes".utf8))

    private func pair(_ a: PostquantumKey?, _ b: PostquantumKey?) -> Pair {
        var (left, right) = (Pair.configuration(.a), Pair.configuration(.b))
        left.ppk = a
        right.ppk = b
        return Pair(a: left, b: right)
    }

    private func ppk(_ identity: String = "lab", isRequired: Bool = true, key: Secret = key) -> PostquantumKey {
        PostquantumKey(identity: identity, key: key, isRequired: isRequired)
    }

    @Test(arguments: [true, false], [true, false])
    func bothSidesMixItIn(_ isRequiredByA: Bool, _ isRequiredByB: Bool) throws {
        var pair = pair(ppk(isRequired: isRequiredByA), ppk(isRequired: isRequiredByB))
        pair.connect()
        pair.expectConnected()
        #expect(pair.summary(.a)?.authentication.usesPPK == true)
        #expect(pair.summary(.b)?.authentication.usesPPK == true)
        for side in [Pair.Side.a, .b] {
            pair.give(side, .rekeyIKE(Pair.id))
            pair.drive(.seconds(2))
            pair.give(side, .rekeyChild(Pair.id))
            pair.drive(.seconds(10))
            pair.expectConnected()
        }
        let last = pair.a.events.compactMap { if case .ikeRekeyed(let summary, _) = $0 { summary } else { nil } }.last
        #expect(last?.authentication.usesPPK == true)
    }

    @Test func theKeysAreOthersWithIt() throws {
        var with = pair(ppk(), ppk())
        var without = pair(nil, nil)
        with.connect()
        without.connect()
        #expect(with.a.sending?.child.encryptionKeyOut != without.a.sending?.child.encryptionKeyOut)
        // The same seeds and another PPK: others again.
        let other = Secret(Array("another secret of thirty-two bytes!".utf8))
        var another = pair(ppk(key: other), ppk(key: other))
        another.connect()
        #expect(another.a.sending?.child.encryptionKeyOut != with.a.sending?.child.encryptionKeyOut)
    }

    @Test func aPeerWithoutItIsTakenWhereItIsOptional() throws {
        for (a, b) in [
            (ppk(isRequired: false), nil), (nil, ppk(isRequired: false)),
            (ppk("one", isRequired: false), ppk("two", isRequired: false)),
        ] {
            var pair = pair(a, b)
            pair.connect()
            pair.expectConnected()
            #expect(pair.summary(.a)?.authentication.usesPPK == false)
            #expect(pair.summary(.b)?.authentication.usesPPK == false)
        }
    }

    @Test func aPeerWithoutItIsRefusedWhereItIsRequired() throws {
        var noneAtB = pair(ppk(), nil)
        noneAtB.connect()
        noneAtB.expectRefused(.a, "does not use the post-quantum pre-shared key 'lab', and it is required")
        var noneAtA = pair(nil, ppk())
        noneAtA.connect()
        noneAtA.expectRefused(.b, "does not use the post-quantum pre-shared key 'lab'")
        noneAtA.expectRefused(.a, "refused our authentication")
        var others = pair(ppk("one"), ppk("two", isRequired: false))
        others.connect()
        others.expectRefused(.b, "requires the post-quantum pre-shared key 'one', and we have 'two'")
        var mine = pair(ppk("one", isRequired: false), ppk("two"))
        mine.connect()
        mine.expectRefused(.b, "uses the post-quantum pre-shared key 'one', and 'two' is required")
    }

    @Test func anotherKeyUnderTheSameNameIsRefused() throws {
        var pair = pair(ppk(), ppk(key: Secret(Array("not the same secret at all, alas....".utf8))))
        pair.connect()
        pair.expectRefused(.b, "its pre-shared key, or its PPK, is not ours")
        pair.expectRefused(.a, "the pre-shared key or the PPK differs")
    }

    @Test func itGoesWithCertificatesToo() throws {
        for isRequired in [true, false] {
            var pair = Pair.certified(
                a: try Organisation.credential([Organisation.certificate(.a)]),
                b: try Organisation.credential([Organisation.certificate(.b, .rsa2048)]),
                changeA: { $0.ppk = ppk(isRequired: isRequired) }, changeB: { $0.ppk = ppk(isRequired: isRequired) })
            pair.connect()
            pair.expectConnected()
            #expect(pair.summary(.b)?.authentication.usesPPK == true)
            var fallback = Pair.certified(
                a: try Organisation.credential([Organisation.certificate(.a)]),
                b: try Organisation.credential([Organisation.certificate(.b, .rsa2048)]),
                changeA: { $0.ppk = ppk("one", isRequired: false) },
                changeB: { $0.ppk = ppk("two", isRequired: false) })
            fallback.connect()
            fallback.expectConnected()
            #expect(fallback.summary(.a)?.authentication.usesPPK == false)
        }
    }

    /// RFC 8784 §3: `SK_d = prf+(PPK, SK_d')`, of which one output of the PRF is `prf(PPK, SK_d' | 0x01)`.
    @Test func mixingIsTheFunctionOfTheRFC() throws {
        let keys = IKEKeys(
            derivation: Secret([UInt8](repeating: 1, count: 32)), encryptionOut: Secret([9]), encryptionIn: Secret([8]),
            integrityOut: nil, integrityIn: nil, authenticationLocal: Secret([UInt8](repeating: 2, count: 32)),
            authenticationRemote: Secret([UInt8](repeating: 3, count: 32)))
        let mixed = KeySchedule.mixing(Self.key, into: keys, .sha256)
        for (before, after) in [
            (keys.derivation, mixed.derivation), (keys.authenticationLocal, mixed.authenticationLocal),
            (keys.authenticationRemote, mixed.authenticationRemote),
        ] as [(Secret?, Secret?)] {
            let expected = PRF.compute(.sha256, key: Self.key, [try #require(before), [1] as [UInt8]])
            #expect(after == expected)
        }
        #expect(mixed.encryptionOut == keys.encryptionOut && mixed.encryptionIn == keys.encryptionIn)
    }
}
