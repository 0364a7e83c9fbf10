internal import Base

/// A copy of what a directory holds: its people, its groups, and who is in which. Made by readers, page by page.
///
/// Members are kept by number and people as bytes, so that a hundred thousand people in a thousand groups take some thirty
/// megabytes. A member that is not known as a person or group counts for nothing, and counts from the moment on at which its
/// key becomes known: a user who was deleted and is restored is back where they were. Another name of somebody (an alias)
/// means in a group whoever bore it when the group was read: names are given anew, and places do not go along.
public struct DirectoryMirror: Sendable {
    /// Someone, as the directory has them.
    public struct Person: Hashable, Sendable {
        /// The e-mail address; not every directory demands one.
        public var mail: String?
        /// The name to sign in with, which mostly has the form of an address.
        public var login: String?
        public var firstName: String?
        public var lastName: String?
        public var displayName: String?
        /// Whether the account may be used. What is not known counts as no.
        public var isActive: Bool

        public init(
            mail: String? = nil, login: String? = nil, firstName: String? = nil, lastName: String? = nil,
            displayName: String? = nil, isActive: Bool = false
        ) {
            self.mail = mail
            self.login = login
            self.firstName = firstName
            self.lastName = lastName
            self.displayName = displayName
            self.isActive = isActive
        }
    }

    struct Group: Hashable, Sendable {
        var name: String
        var isKnown = false
        var members: Set<Int32> = []
    }

    var keys = KeyTable()
    var people = PersonTable()
    var groups: [Int32: Group] = [:]
    /// Other names of people and groups: distinguished names, where members go by those.
    var aliases: [Int32: Int32] = [:]
    /// Rises with each change, so that a mirror that is as it was need not be stored again.
    public private(set) var changes = 0

    public init() {}

    func key(_ number: Int32) -> String { keys.key(number) }

    // MARK: - What readers do

    public func person(_ key: String) -> Person? { keys.number(of: key).flatMap { people[$0] } }

    public func hasPerson(_ key: String) -> Bool { keys.number(of: key).map(people.contains) ?? false }

    public mutating func put(_ person: Person, _ key: String) {
        if people.put(person, keys.number(key)) { changes += 1 }
    }

    public mutating func removePerson(_ key: String) {
        if let number = keys.number(of: key), people.remove(number) { changes += 1 }
    }

    /// Names a group; its members stay.
    public mutating func putGroup(_ key: String, name: String) {
        let number = keys.number(key)
        guard groups[number]?.name != name || groups[number]?.isKnown != true else { return }
        groups[number, default: Group(name: name)].name = name
        groups[number]?.isKnown = true
        changes += 1
    }

    public mutating func removeGroup(_ key: String) {
        if let number = keys.number(of: key), groups.removeValue(forKey: number) != nil { changes += 1 }
    }

    /// Whether a group of that key was named.
    public func hasGroup(_ key: String) -> Bool { keys.number(of: key).flatMap { groups[$0]?.isKnown } ?? false }

    public mutating func add(_ member: String, toGroup key: String) {
        let (group, member) = (keys.number(key), keys.number(member))
        if groups[group, default: Group(name: key)].members.insert(member).inserted { changes += 1 }
    }

    public mutating func remove(_ member: String, fromGroup key: String) {
        guard let group = keys.number(of: key), let member = keys.number(of: member) else { return }
        if groups[group]?.members.remove(member) != nil { changes += 1 }
    }

    /// Forgets who is in a group, before its members are read anew.
    public mutating func clearMembers(ofGroup key: String) {
        if let number = keys.number(of: key), groups[number]?.members.isEmpty == false {
            groups[number]?.members = []
            changes += 1
        }
    }

    /// Has everyone who is known in a group.
    public mutating func addEveryone(toGroup key: String) {
        let number = keys.number(key)
        groups[number, default: Group(name: key)].members.formUnion(people.numbers)
        changes += 1
    }

