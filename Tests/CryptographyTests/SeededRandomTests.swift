import Base
@testable import Cryptography
import Testing

struct SeededRandomTests {
    /// NIST CAVP, HMAC_DRBG without reseeding, SHA-256, no prediction resistance, first case: the second output.
    @Test("The generator is NIST's HMAC_DRBG")
    func published() throws {
        let generator = HMACDRBG(
            seed: try bytes(
                "ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488659ba96c601dc69fc902940805ec0ca8"))
        var output = [UInt8](repeating: 0, count: 128)
        for _ in 0..<2 { output.withUnsafeMutableBytes { generator.generate(into: $0) } }
        #expect(
            output.hexadecimal
                == "e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89"
                + "d54fbb978a15b5c443c9ec21036d2460b6f73ebad0dc2aba6e624abf07745bc1"
                + "07694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668"
                + "961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8")
    }

    /// Computed with Python's `hmac`: the generator's first 256 bytes, then its next 256.
    @Test("Draws of any size run through one stream, 256 bytes a step")
    func stream() {
        var random = SeededRandom(seed: (0..<32).map { UInt8($0) })
        var output = random.bytes(1) + random.secret(31).exposedBytes
        for _ in 0..<8 {
            let number = random.nextUInt32()
            output += (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
        }
        output += random.bytes(0) + random.bytes(236)
        #expect(
            Hash.digest(.sha256, [output]).hexadecimal
                == "38794636026139cc94ccff1e5ed8aea02a54e1ec267235290623ada72928f59a")
        output += random.bytes(212)
        #expect(
            Hash.digest(.sha256, [output]).hexadecimal
                == "3520c3169b3b35d2e1fdfc32066c5c574b075ecc787caa0264431aba5485ea5b")
    }

    @Test("The same seed gives the same bytes, another one others, and a copy goes its own way")
    func replay() {
        var one = SeededRandom(seed: [UInt8](repeating: 1, count: 32))
        var two = SeededRandom(seed: [UInt8](repeating: 1, count: 32))
        var other = SeededRandom(seed: [UInt8](repeating: 2, count: 32))
        #expect(one.bytes(1000) == two.bytes(1000))
        #expect(one.bytes(32) != other.bytes(32))
        var copy = one
        let ahead = copy.bytes(700)
        #expect(one.bytes(700) == ahead)
    }

    @Test("Uniform numbers stay below the bound and reach every value")
    func uniform() {
        var random = SeededRandom(seed: [7])
        var seen: [Int] = [0, 0, 0, 0, 0, 0, 0]
        for _ in 0..<7000 { seen[Int(random.uniform(below: 7))] += 1 }
        // 1000 each is expected; a fair generator is out by 150 once in a million runs, and this seed is fixed.
        #expect(seen.allSatisfy { (850...1150).contains($0) })
        #expect(random.uniform(below: 1) == 0)
        #expect(random.uniform(below: 0) == 0)
        for _ in 0..<100 { #expect(random.uniform(below: UInt64.max) < UInt64.max) }
        for _ in 0..<100 { #expect(random.uniform(below: 1 << 63 + 1) <= 1 << 63) }
    }

    @Test("Neither the generator nor its state prints")
    func hidden() {
        let random = SeededRandom(seed: Array("the seed".utf8))
        var dumped = ""
        dump(random, to: &dumped)
        #expect("\(random)" == "(hidden)")
        #expect(String(reflecting: random) == "(hidden)")
        #expect(!dumped.contains("State"))
    }
}
