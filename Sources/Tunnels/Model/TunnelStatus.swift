public import Base

/// How one tunnel is, as `GET /v1/tunnels` answers. Monitoring depends on these names.
public struct TunnelStatus: Hashable, Codable, Sendable {
    public var connector: String
    public var tunnel: String
    public var state: State
    /// True on the tunnel that the connector's traffic takes now.
    public var isActive: Bool
    public var localAddress: String?
    public var remoteAddress: String?
    /// When the state last changed.
    public var since: WallTime
    public var dataPath: String
    /// The tunnel's network interface, once there is one.
    public var interface: String?
    public var ike: IKE?
    public var children: [Child]
    public var dpd: DPD
    /// The answer of the peer's inside address to our probes; nil where none is configured.
    public var probe: Probe?
    /// Weak algorithms in use, by name, such as `modp1024`.
    public var weaknesses: [String]
    /// Certificates that expire soon, CRLs that are old: one sentence each.
    public var warnings: [String]?
    public var lastError: String?

    public init(
        connector: String, tunnel: String, state: State, isActive: Bool, localAddress: String?, remoteAddress: String?,
        since: WallTime, dataPath: String, interface: String?, ike: IKE?, children: [Child], dpd: DPD, probe: Probe?,
        weaknesses: [String], warnings: [String]? = nil, lastError: String?
    ) {
        self.connector = connector
        self.tunnel = tunnel
        self.state = state
        self.isActive = isActive
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        self.since = since
        self.dataPath = dataPath
        self.interface = interface
        self.ike = ike
        self.children = children
        self.dpd = dpd
        self.probe = probe
        self.weaknesses = weaknesses
        self.warnings = warnings
        self.lastError = lastError
    }

    public enum State: String, Codable, Sendable, CaseIterable {
        case disabled, offline, connecting, online
        /// Up, but a check is failing.
        case degraded
    }

    public struct IKE: Hashable, Codable, Sendable {
        /// 16 hexadecimal digits each.
        public var initiatorSPI: String
        public var responderSPI: String
        public var proposal: String
        public var localID: String
        public var remoteID: String
        public var establishedAt: WallTime
        public var rekeyAt: WallTime
        public var authentication: Authentication?

        public init(
            initiatorSPI: String, responderSPI: String, proposal: String, localID: String, remoteID: String,
            establishedAt: WallTime, rekeyAt: WallTime, authentication: Authentication? = nil
        ) {
            self.initiatorSPI = initiatorSPI
            self.responderSPI = responderSPI
            self.proposal = proposal
            self.localID = localID
            self.remoteID = remoteID
            self.establishedAt = establishedAt
            self.rekeyAt = rekeyAt
            self.authentication = authentication
        }
    }

    /// How both sides proved themselves.
    public struct Authentication: Hashable, Codable, Sendable {
        /// `psk`, or how it was signed, such as `rsa-pss-sha256`.
        public var local: String
        public var remote: String
        public var peerCertificate: Certificate?
        /// Whether a post-quantum pre-shared key is in the keys (RFC 8784).
        public var ppk: Bool

        public init(local: String, remote: String, peerCertificate: Certificate?, ppk: Bool) {
            self.local = local
            self.remote = remote
            self.peerCertificate = peerCertificate
            self.ppk = ppk
        }
    }

    public struct Certificate: Hashable, Codable, Sendable {
        public var subject: String
        public var issuer: String
        /// Hexadecimal.
        public var serialNumber: String
        public var notBefore: WallTime
        public var notAfter: WallTime

        public init(subject: String, issuer: String, serialNumber: String, notBefore: WallTime, notAfter: WallTime) {
            self.subject = subject
            self.issuer = issuer
            self.serialNumber = serialNumber
            self.notBefore = notBefore
            self.notAfter = notAfter
        }
    }

