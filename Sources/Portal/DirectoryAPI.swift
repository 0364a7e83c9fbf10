public import Access
public import Base
public import Identity

/// What the control socket can ask of directories. Part of ``GatewayAPI``, whose rules hold.
public protocol DirectoryAPI: Sendable {
    /// All directories, in the administrator's order, without their secrets.
    func directories() async throws -> [DirectoryStatus]

    /// Stores a directory, a new one or in the place of one. Without its secret it keeps the one that is stored; a group
    /// without an ID is looked up in the directory by its name.
    func saveDirectory(_ directory: Directory, replacing: Bool, caller: Caller) async throws -> DirectoryStatus

    /// Removes a directory. Users whom no other directory has are disabled, unless they are to stay as they are.
    func removeDirectory(id: String, keepsUsers: Bool, caller: Caller) async throws

    /// The groups that a directory has, asked for at this moment.
    func groups(ofDirectory id: String) async throws -> [Directory.ChosenGroup]

    /// Begins to read a directory to see who would come and go; ``DirectoryStatus/done`` says when that is over.
    func beginPreview(ofDirectory id: String, caller: Caller) async throws -> DirectoryStatus

    /// Begins a synchronisation.
    ///
    /// - Parameters:
    ///   - isFull: reads everything, whatever was read before.
    ///   - isConfirmed: agrees to what a synchronisation would ask about.
    func beginSync(
        ofDirectory id: String, isFull: Bool, isConfirmed: Bool, caller: Caller
    ) async throws -> DirectoryStatus

    /// What the last preview of a directory showed.
    func preview(ofDirectory id: String) async throws -> DirectoryPreview

    /// What programs on the customer's side sign in with.
    func apiAccesses() async throws -> [APIAccessStatus]

    /// Makes an access. Its secret is in this answer and nowhere else.
    func addAPIAccess(_ order: APIAccessOrder, caller: Caller) async throws -> APIAccessGrant

    func removeAPIAccess(id: String, caller: Caller) async throws

    /// What an access was used for, newest first.
    func log(ofAPIAccess id: String, limit: Int) async throws -> [APIAccessLine]
}

/// An API access, without its secret.
public struct APIAccessStatus: Codable, Hashable, Sendable {
    public var id: String
    public var title: String
    /// `active-directory` or `custom`.
    public var type: String
    public var clientID: String
    public var createdAt: WallTime
    public var lastUsedAt: WallTime?

    public init(id: String, title: String, type: String, clientID: String, createdAt: WallTime, lastUsedAt: WallTime?) {
        self.id = id
        self.title = title
        self.type = type
        self.clientID = clientID
        self.createdAt = createdAt
        self.lastUsedAt = lastUsedAt
    }
}

/// An API access to make.
public struct APIAccessOrder: Codable, Hashable, Sendable {
    public var id: String
    public var title: String
    public var type: String

    public init(id: String, title: String, type: String) {
        self.id = id
        self.title = title
        self.type = type
    }
}

/// An API access that was just made.
public struct APIAccessGrant: Codable, Hashable, Sendable {
    public var access: APIAccessStatus
    /// Shown once: it is stored as a hash alone.
    public var clientSecret: String
    /// Where the agent signs in; nil when the boot file has no sign-in pages.
    public var gateway: String?

    public init(access: APIAccessStatus, clientSecret: String, gateway: String?) {
        self.access = access
        self.clientSecret = clientSecret
        self.gateway = gateway
    }
}

/// One thing that was done with an API access.
public struct APIAccessLine: Codable, Hashable, Sendable {
    public var number: Int64
    public var time: WallTime
    public var type: String
    public var details: String

    public init(number: Int64, time: WallTime, type: String, details: String) {
        self.number = number
        self.time = time
        self.type = type
        self.details = details
    }
}

/// A directory as it stands.
public struct DirectoryStatus: Codable, Hashable, Sendable {
    /// Without its secret.
    public var directory: Directory
    public var isBusy: Bool
    /// Orders that were given and that are done: what was begun is over when `done` has reached its `asked`.
    public var asked: Int
    public var done: Int
    /// Why the last order failed; nil when it did not.
    public var lastRefusal: String?
    public var lastAttemptAt: WallTime?
    public var lastSyncAt: WallTime?
    public var lastFullAt: WallTime?
    public var nextAt: WallTime?
    /// People and groups that the directory holds, and users here who are from it.
    public var people: Int
    public var groups: Int
    public var users: Int
    /// Of the last synchronisation.
    public var added: Int
    public var changed: Int
    public var disabled: Int
    public var requests: Int
    public var seconds: Double
    public var lastError: String?
    /// What an administrator must agree to before anything is done.
    public var question: String?
    public var secretEndsAt: WallTime?
    /// What an administrator should know, in sentences.
    public var warnings: [String]

    public init(
        directory: Directory, isBusy: Bool = false, asked: Int = 0, done: Int = 0, people: Int = 0, groups: Int = 0,
        users: Int = 0, added: Int = 0, changed: Int = 0, disabled: Int = 0, requests: Int = 0, seconds: Double = 0,
        warnings: [String] = []
    ) {
        self.directory = directory
        self.isBusy = isBusy
        self.asked = asked
        self.done = done
        self.people = people
        self.groups = groups
        self.users = users
        self.added = added
        self.changed = changed
        self.disabled = disabled
        self.requests = requests
        self.seconds = seconds
        self.warnings = warnings
    }
}

/// Who would come and go.
public struct DirectoryPreview: Codable, Hashable, Sendable {
    /// Users whom the directory has here at this moment.
    public var users: Int
    public var added: Int
    public var changed: Int
    public var enabled: Int
    public var disabled: Int
    /// Who leaves it, and stays because another directory has them.
    public var left: Int
    /// What a synchronisation would ask; nil when it would just do it.
    public var question: String?
    public var warnings: [String]
    public var requests: Int
    /// Those who go first, then those who come; ``itemLimit`` of them at most.
    public var items: [DirectoryPlan.Item]
    public static let itemLimit = DirectoryPlan.itemLimit

    public init(_ plan: DirectoryPlan, requests: Int) {
        users = plan.held
        added = plan.count(.add)
        changed = plan.count(.change)
        enabled = plan.count(.enable)
        disabled = plan.count(.disable)
        left = plan.count(.leave)
        question = plan.question
        warnings = plan.warnings
        self.requests = requests
        items = plan.items
    }
}
