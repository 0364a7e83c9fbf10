internal import COpenSSL

/// The random bytes of an engine: HMAC_DRBG with SHA-256 (NIST SP 800-90A Rev. 1 §10.1.2), which needs nothing but a
/// seed. The same seed gives the same bytes, so that a simulation replays exactly.
///
/// What was handed out cannot be computed from what the generator holds afterwards: each refill moves the key
/// forward, and bytes leave the pool wiped. A copy goes on with the same bytes as the original, so take it only to
/// replay. It is not Codable: a generator that resumes from a snapshot repeats itself.
public struct SeededRandom: Sendable {
    private var state: State

    /// Seeds with 32 bytes of the system's randomness; a shorter seed works, and is as weak as it is short.
    public init(seed: [UInt8]) {
        state = State(HMACDRBG(seed: seed))
    }

    /// The next `count` bytes.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableRawBufferPointer(buffer))
            initialized = count
        }
    }

    /// The next `count` bytes, as key material.
    public mutating func secret(_ count: Int) -> Secret {
        Secret(count: count) { fill($0) }
    }

    public mutating func nextUInt32() -> UInt32 {
        var value: UInt32 = 0
        withUnsafeMutableBytes(of: &value) { fill($0) }
        return UInt32(bigEndian: value)
    }

    public mutating func nextUInt64() -> UInt64 {
        var value: UInt64 = 0
        withUnsafeMutableBytes(of: &value) { fill($0) }
        return UInt64(bigEndian: value)
    }

    /// A number from 0 to `bound - 1`, all equally likely; 0 when `bound` is 0.
    public mutating func uniform(below bound: UInt64) -> UInt64 {
        guard bound > 1 else { return 0 }
        // Numbers past the last whole multiple of `bound` would make small results likelier, so they are drawn anew.
        let excess = (UInt64.max % bound + 1) % bound
        while true {
            let value = nextUInt64()
            if value <= UInt64.max - excess { return value % bound }
        }
    }

    /// Fills `output` with the next bytes.
    mutating func fill(_ output: UnsafeMutableRawBufferPointer) {
        if !isKnownUniquelyReferenced(&state) { state = State(copying: state) }
        state.fill(output)
    }
}

extension SeededRandom: RandomNumberGenerator {
    public mutating func next() -> UInt64 { nextUInt64() }
}

extension SeededRandom: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "(hidden)" }
    public var debugDescription: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Bytes drawn ahead: one step of the generator costs as much as 200 bytes of output.
// Proof of Sendable: reached only through `SeededRandom`, which changes it only while it holds the one reference and
// makes a copy of its own otherwise; shared instances are therefore never written.
private final class State: @unchecked Sendable {
    private static let poolLength = 256

    private var generator: HMACDRBG
    private let pool: UnsafeMutableRawBufferPointer
    private var used: Int

    init(_ generator: HMACDRBG) {
        self.generator = generator
        pool = .allocate(byteCount: Self.poolLength, alignment: 8)
        pool.initializeMemory(as: UInt8.self, repeating: 0)
        used = Self.poolLength
    }

    init(copying other: State) {
        generator = other.generator.copy()
        pool = .allocate(byteCount: Self.poolLength, alignment: 8)
        pool.copyMemory(from: UnsafeRawBufferPointer(other.pool))
        used = other.used
    }

    deinit {
        OPENSSL_cleanse(pool.baseAddress, pool.count)
        pool.deallocate()
    }

    func fill(_ output: UnsafeMutableRawBufferPointer) {
        var done = 0
        while done < output.count {
            if used == pool.count {
                generator.generate(into: pool)
                used = 0
            }
            let taken = min(pool.count - used, output.count - done)
            let source = UnsafeMutableRawBufferPointer(rebasing: pool[used..<used + taken])
            UnsafeMutableRawBufferPointer(rebasing: output[done..<done + taken])
                .copyMemory(from: UnsafeRawBufferPointer(source))
            OPENSSL_cleanse(source.baseAddress, taken)
            used += taken
            done += taken
        }
    }
}

/// HMAC_DRBG with SHA-256 as NIST SP 800-90A Rev. 1 §10.1.2 has it, without reseeding and additional input.
final class HMACDRBG {
    private static let length = HashAlgorithm.sha256.digestLength

    /// Key, then V.
    private let memory: UnsafeMutableRawBufferPointer

    /// Instantiates: the seed is the entropy input, the nonce and the personalisation string, one behind the other.
    init(seed: [UInt8]) {
        memory = .allocate(byteCount: 2 * Self.length, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        for index in Self.length..<2 * Self.length { memory[index] = 1 }
        seed.withUnsafeBytes { update($0) }
    }

    private init(memory other: UnsafeRawBufferPointer) {
        memory = .allocate(byteCount: 2 * Self.length, alignment: 8)
        memory.copyMemory(from: other)
    }

    deinit {
        OPENSSL_cleanse(memory.baseAddress, memory.count)
        memory.deallocate()
    }

    func copy() -> HMACDRBG { HMACDRBG(memory: UnsafeRawBufferPointer(memory)) }

    func generate(into output: UnsafeMutableRawBufferPointer) {
        var done = 0
        HMAC.withKey(.sha256, key) { hmac in
            while done < output.count {
                stepV(hmac)
                let taken = min(Self.length, output.count - done)
                UnsafeMutableRawBufferPointer(rebasing: output[done..<done + taken])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: v[0..<taken]))
                done += taken
            }
        }
        update(UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[0..<Self.length])
    }

    private var v: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[Self.length...])
    }

    private func stepV(_ hmac: HMAC) {
        hmac.start()
        hmac.update(v)
        if let start = memory.baseAddress { hmac.finish(into: start + Self.length) }
    }

    private func update(_ provided: UnsafeRawBufferPointer) {
        for round: UInt8 in provided.isEmpty ? 0...0 : 0...1 {
            HMAC.withKey(.sha256, key) { hmac in
                hmac.start()
                hmac.update(v)
                hmac.update(round)
                hmac.update(provided)
                if let start = memory.baseAddress { hmac.finish(into: start) }
            }
            HMAC.withKey(.sha256, key) { stepV($0) }
        }
    }
}
