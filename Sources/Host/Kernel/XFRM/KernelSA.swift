public import Base
public import Cryptography
import Glibc

/// What the kernel tells security associations apart by: one address, one SPI (RFC 4301 §4.1).
public struct KernelSAID: Hashable, Sendable, CustomStringConvertible {
    // Two halves, not an address: Swift 6.2 reads a 16-byte integer in a small struct at the wrong alignment when it is
    // passed without optimisation, and the process ends.
    private let high: UInt64
    private let low: UInt64
    private let isIPv4: Bool
    public let spi: UInt32

    public init(destination: IPAddress, spi: UInt32) {
        self.spi = spi
        switch destination {
        case .v4(let value): (high, low, isIPv4) = (0, UInt64(value), true)
        case .v6(let value):
            (high, low, isIPv4) = (
                UInt64(truncatingIfNeeded: value >> 64), UInt64(truncatingIfNeeded: value), false
            )
        }
    }

    /// Where the packets go.
    public var destination: IPAddress {
        isIPv4 ? .v4(UInt32(truncatingIfNeeded: low)) : .v6(UInt128(high) << 64 | UInt128(low))
    }

    public var description: String { "0x\(String(spi, radix: 16)) to \(destination)" }
}

/// A firewall mark with the bits of it that count.
public struct KernelMark: Hashable, Sendable {
    public var value: UInt32
    public var mask: UInt32

    public init(value: UInt32, mask: UInt32 = .max) {
        self.value = value
        self.mask = mask
    }
}

/// When an association or a policy has been used enough. A nil limit is none.
public struct KernelLifetime: Hashable, Sendable {
    public var softBytes: UInt64?
    public var hardBytes: UInt64?
    public var softPackets: UInt64?
    public var hardPackets: UInt64?
    /// Seconds since it was added.
    public var softSeconds: UInt64?
    public var hardSeconds: UInt64?
    /// Seconds since its first packet.
    public var softUseSeconds: UInt64?
    public var hardUseSeconds: UInt64?

    public init() {}
}

/// An ESP security association in tunnel mode, as the kernel holds it: one direction of a child SA.
public struct KernelSA: Hashable, Sendable {
    public enum Direction: UInt8, Hashable, Sendable { case input = 1, output = 2 }

    /// ESP in UDP (RFC 3948), by the ports of the outer packet.
    public struct Encapsulation: Hashable, Sendable {
        public var sourcePort: UInt16
        public var destinationPort: UInt16

        public init(sourcePort: UInt16, destinationPort: UInt16) {
            self.sourcePort = sourcePort
            self.destinationPort = destinationPort
        }
    }

    /// How far the sequence numbers are. All zeros at the start.
    public struct Sequence: Hashable, Sendable {
        /// The last one that was sent.
        public var sent: UInt64 = 0
        /// The highest one that came in.
        public var received: UInt64 = 0
        /// Which of those before it came in, as the kernel keeps it.
        public var bitmap: [UInt32] = []

        public init() {}
    }

    /// What has passed through it.
    public struct Use: Hashable, Sendable {
        public var bytes: UInt64 = 0
        public var packets: UInt64 = 0
        /// Packets dropped as replayed or too old, and those that failed the integrity check.
        public var replayed: UInt64 = 0
        public var forged: UInt64 = 0
        /// Seconds since 1970 by the kernel's clock; 0 for never.
        public var addedAt: UInt64 = 0
        public var firstUsedAt: UInt64 = 0

        public init() {}
    }

    /// A network device that takes the encryption over, by index.
    public struct Offload: Hashable, Sendable {
        public var interface: UInt32
        /// The device does the whole of ESP, not the cipher alone.
        public var isWholePacket: Bool

        public init(interface: UInt32, isWholePacket: Bool = false) {
            self.interface = interface
            self.isWholePacket = isWholePacket
        }
    }

    /// The cipher with its keys. The kernel's own answers carry them too; they are not read back.
    public struct Keys: Hashable, Sendable {
        public var encryption: EncryptionAlgorithm
        /// The key with its salt behind it.
        public var encryptionKey: Secret
        public var integrity: IntegrityAlgorithm?
        public var integrityKey: Secret

        public init(
            encryption: EncryptionAlgorithm, encryptionKey: Secret, integrity: IntegrityAlgorithm?, integrityKey: Secret
        ) {
            self.encryption = encryption
            self.encryptionKey = encryptionKey
            self.integrity = integrity
            self.integrityKey = integrityKey
        }
    }

    public var source: IPAddress
    public var destination: IPAddress
    public var spi: UInt32
    /// Which inner packets it takes; nil is all, of both families.
    public var selector: KernelSelector?
    public var direction: Direction?
    /// Binds it to policies with the same number.
    public var requestID: UInt32
    /// The XFRM interface that it belongs to; 0 is none.
    public var interfaceID: UInt32
    public var mark: KernelMark?
    public var encapsulation: Encapsulation?
    /// 64-bit sequence numbers (RFC 4304).
    public var hasExtendedSequence: Bool
    /// Packets of the anti-replay window; 0 checks nothing.
    public var replayWindow: UInt32
    public var lifetime = KernelLifetime()
    /// Copy the inner DF bit to the outer packet; off for packets that routers may cut.
    public var copiesDontFragment: Bool
    public var offload: Offload?
    public var sequence = Sequence()
    public var use = Use()

    public init(
        source: IPAddress, destination: IPAddress, spi: UInt32, direction: Direction? = nil, requestID: UInt32 = 0,
        interfaceID: UInt32 = 0, selector: KernelSelector? = nil, mark: KernelMark? = nil,
        encapsulation: Encapsulation? = nil, hasExtendedSequence: Bool = false, replayWindow: UInt32 = 0,
        copiesDontFragment: Bool = true
    ) {
        self.source = source
        self.destination = destination
        self.spi = spi
        self.direction = direction
        self.requestID = requestID
        self.interfaceID = interfaceID
        self.selector = selector
        self.mark = mark
        self.encapsulation = encapsulation
        self.hasExtendedSequence = hasExtendedSequence
        self.replayWindow = replayWindow
        self.copiesDontFragment = copiesDontFragment
    }

    public var id: KernelSAID { KernelSAID(destination: destination, spi: spi) }
}
