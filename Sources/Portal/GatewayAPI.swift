public import Tunnels

/// What the two sockets can ask of the gateway. `Gateway` implements it; tests put a fake in its place.
///
/// Reading never fails and never waits for the network. Control methods throw ``APIError`` to say what a caller did
/// wrong; any other error is answered as an internal one. A method that changes something returns after the change is
/// in the store and in the audit trail under its `caller`, not after the tunnels have followed.
public protocol GatewayAPI: AccessAPI, DirectoryAPI, EndpointAPI, IdentityAPI, PolicyAPI {
    // MARK: Reading

    /// The gateway and every tunnel of every connector, disabled ones too, in the connectors' order.
    func status() async -> GatewayStatus

    /// Counters for Prometheus. They only rise while the daemon lives.
    func counters() async -> GatewayCounters

    /// Events numbered above `after` that are still kept, oldest first, then new ones as they happen; only new ones
    /// when `after` is nil. The stream is bounded: it ends when its reader falls too far behind, and when the gateway
    /// stops.
    func events(after: UInt64?) async -> AsyncStream<GatewayEvent>

    /// The newest events, at most `limit`, oldest first.
    func recentEvents(limit: Int) async -> [GatewayEvent]

    /// What is wrong with the gateway itself, beside tunnels that are down: one sentence each, empty when nothing is.
    func problems() async -> [String]

    // MARK: Control

    /// All connectors, in a stable order.
    func connectors() async throws -> [Connector]

    /// One connector whose secrets the caller is about to see: the audit trail says so.
    func revealedConnector(id: String, caller: Caller) async throws -> Connector

    /// Everything that defines the site.
    ///
    /// - Parameter isRevealing: the caller is about to see the secrets: the audit trail says so.
    func site(isRevealing: Bool, caller: Caller) async throws -> SiteSnapshot

    /// Puts a site in the place of the stored one, all or nothing; what does not differ is not touched.
    ///
    /// - Parameters:
    ///   - keepsOthers: leaves connectors and settings that the order does not name.
    ///   - version: refuses with 409 unless the stored site is of this version; nil takes any.
    ///   - isDryRun: answers with the difference and changes nothing.
    func applySite(
        _ order: SiteOrder, keepsOthers: Bool, against version: String?, isDryRun: Bool, caller: Caller
    ) async throws -> SiteResult

    /// Reads an AWS VPN file and, unless `request.isDryRun`, stores its connector in one transaction. A file that
    /// changes nothing in the connector that it made before stores nothing.
    func importAWS(file: [UInt8], request: ImportRequest, caller: Caller) async throws -> ImportResult

    /// What storing a connector would change, without storing it. Empty pre-shared keys are those that are stored.
    func previewConnector(_ connector: Connector) async throws -> ConnectorPreview

    /// Stores a new connector. An ID that is taken is refused with 409, unless `replacing`; then an empty pre-shared
    /// key keeps the one that is stored.
    func addConnector(_ connector: Connector, replacing: Bool, caller: Caller) async throws

    func removeConnector(id: String, caller: Caller) async throws

    func setEnabled(id: String, _ isEnabled: Bool, caller: Caller) async throws

    /// Rekeys one tunnel, or every tunnel of a connector.
    ///
    /// - Parameter subject: the name of a tunnel or the ID of a connector.
    /// - Returns: the names of the tunnels that are being rekeyed.
    func rekey(_ subject: String, phase: RekeyPhase, caller: Caller) async throws -> [String]

    /// Deletes the SAs of a tunnel (or of a connector's tunnels) and brings it up anew.
    ///
    /// - Returns: the names of the tunnels that are being restarted.
    func restart(_ subject: String, caller: Caller) async throws -> [String]

    /// Checks of this host: what it lacks and how to mend it.
    func doctor() async throws -> [Finding]

    /// The newest entries of the audit trail, at most `limit`, newest first.
    func audit(limit: Int) async throws -> [AuditRecord]

    /// Reads the stored connectors and settings again.
    func reload(caller: Caller) async throws

    /// Why one tunnel, or every tunnel of a connector, is as it is.
    ///
    /// - Parameter subject: the name of a tunnel or the ID of a connector.
    /// - Returns: one explanation a tunnel, in the connector's order; never empty.
    func explain(_ subject: String) async throws -> [Explanation]
}

/// What storing a connector would do.
public struct ConnectorPreview: Hashable, Codable, Sendable {
    /// True when a connector with this ID is stored.
    public var isKnown: Bool
    /// One line a change in the stored one; empty for a new one.
    public var changes: [String]
    /// Tunnels that go down and come up anew by it.
    public var restarts: [String]

    public init(isKnown: Bool, changes: [String], restarts: [String]) {
        self.isKnown = isKnown
        self.changes = changes
        self.restarts = restarts
    }

    /// What a definition that has all its keys changes in the stored one.
    public init(of connector: Connector, stored: Connector?) {
        isKnown = stored != nil
        guard let stored else {
            (changes, restarts) = ([], [])
            return
        }
        let difference = ConnectorDifference(from: stored, to: connector)
        var changes = difference.changes
        if stored.isEnabled != connector.isEnabled { changes.append(connector.isEnabled ? "enabled" : "disabled") }
        if stored.source != connector.source { changes.append("another source of the definition") }
        self.changes = changes
        restarts = stored.isEnabled && connector.isEnabled ? difference.restarts : []
    }
}

