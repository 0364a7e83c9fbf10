public import Base
public import Identity

/// What a synchronisation would do: who comes, who changes, who goes. Nothing of it is done yet.
public struct DirectoryPlan: Sendable {
    /// One user, and what becomes of them.
    public struct Item: Hashable, Codable, Sendable {
        public enum Kind: String, Hashable, Codable, Sendable {
            case add, change, disable
            /// Was disabled by leaving, and is back.
            case enable
            /// Leaves the directory, and another one still vouches for them.
            case leave
        }
        public var email: String
        public var kind: Kind
        public var detail: String
    }

    /// In the order in which they are carried out: who goes, goes first.
    public private(set) var steps: [DirectoryStep] = []
    /// The first of them, ``itemLimit`` at most: there may be a hundred thousand.
    public private(set) var items: [Item] = []
    public static let itemLimit = 5000
    private var counts: [Item.Kind: Int] = [:]
    /// By the new address, the one that the person had before.
    public private(set) var predecessors: [String: String] = [:]
    /// Users whom the directory has at this moment, as it was known before.
    public private(set) var held = 0
    /// Users whom the directory has then.
    public private(set) var users = 0
    /// Of those whom it has now, those who leave it.
    public private(set) var leavers = 0
    /// Why an administrator must agree first; nil when nobody must.
    public private(set) var question: String?
    /// Of the directory, in sentences.
    public var warnings: [String]

    /// - Parameter users: all users, by address.
    public init(_ directory: Directory, _ roll: DirectoryRoll, users: [String: User], now: WallTime) {
        warnings = roll.warnings
        self.users = roll.entries.count
        var missing: [(user: User, key: String)] = []
        var former: [String: String] = [:]
        for (email, user) in users {
            guard let origin = user.origins.first(where: { $0.directory == directory.id }) else { continue }
            guard origin.isActive else {
                // Who left and comes back under another address. Of several, one whom an administrator keeps out counts.
                if former[origin.key] == nil || user.isBarred { former[origin.key] = email }
                continue
            }
            held += 1
            if roll.entries[email] == nil { missing.append((user, origin.key)) }
        }
        // Who is under another address now; of all the people only few are looked for.
        let keys = Set(missing.map(\.key))
        var renamed: [String: String] = [:]
        if !keys.isEmpty {
            for entry in roll.entries.values where keys.contains(entry.key) { renamed[entry.key] = entry.email }
        }
        var leaves: [DirectoryStep.Leave] = []
        for (user, key) in missing {
            let leave: DirectoryStep.Leave
            if let email = renamed[key] {
                leave = .renamed(email)
                predecessors[email] = user.email
            } else if roll.suspended.contains(key) {
                leave = .suspended
            } else {
                leave = roll.isKnown(key) ? .leftGroups : .deleted
            }
            leaves.append(leave)
            add(.go(email: user.email, leave), user, directory, now)
        }
        steps.sort { $0.email < $1.email }
        items.sort { $0.email < $1.email }
        // Who has a new address does not go.
        leavers = leaves.count { if case .renamed = $0 { false } else { true } }
        if !former.isEmpty {
            for entry in roll.entries.values where predecessors[entry.email] == nil {
                guard let email = former[entry.key], email != entry.email else { continue }
                // Who has been here under this address has been judged under it since.
                let origins = users[entry.email]?.origins ?? []
                if !origins.contains(where: { $0.directory == directory.id && $0.key == entry.key }) {
                    predecessors[entry.email] = email
                }
            }
        }
        for entry in roll.entries.values {
            add(.come(entry), users[entry.email], directory, now, predecessors[entry.email].flatMap { users[$0] })
        }
        question = Self.question(directory, leavers: leavers, held: held, isSuspension: leaves == [.suspended])
    }

    /// An empty or short answer is not the truth: more than a share of the users does not go unasked. One person who
    /// leaves while others stay is what happens every day, however small the company is.
    private static func question(_ directory: Directory, leavers: Int, held: Int, isSuspension: Bool) -> String? {
        guard leavers > 0, leavers * 100 > held * directory.removalLimitPercent else { return nil }
        if leavers == 1, held > 1 || isSuspension, directory.removalLimitPercent > 0 { return nil }
        let way =
            directory.kind == .agent
            ? "`gatehouse directory sync \(directory.id) --confirm` agrees, and the agent's next delivery does it."
            : "`gatehouse directory preview \(directory.id)` shows them; "
                + "`gatehouse directory sync \(directory.id) --confirm` does it."
        return "\(leavers) of \(held) users would be taken out of the directory \(directory.id), more than the "
            + "\(directory.removalLimitPercent) % that go unasked. " + way
    }

    private mutating func add(
        _ step: DirectoryStep, _ user: User?, _ directory: Directory, _ now: WallTime, _ predecessor: User? = nil
    ) {
        guard let result = step.result(for: user, of: directory, predecessor: predecessor, now: now) else { return }
        let kind: Item.Kind
        switch step {
        case .come:
            kind = user == nil ? .add : user?.isEnabled == false && result.user.isEnabled ? .enable : .change
        case .go: kind = result.user.isEnabled ? .leave : .disable
        }
        steps.append(step)
        counts[kind, default: 0] += 1
        guard items.count < Self.itemLimit else { return }
        items.append(Item(email: step.email, kind: kind, detail: result.words.joined(separator: "; ")))
    }

    /// The addresses of those who leave and have no other address, while ``steps`` are there.
    public var leaving: Set<String> {
        Set(
            steps.compactMap { step in
                guard case .go(let email, let leave) = step else { return nil }
                if case .renamed = leave { return nil }
                return email
            })
    }

    /// The steps, to be carried out: they are many, and the plan has none of them then.
    public mutating func takeSteps() -> [DirectoryStep] {
        defer { steps = [] }
        return steps
    }

    public func count(_ kind: Item.Kind) -> Int { counts[kind] ?? 0 }
}
