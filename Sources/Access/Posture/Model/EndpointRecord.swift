public import Base

/// Which device of which source.
public struct EndpointKey: Hashable, Codable, Sendable {
    /// The name of the connection to an endpoint protection platform.
    public var source: String
    /// The vendor's ID of the device.
    public var id: String

    public init(source: String, id: String) {
        self.source = source
        self.id = id
    }
}

extension EndpointKey: LosslessStringConvertible {
    /// `source/id`. A source's name has no slash.
    public init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/"), slash > text.startIndex else { return nil }
        self.init(source: String(text[..<slash]), id: String(text[text.index(after: slash)...]))
        guard !id.isEmpty else { return nil }
    }

    public var description: String { "\(source)/\(id)" }
}

/// One device as an endpoint protection platform knows it.
public struct EndpointRecord: Hashable, Codable, Sendable {
    public var key: EndpointKey
    /// The kind of platform, such as `sentinelone`.
    public var vendor: String
    /// Without a domain, as the vendor writes it.
    public var hostName: String?
    public var macs: [MACAddress]
    public var addresses: [IPAddress]
    /// When the source last saw the device, and so the addresses; nil where it does not say.
    public var seenAt: WallTime?
    /// Who signed in on the device last, as the vendor writes it: an e-mail address, `DOMAIN\name` or a name.
    public var lastUser: String?
    /// What the source says or cannot say. An attribute that stands here not is `noData`.
    public var facts: [PostureAttribute: PostureFact]
    /// When we had this from the source.
    public var fetchedAt: WallTime

    public init(
        key: EndpointKey, vendor: String, hostName: String? = nil, macs: [MACAddress] = [],
        addresses: [IPAddress] = [], seenAt: WallTime? = nil, lastUser: String? = nil,
        facts: [PostureAttribute: PostureFact] = [:], fetchedAt: WallTime
    ) {
        self.key = key
        self.vendor = vendor
        self.hostName = hostName
        self.macs = macs
        self.addresses = addresses
        self.seenAt = seenAt
        self.lastUser = lastUser
        self.facts = facts
        self.fetchedAt = fetchedAt
    }

    public var source: String { key.source }
    public var id: String { key.id }
}

/// A connection to an endpoint protection platform, as far as decisions depend on it.
public struct PostureSource: Hashable, Codable, Sendable {
    /// The name of the connection.
    public var name: String
    /// The kind of platform.
    public var vendor: String
    /// What it can ever say.
    public var supports: Set<PostureAttribute>
    /// When the last complete inventory was asked for; nil before the first. All records of the source are as of then,
    /// or of their own ``EndpointRecord/fetchedAt`` where that is later.
    public var completedAt: WallTime?
    /// How long, in seconds, an answer holds after it was fetched.
    public var staleSeconds: Int
    /// Seconds that a value holds after it was observed, where that is not ``PostureAttribute/maximumAgeSeconds``.
    public var maximumAges: [PostureAttribute: Int]
    /// What keeps it from answering, in a sentence; nil when all is well.
    public var problem: String?

    public init(
        name: String, vendor: String, supports: Set<PostureAttribute>, completedAt: WallTime? = nil,
        staleSeconds: Int = 3600, maximumAges: [PostureAttribute: Int] = [:], problem: String? = nil
    ) {
        self.name = name
        self.vendor = vendor
        self.supports = supports
        self.completedAt = completedAt
        self.staleSeconds = staleSeconds
        self.maximumAges = maximumAges
        self.problem = problem
    }

    public func maximumAgeSeconds(_ attribute: PostureAttribute) -> Int {
        maximumAges[attribute] ?? attribute.maximumAgeSeconds
    }
}

/// What the mirror of endpoints tells those who decide by it, after it is stored.
public enum InventoryChange: Hashable, Sendable {
    /// The source is new or another than before: a refresh was complete, a problem came or went.
    case source(PostureSource)
    /// The source is gone, and its records with it.
    case sourceRemoved(String)
    /// Records that are new or differ in anything but ``EndpointRecord/fetchedAt``.
    case changed([EndpointRecord])
    case removed([EndpointKey])
}
