public import Base

/// What sign-in policies rest on, and the sessions that they let in.
///
/// Facts come in and mark the sessions that they touch; the owner decides those anew (``takeTouched(now:)``,
/// ``decide(_:sites:now:)``, ``hold(_:_:_:now:)``). What a fact costs grows with the sessions that it touches.
public struct PolicyEngine: Sendable {
    public private(set) var rules = PolicyRules(PolicySet())
    public private(set) var directory = EndpointDirectory()
    public private(set) var leases = DHCPLeases()
    /// How sure it must be which device it is.
    public private(set) var leastMatch = MatchLevel.hostName
    /// The devices from which users have signed in, with the first time.
    private var devices: [String: [String: WallTime]] = [:]
    private var standings: [IPAddress: Standing] = [:]
    private var byEndpoint: [EndpointKey: Set<IPAddress>] = [:]
    private var byMAC: [MACAddress: Set<IPAddress>] = [:]
    private var byHostName: [String: Set<IPAddress>] = [:]
    private var byUser: [String: Set<IPAddress>] = [:]
    private var due = ExpiryQueue()
    private var touched: Set<IPAddress> = []

    /// One session, by what can touch it.
    private struct Standing: Sendable {
        /// Without the device.
        var circumstances: Circumstances
        var endpoints: [EndpointKey]
        var mac: MACAddress?
        var hostName: String?
        var userKeys: [String]
        var sources: [String]
        var isByDefault: Bool
    }

    public init() {}

    // MARK: - Decisions

    /// Somebody at an address, whom to decide about.
    public struct Subject: Sendable {
        public var user: User
        public var provider: String?
        public var address: IPAddress
        /// As the neighbour table says.
        public var mac: MACAddress?
        /// The devices of the sign-in, for a session that goes on.
        public var pinned: [EndpointKey]
        /// When the session began; nil for a sign-in.
        public var since: WallTime?

        public init(
            user: User, provider: String?, address: IPAddress, mac: MACAddress?, pinned: [EndpointKey] = [],
            since: WallTime? = nil
        ) {
            self.user = user
            self.provider = provider
            self.address = address
            self.mac = mac
            self.pinned = pinned
            self.since = since
        }
    }

    /// Decides about somebody who would like to reach some sites.
    public func decide(
        _ subject: Subject, sites: Set<String>, now: WallTime
    ) -> (decision: PolicyDecision, circumstances: Circumstances) {
        let circumstances = circumstances(of: subject, now: now)
        return (rules.decide(circumstances, sites: sites, now: now), circumstances)
    }

    /// All that is known of somebody at an address.
    public func circumstances(of subject: Subject, now: WallTime) -> Circumstances {
        let place = whereabouts(
            subject.address, mac: subject.mac, user: subject.user.email, pinned: subject.pinned, now: now)
        let device = directory.facts(of: place, least: leastMatch, now: now)
        return Circumstances(
            user: subject.user.email, groups: subject.user.groups, tags: subject.user.tags,
            provider: subject.provider, address: subject.address, device: device,
            isNewDevice: isNew(
                Self.deviceNames(device, mac: place.mac), to: subject.user.email, before: subject.since ?? now))
    }

    /// Where someone is, with what the DHCP server says.
    public func whereabouts(
        _ address: IPAddress, mac: MACAddress?, user: String?, pinned: [EndpointKey] = [], now: WallTime
    ) -> Whereabouts {
        let lease = leases.lease(of: address, now: now)
        // A lease that names another card is not about who is there now.
        let isTheirs = mac == nil || lease?.mac == nil || lease?.mac == mac
        return Whereabouts(
            address: address, mac: mac ?? lease?.mac, hostName: isTheirs ? lease?.hostName : nil, user: user,
            pinned: pinned)
    }

    // MARK: - Devices that were seen before

    /// By what a device is told from others: the sources' IDs and its card.
    public static func deviceNames(_ device: DeviceFacts, mac: MACAddress?) -> [String] {
        device.endpoints.map(\.description) + (mac.map { ["mac/\($0)"] } ?? [])
    }

