internal import Base

/// A copy of what a directory holds: its people, its groups, and who is in which. Made by readers, page by page.
///
/// Members are kept by number, so that a hundred thousand people in a thousand groups take tens of megabytes. A member that
/// is not known as a person or group counts for nothing, and counts from the moment on at which it becomes known: a user who
/// was deleted and is restored is back where they were.
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

    private var numbers: [String: Int32] = [:]
    private var keys: [String] = []
    private(set) var people: [Int32: Person] = [:]
    private(set) var groups: [Int32: Group] = [:]
    /// Other names of people and groups: distinguished names, where members go by those.
    private var aliases: [Int32: Int32] = [:]
    /// Rises with each change, so that a mirror that is as it was need not be stored again.
    public private(set) var changes = 0

    public init() {}

    private mutating func number(_ key: String) -> Int32 {
        if let number = numbers[key] { return number }
        let number = Int32(keys.count)
        keys.append(key)
        numbers[key] = number
        return number
    }

    func key(_ number: Int32) -> String { keys[Int(number)] }
    func number(of key: String) -> Int32? { numbers[key] }

    // MARK: - What readers do

    public func person(_ key: String) -> Person? { numbers[key].flatMap { people[$0] } }

    public mutating func put(_ person: Person, _ key: String) {
        let number = number(key)
        guard people[number] != person else { return }
        people[number] = person
        changes += 1
    }

    public mutating func removePerson(_ key: String) {
        if let number = numbers[key], people.removeValue(forKey: number) != nil { changes += 1 }
    }

    /// Names a group; its members stay.
    public mutating func putGroup(_ key: String, name: String) {
        let number = number(key)
        guard groups[number]?.name != name || groups[number]?.isKnown != true else { return }
        groups[number, default: Group(name: name)].name = name
        groups[number]?.isKnown = true
        changes += 1
    }

    public mutating func removeGroup(_ key: String) {
        if let number = numbers[key], groups.removeValue(forKey: number) != nil { changes += 1 }
    }

    /// Whether a group of that key was named.
    public func hasGroup(_ key: String) -> Bool { numbers[key].flatMap { groups[$0]?.isKnown } ?? false }

    public mutating func add(_ member: String, toGroup key: String) {
        let (group, member) = (number(key), number(member))
        if groups[group, default: Group(name: key)].members.insert(member).inserted { changes += 1 }
    }

    public mutating func remove(_ member: String, fromGroup key: String) {
        guard let group = numbers[key], let member = numbers[member] else { return }
        if groups[group]?.members.remove(member) != nil { changes += 1 }
    }

    /// Forgets who is in a group, before its members are read anew.
    public mutating func clearMembers(ofGroup key: String) {
        if let number = numbers[key], groups[number]?.members.isEmpty == false {
            groups[number]?.members = []
            changes += 1
        }
    }

    /// Has everyone who is known in a group.
    public mutating func addEveryone(toGroup key: String) {
        let number = number(key)
        groups[number, default: Group(name: key)].members.formUnion(people.keys)
        changes += 1
    }

    /// Has a member that is called `alias` stand for the person or group with a key.
    public mutating func putAlias(_ alias: String, for key: String) {
        let (alias, number) = (number(alias), number(key))
        guard aliases[alias] != number else { return }
        aliases[alias] = number
        changes += 1
    }

    /// Forgets people and named groups whose keys are not among `keys`.
    public mutating func keepOnly(_ keys: Set<String>) {
        let before = people.count + groups.count
        people = people.filter { keys.contains(self.keys[Int($0.key)]) }
        groups = groups.filter { !$0.value.isKnown || keys.contains(self.keys[Int($0.key)]) }
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
        numbers[key].flatMap { groups[$0] }.flatMap { $0.isKnown ? $0.name : nil }
    }

    /// The people of a group and of the groups within it, each once; groups may contain each other in a circle.
    func people(inGroup key: String) -> Set<Int32> {
        guard let start = numbers[key] else { return [] }
        var found: Set<Int32> = []
        var seen: Set<Int32> = [start]
        var open = [start]
        while let number = open.popLast() {
            for name in groups[number]?.members ?? [] {
                let member = aliases[name] ?? name
                if people[member] != nil {
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
                if people[member] != nil || groups[member]?.isKnown == true {
                    found.insert(member)
                } else if groups[member] != nil, seen.insert(member).inserted {
                    open.append(member)
                }
            }
        }
        return found
    }

    // MARK: - Storage

    private static let version: UInt8 = 1

    /// The mirror as bytes, to be kept until the next start.
    public var bytes: [UInt8] {
        var all: [UInt8] = []
        pieces { all += $0 }
        return all
    }

    /// The bytes of one piece, more or less: what is large is never in memory twice.
    private static let pieceSize = 1 << 20

    /// The same bytes, in pieces whose order matters.
    public func pieces<Failure: Error>(_ take: ([UInt8]) throws(Failure) -> Void) throws(Failure) {
        var writer = ByteWriter()
        func takeFull() throws(Failure) {
            guard writer.count >= Self.pieceSize else { return }
            try take(writer.bytes)
            writer = ByteWriter()
        }
        func text(_ text: String) {
            let utf8 = Array(text.utf8)
            writer.uint32(UInt32(utf8.count))
            writer.append(utf8)
        }
        func optional(_ value: String?) {
            writer.uint8(value == nil ? 0 : 1)
            if let value { text(value) }
        }
        writer.uint8(Self.version)
        writer.uint32(UInt32(keys.count))
        for key in keys {
            text(key)
            try takeFull()
        }
        writer.uint32(UInt32(people.count))
        for (number, person) in people {
            writer.uint32(UInt32(number))
            for value in [person.mail, person.login, person.firstName, person.lastName, person.displayName] {
                optional(value)
            }
            writer.uint8(person.isActive ? 1 : 0)
            try takeFull()
        }
        writer.uint32(UInt32(groups.count))
        for (number, group) in groups {
            writer.uint32(UInt32(number))
            text(group.name)
            writer.uint8(group.isKnown ? 1 : 0)
            writer.uint32(UInt32(group.members.count))
            for member in group.members { writer.uint32(UInt32(member)) }
            try takeFull()
        }
        writer.uint32(UInt32(aliases.count))
        for (alias, number) in aliases {
            writer.uint32(UInt32(alias))
            writer.uint32(UInt32(number))
            try takeFull()
        }
        try take(writer.bytes)
    }

    /// Reads what ``bytes`` wrote; nil for anything else, and then everything is read anew from the directory.
    public init?(bytes: [UInt8]) {
        do {
            try self.init(reading: bytes)
        } catch {
            return nil
        }
    }

    private struct Damaged: Error {}

    private init(reading bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        func text() throws -> String {
            let count = Int(try reader.uint32())
            guard let text = String(validating: try reader.slice(count), as: UTF8.self) else { throw Damaged() }
            return text
        }
        func optional() throws -> String? { try reader.uint8() == 0 ? nil : try text() }
        guard try reader.uint8() == Self.version else { throw Damaged() }
        // What says how many there are may be damaged.
        func room(_ count: UInt32) -> Int { Int(min(count, UInt32(min(bytes.count, Int(UInt32.max)) / 4))) }
        let keyCount = try reader.uint32()
        keys.reserveCapacity(room(keyCount))
        numbers.reserveCapacity(room(keyCount))
        for _ in 0..<keyCount {
            let key = try text()
            guard numbers[key] == nil, keys.count < Int(Int32.max) else { throw Damaged() }
            numbers[key] = Int32(keys.count)
            keys.append(key)
        }
        func number() throws -> Int32 {
            let value = try reader.uint32()
            guard value < keys.count else { throw Damaged() }
            return Int32(value)
        }
        let peopleCount = try reader.uint32()
        people.reserveCapacity(min(room(peopleCount), keys.count))
        for _ in 0..<peopleCount {
            let key = try number()
            people[key] = Person(
                mail: try optional(), login: try optional(), firstName: try optional(), lastName: try optional(),
                displayName: try optional(), isActive: try reader.uint8() == 1)
        }
        for _ in 0..<(try reader.uint32()) {
            let key = try number()
            var group = Group(name: try text())
            group.isKnown = try reader.uint8() == 1
            for _ in 0..<(try reader.uint32()) { group.members.insert(try number()) }
            groups[key] = group
        }
        for _ in 0..<(try reader.uint32()) {
            let alias = try number()
            aliases[alias] = try number()
        }
        guard reader.isAtEnd else { throw Damaged() }
    }
}
