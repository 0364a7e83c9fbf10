public import Base
public import Cryptography
public import IKE

/// What an AWS file says, whatever its format: nothing is filled in, nil means that the file is silent.
public struct VPNConnection: Sendable {
    /// `aws-xml`, `aws-json`, `aws-generic`, `aws-strongswan` …
    public var format: String
    public var connectionID: Sourced<String>?
    public var customerGatewayID: Sourced<String>?
    /// Virtual private gateway, transit gateway, core network or VPN concentrator.
    public var vpnGatewayID: Sourced<String>?
    /// The operator's own name for it: the `Name` tag.
    public var nameTag: Sourced<String>?
    public var routing: Sourced<Connector.Routing>?
    public var isAccelerated: Sourced<Bool>?
    /// `PublicIpv4`, `PrivateIpv4` or `Ipv6`.
    public var outsideType: Sourced<String>?
    public var isIPv6Inside: Sourced<Bool>?
    /// The customer's side of the negotiated selectors: AWS's `LocalIpv4NetworkCidr`.
    public var localSelectors: Sourced<[IPPrefix]>?
    /// AWS's side: its `RemoteIpv4NetworkCidr`.
    public var remoteSelectors: Sourced<[IPPrefix]>?
    /// On-premises networks that AWS routes to us.
    public var staticRoutes: [IPPrefix] = []
    /// AWS's own state of the connection, such as `available`.
    public var state: Sourced<String>?
    public var tunnels: [VPNTunnel] = []
    /// True where the file shows AWS's tunnel options and not merely a sample rendering.
    public var showsTunnelOptions = false
    /// What the format has no place for: not missed, but warned of.
    public var lacks: Set<Lack> = []
    /// What the reader noticed.
    public var warnings: [String] = []

    public init(format: String) { self.format = format }

    public enum Lack: Sendable {
        /// The addresses inside the tunnels, as in policy-based configurations.
        case insideAddresses
        /// The customer gateway's outside address.
        case customerAddress
    }
}

/// One tunnel of a ``VPNConnection``.
public struct VPNTunnel: Sendable {
    /// Where the tunnel's part of the file begins.
    public var place: Place
    /// AWS's outside address.
    public var remoteOutside: Sourced<IPAddress>?
    /// The customer gateway's outside address, which is our IKE identity.
    public var localOutside: Sourced<IPAddress>?
    public var localID: Sourced<IKEIdentity>?
    public var remoteID: Sourced<IKEIdentity>?
    public var insideLocal: Sourced<IPPrefix>?
    public var insideRemote: Sourced<IPPrefix>?
    public var insideLocal6: Sourced<IPPrefix>?
    public var insideRemote6: Sourced<IPPrefix>?
    public var psk: Sourced<Secret>?
    public var ikeVersions: Sourced<[Int]>?
    public var encryption1: Sourced<[EncryptionAlgorithm]>?
    public var integrity1: Sourced<[IntegrityAlgorithm]>?
    public var groups1: Sourced<[DHGroup]>?
    public var lifetime1: Sourced<Int>?
    public var encryption2: Sourced<[EncryptionAlgorithm]>?
    public var integrity2: Sourced<[IntegrityAlgorithm]>?
    public var groups2: Sourced<[DHGroup]>?
    public var lifetime2: Sourced<Int>?
    public var localSelectors: Sourced<[IPPrefix]>?
    public var remoteSelectors: Sourced<[IPPrefix]>?
    /// Seconds.
    public var dpdInterval: Sourced<Int>?
    public var dpdRetries: Sourced<Int>?
    public var dpdTimeout: Sourced<Int>?
    public var replayWindow: Sourced<Int>?
    /// AWS's own margin and fuzz, in seconds and per cent.
    public var rekeyMargin: Sourced<Int>?
    public var rekeyFuzz: Sourced<Int>?
    /// True where AWS starts the tunnel too: its startup action is `start`.
    public var isStartedByAWS: Sourced<Bool>?
    public var mtu: Sourced<Int>?
    public var mss: Sourced<Int>?
    public var localASN: Sourced<UInt32>?
    public var remoteASN: Sourced<UInt32>?
    public var neighbor: Sourced<IPAddress>?
    public var holdTime: Sourced<Int>?

    public init(place: Place) { self.place = place }
}
