public import Base

/// The gate as it should be: its rules, and who stands in it.
///
/// Changes are made one by one and come out together, as one ``Change`` that makes the kernel's table follow.
public struct Gate: Sendable {
    public private(set) var plan: GatePlan
    /// What the plan makes; who comes in or goes does not change it.
    public private(set) var ruleset: Ruleset
    public private(set) var entries: [IPAddress: Entry] = [:]
    /// What was asked for each entry: its places follow from that and the plan.
    private var sites: [IPAddress: Set<String>] = [:]
    private var numbers: [String: UInt64]
    /// What the kernel has, as far as it differs: the entries before the first change, nil where there was none.
    private var before: [IPAddress: Entry?] = [:]
    private var rulesBefore: Ruleset?

    public init(_ plan: GatePlan) {
        self.plan = plan
        ruleset = Ruleset(gate: plan)
        numbers = plan.numbers
    }

    /// Where an address may go.
    public enum Place: Hashable, Sendable {
        /// Every site that there is. Most may, and this keeps them at one place however many sites there are.
        case everywhere
        /// One site, by its number (``GatePlan/numbers``).
        case site(UInt64)
    }

    /// One address that may pass.
    public struct Entry: Hashable, Sendable {
        public var address: IPAddress
        public var places: Set<Place>
        /// When the kernel lets it go by itself.
        public var until: Tick

        public init(address: IPAddress, places: Set<Place>, until: Tick) {
            self.address = address
            self.places = places
            self.until = until
        }
    }

    /// How an address stands in the kernel.
    public struct Standing: Hashable, Sendable {
        public var places: Set<Place>
        /// Whether it stands both among those who may send and among those who may receive.
        public var isWhole: Bool

        public init(places: Set<Place> = [], isWhole: Bool) {
            self.places = places
            self.isWhole = isWhole
        }
    }

    /// What changes in the kernel, all in one transaction.
    public struct Change: Hashable, Sendable {
        public var rules: RulesetDifference?
        /// Entries that go, as they stand; also those that stand again in ``added`` with something else.
        public var removed: [Entry] = []
        public var added: [Entry] = []

        public init(rules: RulesetDifference? = nil, removed: [Entry] = [], added: [Entry] = []) {
            self.rules = rules
            self.removed = removed
            self.added = added
        }

        public var isEmpty: Bool { rules == nil && removed.isEmpty && added.isEmpty }
    }

    /// Lets an address reach these sites and no others.
    public mutating func put(_ address: IPAddress, reaching sites: Set<String>, until: Tick) {
        touch(address)
        self.sites[address] = sites
        entries[address] = Entry(address: address, places: places(of: sites), until: until)
    }

    /// Lets an address reach nothing.
    public mutating func remove(_ address: IPAddress) {
        touch(address)
        sites[address] = nil
        entries[address] = nil
    }

    /// Puts another plan in force.
    public mutating func use(_ plan: GatePlan) {
        guard plan != self.plan else { return }
        self.plan = plan
        rulesBefore = rulesBefore ?? ruleset
        ruleset = Ruleset(gate: plan)
        let numbers = plan.numbers
        guard numbers != self.numbers else { return }
        self.numbers = numbers
        // Every site is another set of sites now.
        for (address, entry) in entries {
            let places = places(of: sites[address] ?? [])
            guard places != entry.places else { continue }
            touch(address)
            entries[address]?.places = places
        }
    }

    /// All that has changed since this was last asked.
    public mutating func takeChange() -> Change {
        var change = Change()
        for (address, old) in before where entries[address] != old {
            if let old { change.removed.append(old) }
            if let new = entries[address] { change.added.append(new) }
        }
        if let rulesBefore {
            let difference = RulesetDifference(from: rulesBefore, to: ruleset)
            if !difference.isEmpty { change.rules = difference }
        }
        before = [:]
        rulesBefore = nil
        return change
    }

    /// The places that there are, for a look at who stands where.
    public var places: [Place] { [.everywhere] + numbers.values.sorted().map(Place.site) }

    /// What makes a table with these rules, in which these addresses stand so, the one that should be.
    ///
    /// - Parameter renewed: addresses whose entries are written anew, however they stand: their time may be another now.
    public func difference(
        from standing: [IPAddress: Standing], renewing renewed: Set<IPAddress> = []
    ) -> Change {
        var change = Change()
        func isRight(_ entry: Entry, _ standing: Standing?) -> Bool {
            standing?.isWhole == true && standing?.places == entry.places && !renewed.contains(entry.address)
        }
        for (address, found) in standing where entries[address].map({ !isRight($0, found) }) ?? true {
            change.removed.append(Entry(address: address, places: found.places, until: .zero))
        }
        for (address, entry) in entries where !isRight(entry, standing[address]) { change.added.append(entry) }
        return change
    }

    private func places(of sites: Set<String>) -> Set<Place> {
        if !numbers.isEmpty, numbers.keys.allSatisfy(sites.contains) { return [.everywhere] }
        return Set(sites.compactMap { numbers[$0].map(Place.site) })
    }

    private mutating func touch(_ address: IPAddress) {
        if before[address] == nil { before[address] = .some(entries[address]) }
    }
}