/// Who asks, as the kernel says of the other end of the socket (`SO_PEERCRED`).
public struct Caller: Hashable, Codable, Sendable {
    public var uid: UInt32
    /// Zero when the process is in a PID namespace that we do not see.
    public var pid: Int32
    /// The name of the user, or nil for a uid that has none here.
    public var name: String?

    public init(uid: UInt32, pid: Int32, name: String?) {
        self.uid = uid
        self.pid = pid
        self.name = name
    }

    /// `root (uid 0)` or `uid 1000`, for the audit trail.
    public var description: String { name.map { "\($0) (uid \(uid))" } ?? "uid \(uid)" }
}

extension Caller: CustomStringConvertible {}

/// A refusal in words: the body of every HTTP answer that is not a success, as `{"error":{…}}`.
public struct APIError: Error, Hashable, Codable, Sendable {
    /// The HTTP status, 400 to 599.
    public var status: Int
    /// A word for programs, such as `not-found`.
    public var code: String
    /// One or two sentences for a person: what is wrong and what to do. Never a secret.
    public var message: String

    public init(status: Int, code: String, message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// 404: there is no such connector, tunnel or path.
    public static func notFound(_ message: String) -> APIError {
        APIError(status: 404, code: "not-found", message: message)
    }

    /// 409: it exists already, or is in a state that does not allow it.
    public static func conflict(_ message: String) -> APIError {
        APIError(status: 409, code: "conflict", message: message)
    }

    /// 422: the request was read and its content cannot be used, such as a file that is no AWS VPN file.
    public static func invalid(_ message: String) -> APIError {
        APIError(status: 422, code: "invalid", message: message)
    }

    /// 400: the request itself is malformed.
    public static func badRequest(_ message: String) -> APIError {
        APIError(status: 400, code: "bad-request", message: message)
    }

    /// 500: our own fault.
    public static func `internal`(_ message: String) -> APIError {
        APIError(status: 500, code: "internal", message: message)
    }

    /// 503: the gateway cannot do it now, such as while it stops.
    public static func unavailable(_ message: String) -> APIError {
        APIError(status: 503, code: "unavailable", message: message)
    }
}

extension APIError: CustomStringConvertible {
    public var description: String { message }
}

/// The options that go with an AWS file.
public struct ImportRequest: Hashable, Codable, Sendable {
    /// The connector's name; nil takes the connection's ID.
    public var name: String?
    /// CIDRs on our side; empty takes what the file or AWS's default says.
    public var localNetworks: [String]
    /// CIDRs behind the tunnels, which AWS files with BGP do not name.
    public var remoteNetworks: [String]
    /// The address of ours to send from.
    public var localAddress: String?
    /// Which connection of a file that holds several.
    public var connection: String?
    /// Answer with the plan and change nothing.
    public var isDryRun: Bool
    /// Replace the connector that has the same ID.
    public var isReplacing: Bool

    public init(
        name: String? = nil, localNetworks: [String] = [], remoteNetworks: [String] = [], localAddress: String? = nil,
        connection: String? = nil, isDryRun: Bool = false, isReplacing: Bool = false
    ) {
        self.name = name
        self.localNetworks = localNetworks
        self.remoteNetworks = remoteNetworks
        self.localAddress = localAddress
        self.connection = connection
        self.isDryRun = isDryRun
        self.isReplacing = isReplacing
    }
}

/// What became of an import.
public struct ImportResult: Hashable, Codable, Sendable {
    /// The connector's ID.
    public var connector: String
    /// The names of its tunnels.
    public var tunnels: [String]
    /// What the administrator should know, one sentence each.
    public var warnings: [String]
    /// False after a dry run, and when nothing had changed.
    public var isStored: Bool
    /// A connector of this ID was there before.
    public var isKnown: Bool
    /// What the file changes in the connector that was there, one line each.
    public var changes: [String]

    public init(
        connector: String, tunnels: [String], warnings: [String], isStored: Bool, isKnown: Bool = false,
        changes: [String] = []
    ) {
        self.connector = connector
        self.tunnels = tunnels
        self.warnings = warnings
        self.isStored = isStored
        self.isKnown = isKnown
        self.changes = changes
    }
}

/// A site and what stands for it at the moment.
public struct SiteSnapshot: Hashable, Codable, Sendable {
    /// Changes whenever anything in the site does.
    public var version: String
    public var site: Site

    public init(version: String, site: Site) {
        self.version = version
        self.site = site
    }
}

/// What became of a site that was to be applied.
public struct SiteResult: Hashable, Codable, Sendable {
    /// Of the site that the difference was worked out against.
    public var version: String
    /// False after a dry run, and when nothing differed.
    public var isStored: Bool
    public var difference: SiteDifference

    public init(version: String, isStored: Bool, difference: SiteDifference) {
        self.version = version
        self.isStored = isStored
        self.difference = difference
    }
}

/// Which SAs to replace.
public enum RekeyPhase: String, Codable, Sendable, CaseIterable {
    /// Phase 1: the IKE SA.
    case ike
    /// Phase 2: the child SAs.
    case child
    case both
}