    /// Keeps from which devices a user has signed in; what is known already keeps its time.
    ///
    /// - Returns: those that are new, to be stored.
    public mutating func remember(_ names: [String], of user: String, at time: WallTime) -> [String] {
        names.filter { name in
            guard devices[user]?[name] == nil else { return false }
            devices[user, default: [:]][name] = time
            return true
        }
    }

    /// Takes up what was stored.
    public mutating func restore(devices stored: [(user: String, device: String, firstSeenAt: WallTime)]) {
        for entry in stored { devices[entry.user, default: [:]][entry.device] = entry.firstSeenAt }
    }

    public mutating func forgetDevices(of user: String) { devices[user] = nil }

    private func isNew(_ names: [String], to user: String, before time: WallTime) -> Bool {
        guard let known = devices[user] else { return true }
        return !names.contains { name in known[name].map { $0 < time } ?? false }
    }

    // MARK: - Sessions

    /// Keeps what a session's decision rests on.
    ///
    /// - Parameter pinned: the devices of its sign-in, which may be among those that are found or come to be again.
    public mutating func hold(
        _ address: IPAddress, _ decision: PolicyDecision, _ circumstances: Circumstances, mac: MACAddress?,
        pinned: [EndpointKey], now: Moment
    ) {
        drop(address)
        let place = whereabouts(address, mac: mac, user: circumstances.user, now: now.wall)
        var basis = circumstances
        basis.device = DeviceFacts()
        let standing = Standing(
            circumstances: basis, endpoints: Array(Set(circumstances.device.endpoints + pinned)), mac: place.mac, hostName: place.hostName,
            userKeys: EndpointDirectory.userKeys(ofEmail: circumstances.user),
            sources: circumstances.device.sources.map(\.source.name),
            isByDefault: decision.rulings.contains { $0.policy == nil })
        standings[address] = standing
        for key in standing.endpoints { byEndpoint[key, default: []].insert(address) }
        if let mac = standing.mac { byMAC[mac, default: []].insert(address) }
        if let name = standing.hostName { byHostName[EndpointDirectory.hostKey(name), default: []].insert(address) }
        for user in standing.userKeys { byUser[user, default: []].insert(address) }
        if let until = decision.until {
            let left = Tick.Span(nanoseconds: max(0, until.nanoseconds &- now.wall.nanoseconds))
            due.set(address, now.tick + left)
        }
    }

    /// Forgets a session.
    public mutating func drop(_ address: IPAddress) {
        due.remove(address)
        guard let standing = standings.removeValue(forKey: address) else { return }
        func take<Word: Hashable>(_ word: Word, from index: inout [Word: Set<IPAddress>]) {
            index[word]?.remove(address)
            if index[word]?.isEmpty == true { index[word] = nil }
        }
        for key in standing.endpoints { take(key, from: &byEndpoint) }
        if let mac = standing.mac { take(mac, from: &byMAC) }
        if let name = standing.hostName { take(EndpointDirectory.hostKey(name), from: &byHostName) }
        for user in standing.userKeys { take(user, from: &byUser) }
    }

    /// The endpoints that sessions rest on.
    public var watchedEndpoints: Set<EndpointKey> { Set(byEndpoint.keys) }

    /// The sessions whose decision must be made anew: a fact has changed, or its time is over.
    public mutating func takeTouched(now: Tick) -> Set<IPAddress> {
        while let address = due.popDue(now) { touched.insert(address) }
        defer { touched = [] }
        return touched
    }

    /// When a decision's time is over.
    public var deadline: Deadline? { due.first.map { Deadline($0, "a decision of the policies is over") } }

    // MARK: - Facts

    /// A user's teams or tags are others.
    public mutating func touch(user email: String) { touched.formUnion(byUser[email.lowercased()] ?? []) }

    /// Something about an address is another, such as its card.
    public mutating func touch(_ address: IPAddress) { touched.insert(address) }

    /// Everything may be another: the sites, for instance.
    public mutating func touchAll() { touched.formUnion(standings.keys) }

