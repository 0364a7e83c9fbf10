internal import COpenSSL

/// An OpenSSL big number, wiped when it goes.
struct BigNumber: ~Copyable {
    let pointer: OpaquePointer

    /// Zero.
    init() throws(CryptographyError) {
        guard let pointer = BN_new() else { throw .fromOpenSSL("make a number") }
        self.pointer = pointer
    }

    /// From big-endian bytes; `isSecret` makes OpenSSL use its constant-time ways with it.
    init(_ source: some ByteSource, isSecret: Bool = false) throws(CryptographyError) {
        let pointer = source.withBytes { bytes in
            let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            return Int32(exactly: bytes.count).flatMap { BN_bin2bn(start, $0, nil) }
        }
        guard let pointer else { throw .fromOpenSSL("read a number") }
        if isSecret { BN_set_flags(pointer, BN_FLG_CONSTTIME) }
        self.pointer = pointer
    }

    init(hexadecimal text: String) throws(CryptographyError) {
        var pointer: OpaquePointer?
        guard BN_hex2bn(&pointer, text) > 0, let pointer else { throw .fromOpenSSL("read a number") }
        self.pointer = pointer
    }

    deinit { BN_clear_free(pointer) }

    /// The pointer, which the caller frees.
    consuming func release() -> OpaquePointer {
        let pointer = pointer
        discard self
        return pointer
    }

    /// Big-endian, with leading zeros up to the length of `output`.
    func write(to output: UnsafeMutableRawBufferPointer) throws(CryptographyError) {
        guard let count = Int32(exactly: output.count),
            BN_bn2binpad(pointer, output.assumingMemoryBound(to: UInt8.self).baseAddress, count) == count
        else { throw .fromOpenSSL("write a number") }
    }

    /// Big-endian, with leading zeros up to `count` bytes, as key material.
    func secret(_ count: Int) throws(CryptographyError) -> Secret {
        var failure: CryptographyError?
        let secret = Secret(count: count) { output in
            do throws(CryptographyError) { try write(to: output) } catch { failure = error }
        }
        if let failure { throw failure }
        return secret
    }
}

/// OpenSSL's scratch space for one computation; it wipes what was in it.
struct Scratch: ~Copyable {
    let pointer: OpaquePointer

    init() throws(CryptographyError) {
        guard let pointer = BN_CTX_new() else { throw .fromOpenSSL("make room for a computation") }
        self.pointer = pointer
    }

    deinit { BN_CTX_free(pointer) }
}

extension SeededRandom {
    /// A number from 1 to `bound - 1`, all equally likely, as `count` big-endian bytes; `bound` has `bits` bits.
    ///
    /// Candidates that do not fit are drawn anew, which says nothing about the one that is kept.
    mutating func scalar(below bound: OpaquePointer, bits: Int) throws(CryptographyError) -> Secret {
        let count = (bits + 7) / 8
        let mask = UInt8(truncatingIfNeeded: 0xff >> (count * 8 - bits))
        while true {
            let candidate = Secret(count: count) { bytes in
                fill(bytes)
                if count > 0 { bytes[0] &= mask }
            }
            let number = try BigNumber(candidate, isSecret: true)
            if BN_is_zero(number.pointer) == 0, BN_cmp(number.pointer, bound) < 0 { return candidate }
        }
    }
}
