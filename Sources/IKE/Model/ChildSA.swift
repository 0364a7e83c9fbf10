public import Base
public import Cryptography

/// The number of an IKE SA within one engine: our SPI, unique while the engine lives.
public struct IKESAID: Hashable, Codable, Sendable, CustomStringConvertible {
    /// Our own SPI of this IKE SA.
    public var spi: UInt64
    public init(_ spi: UInt64) { self.spi = spi }
    public var description: String { String(spi, radix: 16) }
}

/// A pair of ESP SAs, ready to be installed: everything that a data path needs and nothing else.
public struct ChildSA: Hashable, Codable, Sendable {
    public var connection: ConnectionID
    /// Which of the connection's children it is, counted from 0.
    public var place: Int
    public var ikeSA: IKESAID
    /// SPI of packets that we receive; chosen by us, unique within the engine.
    public var spiIn: UInt32
    /// SPI of packets that we send; chosen by the peer.
    public var spiOut: UInt32
    public var suite: ESPSuite
    /// Cipher key with its salt behind it, for each direction.
    public var encryptionKeyIn: Secret
    public var encryptionKeyOut: Secret
    /// Empty with an AEAD cipher.
    public var integrityKeyIn: Secret
    public var integrityKeyOut: Secret
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    /// Where ESP packets go. `isNATPort` says whether they travel in UDP.
    public var path: Path
    public var replayWindow: Int
    /// When we shall rekey it, and when it is deleted whatever happens.
    public var rekeyAt: Tick
    public var expiresAt: Tick
    public var limits: ChildLimits
    /// The SA that this one replaces, by its `spiIn`.
    public var replaces: UInt32?

    public init(
        connection: ConnectionID, place: Int = 0, ikeSA: IKESAID, spiIn: UInt32, spiOut: UInt32, suite: ESPSuite,
        encryptionKeyIn: Secret, encryptionKeyOut: Secret, integrityKeyIn: Secret, integrityKeyOut: Secret,
        localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector], path: Path, replayWindow: Int,
        rekeyAt: Tick, expiresAt: Tick, limits: ChildLimits = ChildLimits(), replaces: UInt32?
    ) {
        self.connection = connection
        self.place = place
        self.ikeSA = ikeSA
        self.spiIn = spiIn
        self.spiOut = spiOut
        self.suite = suite
        self.encryptionKeyIn = encryptionKeyIn
        self.encryptionKeyOut = encryptionKeyOut
        self.integrityKeyIn = integrityKeyIn
        self.integrityKeyOut = integrityKeyOut
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.path = path
        self.replayWindow = replayWindow
        self.rekeyAt = rekeyAt
        self.expiresAt = expiresAt
        self.limits = limits
        self.replaces = replaces
    }
}
