import Base
import Cryptography
import Testing

struct SealingKeyTests {
    let nonce = (0..<12).map { UInt8($0) }

    func key(_ byte: UInt8) throws -> SealingKey { try SealingKey(Secret([UInt8](repeating: byte, count: 32))) }

    @Test("What is sealed opens again, and does not show in the blob", arguments: [0, 1, 31, 4096])
    func roundTrip(_ count: Int) throws {
        var random = SeededRandom(seed: [1])
        let secret = random.secret(count)
        let sealed = try key(1).seal(secret, context: "connector/a/psk", nonce: nonce)
        #expect(sealed.count == 1 + 12 + count + 16)
        #expect(Array(sealed.prefix(13)) == [1] + nonce)
        #expect(try key(1).open(sealed, context: "connector/a/psk") == secret)
        if count > 16 { #expect(!sealed.hexadecimal.contains(secret.exposedBytes.prefix(8).hexadecimal)) }
    }

    /// Computed with Python's `cryptography`: AES-256-GCM, key 32 times 01, nonce 00 to 0b, additional data 01 and the
    /// context.
    @Test("The form is version, nonce, ciphertext and tag of AES-256-GCM over version and context")
    func form() throws {
        let sealed = try key(1).seal(Secret(Array("a pre-shared key".utf8)), context: "vpn-1-1/psk", nonce: nonce)
        #expect(
            sealed.hexadecimal
                == "01000102030405060708090a0bda86e55445d375119f1882a00002addac1"
                + "f8644f1fc7dc577fbd4d72aee80188")
    }

    @Test("Every changed bit, another context and another key are refused")
    func tampering() throws {
        let sealed = try key(1).seal(Secret(Array("psk".utf8)), context: "here", nonce: nonce)
        for bit in 8..<sealed.count * 8 {
            var changed = sealed
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: CryptographyError.authenticationFailed) { try key(1).open(changed, context: "here") }
        }
        #expect(throws: CryptographyError.authenticationFailed) { try key(1).open(sealed, context: "there") }
        #expect(throws: CryptographyError.authenticationFailed) { try key(2).open(sealed, context: "here") }
    }

    @Test("A short blob, an unknown version and wrong lengths are told apart")
    func lengths() throws {
        let sealed = try key(1).seal(Secret([UInt8]()), context: "", nonce: nonce)
        for length in 0..<sealed.count {
            #expect(throws: CryptographyError.sealTooShort(length)) {
                try key(1).open(Array(sealed.prefix(length)), context: "")
            }
        }
        #expect(throws: CryptographyError.unknownSealVersion(2)) {
            try key(1).open([2] + sealed.dropFirst(), context: "")
        }
        #expect(throws: CryptographyError.wrongLength(what: "sealing key", expected: 32, given: 16)) {
            try SealingKey(Secret([UInt8](repeating: 0, count: 16)))
        }
        #expect(throws: CryptographyError.wrongLength(what: "sealing nonce", expected: 12, given: 8)) {
            try key(1).seal(Secret([1]), context: "", nonce: Array(nonce.prefix(8)))
        }
    }

    @Test("A sealing key does not print")
    func hidden() throws {
        var dumped = ""
        dump(try key(0x41), to: &dumped)
        #expect("\(try key(0x41))" == "(hidden)")
        #expect(!dumped.contains("AAAA") && !dumped.contains("4141") && !dumped.contains("65"))
    }
}

struct SecretTests {
    @Test("Secrets compare by their bytes, hash by their length and encode hidden")
    func value() {
        #expect(Secret([1, 2, 3]) == Secret([1, 2, 3]))
        #expect(Secret([1, 2, 3]) != Secret([1, 2, 4]))
        #expect(Secret([1, 2, 3]) != Secret([1, 2]))
        #expect(Secret([UInt8]()) == Secret([UInt8]()))
        #expect(Secret([1, 2, 3]).hashValue == Secret([4, 5, 6]).hashValue)
        #expect("\(Secret(Array("swordfish".utf8)))" == "(hidden)")
        #expect(String(reflecting: Secret(Array("swordfish".utf8))) == "(hidden)")
    }
}

struct CryptographyErrorTests {
    @Test("Errors are sentences for a person", arguments: [
        (CryptographyError.authenticationFailed, "the data was changed on its way, or was made with another key"),
        (.wrongLength(what: "IV", expected: 8, given: 9), "the IV has 9 bytes instead of 8"),
        (
            .invalidPublicValue(.modp2048, .outOfRange),
            "the peer's public value for modp2048 is refused: it is not between 1 and p-1"
        ),
        (.sealTooShort(3), "the sealed secret is cut short: only 3 bytes are left"),
    ])
    func descriptions(_ error: CryptographyError, _ expected: String) {
        #expect("\(error)" == expected)
    }
}
