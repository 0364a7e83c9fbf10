public import Cryptography
public import Base

/// The shape of the packets of one SA (RFC 4303 §2): how long each part is.
public struct ESPFormat: Hashable, Sendable {
    public let ivLength: Int
    public let tagLength: Int
    /// Payload, padding and trailer together fill whole multiples of this: 16 for CBC, else 4.
    public let alignment: Int

    public init(encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?) {
        ivLength = encryption.ivLength
        tagLength = integrity?.tagLength ?? encryption.tagLength
        alignment = max(4, encryption.blockLength)
    }

    /// Bytes in front of the inner packet: SPI, sequence number and IV.
    public var headerLength: Int { PacketCipher.headerLength + ivLength }

    /// Bytes of the ESP packet that carries an inner packet of `inner` bytes.
    public func sealedLength(_ inner: Int) -> Int {
        headerLength + (inner + 2 + alignment - 1) / alignment * alignment + tagLength
    }

    /// The longest inner packet whose outer packet fits in `outsideMTU` bytes.
    ///
    /// `inUDP` adds the UDP header of RFC 3948. At 1500 this gives AWS's own table: 1446 for AES-GCM, 1438 with NAT-T
    /// or with AES-CBC and SHA-1.
    public func largestInner(outsideMTU: Int, outside: IPAddress.Family, inUDP: Bool) -> Int {
        let room = outsideMTU - (outside == .ipv4 ? 20 : 40) - (inUDP ? 8 : 0) - headerLength - tagLength
        return max(0, room / alignment * alignment - 2)
    }
}

/// Protocol numbers that an ESP trailer may name (RFC 4303 §2.6).
enum NextHeader {
    static let ipv4: UInt8 = 4
    static let ipv6: UInt8 = 41
    static let dummy: UInt8 = 59
}
