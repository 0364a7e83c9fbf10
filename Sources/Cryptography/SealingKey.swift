/// Seals secrets for storage: AES-256-GCM under the machine's key.
///
/// A sealed secret is a version byte, 12 bytes of nonce, the ciphertext and 16 bytes of tag. The tag covers version
/// and context as well, so a blob that is moved to another place in the store does not open there.
public struct SealingKey: Sendable {
    /// Bytes of key.
    public static let keyLength = 32
    /// Bytes of nonce; a random one for each seal is safe for four thousand million seals (NIST SP 800-38D §8.3).
    public static let nonceLength = 12

    private static let version: UInt8 = 1
    private static let tagLength = 16

    private let key: Secret

    /// Throws unless the key has 32 bytes.
    public init(_ key: Secret) throws(CryptographyError) {
        guard key.count == Self.keyLength else {
            throw .wrongLength(what: "sealing key", expected: Self.keyLength, given: key.count)
        }
        self.key = key
    }

    /// A secret for another use, always the same for the same key and `purpose`; it tells nothing of the key.
    public func secret(for purpose: String) -> Secret {
        Secret(IntegrityAlgorithm.sha512.tag(key: key, [Array("Gatehouse \(purpose)".utf8)]))
    }

    /// Seals `secret` for the place that `context` names. The nonce is 12 fresh random bytes.
    public func seal(_ secret: Secret, context: String, nonce: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard nonce.count == Self.nonceLength else {
            throw .wrongLength(what: "sealing nonce", expected: Self.nonceLength, given: nonce.count)
        }
        let run = try start(nonce[...], isSealing: true)
        try authenticate(run, context)
        var output = [UInt8](repeating: 0, count: secret.count + Self.tagLength)
        try output.withUnsafeMutableBufferPointer { (buffer) throws(CryptographyError) in
            let output = UnsafeMutableRawBufferPointer(buffer)
            try secret.withUnsafeBytes { (plaintext) throws(CryptographyError) in
                try run.process(plaintext, into: output)
            }
            if let start = output.baseAddress { try run.finish(writingTag: start + secret.count) }
        }
        return [Self.version] + nonce + output
    }

    /// Opens what ``seal(_:context:nonce:)`` made for the same context.
    ///
    /// Throws ``CryptographyError/authenticationFailed`` for another key, another context or a changed blob.
    public func open(_ sealed: [UInt8], context: String) throws(CryptographyError) -> Secret {
        guard let version = sealed.first else { throw .sealTooShort(0) }
        guard version == Self.version else { throw .unknownSealVersion(version) }
        let body = 1 + Self.nonceLength
        guard sealed.count >= body + Self.tagLength else { throw .sealTooShort(sealed.count) }
        let length = sealed.count - body - Self.tagLength
        let run = try start(sealed[1..<body], isSealing: false)
        try authenticate(run, context)
        var failure: CryptographyError?
        let secret = Secret(count: length) { output in
            do throws(CryptographyError) {
                try sealed.withBytes { (sealed) throws(CryptographyError) in
                    try run.process(UnsafeRawBufferPointer(rebasing: sealed[body..<body + length]), into: output)
                    try run.finish(verifyingTag: UnsafeRawBufferPointer(rebasing: sealed[(body + length)...]))
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return secret
    }

    private func start(_ nonce: ArraySlice<UInt8>, isSealing: Bool) throws(CryptographyError) -> CipherRun {
        let nonce = CipherRun.Nonce(salt: UnsafeRawBufferPointer(start: nil, count: 0), iv: nonce)
        return try CipherRun(.aes256gcm16, key: key, nonce: nonce, isSealing: isSealing)
    }

    private func authenticate(_ run: borrowing CipherRun, _ context: String) throws(CryptographyError) {
        try ([Self.version] + Array(context.utf8)).withBytes { (aad) throws(CryptographyError) in
            try run.authenticate(aad)
        }
    }
}

extension SealingKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "(hidden)" }
    public var debugDescription: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
