public import Base
public import Cryptography
public import IKE

/// One site-to-site definition: the tunnels to one peer site, and the networks that they join.
public struct Connector: Hashable, Codable, Sendable {
    /// Unique on this gateway and stable: the AWS connection ID, or a name in lower case.
    public var id: String
    public var name: String
    public var isEnabled: Bool
    public var initiation: Initiation
    /// Where the definition came from.
    public var source: Source
    public var routing: Routing
    /// The networks on our side that may use the tunnels.
    public var localNetworks: [IPPrefix]
    /// The networks behind the peer: routed into the tunnels.
    public var remoteNetworks: [IPPrefix]
    /// In order of preference: the first one that is healthy carries the traffic.
    public var tunnels: [Tunnel]

    public init(
        id: String, name: String, isEnabled: Bool = true, initiation: Initiation = .initiate, source: Source,
        routing: Routing = .static, localNetworks: [IPPrefix], remoteNetworks: [IPPrefix], tunnels: [Tunnel]
    ) {
        self.id = id
        self.name = name
        self.isEnabled = isEnabled
        self.initiation = initiation
        self.source = source
        self.routing = routing
        self.localNetworks = localNetworks
        self.remoteNetworks = remoteNetworks
        self.tunnels = tunnels
    }

    public enum Initiation: String, Codable, Sendable, CaseIterable {
        /// We bring the tunnels up and keep them up.
        case initiate
        /// We wait for the peer.
        case respond
    }

    public enum Routing: String, Codable, Sendable, CaseIterable {
        case `static`, bgp
    }

    public struct Source: Hashable, Codable, Sendable {
        /// `aws-xml`, `aws-json`, `aws-generic` and the like for each format that is imported, or `manual`.
        public var format: String
        public var connectionID: String?
        public var customerGatewayID: String?
        public var vpnGatewayID: String?

        public init(
            format: String, connectionID: String? = nil, customerGatewayID: String? = nil, vpnGatewayID: String? = nil
        ) {
            self.format = format
            self.connectionID = connectionID
            self.customerGatewayID = customerGatewayID
            self.vpnGatewayID = vpnGatewayID
        }
    }
}

/// One tunnel: one IKE SA with a pair of ESP SAs for each phase 2.
public struct Tunnel: Hashable, Sendable {
    /// Unique on this gateway, such as `vpn-0123456789abcdef0-1`.
    public var name: String
    public var phase1: Phase1
    /// The first phase 2, which most tunnels have alone.
    public var phase2: Phase2
    /// Those behind the first; each has a name and selectors of its own, see ``phase2Fault``.
    public var furtherPhase2: [Phase2]
    public var inside: Inside?
    public var bgp: BGP?

    public init(
        name: String, phase1: Phase1, phase2: Phase2, furtherPhase2: [Phase2] = [], inside: Inside?, bgp: BGP?
    ) {
        self.name = name
        self.phase1 = phase1
        self.phase2 = phase2
        self.furtherPhase2 = furtherPhase2
        self.inside = inside
        self.bgp = bgp
    }

    /// Every phase 2, in the order of the definition: where selectors overlap, the first that fits carries a packet.
    public var allPhase2: [Phase2] { [phase2] + furtherPhase2 }

    /// The tunnel interface: addresses inside the tunnel and the size of its packets.
    public struct Inside: Hashable, Codable, Sendable {
        public var localAddress: IPPrefix
        public var remoteAddress: IPPrefix
        public var localAddress6: IPPrefix?
        public var remoteAddress6: IPPrefix?
        /// Upper bounds; the negotiated suite may demand less.
        public var mtu: Int?
        public var mss: Int?

        public init(
            localAddress: IPPrefix, remoteAddress: IPPrefix, localAddress6: IPPrefix? = nil,
            remoteAddress6: IPPrefix? = nil, mtu: Int? = nil, mss: Int? = nil
        ) {
            self.localAddress = localAddress
            self.remoteAddress = remoteAddress
            self.localAddress6 = localAddress6
            self.remoteAddress6 = remoteAddress6
            self.mtu = mtu
            self.mss = mss
        }
    }

    public struct BGP: Hashable, Codable, Sendable {
        public var localASN: UInt32
        public var remoteASN: UInt32
        public var neighbor: IPAddress
        public var holdTimeSeconds: Int

        public init(localASN: UInt32, remoteASN: UInt32, neighbor: IPAddress, holdTimeSeconds: Int) {
            self.localASN = localASN
            self.remoteASN = remoteASN
            self.neighbor = neighbor
            self.holdTimeSeconds = holdTimeSeconds
        }
    }
}

