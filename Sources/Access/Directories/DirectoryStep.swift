public import Base
public import Identity

extension User {
    /// A directory that has brought the user, or had them before.
    public struct Origin: Hashable, Codable, Sendable {
        /// The directory's name here.
        public var directory: String
        /// The directory's own key for the person.
        public var key: String
        /// Whether the directory has them at present: active, and in a chosen group.
        public var isActive: Bool
        /// The team and the tags that it gave.
        public var team: String
        public var tags: [String]
        /// Whether the user was disabled because they left it; when they are back, so is the user. An administrator's word
        /// of that ends it.
        public var hasDisabled: Bool

        public init(
            directory: String, key: String, isActive: Bool = true, team: String, tags: [String], hasDisabled: Bool = false
        ) {
            self.directory = directory
            self.key = key
            self.isActive = isActive
            self.team = team
            self.tags = tags
            self.hasDisabled = hasDisabled
        }
    }

    /// Whether it was an administrator who disabled the user: no directory's return undoes that.
    var isBarred: Bool { !isEnabled && !origins.contains(where: \.hasDisabled) }

    /// Enables or disables the user by an administrator's word, which from then on is the one that counts: what
    /// directories did before is no reason any more to enable the user again.
    ///
    /// - Returns: what changed, in words; empty when nothing did.
    public mutating func setEnabled(_ isEnabled: Bool) -> [String] {
        let isOther = self.isEnabled != isEnabled
        let wasDirectorys = origins.contains(where: \.hasDisabled)
        self.isEnabled = isEnabled
        for place in origins.indices { origins[place].hasDisabled = false }
        if isOther { return [isEnabled ? "enabled" : "disabled"] }
        guard wasDirectorys else { return [] }
        return [isEnabled ? "enabled, whatever a directory did before" : "disabled, also when a directory has them again"]
    }
}

/// One thing that a synchronisation does to one user.
public enum DirectoryStep: Hashable, Sendable {
    /// The directory has this person.
    case come(DirectoryRoll.Entry)
    /// The directory does not have them any more.
    case go(email: String, Leave)

    /// Why a directory does not have somebody any more.
    public enum Leave: Hashable, Sendable {
        case suspended
        /// Not in the directory any more.
        case deleted
        case leftGroups
        case renamed(String)
        /// The directory itself was removed here.
        case directoryRemoved
        /// The directory was removed here, and its users are to stay as they are.
        case directoryForgotten

        public var words: String {
            switch self {
            case .suspended: "the account is suspended there"
            case .deleted: "the account is not there any more"
            case .leftGroups: "not in any chosen group any more"
            case .renamed(let email): "the address there is \(email) now"
            case .directoryRemoved, .directoryForgotten: "the directory was removed here"
            }
        }
    }

    public var email: String {
        switch self {
        case .come(let entry): entry.email
        case .go(let email, _): email
        }
    }

    /// What becomes of the user, and in what words; nil when nothing changes.
    ///
    /// - Parameters:
    ///   - user: as they are at this moment; nil when there is none.
    ///   - predecessor: the user whose address the person had before: what was given to them by hand is taken over, and so
    ///     is that an administrator disabled them.
    public func result(
        for user: User?, of directory: Directory, predecessor: User? = nil, now: WallTime
    ) -> (user: User, words: [String])? {
        switch self {
        case .come(let entry): Self.come(entry, user, directory, predecessor, now)
        case .go(_, let leave): user.flatMap { Self.go(leave, $0, directory) }
        }
    }

