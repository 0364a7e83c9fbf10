public import Access
public import Base
public import Tunnels
public import Vendors

/// What the sockets can ask of endpoint protection platforms and their endpoints. Part of ``GatewayAPI``, whose rules hold.
public protocol EndpointAPI: Sendable {
    /// All connections and how they are, in the order in which they were added, without their keys.
    func endpointSources() async throws -> [EndpointSourceStatus]

    /// Stores a connection, a new one or in the place of one. Without its key it keeps the one that is stored.
    func saveEndpointSource(
        _ connection: EndpointConnection, replacing: Bool, caller: Caller
    ) async throws -> EndpointSourceStatus

    /// Removes a connection and what was had from it.
    func removeEndpointSource(id: String, caller: Caller) async throws

    /// Asks the platform whether it knows us and what it says, call by call; stores nothing.
    ///
    /// - Parameter showsRecords: with one record of each call as the platform sends it.
    func testEndpointSource(id: String, showsRecords: Bool) async throws -> EndpointSourceTest

    /// Asks for everything anew, and waits for it.
    ///
    /// - Parameter acceptsLoss: believes a listing that has lost many endpoints.
    func syncEndpointSource(id: String, acceptsLoss: Bool, caller: Caller) async throws -> EndpointSourceStatus

    /// Endpoints as they were last had.
    ///
    /// - Parameters:
    ///   - source: of that connection alone.
    ///   - search: with that in their name, ID, user, MAC or address.
    func endpoints(source: String?, search: String?, limit: Int) async throws -> EndpointListing
}

/// A connection to an endpoint protection platform, and how it is.
public struct EndpointSourceStatus: Hashable, Codable, Sendable {
    public enum State: String, Hashable, Codable, Sendable {
        /// Nothing was had yet.
        case starting
        case ok
        /// It does not answer as it should; what was had last holds for a while.
        case failing
        /// Somebody must do something.
        case needsAttention = "needs-attention"
        case disabled
    }

    /// One of its calls.
    public struct Call: Hashable, Codable, Sendable {
        public var name: String
        /// When it was last answered in full; nil for never.
        public var answeredAt: WallTime?
        public var everySeconds: Int
        /// Why it was not answered last time.
        public var lastError: String?

        public init(name: String, answeredAt: WallTime?, everySeconds: Int, lastError: String?) {
            self.name = name
            self.answeredAt = answeredAt
            self.everySeconds = everySeconds
            self.lastError = lastError
        }
    }

    /// Without its key.
    public var connection: EndpointConnection
    /// What the platform is called.
    public var title: String
    public var state: State
    public var since: WallTime?
    public var endpoints: Int
    /// When the inventory was last whole.
    public var completedAt: WallTime?
    public var calls: [Call]
    public var lastError: String?
    /// A listing that was not believed: how many endpoints there were, and how many it had.
    public var lostFrom: Int?
    public var lostTo: Int?
    public var keyEndsAt: WallTime?
    /// That the key ends soon, or what else an administrator should know, in sentences.
    public var warnings: [String]
    /// `closed`, or why the host is left alone.
    public var circuit: String
    /// What it can say of an endpoint.
    public var attributes: [PostureAttribute]
    public var notes: [String]

    public init(
        connection: EndpointConnection, title: String, state: State, since: WallTime? = nil, endpoints: Int = 0,
        completedAt: WallTime? = nil, calls: [Call] = [], lastError: String? = nil, keyEndsAt: WallTime? = nil,
        warnings: [String] = [], circuit: String = "closed", attributes: [PostureAttribute] = [], notes: [String] = []
    ) {
        self.connection = connection
        self.title = title
        self.state = state
        self.since = since
        self.endpoints = endpoints
        self.completedAt = completedAt
        self.calls = calls
        self.lastError = lastError
        self.keyEndsAt = keyEndsAt
        self.warnings = warnings
        self.circuit = circuit
        self.attributes = attributes
        self.notes = notes
    }
}

/// What a platform had to say when it was asked.
public struct EndpointSourceTest: Hashable, Codable, Sendable {
    public var findings: [Finding]
    /// By call: one record as it came, in JSON.
    public var records: [String: String]

    public init(findings: [Finding], records: [String: String] = [:]) {
        self.findings = findings
        self.records = records
    }

    public var isGood: Bool { !findings.contains { $0.state == .failed } }
}

/// Endpoints, and how many there are in all.
public struct EndpointListing: Hashable, Codable, Sendable {
    public var total: Int
    public var endpoints: [EndpointStatus]

    public init(total: Int, endpoints: [EndpointStatus]) {
        self.total = total
        self.endpoints = endpoints
    }
}

/// One endpoint, and what is known of it at this moment.
public struct EndpointStatus: Hashable, Codable, Sendable {
    public struct Attribute: Hashable, Codable, Sendable {
        public var attribute: PostureAttribute
        /// Such as `no`, `Windows 11 Pro 22631`; nil where it is missing.
        public var value: String?
        /// Why it is missing: a word of ``PostureOutcome/Missing``, or `notSupported`.
        public var missing: String?
        /// What a healthy device has; nil where that is a matter of policy.
        public var isGood: Bool?
        public var observedAt: WallTime?
        /// The platform's own word.
        public var raw: String?
        public var note: String?
    }

    public var source: String
    public var id: String
    public var hostName: String?
    public var macs: [MACAddress]
    public var addresses: [IPAddress]
    public var lastUser: String?
    public var seenAt: WallTime?
    public var fetchedAt: WallTime
    public var attributes: [Attribute]

    public init(_ record: EndpointRecord, of source: PostureSource, now: WallTime) {
        self.source = record.source
        id = record.id
        hostName = record.hostName
        macs = record.macs
        addresses = record.addresses
        lastUser = record.lastUser
        seenAt = record.seenAt
        fetchedAt = max(record.fetchedAt, source.completedAt ?? record.fetchedAt)
        attributes = PostureAttribute.allCases.map { attribute in
            let fact = record.facts[attribute]
            var result = Attribute(attribute: attribute, raw: fact?.raw, note: fact?.note)
            switch record.outcome(attribute, of: source, now: now).outcome {
            case .value(let value, let time):
                result.value = value.description
                result.observedAt = time
                if case .flag(let flag) = value { result.isGood = attribute.goodFlag.map { $0 == flag } }
            case .unknown(let missing): result.missing = missing.rawValue
            case .notSupported: result.missing = "notSupported"
            }
            return result
        }
    }
}
