public import Cryptography

/// The receiving half of an SA pair: everything between an ESP packet off the wire and an inner packet that may be
/// let through (RFC 4303 §3.4).
///
/// Not Sendable: it belongs to the thread that made it.
public final class InboundSA {
    /// SPI that we chose.
    public let spi: UInt32
    public let format: ESPFormat
    private let cipher: PacketCipher
    private let selectors: SelectorPair
    private let extendedSequence: Bool
    private var window: ReplayWindow

    /// `newest` is given only by tests that start near the end of a span.
    public init(
        spi: UInt32, encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, encryptionKey: Secret,
        integrityKey: Secret, extendedSequence: Bool, replayWindow: Int, selectors: SelectorPair, newest: UInt64 = 0
    ) throws(PacketCipher.Refusal) {
        self.spi = spi
        self.selectors = selectors
        self.extendedSequence = extendedSequence
        format = ESPFormat(encryption: encryption, integrity: integrity)
        cipher = try PacketCipher(
            .open, encryption: encryption, integrity: integrity, encryptionKey: encryptionKey,
            integrityKey: integrityKey, extendedSequence: extendedSequence)
        window = ReplayWindow(size: replayWindow)
        if newest > 0 { window.record(newest) }
    }

    public enum Opened: Hashable, Sendable {
        /// The inner packet stands in the buffer at `offset` bytes from its start, its length is in `packet`.
        /// `isNewest`: no packet with a higher number has come before it.
        case packet(InnerPacket, offset: Int, isNewest: Bool)
        /// A genuine packet without content (next header 59, RFC 4303 §2.6).
        case dummy
        /// Seen before, or older than the window.
        case replayed
        /// The ICV is wrong.
        case forged
        /// Not ESP of this SA's shape, or a genuine packet with a wrong padding, trailer or inner header.
        case malformed
        /// A genuine packet from or to an address that the SA does not carry.
        case outsideSelectors
    }

    /// Checks and decrypts, in place, the ESP packet that fills `buffer` from SPI to ICV.
    public func open(_ buffer: UnsafeMutableRawBufferPointer) -> Opened {
        let bodyLength = buffer.count - format.headerLength - format.tagLength
        guard bodyLength >= format.alignment, bodyLength % format.alignment == 0 else { return .malformed }
        let low = buffer.uint32(4)
        let sequence: UInt64
        if extendedSequence {
            guard let whole = window.extended(low) else { return .replayed }
            sequence = whole
        } else {
            sequence = UInt64(low)
        }
        guard window.check(sequence) else { return .replayed }
        guard cipher.open(buffer, sequence: sequence) else { return .forged }
        let isNewest = window.record(sequence)

        let end = format.headerLength + bodyLength
        let padding = Int(buffer[end - 2])
        let nextHeader = buffer[end - 1]
        guard padding + 2 <= bodyLength else { return .malformed }
        let payloadEnd = end - 2 - padding
        // Self-describing padding 1, 2, 3 … (RFC 4303 §2.4).
        for index in 0..<padding where buffer[payloadEnd + index] != UInt8(truncatingIfNeeded: index + 1) {
            return .malformed
        }
        if nextHeader == NextHeader.dummy { return .dummy }
        let inner = UnsafeRawBufferPointer(buffer.part(format.headerLength, payloadEnd - format.headerLength))
        // The total length of the inner header rules: bytes between it and the padding are traffic-flow padding.
        guard let packet = InnerPacket(inner),
            nextHeader == (packet.isIPv4 ? NextHeader.ipv4 : NextHeader.ipv6)
        else { return .malformed }
        guard selectors.permitsInbound(packet) else { return .outsideSelectors }
        return .packet(packet, offset: format.headerLength, isNewest: isNewest)
    }
}
