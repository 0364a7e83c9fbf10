import Base
import Cryptography
import Testing

func bytes(_ hexadecimal: String) throws -> [UInt8] { try #require([UInt8](hexadecimal: hexadecimal)) }

struct HashTests {
    /// FIPS 180-4, NIST's examples for the message "abc".
    @Test("Digests of abc are those of FIPS 180-4", arguments: [
        (HashAlgorithm.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (.sha384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
        (
            .sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ])
    func published(_ algorithm: HashAlgorithm, _ expected: String) {
        #expect(Hash.digest(algorithm, [Array("abc".utf8)]).hexadecimal == expected)
    }

    @Test("Parts of any kind are hashed one behind the other", arguments: HashAlgorithm.allCases)
    func parts(_ algorithm: HashAlgorithm) {
        let text = Array("a message in four parts".utf8)
        let whole = Hash.digest(algorithm, [text])
        let split = text.withUnsafeBytes { raw in
            Hash.digest(
                algorithm,
                [
                    Array(text[0..<3]), text[3..<7], UnsafeRawBufferPointer(rebasing: raw[7..<11]), [UInt8](),
                    Secret(text[11...]),
                ])
        }
        #expect(split == whole)
        #expect(Hash.digest(algorithm, []) == Hash.digest(algorithm, [[UInt8]()]))
    }
}

struct PRFTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        var source: String
        var prf: PRFAlgorithm
        var key: String
        var data: String
        var expected: String
        var testDescription: String { "\(source) \(prf)" }
    }

    private static func ascii(_ text: String) -> String { text.utf8.hexadecimal }
    private static func repeated(_ byte: String, _ count: Int) -> String { String(repeating: byte, count: count) }
    private static let counting = (1...25).map(UInt8.init).hexadecimal
    private static let longKey = ascii("Test Using Larger Than Block-Size Key - Hash Key First")
    private static let longBoth = ascii(
        "This is a test using a larger than block-size key and a larger than block-size data. "
            + "The key needs to be hashed before being used by the HMAC algorithm.")

    static let vectors = [
        Vector(
            source: "RFC 2202 §3 case 1", prf: .sha1, key: repeated("0b", 20), data: ascii("Hi There"),
            expected: "b617318655057264e28bc0b6fb378c8ef146be00"),
        Vector(
            source: "RFC 2202 §3 case 2", prf: .sha1, key: ascii("Jefe"), data: ascii("what do ya want for nothing?"),
            expected: "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        Vector(
            source: "RFC 2202 §3 case 3", prf: .sha1, key: repeated("aa", 20), data: repeated("dd", 50),
            expected: "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        Vector(
            source: "RFC 2202 §3 case 4", prf: .sha1, key: counting, data: repeated("cd", 50),
            expected: "4c9007f4026250c6bc8414f9bf50c86c2d7235da"),
        Vector(
            source: "RFC 2202 §3 case 6", prf: .sha1, key: repeated("aa", 80), data: longKey,
            expected: "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
        Vector(
            source: "RFC 4231 §4.2", prf: .sha256, key: repeated("0b", 20), data: ascii("Hi There"),
            expected: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        Vector(
            source: "RFC 4231 §4.2", prf: .sha384, key: repeated("0b", 20), data: ascii("Hi There"),
            expected: "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
                + "faea9ea9076ede7f4af152e8b2fa9cb6"),
        Vector(
            source: "RFC 4231 §4.2", prf: .sha512, key: repeated("0b", 20), data: ascii("Hi There"),
            expected: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"),
        Vector(
            source: "RFC 4231 §4.3", prf: .sha256, key: ascii("Jefe"), data: ascii("what do ya want for nothing?"),
            expected: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        Vector(
            source: "RFC 4231 §4.3", prf: .sha384, key: ascii("Jefe"), data: ascii("what do ya want for nothing?"),
            expected: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                + "8e2240ca5e69e2c78b3239ecfab21649"),
        Vector(
            source: "RFC 4231 §4.3", prf: .sha512, key: ascii("Jefe"), data: ascii("what do ya want for nothing?"),
            expected: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
        Vector(
            source: "RFC 4231 §4.4", prf: .sha256, key: repeated("aa", 20), data: repeated("dd", 50),
            expected: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        Vector(
            source: "RFC 4231 §4.5", prf: .sha512, key: counting, data: repeated("cd", 50),
            expected: "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
                + "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"),
        Vector(
            source: "RFC 4231 §4.7", prf: .sha256, key: repeated("aa", 131), data: longKey,
            expected: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        Vector(
            source: "RFC 4231 §4.7", prf: .sha384, key: repeated("aa", 131), data: longKey,
            expected: "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
                + "0c2ef6ab4030fe8296248df163f44952"),
        Vector(
            source: "RFC 4231 §4.7", prf: .sha512, key: repeated("aa", 131), data: longKey,
            expected: "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
                + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"),
        Vector(
            source: "RFC 4231 §4.8", prf: .sha256, key: repeated("aa", 131), data: longBoth,
            expected: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
        Vector(
            source: "RFC 4231 §4.8", prf: .sha384, key: repeated("aa", 131), data: longBoth,
            expected: "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
                + "a678cc31e799176d3860e6110c46523e"),
        Vector(
            source: "RFC 4231 §4.8", prf: .sha512, key: repeated("aa", 131), data: longBoth,
            expected: "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
                + "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"),
    ]

    @Test("The PRFs are HMAC as published", arguments: vectors)
    func published(_ vector: Vector) throws {
        let key = Secret(try bytes(vector.key))
        let data = try bytes(vector.data)
        #expect(PRF.compute(vector.prf, key: key, [data]).exposedBytes.hexadecimal == vector.expected)
        #expect(
            PRF.compute(vector.prf, key: key, [data.prefix(3), data.dropFirst(3)]).exposedBytes.hexadecimal
                == vector.expected)
    }

    /// The expected values come from Python's `hmac`, by the formula of RFC 7296 §2.13.
    @Test("prf+ joins blocks as RFC 7296 §2.13 says", arguments: [
        (PRFAlgorithm.sha1, 20, 250, "bef59f705882adcaa2d0877d9faa3b94b9d01eab66c8f87db93933c6efaac6e5"),
        (
            .sha256, 32, 100,
            "b7c5cf23b61c63eba67afb25a1fa5136fa8389aaf228ec391ca144c32ad5f478b670e5fdfe87db992a451c08441bf555"
                + "684f1a6f89aefb24362528138df6fe33ac9557fcee0b48215cae52e8088bcadf160381e482a30085d0e56a3187e98697"
                + "89df72e7"
        ),
        (
            .sha384, 32, 96,
            "6d5f2e390fa02c4066f7c308ce88375749dad3ef67c09c0fd97c2db05a4bc1f7b17db8fb2de9ab7cfc14853a2432ade9"
                + "df2906420ee4a11b7d444fd409d3b4f1004b7be578abb1ad58fc62777d70be546b6681e2038e33df1e64f6029efdfcd4"
        ),
        (.sha512, 32, 200, "40c12f8c2d1144efd0dfd490ba74dc0a66ba5a6a7ec738ee83d7add74f567091"),
    ])
    func expansion(_ prf: PRFAlgorithm, _ keyLength: Int, _ count: Int, _ expected: String) {
        let key = Secret((0..<keyLength).map { UInt8($0) })
        let seed: [any ByteSource] = [Array("Ni and Nr".utf8), Secret(Array(" and SPIs".utf8))]
        let output = PRF.expand(prf, key: key, seed: seed, count: count).exposedBytes
        #expect(output.count == count)
        // The long ones are compared by their SHA-256.
        #expect((count > 100 ? Hash.digest(.sha256, [output]) : output).hexadecimal == expected)
        #expect(PRF.expand(prf, key: key, seed: seed, count: 7).exposedBytes == Array(output.prefix(7)))
        #expect(PRF.expand(prf, key: key, seed: seed, count: 0).count == 0)
        #expect(PRF.expand(prf, key: key, seed: seed, count: PRF.maximumExpansion(prf)).count == 255 * prf.outputLength)
    }
}

struct IntegrityTests {
    @Test("A tag is the head of the HMAC", arguments: IntegrityAlgorithm.allCases)
    func truncation(_ algorithm: IntegrityAlgorithm) throws {
        let key = Secret([UInt8](repeating: 0x0b, count: 20))
        let prf = try #require(PRFAlgorithm(rawValue: algorithm.rawValue))
        let tag = algorithm.tag(key: key, [Array("Hi ".utf8), Array("There".utf8)])
        #expect(tag.count == algorithm.tagLength)
        #expect(tag == Array(PRF.compute(prf, key: key, [Array("Hi There".utf8)]).exposedBytes.prefix(tag.count)))
    }

    @Test("Verification refuses every changed bit, length and key", arguments: IntegrityAlgorithm.allCases)
    func verification(_ algorithm: IntegrityAlgorithm) {
        let key = Secret((0..<algorithm.keyLength).map { UInt8($0) })
        let message = Array("a message".utf8)
        let tag = algorithm.tag(key: key, [message])
        #expect(algorithm.verify(tag, key: key, [message]))
        for bit in 0..<tag.count * 8 {
            var changed = tag
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(!algorithm.verify(changed, key: key, [message]))
        }
        #expect(!algorithm.verify(tag.dropLast(), key: key, [message]))
        #expect(!algorithm.verify(tag + [0], key: key, [message]))
        #expect(!algorithm.verify([UInt8](), key: key, [message]))
        #expect(!algorithm.verify(tag, key: Secret([1]), [message]))
        #expect(!algorithm.verify(tag, key: key, [message + [0]]))
    }
}
