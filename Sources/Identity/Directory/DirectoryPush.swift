/// A part of what an agent brings: some of the people and groups of a whole directory. What is not in any part of a run is
/// not in the directory.
public struct DirectoryPush: Hashable, Codable, Sendable {
    public struct Person: Hashable, Codable, Sendable {
        /// The directory's own key, which survives a new name and address.
        public var key: String
        public var mail: String?
        public var login: String?
        public var firstName: String?
        public var lastName: String?
        public var displayName: String?
        public var isActive: Bool
    }

    public struct Group: Hashable, Codable, Sendable {
        public var key: String
        public var name: String
        /// Keys of people and of groups.
        public var members: [String]
    }

    /// The same in all parts of one whole.
    public var run: String
    /// From 0, without a gap.
    public var part: Int
    public var isLast: Bool
    public var people: [Person]
    /// A group may stand in several parts: its members are those of all.
    public var groups: [Group]

    public init(run: String, part: Int, isLast: Bool, people: [Person] = [], groups: [Group] = []) {
        self.run = run
        self.part = part
        self.isLast = isLast
        self.people = people
        self.groups = groups
    }

    /// Keys that a directory may bring, people, groups and members together: more is no company's.
    public static let limit = 2_000_000
}

extension DirectoryMirror {
    /// The mirror as parts for a gateway, each with at most so many people, groups and members.
    public func pushes(run: String, size: Int = 2000) -> [DirectoryPush] {
        var parts = [DirectoryPush(run: run, part: 0, isLast: false)]
        var used = 0
        func room() {
            if used >= size {
                parts.append(DirectoryPush(run: run, part: parts.count, isLast: false))
                used = 0
            }
            used += 1
        }
        for number in people.numbers {
            guard let person = people[number] else { continue }
            room()
            parts[parts.count - 1].people.append(
                DirectoryPush.Person(
                    key: key(number), mail: person.mail, login: person.login, firstName: person.firstName,
                    lastName: person.lastName, displayName: person.displayName, isActive: person.isActive))
        }
        for (number, group) in groups.sorted(by: { $0.key < $1.key }) where group.isKnown {
            let name = group.name
            room()
            parts[parts.count - 1].groups.append(.init(key: key(number), name: name, members: []))
            for member in members(ofGroup: number).sorted() {
                room()
                if parts[parts.count - 1].groups.last?.key != key(number) {
                    parts[parts.count - 1].groups.append(.init(key: key(number), name: name, members: []))
                }
                let last = parts[parts.count - 1].groups.count - 1
                parts[parts.count - 1].groups[last].members.append(key(member))
            }
        }
        parts[parts.count - 1].isLast = true
        return parts
    }

    /// Takes a part that an agent brought.
    public mutating func take(_ push: DirectoryPush) {
        for person in push.people {
            put(
                Person(
                    mail: person.mail, login: person.login, firstName: person.firstName, lastName: person.lastName,
                    displayName: person.displayName, isActive: person.isActive), person.key)
        }
        for group in push.groups {
            putGroup(group.key, name: group.name)
            for member in group.members { add(member, toGroup: group.key) }
        }
    }
}
