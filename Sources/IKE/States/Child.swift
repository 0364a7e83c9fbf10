import Base
import Cryptography

/// One pair of ESP SAs as its IKE SA sees it. The keys are not kept: only the data path needs them.
struct Child: Sendable, Codable, Hashable {
    /// The most of one IKE SA that carry traffic, whatever the peer asks for.
    static let most = 64

    enum State: Sendable, Codable, Hashable {
        /// The data path has been asked to install it.
        case installing
        case installed
        /// The peer has rekeyed it, or we have lost a collision; the peer will delete it.
        case replaced
        /// Our DELETE for it is out or waits for its turn.
        case deleting
        /// Deleted on both sides; packets on their way are still taken until then.
        case lingering(until: Tick)
    }

    /// Which of the connection's children it is.
    var place: Int
    var spiIn: UInt32
    var spiOut: UInt32
    var suite: ESPSuite
    var localSelectors: [TrafficSelector]
    var remoteSelectors: [TrafficSelector]
    var createdAt: Tick
    var rekeyAt: Tick
    var expiresAt: Tick
    var state: State = .installing
    /// False until we know that the peer hears us on it.
    var usesOutbound: Bool
    var replaces: UInt32?
    /// When we stop waiting for the peer to delete a child that it has replaced.
    var replacedUntil: Tick?
    /// The redundant product of a collision that the peer should delete by then (RFC 7296 §2.8.1).
    var redundantUntil: Tick?

    /// An event has named it and none has named its end or its successor.
    var isTold: Bool { state == .installed && redundantUntil == nil }

    /// Carries traffic and will go on doing so.
    var isLive: Bool {
        switch state {
        case .installing, .installed: redundantUntil == nil
        case .replaced, .deleting, .lingering: false
        }
    }
}

/// Our CREATE_CHILD_SA for a child, from request to answer.
struct ChildCreation: Sendable, Codable {
    /// Which of the connection's children it is for.
    var place: Int
    /// The child to be rekeyed, by its inbound SPI.
    var replaces: UInt32?
    var spiIn: UInt32
    var offered: [Proposal]
    var nonce: [UInt8]
    var keyPair: DHKeyPair?
    var groupsTried: [DHGroup] = []
    /// The peer rekeys the same child at the same time.
    var collision: Collision?

    var group: DHGroup? { groupsTried.last }
}

/// Our CREATE_CHILD_SA that replaces the IKE SA.
struct IKERekey: Sendable, Codable {
    var spi: UInt64
    var offered: [Proposal]
    var nonce: [UInt8]
    var keyPair: DHKeyPair
    var groupsTried: [DHGroup]
    var collision: Collision?
}

/// What the peer's simultaneous exchange made, and the lower of its two nonces (RFC 7296 §2.8.1).
struct Collision: Sendable, Codable {
    /// The new child's inbound SPI, or the new IKE SA's SPI.
    var product: UInt64
    var lowestNonce: [UInt8]

    /// Whether our exchange is the one to go: it holds the lowest nonce of the four.
    func weLose(ourNonces: [[UInt8]]) -> Bool {
        ourNonces.contains { $0.lexicographicallyPrecedes(lowestNonce) }
    }
}

/// An answer that leaves when the data path has installed the child.
struct PendingReply: Sendable, Codable {
    var exchange: ExchangeType
    var messageID: UInt32
    /// Back where the request came from.
    var path: Path
    var spiIn: UInt32
    var proposals: [Proposal]
    var initiatorSelectors: [TrafficSelector]
    var responderSelectors: [TrafficSelector]
    /// CREATE_CHILD_SA only.
    var nonce: [UInt8]?
    var group: DHGroup?
    var publicValue: [UInt8]?
    /// IKE_AUTH only.
    var hasInitialContact = false
    var ownProof: OwnProof?
    var proof: PeerProof?
    var usesPPK = false
}