    /// Has a member in one group of several that exclude each other, and in no other of them.
    ///
    /// - Parameters:
    ///   - key: the group; nil for none of them.
    ///   - prefix: what the keys of all of them begin with.
    public mutating func put(_ member: String, inGroup key: String?, aloneAmong prefix: String) {
        let member = keys.number(member)
        let group = key.map { keys.number($0) }
        // Whoever is in one of them came by this way, and is in no other.
        if let group, groups[group]?.members.contains(member) == true { return }
        let others = groupsNaming(member) { $0.hasPrefix(prefix) }
        for other in others { groups[other]?.members.remove(member) }
        if let key, let group { groups[group, default: Group(name: key)].members.insert(member) }
        if group != nil || !others.isEmpty { changes += 1 }
    }

    /// Has a member that is called `alias` stand for the person or group with a key from now on.
    ///
    /// Groups that were read before keep whom they meant, by that one's own key: a name that is given anew takes nobody into
    /// them, and who was renamed stays. Where nobody known bore the name, they lose that member.
    ///
    /// - Parameter fresh: keys of groups that mean the new bearer, since they were read a moment ago.
    /// - Returns: false when groups had named it and nobody known bore the name: whom they mean a full reading must tell.
    @discardableResult
    public mutating func putAlias(_ alias: String, for key: String, meantIn fresh: Set<String> = []) -> Bool {
        let isNew = keys.number(of: alias) == nil
        let (name, number) = (keys.number(alias), keys.number(key))
        let before = aliases[name]
        guard before != number else { return true }
        aliases[name] = number
        changes += 1
        // Nobody can have named it, as with all names when a directory is read for the first time.
        if isNew { return true }
        let naming = groupsNaming(name, where: { !fresh.contains($0) })
        for group in naming {
            groups[group]?.members.remove(name)
            if let before { groups[group]?.members.insert(before) }
        }
        return before != nil || naming.isEmpty
    }

    /// The groups that have a number among their members, to be changed then: a list that is held meanwhile would be copied
    /// whole.
    private func groupsNaming(_ member: Int32, where fits: (_ key: String) -> Bool) -> [Int32] {
        groups.compactMap { $0.value.members.contains(member) && fits(key($0.key)) ? $0.key : nil }
    }

    /// Forgets people and named groups whose keys are not among `keys`.
    public mutating func keepOnly(_ keys: Set<String>) {
        let before = people.count + groups.count
        for number in Array(people.numbers) where !keys.contains(key(number)) { _ = people.remove(number) }
        groups = groups.filter { !$0.value.isKnown || keys.contains(key($0.key)) }
        if people.count + groups.count != before { changes += 1 }
    }

    // MARK: - What is there

    public var peopleCount: Int { people.count }
    public var groupCount: Int { groups.count(where: { $0.value.isKnown }) }

    /// The groups by name.
    public var groupList: [Directory.ChosenGroup] {
        groups.compactMap { $0.value.isKnown ? Directory.ChosenGroup(id: key($0.key), name: $0.value.name) : nil }
            .sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    }

    public func groupName(_ key: String) -> String? {
        keys.number(of: key).flatMap { groups[$0] }.flatMap { $0.isKnown ? $0.name : nil }
    }

    /// The people of a group and of the groups within it, each once; groups may contain each other in a circle.
    func people(inGroup key: String) -> Set<Int32> {
        guard let start = keys.number(of: key) else { return [] }
        var found: Set<Int32> = []
        var seen: Set<Int32> = [start]
        var open = [start]
        while let number = open.popLast() {
            for name in groups[number]?.members ?? [] {
                let member = aliases[name] ?? name
                if people.contains(member) {
                    found.insert(member)
                } else if groups[member] != nil, seen.insert(member).inserted {
                    open.append(member)
                }
            }
        }
        return found
    }

    /// The direct members of a group that are known, those of groups without a name of their own in their place.
    func members(ofGroup number: Int32) -> Set<Int32> {
        var found: Set<Int32> = []
        var seen: Set<Int32> = [number]
        var open = [number]
        while let group = open.popLast() {
            for name in groups[group]?.members ?? [] {
                let member = aliases[name] ?? name
                if people.contains(member) || groups[member]?.isKnown == true {
                    found.insert(member)
                } else if groups[member] != nil, seen.insert(member).inserted {
                    open.append(member)
                }
            }
        }
        return found
    }
}
