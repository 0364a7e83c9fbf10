public import Cryptography

/// The sending half of an SA pair: numbers, pads, encrypts and authenticates inner packets (RFC 4303 §3.3).
///
/// Not Sendable: it belongs to the thread that made it.
public final class OutboundSA {
    /// SPI that the peer chose.
    public let spi: UInt32
    public let format: ESPFormat
    /// The number of the last packet sealed; 0 before the first. It never wraps.
    public private(set) var sequence: UInt64

    private let cipher: PacketCipher
    private let lastSequence: UInt64
    private let softLimit: UInt64

    /// `extendedSequence` is what was negotiated; `sequence` is given only by tests that start near the end.
    public init(
        spi: UInt32, encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, encryptionKey: Secret,
        integrityKey: Secret, extendedSequence: Bool, sequence: UInt64 = 0
    ) throws(PacketCipher.Refusal) {
        self.spi = spi
        self.sequence = sequence
        format = ESPFormat(encryption: encryption, integrity: integrity)
        cipher = try PacketCipher(
            .seal, encryption: encryption, integrity: integrity, encryptionKey: encryptionKey,
            integrityKey: integrityKey, extendedSequence: extendedSequence)
        // Without ESN the warning leaves 2^28 packets, minutes at the highest rates. With ESN numbers never run out,
        // so 2^48 packets is a bound on what one key protects.
        lastSequence = extendedSequence ? UInt64.max : UInt64(UInt32.max)
        softLimit = extendedSequence ? 1 << 48 : 1 << 32 - 1 << 28
    }

    public enum Sealed: Hashable, Sendable {
        /// Bytes of the finished ESP packet. `isNearExhaustion` once, when a rekey is due.
        case sealed(length: Int, isNearExhaustion: Bool)
        /// No sequence number is left: nothing may be sent on this SA any more (RFC 4303 §3.3.3).
        case exhausted
        /// The packet is no IP packet, is longer than 65,535 bytes or does not fit in the buffer with its trailer.
        case unsuitable
    }

    /// Seals the inner packet of `length` bytes that stands in `buffer` at `format.headerLength`.
    /// The ESP packet begins at the start of the buffer.
    public func seal(_ buffer: UnsafeMutableRawBufferPointer, length: Int) -> Sealed {
        guard length > 0, length <= 65535 else { return .unsuitable }
        let total = format.sealedLength(length)
        guard total <= buffer.count else { return .unsuitable }
        let header = format.headerLength
        let nextHeader: UInt8
        switch buffer[header] >> 4 {
        case 4: nextHeader = NextHeader.ipv4
        case 6: nextHeader = NextHeader.ipv6
        default: return .unsuitable
        }
        guard sequence < lastSequence else { return .exhausted }
        // The number is spent whatever comes of the packet: an IV must never come twice.
        sequence += 1

        buffer.set(spi, at: 0)
        buffer.set(UInt32(truncatingIfNeeded: sequence), at: 4)
        let trailer = total - format.tagLength - 2
        let padding = trailer - header - length
        for index in 0..<padding { buffer[header + length + index] = UInt8(truncatingIfNeeded: index + 1) }
        buffer[trailer] = UInt8(truncatingIfNeeded: padding)
        buffer[trailer + 1] = nextHeader
        guard cipher.seal(buffer.part(0, total), sequence: sequence) else { return .unsuitable }
        return .sealed(length: total, isNearExhaustion: sequence == softLimit)
    }
}
