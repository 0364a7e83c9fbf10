internal import COpenSSL

/// Why an operation on keys, ciphertexts or public values failed. Never holds key material.
public enum CryptographyError: Error, Hashable, Sendable {
    /// The ciphertext was changed, or was made with another key, IV or additional data.
    case authenticationFailed
    /// `what` names the input, such as `AES key` or `IV`; lengths in bytes.
    case wrongLength(what: String, expected: Int, given: Int)
    /// A CBC input of this many bytes is no whole number of 16-byte blocks.
    case partialBlock(given: Int)
    /// The peer's public value fails the tests of RFC 6989 §2.
    case invalidPublicValue(DHGroup, PublicValueFault)
    /// A sealed secret of a version that this release does not know.
    case unknownSealVersion(UInt8)
    /// A sealed secret that was cut short; the count is in bytes.
    case sealTooShort(Int)
    /// OpenSSL refused an operation that should not fail: no memory, or an algorithm that this host turned off.
    case openSSL(operation: String, reason: String)

    /// What is wrong with a public value.
    public enum PublicValueFault: Hashable, Sendable {
        case wrongLength(expected: Int, given: Int)
        /// Not between 1 and p-1, both excluded.
        case outOfRange
        /// Not in the subgroup that the group's generator spans.
        case notInSubgroup
        case notOnCurve
        /// The shared secret would be all zeros, whatever our key is (RFC 7748 §6.1).
        case smallOrder
    }

    /// The error for OpenSSL's latest complaint, which is taken off its queue along with all before it.
    static func fromOpenSSL(_ operation: String) -> CryptographyError {
        let code = ERR_peek_last_error()
        let reason = ERR_reason_error_string(code).map { String(cString: $0) } ?? "no reason given"
        ERR_clear_error()
        return .openSSL(operation: operation, reason: reason)
    }
}

extension CryptographyError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .authenticationFailed: "the data was changed on its way, or was made with another key"
        case .wrongLength(let what, let expected, let given): "the \(what) has \(given) bytes instead of \(expected)"
        case .partialBlock(let given): "\(given) bytes are no whole number of 16-byte cipher blocks"
        case .invalidPublicValue(let group, let fault):
            "the peer's public value for \(group.name) is refused: \(fault)"
        case .unknownSealVersion(let version):
            "the secret was sealed in format \(version), which a newer version of Gatehouse wrote"
        case .sealTooShort(let count): "the sealed secret is cut short: only \(count) bytes are left"
        case .openSSL(let operation, let reason): "OpenSSL could not \(operation): \(reason)"
        }
    }
}

extension CryptographyError.PublicValueFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongLength(let expected, let given): "it has \(given) bytes instead of \(expected)"
        case .outOfRange: "it is not between 1 and p-1"
        case .notInSubgroup: "it is not in the group's prime-order subgroup"
        case .notOnCurve: "it is no point of the curve"
        case .smallOrder: "it has a small order, so that anyone could know the shared secret"
        }
    }
}
