import Base
import Cryptography
import Testing

struct IKECipherTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        var source: String
        var encryption: EncryptionAlgorithm
        var key: String
        var iv: String
        var aad = ""
        var plaintext: String
        /// With the tag behind it.
        var ciphertext: String
        var testDescription: String { "\(source) \(encryption)" }
    }

    private static let nistPlaintext = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    private static let gcmPlaintext =
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    private static let gcmAAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
    private static let chachaKey = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"

    static let vectors = [
        Vector(
            source: "RFC 3602 §4 case 1", encryption: .aes128, key: "06a9214036b8a15b512e03d534120006",
            iv: "3dafba429d9eb430b422da802c9fac41", plaintext: "Single block msg".utf8.hexadecimal,
            ciphertext: "e353779c1079aeb82708942dbe77181a"),
        Vector(
            source: "RFC 3602 §4 case 2", encryption: .aes128, key: "c286696d887c9aa0611bbb3e2025a45a",
            iv: "562e17996d093d28ddb3ba695a2e6f58",
            plaintext: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            ciphertext: "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"),
        Vector(
            source: "NIST SP 800-38A F.2.3", encryption: .aes192,
            key: "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", iv: "000102030405060708090a0b0c0d0e0f",
            plaintext: nistPlaintext, ciphertext: "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"),
        Vector(
            source: "NIST SP 800-38A F.2.5", encryption: .aes256,
            key: "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            iv: "000102030405060708090a0b0c0d0e0f", plaintext: nistPlaintext,
            ciphertext: "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"),
        // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: the nonce is cafebabefacedbaddecaf888.
        Vector(
            source: "GCM test case 4", encryption: .aes128gcm16, key: "feffe9928665731c6d6a8f9467308308cafebabe",
            iv: "facedbaddecaf888", aad: gcmAAD, plaintext: gcmPlaintext,
            ciphertext: "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                + "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"),
        Vector(
            source: "GCM test case 10", encryption: .aes192gcm16,
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe", iv: "facedbaddecaf888", aad: gcmAAD,
            plaintext: gcmPlaintext,
            ciphertext: "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
                + "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda27102519498e80f1478f37ba55bd6d27618c"),
        Vector(
            source: "GCM test case 16", encryption: .aes256gcm16,
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308cafebabe", iv: "facedbaddecaf888",
            aad: gcmAAD, plaintext: gcmPlaintext,
            ciphertext: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"),
        Vector(
            source: "RFC 8439 §2.8.2", encryption: .chacha20poly1305, key: chachaKey + "07000000",
            iv: "4041424344454647", aad: "50515253c0c1c2c3c4c5c6c7",
            plaintext: ("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                + "sunscreen would be it.").utf8.hexadecimal,
            ciphertext: "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                + "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                + "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                + "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"),
        Vector(
            source: "RFC 7634 appendix B", encryption: .chacha20poly1305, key: chachaKey + "a0a1a2a3",
            iv: "1011121314151617", aad: "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
            plaintext: "0000000c000040010000000a00",
            ciphertext: "610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2"),
    ]

    @Test("The ciphers give what is published, both ways", arguments: vectors)
    func published(_ vector: Vector) throws {
        let key = Secret(try bytes(vector.key))
        let iv = try bytes(vector.iv)
        let aad = try bytes(vector.aad)
        let sealed = try IKECipher.seal(
            vector.encryption, key: key, iv: iv, aad: aad, plaintext: try bytes(vector.plaintext))
        #expect(sealed.hexadecimal == vector.ciphertext)
        let opened = try IKECipher.open(vector.encryption, key: key, iv: iv, aad: aad[...], ciphertext: sealed[...])
        #expect(opened.hexadecimal == vector.plaintext)
    }

    @Test(
        "An AEAD cipher refuses a change of any bit of ciphertext, tag, IV, additional data and key",
        arguments: EncryptionAlgorithm.allCases.filter(\.isAEAD))
    func tampering(_ encryption: EncryptionAlgorithm) throws {
        var random = SeededRandom(seed: [1])
        let key = random.bytes(encryption.keyLength + encryption.saltLength)
        let iv = random.bytes(encryption.ivLength)
        let aad = random.bytes(20)
        let sealed = try IKECipher.seal(
            encryption, key: Secret(key), iv: iv, aad: aad, plaintext: Array("IDi, AUTH".utf8))
        for (index, input) in [sealed, iv, aad, key].enumerated() {
            for bit in 0..<input.count * 8 {
                var parts = [sealed, iv, aad, key]
                parts[index][bit / 8] ^= 1 << (bit % 8)
                #expect(throws: CryptographyError.authenticationFailed) {
                    try IKECipher.open(
                        encryption, key: Secret(parts[3]), iv: parts[1], aad: parts[2], ciphertext: parts[0])
                }
            }
        }
        for length in 0..<sealed.count {
            #expect(throws: CryptographyError.authenticationFailed) {
                try IKECipher.open(
                    encryption, key: Secret(key), iv: iv, aad: aad, ciphertext: sealed.prefix(length))
            }
        }
    }

    @Test("Empty plaintext and additional data are sealed like any other", arguments: EncryptionAlgorithm.allCases)
    func empty(_ encryption: EncryptionAlgorithm) throws {
        var random = SeededRandom(seed: [2])
        let key = random.secret(encryption.keyLength + encryption.saltLength)
        let iv = random.bytes(encryption.ivLength)
        let none = [UInt8]()
        let sealed = try IKECipher.seal(encryption, key: key, iv: iv, aad: none, plaintext: none)
        #expect(sealed.count == encryption.tagLength)
        #expect(try IKECipher.open(encryption, key: key, iv: iv, aad: none, ciphertext: sealed) == none)
    }

    @Test("Keys, IVs and CBC inputs of a wrong length are refused by name", arguments: EncryptionAlgorithm.allCases)
    func lengths(_ encryption: EncryptionAlgorithm) throws {
        let keyLength = encryption.keyLength + encryption.saltLength
        let key = Secret([UInt8](repeating: 1, count: keyLength))
        let iv = [UInt8](repeating: 1, count: encryption.ivLength)
        let block = [UInt8](repeating: 1, count: 16)
        #expect(
            throws: CryptographyError.wrongLength(
                what: "\(encryption.rawValue) key", expected: keyLength, given: keyLength - 1)
        ) {
            try IKECipher.seal(
                encryption, key: Secret([UInt8](repeating: 1, count: keyLength - 1)), iv: iv, aad: block,
                plaintext: block)
        }
        #expect(
            throws: CryptographyError.wrongLength(
                what: "\(encryption.rawValue) IV", expected: iv.count, given: iv.count + 1)
        ) {
            try IKECipher.open(encryption, key: key, iv: iv + [0], aad: block, ciphertext: block)
        }
        if !encryption.isAEAD {
            #expect(throws: CryptographyError.partialBlock(given: 15)) {
                try IKECipher.seal(encryption, key: key, iv: iv, aad: block, plaintext: block.dropLast())
            }
            #expect(throws: CryptographyError.partialBlock(given: 17)) {
                try IKECipher.open(encryption, key: key, iv: iv, aad: block, ciphertext: block + [0])
            }
        }
    }
}
