public import Base

/// What the gateway has counted since it started.
public struct GatewayCounters: Hashable, Codable, Sendable {
    /// One for each tunnel that exists, also while it is down.
    public var tunnels: [TunnelCounters]
    /// Datagrams dropped because the gateway could not keep up.
    public var datagramsDropped: UInt64
    /// IKE messages that could not be read or were not ours.
    public var messagesRejected: UInt64
    /// Events logged, by level.
    public var events: EventCounts
    /// Hosts that were called, by name.
    public var outgoing: [OutgoingHostCounters]

    public init(
        tunnels: [TunnelCounters] = [], datagramsDropped: UInt64 = 0, messagesRejected: UInt64 = 0,
        events: EventCounts = EventCounts(), outgoing: [OutgoingHostCounters] = []
    ) {
        self.tunnels = tunnels
        self.datagramsDropped = datagramsDropped
        self.messagesRejected = messagesRejected
        self.events = events
        self.outgoing = outgoing
    }

    /// Events logged since the start.
    public struct EventCounts: Hashable, Codable, Sendable {
        public var info: UInt64
        public var warning: UInt64
        public var error: UInt64

        public init(info: UInt64 = 0, warning: UInt64 = 0, error: UInt64 = 0) {
            self.info = info
            self.warning = warning
            self.error = error
        }
    }
}

/// What one tunnel has carried and gone through since the daemon started, over all its SAs.
public struct TunnelCounters: Hashable, Codable, Sendable {
    public var connector: String
    public var tunnel: String
    /// Of inner packets, all children that ever were.
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    public var packetsIn: UInt64
    public var packetsOut: UInt64
    /// Phase-1 rekeys that succeeded, from either side.
    public var ikeRekeys: UInt64
    /// Phase-2 rekeys that succeeded, from either side.
    public var childRekeys: UInt64
    /// Times that the tunnel came online.
    public var establishments: UInt64
    /// Times that the peer was found dead by DPD.
    public var deaths: UInt64

    public init(
        connector: String, tunnel: String, bytesIn: UInt64 = 0, bytesOut: UInt64 = 0, packetsIn: UInt64 = 0,
        packetsOut: UInt64 = 0, ikeRekeys: UInt64 = 0, childRekeys: UInt64 = 0, establishments: UInt64 = 0,
        deaths: UInt64 = 0
    ) {
        self.connector = connector
        self.tunnel = tunnel
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.packetsIn = packetsIn
        self.packetsOut = packetsOut
        self.ikeRekeys = ikeRekeys
        self.childRekeys = childRekeys
        self.establishments = establishments
        self.deaths = deaths
    }
}

/// One entry of the audit trail: who changed what, and when.
public struct AuditRecord: Hashable, Codable, Sendable {
    /// Rises by one for each entry, over restarts too.
    public var number: Int64
    public var time: WallTime
    /// Who did it, such as `root (uid 0)` or `gatehoused`.
    public var actor: String
    /// A word for programs, such as `connector-added`.
    public var action: String
    /// What it was done to, such as a connector's ID.
    public var subject: String
    /// One sentence more, if there is more to say. Never a secret.
    public var detail: String?

    public init(number: Int64, time: WallTime, actor: String, action: String, subject: String, detail: String?) {
        self.number = number
        self.time = time
        self.actor = actor
        self.action = action
        self.subject = subject
        self.detail = detail
    }
}

/// Why a tunnel is as it is.
public struct Explanation: Hashable, Codable, Sendable {
    public var subject: String
    /// The answer in one sentence.
    public var summary: String
    /// What led to it, one sentence each, the most important first.
    public var reasons: [String]

    public init(subject: String, summary: String, reasons: [String]) {
        self.subject = subject
        self.summary = summary
        self.reasons = reasons
    }
}

/// How calls to one host outside went, since the start.
public struct OutgoingHostCounters: Hashable, Codable, Sendable {
    /// Host and port.
    public var host: String
    public var calls: UInt64
    public var retries: UInt64
    /// By the first digit of the status.
    public var answers: [Int: UInt64]
    /// Calls without an answer.
    public var failures: UInt64
    /// Calls that were not made, since the host is left alone or asked for a pause.
    public var withheld: UInt64
    /// Of the answers' bodies.
    public var bytes: UInt64
    /// Time in calls, all together.
    public var seconds: Double
    /// Whether calls go out to it now.
    public var isOpen: Bool

    public init(
        host: String, calls: UInt64, retries: UInt64, answers: [Int: UInt64], failures: UInt64, withheld: UInt64,
        bytes: UInt64, seconds: Double, isOpen: Bool
    ) {
        self.host = host
        self.calls = calls
        self.retries = retries
        self.answers = answers
        self.failures = failures
        self.withheld = withheld
        self.bytes = bytes
        self.seconds = seconds
        self.isOpen = isOpen
    }
}
