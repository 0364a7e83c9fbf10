public import Base

/// Phase 2: the terms of one child SA of a connection.
public struct ChildConfiguration: Hashable, Codable, Sendable {
    public var espProposals: [ESPProposal]
    /// Selectors that we ask for, and the widest that we accept.
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    /// Hard lifetime.
    public var lifetime: Tick.Span = .seconds(3600)
    /// We rekey this long before the lifetime ends; per SA the margin grows by up to `rekeyFuzzPercent`.
    public var rekeyMargin: Tick.Span = .seconds(600)
    /// ESP bytes and packets that one SA of the pair may carry; nil sets no limit. We rekey at nine tenths of it, or
    /// earlier by the fuzz.
    public var lifetimeBytes: UInt64?
    public var lifetimePackets: UInt64?
    /// Packets of the anti-replay window, 32 to 2048.
    public var replayWindow: Int = 1024

    public init(
        espProposals: [ESPProposal], localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector]
    ) {
        self.espProposals = espProposals
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
    }
}

/// What each SA of a pair may carry. The data path counts for each direction by itself.
public struct ChildLimits: Hashable, Codable, Sendable {
    /// Bytes of ESP, or packets, at which the data path says once that the child should be rekeyed.
    public var softBytes = UInt64.max
    public var softPackets = UInt64.max
    /// Those at which it says that the child is spent; from then on it lets nothing through.
    public var hardBytes = UInt64.max
    public var hardPackets = UInt64.max

    /// No limit.
    public init() {}
}
