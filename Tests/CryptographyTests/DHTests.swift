import Base
import COpenSSL
@testable import Cryptography
import FoundationEssentials
import Testing

struct DHVector: CustomTestStringConvertible, Sendable {
    var group: DHGroup
    var source: String
    var privateA: String
    var publicA: String
    var privateB: String
    var publicB: String
    var shared: String
    var testDescription: String { "\(group.name), \(source)" }
}

struct DHTests {
    @Test("Published agreements come out, from both sides", arguments: DHVector.published + DHVector.padded)
    func published(_ vector: DHVector) throws {
        let a = try DHKeyPair(vector.group, privateKey: Secret(bytes(vector.privateA)))
        let b = try DHKeyPair(vector.group, privateKey: Secret(bytes(vector.privateB)))
        #expect(a.publicValue.hexadecimal == vector.publicA)
        #expect(b.publicValue.hexadecimal == vector.publicB)
        #expect(try a.sharedSecret(peer: b.publicValue).exposedBytes.hexadecimal == vector.shared)
        #expect(try b.sharedSecret(peer: a.publicValue[...]).exposedBytes.hexadecimal == vector.shared)
    }

    /// The primes behind these vectors come from the RFCs' formula over pi, not from a table.
    @Test("The safe primes agree with their formula", arguments: DHVector.computed)
    func computed(_ vector: DHVector) throws {
        let a = try DHKeyPair(vector.group, privateKey: Secret(bytes(vector.privateA)))
        let b = try DHKeyPair(vector.group, privateKey: Secret(bytes(vector.privateB)))
        #expect(Hash.digest(.sha256, [a.publicValue]).hexadecimal == vector.publicA)
        #expect(Hash.digest(.sha256, [b.publicValue]).hexadecimal == vector.publicB)
        let shared = try a.sharedSecret(peer: b.publicValue)
        #expect(Hash.digest(.sha256, [shared]).hexadecimal == vector.shared)
    }

    @Test("The vectors cover every group")
    func coverage() {
        #expect(Set((DHVector.published + DHVector.computed).map(\.group)) == Set(DHGroup.allCases))
    }

    @Test("Generated pairs agree, have the wire's length and replay from the seed", arguments: DHGroup.allCases)
    func agreement(_ group: DHGroup) throws {
        var random = SeededRandom(seed: [UInt8(group.rawValue)])
        var again = random
        let a = try DHKeyPair(group: group, random: &random)
        let b = try DHKeyPair(group: group, random: &random)
        #expect(a.publicValue.count == group.publicValueLength)
        #expect(a.publicValue != b.publicValue)
        let shared = try a.sharedSecret(peer: b.publicValue)
        #expect(try shared == b.sharedSecret(peer: a.publicValue))
        let isCurve = (19...21).contains(group.rawValue)
        #expect(shared.count == group.publicValueLength / (isCurve ? 2 : 1))
        #expect(try DHKeyPair(group: group, random: &again) == a)
        #expect(try DHKeyPair(group: group, random: &again).publicValue == b.publicValue)
    }

