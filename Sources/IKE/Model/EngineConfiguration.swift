public import Base
public import Cryptography

/// How an engine behaves towards all its peers. The defaults suit a site gateway.
public struct EngineConfiguration: Hashable, Codable, Sendable {
    /// Stands in the first byte of every SPI of ours, so that a datagram finds the engine that owns it.
    public var shard: UInt8 = 0
    /// With more half-open SAs than this we ask initiators for a cookie before we spend anything (RFC 7296 §2.6).
    public var cookieThreshold = 64
    /// With this many half-open SAs no new ones are taken; from half of it on, none of an address that has a sixteenth
    /// of it: one host with many ports does not shut the door to all others.
    public var maximumHalfOpen = 20_000
    /// Half-open SAs of one address and port before it must show a cookie, and as many again with one; more are dropped.
    /// Clients behind one NAT have ports of their own.
    public var maximumHalfOpenPerEndpoint = 8
    /// What unfinished fragmented messages of all half-open SAs may take up together, in bytes.
    public var maximumHalfOpenFragmentBytes = 16 << 20
    /// How long a responder waits for IKE_AUTH.
    public var halfOpenTimeout: Tick.Span = .seconds(30)
    /// The first wait for an answer; each further wait is `retransmissionGrowthPercent` of the one before.
    public var retransmissionBase: Tick.Span = .seconds(1)
    public var retransmissionGrowthPercent = 180
    /// The longest wait between two retransmissions.
    public var retransmissionLimit: Tick.Span = .seconds(8)
    /// How long the answer to our DELETE is waited for.
    public var closeTimeout: Tick.Span = .seconds(5)
    /// How long a replaced inbound SA still takes packets that were on their way.
    public var inboundLinger: Tick.Span = .seconds(5)
    /// How long a closed IKE SA still repeats its last answer.
    public var closedLinger: Tick.Span = .seconds(10)
    /// How long after an error that anyone could have forged an attempt is given up (RFC 7296 §2.21.1).
    public var unauthenticatedErrorDelay: Tick.Span = .seconds(3)
    /// What the tokens of quick crash detection are made from (RFC 6290); it must outlive a restart, or nobody believes
    /// what is said after one. Nil makes none.
    public var crashDetectionSecret: Secret?
    /// Messages a second for unknown IKE SAs that are answered (RFC 7296 §2.21.4).
    public var unknownSPIAnswersPerSecond = 100
    /// Notices a second that are told one by one; the others are only counted.
    public var noticesPerSecond = 5

    public init() {}
}