/// The terms of the IKE SA.
public struct Phase1: Hashable, Sendable {
    public var ikeVersion: Int
    /// Our outside address as the peer knows it. Behind a NAT it is not one of ours.
    public var localAddress: IPAddress?
    /// The address of ours that we send from; nil lets the host choose by route.
    public var bindAddress: IPAddress?
    /// Nil accepts a peer at any address (responders only).
    public var remoteAddress: IPAddress?
    /// Nil means the address.
    public var localID: IKEIdentity?
    public var remoteID: IKEIdentity?
    public var authentication: Authentication
    /// A post-quantum pre-shared key beside it (RFC 8784).
    public var ppk: PostquantumKey?
    public var encryption: [EncryptionAlgorithm]
    public var integrity: [IntegrityAlgorithm]
    public var dhGroups: [DHGroup]
    public var lifetimeSeconds: Int
    public var dpd: DPD
    /// ESP always in UDP 4500, as accelerated AWS connections demand.
    public var forceUDPEncapsulation: Bool
    /// We rekey at the latest this long before the lifetime ends; nil leaves it to the engine.
    public var rekeyMarginSeconds: Int?
    /// The IKE SA follows a change of addresses, if the peer can (MOBIKE, RFC 4555).
    public var isMobile: Bool
    /// Begin without a child SA where the peer offers that (RFC 6023).
    public var prefersChildless: Bool

    public init(
        ikeVersion: Int = 2, localAddress: IPAddress?, bindAddress: IPAddress? = nil, remoteAddress: IPAddress?,
        localID: IKEIdentity? = nil, remoteID: IKEIdentity? = nil,
        authentication: Authentication, encryption: [EncryptionAlgorithm], integrity: [IntegrityAlgorithm], dhGroups: [DHGroup], lifetimeSeconds: Int, dpd: DPD,
        forceUDPEncapsulation: Bool = false, rekeyMarginSeconds: Int? = nil, isMobile: Bool = false,
        prefersChildless: Bool = false, ppk: PostquantumKey? = nil
    ) {
        self.ikeVersion = ikeVersion
        self.localAddress = localAddress
        self.bindAddress = bindAddress
        self.remoteAddress = remoteAddress
        self.localID = localID
        self.remoteID = remoteID
        self.authentication = authentication
        self.ppk = ppk
        self.encryption = encryption
        self.integrity = integrity
        self.dhGroups = dhGroups
        self.lifetimeSeconds = lifetimeSeconds
        self.dpd = dpd
        self.forceUDPEncapsulation = forceUDPEncapsulation
        self.rekeyMarginSeconds = rekeyMarginSeconds
        self.isMobile = isMobile
        self.prefersChildless = prefersChildless
    }

    /// Dead peer detection.
    public struct DPD: Hashable, Codable, Sendable {
        public var delaySeconds: Int
        public var timeoutSeconds: Int
        public var action: Action

        public init(delaySeconds: Int, timeoutSeconds: Int, action: Action) {
            self.delaySeconds = delaySeconds
            self.timeoutSeconds = timeoutSeconds
            self.action = action
        }

        public enum Action: String, Codable, Sendable { case restart, clear, none }
    }
}

/// The terms of one child SA.
public struct Phase2: Hashable, Codable, Sendable {
    /// Tells the phase 2 of one tunnel apart; nil only where there is one.
    public var name: String?
    public var encryption: [EncryptionAlgorithm]
    public var integrity: [IntegrityAlgorithm]
    /// Empty means no PFS.
    public var pfsGroups: [DHGroup]
    public var lifetimeSeconds: Int
    /// The selectors that are negotiated; AWS's default is everything to everything.
    public var localSelectors: [IPPrefix]
    public var remoteSelectors: [IPPrefix]
    public var esn: Bool
    public var replayWindow: Int
    /// We rekey at the latest this long before the lifetime ends; nil leaves it to the engine.
    public var rekeyMarginSeconds: Int?
    /// ESP bytes and packets that one SA may carry in one direction; nil sets no limit.
    public var lifetimeBytes: UInt64?
    public var lifetimePackets: UInt64?

    public init(
        name: String? = nil, encryption: [EncryptionAlgorithm], integrity: [IntegrityAlgorithm],
        pfsGroups: [DHGroup], lifetimeSeconds: Int, localSelectors: [IPPrefix], remoteSelectors: [IPPrefix],
        esn: Bool = false, replayWindow: Int = 1024, rekeyMarginSeconds: Int? = nil, lifetimeBytes: UInt64? = nil,
        lifetimePackets: UInt64? = nil
    ) {
        self.name = name
        self.encryption = encryption
        self.integrity = integrity
        self.pfsGroups = pfsGroups
        self.lifetimeSeconds = lifetimeSeconds
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.esn = esn
        self.replayWindow = replayWindow
        self.rekeyMarginSeconds = rekeyMarginSeconds
        self.lifetimeBytes = lifetimeBytes
        self.lifetimePackets = lifetimePackets
    }
}