    public struct Child: Hashable, Codable, Sendable {
        /// The name of its phase 2; nil where a tunnel has one without a name.
        public var name: String?
        /// 8 hexadecimal digits each.
        public var spiIn: String
        public var spiOut: String
        public var proposal: String
        public var bytesIn: UInt64
        public var bytesOut: UInt64
        public var packetsIn: UInt64
        public var packetsOut: UInt64
        public var localNetworks: [String]
        public var remoteNetworks: [String]
        public var rekeyAt: WallTime

        public init(
            name: String? = nil, spiIn: String, spiOut: String, proposal: String, bytesIn: UInt64, bytesOut: UInt64, packetsIn: UInt64,
            packetsOut: UInt64, localNetworks: [String], remoteNetworks: [String], rekeyAt: WallTime
        ) {
            self.name = name
            self.spiIn = spiIn
            self.spiOut = spiOut
            self.proposal = proposal
            self.bytesIn = bytesIn
            self.bytesOut = bytesOut
            self.packetsIn = packetsIn
            self.packetsOut = packetsOut
            self.localNetworks = localNetworks
            self.remoteNetworks = remoteNetworks
            self.rekeyAt = rekeyAt
        }
    }

    public struct DPD: Hashable, Codable, Sendable {
        /// When the peer last proved that it lives.
        public var lastSeen: WallTime?
        public var roundTripMilliseconds: Double?
        /// Of the request that is under way or was last answered.
        public var retransmits: Int

        public init(lastSeen: WallTime?, roundTripMilliseconds: Double?, retransmits: Int) {
            self.lastSeen = lastSeen
            self.roundTripMilliseconds = roundTripMilliseconds
            self.retransmits = retransmits
        }
    }

    public struct Probe: Hashable, Codable, Sendable {
        public var address: String
        public var lastAnswer: WallTime?
        public var roundTripMilliseconds: Double?
        /// Probes in a row without an answer.
        public var lost: Int

        public init(address: String, lastAnswer: WallTime?, roundTripMilliseconds: Double?, lost: Int) {
            self.address = address
            self.lastAnswer = lastAnswer
            self.roundTripMilliseconds = roundTripMilliseconds
            self.lost = lost
        }
    }
}

/// `GET /v1/status`: the gateway in one answer.
public struct GatewayStatus: Hashable, Codable, Sendable {
    public var version: String
    public var startedAt: WallTime
    public var dataPath: String
    public var tunnels: [TunnelStatus]
    /// Other people's services that this gateway asks; nil where there are none.
    public var services: [ServiceStatus]?

    public init(
        version: String, startedAt: WallTime, dataPath: String, tunnels: [TunnelStatus], services: [ServiceStatus]? = nil
    ) {
        self.version = version
        self.startedAt = startedAt
        self.dataPath = dataPath
        self.tunnels = tunnels
        self.services = services
    }
}

/// How a connection to somebody else's service is: one line of `gatehouse status`.
public struct ServiceStatus: Hashable, Codable, Sendable {
    /// What it is for, such as `endpoint protection`.
    public var kind: String
    public var name: String
    /// False when it does not do what it should.
    public var isWell: Bool
    /// One clause: what was last had and when, or what is wrong.
    public var detail: String

    public init(kind: String, name: String, isWell: Bool, detail: String) {
        self.kind = kind
        self.name = name
        self.isWell = isWell
        self.detail = detail
    }
}

/// One line of the event log, as `GET /v1/events` streams it.
public struct GatewayEvent: Hashable, Codable, Sendable {
    /// Rises by one for each event while the daemon lives.
    public var number: UInt64
    public var time: WallTime
    public var level: Level
    /// A word for programs, such as `tunnel-online`, `failover`, `dpd-timeout`, `connector-added`.
    public var kind: String
    public var connector: String?
    public var tunnel: String?
    /// One sentence for a person. Never a secret.
    public var message: String

    public init(
        number: UInt64, time: WallTime, level: Level, kind: String, connector: String?, tunnel: String?, message: String
    ) {
        self.number = number
        self.time = time
        self.level = level
        self.kind = kind
        self.connector = connector
        self.tunnel = tunnel
        self.message = message
    }

    public enum Level: String, Codable, Sendable, CaseIterable { case info, warning, error }
}