    @Test("Public values of another length are refused", arguments: DHGroup.allCases)
    func length(_ group: DHGroup) throws {
        var random = SeededRandom(seed: [3])
        let pair = try DHKeyPair(group: group, random: &random)
        let expected = group.publicValueLength
        for value in [[], pair.publicValue.dropLast(), [0] + pair.publicValue[...], pair.publicValue[...] + [0]] {
            #expect(
                throws: CryptographyError.invalidPublicValue(
                    group, .wrongLength(expected: expected, given: value.count))
            ) {
                try pair.sharedSecret(peer: value)
            }
        }
    }

    /// RFC 6989 §2.1 and §2.2.
    @Test(
        "Finite fields refuse 0, 1, p-1, p and more", arguments: DHGroup.allCases.filter { FiniteField.of($0) != nil })
    func range(_ group: DHGroup) throws {
        var random = SeededRandom(seed: [4])
        let pair = try DHKeyPair(group: group, random: &random)
        let p = try prime(of: group)
        func value(_ low: UInt8) -> [UInt8] { [UInt8](repeating: 0, count: p.count - 1) + [low] }
        // The primes are odd, and none ends in 01, so the last byte can lose one or two.
        let below = p.dropLast() + [try #require(p.last) - 1]
        let all = [UInt8](repeating: 0xff, count: p.count)
        for bad in [value(0), value(1), Array(below), p, all] {
            #expect(throws: CryptographyError.invalidPublicValue(group, .outOfRange)) {
                try pair.sharedSecret(peer: bad)
            }
        }
        // The neighbours 2 and p-2 are values like any other for a safe prime, and outside the subgroup for the rest.
        let neighbours = [value(2), p.dropLast() + [try #require(p.last) - 2]]
        for neighbour in neighbours {
            if (22...24).contains(group.rawValue) {
                #expect(throws: CryptographyError.invalidPublicValue(group, .notInSubgroup)) {
                    try pair.sharedSecret(peer: neighbour)
                }
            } else {
                #expect(try pair.sharedSecret(peer: neighbour).count == p.count)
            }
        }
    }

    /// RFC 6989 §2.3.
    @Test("Curves refuse points that are not theirs", arguments: [DHGroup.ecp256, .ecp384, .ecp521])
    func points(_ group: DHGroup) throws {
        var random = SeededRandom(seed: [5])
        let pair = try DHKeyPair(group: group, random: &random)
        let peer = try DHKeyPair(group: group, random: &random).publicValue
        let half = peer.count / 2
        var bad = [
            [UInt8](repeating: 0, count: peer.count), [UInt8](repeating: 0xff, count: peer.count),
            Array(peer[half...] + peer[..<half]),
        ]
        for bit in [0, 7, half * 8, peer.count * 8 - 1] {
            var changed = peer
            changed[bit / 8] ^= 0x80 >> (bit % 8)
            bad.append(changed)
        }
        for value in bad {
            #expect(throws: CryptographyError.invalidPublicValue(group, .notOnCurve)) {
                try pair.sharedSecret(peer: value)
            }
        }
    }

    /// The points whose order divides 8, from RFC 7748's curve equation; 0 and 1 are the ones that everyone tries.
    @Test("curve25519 refuses values of small order", arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ])
    func smallOrder(_ value: String) throws {
        var random = SeededRandom(seed: [6])
        let pair = try DHKeyPair(group: .curve25519, random: &random)
        #expect(throws: CryptographyError.invalidPublicValue(.curve25519, .smallOrder)) {
            try pair.sharedSecret(peer: try bytes(value))
        }
    }

    @Test(
        "A refused value leaves nothing on OpenSSL's error queue", arguments: [DHGroup.ecp256, .curve25519, .modp2048])
    func errorQueue(_ group: DHGroup) throws {
        var random = SeededRandom(seed: [8])
        let pair = try DHKeyPair(group: group, random: &random)
        let zeros = [UInt8](repeating: 0, count: group.publicValueLength)
        #expect(throws: CryptographyError.self) { try pair.sharedSecret(peer: zeros) }
        #expect(ERR_peek_error() == 0)
    }

    @Test(
        "A pair goes through a sealed snapshot, and hides its key from any other encoder", arguments: DHGroup.allCases)
    func snapshot(_ group: DHGroup) throws {
        var random = SeededRandom(seed: [9])
        let pair = try DHKeyPair(group: group, random: &random)
        let revealing = JSONEncoder()
        revealing.userInfo[Secret.revealSecrets] = true
        let copy = try JSONDecoder().decode(DHKeyPair.self, from: revealing.encode(pair))
        #expect(copy == pair)
        #expect(copy.publicValue == pair.publicValue)
        let hidden = String(decoding: try JSONEncoder().encode(pair), as: UTF8.self)
        #expect(hidden.contains("(hidden)"))
        #expect("\(pair)" == "\(group.name) key pair (hidden)")
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(DHKeyPair.self, from: Data(hidden.utf8)) }
    }

    @Test("Threads share groups, curves and ciphers", arguments: [DHGroup.modp1024, .modp1024s160, .ecp256, .curve25519])
    func threads(_ group: DHGroup) async throws {
        var random = SeededRandom(seed: [10])
        let ours = try DHKeyPair(group: group, random: &random)
        let theirs = try DHKeyPair(group: group, random: &random)
        let expected = try ours.sharedSecret(peer: theirs.publicValue)
        let iv = random.bytes(8)
        let key = random.secret(20)
        let sealed = try IKECipher.seal(.aes128gcm16, key: key, iv: iv, aad: iv, plaintext: iv)
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            for number in 0..<8 {
                tasks.addTask {
                    var isEqual = true
                    for _ in 0..<20 {
                        let pair = number % 2 == 0 ? ours : theirs
                        let peer = number % 2 == 0 ? theirs : ours
                        isEqual = try isEqual && pair.sharedSecret(peer: peer.publicValue) == expected
                        let again = try IKECipher.seal(.aes128gcm16, key: key, iv: iv, aad: iv, plaintext: iv)
                        isEqual = isEqual && again == sealed
                    }
                    return isEqual
                }
            }
            for try await isEqual in tasks { #expect(isEqual) }
        }
    }

    /// The prime by OpenSSL's tables or RFC 5114, which the vectors have confirmed.
    private func prime(of group: DHGroup) throws -> [UInt8] {
        let number = switch group {
        case .modp1024: BN_get_rfc2409_prime_1024(nil)
        case .modp1536: BN_get_rfc3526_prime_1536(nil)
        case .modp2048: BN_get_rfc3526_prime_2048(nil)
        case .modp3072: BN_get_rfc3526_prime_3072(nil)
        case .modp4096: BN_get_rfc3526_prime_4096(nil)
        case .modp6144: BN_get_rfc3526_prime_6144(nil)
        case .modp8192: BN_get_rfc3526_prime_8192(nil)
        case .modp1024s160: try BigNumber(hexadecimal: SubgroupNumbers.modp1024s160.p).release()
        case .modp2048s224: try BigNumber(hexadecimal: SubgroupNumbers.modp2048s224.p).release()
        default: try BigNumber(hexadecimal: SubgroupNumbers.modp2048s256.p).release()
        }
        defer { BN_free(number) }
        var bytes = [UInt8](repeating: 0, count: group.publicValueLength)
        #expect(BN_bn2binpad(number, &bytes, Int32(bytes.count)) == Int32(bytes.count))
        return bytes
    }
}
