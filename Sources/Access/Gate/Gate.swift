public import Base

/// The gate as it should be: its rules, and who stands in it.
///
/// Changes are made one by one and come out together, as one ``Change`` that makes the kernel's table follow.
public struct Gate: Sendable {
    public private(set) var plan: GatePlan
    public private(set) var ruleset: Ruleset
    public private(set) var entries: [IPAddress: Entry] = [:]
    /// The combinations of sites in use, by number. The number comes from the sites, so that after a restart the same
    /// sessions make the same rules.
    private var reaches: [UInt64: Set<String>] = [:]
    private var numbers: [Set<String>: UInt64] = [:]
    /// What the kernel has, as far as it differs: the entries before the first change, nil where there was none.
    private var before: [IPAddress: Entry?] = [:]
    private var rulesBefore: Ruleset?

    public init(_ plan: GatePlan) {
        self.plan = plan
        ruleset = Ruleset(gate: plan, reaches: [:])
    }

    /// One address that may pass.
    public struct Entry: Hashable, Sendable {
        public var address: IPAddress
        /// Stands for the sites that it may reach, see ``Ruleset/outboundChain(_:)``.
        public var reach: UInt64
        /// When the kernel lets it go by itself.
        public var until: Tick

        public init(address: IPAddress, reach: UInt64, until: Tick) {
            self.address = address
            self.reach = reach
            self.until = until
        }
    }

    /// What changes in the kernel, all in one transaction.
    public struct Change: Hashable, Sendable {
        public var rules: RulesetDifference?
        /// Entries that go, also those that stand again in ``added`` with something else.
        public var removed: [IPAddress] = []
        public var added: [Entry] = []

        public init(rules: RulesetDifference? = nil, removed: [IPAddress] = [], added: [Entry] = []) {
            self.rules = rules
            self.removed = removed
            self.added = added
        }

        public var isEmpty: Bool { rules == nil && removed.isEmpty && added.isEmpty }
    }

    /// Lets an address reach these sites and no others.
    public mutating func put(_ address: IPAddress, reaching sites: Set<String>, until: Tick) {
        let reach: UInt64
        if let known = numbers[sites] {
            reach = known
        } else {
            reach = freeNumber(for: sites)
            numbers[sites] = reach
            reaches[reach] = sites
            follow()
        }
        touch(address)
        entries[address] = Entry(address: address, reach: reach, until: until)
    }

    /// Lets an address reach nothing.
    public mutating func remove(_ address: IPAddress) {
        touch(address)
        entries[address] = nil
    }

    /// Puts another plan in force.
    public mutating func use(_ plan: GatePlan) {
        guard plan != self.plan else { return }
        self.plan = plan
        // A good moment to drop the combinations that nobody has any more.
        let used = Set(entries.values.map(\.reach))
        reaches = reaches.filter { used.contains($0.key) }
        numbers = numbers.filter { used.contains($0.value) }
        follow()
    }

    /// All that has changed since this was last asked.
    public mutating func takeChange() -> Change {
        var change = Change()
        for (address, old) in before where entries[address] != old {
            if old != nil { change.removed.append(address) }
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

    /// What makes a table with these rules, in which these addresses lead to these chains, the one that should be.
    public func difference(from standing: [IPAddress: String]) -> Change {
        var change = Change()
        for (address, chain) in standing
        where entries[address].map({ Ruleset.outboundChain($0.reach) != chain }) ?? true {
            change.removed.append(address)
        }
        for (address, entry) in entries where standing[address] != Ruleset.outboundChain(entry.reach) {
            change.added.append(entry)
        }
        return change
    }

    private mutating func touch(_ address: IPAddress) {
        if before[address] == nil { before[address] = .some(entries[address]) }
    }

    /// FNV-1a of the names, and the next free one where two combinations meet.
    private func freeNumber(for sites: Set<String>) -> UInt64 {
        var number: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in sites.sorted().joined(separator: ",").utf8 { number = (number ^ UInt64(byte)) &* 0x100_0000_01b3 }
        while reaches[number] != nil { number &+= 1 }
        return number
    }

    private mutating func follow() {
        rulesBefore = rulesBefore ?? ruleset
        ruleset = Ruleset(gate: plan, reaches: reaches)
    }
}