    private static func come(
        _ entry: DirectoryRoll.Entry, _ known: User?, _ directory: Directory, _ predecessor: User?, _ now: WallTime
    ) -> (user: User, words: [String])? {
        let origin = User.Origin(directory: directory.id, key: entry.key, team: directory.team, tags: entry.tags)
        // An administrator's no is to the person, not to an address of theirs.
        let bar = predecessor.flatMap { $0.isBarred ? "disabled, as an administrator has disabled \($0.email)" : nil }
        guard var user = known else {
            var user = User(
                email: entry.email, firstName: entry.firstName, lastName: entry.lastName, source: directory.id,
                groups: [directory.team], tags: entry.tags,
                sites: predecessor.map(\.sites) ?? directory.sites.map { .only(Set($0)) }, createdAt: now)
            if let predecessor {
                let given = Set(predecessor.origins.flatMap(\.tags))
                user.tags = Set(user.tags + predecessor.tags.filter { !given.contains($0) }).sorted()
            }
            user.origins = [origin]
            user.isEnabled = bar == nil
            return (user, ["brought by the directory \(directory.id)"] + [bar].compactMap(\.self))
        }
        var words: [String] = []
        let index = user.origins.firstIndex { $0.directory == directory.id }
        let before = index.map { user.origins[$0] }
        if before?.isActive != true {
            words.append("\(before == nil ? "also" : "again") in the directory \(directory.id)")
            // A directory's doing is undone by any directory; an administrator's is not.
            if let bar {
                if !user.isBarred { words.append(bar) }
                user.isEnabled = false
                for place in user.origins.indices { user.origins[place].hasDisabled = false }
            } else if !user.isEnabled, user.origins.contains(where: \.hasDisabled) {
                user.isEnabled = true
                for place in user.origins.indices { user.origins[place].hasDisabled = false }
                words.append("enabled")
            }
        }
        if let index { user.origins[index] = origin } else { user.origins.append(origin) }
        replaceWords(of: before, with: origin, in: &user, &words)
        // The directory that brought them says what they are called; another fills gaps.
        let isOwn = user.source == directory.id
        let hasNone = user.firstName == nil && user.lastName == nil
        if isOwn || hasNone, (user.firstName, user.lastName) != (entry.firstName, entry.lastName) {
            (user.firstName, user.lastName) = (entry.firstName, entry.lastName)
            words.append("called " + [entry.firstName, entry.lastName].compactMap(\.self).joined(separator: " "))
        }
        guard user != known else { return nil }
        if words.isEmpty { words.append("another key in the directory \(directory.id)") }
        return (user, words)
    }

    private static func go(_ leave: Leave, _ known: User, _ directory: Directory) -> (user: User, words: [String])? {
        guard let index = known.origins.firstIndex(where: { $0.directory == directory.id }) else { return nil }
        let before = known.origins[index]
        guard before.isActive || leave == .directoryRemoved || leave == .directoryForgotten else { return nil }
        var user = known
        if leave == .directoryForgotten {
            user.origins.remove(at: index)
            return (user, ["the directory \(directory.id) was removed, and the user stays"])
        }
        var words = ["left the directory \(directory.id): \(leave.words)"]
        var origin = before
        origin.isActive = false
        origin.tags = []
        user.origins[index] = origin
        replaceWords(of: before, with: nil, in: &user, &words)
        if user.isEnabled, before.isActive, !user.origins.contains(where: \.isActive) {
            user.isEnabled = false
            user.origins[index].hasDisabled = true
            words.append("disabled")
        }
        if leave == .directoryRemoved { user.origins.remove(at: index) }
        return (user, words)
    }

    /// Takes away the team and the tags that the directory gave, but for those that another one gives too, and gives the
    /// new ones.
    private static func replaceWords(
        of before: User.Origin?, with after: User.Origin?, in user: inout User, _ words: inout [String]
    ) {
        let others = user.origins.filter { $0.isActive && $0.directory != (before ?? after)?.directory }
        let kept = Set(others.flatMap(\.tags))
        let oldTags = user.tags
        let gone = Set(before?.tags ?? []).subtracting(after?.tags ?? []).subtracting(kept)
        let new = (after?.tags ?? []).filter { !user.tags.contains($0) }
        if !gone.isEmpty || !new.isEmpty { user.tags = user.tags.filter { !gone.contains($0) } + new }
        if user.tags != oldTags {
            words.append("tags " + (user.tags.isEmpty ? "none" : user.tags.joined(separator: ", ")))
        }
        let oldGroups = user.groups
        if let team = before?.team, team != after?.team, !others.contains(where: { $0.team == team }) {
            user.groups.removeAll { $0 == team }
        }
        if let team = after?.team, !user.groups.contains(team) { user.groups.append(team) }
        if user.groups != oldGroups {
            words.append("groups " + (user.groups.isEmpty ? "none" : user.groups.joined(separator: ", ")))
        }
    }
}