    public mutating func receive(_ change: InventoryChange, now: WallTime) {
        switch change {
        case .source(let new):
            let old = directory.sources[new.name]
            _ = directory.receive(change)
            // A refresh that says what was known moves nothing but the time when it grows old, which is found out then.
            guard !Self.isSame(old, new, now: now) else { return }
            for (address, standing) in standings where old == nil || standing.sources.contains(new.name) {
                touched.insert(address)
            }
        case .sourceRemoved(let name):
            _ = directory.receive(change)
            for (address, standing) in standings where standing.sources.contains(name) { touched.insert(address) }
        case .changed, .removed:
            for record in directory.receive(change) { touch(record) }
        }
    }

    private static func isSame(_ old: PostureSource?, _ new: PostureSource, now: WallTime) -> Bool {
        guard let old, old.supports == new.supports, old.maximumAges == new.maximumAges,
            old.staleSeconds == new.staleSeconds
        else { return false }
        func holds(_ source: PostureSource) -> Bool {
            source.completedAt.map { $0 + .seconds(source.staleSeconds) > now } ?? false
        }
        return holds(old) == holds(new)
    }

    private mutating func touch(_ record: EndpointRecord) {
        if let some = byEndpoint[record.key] { touched.formUnion(some) }
        for mac in record.macs { if let some = byMAC[mac] { touched.formUnion(some) } }
        for address in record.addresses where standings[address] != nil { touched.insert(address) }
        if let name = record.hostName, let some = byHostName[EndpointDirectory.hostKey(name)] {
            touched.formUnion(some)
        }
        if let user = record.lastUser, let some = byUser[EndpointDirectory.userKey(ofAccount: user)] {
            touched.formUnion(some)
        }
    }

    /// Another state of the DHCP server's leases.
    public mutating func use(_ new: DHCPLeases) {
        guard new != leases else { return }
        for address in standings.keys where leases.byAddress[address] != new.byAddress[address] {
            touched.insert(address)
        }
        leases = new
    }

    public mutating func use(leastMatch: MatchLevel) {
        guard leastMatch != self.leastMatch else { return }
        self.leastMatch = leastMatch
        touchAll()
    }

    /// Other policies. The sessions of those for whom none of what differs is meant are not touched.
    public mutating func use(_ new: PolicyRules) {
        let old = rules
        rules = new
        let names = Self.changedPolicies(old.set, new.set)
        let isDefaultChanged = old.set.defaultAction != new.set.defaultAction
        guard !names.isEmpty || isDefaultChanged else { return }
        let (before, after) = (old.places(of: names), new.places(of: names))
        for (address, standing) in standings {
            let isMeant =
                old.isAny(of: before, for: standing.circumstances) || new.isAny(of: after, for: standing.circumstances)
            if isMeant || (isDefaultChanged && standing.isByDefault) { touched.insert(address) }
        }
    }

    /// The policies that are others, stand elsewhere, or rest on something that is another.
    static func changedPolicies(_ old: PolicySet, _ new: PolicySet) -> Set<String> {
        func changed<Thing: Equatable>(_ old: [Thing], _ new: [Thing], _ name: (Thing) -> String) -> Set<String> {
            let before = Dictionary(old.map { (name($0), $0) }) { first, _ in first }
            let after = Dictionary(new.map { (name($0), $0) }) { first, _ in first }
            return Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
        }
        let checks = changed(old.checks, new.checks, \.name)
        var behaviours = changed(old.behaviours, new.behaviours, \.name)
        for behaviour in old.behaviours + new.behaviours {
            if case .posture(let names, _) = behaviour.trigger, names.contains(where: checks.contains) {
                behaviours.insert(behaviour.name)
            }
        }
        var policies = changed(old.policies, new.policies, \.name)
        for policy in old.policies + new.policies where policy.behaviours.contains(where: behaviours.contains) {
            policies.insert(policy.name)
        }
        let (before, after) = (Set(old.policies.map(\.name)), Set(new.policies.map(\.name)))
        let order = zip(old.policies.map(\.name).filter(after.contains), new.policies.map(\.name).filter(before.contains))
        for (was, now) in order where was != now { policies.formUnion([was, now]) }
        return policies
    }
}
