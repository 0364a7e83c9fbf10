internal import Base
internal import COpenSSL

/// Key material: bytes that wipe themselves, compare in constant time and never print.
///
/// Encoding writes `"(hidden)"` unless the encoder's `userInfo` says ``revealSecrets``, so a secret
/// that slips into a status answer or a log hides itself.
public final class Secret: Sendable {
    // Proof of Sendable: the memory is written only in `init` and `deinit`.
    private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer

    /// Set to `true` in an encoder's `userInfo` only where the output is sealed or was asked for by name.
    public static let revealSecrets = CodingUserInfoKey(rawValue: "gatehouse.revealSecrets")!

    /// Fills `count` bytes by `body`.
    public init(count: Int, initializing body: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        memory = .allocate(byteCount: max(count, 1), alignment: 8)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[0..<count])
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        self.count = count
        try body(bytes)
    }

    public convenience init(_ bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    deinit {
        OPENSSL_cleanse(memory.baseAddress, memory.count)
        memory.deallocate()
    }

    /// Bytes of key material.
    public let count: Int

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[0..<count]))
    }

    /// The bytes in an ordinary array, which no one wipes: only for tests, sealing and `--show-secrets`.
    public var exposedBytes: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension Secret: Hashable {
    /// Constant time in the contents; the lengths are not hidden.
    public static func == (a: Secret, b: Secret) -> Bool {
        a.count == b.count && a.withUnsafeBytes { x in b.withUnsafeBytes { y in
            CRYPTO_memcmp(x.baseAddress, y.baseAddress, a.count) == 0
        } }
    }

    /// Hashes the length alone: equal secrets hash equally and the value says nothing of the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(count) }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "(hidden)" }
    public var debugDescription: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret: Codable {
    /// Writes `"(hidden)"`, unless the encoder says ``revealSecrets``; a ``Vault`` gets the secret itself.
    public func encode(to encoder: any Encoder) throws {
        (encoder.userInfo[Self.vault] as? Vault)?.put(self, at: encoder.codingPath)
        var container = encoder.singleValueContainer()
        let isRevealed = encoder.userInfo[Self.revealSecrets] as? Bool == true
        try container.encode(isRevealed ? exposedBytes.hexadecimal : "(hidden)")
    }

    /// Reads hexadecimal, or takes a hidden secret from the decoder's ``Vault``.
    public convenience init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        if text == "(hidden)", let kept = (decoder.userInfo[Self.vault] as? Vault)?.secret(at: decoder.codingPath) {
            self.init(count: kept.count) { bytes in kept.withUnsafeBytes { bytes.copyMemory(from: $0) } }
            return
        }
        guard let bytes = [UInt8](hexadecimal: text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a secret that is hidden or not hexadecimal"))
        }
        self.init(bytes)
    }
}
